"""Metrics files: what is read of each, and how it is checked.

`evaluate_model` writes one metrics file per model: the record of its training and its scores. A model is known by the
names in its record, and nothing is learnt from a path.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json
from fairdistill.settings.base import AtLeastOne, Number, Settings, Text
from fairdistill.settings.reading import UnreadableSettings, read_settings


class Fields(Settings, extra="ignore"):
    """Fields of a metrics file; what is not read of it is not checked."""


class Base(Fields):
    """The model, of the same data set and seed, that another stands on."""

    architecture: Text
    method: Text


class Run(Fields):
    study: Text
    dataset: Text
    architecture: Text
    method: Text
    role: Literal["teacher", "student"]
    seed: int
    fold: int = 0
    base: Base | None


class Network(Fields):
    kind: Text
    stem: Text


class Method(Settings, extra="allow"):
    kind: Text
    sampling: Text


class Training(Fields):
    epochs: int
    # records of before there was a choice lack it
    keep: Literal["last", "best"] = Field(default="last")


class Parameters(Fields):
    network: Network
    method: Method
    training: Training


class DataSettings(Settings, extra="allow"):
    # as the settings have it; the models of all folds are looked for
    folds: int = Field(default=1, ge=1, le=1000)


class Data(Fields):
    kind: Text
    settings: DataSettings


class Inputs(Fields):
    dataset: Text
    base: Text | None = None
    checkpoint: Text | None = None


class Outputs(Fields):
    """SHA-256 of each file of the model, by its name."""

    history: Text = Field(alias="history.csv")
    predictions: Text = Field(alias="predictions.parquet")
    weights: Text = Field(alias="weights.safetensors")


class Interval(Fields):
    low: Number
    high: Number


class FairBaseline(Interval):
    mean: Number


class DeoUncertainty(Interval):
    corrected: Number
    fair_baseline: FairBaseline
    verdict: Text


class Uncertainty(Fields):
    accuracy: Interval
    deo_a: DeoUncertainty
    deo_m: DeoUncertainty


class Answers(Fields):
    paired: bool
    images: Text
    weighting: Literal["images", "cells"] = "images"
    right: dict[str, dict[str, str]]


class Scores(Fields):
    """What is read of the scores on one split; see `fairdistill.evaluation.metrics.evaluate`."""

    n: int
    accuracy: Number
    deo_a: Number
    deo_m: Number
    worst_group_accuracy: Number
    uncertainty: Uncertainty
    cell_count: dict[str, dict[str, Annotated[int, Field(ge=1)]]]
    correctness: Answers
    # metrics files of before there were any have none
    criteria: dict[str, Any] = Field(default={})


class Record(Fields):
    """What is read of a metrics file."""

    run: Run
    parameters: Parameters
    data: Data
    inputs: Inputs
    outputs: Outputs
    classes: AtLeastOne[Text]
    groups: AtLeastOne[Text]
    weighting: Literal["images", "cells"] = "images"
    metrics: Scores
    validation: Scores | None = None
    probabilities: Text | None = None
    seconds: Number
    # records of before it was noted lack it
    cpu_seconds: Number | None = None
    # records of before these were noted lack them
    device: Text | None = None
    needs_group: bool | None = None
    randomised: bool | None = None
    code: Text | None
    evaluation_versions: dict[str, Text]


def read_record(path: Path | str) -> Record:
    """Return what is read of a metrics file; a UserError names the file, and the field that is missing or damaged."""
    try:
        # much faster than by way of Python's own objects, as the larger part of a file is not read
        return _RECORD.validate_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; evaluate that model first") from None
    except ValidationError:
        try:
            return read_settings(Record, read_json(path), where=str(path))
        except UnreadableSettings as error:
            raise UserError(f"{error}; evaluate the model again") from None


_RECORD = TypeAdapter(Record)
