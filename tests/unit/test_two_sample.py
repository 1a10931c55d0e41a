"""The kernel two-sample test against loops, scikit-learn's kernel and scipy's permutations; its level and power."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from fairdistill.evaluation.two_sample import two_sample_test


def run_test(first, second, *, paired=False, permutations=99, seed=0):
    return two_sample_test(first, second, paired=paired, permutations=permutations, rng=np.random.RandomState(seed))


def samples(seed, m=12, n=15, d=3, shift=0.5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, d)), shift + rng.normal(size=(n, d))


def copies(rng, m=20, d=3, shift=0.0):
    """Features of images that have more in common than with their copies apart: exchangeable where nothing is added."""
    image = rng.normal(size=(m, d))
    return image + 0.3 * rng.normal(size=(m, d)), image + 0.3 * rng.normal(size=(m, d)) + shift


def median_kernel(x, y):
    both = np.concatenate([x, y])
    distance = euclidean_distances(both)
    return rbf_kernel(both, gamma=1 / (2 * np.median(distance[np.triu_indices(len(both), 1)]) ** 2))


def test_independent_samples_have_equation_3():
    x, y = samples(0)
    k = median_kernel(x, y)
    m, n = len(x), len(y)
    expected = (
        sum(k[i, j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
        + sum(k[m + i, m + j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
        - 2 * sum(k[i, m + j] for i in range(m) for j in range(n)) / (m * n)
    )
    assert run_test(x, y)["mmd2"] == pytest.approx(expected, rel=1e-10)
    assert run_test(y, x)["mmd2"] == pytest.approx(expected, rel=1e-10)


def test_copies_have_equation_4():
    x, y = copies(np.random.default_rng(1), shift=0.5)
    k, m = median_kernel(x, y), len(x)
    total = 0.0
    for i in range(m):
        for j in range(m):
            if i != j:
                total += k[i, j] + k[m + i, m + j] - k[i, m + j] - k[j, m + i]
    found = run_test(x, y, paired=True)
    assert found["mmd2"] == pytest.approx(total / (m * (m - 1)), rel=1e-10)
    # the order of the images does not matter, but which are copies does
    order = np.random.default_rng(2).permutation(m)
    assert run_test(x[order], y[order], paired=True)["mmd2"] == pytest.approx(found["mmd2"], rel=1e-10)
    assert run_test(x, y[order], paired=True)["mmd2"] != pytest.approx(found["mmd2"], rel=0.01)


@pytest.mark.parametrize(("paired", "kind"), [(True, "samples"), (False, "independent")])
def test_the_p_value_is_near_that_of_all_permutations(paired, kind):
    x, y = copies(np.random.default_rng(3), m=8, d=1, shift=0.2) if paired else samples(3, m=5, n=5, d=1, shift=2.0)
    k = median_kernel(x, y)

    # of places in the kernel matrix, which swaps leave as it is
    def mmd2(a, b):
        a, b = a.astype(int), b.astype(int)
        m, n = len(a), len(b)
        within = (k[np.ix_(a, a)].sum() - m) / (m * (m - 1)) + (k[np.ix_(b, b)].sum() - n) / (n * (n - 1))
        crossed = k[np.ix_(a, b)]
        if paired:
            return within - 2 * (crossed.sum() - np.trace(crossed)) / (m * (m - 1))
        return within - 2 * crossed.mean()

    places = np.arange(len(x)), len(x) + np.arange(len(y))
    exact = stats.permutation_test(
        places, mmd2, permutation_type=kind, alternative="greater", n_resamples=np.inf, vectorized=False
    )
    found = run_test(x, y, paired=paired, permutations=4999)
    assert 0.01 < exact.pvalue < 0.5
    error = np.sqrt(exact.pvalue * (1 - exact.pvalue) / 4999)
    assert found["p"] == pytest.approx(exact.pvalue, abs=4 * error)
    assert found["mmd2"] == pytest.approx(exact.statistic, rel=1e-9)


@pytest.mark.parametrize("paired", [True, False])
def test_where_features_are_exchangeable_p_values_are_uniform(paired):
    rng = np.random.RandomState(4)
    p, mmd2 = [], []
    for _ in range(400):
        x, y = copies(rng) if paired else (rng.normal(size=(15, 3)), rng.normal(size=(20, 3)))
        found = two_sample_test(x, y, paired=paired, permutations=99, rng=rng)
        p.append(found["p"])
        mmd2.append(found["mmd2"])
    # the share of p-values up to each level is that level, to four standard errors
    for level in (0.05, 0.1, 0.2, 0.5):
        assert np.mean(np.array(p) <= level + 1e-9) == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 400))
    # and the statistic is unbiased
    assert np.mean(mmd2) == pytest.approx(0, abs=4 * np.std(mmd2) / 20)


def test_copies_hide_a_shift_from_a_test_that_takes_them_for_independent():
    rng = np.random.RandomState(5)
    studies = [copies(rng, shift=0.2) for _ in range(50)]
    as_pairs, as_independent = (
        np.mean([two_sample_test(*each, paired=paired, permutations=99, rng=rng)["p"] <= 0.05 for each in studies])
        for paired in (True, False)
    )
    assert as_pairs > 0.5
    assert as_independent < 0.1


def test_independent_samples_that_differ_are_told_apart():
    rng = np.random.RandomState(6)
    found = [
        two_sample_test(rng.normal(size=(30, 3)), 2 * rng.normal(size=(30, 3)), paired=False, permutations=99, rng=rng)
        for _ in range(40)
    ]
    assert np.mean([each["p"] <= 0.05 for each in found]) > 0.5


@pytest.mark.parametrize("paired", [True, False])
def test_features_that_are_all_equal_tell_nothing(paired):
    same = np.ones((5, 4), dtype=np.float32)
    assert run_test(same, same, paired=paired) == {"mmd2": 0, "bandwidth": 1, "p": 1}


def test_the_bandwidth_is_in_the_units_of_the_features():
    x, y = samples(7)
    one, scaled = run_test(x, y), run_test(1000 * x, 1000 * y)
    assert scaled["bandwidth"] == pytest.approx(1000 * one["bandwidth"])
    assert (scaled["mmd2"], scaled["p"]) == pytest.approx((one["mmd2"], one["p"]))
