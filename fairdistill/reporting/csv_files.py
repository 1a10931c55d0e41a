"""How all tables are written as CSV, and read again."""

import io
import reprlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from fairdistill.evaluation.uncertainty import ABOVE, AT_CHANCE, FAIR
from fairdistill.reporting.columns import DEO, FLAGS, METRICS, TEXTS, WHOLE
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import write_text

AGGREGATE = "scripts.aggregate_results"
# The largest whole number below which a float keeps all.
LARGEST = 2**53
# The verdicts on a DEO, and the values that columns of some names may have in every table.
VERDICTS = [ABOVE, FAIR, AT_CHANCE]
CHOICES = {
    "role": ["teacher", "student"],
    "metric": METRICS,
    # empty for a metric without a verdict
    "verdict": [*VERDICTS, ""],
    **{f"{deo}_verdict": VERDICTS for deo in DEO},
    # records of before it was noted have none
    "precision": ["bf16", "fp32", ""],
}


def read_table(
    path: Path | str | IO[str],
    columns: Sequence[str],
    *,
    key: Sequence[str] = (),
    texts: Collection[str] = (),
    shares: Collection[str] = (),
    optional: Collection[str] = (),
    may_be_empty: bool = False,
    maker: str = AGGREGATE,
) -> pd.DataFrame:
    """Return a table that a script wrote as CSV.

    Parameters
    ----------
    columns
        Those that it has to have; others may follow. Their names say what they hold, see
        `fairdistill.reporting.columns.TEXTS`.
    key
        The columns that tell rows apart.
    texts
        Those of text in this table alone: the base of a method is a name in one table, and in another its score.
    shares
        Those of numbers from 0 to 1.
    optional
        Other columns, of numbers, which it need not have.
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
    expected = [*columns, *optional]
    texts = {name for name in expected if name in TEXTS or name in texts}
    flags = [name for name in expected if name in FLAGS]
    numbers = [name for name in expected if name not in (*texts, *flags)]
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
        (WHOLE, "a whole number from 0 on", _is_whole),
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
    whole = [name for name in columns if name in WHOLE]
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


def csv_text(frame: pd.DataFrame) -> str:
    """Return a table as CSV with ten significant digits, so that it is the same on every machine."""
    return frame.to_csv(index=False, float_format="%.10g")


def write_csv(path: Path | str, frame: pd.DataFrame) -> None:
    """Write a table as `csv_text`."""
    write_text(path, csv_text(frame))
