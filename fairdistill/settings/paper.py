"""The numbers of a paper that a study is compared with: one row of a CSV file each."""

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fairdistill.runtime.errors import UserError, refusal
from fairdistill.settings.base import Number, Settings, Text
from fairdistill.settings.names import Role
from fairdistill.settings.reading import read_settings
from fairdistill.settings.study import Study


class PaperValue(Settings):
    """One number of a paper. The columns of the file are these fields, in any order."""

    source: Text = Field(description="Where the paper has it, such as `table1` or `fig2`.")
    dataset: Text = Field(
        description="`cifar10`, `utkface`, `mean_of_both` (the average over the two), or a name from `data.sets`."
    )
    architecture: Text = Field(description="A name from `networks`.")
    role: Role = Field(description="Whose it is; students are those of `paper_method`.")
    metric: Literal["accuracy", "deo"] = Field(description="`deo` is compared with both DEO_A and DEO_M.")
    value: Annotated[Number, Field(ge=0, le=1)] = Field(description="A fraction.")
    note: Text = Field(description="Printed below the comparison; may be empty.")

    @property
    def claim(self) -> tuple[str, ...]:
        """What the number is of: all but the value and the note."""
        return self.source, self.dataset, self.architecture, self.role, self.metric


COLUMNS = list(PaperValue.model_fields)
# the paper's names for what it measured on, and the data sets of ours that each stands for
PAPER_DATASETS = {"cifar10": ["cifar10s"], "utkface": ["utkface"], "mean_of_both": ["cifar10s", "utkface"]}


def read_paper_values(path: Path | str, *, study: Study | None = None) -> list[PaperValue]:
    """Return the numbers in a CSV file such as config/paper_values.csv.

    Parameters
    ----------
    study
        Where given, the names of data sets and networks are compared with those that it defines.

    Raises
    ------
    UserError
        One line with the file and, where it is about a row, its number (the header's is 1), if the columns are not
        those of `PaperValue`, a value or a name is unknown, a value is no number, or two rows are of the same number.
    """
    known: dict[str, Collection[str]] = {}
    if study:
        known = {"dataset": [*PAPER_DATASETS, *study.data.sets], "architecture": list(study.networks)}
    values: dict[tuple, tuple[int, PaperValue]] = {}
    for number, row in _rows(path):
        value = read_settings(PaperValue, row, where=f"{path}: row {number}")
        for column, names in known.items():
            if (name := getattr(value, column)) not in names:
                known_names = ", ".join(names)
                raise UserError(
                    f"{path}: row {number}: {column} is {name!r}, which is not known; it must be one of {known_names}"
                )
        if value.claim in values:
            first, _ = values[value.claim]
            raise UserError(f"{path}: row {number}: the same number as row {first} ({' '.join(value.claim)}); keep one")
        values[value.claim] = number, value
    if not values:
        raise UserError(f"{path}: has no row below the header; give the paper's numbers, or set paper_values to null")
    return [value for _, value in values.values()]


def judges_conclusions(study: Study, own: Path) -> bool:
    """Whether the sentences that the term paper concludes with are judged in a study.

    They are where the study is compared with the paper's own numbers, and its main grid has all models that the
    sentences are about.

    Parameters
    ----------
    own
        The project's file of the paper's numbers; a copy of it counts as the same.
    """
    return (
        study.paper_values is not None
        and Path(study.paper_values).read_bytes() == own.read_bytes()
        and set(PAPER_DATASETS["mean_of_both"]) <= set(study.datasets)
        and {"resnet", "shufflenet"} <= set(study.architectures)
        and study.paper_method in study.methods
    )


def _rows(path: Path | str) -> Iterator[tuple[int, dict]]:
    """The number and the fields of each row below the header."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the header
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            if unknown := [name for name in header if name not in COLUMNS]:
                raise UserError(f"{path}: row 1: column '{unknown[0]}' is not known; they are {', '.join(COLUMNS)}")
            if missing := [name for name in COLUMNS if name not in header]:
                raise UserError(f"{path}: row 1: column '{missing[0]}' is missing; they are {', '.join(COLUMNS)}")
            if len(header) > len(COLUMNS):
                raise UserError(f"{path}: row 1: a column comes twice; they are {', '.join(COLUMNS)}")
            for number, row in enumerate(reader, start=2):
                if row and len(row) != len(header):
                    raise UserError(
                        f"{path}: row {number}: has {len(row)} values for {len(header)} columns; write one for each"
                    )
                if row:
                    yield number, dict(zip(header, map(str.strip, row), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV ({error}); save it as CSV in UTF-8") from error
    except OSError as error:
        raise UserError(refusal(error)) from error
