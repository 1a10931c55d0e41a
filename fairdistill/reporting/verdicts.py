"""How two numbers from different runs are compared: what noise allows for, and the names of the verdicts."""

from collections.abc import Mapping

import numpy as np

REPRODUCED, NOISE, NOT_REPRODUCED = "reproduced", "within noise", "not reproduced"


def noise_of_another_run(ours: Mapping) -> float:
    """Return how far a single training, tested on other images, may lie from our mean with 95 % probability.

    Parameters
    ----------
    ours : as `fairdistill.reporting.summaries.combine` returns it
    """
    return float(np.linalg.norm([ours["images"], ours["between"], ours["another"]]))


def noise_between(one: Mapping, other: Mapping) -> float:
    """Return how far apart the means of two studies may lie by chance, with 95 % probability.

    What the noise of the images gives to all trainings alike cancels where the studies have the same test images. Where
    one study has a single training, its trainings' part is taken to be the other's.

    Parameters
    ----------
    one, other : rows of the summary
    """
    squares = [_images(one, other), _images(other, one), _between(one, other), _between(other, one)]
    return float(np.sqrt(sum(squares)))


def _images(one: Mapping, other: Mapping) -> float:
    same = one["test_images"] == other["test_images"]
    return max(0.0, one["images"] ** 2 - (one["shared"] ** 2 if same else 0.0))


def _between(one: Mapping, other: Mapping) -> float:
    if one["trainings"] > 1:
        return one["between"] ** 2
    return other["trainings"] * other["between"] ** 2
