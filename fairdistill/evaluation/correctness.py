"""Which test images a model gets right: all that accuracy and DEO, and their uncertainty, are computed from.

One bit per test sample, kept in the metrics file. Samples of a cell stand in the order of their image ids, so that
the copies of one image in two groups, and the answers of two models, are found beside each other again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Correctness:
    """The right and wrong answers of one model.

    Attributes
    ----------
    right : nested list [group][class] of bool arrays, shape (samples of the cell,)
        Whether each sample is classified correctly, in the order of image ids.
    paired : bool
        Every image of a class is there once in every group, as on CIFAR-10S: the i-th samples of a class's cells
        are copies of one image.
    images : str or None
        Digest of the image ids. Models with equal digests were tested on the same images in the same order; None
        where only counts are known.
    """

    right: list[list[np.ndarray]]
    paired: bool
    images: str | None

    @property
    def count(self) -> np.ndarray:
        """Number of samples of each cell, shape (n_groups, n_classes)."""
        return np.array([[len(cell) for cell in row] for row in self.right])

    @property
    def accuracy(self) -> np.ndarray:
        """Pr(prediction = y | A = a, Y = y), shape (n_groups, n_classes)."""
        return np.array([[cell.mean() for cell in row] for row in self.right])

    def to_json(self, *, classes: Sequence[str], groups: Sequence[str]) -> dict:
        """Return the correctness ready for JSON: the bits of each cell as hexadecimal digits, the first bit leading."""
        return {
            "paired": self.paired,
            "images": self.images,
            "right": {
                group: {name: np.packbits(cell).tobytes().hex() for name, cell in zip(classes, row, strict=True)}
                for group, row in zip(groups, self.right, strict=True)
            },
        }


def collect(
    *, right: np.ndarray, label: np.ndarray, group: np.ndarray, image_id: np.ndarray, shape: tuple[int, int]
) -> Correctness:
    """Return the correctness of one model.

    Parameters
    ----------
    right : bool array, shape (n,)
    label, group : int arrays, shape (n,)
        Codes below `shape[1]` and `shape[0]`.
    image_id : array of str, shape (n,)
    shape : (n_groups, n_classes)
    """
    table = pd.DataFrame({"right": right, "label": label, "group": group, "image": image_id})
    table = table.sort_values(["group", "label", "image"], kind="stable")
    cells = dict(list(table.groupby(["group", "label"])))
    n_groups, n_classes = shape
    images = [[cells[a, y]["image"].tolist() for y in range(n_classes)] for a in range(n_groups)]
    once = all(len(set(ids)) == len(ids) for ids in images[0])
    return Correctness(
        right=[[cells[a, y]["right"].to_numpy() for y in range(n_classes)] for a in range(n_groups)],
        paired=once and all(row == images[0] for row in images),
        images=hashlib.sha256("\n".join(table["image"]).encode()).hexdigest(),
    )


def from_metrics(metrics: Mapping, *, classes: Sequence[str], groups: Sequence[str]) -> Correctness:
    """Return the correctness that a metrics file holds.

    A file of an earlier version has the accuracy and the count of each cell alone. They give correctness that are
    paired with nothing: intervals are then a little wide where copies of an image, or two models, err together.
    """
    stored = metrics.get("correctness")

    def cell(group: str, name: str) -> np.ndarray:
        n = metrics["cell_count"][group][name]
        if stored is None:
            return np.arange(n) < round(metrics["cell_accuracy"][group][name] * n)
        digits = np.frombuffer(bytes.fromhex(stored["right"][group][name]), dtype=np.uint8)
        return np.unpackbits(digits, count=n).astype(bool)

    right = [[cell(group, name) for name in classes] for group in groups]
    if stored is None:
        return Correctness(right, paired=False, images=None)
    return Correctness(right, paired=stored["paired"], images=stored["images"])
