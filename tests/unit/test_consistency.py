"""Consistency against AIF360 and loops, and its jackknife against leaving images out one after another."""

import warnings

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from fairdistill.evaluation.consistency import consistency
from fairdistill.runtime.errors import UserError

with warnings.catch_warnings():
    # of aif360's own source, when it is compiled
    warnings.simplefilter("ignore")
    from aif360.sklearn.metrics import consistency_score


def images(seed, *, n=60, n_classes=3, copies=1):
    """Features, predictions that follow from them, and the image that each is a copy of."""
    rng = np.random.default_rng(seed)
    features = np.repeat(rng.normal(size=(n, 4)), copies, axis=0) + 0.2 * rng.normal(size=(n * copies, 4))
    noisy = features[:, :n_classes] + 0.5 * rng.normal(size=(n * copies, n_classes))
    return features, noisy.argmax(axis=1), np.repeat(rng.permutation(n), copies)


def plain(features, prediction, k=5):
    """The mean share of the k nearest images, the image itself among them, that are predicted like the image."""
    nearest = NearestNeighbors(n_neighbors=k).fit(features).kneighbors(features, return_distance=False)
    return np.mean([np.mean([prediction[j] == prediction[i] for j in row]) for i, row in enumerate(nearest)])


@pytest.mark.parametrize("k", [1, 5, 8])
@pytest.mark.parametrize("seed", range(3))
def test_of_two_classes_it_is_aif360s(seed, k):
    features, prediction, image = images(seed, n_classes=2)
    expected = consistency_score(features, prediction, n_neighbors=k)
    assert consistency(features, prediction, image, neighbours=k)["value"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_of_more_classes_it_is_the_share_of_neighbours_that_are_predicted_alike(copies):
    features, prediction, image = images(4, copies=copies)
    found = consistency(features, prediction, image)
    assert found["value"] == pytest.approx(plain(features, prediction), abs=1e-12)
    # the names of the classes do not matter
    assert consistency(features, 2 - prediction, image) == found


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_the_jackknife_leaves_out_each_image_with_all_its_copies(copies):
    features, prediction, image = images(5, n=40, copies=copies)
    rest = [image != left_out for left_out in range(40)]
    values = np.array([plain(features[kept], prediction[kept]) for kept in rest])
    error = np.sqrt(39 / 40 * np.square(values - values.mean()).sum())
    found = consistency(features, prediction, image)
    assert found["standard_error"] == pytest.approx(error, rel=1e-9)
    assert found["low"] < found["value"] < found["high"]
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_intervals_hold_the_mean_of_many_draws():
    """At least as often as they should: the jackknife's variance is rather too large."""
    found = [consistency(*images(seed, n=50, copies=2)) for seed in range(100, 250)]
    mean = np.mean([each["value"] for each in found])
    held = np.mean([each["low"] <= mean <= each["high"] for each in found])
    spread = np.std([each["value"] for each in found])
    assert held >= 0.93
    assert spread < np.mean([each["standard_error"] for each in found]) < 1.6 * spread


def test_images_that_all_agree_still_have_an_interval():
    features, prediction, image = images(6)
    found = consistency(features, np.zeros_like(prediction), image)
    assert (found["value"], found["high"]) == (1, 1)
    assert found["low"] == pytest.approx(1 - 1.96**2 / (60 + 1.96**2), rel=1e-3)


def test_too_few_images_are_refused():
    features, prediction, image = images(7, n=3, copies=2)
    with pytest.raises(UserError, match=r"^6 test images are too few for 5 neighbours of each; prepare more$"):
        consistency(features, prediction, image)


@pytest.mark.parametrize("k", [1, 4])
def test_so_many_images_as_there_are_neighbours_and_copies_are_enough(k):
    features, prediction, image = images(8, n=3, copies=2)
    few = slice(0, k + 2)
    found = consistency(features[few], prediction[few], image[few], neighbours=k)
    assert found["value"] == pytest.approx(plain(features[few], prediction[few], k))
    with pytest.raises(UserError, match=f"^{k + 1} test images are too few for {k} neighbours"):
        consistency(features[: k + 1], prediction[: k + 1], image[: k + 1], neighbours=k)


def test_the_jackknife_leaves_out_images_of_one_copy_and_of_three():
    features, prediction, image = images(9, n=40, copies=3)
    some = np.ones(120, dtype=bool)
    # of every other image, one copy is left
    some[0::6] = some[1::6] = False
    features, prediction, image = features[some], prediction[some], image[some]
    values = np.array([plain(features[image != one], prediction[image != one]) for one in range(40)])
    error = np.sqrt(39 / 40 * np.square(values - values.mean()).sum())
    assert consistency(features, prediction, image)["standard_error"] == pytest.approx(error, rel=1e-9)
