"""Score one model: accuracy, DEO_A, DEO_M and other criteria, each with its uncertainty, and the accuracy of each cell.

Reads the model's predictions and the record of its training. Writes one JSON file with the fields of that record, the
scores on the test split as `metrics` and, if there are predictions for it, those on the validation split as
`validation`, so that the tables need no other file of the model. Writes the class probabilities in half precision to a
second file, which is small enough to publish beside the first. Warns of a model at chance, such as one whose training
has diverged.
"""

import argparse
import json
from pathlib import Path

from fairdistill.evaluation.metrics import SPLITS, evaluate_file
from fairdistill.evaluation.probabilities import write_compact
from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import sha256, write_text
from fairdistill.runtime.progress import log
from fairdistill.runtime.provenance import versions
from fairdistill.settings.arguments import OutputFile, parse_options
from fairdistill.settings.methods import PostProcessing
from fairdistill.settings.training_record import TrainingRecord, read_training


def what_to_do(training: TrainingRecord, model: Path) -> str:
    """What may have gone wrong with a model, in that folder, that is at chance."""
    if training.parameters.method.kind == "imported":
        return (
            "it was read from a file: see whether `classes` names its outputs in their order, and whether `preprocess` "
            "is that of the program that trained it"
        )
    if isinstance(training.parameters.method, PostProcessing):
        return "it trains nothing and changes the predictions of its base alone: look at that model"
    return (
        f"look at the losses in {model}/history.csv: where they grew or are large, lower training.learning_rate or the "
        "weight of the method's terms, and where they still fall, train for more epochs"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.parquet of the model")
    parser.add_argument("--training", type=Path, required=True, help="training.json of the model")
    parser.add_argument("--output", type=OutputFile, required=True, help="metrics file to write (JSON)")
    parser.add_argument(
        "--probabilities", type=OutputFile, required=True, help="file of probabilities to write (Parquet)"
    )
    parser.add_argument("--code", help="version of this code, written as the field evaluation_code")
    args = parse_options(parser)

    record, training = read_training(args.training, args.predictions)
    names = {"classes": training.classes, "groups": training.groups}
    record |= evaluate_file(
        args.predictions, **names, weighting=training.weighting, training_images=training.training_images
    )
    write_compact(args.probabilities, args.predictions)
    record["probabilities"] = sha256(args.probabilities)
    for split, field in SPLITS.items():
        if field not in record:
            continue
        found = record[field]["uncertainty"]
        if caution := found.get("caution"):
            log(f"{args.output}: {field}: {caution}")
        if found["deo_m"]["verdict"] == AT_CHANCE:
            log(
                f"warning: at chance on the {split} split: its accuracy, {record[field]['accuracy']:.3f}, is no higher "
                f"than that of naming the largest class for every image; {what_to_do(training, args.training.parent)}"
            )
    record |= {"evaluation_code": args.code, "evaluation_versions": versions()}
    write_text(args.output, json.dumps(record, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    run_script(main)
