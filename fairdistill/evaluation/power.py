"""How many test images show a difference in accuracy between two groups: the two-sided z-test of two proportions.

Two groups of one class have `images` test images each, and a model's accuracies on them differ by `difference` about
the mean `ACCURACY`. With the probability `POWER` the test at the level `ALPHA` then finds that they differ. The normal
approximation is that of Fleiss, Levin and Paik, "Statistical Methods for Rates and Proportions", 2003, chapter 4: the
variance under the null hypothesis is that of the pooled proportion.

The difference is the DEO of the class for this model. What the training's chance adds, and that the largest of several
differences is larger by chance alone, is not in it: see docs/statistics.md.
"""

import math

from scipy.optimize import brentq
from scipy.stats import norm

ALPHA = 0.05
POWER = 0.8
ACCURACY = 0.8


def images_for(difference: float) -> int:
    """Return the number of test images of each of two groups with which a difference, in (0, 1), is shown."""
    return math.ceil(_images(difference))


def smallest_difference(images: int) -> float:
    """Return the smallest difference that is shown with a number of test images of each of two groups.

    It is 1 where they show none, as with one image.
    """
    if _images(1) >= images:
        return 1.0
    return brentq(lambda difference: _images(difference) - images, 1e-9, 1)


def _images(difference: float) -> float:
    # a mean of 0.8 leaves no room above for half of a difference over 0.4
    higher = min(ACCURACY + difference / 2, 1)
    lower = higher - difference
    mean = (higher + lower) / 2
    under_null = norm.isf(ALPHA / 2) * math.sqrt(2 * mean * (1 - mean))
    under_difference = norm.isf(1 - POWER) * math.sqrt(higher * (1 - higher) + lower * (1 - lower))
    return ((under_null + under_difference) / difference) ** 2
