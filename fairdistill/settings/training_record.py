"""The record of one training, training.json: its fields, and how it is read.

A metrics file begins with the same fields. Fields that earlier versions did not write have defaults.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, Strict, model_validator
from pydantic_core import PydanticCustomError

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json, sha256
from fairdistill.runtime.study_files import DATA_PATH, HISTORY, PREDICTIONS, WEIGHTS, StudyFiles
from fairdistill.settings.base import AtLeastOne, Settings, Text
from fairdistill.settings.data import name_draw
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.names import ModelName, Role
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import read_settings


def _is_digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise PydanticCustomError("digest", "is no SHA-256, which has 64 hexadecimal digits")
    return text


def _is_code(text: str) -> str:
    # by hand it may be left out
    if not re.fullmatch(r"([0-9a-f]{12})?", text):
        raise PydanticCustomError("code", "is no version of the code, which has 12 hexadecimal digits")
    return text


Digest = Annotated[str, Strict(), AfterValidator(_is_digest)]
Code = Annotated[str, Strict(), AfterValidator(_is_code)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Fields(Settings, extra="ignore"):
    """Fields of a file that a script wrote; what is not read of it is not checked."""


Written = TypeVar("Written", bound=Fields)


def read_written(kind: type[Written], path: Path, *, remedy: str) -> Written:
    """Return what is read of a JSON file that a script wrote.

    Raises
    ------
    UserError
        One line that names the file and what is wrong with it, and ends with `remedy`, how the file is made again.
    FileNotFoundError
        There is no such file.
    """
    return _as_written(kind, read_json(path), path, remedy)


def _as_written(kind: type[Written], content: object, path: Path, remedy: str) -> Written:
    try:
        return read_settings(kind, content, where=str(path))
    except UserError as error:
        raise UserError(f"{error}; {remedy}") from None


class Run(Fields):
    # by hand none need be given
    study: Text | None
    dataset: Text
    architecture: Text
    method: Text
    role: Role
    seed: Count
    fold: Count = 0
    base: ModelName | None


def are_cells(rows: Mapping[str, Iterable[str]], classes: list[str], groups: list[str]) -> bool:
    """Whether what a file has by group and class is of just these classes and groups."""
    return {group: set(row) for group, row in rows.items()} == {group: set(classes) for group in groups}


class NetworkOfAnyVersion(Settings, extra="allow"):
    kind: Text
    stem: Text


class MethodOfAnyVersion(Settings, extra="allow"):
    kind: Text
    sampling: Text


class TrainingOfAnyVersion(Settings, extra="allow"):
    epochs: Count
    keep: Literal["last", "best"] = Field(default="last")


class ParametersOfAnyVersion(Fields):
    """The settings of a model, which may be of a version that had others."""

    network: NetworkOfAnyVersion
    method: MethodOfAnyVersion
    training: TrainingOfAnyVersion


class Parameters(Fields):
    """The settings of a model, with which it can be built."""

    network: AnyNetwork
    method: AnyMethod
    training: TrainingOfAnyVersion


class DataSettings(Settings, extra="allow"):
    per_seed: list[str] = Field(default=[])
    # as the settings have it; the models of all folds are looked for
    folds: int = Field(default=1, ge=1, le=1000)


class Data(Fields):
    kind: Text
    settings: DataSettings
    source: dict[str, Text] = Field(default={})


class Inputs(Fields):
    dataset: Digest
    normalisation_and_crop: Digest | None = None
    base: Digest | None = None
    checkpoint: Digest | None = None


class Outputs(Fields):
    """SHA-256 of each file of the model, by its name."""

    history: Digest = Field(alias=HISTORY)
    predictions: Digest = Field(alias=PREDICTIONS)
    weights: Digest = Field(alias=WEIGHTS)


class Hardware(Fields):
    cpu: Text
    cores: Annotated[int, Field(ge=1)]
    gpu: Text | None = None


class AnyRecord(Fields):
    """What is read of the record of a training, be it training.json or a metrics file."""

    run: Run
    data: Data
    inputs: Inputs
    outputs: Outputs
    classes: AtLeastOne[Text]
    groups: AtLeastOne[Text]
    weighting: Literal["images", "cells"] = "images"
    # by group and class
    training_images: dict[str, dict[str, Count]] | None = None
    kept_epoch: Count | None = None
    needs_group: bool | None = None
    randomised: bool | None = None
    seconds: Seconds
    cpu_seconds: Seconds | None = None
    device: Literal["cpu", "cuda"] | None = None
    precision: Literal["fp32", "bf16"] | None = None
    hardware: Hardware
    code: Code | None
    commit: Text | None = None
    versions: dict[str, Text]

    def data_of(self, results: Path) -> Path:
        """Return the folder of the data set that the model was trained on, in the folder of its study."""
        draw = name_draw(self.data.settings.per_seed, self.run.seed)
        return StudyFiles(results).data / DATA_PATH.format(dataset=self.run.dataset, draw=draw)

    @model_validator(mode="after")
    def _counts_each_cell(self) -> Self:
        if self.training_images is not None and not are_cells(self.training_images, self.classes, self.groups):
            what = "has training_images that are not of its groups and classes"
            raise PydanticCustomError("training_images", what)
        return self


class TrainingRecord(AnyRecord):
    """What is read of training.json."""

    parameters: Parameters


def read_training(path: Path, *outputs: Path) -> tuple[dict, TrainingRecord]:
    """Return the content of a training.json, whole and as it is read.

    Parameters
    ----------
    path
        The training.json.
    *outputs
        Files of the model, whose checksums have to be those in it.

    Raises
    ------
    UserError
        The record cannot be read, or one of the files does not belong to it.
    """
    again = "train the model again, as happens where its folder is deleted"
    content = read_json(path)
    record = _as_written(TrainingRecord, content, path, again)
    recorded = record.outputs.to_json()
    for output in outputs:
        if recorded.get(output.name) != sha256(output):
            raise UserError(f"{output}: does not belong to {path}; {again}")
    return content, record
