"""How much trainings differ, by those of many methods together: a difference of few trainings with more to go by.

Two or three trainings of one method hardly say how much its trainings differ, but those of many methods do. Smyth
(2004) takes the variances of all for a sample of an inverse chi-square distribution with d0 degrees of freedom, which
is as good as d0 further degrees of freedom for each of them: t has d0 + n - 1. Where the variances are much alike, d0
is large; were it infinite, all would have one variance, as in Dunnett's comparison of many treatments with one.

What is moderated here is the variance V of the n differences between a method and the one that all are compared with,
noise of the images included: that alone is distributed as chi-square. `fairdistill.evaluation.crossed` subtracts what
the images owe of it, as ever. Four things are not as in Smyth's paper, all to the safe side:

- **What is common is estimated from the residuals of a two-way layout, method x training.** All differences hold the
  same trainings of the one method: where these agree by luck, all variances of differences are too small together, and
  alike at that. The residuals of the methods are all but independent.
- **d0 is at most `MOST_BORROWED`.** Two trainings of 30 methods cannot tell a d0 of 4 from an infinite one.
- **The common variance is the mean of all**, and not Smyth's estimate, which is below it: it protects the methods whose
  trainings differ by more than those of most.
- **No variance becomes smaller**: V is replaced by (d0 V0 + (n - 1) V) / (d0 + n - 1) where that is larger.

Sources: Smyth, Statistical Applications in Genetics and Molecular Biology 3(1), 2004, article 3, sections 4 and 6.2;
Dunnett, Journal of the American Statistical Association 50, 1955. docs/statistics.md has the simulations by which the
four were chosen, and says where the level is not held.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from fairdistill.evaluation.crossed import Estimate

# methods, below which nothing is borrowed: few say little of what is common, and each is a large part of it
FEWEST = 8
# d0 of variances of which the logarithms scatter as those of standard deviations spread evenly over a factor of four
MOST_BORROWED = 4.0
# of the median: a smaller variance counts as this one, so that two rounded values that are equal do not decide d0
SMALLEST = 1e-3
# of the residuals of a method, the least sum of 1 - leverage that counts
LEAST_FREE = 1e-6
# the standard deviation of scores, fractions, that differ by rounding alone
ROUNDING = 1e-12


@dataclass(frozen=True)
class Common:
    """What the trainings of many methods say of how much the trainings of any of them differ.

    Attributes
    ----------
    variance : float
        V0, of the difference between two methods' trainings.
    freedom : float
        d0, how many degrees of freedom that is worth for one difference.
    """

    variance: float
    freedom: float


def common_spread(scores: ArrayLike) -> Common | None:
    """Return what the trainings of all methods have in common.

    It is None where fewer than `FEWEST` methods have two trainings that other methods have as well, and where most
    methods' trainings are equal.

    Parameters
    ----------
    scores : shape (methods, trainings)
        Each training in one column: of one seed, on the same images. nan where a method lacks a training.
    """
    shared = np.asarray(scores, dtype=float)
    while True:
        shared = _in_common(shared)
        variances, freedom = residual_variances(shared)
        if (known := np.isfinite(variances)).all():
            break
        shared = shared[known]
    if len(shared) < FEWEST:
        return None
    typical = np.median(variances)
    if typical < ROUNDING**2:
        return None
    return Common(
        2 * float(np.average(variances, weights=freedom)),
        prior_freedom(np.maximum(variances, SMALLEST * typical), freedom),
    )


def _in_common(scores: np.ndarray) -> np.ndarray:
    """The scores of methods with two trainings or more, each of which another such method has as well."""
    while True:
        there = np.isfinite(scores)
        methods, trainings = there.sum(axis=1) > 1, there.sum(axis=0) > 1
        if methods.all() and trainings.all():
            return scores
        scores = scores[methods][:, trainings]


def residual_variances(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of each method's trainings in a two-way layout, method + training, and its freedom.

    The effects are fitted by least squares to the scores that there are. The squared residuals of a method are divided
    by what is expected of them where all variances are one: the sum of 1 - h, with h the leverage of each score. If no
    score is missing, that is (1 - 1 / methods) times the degrees of freedom, n - 1.

    Parameters
    ----------
    scores : shape (methods, trainings)
        nan where a method lacks a training.

    Returns
    -------
    variances, freedom : shape (methods,)
        A variance is nan where the effects fit a method's scores whatever they are.
    """
    methods, trainings = scores.shape
    there = np.isfinite(scores)
    rows, columns = np.nonzero(there)
    design = np.hstack([np.eye(methods)[rows], np.eye(trainings)[columns]])
    inverse, observed = np.linalg.pinv(design), scores[there]
    residuals, leverages = observed - design @ (inverse @ observed), (design * inverse.T).sum(axis=1)
    squares, expected = (np.bincount(rows, of_scores, methods) for of_scores in (residuals**2, 1 - leverages))
    # less is what summation leaves of zero
    return squares / np.where(expected < LEAST_FREE, np.nan, expected), there.sum(axis=1) - 1


def prior_freedom(variances: ArrayLike, freedom: ArrayLike) -> float:
    """Return d0 by Smyth's moments, at most `MOST_BORROWED`: the logarithms scatter by trigamma(d0 / 2) beyond chance.

    Parameters
    ----------
    variances : shape (methods,)
        Above zero.
    freedom : shape (methods,)
        The degrees of freedom of each.
    """
    half = np.asarray(freedom) / 2
    # what the logarithms would scatter around, had all methods one variance
    logarithms = np.log(variances) - special.digamma(half) + np.log(half)
    beyond_chance = np.var(logarithms, ddof=1) - special.polygamma(1, half).mean()
    if beyond_chance <= special.polygamma(1, MOST_BORROWED / 2):
        return MOST_BORROWED
    # trigamma(x) is above 1 / x^2
    between = 1 / np.sqrt(beyond_chance), MOST_BORROWED / 2
    return 2 * float(optimize.brentq(lambda half: special.polygamma(1, half) - beyond_chance, *between))


def moderated(difference: Estimate, common: Common | None) -> Estimate:
    """Return a difference of paired trainings with the spread that all methods' trainings show; itself if none is."""
    if common is None or difference.trainings == 1:
        return difference
    (spread,) = difference.spreads
    own = spread.trainings - 1
    together = common.freedom * common.variance / spread.trainings + own * spread.observed
    observed = max(spread.observed, together / (common.freedom + own))
    return replace(difference, spreads=(replace(spread, observed=observed, borrowed=common.freedom),))
