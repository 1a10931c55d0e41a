"""Read the table that has a row for each image: CSV or TSV in UTF-8, or Parquet.

All values become text, without blanks at its ends; a missing value is "". The rows are numbered as a person finds them:
those of a CSV by the line of the file that they begin in, from 1, as an editor shows it (the header is line 1); those
of a Parquet file from 1.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fairdistill.runtime.csv_table import read_csv, require_columns
from fairdistill.runtime.errors import UserError


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
    """

    values: pd.DataFrame
    numbered: str
    ragged: list[int]


def read_label_table(path: Path, columns: Sequence[str]) -> LabelTable:
    """Return some columns of a table.

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
    values = pd.DataFrame(list(whole.values()), index=list(whole), columns=list(columns), dtype=object)
    return LabelTable(values, "line", [row.line for row in rows if row.values is None])


def _read_parquet(path: Path, columns: Sequence[str]) -> LabelTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise UserError(f"{path}: there is no such file; name the table that has a row for each image")
    try:
        with pq.ParquetFile(path) as file:
            # those of a nested column have no name of their own at the top
            require_columns(path, columns, file.schema_arrow.names)
            table = file.read(columns=list(columns)).to_pandas()
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"{path}: not readable as Parquet ({' '.join(str(error).split())}); write it anew") from error
    if table.empty:
        raise UserError(f"{path}: has no row; give each image a row")
    values = pd.DataFrame({name: [_as_text(value) for value in table[name]] for name in columns}, dtype=object)
    values.index = pd.RangeIndex(1, len(values) + 1)
    return LabelTable(values, "row", [])


def _as_text(value: object) -> str:
    if not isinstance(value, str):
        if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
            return ""
        if isinstance(value, float) and value.is_integer():
            # whole numbers of which one is missing
            value = int(value)
    return str(value).strip()
