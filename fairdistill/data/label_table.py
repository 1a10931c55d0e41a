"""Read the table that has a row for each image: CSV or TSV in UTF-8, or Parquet.

All values become text, without blanks at its ends; a missing value is "", and so is what programs write for one, such
as NA. The rows are numbered as a person finds them: those of a CSV by the line of the file that they begin in, from 1,
as an editor shows it (the header is line 1); those of a Parquet file from 1.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairdistill.runtime.csv_table import read_csv, require_columns, require_file
from fairdistill.runtime.errors import UserError

# what spreadsheets and programs write for a value that is not there, in upper or lower case
MISSING = ("nan", "-nan", "na", "n/a", "<na>", "#na", "#n/a", "null")
# what may stand for one, and as well for a class or group: that somebody wears no glasses, or gave no answer
DOUBTFUL = ("none", "nil", "nat", "undefined", "unknown", "missing", "-", "--", "?", ".")
# up to here a float is a whole number, and not the nearest one that there is
EXACT = 2**53
# Arrow's names of the floats that have fewer digits than Python's
SHORT: dict[str, type[np.floating]] = {"float": np.float32, "halffloat": np.float16}


class LabelTable(NamedTuple):
    """Some columns of a table.

    Attributes
    ----------
    values
        One row for each of the table, text; the index is the number of the row.
    numbered
        What the numbers count: "line" or "row".
    ragged
        The numbers of the rows that have more or fewer fields than the header; they are not in `values`.
    missing
        By column, what was taken for a missing value, as it is written.
    """

    values: pd.DataFrame
    numbered: str
    ragged: list[int]
    missing: dict[str, list[str]]


def read_label_table(path: Path, columns: Mapping[str, str]) -> LabelTable:
    """Return some columns of a table.

    Parameters
    ----------
    columns
        By the name of each, what the user gives it by.

    Raises
    ------
    UserError
        The file is missing, empty, damaged or in another encoding, or lacks a column; the message names those that it
        has.
    """
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path, columns)
    rows = read_csv(path, columns)
    whole = {row.line: row.values for row in rows if row.values is not None}
    texts = pd.DataFrame(list(whole.values()), index=list(whole), columns=list(columns), dtype=object)
    return _label_table(texts, "line", [row.line for row in rows if row.values is None])


def _label_table(texts: pd.DataFrame, numbered: str, ragged: list[int]) -> LabelTable:
    """The table with "" for what is written of missing values."""
    missing = {}
    for column in texts.columns:
        where = texts[column].str.casefold().isin(MISSING)
        missing[column] = sorted(texts.loc[where, column].unique())
        texts.loc[where, column] = ""
    return LabelTable(texts, numbered, ragged, missing)


def _read_parquet(path: Path, columns: Mapping[str, str]) -> LabelTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    require_file(path)
    try:
        with pq.ParquetFile(path) as file:
            # those of a nested column have no name of their own at the top
            require_columns(path, columns, file.schema_arrow.names)
            table = file.read(columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"{path}: not readable as Parquet ({' '.join(str(error).split())}); write it anew") from error
    if not len(table):
        raise UserError(f"{path}: has no row; give each image a row")
    for name in columns:
        if pa.types.is_nested(table.schema.field(name).type):
            raise UserError(f"{path}: the column {name!r} has several values in a row; write one of them in each")
    # Arrow's own values: pandas would make floats of whole numbers of which one is missing, and so change large ones
    texts = {}
    for name in columns:
        kind = table.schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        short = SHORT.get(str(kind))
        texts[name] = [_as_text(path, name, value, short) for value in table[name].to_pylist()]
    return _label_table(pd.DataFrame(texts, index=pd.RangeIndex(1, len(table) + 1), dtype=object), "row", [])


def _as_text(path: Path, column: str, value: object, short: type[np.floating] | None) -> str:
    """A value as a person writes it; `short` is its type where that has fewer digits than a float."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            raise UserError(f"{path}: the column {column!r} has bytes that are not UTF-8; write it as text") from None
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        # as whole numbers are written that another program has made floats of
        value = int(value)
    elif isinstance(value, float) and short is not None:
        # 0.1, which as a float is 0.10000000149011612
        value = short(value)
    return str(value).strip()
