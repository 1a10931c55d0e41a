"""Train a student, with a teacher's checkpoint where its method needs one (MFD matches the teacher's features).

Writes weights.safetensors, predictions.parquet (test split), history.csv and training.json to the output folder.
"""

from pathlib import Path

from fairdistill.runtime.errors import run
from fairdistill.training.loop import job


def main() -> None:
    parser = job.parser(__doc__, method="mfd")
    parser.add_argument("--teacher", type=Path, help="weights.safetensors of the trained teacher")
    parser.add_argument(
        "--teacher-architecture",
        type=job.kind_argument,
        metavar="JSON",
        help="what the teacher's checkpoint must hold; unchecked where left out",
    )
    job.run_training(parser.parse_args(), role="student")


if __name__ == "__main__":
    run(main)
