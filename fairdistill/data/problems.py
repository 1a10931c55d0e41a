"""What is wrong with a table of images: collected, so that one report names it all."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fairdistill.runtime.errors import UserError, printable

SHOWN = 20  # of each kind in the report
IN_ERROR = 3  # of each kind in the error, which is one line


class Problems:
    """The problems of the rows of a table, and of its data set as a whole.

    Parameters
    ----------
    table
        Path of the table.
    numbered
        What the numbers of the rows count: "line" or "row".

    Attributes
    ----------
    rows
        By kind, the numbers of the rows and what is wrong in each. They can be left out.
    whole
        By kind, what is wrong with the data set. It cannot be made without a change of the table or the settings.
    remedies
        What can be done beside mending the table.
    """

    def __init__(self, table: Path, numbered: str):
        self.table, self.numbered = table, numbered
        self.rows: dict[str, list[tuple[int, str]]] = {}
        self.whole: dict[str, list[str]] = {}
        self.remedies: list[str] = []

    def of_rows(self, kind: str, rows: Iterable[int], details: Iterable[str]) -> None:
        """Add problems of one kind, each of a row."""
        if found := list(zip(rows, details, strict=True)):
            self.rows.setdefault(kind, []).extend(found)

    def of_data_set(self, kind: str, details: Sequence[str], remedy: str) -> None:
        """Add problems of one kind that are not those of a row."""
        if details:
            self.whole.setdefault(kind, []).extend(details)
            self.remedies.append(remedy)

    def report(self) -> str:
        """Return all kinds, with the number of problems of each and the first `SHOWN` of them; a line for each."""
        lines = []
        for kind, details in self._described().items():
            lines.append(f"{kind}: {len(details)}")
            lines += [f"  {detail}" for detail in details[:SHOWN]]
            lines += ["  ..."] * (len(details) > SHOWN)
        return "\n".join(lines)

    def refuse(self, *, skip: bool) -> None:
        """Raise a UserError that names all kinds in one line; not if they are of rows alone and these may be left out.

        Parameters
        ----------
        skip
            Whether rows with problems are left out.
        """
        if not self.whole and (skip or not self.rows):
            return
        parts = []
        for kind, details in self._described().items():
            shown = ", ".join(details[:IN_ERROR] + ["..."] * (len(details) > IN_ERROR))
            parts.append(f"{kind}: {len(details)} ({shown})")
        remedies = list(dict.fromkeys(self.remedies))
        if self.rows and not skip:
            remedies = ["mend these rows, or set on_error to skip to leave them out", *remedies]
        raise UserError(f"{self.table}: {'; '.join(parts)}; {'; '.join(remedies)}")

    def notes(self) -> dict:
        """Return the rows that were left out, as the notes of a data set have them."""
        return {
            f"rows_left_out_for_{kind.replace(' ', '_')}": {
                "count": len(found),
                "names": [self._of_row(*one) for one in found],
            }
            for kind, found in self.rows.items()
        }

    def _described(self) -> dict[str, list[str]]:
        rows = {kind: [self._of_row(*one) for one in sorted(found)] for kind, found in self.rows.items()}
        return {**rows, **self.whole}

    def _of_row(self, row: int, detail: str) -> str:
        return f"{self.numbered} {row}" + (f": {printable(detail)}" if detail else "")
