"""Export one model as ONNX, in float and in int8, and as a self-contained checkpoint that says which images it takes.

Reads the model's weights, predictions and record, and the prepared data set that it was trained on. The ONNX file is
compared with the predictions of the training on all test images; the int8 file is calibrated on training images, and
its accuracy and DEO are measured on the test images. Writes model.onnx, model.int8.onnx, model.safetensors,
preprocessor.json and export.json.
"""

import argparse
from pathlib import Path

from fairdistill.data.trained import read_tested
from fairdistill.export.exporting import export_model
from fairdistill.export.files import OF_A_MODEL
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.settings.arguments import count_argument, dataset_folder, output_folder, parse_options
from fairdistill.settings.training_record import read_training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=dataset_folder, required=True, help="folder of the prepared data set")
    parser.add_argument("--weights", type=Path, required=True, help="weights.safetensors of the model")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.parquet of the model")
    parser.add_argument("--training", type=Path, required=True, help="training.json of the model")
    parser.add_argument(
        "--calibration-images",
        type=count_argument,
        default=500,
        help="training images that the ranges of the int8 model are found with (default: %(default)s)",
    )
    parser.add_argument("--output", type=output_folder(*OF_A_MODEL), required=True, help="folder to write to")
    parser.add_argument("--code", help="version of this code, written as the field code")
    args = parse_options(parser)

    record, training = read_training(args.training, args.weights, args.predictions)
    method = training.parameters.method
    if method.draws_labels:
        raise UserError(
            f"{args.training}: a model of kind {method.kind} draws its labels at random from probabilities: with the "
            "most probable class, which an ONNX file gives, it would not be fair; export its base"
        )
    dataset, predictions = read_tested(args.data, args.predictions, training=training, record=args.training)
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
