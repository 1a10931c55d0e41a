"""The number of test images, against statsmodels and against the verdict that models get."""

import numpy as np
import pytest
from statsmodels.stats.proportion import power_proportions_2indep

from fairdistill.evaluation.correctness import Correctness
from fairdistill.evaluation.criteria import TAIL
from fairdistill.evaluation.power import ACCURACY, MOST, POWER, images_for, power, smallest_difference
from fairdistill.evaluation.uncertainty import ABOVE, assess


@pytest.mark.parametrize(("difference", "images"), [(0.05, 1000), (0.1, 250), (0.2, 50)])
def test_of_two_groups_and_one_class_the_power_is_that_of_a_test_of_two_proportions(difference, images):
    wanted = power_proportions_2indep(difference, ACCURACY - difference / 2, images, alpha=TAIL, return_results=False)
    # a difference of counts that is as large as the limit is not above it, which costs a few hundredths
    assert wanted - 0.07 < power(difference, images, groups=2, classes=1) < wanted


def test_a_fair_model_is_rarely_called_unfair():
    assert power(0.0, 200, groups=4, classes=3) == pytest.approx(TAIL, abs=0.012)


def test_it_is_the_power_of_the_verdict_that_models_get():
    images, groups, classes, difference = 60, 3, 2, 0.3
    rng = np.random.default_rng(0)
    accuracy = np.full((groups, classes), ACCURACY)
    accuracy[:, 0] = ACCURACY + difference / 2, ACCURACY, ACCURACY - difference / 2
    found = []
    for _ in range(150):
        right = [[rng.random(images) < share for share in row] for row in accuracy]
        assessed = assess(Correctness(right, paired=False, images=""), resamples=300)
        found.append(assessed["deo_m"]["verdict"] == ABOVE)
    assert np.mean(found) == pytest.approx(power(difference, images, groups=groups, classes=classes), abs=0.1)


@pytest.mark.parametrize(("groups", "classes"), [(2, 2), (4, 3)])
@pytest.mark.parametrize("difference", [0.1, 0.3])
def test_that_many_images_have_the_power(difference, groups, classes):
    images = images_for(difference, groups=groups, classes=classes)
    assert power(difference, images, groups, classes) >= POWER
    assert power(difference, images - 5, groups, classes) < POWER + 0.02
    assert smallest_difference(images, groups=groups, classes=classes) == pytest.approx(difference, abs=0.011)


def test_more_groups_and_classes_take_more_images():
    wanted = [images_for(0.2, groups=groups, classes=classes) for groups, classes in ((2, 1), (2, 2), (4, 2), (4, 5))]
    assert wanted == sorted(set(wanted))


def test_one_image_shows_nothing():
    assert smallest_difference(1, groups=2, classes=2) == 1.0


@pytest.mark.parametrize("least", [1, 2, 3, 37, 1000, MOST])
def test_the_least_number_of_images_with_the_power_is_found(monkeypatch, least):
    # exactly the power is enough
    monkeypatch.setattr("fairdistill.evaluation.power.power", lambda _, images, *of: POWER - 0.01 * (images < least))

    assert images_for(0.1, groups=2, classes=2) == least


@pytest.mark.parametrize("steps", [1, 2, 3, 36, 37, 38, 117, 200])
def test_the_smallest_difference_with_the_power_is_found(monkeypatch, steps):
    monkeypatch.setattr(
        "fairdistill.evaluation.power.power", lambda difference, *of: POWER - 0.01 * (difference < 0.005 * steps - 1e-9)
    )

    assert smallest_difference(100, groups=2, classes=2) == pytest.approx(0.005 * steps)


def test_one_image_less_than_the_advised_number_has_too_little_power():
    images = images_for(0.3, groups=3, classes=2)

    assert power(0.3, images - 1, 3, 2) < POWER <= power(0.3, images, 3, 2)
