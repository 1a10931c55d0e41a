"""How far a training is, on stderr."""

import sys
from collections.abc import Mapping


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
