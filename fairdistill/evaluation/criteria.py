"""Accuracy and the difference in equalized odds (DEO), from the accuracy of each (group, class) cell.

acc[a, y] = Pr(prediction = y | A = a, Y = y) is the share of group a's images of class y that a model gets right.
All values are fractions in 0..1; arrays have the shape (..., n_groups, n_classes), and results the shape (...).
"""

from collections.abc import Callable

import numpy as np

# of all intervals, and of the range in which the DEO of a fair classifier lies
CONFIDENCE_LEVEL = 0.95
# the probability beyond each of their ends
TAIL = (1 - CONFIDENCE_LEVEL) / 2
# two numbers that are equal may differ by this after summation
ROUNDING = 1e-9


def overall(accuracy: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Accuracy over all images, from that of each cell and the share that it has in it, (n_groups, n_classes)."""
    return (accuracy * share).sum(axis=(-2, -1))


def gaps(accuracy: np.ndarray) -> np.ndarray:
    """Each class's largest difference in accuracy between two groups, shape (..., n_classes)."""
    return np.ptp(accuracy, axis=-2)


def deo_a(accuracy: np.ndarray) -> np.ndarray:
    """DEO_A: the mean over classes of `gaps`, section IV-A of the paper."""
    return gaps(accuracy).mean(axis=-1)


def deo_m(accuracy: np.ndarray) -> np.ndarray:
    """DEO_M: the maximum over classes of `gaps`. Jung et al., CVPR 2021, define both."""
    return gaps(accuracy).max(axis=-1)


MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"deo_a": deo_a, "deo_m": deo_m}


def is_at_chance(accuracy: float, share: np.ndarray) -> bool:
    """Whether a model is no more accurate than one that names the largest class for every image.

    The DEO of such a model is low, or even 0, without being a sign of fairness.

    Parameters
    ----------
    accuracy
        Over all images.
    share
        Of each cell in that accuracy, shape (n_groups, n_classes).
    """
    return accuracy <= share.sum(axis=0).max() + ROUNDING
