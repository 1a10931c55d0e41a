"""Which images a model classifies correctly: accuracy, DEO and their uncertainty are computed from this alone.

The metrics file keeps one bit per sample. The samples of a (group, class) cell are in the order of their image ids, so
that the i-th bits of two models, or of two groups that hold copies of the same images, belong to the same image.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

# the copies of an image in g groups are answered in one of 2^g ways, of each of which the resamples count the images
MOST_PAIRED = 12


@dataclass(frozen=True)
class Correctness:
    """The right and wrong answers of one model.

    Attributes
    ----------
    right : nested list [group][class] of bool arrays, shape (samples of the cell,)
        Whether each sample is classified correctly, in the order of image ids.
    paired : bool
        Every image of a class is there once in every group, as on CIFAR-10S: the i-th samples of a class's cells
        are copies of one image. Of more than `MOST_PAIRED` groups, copies count as images of their own.
    images : str
        Digest of the image ids. Models with equal digests were tested on the same images in the same order.
    weighting : "images" or "cells"
        Whether each image, or each (class, group) cell, counts the same in the accuracy over all images.
    """

    right: list[list[np.ndarray]]
    paired: bool
    images: str
    weighting: str = "images"

    @cached_property
    def count(self) -> np.ndarray:
        """Number of samples of each cell, shape (n_groups, n_classes)."""
        return np.array([[len(cell) for cell in row] for row in self.right])

    @cached_property
    def accuracy(self) -> np.ndarray:
        """Pr(prediction = y | A = a, Y = y), shape (n_groups, n_classes)."""
        return np.array([[np.count_nonzero(cell) for cell in row] for row in self.right]) / self.count

    @property
    def is_certain(self) -> np.ndarray:
        """Whether the answers of each cell are all right or all wrong, shape (n_groups, n_classes)."""
        return (self.accuracy == 0) | (self.accuracy == 1)

    @property
    def is_alike(self) -> np.ndarray:
        """Whether all copies of each image are answered alike, right or wrong, in each class, shape (n_classes,)."""
        first, *others = self.right
        alike = [all(np.array_equal(row[y], cell) for row in others) for y, cell in enumerate(first)]
        return np.array(alike) & self.paired

    @property
    def share(self) -> np.ndarray:
        """The weight of each cell in the accuracy over all images, shape (n_groups, n_classes); they add up to 1."""
        count = self.count
        return count / count.sum() if self.weighting == "images" else np.full(count.shape, 1 / count.size)

    @property
    def strata(self) -> list[tuple[list[int], int]]:
        """The groups whose samples are drawn together, and the class, of each stratum of images."""
        n_groups, n_classes = self.count.shape
        together = [list(range(n_groups))] if self.paired else [[a] for a in range(n_groups)]
        return [(groups, y) for y in range(n_classes) for groups in together]

    def to_json(self, *, classes: Sequence[str], groups: Sequence[str]) -> dict:
        """Return the correctness ready for JSON: the bits of each cell as hexadecimal digits, the first bit leading."""
        return {
            "paired": self.paired,
            "images": self.images,
            **({} if self.weighting == "images" else {"weighting": self.weighting}),
            "right": {
                group: {name: np.packbits(cell).tobytes().hex() for name, cell in zip(classes, row, strict=True)}
                for group, row in zip(groups, self.right, strict=True)
            },
        }


def collect(
    *,
    right: np.ndarray,
    label: np.ndarray,
    group: np.ndarray,
    image_id: np.ndarray,
    shape: tuple[int, int],
    weighting: str = "images",
) -> Correctness:
    """Return the correctness of one model.

    Parameters
    ----------
    right : bool array, shape (n,)
    label, group : int arrays, shape (n,)
        Codes below `shape[1]` and `shape[0]`.
    image_id : array of str, shape (n,)
    shape : (n_groups, n_classes)
    weighting : "images" or "cells"
        See `Correctness`.
    """
    table = pd.DataFrame({"right": right, "label": label, "group": group, "image": image_id})
    table = table.sort_values(["group", "label", "image"], kind="stable")
    cells = dict(list(table.groupby(["group", "label"])))
    n_groups, n_classes = shape
    images = [[cells[a, y]["image"].tolist() for y in range(n_classes)] for a in range(n_groups)]
    once = n_groups <= MOST_PAIRED and all(len(set(ids)) == len(ids) for ids in images[0])
    return Correctness(
        right=[[cells[a, y]["right"].to_numpy() for y in range(n_classes)] for a in range(n_groups)],
        paired=once and all(row == images[0] for row in images),
        images=hashlib.sha256("\n".join(table["image"]).encode()).hexdigest(),
        weighting=weighting,
    )


def pool(folds: Sequence[Correctness]) -> Correctness:
    """Return the answers on several disjoint test sets as those on one."""
    first = folds[0]
    n_groups, n_classes = first.count.shape
    return Correctness(
        right=[
            [np.concatenate([fold.right[a][y] for fold in folds]) for y in range(n_classes)] for a in range(n_groups)
        ],
        paired=first.paired,
        images=hashlib.sha256("\n".join(fold.images for fold in folds).encode()).hexdigest(),
        weighting=first.weighting,
    )


def from_metrics(metrics: Mapping, *, classes: Sequence[str], groups: Sequence[str]) -> Correctness:
    """Return the correctness that the metrics of one split hold: the fields `correctness` and `cell_count`.

    Raises
    ------
    KeyError, TypeError, ValueError
        If a cell is missing, or does not hold one bit for each of its images.
    """
    stored, count = metrics["correctness"], metrics["cell_count"]

    def cell(group: str, name: str) -> np.ndarray:
        digits, n = bytes.fromhex(stored["right"][group][name]), count[group][name]
        if len(digits) != (n + 7) // 8:
            raise ValueError(f"{len(digits)} bytes for {n} images of class '{name}' in group '{group}'")
        return np.unpackbits(np.frombuffer(digits, dtype=np.uint8), count=n).astype(bool)

    right = [[cell(group, name) for name in classes] for group in groups]
    weighting = stored.get("weighting", "images")
    return Correctness(right, paired=stored["paired"], images=stored["images"], weighting=weighting)
