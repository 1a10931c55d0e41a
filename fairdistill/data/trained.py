"""The data set and the predictions of a model, checked to be those of its training."""

from pathlib import Path

import pandas as pd

from fairdistill.data.reading import ImageDataset, load_dataset
from fairdistill.runtime.errors import UserError
from fairdistill.settings.training_record import TrainingRecord


def load_trained(data: Path, *, training: TrainingRecord, record: Path) -> ImageDataset:
    """Return the data set of a training, with the fold that was tested.

    Parameters
    ----------
    data
        The folder of the prepared data set.
    training, record
        What is read of the training.json, and its path, for messages.

    Raises
    ------
    UserError
        The data set is another one.
    """
    dataset = load_dataset(data, training.run.fold)
    if training.inputs.dataset != dataset.info["sha256"]:
        raise UserError(f"{data}: not the data set of {record}; prepare that one, or train the model again")
    return dataset


def read_tested(
    data: Path, predictions: Path, *, training: TrainingRecord, record: Path
) -> tuple[ImageDataset, pd.DataFrame]:
    """Return the data set of a training, and the model's predictions of its test images, in the data set's order.

    Parameters
    ----------
    data
        The folder of the prepared data set.
    predictions
        predictions.parquet of the model.
    training, record
        What is read of the training.json, and its path, for messages.

    Raises
    ------
    UserError
        The data set is another one, or the predictions are not of its test images.
    """
    dataset = load_trained(data, training=training, record=record)
    table = pd.read_parquet(predictions)
    table = table[table["split"] == "test"]
    rows, *_ = dataset.split("test")
    if table["sample_id"].tolist() != dataset.samples["sample_id"].iloc[rows].tolist():
        raise UserError(f"{predictions}: not of the test images of {data}; train the model again")
    return dataset, table
