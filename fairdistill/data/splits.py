"""Which images are tested, in which fold, and what is left for training.

A data set has one split, or one for each of its folds: every fold has a test split of its own, and no image is tested
in two of them. A family is a set of images that are copies of each other; no split that is drawn here has members of
one family on both sides, unless the copies are to stay.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairdistill.data.reading import split_columns


def draw_tested(
    cell: NDArray, eligible: NDArray[np.bool_], *, folds: int, per_cell: int | None, seed: int
) -> NDArray[np.int64]:
    """Draw the fold in which each image is tested, equally many of each cell in every fold.

    Parameters
    ----------
    cell
        (n,) number of the (class, group) cell of each image, or of its class.
    eligible
        (n,) whether an image may be tested at all.
    per_cell
        The number of test images of each cell and fold, or fewer where the cell has fewer; None tests every eligible
        image, the numbers of a cell's images in two folds differing by one at most.
    seed
        Decides which images they are.

    Returns
    -------
    (n,) the fold, from 0 on; -1 where an image is not tested.
    """
    shuffled = pd.Series(np.asarray(cell)).iloc[np.random.default_rng(seed).permutation(len(cell))]
    shuffled = shuffled[np.asarray(eligible)[shuffled.index]]
    number = shuffled.groupby(shuffled).cumcount()
    fold = number % folds if per_cell is None else number // per_cell
    tested = np.full(len(cell), -1)
    tested[shuffled.index] = fold.where(fold < folds, -1)
    return tested


def split_images(
    tested: NDArray[np.int64], family: NDArray, *, folds: int, drop: bool, trained: NDArray[np.bool_] | None = None
) -> dict[str, NDArray[np.str_]]:
    """Return the split of each image in each fold: "test", "train", or "" where it is in neither.

    Parameters
    ----------
    tested
        (n,) the fold in which an image is tested; -1 where it is not.
    family
        (n,) a key that copies of one image share.
    drop
        Whether the copies of a fold's test images are left out of its training split.
    trained
        (n,) whether an image is for training where it is not tested; all are where left out.

    Returns
    -------
    The columns that `split_columns` names, each (n,).
    """
    columns = {}
    for fold, name in enumerate(split_columns(folds)):
        is_test = tested == fold
        in_training = np.ones(len(tested), dtype=bool) if trained is None else trained.copy()
        if drop:
            in_training &= ~np.isin(family, family[is_test])
        columns[name] = np.where(is_test, "test", np.where(in_training, "train", ""))
    return columns
