"""The table of runs, runs.csv: one row per training.

Columns: study, dataset, architecture, role, method, seed, fold (of the test images; 0 where there is one test set);
base_architecture and base_method, the model of the same data set and seed that this one stands on, empty where it
stands on none; accuracy, deo_a, deo_m and worst_group_accuracy (fractions 0..1); the 95 % test-set interval of the
first three (`_low`, `_high`), and of each DEO the `_corrected` value, the mean and 95 % range of a fair classifier's
(`_fair_baseline`, `_fair_baseline_low`, `_fair_baseline_high`) and the `_verdict`, see
`fairdistill.evaluation.uncertainty.assess`; paired (whether copies of one image are in all groups), needs_group
(whether the method needs the group of each image at prediction time), n_images, epochs, seconds (of training), code
(its version), precision (of the arithmetic of the training, bf16 or fp32, empty where the record does not say); then
the settings of the method, see `with_settings`.

Rows are in the order of the study's grids, seeds in numeric order. Every table and figure that is made from this one
keeps the order in which it names data sets, architectures and methods.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import pandas as pd

from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.columns import DEO, IDENTITY, METRICS, RUNS, UNCERTAINTY, VALIDATION, keys
from fairdistill.reporting.csv_files import read_table
from fairdistill.settings.sweeps import as_text


def read_runs(path: Path | str) -> pd.DataFrame:
    """Return the table that `aggregate_results` wrote as runs.csv; a UserError says what is wrong with it."""
    return _read_runs(path, RUNS)


def read_validation(path: Path | str | IO[str]) -> pd.DataFrame:
    """Return the table that `aggregate_results` wrote as validation.csv; a UserError says what is wrong with it."""
    return _read_runs(path, VALIDATION)


def _read_runs(path: Path | str | IO[str], columns: Sequence[str]) -> pd.DataFrame:
    return read_table(path, columns, key=IDENTITY, shares={*METRICS, *UNCERTAINTY, "mean_cell_accuracy"})


def at_chance(runs: pd.DataFrame, suffix: str = "") -> pd.Series:
    """Return whether each model is no more accurate than one that names the largest class for every image.

    `suffix` ends the names of the columns that are read, as those of the second model in a table of pairs.
    """
    return (runs[[f"{deo}_verdict{suffix}" for deo in DEO]] == AT_CHANCE).any(axis=1)


def telling_apart(settings: Iterable[Mapping]) -> list[str]:
    """Return the settings in which two models of one kind of method differ.

    Parameters
    ----------
    settings
        Those of the method of each model, its kind among them.
    """
    values: dict[tuple[str, str], set[str]] = {}
    for of_model in settings:
        for name, value in of_model.items():
            values.setdefault((of_model["kind"], name), set()).add(as_text(value))
    return list(dict.fromkeys(name for (_, name), found in values.items() if len(found) > 1))


def with_settings(runs: pd.DataFrame, settings: Mapping[tuple, Mapping]) -> pd.DataFrame:
    """Return a table of runs with a column of texts for each setting that one of their methods has.

    It is empty where a kind of method lacks the setting, `null` where it is null, and has the items of a list separated
    by spaces.

    Parameters
    ----------
    settings
        Those of the method of each training, by the values of `IDENTITY`.
    """
    of_rows = [settings[names] for names in keys(runs, IDENTITY)]
    columns = dict.fromkeys(name for found in of_rows for name in found)
    return runs.assign(
        **{name: [as_text(found[name]) if name in found else "" for found in of_rows] for name in columns}
    )
