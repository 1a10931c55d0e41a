"""Export one model: as ONNX, in float and in int8, and as a self-contained checkpoint, with what images it takes.

Reads the model's weights, predictions and record, and the prepared data set that it was trained on. The ONNX file is
compared with the predictions of the training on all test images; the int8 file is calibrated on training images, and
its accuracy and DEO are measured on the test images. Writes model.onnx, model.int8.onnx, model.safetensors,
preprocessor.json and export.json.
"""

import argparse
from pathlib import Path

import pandas as pd

from fairdistill.data import load_dataset
from fairdistill.export.exporting import export_model
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import read_json, sha256
from fairdistill.settings.base import Settings, Text
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import read_settings


class Run(Settings, extra="ignore"):
    fold: int = 0


class Parameters(Settings, extra="ignore"):
    network: AnyNetwork
    method: AnyMethod


class Inputs(Settings, extra="ignore"):
    dataset: Text


class Training(Settings, extra="ignore"):
    """What is read of training.json."""

    run: Run
    parameters: Parameters
    inputs: Inputs
    outputs: dict[str, Text]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the prepared data set")
    parser.add_argument("--weights", type=Path, required=True, help="weights.safetensors of the model")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.parquet of the model")
    parser.add_argument("--training", type=Path, required=True, help="training.json of the model")
    parser.add_argument(
        "--calibration-images",
        type=int,
        default=500,
        help="training images that the ranges of the int8 model are found with (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--code", help="version of this code, written as the field code")
    args = parser.parse_args()

    record = read_json(args.training)
    training = read_settings(Training, record, where=str(args.training))
    for path in (args.weights, args.predictions):
        if training.outputs.get(path.name) != sha256(path):
            raise UserError(f"{path}: does not belong to {args.training}; train the model again")
    method = training.parameters.method
    if method.draws_labels:
        raise UserError(
            f"{args.training}: a model of kind {method.kind} draws its labels at random from probabilities: with the "
            "most probable class, which an ONNX file gives, it would not be fair; export its base"
        )
    dataset = load_dataset(args.data, training.run.fold)
    if training.inputs.dataset != dataset.info["sha256"]:
        raise UserError(f"{args.data}: not the data set of {args.training}; prepare that one, or train the model again")
    predictions = pd.read_parquet(args.predictions)
    predictions = predictions[predictions["split"] == "test"]
    rows, *_ = dataset.split("test")
    if predictions["sample_id"].tolist() != dataset.samples["sample_id"].iloc[rows].tolist():
        raise UserError(f"{args.predictions}: not of the test images of {args.data}; train the model again")
    export_model(
        args.output,
        weights=args.weights,
        training=record,
        network=training.parameters.network,
        method=method,
        predictions=predictions,
        dataset=dataset,
        calibration_images=args.calibration_images,
        code=args.code,
    )


if __name__ == "__main__":
    run_script(main)
