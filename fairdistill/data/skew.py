"""Groups that go with the classes in training: the construction of CIFAR-10S (Wang et al., CVPR 2020)."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray


def draw_fraction(label: NDArray, fraction: float, seed: int) -> NDArray[np.bool_]:
    """Mark exactly round(fraction m) of the m samples of each class.

    The draw within a class is a permutation that depends on `seed` and the class alone.

    Parameters
    ----------
    label
        (n,) classes.

    Returns
    -------
    (n,) marks.
    """
    drawn = np.zeros(len(label), dtype=bool)
    for c in np.unique(label):
        members = np.random.default_rng([seed, c]).permutation(np.flatnonzero(label == c))
        drawn[members[: round(fraction * len(members))]] = True
    return drawn


def skewed_groups(label: NDArray, first: Collection[int], skew: float, seed: int) -> NDArray[np.int16]:
    """Put the fraction `skew` of each class into its usual group: 0 for classes in `first`, else 1.

    Parameters
    ----------
    label
        (n,) classes.
    skew
        In (0, 1].

    Returns
    -------
    (n,) groups, 0 or 1.
    """
    usual = np.where(np.isin(label, list(first)), 0, 1)
    return np.where(draw_fraction(label, skew, seed), usual, 1 - usual).astype(np.int16)
