"""Metrics files: what is read of each, and how it is checked.

`evaluate_model` writes one metrics file per model: the record of its training and its scores. A model is known by the
names in its record, and nothing is learnt from a path.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from fairdistill.evaluation.correctness import Correctness, from_metrics
from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import Settings, Text
from fairdistill.settings.training_record import (
    AnyRecord,
    Digest,
    Fields,
    ParametersOfAnyVersion,
    Run,
    are_cells,
    read_written,
)

# columns of the projected features of a model, see `fairdistill.evaluation.projections`
PROJECTED = ["class", "group", "x", "y", "share"]

Share = Annotated[float, Field(ge=0, le=1)]
Verdict = Literal["above fair baseline", "not distinguishable from fair", "at chance"]


class RunOfStudy(Run):
    study: Text


class Interval(Fields):
    low: float
    high: float


class IntervalOfShare(Fields):
    low: Share
    high: Share


class FairBaseline(IntervalOfShare):
    mean: Share


class DeoUncertainty(IntervalOfShare):
    corrected: Share
    fair_baseline: FairBaseline
    verdict: Verdict


class Uncertainty(Fields):
    accuracy: IntervalOfShare
    deo_a: DeoUncertainty
    deo_m: DeoUncertainty
    caution: Text | None = None


class Answers(Fields):
    paired: bool
    images: Digest
    weighting: Literal["images", "cells"] = "images"
    right: dict[str, dict[str, str]]


class Criterion(Interval):
    value: float
    corrected: float | None = None


class Criteria(Settings, extra="allow"):
    """Those of all groups together, by name, and two that each group has."""

    __pydantic_extra__: dict[str, Criterion]

    brier_per_group: dict[str, Criterion] = Field(default={})
    ece_per_group: dict[str, Criterion] = Field(default={})
    # how they were found
    bins: int | None = None
    resamples: int | None = None
    seed: int | None = None

    def of_all(self, name: str) -> Criterion | None:
        """Return the criterion of all groups together that has this name; None where it was not computed."""
        return (self.__pydantic_extra__ or {}).get(name)

    def by_name(self) -> dict:
        """Return all of them in the order that the file has them in, as JSON holds them."""
        return dict(sorted(self.model_dump(exclude_none=True).items()))


class Scores(Fields):
    """What is read of the scores on one split; see `fairdistill.evaluation.metrics.evaluate`."""

    n: Annotated[int, Field(ge=1)]
    accuracy: Share
    deo_a: Share
    deo_m: Share
    worst_group_accuracy: Share
    accuracy_per_group: dict[str, Share]
    cell_accuracy: dict[str, dict[str, Share]]
    uncertainty: Uncertainty
    cell_count: dict[str, dict[str, Annotated[int, Field(ge=1)]]]
    correctness: Answers
    # metrics files of before there were any have none
    criteria: Criteria = Field(default_factory=Criteria)

    def answers(self, *, classes: list[str], groups: list[str]) -> Correctness:
        """Return the right and wrong answers that the scores follow from."""
        stored = {"correctness": vars(self.correctness), "cell_count": self.cell_count}
        return from_metrics(stored, classes=classes, groups=groups)

    def require_cells(self, name: str, *, classes: list[str], groups: list[str]) -> None:
        """Raise an error for pydantic where the scores, the field `name`, are not of these classes and groups."""
        of_cells: dict[str, Mapping[str, Iterable[str]]] = {
            "cell_count": self.cell_count,
            "cell_accuracy": self.cell_accuracy,
            "correctness.right": self.correctness.right,
        }
        for part, rows in of_cells.items():
            if not are_cells(rows, classes, groups):
                _refuse(f"has {name}.{part} that is not of its classes and groups")
        if self.accuracy_per_group.keys() != set(groups):
            _refuse(f"has {name}.accuracy_per_group that is not of its groups")
        try:
            count = self.answers(classes=classes, groups=groups).count
        except ValueError as error:
            _refuse(f"has {name}.correctness that does not fit its cell_count ({error})")
        if self.correctness.paired and (count != count[0]).any():
            _refuse(f"has {name}.correctness.paired, but groups of different numbers of images")


def _refuse(what: str) -> NoReturn:
    raise PydanticCustomError("cells", "{what}", {"what": what})


class Record(AnyRecord):
    """What is read of a metrics file."""

    run: RunOfStudy
    parameters: ParametersOfAnyVersion
    metrics: Scores
    validation: Scores | None = None
    probabilities: Digest | None = None
    evaluation_versions: dict[str, Text]

    @model_validator(mode="after")
    def _has_each_cell(self) -> Self:
        for name in ("metrics", "validation"):
            if (scores := getattr(self, name)) is not None:
                scores.require_cells(name, classes=self.classes, groups=self.groups)
        return self


_RECORD = TypeAdapter(Record)


def read_record(path: Path | str) -> Record:
    """Return what is read of a metrics file; a UserError names the file, and the field that is missing or damaged."""
    try:
        # much faster than by way of Python's own objects, as the larger part of a file is not read
        return _RECORD.validate_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; evaluate that model first") from None
    except ValidationError:
        return read_written(Record, Path(path), remedy="evaluate the model again")
