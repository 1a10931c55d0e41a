"""What is wrong with a table of images: collected, so that one report names it all."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fairdistill.runtime.errors import UserError, printable

SHOWN = 20  # of each kind in the report
IN_ERROR = 3  # of each kind in the error or the warning, which is one line
LONGEST = 200  # characters of a name or value
# between the kinds in the error, whose own text has commas and semicolons
BETWEEN = " | "
# between the ways to mend one kind
OR = ", or "


class Problems:
    """The problems of the rows of a table, and of its data set as a whole.

    Parameters
    ----------
    table
        Path of the table.
    numbered
        What the numbers of the rows count: "line" or "row".
    skip
        Whether rows with problems are left out.

    Attributes
    ----------
    rows
        By kind, the numbers of the rows and what is wrong in each. They can be left out.
    whole
        By kind, what is wrong with the data set. It cannot be made without a change of the table or the settings.
    """

    def __init__(self, table: Path, numbered: str, *, skip: bool):
        self.table, self.numbered, self.skip = table, numbered, skip
        self.rows: dict[str, list[tuple[int, str]]] = {}
        self.whole: dict[str, list[str]] = {}
        self._remedies: dict[str, list[str]] = {}

    def of_rows(self, kind: str, rows: Iterable[int], details: Iterable[str]) -> None:
        """Add problems of one kind, each of a row."""
        if found := list(zip(rows, details, strict=True)):
            self.rows.setdefault(kind, []).extend(found)

    def of_data_set(self, kind: str, details: Sequence[str], remedy: str) -> None:
        """Add problems of one kind that are not those of a row."""
        if details:
            self.whole.setdefault(kind, []).extend(details)
            self.advise(kind, remedy)

    def advise(self, kind: str, remedy: str) -> None:
        """Add what can be done about the problems of one kind; of rows, beside mending them or leaving them out."""
        remedies = self._remedies.setdefault(kind, [])
        if remedy not in remedies:
            remedies.append(remedy)

    def report(self) -> str:
        """Return all kinds, with the number of problems of each and the first `SHOWN` of them; a line for each."""
        outcome = "so that no data set is made" if self.whole or not self.skip else "and these rows are left out"
        lines = [f"{self.table} has problems, {outcome}:"]
        for kind, details in self._described().items():
            remedies = OR.join(self._remedies.get(kind, []))
            lines.append(f"  {'; '.join(filter(None, [f'{kind}: {len(details)}', remedies]))}")
            lines += [f"    {detail}" for detail in details[:SHOWN]]
            lines += ["    ..."] * (len(details) > SHOWN)
        return "\n".join(lines)

    def refuse(self) -> None:
        """Raise a UserError that names all kinds in one line; not if they are of rows alone and these are left out."""
        if not self.whole and (self.skip or not self.rows):
            return
        raise UserError(f"{self.table}: {BETWEEN.join(self._parts())}")

    def left_out(self, of: int) -> str:
        """Return how many rows were left out of so many, for what, and the first of each kind, in one line."""
        rows = {row for found in self.rows.values() for row, _ in found}
        kinds = ", ".join(_counted(kind, details) for kind, details in self._described().items())
        return f"{len(rows)} of {of} rows were left out: {kinds}"

    def notes(self) -> dict:
        """Return the rows that were left out, as the notes of a data set have them."""
        return {
            f"rows_left_out_for_{kind.replace(' ', '_')}": {
                "count": len(found),
                "names": [self._of_row(*one) for one in found],
            }
            for kind, found in self.rows.items()
        }

    def _parts(self) -> Iterator[str]:
        """Each kind with its remedies in one line; behind those of rows, what goes for all of them."""
        for number, (kind, details) in enumerate(self._described().items(), 1):
            remedies = OR.join(self._remedies.get(kind, []))
            if number == len(self.rows) and not self.skip:
                remedies += ", or else " * bool(remedies) + "mend these rows, or set on_error to skip to leave them out"
            yield "; ".join(filter(None, [_counted(kind, details), remedies]))

    def _described(self) -> dict[str, list[str]]:
        rows = {kind: [self._of_row(*one) for one in sorted(found)] for kind, found in self.rows.items()}
        return {**rows, **self.whole}

    def _of_row(self, row: int, detail: str) -> str:
        shown = detail if len(detail) <= LONGEST else f"{detail[:LONGEST]}..."
        return f"{self.numbered} {row}" + (f": {printable(shown)}" if shown else "")


def _counted(kind: str, details: Sequence[str]) -> str:
    """How many problems of a kind there are, and the first of them."""
    shown = ", ".join([*details[:IN_ERROR], *["..."] * (len(details) > IN_ERROR)])
    return f"{kind}: {len(details)} ({shown})"
