"""Read tables that people wrote: CSV or TSV in UTF-8, with the names of the columns in the first line."""

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairdistill.runtime.errors import UserError

SEPARATORS = (",", ";", "\t")


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str] | None]]:
    """Yield, of each row that is not blank, the line that it begins in and its values of some columns.

    Lines count from 1, as an editor shows them; the header is line 1. Values have no blanks at their ends. None stands
    for those of a row with more or fewer fields than the header.

    Parameters
    ----------
    path
        The file; of a .tsv or .tab the separator is the tabulator, and else which of `,`, `;` and the tabulator the
        header has most of.
    columns
        Their names.

    Raises
    ------
    UserError
        The file is empty or in another encoding, is no CSV, or lacks a column; the message names those that it has.
    """
    records = _records(path)
    _, header = next(records, (1, []))
    header = [name.strip() for name in header]
    if not any(header):
        raise UserError(f"{path}: line 1 names no columns; a table begins with the names of its columns")
    require_columns(path, columns, header)
    places = [header.index(name) for name in columns]
    for line, record in records:
        yield line, [record[place].strip() for place in places] if len(record) == len(header) else None


def require_columns(path: Path, columns: Sequence[str], known: Sequence[str]) -> None:
    """Raise a UserError where one of `columns` is not there once among the columns of a table, `known`."""
    for name in columns:
        if list(known).count(name) > 1:
            raise UserError(f"{path}: has two columns {name!r}; rename one of them")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? It" if close else "it"
            raise UserError(f"{path}: has no column {name!r}; {hint} has {', '.join(map(repr, known))}")


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each row that is not blank, and the number of the line that it begins in."""
    content = path.read_bytes()
    try:
        # spreadsheets put a mark before the first column
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}: line {line} is not UTF-8 (it has the byte 0x{content[error.start]:02x}); save the table as UTF-8"
        ) from error
    separator = _separator(path, text.partition("\n")[0])
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


def _separator(path: Path, header: str) -> str:
    """The character between the columns: of a TSV the tabulator, and else the one that the header has most of."""
    return "\t" if path.suffix.lower() in (".tsv", ".tab") else max(SEPARATORS, key=header.count)
