"""What was measured of an exported model: export.json and speed.json, and how they are read."""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from fairdistill.evaluation.records import Interval, Scores
from fairdistill.export.files import INT8, MODEL, RECORD
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import sha256
from fairdistill.settings.base import AtLeastOne, Text
from fairdistill.settings.training_record import Count, Digest, Fields, Hardware, Outputs, read_written


def _has_both(of_files: dict) -> dict:
    for name in (MODEL, INT8):
        if name not in of_files:
            raise PydanticCustomError("file", "has nothing of {name}", {"name": name})
    return of_files


# by the name of a file, of which there are at least the two models
Value = TypeVar("Value")
OfFiles = Annotated[dict[str, Value], AfterValidator(_has_both)]
Positive = Annotated[int, Field(ge=1)]


class File(Fields):
    bytes: Count
    sha256: Digest


class Change(Interval):
    difference: float


class Int8(Fields):
    """What int8 changes, see `fairdistill.export.exporting.what_int8_changes`."""

    difference: dict[Literal["accuracy", "deo_a", "deo_m"], Change]
    worse: list[Text]
    cautions: list[Text]


class ExportRecord(Fields):
    """What is read of export.json."""

    outputs: Outputs
    classes: AtLeastOne[Text]
    groups: AtLeastOne[Text]
    needs_group: bool
    image_size: Positive
    opset: Positive
    calibration_images: Count
    parameters: Count
    flops: Count
    files: OfFiles[File]
    metrics: OfFiles[Scores]
    int8: Int8

    @model_validator(mode="after")
    def _has_each_cell(self) -> Self:
        for name, scores in self.metrics.items():
            scores.require_cells(f"metrics.{name}", classes=self.classes, groups=self.groups)
        return self


class Latency(Fields):
    batch: Positive
    threads: Positive
    ms: Annotated[float, Field(ge=0)]


class SpeedRecord(Fields):
    """What is read of speed.json."""

    latency: OfFiles[Annotated[list[Latency], Field(min_length=1)]]
    onnxruntime: Text
    hardware: Hardware


def read_exported(folder: Path) -> ExportRecord:
    """Return the record of an exported model; a UserError names what is wrong with it, or the file that is not its."""
    path = folder / RECORD
    found = read_written(ExportRecord, path, remedy="export the model again")
    for name, file in found.files.items():
        if not (folder / name).is_file() or sha256(folder / name) != file.sha256:
            raise UserError(f"{folder / name}: is not the file of {path}; export the model again")
    return found


def read_speed(path: Path) -> SpeedRecord:
    """Return the measured speed of a model; a UserError names the file and what is wrong with it."""
    return read_written(SpeedRecord, path, remedy="measure the model again")
