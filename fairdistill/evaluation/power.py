"""How many test images show that a model is not fair: the power of the verdict that `docs/statistics.md` describes.

A model is called unfair where its DEO_M is above that of 97.5 % of fair models with its accuracy. Here a model is fair
in all classes but one, in which the accuracies of two groups differ by `difference` about the mean `ACCURACY`, and
those of all other groups lie between. With the probability `POWER` it is called unfair, by simulation: the more groups
and classes there are, the larger the largest of all gaps is by chance alone, and the more images it takes.

Images count as independent, and as other in each group. What the training's chance adds is not in it.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from fairdistill.evaluation.criteria import MEASURES, TAIL

POWER = 0.8
ACCURACY = 0.8
DRAWS = 10_000
STEP = 0.005  # of the differences that are tried
MOST = 2**15  # images of a cell


def images_for(difference: float, *, groups: int, classes: int) -> int:
    """Return the number of test images of each (class, group) cell with which a difference, in (0, 1), is shown."""
    low, high = 1, MOST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(difference, middle, groups, classes) >= POWER else (middle + 1, high)
    return low


def smallest_difference(images: int, *, groups: int, classes: int) -> float:
    """Return the smallest difference that is shown with a number of test images of each (class, group) cell.

    It is 1 where they show none, as with one image.
    """
    low, high = 1, round(1 / STEP)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle * STEP, images, groups, classes) >= POWER else (middle + 1, high)
    return round(low * STEP, 3)


# the folds of a data set, and its advised sizes, ask the same again and again
@cache
def power(difference: float, images: int, groups: int, classes: int) -> float:
    """Return the probability that a model with a difference in one class is called unfair."""
    # the same draws for the same question: the answer is part of a data set
    rng = np.random.default_rng([images, groups, classes])
    fair = np.full((groups, classes), ACCURACY)
    limit = np.quantile(_deo_m(fair, images, rng), 1 - TAIL)
    # a mean of 0.8 leaves no room above for half of a difference over 0.4
    higher = min(ACCURACY + difference / 2, 1)
    unfair = fair.copy()
    unfair[:, 0] = higher - difference / 2
    unfair[[0, -1], 0] = higher, higher - difference
    return float((_deo_m(unfair, images, rng) > limit).mean())


def _deo_m(accuracy: NDArray[np.float64], images: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return MEASURES["deo_m"](rng.binomial(images, accuracy, (DRAWS, *accuracy.shape)) / images)
