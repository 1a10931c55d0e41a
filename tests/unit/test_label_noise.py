"""The script that estimates label noise from photographs that are there twice."""

import itertools

import numpy as np
import pandas as pd
import pytest

from scripts import label_noise
from scripts.label_noise import CLASSES, GROUPS, USED

SHAPE = (len(GROUPS), len(CLASSES))
N_CELLS = len(GROUPS) * len(CLASSES)
COUNT = np.array([[2000, 3700, 4300], [300, 3100, 1100], [1000, 1900, 550], [640, 2200, 1100], [550, 950, 200]])


def noise(k, error):
    """Labels that are wrong with probability `error`, and then each other value alike."""
    return np.eye(k) * (1 - error) + (1 - np.eye(k)) * error / (k - 1)


def faces(n=1000, *, of_class, of_group, seed=0):
    """Photographs that are there three times, each time with its own labels; the first two files are identical."""
    rng = np.random.default_rng(seed)
    label, group = rng.integers(0, len(CLASSES), n), rng.integers(0, len(GROUPS), n)

    def mistaken(value, k, error):
        wrong = rng.random(n) < error
        return np.where(wrong, (value + rng.integers(1, k, n)) % k, value)

    files = [
        pd.DataFrame(
            {
                "label": mistaken(label, len(CLASSES), of_class),
                "group": mistaken(group, len(GROUPS), of_group),
                "content": [f"{i} {copy // 2}" for i in range(n)],
                "family": range(n),
            }
        )
        for copy in range(3)
    ]
    return pd.concat(files, ignore_index=True)


def test_pairs_are_of_one_content_or_of_two():
    rows = [(0, 0, "a", 0), (1, 0, "a", 0), (1, 2, "b", 0), (2, 4, "c", 3), (0, 1, "d", 4)]
    table = pd.DataFrame(rows, columns=["label", "group", "content", "family"])
    (identical,) = label_noise.labelled_twice(table, identical=True)
    assert {(i, j): identical[i, j] for i, j in np.argwhere(identical)} == {(0, 1): 0.5, (1, 0): 0.5}
    (near,) = label_noise.labelled_twice(table, identical=False)
    other = 2 * len(CLASSES) + 1
    pairs = [(0, other), (1, other), (other, 0), (other, 1)]
    assert {(i, j): near[i, j] for i, j in np.argwhere(near)} == dict.fromkeys(pairs, 0.25)


def test_two_labellings_are_one_after_another():
    """Where as many are mistaken one way as the other, `confusion` finds the noise that made the table."""
    once = noise(3, 0.1)
    share = np.array([0.2, 0.5, 0.3])
    flow = np.array([[0, 0.02, 0.001], [0.02, 0, 0.03], [0.001, 0.03, 0]])
    uneven = flow / share[:, None]
    uneven += np.diag(1 - uneven.sum(axis=1))
    np.testing.assert_allclose(label_noise.confusion(once @ once / 3), once)
    np.testing.assert_allclose(label_noise.confusion(share[:, None] * (uneven @ uneven)), uneven)


def table_without_noise():
    return np.eye(N_CELLS) / N_CELLS


def table_with_noise(of_class, of_group):
    once = np.kron(noise(len(GROUPS), of_group), noise(len(CLASSES), of_class))
    return once @ once / N_CELLS


def test_without_noise_cells_are_what_they_are_called():
    mixture = label_noise.mixtures(table_without_noise(), COUNT)
    np.testing.assert_allclose(mixture.reshape(N_CELLS, N_CELLS), np.eye(N_CELLS), atol=1e-12)
    accuracy = np.random.default_rng(0).random(SHAPE)
    np.testing.assert_allclose(label_noise.measured(mixture, accuracy), accuracy[:USED])


def test_a_small_cell_has_more_wrong_labels_than_its_large_neighbour():
    mixture = label_noise.mixtures(table_with_noise(0.1, 0), COUNT)
    black = GROUPS.index("Black")
    # of the images labelled with a class, those that are truly of it: 0.9 of its own, and 0.05 of each other class
    of_class = 0.9 * COUNT[black] / (0.9 * COUNT[black] + 0.05 * (COUNT[black].sum() - COUNT[black]))
    np.testing.assert_allclose(mixture[black, range(3), black, range(3)], of_class)
    assert of_class.argmin() == 0


def test_a_classifier_that_knows_the_truth_is_as_accurate_as_the_labels():
    mixture = label_noise.mixtures(table_with_noise(0.1, 0.2), COUNT)
    cells = label_noise.measured(mixture, np.ones(SHAPE))
    for a, y in itertools.product(range(USED), range(len(CLASSES))):
        assert cells[a, y] == pytest.approx(mixture[a, y, :, y].sum())
    # one that guesses is right as often whatever the labels are
    np.testing.assert_allclose(label_noise.measured(mixture, np.full(SHAPE, 1 / 3)), 1 / 3)


def test_noise_makes_a_fair_classifier_look_biased_and_a_biased_one_less_so():
    found = label_noise.estimate(table_with_noise(0.05, 0.05), COUNT)
    assert found["fair by truth", "deo_m", "", ""] == 0
    assert found["fair by labels", "deo_m", "", ""] > 0.03
    assert found["fair by labels", "accuracy", "", ""] < label_noise.ACCURACY
    assert found["biased by truth", "deo_m", "", ""] == pytest.approx(label_noise.GAP)
    assert found["biased by labels", "deo_m_lowest", "", ""] < label_noise.GAP
    # chance adds to what is measured on few images
    assert found["fair by truth", "deo_m_drawn", "", ""] > 0.08


@pytest.mark.parametrize("identical", [True, False])
def test_the_errors_are_those_of_the_labellings(identical):
    twice = label_noise.labelled_twice(faces(4000, of_class=0.06, of_group=0.1), identical=identical)
    found = label_noise.estimate(twice.sum(axis=0), COUNT)
    assert found["error", "class", "", ""] == pytest.approx(0.06, abs=0.01)
    assert found["error", "group", "", ""] == pytest.approx(0.1, abs=0.01)
    # two labellings agree if both are right, or wrong in the same way
    agree = {"class": 0.94**2 + 2 * 0.03**2, "group": 0.9**2 + 4 * 0.025**2}
    agree["cell"] = agree["class"] * agree["group"]
    for name, share in agree.items():
        assert found["disagreement", name, "", ""] == pytest.approx(1 - share, abs=0.02)


def test_the_table_has_an_interval_for_each_estimate(monkeypatch):
    monkeypatch.setattr(label_noise, "RESAMPLES", 40)
    table = label_noise.table_of(faces(300, of_class=0.06, of_group=0.1))
    assert list(table) == label_noise.COLUMNS
    assert table.groupby("families").size().nunique() == 1
    assert (table["low"] <= table["high"]).all()
    overall = table[table["group"].eq("") & table["part"].isin(["disagreement", "error"])]
    assert (overall["n"] == 300).all()
    assert (overall["low"] < overall["value"]).all()
    assert (overall["value"] < overall["high"]).all()
    of_cells = table[table["group"].ne("")]
    assert of_cells["n"].between(1, 299).all()
