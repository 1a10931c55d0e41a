"""The record of one training, with the files that have to belong to it: what is asked of a model beside its scores."""

from pathlib import Path

import pandas as pd

from fairdistill.data.reading import ImageDataset, load_dataset
from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import AtLeastOne, Settings, Text
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.outputs import Record, check_outputs
from fairdistill.settings.reading import read_settings


class Run(Settings, extra="ignore"):
    fold: int = 0


class Parameters(Settings, extra="ignore"):
    # as JSON holds it: not all who read the record build the network
    network: dict
    method: AnyMethod


class Inputs(Settings, extra="ignore"):
    dataset: Text


class Training(Record):
    """What else is read of training.json."""

    run: Run
    parameters: Parameters
    inputs: Inputs
    classes: AtLeastOne[Text]
    groups: AtLeastOne[Text]


def read_training(record: Path, *outputs: Path) -> tuple[dict, Training]:
    """Return the content of a training.json, whole and as it is read.

    Parameters
    ----------
    record
        The training.json.
    *outputs
        Files of the model, whose checksums have to be those in it.

    Raises
    ------
    UserError
        The record cannot be read, or one of the files does not belong to it.
    """
    content = check_outputs(record, *outputs)
    return content, read_settings(Training, content, where=str(record))


def read_tested(
    data: Path, predictions: Path, *, training: Training, record: Path
) -> tuple[ImageDataset, pd.DataFrame]:
    """Return the data set of a training, and the model's predictions of its test images, in the data set's order.

    Parameters
    ----------
    data
        The folder of the prepared data set.
    predictions
        predictions.parquet of the model.
    training, record
        What `read_training` returns, and the path of the training.json, for messages.

    Raises
    ------
    UserError
        The data set is another one, or the predictions are not of its test images.
    """
    dataset = load_dataset(data, training.run.fold)
    if training.inputs.dataset != dataset.info["sha256"]:
        raise UserError(f"{data}: not the data set of {record}; prepare that one, or train the model again")
    table = pd.read_parquet(predictions)
    table = table[table["split"] == "test"]
    rows, *_ = dataset.split("test")
    if table["sample_id"].tolist() != dataset.samples["sample_id"].iloc[rows].tolist():
        raise UserError(f"{predictions}: not of the test images of {data}; train the model again")
    return dataset, table
