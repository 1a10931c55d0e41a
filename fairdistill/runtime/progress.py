"""How far a training is, and with it the grid, on stderr."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import SupportsFloat

# for each run of Snakemake: the logs of the trainings that it planned, and those that are done
TRAININGS = Path(".snakemake", "trainings")


def log(line: str) -> None:
    """Say something of the work at once."""
    print(line, file=sys.stderr, flush=True)


def describe(row: Mapping, epochs: int) -> str:
    """An epoch's entry in the history, as a line: losses, accuracy, speed, and the time left."""
    left = (epochs - row["epoch"]) * row["seconds"]
    others = ("epoch", "train_accuracy", "test_accuracy", "seconds", "images_per_second")
    losses = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if name not in others)
    test = f"  test {row['test_accuracy']:.3f}" if "test_accuracy" in row else ""
    return (
        f"epoch {row['epoch']}/{epochs}  {losses}  train {row['train_accuracy']:.3f}{test}  "
        f"{row['images_per_second']:.0f} images/s  {left / 60:.1f} min left"
    )


class EpochProgress:
    """Says from time to time within an epoch how far it is.

    Parameters
    ----------
    epoch, epochs, steps, batch_size
        The epoch's number, from 1, how many there are, its steps, and the pictures of a step.
    """

    EVERY = 20.0  # seconds

    def __init__(self, epoch: int, epochs: int, steps: int, batch_size: int):
        self.epoch, self.epochs, self.steps, self.batch_size = epoch, epochs, steps, batch_size
        self.started = self.said = time.monotonic()

    def step(self, done: int, total_loss: SupportsFloat) -> None:
        """Note that `done` steps are done, of which the losses add up to `total_loss`; it is read only when said."""
        now = time.monotonic()
        if now - self.said < self.EVERY or done == self.steps:
            return
        self.said = now
        pace = (now - self.started) / done
        left = (self.epochs - self.epoch + 1) * self.steps - done
        log(
            f"epoch {self.epoch}/{self.epochs}, step {done}/{self.steps}  loss {float(total_loss) / done:.4f}  "
            f"{self.batch_size / pace:.0f} images/s  {left * pace / 60:.1f} min left"
        )


def plan_trainings(run: str, logs: Sequence[str]) -> None:
    """Note the logs of the trainings, if any, that a run of Snakemake, named by its start (ns), will do."""
    if not logs:
        return
    TRAININGS.mkdir(parents=True, exist_ok=True)
    (TRAININGS / f"{run}.planned").write_text("".join(f"{log}\n" for log in logs), encoding="utf-8")


def count_training(name: str) -> None:
    """Note that a training of this run of Snakemake is done, and say how far the grid is.

    FAIRDISTILL_RUN is the run's name; without it, or its plan, nothing is said.
    """
    run = os.environ.get("FAIRDISTILL_RUN", "")
    if (TRAININGS / f"{run}.planned").exists():
        with open(TRAININGS / f"{run}.done", "a", encoding="utf-8") as file:
            file.write(f"{name}\n")
        log(describe_grid(run))


def describe_grid(run: str) -> str:
    """How many trainings of a run are done, and the time left if the others go at the same pace."""
    planned, done = (lines(TRAININGS / f"{run}.{what}") for what in ("planned", "done"))
    # a training that is retried counts once
    count = len(set(done))
    text = f"{count} of {len(planned)} trainings done"
    if count:
        left = (time.time_ns() - int(run)) / 1e9 * (len(planned) / count - 1)
        text += f", about {left / 60:.1f} min left for the others"
    return text


def lines(path: Path) -> list[str]:
    """The lines of a text file; none where there is no such file."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
