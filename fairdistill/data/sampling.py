"""The order in which an epoch visits the training samples.

An order is a function of its seed alone, so that a training can be resumed at any epoch without saved state.
"""

import numpy as np
from numpy.typing import NDArray

SAMPLINGS = ("plain", "balanced")


def plain_order(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Every sample once, shuffled: (n,) positions."""
    return rng.permutation(n)


def balanced_order(cell: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """As many draws as there are samples, equally from each cell, and so in every stretch of the order.

    Each run of K consecutive draws, K the number of cells present, holds every cell once, in random order. Within
    a cell no sample comes again before all others of the cell have come.

    Parameters
    ----------
    cell
        (n,) the (group, class) cell of each sample.

    Returns
    -------
    (n,) positions; those of small cells repeat, those of large cells are a random part.
    """
    n = len(cell)
    members = [np.flatnonzero(cell == c) for c in np.unique(cell)]
    rounds = -(-n // len(members))
    draws = np.stack([_cycle(m, rounds, rng) for m in members], axis=1)
    return rng.permuted(draws, axis=1).ravel()[:n]


def _cycle(members: NDArray, count: int, rng: np.random.Generator) -> NDArray:
    """`count` draws: shuffled passes over `members`, one after another."""
    passes = -(-count // len(members))
    return rng.permuted(np.tile(members, (passes, 1)), axis=1).ravel()[:count]


def epoch_order(sampling: str, label: NDArray, group: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """The positions that one epoch visits, (n,), for `sampling` "plain" or "balanced"."""
    if sampling == "balanced":
        return balanced_order(label * (group.max() + 1) + group, rng)
    return plain_order(len(label), rng)
