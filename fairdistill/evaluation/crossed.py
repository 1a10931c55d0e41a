"""Intervals of what several trainings and one test set show: trainings and images as crossed factors.

A *training* is one run: of a seed and, where a data set has several disjoint test sets, of a fold. The score of a
training on an image, less the mean, has three parts: one of the training, one of the image, common to all trainings,
and one of the two together. A mean over trainings is as uncertain as the three are large:

- the *image part* of its variance, I, is what other test images would change in the mean of these very trainings. It
  holds the noise of the images and that of image and training together, and is known from the answers;
- the *training part* is what other trainings would change in it. The variance between the trainings says how much,
  T = (sample variance) / (number of trainings); but T holds the noise of image and training together, too, of which the
  variance between trainings owes them E, known from the answers, and which I counts already.

So the half-width of a 95 % interval is sqrt(z^2 I + max(0, t^2 T - z^2 E)), z the normal quantile, t Student's with one
degree of freedom less than there are trainings; and z sqrt(I) where T is no larger than E (of three trainings, than
half of it; of two, than a quarter), because then nothing shows that trainings differ but by the noise of the images.
Image noise is counted once, and trainings that happen to agree do not make an interval shorter than the images allow.
One training alone has no T: its interval is that of the test images alone.

The *p-value* of a difference is the smallest level a at which the interval of 1 - a, made by the same rule, leaves zero
out, so that it is below 0.05 just where the 95 % interval leaves zero out. z and t are then the quantiles at a, and the
image part of a DEO, which is known at 95 %, is taken as normal. The share of E below which T is not believed shrinks
with a: to the power 2 / (trainings - 1), because then trainings that do differ agree so well by luck with a probability
that is about proportional to a. With one share for all levels small p-values would be far too small: of pairs of
trainings about one in six agrees by luck. One training has no p-value.

DEO is not linear in the answers, and too large on average. The image part of the interval of a mean comes from
inverting a test (`fairdistill.evaluation.uncertainty.mean_deo_interval`), that of a difference from MOVER; I and E are
the variances of DEO over errors that are drawn for all trainings together.

Sources: Cameron, Gelbach and Miller, Journal of Business and Economic Statistics 29, 2011 (two crossed clusters: the
variances add, less what both count); Searle, Casella and McCulloch, Variance Components, 1992, chapter 4; Donner and
Zou, Statistical Methods in Medical Research 21, 2012 (MOVER for sums and for ratios). docs/statistics.md says what else
was tried, and how well these intervals cover.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import SupportsFloat

import numpy as np
from scipy import special
from scipy.linalg import block_diag

from fairdistill.evaluation.correctness import Correctness, pool
from fairdistill.evaluation.criteria import MEASURES, TAIL
from fairdistill.evaluation.uncertainty import (
    ENDS,
    NEAR_ZERO,
    SEED,
    extremes,
    mean_deo_interval,
    mover,
    pulled_together,
    smoothed,
    without_noise,
)

DRAWS = 4000
METRICS = ("accuracy", *MEASURES)
# by the degrees of freedom: the share of the variance expected of image noise alone above which the variance that was
# observed between trainings is believed. Chosen by simulation: two or three trainings often agree by chance.
ENOUGH = {1: 0.25, 2: 0.5, 3: 1.0}
Z = float(special.ndtri(1 - TAIL))
# no smaller one is told from it
SMALLEST_P = 1e-12


@dataclass(frozen=True)
class Spread:
    """How much a mean varies with its trainings.

    Attributes
    ----------
    observed : float
        The sample variance of the trainings, over their number.
    expected : float
        What it would be on average if the trainings differed by the noise of the images alone.
    trainings : int
    borrowed : float
        Degrees of freedom that `observed` has beyond those of the trainings; see `fairdistill.evaluation.moderation`.
    """

    observed: float
    expected: float
    trainings: int
    borrowed: float = 0.0

    def half_width(self, tail: float = TAIL) -> float:
        """Return what the trainings add to the half-width of an interval that leaves out `tail` on either side."""
        if self.trainings == 1:
            return 0.0
        freedom = self.trainings - 1 + self.borrowed
        enough = np.interp(freedom, [*ENOUGH], [*ENOUGH.values()]) * min(1.0, tail / TAIL) ** (2 / freedom)
        if self.observed <= enough * self.expected:
            return 0.0
        t, z = special.stdtrit(freedom, tail), special.ndtri(tail)
        return float(np.sqrt(max(0.0, t**2 * self.observed - z**2 * self.expected)))


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, or a difference between two such means, and how far it can be trusted.

    Attributes
    ----------
    values : float array, shape (seeds,)
        Of each seed. Where there are several folds it is computed from the answers on all of them.
    by_images : mapping
        `low` and `high`, the ends of the 95 % interval over test images alone, and `corrected`, the mean freed of what
        noise adds to a DEO.
    trainings : int
        Where it is 1, the interval says nothing about other trainings. Of a difference whose trainings are not paired,
        the smaller of the two models' numbers.
    images : float
        Half-width of the image part of the interval: sqrt(images^2 + between^2) is the half-width for an accuracy, and
        about that for a DEO, whose interval need not be symmetric.
    run : float
        Half-width of the image part for the value of one seed.
    shared : float
        The same of what the image parts of two seeds have in common; 0 where there is one seed.
    spreads : tuple of Spread
        What `between` is of; those of both means of a difference whose trainings are not paired.
    least : float
        The least value that there is, which the interval does not go below; the largest is 1.
    """

    values: np.ndarray
    by_images: Mapping[str, float]
    trainings: int
    images: float
    run: float
    shared: float
    spreads: tuple[Spread, ...]
    least: float = 0.0

    @property
    def corrected(self) -> float:
        """The mean freed of what noise adds to a DEO."""
        return self.by_images["corrected"]

    @property
    def between(self) -> float:
        """Half-width of the training part of the interval."""
        return float(np.linalg.norm([spread.half_width() for spread in self.spreads]))

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return max(self.least, self.corrected - float(np.hypot(self.corrected - self.by_images["low"], self.between)))

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return min(1.0, self.corrected + float(np.hypot(self.by_images["high"] - self.corrected, self.between)))

    @property
    def p(self) -> float:
        """The two-sided p-value of zero, see the top of this file; at least `SMALLEST_P`, nan for one training."""
        if self.trainings == 1:
            return np.nan
        distance = abs(self.corrected)
        images = abs(self.corrected - self.by_images["low" if self.corrected > 0 else "high"]) / Z

        def leaves_zero_out(level: float) -> bool:
            tail = level / 2
            parts = [images * special.ndtri(tail), *(spread.half_width(tail) for spread in self.spreads)]
            return bool(distance > np.linalg.norm(parts))

        # bisection of the logarithm
        low, high = np.log(SMALLEST_P), 0.0
        while high - low > 1e-9:
            middle = (low + high) / 2
            low, high = (low, middle) if leaves_zero_out(np.exp(middle)) else (middle, high)
        return float(np.exp(high))


class Trainings:
    """The trainings of one model, which are looked at together.

    Parameters
    ----------
    tests : sequence of sequences of Correctness
        Of each seed, on each fold. All seeds have as many folds; a seed may have test images of its own.
    known : mapping, optional
        The intervals of each DEO over test images where they are known already, as those of a single training are; see
        `fairdistill.evaluation.uncertainty.assess`.
    draws : int
        Of the errors.
    """

    def __init__(self, tests: Sequence[Sequence[Correctness]], *, known: Mapping | None = None, draws: int = DRAWS):
        self.by_seed = tests
        self.tests = [test for folds in tests for test in folds]
        self.known, self.draws = known, draws
        self.cells = np.array([[test.accuracy for test in folds] for folds in tests])
        count = np.array([[test.count for test in folds] for folds in tests])
        # of each fold in the cells of a seed, (seeds, folds, n_groups, n_classes)
        self.share = count / count.sum(axis=1, keepdims=True)
        # of each cell in the accuracy of a seed, (seeds, n_groups, n_classes)
        self.weight = np.array([pool(folds).share for folds in tests])

    def over_folds(self, cells: np.ndarray) -> np.ndarray:
        """Return the accuracy of the cells of each seed, (..., seeds, n_groups, n_classes), from that on each fold."""
        return (cells * self.share).sum(axis=-3)

    def of_groups(self) -> np.ndarray:
        """Return the accuracy of each group of each seed, shape (seeds, n_groups)."""
        return (self.over_folds(self.cells) * self.weight).sum(axis=-1) / self.weight.sum(axis=-1)

    def scores(self, cells: np.ndarray, metric: str) -> np.ndarray:
        """Return what each training adds to a metric, shape (..., seeds, folds): the mean over folds is the seed's.

        DEO is a weighted sum of the cells of a seed that are its extremes, so each fold has a part in it.

        Parameters
        ----------
        cells : float array, shape (..., seeds, folds, n_groups, n_classes)
        """
        pooled = self.over_folds(cells)[..., None, :, :]
        weight = self.weight[..., None, :, :]
        if metric != "accuracy":
            weight = extremes(pooled[..., 0, :, :], measure=metric)[..., None, :, :]
        # what a fold departs from the pooled cells by, so that folds of unequal size and equal accuracy score alike
        parted = cells.shape[-3] * (cells - pooled) * self.share
        return ((pooled + parted) * weight).sum(axis=(-2, -1))

    def drawn(self, error: np.ndarray, metric: str) -> np.ndarray:
        """Return `scores` under errors, (draws, trainings, n_groups, n_classes), in the shape (draws, trainings).

        The errors are added to cells that differ between seeds no more than the trainings do.
        """
        error = error.reshape(len(error), *self.cells.shape)
        observed = self.over_folds(self.cells)
        placed, _ = pulled_together(observed, self.over_folds(error))
        return self.scores(self.cells + (placed - observed)[:, None] + error, metric).reshape(len(error), -1)

    @cached_property
    def errors(self) -> np.ndarray:
        """Errors of the cells of each training, see `draw_errors`."""
        return draw_errors(self.tests, self.draws)

    @cached_property
    def by_images(self) -> dict[str, dict[str, float]]:
        """Low, corrected and high of the mean of each DEO: what other images could have given these trainings."""
        if self.known is not None:
            return {measure: {end: float(self.known[measure][end]) for end in ENDS} for measure in MEASURES}
        error = self.over_folds(self.errors.reshape(len(self.errors), *self.cells.shape))
        return {
            measure: _interval(*mean_deo_interval(self.over_folds(self.cells), error, measure=measure))
            for measure in MEASURES
        }

    @cached_property
    def mean(self) -> dict[str, Estimate]:
        """The mean over seeds of accuracy, deo_a and deo_m; no interval leaves 0..1."""
        found = {}
        for metric in METRICS:
            scores = self.scores(self.cells, metric)
            if metric == "accuracy":
                found[metric] = _estimate(scores, _of_accuracy([self]))
            else:
                by_images = self.by_images[metric]
                found[metric] = _estimate(scores, _of_drawn(self.drawn(self.errors, metric)), by_images)
        return found


def difference(model: Trainings, other: Trainings) -> dict[str, Estimate]:
    """Return model minus other, seed by seed, in accuracy, deo_a and deo_m.

    Both have the same seeds in the same order. What the images have in common cancels where both were tested on the
    same. Where both have as many folds, the two trainings of a seed and fold are a pair, and what they have in common
    cancels, too. Where they do not, a seed's value is of all folds of each, and the trainings are not paired: their
    parts, as each of the two means has it, join as those of independent means.
    """
    n = len(model.tests)
    paired = model.cells.shape[1] == other.cells.shape[1]
    error, found = draw_errors([*model.tests, *other.tests], model.draws), {}
    for metric in METRICS:
        scores = [one.scores(one.cells, metric) for one in (model, other)]
        if metric == "accuracy":
            joint, by_images = _of_accuracy([model, other]), None
        else:
            joint = _of_drawn(np.hstack([model.drawn(error[:, :n], metric), other.drawn(error[:, n:], metric)]))
            of_both = model.by_images[metric], other.by_images[metric]
            low, high = mover(*of_both, _correlation(joint[:n, :n].sum(), joint[n:, n:].sum(), joint[:n, n:].sum()))
            by_images = _interval(low, of_both[0]["corrected"] - of_both[1]["corrected"], high)
        unpaired: tuple[Estimate, ...] = ()
        if not paired:
            over_folds = block_diag(*(np.kron(np.eye(len(of)), np.full(of.shape[1], 1 / of.shape[1])) for of in scores))
            joint = over_folds @ joint @ over_folds.T
            scores = [of.mean(axis=1, keepdims=True) for of in scores]
            unpaired = model.mean[metric], other.mean[metric]
        half = len(joint) // 2
        covariance = joint[:half, :half] + joint[half:, half:] - joint[:half, half:] - joint[half:, :half]
        found[metric] = _estimate(scores[0] - scores[1], covariance, by_images, least=-1.0, unpaired=unpaired)
    return found


def relative(model: Estimate, other: Estimate, gap: Estimate) -> tuple[float, float, float, float]:
    """Return the difference as a share of the other's mean, and its 95 % interval: (share, low, corrected, high).

    The interval is Donner and Zou's of a ratio (2012, section 4), of the corrected means, and `corrected` is the share
    that these have; `share` is that of the means as observed, as a mean is given beside the interval of a corrected
    one. The correlation follows from the parts of the three estimates. All are missing where the other's interval is,
    or all but is, cut off by zero.

    Parameters
    ----------
    model, other, gap : of one metric, the means of two models and their difference
    """
    if other.low <= NEAR_ZERO * other.high or model.corrected <= 0:
        return np.nan, np.nan, np.nan, np.nan
    first, second, both = (one.images**2 + one.between**2 for one in (model, other, gap))
    correlation = _correlation(first, second, (first + second - both) / 2)

    def end(up: bool) -> float:
        of_model, of_other = (model.high, other.low) if up else (model.low, other.high)
        product = model.corrected * other.corrected
        centre = product + correlation * (of_model - model.corrected) * (of_other - other.corrected)
        factors = of_model * of_other * (2 * model.corrected - of_model) * (2 * other.corrected - of_other)
        root = np.sqrt(max(0.0, centre**2 - factors))
        return float((centre + root if up else centre - root) / (of_other * (2 * other.corrected - of_other)))

    ends = (end(False), end(True)) if other.high < 2 * other.corrected else (np.nan, np.nan)
    shares = model.values.mean() / other.values.mean(), ends[0], model.corrected / other.corrected, ends[1]
    share, low, corrected, high = (float(ratio) - 1 for ratio in shares)
    return share, low, corrected, high


def _correlation(first: float, second: float, covariance: float) -> float:
    spread = np.sqrt(first * second)
    return float(np.clip(covariance / spread, -1, 1)) if spread > 0 else 0.0


def _estimate(
    scores: np.ndarray,
    covariance: np.ndarray,
    by_images: Mapping | None = None,
    least: float = 0.0,
    unpaired: Sequence[Estimate] = (),
) -> Estimate:
    """Join the parts of the images and of the trainings.

    Parameters
    ----------
    scores : shape (seeds, folds)
    covariance : shape (trainings, trainings)
        Of the scores over test images.
    by_images : mapping, optional
        The interval of the mean over test images; without it, the normal one.
    least : see `Estimate`
    unpaired : the two means of a difference whose trainings are not paired, which have the part of the trainings
    """
    values, trainings, mean = scores.mean(axis=1), scores.size, float(scores.mean())
    image_part = max(0.0, covariance.sum()) / trainings**2
    images = Z * np.sqrt(image_part)
    if unpaired:
        spreads = tuple(spread for one in unpaired for spread in one.spreads)
        trainings = min(one.trainings for one in unpaired)
    else:
        spreads = (_spread(scores, covariance, image_part),)
    of_seeds = covariance.reshape(*scores.shape, *scores.shape).mean(axis=(1, 3))
    # rounding may leave a little less than nothing
    run = max(0.0, of_seeds.trace()) / len(of_seeds)
    pairs = len(of_seeds) * (len(of_seeds) - 1)
    shared = max(0.0, (of_seeds.sum() - of_seeds.trace()) / pairs) if pairs else 0.0
    if by_images is None:
        by_images = _interval(mean - images, mean, mean + images)
    return Estimate(
        values=values,
        by_images=by_images,
        trainings=trainings,
        images=float(images),
        run=float(Z * np.sqrt(run)),
        shared=float(Z * np.sqrt(shared)),
        spreads=spreads,
        least=least,
    )


def _spread(scores: np.ndarray, covariance: np.ndarray, image_part: float) -> Spread:
    n = scores.size
    if n == 1:
        return Spread(0.0, 0.0, 1)
    return Spread(
        observed=float(scores.var(ddof=1)) / n,
        expected=float(covariance.trace() - n * image_part) / (n - 1) / n,
        trainings=n,
    )


def draw_errors(tests: Sequence[Correctness], draws: int) -> np.ndarray:
    """Return errors of cells over test images, shape (draws, trainings, n_groups, n_classes).

    They are normal, with the covariances of the answers: images that trainings were both tested on, and copies of an
    image, have their answers drawn together. A training that errs nowhere has errors all the same, see `_blocks`. The
    same numbers are drawn on every machine and by every version of numpy.
    """
    # those of a Generator may change with the version of numpy
    half = np.random.RandomState(SEED).standard_normal((draws // 2, len(tests), *tests[0].count.shape))
    normal = np.concatenate([half, -half])
    error = np.zeros_like(normal)
    for place, covariance in _blocks(tests):
        values, vectors = np.linalg.eigh(covariance)
        # the symmetric root is unique, and so no matter of the software that finds it
        root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        everywhere: tuple = (slice(None), *place)
        of_block = normal[everywhere]
        error[everywhere] = (of_block.reshape(draws, -1) @ root).reshape(of_block.shape)
    return error


def _blocks(tests: Sequence[Correctness]) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
    """Yield the cells whose accuracies depend on each other, as indices, and their covariance over test images.

    A test in which no gap has noise (`without_noise`) has errors of the size of `unseen_errors`, in each cell by
    itself; half of their variance is common to all such trainings, as how often they would err together is not known.
    """
    for digest in dict.fromkeys(test.images for test in tests):
        together = [i for i, test in enumerate(tests) if test.images == digest]
        silent = np.array([without_noise(tests[i]).all() for i in together])
        unseen = np.outer(silent, silent) * (1 + np.eye(len(together))) / 2
        for groups, y in tests[together[0]].strata:
            right = np.array([tests[i].right[a][y] for i in together for a in groups], dtype=float)
            n = right.shape[1]
            p = float(smoothed(np.array(1.0), np.array(n)))
            right -= right.mean(axis=1, keepdims=True)
            covariance = right @ right.T / (n * max(1, n - 1))
            if silent.any():
                covariance += np.kron(unseen, np.eye(len(groups))) * p * (1 - p) / n
            yield np.ix_(together, groups, [y]), covariance


def _of_accuracy(models: Sequence[Trainings]) -> np.ndarray:
    """Covariance over test images of the accuracy of all trainings of some models, (trainings, trainings)."""
    weights = [model.share * model.weight[:, None] * model.cells.shape[1] for model in models]
    weight = np.concatenate([one.reshape(-1, *one.shape[2:]) for one in weights])
    covariance = np.zeros((len(weight), len(weight)))
    for place, block in _blocks([test for model in models for test in model.tests]):
        together, of_block = place[0].ravel(), weight[place][..., 0]
        size = of_block.shape
        covariance[np.ix_(together, together)] += np.einsum(
            "ia,iajb,jb->ij", of_block, block.reshape(*size, *size), of_block
        )
    return covariance


def _of_drawn(scores: np.ndarray) -> np.ndarray:
    """Covariance of drawn scores, (draws, trainings)."""
    return np.cov(scores, rowvar=False).reshape(scores.shape[1], scores.shape[1])


def _interval(*ends: SupportsFloat) -> dict[str, float]:
    """Low, corrected and high by their names."""
    return dict(zip(ENDS, map(float, ends), strict=True))
