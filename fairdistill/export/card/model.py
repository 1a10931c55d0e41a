"""What a card is written from: everything that was recorded and measured of one exported model."""

from dataclasses import dataclass
from pathlib import Path

from fairdistill.evaluation.crossed import Trainings
from fairdistill.evaluation.records import Record, Scores, read_record
from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.export.files import MODEL, RECORD
from fairdistill.export.records import ExportRecord, SpeedRecord, read_exported, read_speed
from fairdistill.runtime.errors import UserError


@dataclass(frozen=True)
class MeasuredModel:
    """What is known of one exported model.

    Attributes
    ----------
    training
        The content of its metrics file, which has the record of its training.
    export, speed
        The contents of its export.json and speed.json.
    """

    training: Record
    export: ExportRecord
    speed: SpeedRecord

    @property
    def name(self) -> str:
        """Its architecture and method."""
        return f"{self.training.run.architecture} {self.training.run.method}"

    @property
    def trained_elsewhere(self) -> bool:
        """Whether another program trained it, and it was imported from a checkpoint."""
        return self.training.parameters.method.kind == "imported"

    @property
    def at_chance(self) -> bool:
        """Whether it is no more accurate on the test images than always predicting their largest class."""
        return self.metrics().uncertainty.deo_m.verdict == AT_CHANCE

    def metrics(self, file: str = MODEL) -> Scores:
        """The scores of one of its ONNX files on the test split."""
        return self.export.metrics[file]

    def trainings(self) -> Trainings:
        """Which test images model.onnx classifies correctly, as what compares two models takes it."""
        metrics = self.metrics()
        answers = metrics.answers(classes=self.export.classes, groups=self.export.groups)
        return Trainings([[answers]], known=metrics.uncertainty.to_json())


def read_measured(metrics: Path, exported: Path, speed: Path) -> MeasuredModel:
    """Read what is known of a model.

    Parameters
    ----------
    metrics, speed
        Its metrics file and its speed.json.
    exported
        The folder of its exported files.

    Raises
    ------
    UserError
        A file is damaged, or the metrics file and the folder are of different models.
    """
    found = MeasuredModel(read_record(metrics), read_exported(exported), read_speed(speed))
    if found.training.outputs != found.export.outputs:
        raise UserError(f"{exported / RECORD}: is of another model than {metrics}; export the model again")
    return found
