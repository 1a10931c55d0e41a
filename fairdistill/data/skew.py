"""Draws per class, and groups that depend on the class: the construction of CIFAR-10S (Wang et al., CVPR 2020)."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray


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
