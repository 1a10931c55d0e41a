"""Tests over seeds against statsmodels and by hand."""

import doctest
from itertools import product

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from fairdistill.evaluation import seeds

DIFFERENCES = [-0.11, -0.07, 0.01, -0.15, -0.02]


def test_the_sign_flip_test_counts_all_sign_patterns():
    means = [np.dot(signs, DIFFERENCES) for signs in product([-1, 1], repeat=5)]

    assert seeds.sign_flip_p(DIFFERENCES) == np.mean(np.abs(means) >= abs(sum(DIFFERENCES)) - 1e-12)


def test_one_seed_has_no_p_and_two_have_one():
    assert np.isnan(seeds.sign_flip_p([0.1]))
    assert seeds.sign_flip_p([1, 2]) == 0.5


def test_up_to_sixteen_differences_all_sign_patterns_are_tried():
    # of the 2^16 patterns, all plus and all minus have as large a mean
    assert seeds.sign_flip_p(np.full(16, 0.1)) == 2 / 2**16


def test_of_more_differences_the_same_9999_patterns_are_drawn_each_time():
    differences = np.arange(17) - 6.0
    sums = np.array([0])
    for one in differences:
        sums = np.concatenate([sums - one, sums + one])

    p = seeds.sign_flip_p(differences)

    assert p == pytest.approx(np.mean(np.abs(sums) >= differences.sum()), abs=0.03)
    # twice the tail of the patterns that were drawn, and of the one that was observed
    assert p * 10_000 / 2 == pytest.approx(round(p * 10_000 / 2), abs=1e-9)
    assert {seeds.sign_flip_p(differences) for _ in range(3)} == {p}


def test_the_examples_in_the_docstrings_hold():
    failed, tried = doctest.testmod(seeds)

    assert (failed, tried) == (0, 2)


@pytest.mark.parametrize("n", [1, 2, 12, 60])
def test_holms_correction_is_that_of_statsmodels(n):
    rng = np.random.default_rng(n)
    # small ones, ties and missing ones
    for p in [rng.random(n) ** 4, rng.choice([0.01, 0.0625, 1.0], n), rng.choice([0.002, 0.03, 0.4, np.nan], n)]:
        known = ~np.isnan(p)
        expected = np.full(n, np.nan)
        if known.any():
            expected[known] = multipletests(p[known], method="holm")[1]

        np.testing.assert_allclose(seeds.holm(p), expected, rtol=1e-12)
