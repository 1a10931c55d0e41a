"""Draws per class, and groups that depend on the class: the construction of CIFAR-10S (Wang et al., CVPR 2020)."""

from collections.abc import Callable, Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairdistill.data.reading import split_columns
from fairdistill.data.splits import draw_tested, split_images
from fairdistill.settings.data import DataSet


def draw_fraction(label: NDArray, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Draw exactly round(fraction * m) of the m samples of each class.

    The samples of a class are put in a random order, which depends only on `seed`, the class and m; the first ones
    are drawn.

    Parameters
    ----------
    label
        (n,) classes.
    fraction
        In [0, 1].

    Returns
    -------
    (n,) booleans: True for the samples that are drawn.
    """
    drawn = np.zeros(len(label), dtype=bool)
    for c in np.unique(label):
        members = np.random.default_rng([seed, c]).permutation(np.flatnonzero(label == c))
        drawn[members[: round(fraction * len(members))]] = True
    return drawn


def skewed_groups(label: NDArray, first: Collection[int], skew: float, seed: int) -> NDArray[np.int16]:
    """Put the fraction `skew` of each class into its majority group, and the rest into the other group.

    Parameters
    ----------
    label
        (n,) classes.
    first
        The classes whose majority group is 0; that of all others is 1.
    skew
        In (0, 1].
    seed
        Decides which samples are in the majority group, as in `draw_fraction`.

    Returns
    -------
    (n,) groups, 0 or 1.
    """
    majority = np.where(np.isin(label, list(first)), 0, 1)
    return np.where(draw_fraction(label, skew, seed), majority, 1 - majority).astype(np.int16)


def in_both_groups(
    label: NDArray,
    family: NDArray,
    *,
    tested: NDArray[np.int64] | None,
    trained_group: Callable[[NDArray], NDArray],
    settings: DataSet,
    drop: bool,
) -> pd.DataFrame:
    """Lay out a data set of which every image is tested once in each of two groups, and trained on in one of them.

    Parameters
    ----------
    label, family
        (n,) the class of each image, and a key that copies of one image share.
    tested
        (n,) 0 where an image is tested, and -1 where not, if the data set has one split. None draws the folds by the
        `split_seed` and `folds` of the settings, and every image is tested in one of them.
    trained_group
        Maps the classes of images that are for training to the group of each. Where there is one split these are the
        images that are not tested; where there are folds, it is asked for the images that each of them tests.
    drop
        Whether copies of test images are left out of training.

    Returns
    -------
    DataFrame
        One row per sample, with the columns image (its position among the n), label, group, family, and those that
        `split_columns` names. With one split: the training samples, and then the test samples of each group.
    """
    folds = settings.folds
    image = np.arange(len(label))
    if tested is None:
        everyone = np.ones(len(label), dtype=bool)
        tested = draw_tested(label, everyone, folds=folds, per_cell=None, seed=settings.split_seed)
    group = np.full(len(label), -1)
    # the images of each fold apart, so that what is left for training has the same skew in all folds
    for part in [-1] if folds == 1 else range(folds):
        group[tested == part] = trained_group(label[tested == part])
    if folds == 1:
        train, test = image[tested < 0], image[tested >= 0]
        row = np.concatenate([train, test, test])
        groups = np.concatenate([group[train], np.repeat([0, 1], len(test))])
    else:
        row, groups = np.concatenate([image, image]), np.repeat([0, 1], len(image))
    splits = split_images(tested[row], family[row], folds=folds, drop=drop, trained=groups == group[row])
    samples = pd.DataFrame({"image": row, **splits, "label": label[row], "group": groups, "family": family[row]})
    return samples[(samples[split_columns(folds)] != "").any(axis=1)]
