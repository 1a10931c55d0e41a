"""Draw test and validation splits of whole families: images of one person, or copies of one image.

No family is on two sides, whatever its size, and each split has the wanted number of images of each (class, group)
cell, as far as whole families allow. What is drawn follows from the names of the images, and not from their order. An
image that is added or removed changes few of the others' places, unless it changes the wanted numbers.
"""

import os
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fairdistill.data.preparing import VALIDATION_DRAW
from fairdistill.data.reading import split_columns

# of the images that are not tested though others of their families are: independent of the draw of the families
SURPLUS_DRAW = VALIDATION_DRAW - 1


def join_families(keys: Iterable[NDArray]) -> NDArray[np.int64]:
    """Return the finest families (n,) of which each has all images that share a key; each of `keys` is (n,)."""
    numbers = [np.unique(key, return_inverse=True)[1] for key in keys]
    n = len(numbers[0])
    # images and keys are the nodes of a graph; an image has an edge to each of its keys
    offsets = n + np.cumsum([0, *(number.max(initial=-1) + 1 for number in numbers)])
    ends = np.concatenate([number + offset for number, offset in zip(numbers, offsets, strict=False)])
    starts = np.tile(np.arange(n), len(numbers))
    graph = coo_array((np.ones(len(starts), dtype=bool), (starts, ends)), shape=(offsets[-1], offsets[-1]))
    return connected_components(graph, directed=False)[1][:n].astype(np.int64)


def draw_tests(
    names: NDArray[np.str_],
    cell: NDArray,
    family: NDArray,
    eligible: NDArray[np.bool_],
    *,
    per_cell: int,
    folds: int,
    seed: int,
) -> dict[str, NDArray[np.str_]]:
    """Draw a balanced test split for each fold.

    Parameters
    ----------
    names
        (n,) the name of each image, which no other has.
    cell
        (n,) the number of each image's (class, group) cell, from 0.
    family
        (n,) the number of each image's family.
    eligible
        (n,) whether an image may be tested.
    per_cell
        The number of test images of each cell and fold.

    Returns
    -------
    By the names of `split_columns`, the split (n,) of each image: "test"; "" where others of its family are tested;
    "train" for all others. A cell may have fewer test images than wanted, where families run out.
    """
    columns = {}
    free = np.ones(len(cell), dtype=bool)
    wanted = np.full(cell.max() + 1, per_cell)
    for fold, name in enumerate(split_columns(folds)):
        order = random_order(names, family, seed, fold)
        drawn = draw_families(cell, family, eligible & free, wanted, order)
        # a family may have brought more images of another cell than that needs
        shuffled = np.flatnonzero(drawn & eligible)
        shuffled = shuffled[np.argsort(random_order(names[shuffled], shuffled, seed, SURPLUS_DRAW, fold))]
        rank = pd.Series(cell[shuffled]).groupby(cell[shuffled]).cumcount().to_numpy()
        tested = np.zeros(len(cell), dtype=bool)
        tested[shuffled[rank < per_cell]] = True
        # not of those that were drawn: all images of one may have been too many
        of_tested = np.isin(family, family[tested])
        free &= ~of_tested
        columns[name] = np.where(tested, "test", np.where(of_tested, "", "train"))
    return columns


def draw_validation(
    names: NDArray[np.str_],
    split: NDArray[np.str_],
    cell: NDArray,
    family: NDArray,
    *,
    share: float,
    fold: int,
    seed: int,
) -> NDArray[np.str_]:
    """Return the splits (n,) after a share of the training images of each cell has become "validation"."""
    training = split == "train"
    wanted = np.round(share * np.bincount(cell[training], minlength=cell.max() + 1)).astype(int)
    order = random_order(names, family, seed, VALIDATION_DRAW, fold)
    drawn = draw_families(cell, family, training, wanted, order)
    return np.where(drawn & training, "validation", split)


def random_order(names: NDArray[np.str_], family: NDArray, *seed: int) -> NDArray[np.uint64]:
    """Return a number (n,) for each image that says when its family is drawn: the same for all images of a family.

    It is a hash of the seed and of the first, by the alphabet, of the family's names (n,). So a large family comes as
    early as a small one.
    """
    first = pd.Series(names).groupby(family).min()
    drawn = [int.from_bytes(blake2b(os.fsencode(f"{seed} {name}"), digest_size=8).digest()) for name in first]
    order: pd.Series = pd.Series(np.array(drawn, dtype=np.uint64), index=first.index)
    return order[family].to_numpy()


def draw_families(
    cell: NDArray,
    family: NDArray,
    counted: NDArray[np.bool_],
    wanted: NDArray[np.int64],
    order: NDArray[np.uint64],
) -> NDArray[np.bool_]:
    """Draw families until each cell has as many images among them as are wanted.

    The cells come in the order of their number of images, the smallest first. For each, families with an image in it
    are drawn in their order, of those that bring no cell above what it needs; and where these do not suffice, of the
    others those first that bring the fewest images too many.

    Parameters
    ----------
    cell, family
        (n,) numbers.
    counted
        (n,) the images that count, in families that may be drawn.
    wanted
        (cells,)
    order
        (n,) of `random_order`.

    Returns
    -------
    (n,) whether the family of an image was drawn.
    """
    n_cells = len(wanted)
    pairs, sizes = np.unique(family[counted] * n_cells + cell[counted], return_counts=True)
    of_family, of_cell = np.divmod(pairs, n_cells)
    # the part of these arrays that a family has
    families, first = np.unique(of_family, return_index=True)
    turn = dict(zip(family.tolist(), order.tolist(), strict=True))
    parts = dict(zip(families.tolist(), map(slice, first, [*first[1:], len(pairs)]), strict=True))
    have = np.zeros(n_cells, dtype=int)
    drawn: set[int] = set()

    def draw(one: int) -> None:
        have[of_cell[parts[one]]] += sizes[parts[one]]
        drawn.add(one)

    def excess(one: int) -> int:
        part = parts[one]
        return int(np.maximum(have[of_cell[part]] + sizes[part] - wanted[of_cell[part]], 0).sum())

    for target in np.argsort(np.bincount(cell[counted], minlength=n_cells), kind="stable"):
        left = []
        for one in sorted(of_family[of_cell == target].tolist(), key=turn.__getitem__):
            if have[target] >= wanted[target]:
                break
            if one in drawn:
                continue
            if excess(one):
                left.append(one)
            else:
                draw(one)
        for one in sorted(left, key=excess):
            if have[target] >= wanted[target]:
                break
            draw(one)
    return np.isin(family, list(drawn))
