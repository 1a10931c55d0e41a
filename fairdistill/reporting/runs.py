"""The table of runs, runs.csv: one row per training; and how all tables are written as CSV.

Columns: study, dataset, architecture, role, method, seed, fold (of the test images; 0 where there is one test set);
base_architecture and base_method, the model of the same data
set and seed that this one stands on, empty where it stands on none; accuracy, deo_a, deo_m and worst_group_accuracy
(fractions 0..1); the 95 % test-set interval of the first three (`_low`, `_high`), and of each DEO the `_corrected`
value, the mean and 95 % range of a fair classifier's (`_fair_baseline`, `_fair_baseline_low`, `_fair_baseline_high`)
and the `_verdict`, see `fairdistill.evaluation.uncertainty.assess`; paired (whether copies of one image are in all
groups), n_images, epochs, seconds (of training), code (its version).

Rows are in the order of the study's grids, seeds in numeric order. Every table and figure that is made from this one
keeps the order in which it names data sets, architectures and methods.
"""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.columns import BASE, DEO, OVER_SEEDS, RUNS
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import write_text


def read_runs(path: Path | str) -> pd.DataFrame:
    """Return the table that `aggregate_results` wrote as runs.csv."""
    runs = pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(["study", *OVER_SEEDS, *BASE], str))
    return with_columns(runs, RUNS, path)


def read_table(path: Path | str, columns: Collection[str], texts: Collection[str]) -> pd.DataFrame:
    """Return a table with these columns, of which `texts` are no numbers; a number may be missing."""
    numbers = [name for name in columns if name not in texts]
    table = pd.read_csv(
        path, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=dict.fromkeys(numbers, "")
    )
    return with_columns(table, columns, path)


def with_columns(table: pd.DataFrame, columns: Collection[str], path: Path | str) -> pd.DataFrame:
    """Return a table that has these columns; a UserError names the file and the first column that is missing."""
    if missing := [name for name in columns if name not in table]:
        raise UserError(f"{path}: column '{missing[0]}' is missing; make it with scripts.aggregate_results")
    return table


def at_chance(runs: pd.DataFrame, suffix: str = "") -> pd.Series:
    """Return whether each model is no more accurate than one that names the largest class for every image.

    `suffix` ends the names of the columns that are read, as those of the second model in a table of pairs.
    """
    return (runs[[f"{deo}_verdict{suffix}" for deo in DEO]] == AT_CHANCE).any(axis=1)


def csv_text(frame: pd.DataFrame) -> str:
    """Return a table as CSV with ten significant digits, so that it is the same on every machine."""
    return frame.to_csv(index=False, float_format="%.10g")


def write_csv(path: Path | str, frame: pd.DataFrame) -> None:
    """Write a table as `csv_text`."""
    write_text(path, csv_text(frame))
