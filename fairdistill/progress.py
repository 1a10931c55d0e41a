"""How far a training is, and with it the grid, on stderr."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import SupportsFloat


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


def count_training(name: str) -> None:
    """Say how many trainings of this run of Snakemake are done, and the time left if the others go at the same pace.

    FAIRDISTILL_RUN is when that run began (ns), FAIRDISTILL_TRAININGS how many it planned; without them nothing is
    said. Those done are listed in a file of their own for each run.
    """
    run, planned = os.environ.get("FAIRDISTILL_RUN"), os.environ.get("FAIRDISTILL_TRAININGS")
    if not (run and planned):
        return
    done = Path(".snakemake", "trained", run)
    done.parent.mkdir(parents=True, exist_ok=True)
    with open(done, "a", encoding="utf-8") as file:
        file.write(f"{name}\n")
    count = len(set(done.read_text(encoding="utf-8").splitlines()))
    left = (time.time_ns() - int(run)) / 1e9 * (int(planned) / count - 1)
    log(f"{count} of {planned} trainings done, about {left / 60:.1f} min left for the others")
