"""Train one model on a prepared data set: a teacher, or a student by any method, with its base where it stands on one.

Writes weights.safetensors, predictions.parquet (validation and test split), history.csv and training.json to the output
folder. A training that was interrupted goes on from its last finished epoch.
"""

from fairdistill.runtime.errors import run
from fairdistill.training import job


def main() -> None:
    job.run_training(job.parser(__doc__).parse_args())


if __name__ == "__main__":
    run(main)
