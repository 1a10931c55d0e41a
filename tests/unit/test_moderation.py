"""The spread of the trainings of many methods: Smyth's moments, and how often simulated studies are decided wrongly."""

import statistics

import numpy as np
import pytest
from scipy import stats

from fairdistill.evaluation.crossed import Estimate, Spread
from fairdistill.evaluation.moderation import (
    MOST_BORROWED,
    Common,
    common_spread,
    moderated,
    prior_freedom,
    residual_variances,
)

QUANTILES = (np.arange(100_000) + 0.5) / 100_000


def gap(differences, images=0.0):
    """The mean of paired differences, with a part of the images (variance of the mean) that is known."""
    mean, n, half = float(np.mean(differences)), len(differences), 1.959964 * images**0.5
    return Estimate(
        values=np.asarray(differences),
        by_images={"low": mean - half, "corrected": mean, "high": mean + half},
        trainings=n,
        images=half,
        run=half,
        shared=0.0,
        spreads=(Spread(float(np.var(differences, ddof=1)) / n, images, n),),
        least=-np.inf,
    )


@pytest.mark.parametrize(("freedom", "d0"), [(1, 2.5), (2, 1.0), (4, 3.5)])
def test_d0_is_that_of_the_distribution_of_the_variances(freedom, d0):
    # variances of normal samples are F-distributed where the true ones are inverse chi-square (Smyth 2004, section 4)
    assert prior_freedom(0.3 * stats.f.ppf(QUANTILES, freedom, d0), freedom) == pytest.approx(d0, rel=2e-3)


@pytest.mark.parametrize("freedom", [1, 4])
def test_of_equal_variances_no_more_is_borrowed_than_is_safe(freedom):
    assert prior_freedom(stats.chi2.ppf(QUANTILES, freedom), freedom) == MOST_BORROWED == 4


def test_the_common_variance_is_that_of_a_two_way_layout():
    scores = np.random.default_rng(0).standard_normal((9, 3))
    method, training = np.indices(scores.shape).reshape(2, -1)
    design = np.column_stack([method[:, None] == np.arange(9), training[:, None] == np.arange(2)]).astype(float)
    (squares,) = np.linalg.lstsq(design, scores.ravel())[1]

    found = common_spread(scores)

    # of the difference of two independent trainings
    assert found.variance == pytest.approx(2 * squares / (27 - 11))
    # what a seed gives to all methods, and what a method is on average, play no part
    moved = common_spread(scores + np.array([5.0, 0, -3]) + np.arange(9)[:, None])
    assert (moved.variance, moved.freedom) == pytest.approx((found.variance, found.freedom))


def test_methods_may_have_some_of_the_trainings_alone():
    scores = np.random.default_rng(2).standard_normal((12, 4))
    scores[:5, 2] = scores[5:9, 1] = scores[9:, 0] = np.nan
    whole = common_spread(scores)
    # what other methods lack, or what is a method's only training, says nothing
    lacking = np.full((13, 5), np.nan)
    lacking[:12, :4] = scores
    lacking[0, 4] = lacking[12, 0] = 100.0
    assert common_spread(lacking) == whole
    # effects of methods and trainings play no part
    moved = common_spread(scores + np.array([5.0, 0, -3, 1]) + np.arange(12)[:, None])
    assert (moved.variance, moved.freedom) == pytest.approx((whole.variance, whole.freedom))
    # the variances are unbiased, whatever is missing
    draws = np.random.default_rng(3).normal(scale=2.0, size=(2_000, *scores.shape))
    found = np.array([residual_variances(np.where(np.isnan(scores), np.nan, draw))[0] for draw in draws])
    assert found.mean(axis=0) == pytest.approx(4.0, rel=0.12)
    _, freedom = residual_variances(scores)
    assert freedom.tolist() == [2] * 12


def test_methods_that_the_effects_fit_whatever_their_scores_are_say_nothing():
    scores = np.full((11, 5), np.nan)
    draws = np.random.default_rng(4).standard_normal((11, 5))
    scores[:7, :3], scores[7:10, 3:] = draws[:7, :3], draws[7:10, 3:]
    # between two groups of methods, it is the only one
    scores[10, 2:4] = draws[10, 2:4]
    assert common_spread(scores) == common_spread(scores[:10])
    variances, _ = residual_variances(scores)
    assert np.isnan(variances).tolist() == [False] * 10 + [True]


def test_nothing_is_borrowed_from_few_methods_or_where_nothing_varies():
    scores = np.random.default_rng(1).standard_normal((8, 2))
    assert common_spread(scores) is not None
    assert common_spread(scores[:7]) is None
    assert common_spread(scores[:, :1]) is None
    assert common_spread(np.repeat(scores[:, :1], 2, axis=1)) is None
    # of accuracies, two may be equal
    scores[0] = 0.5
    assert common_spread(scores).freedom > 1


def test_without_noise_of_images_p_is_that_of_a_moderated_t():
    differences, common = [0.5, 0.62], Common(variance=0.02, freedom=4.0)
    own = np.var(differences, ddof=1)
    t = 0.56 / np.sqrt((4 * 0.02 + own) / 5 / 2)

    found = moderated(gap(differences), common)

    assert found.p == pytest.approx(2 * stats.t.sf(t, 5))
    assert found.high - found.corrected == pytest.approx(0.56 / t * stats.t.ppf(0.975, 5))


def test_a_variance_never_becomes_smaller_and_one_training_borrows_nothing():
    differences, common = [0.1, 0.5, 0.9], Common(variance=0.02, freedom=2.0)
    own = gap(differences)

    found = moderated(own, common)

    assert found.spreads == (Spread(own.spreads[0].observed, 0.0, 3, borrowed=2.0),)
    single = gap(differences)
    assert moderated(single, None) is single


def family_wise(studies, seeds, sd, effect=0.0, images=0.0):
    """The share of simulated studies of 26 methods and a reference, whose sd comes first, that tell any from it."""
    rng, found = np.random.default_rng(3), 0
    for _ in range(studies):
        noise = np.sqrt(images) * rng.standard_normal((27, seeds))
        scores = sd(rng)[:, None] * rng.standard_normal((27, seeds)) + noise
        scores[1:] += effect
        common = common_spread(scores)
        gaps = [moderated(gap(row, 2 * images / seeds), common) for row in scores[1:] - scores[0]]
        # that of the smallest p, which Holm's method compares with 0.05 / 26
        clearest = max(gaps, key=lambda one: abs(one.corrected) / np.hypot(one.between, one.images))
        found += clearest.p < 0.05 / 26
    return found / studies


# sd of the trainings: alike, over a factor of four, that of the reference twice and that of a method ten times the rest
SPREADS = {
    "alike": lambda rng: np.ones(27),
    "factor of four": lambda rng: 4 ** rng.random(27),
    "reference": lambda rng: np.repeat([2.0, 1.0], [1, 26]),
    "one method": lambda rng: np.repeat([1.0, 10.0], [26, 1]),
}


@pytest.mark.parametrize("name", SPREADS)
def test_two_trainings_of_many_methods_rarely_differ_by_chance(name):
    """Of 2,500 studies: 0.000, 0.002, 0.006 and 0.074. Moderated by the differences themselves, 0.12 and more."""
    assert family_wise(100, 2, SPREADS[name], images=0.0) <= (0.13 if name == "one method" else 0.03)


def test_two_trainings_show_a_difference_that_is_many_times_their_spread():
    """Without the other methods, hardly one in twenty such studies would show any."""
    assert family_wise(30, 2, SPREADS["alike"], effect=14.0, images=0.5) > 0.8


def test_d0_of_few_variances_is_that_of_the_scatter_of_their_logarithms():
    logarithms, freedom = [-2.0, -1.0, 0.0, 1.0, 2.5], 4

    d0 = prior_freedom(np.exp(logarithms), freedom)

    # the variances of the logarithms of gamma variables
    chance, between = stats.loggamma(freedom / 2).var(), stats.loggamma(d0 / 2).var()
    assert chance + between == pytest.approx(statistics.variance(logarithms))
    assert d0 < MOST_BORROWED


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-7])
def test_a_variance_of_nothing_counts_as_a_thousandth_of_the_median_on_any_scale(scale):
    differences = np.arange(-4.0, 5.0)
    scores = scale * np.column_stack([differences, np.zeros(9)])

    found = common_spread(scores)

    # the squares of 0 to 4, of which the median is 4
    logarithms = np.log([16, 9, 4, 1, 0.004, 1, 4, 9, 16])
    between = statistics.variance(logarithms) - stats.loggamma(0.5).var()
    assert stats.loggamma(found.freedom / 2).var() == pytest.approx(between)
    # two residuals of different methods differ as much as two of different trainings do
    assert found.variance == pytest.approx(scale**2 * statistics.variance(differences))
