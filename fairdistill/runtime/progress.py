"""How far a training is, and with it the run of Snakemake that it belongs to."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import SupportsFloat, TypeVar

Item = TypeVar("Item")

# Two files for each run of Snakemake, named by its start in nanoseconds: RUN.planned has the log files of the trainings
# that the run has planned, RUN.done the names of those that are done.
TRAININGS = Path(".snakemake", "trainings")
KEPT = 90 * 24 * 3600  # seconds after which a run's files are removed by a later run
# of a row of a training's history: its accuracies, each with its split, and all that is no loss
ACCURACIES = {f"{split}_accuracy": split for split in ("train", "validation", "test")}
NO_LOSSES = ("epoch", "seconds", "cpu_seconds", "images_per_second", *ACCURACIES)


def log(line: str) -> None:
    """Print a line on stderr at once: the log file of the job."""
    print(line, file=sys.stderr, flush=True)


def describe(row: Mapping, epochs: int) -> str:
    """A row of the history as a line of the log: losses, accuracies, speed, and the time left for this training."""
    left = (epochs - row["epoch"]) * row["seconds"]
    losses = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if name not in NO_LOSSES)
    shares = "  ".join(f"{split} {row[name]:.3f}" for name, split in ACCURACIES.items() if name in row)
    return (
        f"epoch {row['epoch']}/{epochs}  {losses}  {shares}  "
        f"{row['images_per_second']:.0f} images/s  {duration(left)} left"
    )


class EpochProgress:
    """Logs every `EVERY` seconds how far an epoch is.

    Parameters
    ----------
    epoch, epochs
        The epoch's number, from 1, and how many there are.
    steps, batch_size
        Steps of the epoch, and images of a step.
    """

    EVERY = 20.0  # seconds

    def __init__(self, epoch: int, epochs: int, steps: int, batch_size: int):
        self.epoch, self.epochs, self.steps, self.batch_size = epoch, epochs, steps, batch_size
        self.started = self.said = time.monotonic()

    def step(self, done: int, total_loss: SupportsFloat) -> None:
        """Take note that `done` steps are done, whose losses add up to `total_loss`.

        `total_loss` is converted to a number only where a line is logged: on a GPU the conversion waits for the GPU.
        """
        now = time.monotonic()
        if now - self.said < self.EVERY or done == self.steps:
            return
        self.said = now
        pace = (now - self.started) / done
        left = (self.epochs - self.epoch + 1) * self.steps - done
        log(
            f"epoch {self.epoch}/{self.epochs}, step {done}/{self.steps}  loss {float(total_loss) / done:.4f}  "
            f"{self.batch_size / pace:.0f} images/s  {duration(left * pace)} left"
        )


class Progress:
    """Logs every `EVERY` seconds how many of some things are done.

    Parameters
    ----------
    doing
        What is done to them, such as "decoding images".
    total
        How many there are.
    """

    EVERY = 10.0  # seconds

    def __init__(self, doing: str, total: int):
        self.doing, self.total = doing, total
        self.started = self.said = time.monotonic()

    def step(self, done: int) -> None:
        """Take note that `done` of them are done."""
        now = time.monotonic()
        if now - self.said < self.EVERY or done == self.total:
            return
        self.said = now
        pace = (now - self.started) / done
        log(f"{self.doing}: {done} of {self.total}, {duration((self.total - done) * pace)} left")

    def counting(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items; each is done when the next one is asked for."""
        for done, item in enumerate(items, 1):
            yield item
            self.step(done)


def plan_trainings(run: str, logs: Sequence[str]) -> None:
    """Write down which trainings a run of Snakemake has planned, by their log files; nothing where there are none.

    What runs of long ago have written is removed.
    """
    if not logs:
        return
    TRAININGS.mkdir(parents=True, exist_ok=True)
    for path in TRAININGS.iterdir():
        if time.time() - path.stat().st_mtime > KEPT:
            path.unlink(missing_ok=True)
    (TRAININGS / f"{run}.planned").write_text("".join(f"{log}\n" for log in logs), encoding="utf-8")


def count_training(name: str) -> None:
    """Count a training as done, and log how far the run of Snakemake is.

    The environment variable FAIRDISTILL_RUN names the run. Without it, or without its plan, as in a training that was
    started by hand, nothing is counted.
    """
    run = os.environ.get("FAIRDISTILL_RUN", "")
    if (TRAININGS / f"{run}.planned").exists():
        with open(TRAININGS / f"{run}.done", "a", encoding="utf-8") as file:
            file.write(f"{name}\n")
        log(grid_progress(run))


def grid_progress(run: str) -> str:
    """How many trainings of a run are done, and the time left if the others go at the same pace."""
    planned, done = (lines(TRAININGS / f"{run}.{what}") for what in ("planned", "done"))
    # a training that is retried counts once
    count = len(set(done))
    text = f"{count} of {len(planned)} trainings done"
    if 0 < count < len(planned):
        left = (time.time_ns() - int(run)) / 1e9 * (len(planned) / count - 1)
        text += f", about {duration(left)} left"
    return text


def duration(seconds: float) -> str:
    """A duration as a person says it: "41 s", "3 min", "2 h 5 min"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def lines(path: Path) -> list[str]:
    """The lines of a text file; none where there is no such file."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
