"""The table of runs, runs.csv: one row per training; and how all tables are written as CSV.

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

import io
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from fairdistill.evaluation.uncertainty import ABOVE, AT_CHANCE, FAIR
from fairdistill.reporting.columns import BASE, DEO, IDENTITY, METRICS, OVER_SEEDS, RUNS, UNCERTAINTY, VALIDATION
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import write_text
from fairdistill.settings.sweeps import as_text

AGGREGATE = "scripts.aggregate_results"
# larger whole numbers are not kept by a float
LARGEST = 2**53
# what columns of some names hold in every table
VERDICTS = [ABOVE, FAIR, AT_CHANCE]
CHOICES = {
    "role": ["teacher", "student"],
    "metric": METRICS,
    # of a metric that has none it is empty
    "verdict": [*VERDICTS, ""],
    **{f"{deo}_verdict": VERDICTS for deo in DEO},
    # records of before it was noted have none
    "precision": ["bf16", "fp32", ""],
}


def read_runs(path: Path | str) -> pd.DataFrame:
    """Return the table that `aggregate_results` wrote as runs.csv; a UserError says what is wrong with it."""
    return _read_runs(path, RUNS)


def read_validation(path: Path | str | IO[str]) -> pd.DataFrame:
    """Return the table that `aggregate_results` wrote as validation.csv; a UserError says what is wrong with it."""
    return _read_runs(path, VALIDATION)


def _read_runs(path: Path | str | IO[str], columns: Sequence[str]) -> pd.DataFrame:
    texts = ["study", *OVER_SEEDS, *BASE, "code", "precision", *(f"{deo}_verdict" for deo in DEO)]
    whole = [name for name in ("seed", "fold", "n_images", "epochs", "smallest_cell") if name in columns]
    shares = {*METRICS, *UNCERTAINTY, "mean_cell_accuracy"}.difference(texts)
    return read_table(
        path, columns, texts=texts, whole=whole, flags=["paired", "needs_group"], shares=shares, key=IDENTITY
    )


def read_table(
    path: Path | str | IO[str],
    columns: Sequence[str],
    *,
    texts: Collection[str],
    whole: Collection[str] = (),
    flags: Collection[str] = (),
    shares: Collection[str] = (),
    optional: Collection[str] = (),
    key: Sequence[str] = (),
    may_be_empty: bool = False,
    maker: str = AGGREGATE,
) -> pd.DataFrame:
    """Return a table that a script wrote as CSV.

    Parameters
    ----------
    columns
        Those that it has to have; others may follow.
    texts, whole, flags, shares
        Of the columns, those of text, of whole numbers from 0 on, of `True` or `False`, and of numbers from 0 to 1. All
        others hold numbers, which may be missing.
    optional
        Other columns, of numbers, which it need not have.
    key
        The columns that tell rows apart.
    may_be_empty
        Whether a header alone is a table, whatever columns it names: it comes back without rows, with `columns`.
    maker
        The script that makes the table, for messages.

    Raises
    ------
    UserError
        One line that names the file, and what is wrong with it: it is no CSV file, lacks a column, has no rows, holds a
        value of another kind, or has two rows of the same key.
    """
    numbers = [name for name in (*columns, *optional) if name not in (*texts, *flags)]
    types = dict.fromkeys([*texts, *flags], str)
    again = f"make it with {maker}"
    try:
        text = Path(path).read_text(encoding="utf-8") if isinstance(path, Path | str) else path.read()
        table = pd.read_csv(io.StringIO(text), dtype=types, keep_default_na=False, na_values=dict.fromkeys(numbers, ""))
    except ValueError as error:
        what = str(error).strip().splitlines()[0]
        raise UserError(f"{path}: not readable as CSV ({what}); {again}") from error
    if table.empty and may_be_empty:
        table = table.reindex(columns=list(columns))
    if missing := [name for name in columns if name not in table]:
        raise UserError(f"{path}: column '{missing[0]}' is missing; {again}")
    if table.empty and not may_be_empty:
        raise UserError(f"{path}: has no rows; {again}")
    if not text.endswith("\n"):
        # pandas takes the fields that are missing for empty ones
        raise UserError(f"{path}: its last line is cut off; {again}")
    kinds = [
        *(([name], f"one of {', '.join(filter(None, known))}", _is_one_of(known)) for name, known in CHOICES.items()),
        (texts, "text", _is_text),
        (flags, "True or False", _is_one_of(["True", "False"])),
        (whole, "a whole number from 0 on", _is_whole),
        (shares, "a number from 0 to 1", _is_share),
    ]
    for name in [*columns, *(name for name in optional if name in table)]:
        wanted, is_right = next((kind[1:] for kind in kinds if name in kind[0]), ("a number", _is_number))
        if (wrong := ~is_right(table[name]).to_numpy()).any():
            row = int(wrong.argmax())
            value = reprlib.repr(table[name].astype(object).fillna("").astype(str).iat[row])
            raise UserError(f"{path}: row {row + 2}: {name} is {value}; it must be {wanted}; {again}")
    if key and (repeated := table.duplicated(list(key)).to_numpy()).any():
        names = " ".join(map(str, table[list(key)].iloc[int(repeated.argmax())]))
        raise UserError(f"{path}: {names} comes twice; {again}")
    return table.astype(dict.fromkeys(whole, int)).assign(**{name: table[name] == "True" for name in flags})


def _is_text(values: pd.Series) -> pd.Series:
    # it is missing at the end of a row that is too short
    return values.notna()


def _is_one_of(known: Collection[str]) -> Callable[[pd.Series], pd.Series]:
    return lambda values: values.isin(known)


def _is_number(values: pd.Series) -> pd.Series:
    # by way of text, as True is no number
    found = pd.to_numeric(values.astype(str), errors="coerce").astype(float)
    return (found.abs() < np.inf) | values.isna()


def _is_whole(values: pd.Series) -> pd.Series:
    found = pd.to_numeric(values.astype(str), errors="coerce").astype(float)
    return (found % 1 == 0) & (found >= 0) & (found < LARGEST)


def _is_share(values: pd.Series) -> pd.Series:
    found = pd.to_numeric(values.astype(str), errors="coerce").astype(float)
    return found.between(0, 1)


def at_chance(runs: pd.DataFrame, suffix: str = "") -> pd.Series:
    """Return whether each model is no more accurate than one that names the largest class for every image.

    `suffix` ends the names of the columns that are read, as those of the second model in a table of pairs.
    """
    return (runs[[f"{deo}_verdict{suffix}" for deo in DEO]] == AT_CHANCE).any(axis=1)


def with_settings(runs: pd.DataFrame, settings: Mapping[tuple, Mapping]) -> pd.DataFrame:
    """Return a table of runs with a column of texts for each setting that one of their methods has.

    It is empty where a kind of method lacks the setting, `null` where it is null, and has the items of a list separated
    by spaces.

    Parameters
    ----------
    settings
        Those of the method of each training, by the values of `IDENTITY`.
    """
    of_rows = [settings[names] for names in runs[IDENTITY].itertuples(index=False, name=None)]
    columns = dict.fromkeys(name for found in of_rows for name in found)
    return runs.assign(
        **{name: [as_text(found[name]) if name in found else "" for found in of_rows] for name in columns}
    )


def csv_text(frame: pd.DataFrame) -> str:
    """Return a table as CSV with ten significant digits, so that it is the same on every machine."""
    return frame.to_csv(index=False, float_format="%.10g")


def write_csv(path: Path | str, frame: pd.DataFrame) -> None:
    """Write a table as `csv_text`."""
    write_text(path, csv_text(frame))
