"""Read a table in CSV: in UTF-8, the names of its columns first, with commas, semicolons or tabulators between fields.

Values have no blanks at their ends, and empty lines are no rows. A row is numbered by the line of the file that it
begins in, from 1, as an editor shows it: the names of the columns are line 1.
"""

import csv
import difflib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fairdistill.runtime.errors import UserError

SEPARATORS = (",", ";", "\t")
# a field in quotes, in which neither a separator nor a line break parts anything; and the first line that is not blank
QUOTED = r'(?<![^,;\t\r\n])"(?:[^"]|"")*+"'
HEADER = re.compile(rf"\s*(?:{QUOTED}|[^\r\n])*+")
TABULATED = (".tsv", ".tab")
# tables in other formats, which people take for one that is read
NO_CSV = (".xlsx", ".xls", ".ods", ".numbers", ".parquet", ".pq", ".feather", ".json", ".jsonl")
# what compressed files begin with
COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


class Row(NamedTuple):
    """A row of a table.

    Attributes
    ----------
    line
        The line that it begins in.
    values
        Those of the columns that were asked for, in their order; None where the row has more or fewer fields than the
        header, so that nobody can tell which field is which.
    """

    line: int
    values: list[str] | None


def read_csv(path: Path, columns: Mapping[str, str]) -> list[Row]:
    """Return some columns of a table.

    Parameters
    ----------
    columns
        By the name of each, what the user gives it by, such as an option.

    Raises
    ------
    UserError
        The file is missing, empty, damaged or in another encoding or format, or lacks a column.
    """
    require_file(path)
    if path.suffix.lower() in NO_CSV:
        raise UserError(f"{path}: a table in this format is not read here; export it as CSV in UTF-8, and name that")
    records = _records(path)
    _, header = next(records, (1, []))
    header = [name.strip() for name in header]
    if not any(header):
        raise UserError(f"{path}: line 1 names no columns; a table begins with the names of its columns")
    require_columns(path, columns, header)
    places = [header.index(name) for name in columns]
    rows = [
        Row(line, [record[place].strip() for place in places] if len(record) == len(header) else None)
        for line, record in records
    ]
    if not rows:
        raise UserError(f"{path}: has no row below the names of its columns; give each image a row")
    return rows


def require_file(path: Path) -> None:
    """Raise a UserError where there is no such file."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise UserError(f"{path}: {what}; name the table that has a row for each image")


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each row that is not blank, and the number of the line that it begins in."""
    content = path.read_bytes()
    if content.startswith(COMPRESSED):
        raise UserError(f"{path}: is compressed; unpack it, and name the table that was in it")
    try:
        # spreadsheets put a mark before the first column
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}: line {line} is not UTF-8 (it has the byte 0x{content[error.start]:02x}); save the table as UTF-8"
        ) from error
    separator = _separator(path, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    begins = 1
    try:
        for record in reader:
            if any(field.strip() for field in record):
                yield begins, record
            begins = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{path}: line {begins} is not readable as CSV ({error}); mend it, or write the table anew"
        ) from None


def _separator(path: Path, text: str) -> str:
    """The character between the columns: of a TSV the tabulator, and else the one that the header has most of."""
    if path.suffix.lower() in TABULATED:
        return "\t"
    found = HEADER.match(text)
    header = re.sub(QUOTED, "", found[0] if found else "")
    return max(SEPARATORS, key=header.count)


def require_columns(path: Path, columns: Mapping[str, str], known: Sequence[str]) -> None:
    """Raise a UserError where a table that has the columns `known` lacks one of `columns`, or has it twice."""
    for name, given_by in columns.items():
        if list(known).count(name) > 1:
            raise UserError(f"{path}: has two columns {name!r}; rename one of them")
        if name not in known:
            other = next((mark for mark in SEPARATORS if mark in known[0]), "") if len(known) == 1 else ""
            if other and path.suffix.lower() in TABULATED:
                raise UserError(
                    f"{path}: its header has {other!r} in it and no tabulator, where the columns of such a file end; "
                    "name it .csv"
                )
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? It" if close else "it"
            raise UserError(
                f"{path}: has no column {name!r}; {hint} has {', '.join(map(repr, known))}; name one by {given_by}"
            )
