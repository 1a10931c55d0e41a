"""Train a teacher on a prepared data set: cross-entropy on the labels as they come, bias and all.

Writes weights.safetensors, predictions.parquet (test split), history.csv and training.json to the output folder.
"""

from fairdistill.runtime.errors import run
from fairdistill.training.loop import job


def main() -> None:
    args = job.parser(__doc__, method="scratch").parse_args()
    job.run_training(args, role="teacher")


if __name__ == "__main__":
    run(main)
