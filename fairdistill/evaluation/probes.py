"""What the features of a model tell of the groups, and whether images with like features are predicted alike.

For the tests see `fairdistill.evaluation.two_sample`, for the other `fairdistill.evaluation.consistency`. Both are of
the same images of the test split: at most `LIMIT` of each (class, group) cell, drawn with one seed, so that all models
that were tested on the same images are probed on the same ones. Draws are those of `RandomState`, as those of a
`Generator` may change with the version of numpy.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from fairdistill.evaluation.consistency import NEIGHBOURS, consistency
from fairdistill.evaluation.seeds import holm
from fairdistill.evaluation.two_sample import PERMUTATIONS, two_sample_test
from fairdistill.evaluation.uncertainty import SEED

LIMIT = 300
# so many permutations for each test, at least, and the smallest p-value stays below 5 % when all tests are corrected
PER_TEST = 40


def choose_images(
    *, label: np.ndarray, group: np.ndarray, image_id: np.ndarray, paired: bool, limit: int | None = None
) -> np.ndarray:
    """Return the positions, in ascending order, of the images that are probed, at most `limit` or `LIMIT` of each cell.

    Parameters
    ----------
    label, group : int arrays, shape (n,)
    image_id : array of str, shape (n,)
    paired
        Whether every image of a class is there once in each group: then the same images are taken of all groups.
    """
    rng = np.random.RandomState(SEED)
    cells, limit = _cells(label, group, image_id), limit or LIMIT
    chosen = []
    for y in range(label.max() + 1):
        picked = None
        for a in range(group.max() + 1):
            if picked is None or not paired:
                picked = rng.permutation(len(cells[a, y]))[:limit]
            chosen.append(cells[a, y][picked])
    return np.sort(np.concatenate(chosen))


def probe(
    *,
    features: np.ndarray,
    prediction: np.ndarray,
    label: np.ndarray,
    group: np.ndarray,
    image_id: np.ndarray,
    paired: bool,
    classes: Sequence[str],
    groups: Sequence[str],
) -> dict:
    """Return the two-sample tests of each class and pair of groups, and the consistency, ready for JSON.

    `p_holm` is the p-value corrected for all tests of the model. A cell of one image is not tested.

    Parameters
    ----------
    features : float array, shape (n, D)
        Of the images that `choose_images` chose, like all that follows.
    prediction, label, group : int arrays, shape (n,)
    image_id : array of str, shape (n,)
    paired
        As for `choose_images`.
    classes, groups : names in the order of their codes
    """
    cells = _cells(label, group, image_id)
    tested = [
        (y, a, b)
        for y in range(len(classes))
        for a, b in combinations(range(len(groups)), 2)
        if min(len(cells[a, y]), len(cells[b, y])) > 1
    ]
    permutations = max(PERMUTATIONS, PER_TEST * len(tested) - 1)
    rng = np.random.RandomState(SEED)
    tests = [
        {"class": classes[y], "group": groups[a], "other_group": groups[b]}
        | {"n": len(cells[a, y]), "n_other": len(cells[b, y])}
        | two_sample_test(
            features[cells[a, y]], features[cells[b, y]], paired=paired, permutations=permutations, rng=rng
        )
        for y, a, b in tested
    ]
    for test, corrected in zip(tests, holm([test["p"] for test in tests]).tolist(), strict=True):
        test["p_holm"] = corrected
    image = np.unique(image_id, return_inverse=True)[1]
    return {
        "images": len(features),
        "limit": LIMIT,
        "seed": SEED,
        "paired": paired,
        "permutations": permutations,
        "two_sample": tests,
        "consistency": {"neighbours": NEIGHBOURS, **consistency(features, prediction, image)},
    }


def _cells(label: np.ndarray, group: np.ndarray, image_id: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """The positions of each (group, class) cell in the order of image ids, so that copies have the same place."""
    order = np.argsort(np.unique(image_id, return_inverse=True)[1], kind="stable")
    return {
        (a, y): order[(group[order] == a) & (label[order] == y)]
        for a in range(group.max() + 1)
        for y in range(label.max() + 1)
    }
