"""Draw test images of the cells in which a model is least accurate, with its predictions and another model's.

The figure shows images of the data set: use it only for data whose terms allow that.
"""

import argparse
from pathlib import Path

from fairdistill.data.trained import read_tested
from fairdistill.evaluation.metrics import predicted
from fairdistill.reporting.examples import plot_examples
from fairdistill.reporting.figure_files import save
from fairdistill.reporting.labels import printed
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.settings.arguments import dataset_folder, parse_with_figure
from fairdistill.settings.training_record import read_training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=dataset_folder, required=True, help="folder of the prepared data set")
    parser.add_argument(
        "--trainings",
        type=Path,
        nargs="+",
        required=True,
        help="training.json of each model; the first chooses the cells",
    )
    parser.add_argument(
        "--predictions", type=Path, nargs="+", required=True, help="predictions.parquet of each, in the same order"
    )
    parser.add_argument("--dataset", required=True, help="name of the data set, for the title")
    args = parse_with_figure(parser)
    if len(args.trainings) != len(args.predictions):
        raise UserError("--trainings and --predictions: give as many of the one as of the other")

    found = {}
    for record, file in zip(args.trainings, args.predictions, strict=True):
        _, training = read_training(record, file)
        dataset, predictions = read_tested(args.data, file, training=training, record=record)
        who = f"{printed(training.run.architecture)} {training.run.method}"
        found[who] = predicted(predictions, len(training.classes))
    save(plot_examples(dataset, found, name=args.dataset), pdf=args.pdf, png=args.png)


if __name__ == "__main__":
    run_script(main)
