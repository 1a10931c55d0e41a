"""The order in which an epoch visits the training samples.

An order depends on the random generator that is passed in and on nothing else. With a generator that is seeded for each
epoch, a training can be resumed at any epoch and no state of the sampling has to be saved.
"""

import numpy as np
from numpy.typing import NDArray


def plain_order(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the positions 0 to n - 1, each once, in random order: (n,)."""
    return rng.permutation(n)


def balanced_order(cell: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw n positions, equally many from each cell.

    With K cells present, the order consists of rounds of K draws, one from each cell in random order (the last round
    may be cut short), so that every batch is balanced and not only the epoch. A sample is drawn again only after all
    other samples of its cell. Idrissi et al. (CLeaR 2022) call the same balance RWG over the (group, class) cells and
    RWY over the classes; they draw each sample independently, so that only the mean over batches is balanced.

    Parameters
    ----------
    cell
        (n,) number of the (group, class) cell of each sample.

    Returns
    -------
    (n,) positions. Samples of small cells come several times; of a large cell, a random part comes.
    """
    n = len(cell)
    return _rounds(cell, -(-n // len(np.unique(cell))), rng)[:n]


def oversampled_order(cell: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw from each cell as often as the largest one has samples.

    All samples of the largest cell come once, and those of the others as many times as make up for their number. The
    order is in rounds as in `balanced_order`, so that every batch is balanced.

    The code of Jung et al., CVPR 2021, draws their students' epochs so, but in runs of several samples of one cell,
    without the samples that do not fill the last run: with batches of 128, their epochs have one step less on UTKFace
    and on CIFAR-10S.

    Parameters
    ----------
    cell
        (n,) number of the (group, class) cell of each sample.

    Returns
    -------
    (K M,) positions, of K cells present of which the largest has M samples.
    """
    return _rounds(cell, np.unique(cell, return_counts=True)[1].max(), rng)


def undersampled_order(cell: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw from each cell as many samples as the smallest one has, none of them twice.

    The order is in rounds as in `balanced_order`. As an order depends on its generator alone, another random part of
    the larger cells comes in each epoch; where undersampling makes a smaller training set once (SUBG in Idrissi et al.,
    CLeaR 2022), the rest of it is never seen.

    Parameters
    ----------
    cell
        (n,) number of the (group, class) cell of each sample.

    Returns
    -------
    (K m,) positions, of K cells present of which the smallest has m samples.
    """
    return _rounds(cell, np.unique(cell, return_counts=True)[1].min(), rng)


def _rounds(cell: NDArray, rounds: int, rng: np.random.Generator) -> NDArray:
    """Draw one sample of each cell, in random order, and again, so many times."""
    members = [np.flatnonzero(cell == c) for c in np.unique(cell)]
    draws = np.stack([_cycle(m, rounds, rng) for m in members], axis=1)
    return rng.permuted(draws, axis=1).ravel()


def _cycle(members: NDArray, count: int, rng: np.random.Generator) -> NDArray:
    """Draw `count` of `members`: all of them in random order, then all of them in another random order, and so on."""
    passes = -(-count // len(members))
    return rng.permuted(np.tile(members, (passes, 1)), axis=1).ravel()[:count]


def epoch_order(sampling: str, label: NDArray, group: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the positions that one epoch visits, in order.

    Parameters
    ----------
    sampling
        "plain" (`plain_order`); "balanced", "oversampled" or "undersampled" (`balanced_order`, `oversampled_order` or
        `undersampled_order` over the (group, class) cells); "class_balanced" (`balanced_order` over the classes).
    label, group
        (n,) whole numbers from 0 on.
    rng
        Decides the order.

    Returns
    -------
    (m,) positions; m is n but for "oversampled" and "undersampled".
    """
    if sampling == "plain":
        return plain_order(len(label), rng)
    if sampling == "class_balanced":
        return balanced_order(label, rng)
    orders = {"balanced": balanced_order, "oversampled": oversampled_order, "undersampled": undersampled_order}
    return orders[sampling](label * (group.max() + 1) + group, rng)


def drawn_shares(sampling: str, sizes: NDArray) -> NDArray[np.float64]:
    """Return the share of the images of each class and group in an epoch, as `epoch_order` draws it on average.

    Parameters
    ----------
    sampling
        As for `epoch_order`.
    sizes
        (classes, groups) number of training images.

    Returns
    -------
    (classes, groups), which add up to one; zero for cells without images.
    """
    if sampling == "plain":
        return sizes / sizes.sum()
    if sampling == "class_balanced":
        of_class = sizes.sum(1, keepdims=True)
        return sizes / np.maximum(of_class, 1) / np.count_nonzero(of_class)
    return (sizes > 0) / np.count_nonzero(sizes)
