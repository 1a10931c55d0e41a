"""The number of test images, against statsmodels and against simulated tests."""

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.proportion import power_proportions_2indep

from fairdistill.evaluation.power import ACCURACY, ALPHA, POWER, images_for, smallest_difference


@pytest.mark.parametrize("difference", [0.02, 0.05, 0.1, 0.2, 0.4])
def test_the_power_is_that_of_statsmodels(difference):
    lower = ACCURACY - difference / 2
    n = images_for(difference)
    power, one_less = (
        power_proportions_2indep(difference, lower, nobs, alpha=ALPHA, return_results=False) for nobs in (n, n - 1)
    )
    # the other tail, which is left out here, is of no weight
    assert one_less < POWER + 1e-6
    assert POWER - 1e-6 < power < POWER + 0.02


def test_a_simulated_test_has_the_power():
    difference, rng = 0.1, np.random.default_rng(0)
    n = images_for(difference)
    higher, lower = (rng.binomial(n, ACCURACY + sign * difference / 2, 20_000) / n for sign in (1, -1))
    mean = (higher + lower) / 2
    z = (higher - lower) / np.sqrt(2 * mean * (1 - mean) / n)
    assert (np.abs(z) > norm.isf(ALPHA / 2)).mean() == pytest.approx(POWER, abs=0.02)


@pytest.mark.parametrize("images", [4, 10, 63, 250, 10_000])
def test_the_smallest_difference_takes_that_many_images(images):
    assert images_for(smallest_difference(images) + 1e-9) == images
    assert smallest_difference(images + 1) < smallest_difference(images)


def test_one_image_shows_nothing():
    assert smallest_difference(1) == 1.0
