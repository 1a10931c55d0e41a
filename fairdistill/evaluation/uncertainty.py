"""How far accuracy and DEO can be trusted on a finite test set: intervals, the fair baseline, gaps between models.

DEO is a maximum minus a minimum over groups and so never below zero: noise in the cells' accuracies adds to it and
does not cancel. Hence a fair classifier scores above zero (the fair baseline), and every DEO is too large on average.
The ordinary bootstrap adds the noise a second time, so that its percentile intervals nearly always miss a small DEO.
Therefore

- the *fair baseline* is simulated from a classifier that has the model's accuracy in each class and no bias;
- the *interval* of a DEO inverts a test: it holds each true DEO under which the observed one is not among the 5 % most
  surprising. Its lower end allows for groups that tie;
- the *corrected* DEO is the true one under which half of all models would score above the observed DEO. It is as often
  too large as too small, but too large on average where the truth is near zero, because it cannot be negative;
- no interval is narrower than the images allow: groups that tie exactly are taken to be one image apart, and cells
  without any error, or of copies that are always answered alike, are drawn with the errors that might have been;
- the interval of a *gap* between two models joins their two intervals (MOVER; near zero, the plain difference).

Intervals and fair baseline of a model come from one bootstrap over test images, stratified by (class, group), in which
the copies of an image are drawn together. Images are not drawn one by one: within a stratum, the numbers of images with
each pattern of right and wrong answers are multinomial. What several trainings show together is the matter of
`fairdistill.evaluation.crossed`.

Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (bootstrap, percentile interval); Andrews,
Econometrica 68, 2000 (why it fails at a boundary); Chuang and Lai, Statistica Sinica 10, 2000 (inverting simulated
tests over a one-parameter family: hybrid resampling); Feldman and Cousins, Physical Review D 57, 1998 (tails that
become one-sided at a boundary); Andrews and Soares, Econometrica 78, 2010 (what noise may set apart is treated as
equal; here smoothly, with a constant factor); Cowan, Cranmer, Gross and Vitells, arXiv:1105.3166, 2011 (an upper end
that is not below what a fair model's lucky draw would give); Agresti and Coull, The American Statistician 52, 1998
(cells without an error); Zou and Donner, Statistics in Medicine 27, 2008 (MOVER).
`docs/statistics.md` says what was chosen and how well it covers.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import factorial
from typing import SupportsFloat

import numpy as np
from scipy import special

from fairdistill.evaluation.correctness import Correctness
from fairdistill.evaluation.criteria import CONFIDENCE_LEVEL, MEASURES, ROUNDING, TAIL, is_at_chance, overall

RESAMPLES = 10_000
SEED = 0
# steps of the bisection that finds the ends of a DEO's interval, to 0.0001
HALVINGS = 14

# with fewer images in a cell than these, intervals of a DEO may cover less than 93 %
FEW = 50

ABOVE = "above fair baseline"
FAIR = "not distinguishable from fair"
AT_CHANCE = "at chance"
# where the lower end of an interval is below this share of the upper one, zero has all but cut it off
NEAR_ZERO = 0.1
ENDS = ("low", "corrected", "high")


def assess(correctness: Correctness, *, resamples: int = RESAMPLES) -> dict:
    """Return the uncertainty of one model's accuracy, DEO_A and DEO_M, ready for JSON.

    All values are fractions. accuracy has the ends of its interval, `low` and `high`; deo_a and deo_m have those,
    the `corrected` value, the `fair_baseline` (mean, low and high of a fair classifier's DEO) and the `verdict`:
    "at chance" where the model is no more accurate than one that names the largest class for every image, so that its
    DEO tells nothing; "above fair baseline" where the observed DEO exceeds the baseline's high; else "not
    distinguishable from fair". deo_per_class has low, corrected and high of each class's gap, in lists in the order of
    the classes. Where a cell has fewer than `FEW` images there is a `caution` that says so.

    A cell `without_noise` has the errors of `unseen_errors` in the interval of its class's gap, and where all cells are
    such in those of deo_a and deo_m, too. Where only some are, deo_a and deo_m are left as the bootstrap has them: of
    many cells, such errors would more often leave the truth out. Where no cell has both right and wrong answers, the
    interval of accuracy is Wilson's.
    """
    rng = np.random.default_rng(SEED)
    observed, share = correctness.accuracy, correctness.share
    drawn = resample(correctness, resamples=resamples, rng=rng)
    fair = resample_fair(correctness, resamples=resamples, rng=rng)
    accuracy = np.quantile(overall(drawn, share), [TAIL, 1 - TAIL])
    error, unseen = drawn - observed, unseen_errors(correctness, resamples=resamples)
    # of one class the maximum over classes is its own gap
    of_classes = np.swapaxes(error + unseen, 1, 2)[..., None]
    image = one_image(correctness.count)
    ends = deo_interval(observed.T[..., None], of_classes, measure="deo_m", resolution=image[:, None])
    if correctness.is_certain.all():
        # as of independent images, of which copies are one, that count as those of the least certain cells do
        n = min(correctness.count[groups[0], y] / share[groups, y].sum() for groups, y in correctness.strata)
        accuracy = np.array(wilson_interval(float(overall(observed, share)), n))
    if without_noise(correctness).all():
        error = unseen
    result = {
        "level": CONFIDENCE_LEVEL,
        "resamples": resamples,
        "seed": SEED,
        "accuracy": _named(accuracy, ["low", "high"]),
    }
    if (fewest := int(correctness.count.min())) < FEW:
        result["caution"] = (
            f"a (class, group) cell has only {fewest} images: 95 % intervals of DEO may hold the truth less often, in "
            "simulations of such data in 84 to 98 % of studies"
        )
    at_chance = is_at_chance(float(overall(observed, share)), share)
    result["deo_per_class"] = dict(zip(ENDS, (end.tolist() for end in ends), strict=True))
    for name, measure in MEASURES.items():
        low, corrected, high = deo_interval(observed, error, measure=name, resolution=image)
        baseline = measure(fair)
        top = np.quantile(baseline, 1 - TAIL)
        result[name] = {
            **_named([low, corrected, high], ENDS),
            "fair_baseline": _named([baseline.mean(), np.quantile(baseline, TAIL), top], ["mean", "low", "high"]),
            "verdict": verdict(float(measure(observed)), float(top), at_chance=at_chance),
        }
    return result


def fair_baseline(correctness: Correctness) -> dict[str, list[float]]:
    """Return the mean and the 95 % range, [mean, low, high], of each DEO of a fair classifier on this test set."""
    drawn = resample_fair(correctness, resamples=RESAMPLES, rng=np.random.default_rng(SEED))
    found = {name: measure(drawn) for name, measure in MEASURES.items()}
    return {name: [float(deo.mean()), *np.quantile(deo, [TAIL, 1 - TAIL]).tolist()] for name, deo in found.items()}


def verdict(deo: float, fair_baseline_high: float, *, at_chance: bool) -> str:
    """Return the verdict on a DEO, see `assess`, from the upper end of the fair baseline's 95 % range."""
    if at_chance:
        return AT_CHANCE
    return ABOVE if deo > fair_baseline_high else FAIR


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a share of n independent images.

    Wilson, Journal of the American Statistical Association 22, 1927. It is never empty, also where the share is 0 or 1.
    Where images do not count the same, n is how many that do would leave the share as uncertain.

    Examples
    --------
    >>> wilson_interval(0.0, 100)
    (0.0, 0.036993498206985256)
    """
    squared = float(special.ndtri(1 - TAIL)) ** 2 / n
    middle, half = share + squared / 2, np.sqrt(squared * (share * (1 - share) + squared / 4))
    low, high = (middle - half) / (1 + squared), (middle + half) / (1 + squared)
    # at 0 and 1 rounding would leave the share out
    return float(max(0.0, min(share, low))), float(min(1.0, max(share, high)))


def extremes(accuracy: np.ndarray, *, measure: str) -> np.ndarray:
    """Return the weights with which cells add up to a DEO, in the shape of the cells, (..., n_groups, n_classes).

    The best group of a class counts positive and the worst negative: for DEO_A in each class, for DEO_M in that of the
    largest gap. Those that tie share the weight.
    """
    top, bottom = accuracy.max(axis=-2, keepdims=True), accuracy.min(axis=-2, keepdims=True)
    weight = _share(accuracy == top, -2) - _share(accuracy == bottom, -2)
    gap = top - bottom
    return weight * _share(gap == gap.max(axis=-1, keepdims=True), -1) if measure == "deo_m" else weight / gap.shape[-1]


def _share(chosen: np.ndarray, axis: int) -> np.ndarray:
    return chosen / chosen.sum(axis=axis, keepdims=True)


def mover(first: Mapping, second: Mapping, correlation: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of first - second from an interval of each: the method of variance estimates recovery.

    Zou and Donner 2008, equation for a difference of correlated estimates. The distance from an estimate to the end of
    its interval stands for a multiple of its standard deviation. Where zero cuts a lower end off, or nearly, that
    distance is too short, and the plain difference of the ends takes its place.

    Parameters
    ----------
    first, second : mappings with low, corrected (the point estimate) and high
        Numbers, or arrays of one shape.
    correlation : of the two estimates
    """

    def reach(one: Mapping, other: Mapping) -> np.ndarray:
        """The distances of one's lower and the other's upper end from their estimates, joined."""
        down, up = one["corrected"] - one["low"], other["high"] - other["corrected"]
        joined = np.sqrt(np.maximum(0.0, down**2 + up**2 - 2 * correlation * down * up))
        return np.where(one["low"] > NEAR_ZERO * one["high"], joined, down + up)

    difference = first["corrected"] - second["corrected"]
    return difference - reach(first, second), difference + reach(second, first)


def resample(correctness: Correctness, *, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return bootstrapped cell accuracies of a model, shape (resamples, n_groups, n_classes).

    Each resample draws as many images of each class (paired), or of each cell (not paired), as there are, with
    replacement; an image brings all its copies.
    """
    accuracy = np.empty((resamples, *correctness.count.shape))
    for strata, y in correctness.strata:
        bits = np.array([correctness.right[a][y] for a in strata])
        accuracy[:, strata, y] = _draw(*_patterns(bits), bits.shape[1], resamples, rng)
    return accuracy


def resample_fair(correctness: Correctness, *, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return cell accuracies of a fair classifier on this test set, shape (resamples, n_groups, n_classes).

    It has the per-class accuracy of the model. Where images are paired, copies err together as often as the
    model's, but which copy is right alone is left to chance: their answers are exchanged over all orders of groups.
    """
    n_groups, n_classes = correctness.count.shape
    accuracy = np.empty((resamples, n_groups, n_classes))
    for strata, y in correctness.strata:
        cells = [correctness.right[a][y] for a in range(n_groups)]
        if correctness.paired:
            patterns, frequency = _exchanged(np.array(cells))
        else:
            patterns, frequency = _patterns(np.concatenate(cells)[None])
        accuracy[:, strata, y] = _draw(patterns, frequency, len(cells[strata[0]]), resamples, rng)
    return accuracy


def unseen_errors(correctness: Correctness, *, resamples: int) -> np.ndarray:
    """Return errors that no resample has, shape (resamples, n_groups, n_classes), and 0 where resamples have errors.

    They are those of cells `without_noise`: of answers that are wrong at the rate that `smoothed` gives where none was
    seen, for each group by itself.
    """
    count = correctness.count
    p = np.where(without_noise(correctness), smoothed(np.round(correctness.accuracy), count), 0)
    # not with the seed of the bootstrap, whose draws these would follow
    rng = np.random.default_rng([SEED, 1])
    return rng.binomial(count, p, size=(resamples, *count.shape)) / count - p


def without_noise(correctness: Correctness) -> np.ndarray:
    """Return whether no resample changes what a cell adds to the gap of its class, shape (n_groups, n_classes).

    Such are cells with only right, or only wrong, answers, and those of a class in which all copies of each image are
    answered alike.
    """
    return correctness.is_certain | correctness.is_alike


def smoothed(share: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the middle of Wilson's 95 % intervals of shares of n images, see `wilson_interval`.

    It has two answers more of either kind, about, than were seen (Agresti and Coull 1998).
    """
    squared = special.ndtri(TAIL) ** 2
    return (share * n + squared / 2) / (n + squared)


def one_image(count: np.ndarray) -> np.ndarray:
    """Return the gap that one image makes in each class, shape (n_classes,), from `count`, (n_groups, n_classes).

    Of groups of unequal size it is an image of the second smallest: whatever gap the answers of the smallest leave,
    those of all others can close it to this.
    """
    return 1 / np.sort(count, axis=0)[:2][-1]


def deo_interval(
    accuracy: np.ndarray, error: np.ndarray, *, measure: str, resolution: np.ndarray | float = 0.0
) -> tuple[np.ndarray, ...]:
    """Return the ends of the 95 % test-set interval of a model's DEO and its corrected value, (low, corrected, high).

    See `mean_deo_interval`, of which this is the case of one training.

    Parameters
    ----------
    accuracy : shape (..., n_groups, n_classes)
        Observed.
    error : shape (resamples, ..., n_groups, n_classes)
        Bootstrapped minus observed.
    measure : "deo_a" or "deo_m"
    resolution : shape (..., n_classes), optional
    """
    return mean_deo_interval(accuracy[None], error[:, None], measure=measure, resolution=resolution)


def mean_deo_interval(
    accuracy: np.ndarray, error: np.ndarray, *, measure: str, resolution: np.ndarray | float = 0.0
) -> tuple[np.ndarray, ...]:
    """Return the ends of the 95 % test-set interval of the mean DEO of trainings, and its corrected value.

    The result is (low, corrected, high), of shape (...). The trainings are those that there are; what others could have
    given is added by `fairdistill.evaluation.crossed`.

    The interval holds the true means that an inverted test does not reject. If the true mean is t, the trainings score
    mean DEO(truth(t) + error), with errors that are drawn for all of them together. truth(t) are cells that have the
    mean DEO t and otherwise lie as observed, once chance has been taken out of the differences between trainings
    (`pulled_together`), except for the lower end (below). The DEO of all trainings grows or shrinks by the same amount.
    For DEO_A the gaps of all classes do, down to zero (soft thresholding); for DEO_M gaps above the new maximum are cut
    to it, or the largest is widened to it. Where a gap grows, its two extreme groups move apart; where it shrinks, all
    groups approach each other in proportion. At the corrected value, half of the scores would be above the observed
    mean.

    Where groups tie for an extreme, each adds its noise to the score. But noise also sets their observed cells apart,
    so that cells placed as observed score too little, and the lower end would leave true DEOs out. For that end each
    group is therefore moved towards its nearer extreme (`_towards_extremes`), in all classes; but for the DEO_M of one
    training in the class of the largest gap alone, because the observed gaps of the others, too wide by their own
    noise, already add to the score.

    A t is rejected where so large a score has a probability below 5 % - s, or so small a score one below s. Near zero,
    the share s of the lower tail moves to the upper one (Feldman and Cousins), because DEO cannot be negative: s grows
    from nearly nothing at t = 0 to 2.5 % where the scores lie apart from a fair model's. It is 2.5 % times the
    probability that a fair model scores below all but the smallest 2.5 % of them.

    For the upper end, an observed DEO that is smaller than all but 2.5 % of a fair model's counts as that quantile
    (Cowan and others, power-constrained limits): a lucky draw does not show that a model is fairer than fair. And
    accuracies are whole numbers of images, so that gaps of exactly zero are observed, but at nearly every t never
    simulated. Where no class has a gap of one image, the observed DEO counts as that of such gaps in all.

    Parameters
    ----------
    accuracy : shape (trainings, ..., n_groups, n_classes)
        Observed.
    error : shape (resamples, trainings, ..., n_groups, n_classes)
        Drawn minus observed.
    measure : "deo_a" or "deo_m"
    resolution : shape (..., n_classes), optional
        The gap that one image makes in each class, see `one_image`; 0 where errors are not of whole images.
    """
    observed = MEASURES[measure](accuracy).mean(axis=0)
    # groups and classes first: this is fast because it passes over whole arrays
    cells, placed_errors, errors = (
        np.ascontiguousarray(np.moveaxis(array, (-2, -1), (0, 1)))
        for array in (*pulled_together(accuracy, error), error)
    )
    top, bottom = cells.max(axis=0), cells.min(axis=0)
    gap, middle = top - bottom, (top + bottom) / 2
    scale = np.where(gap > 0, gap, 1)
    as_observed, moved = (cells - middle) / scale, (_towards_extremes(cells, placed_errors) - middle) / scale
    largest = gap.max(axis=0)
    if measure == "deo_m" and len(accuracy) == 1:
        moved = np.where(gap == largest, moved, as_observed)
    # the two groups that move apart, also where there is no gap yet
    ends = np.zeros_like(cells)
    np.put_along_axis(ends, cells.argmax(axis=0)[None], 0.5, axis=0)
    np.put_along_axis(ends, (len(cells) - 1 - cells[::-1].argmin(axis=0))[None], -0.5, axis=0)

    def gaps(t: np.ndarray) -> np.ndarray:
        """The gaps of truth(t), (n_classes, trainings, ...); t is a change for DEO_A, and a mean for DEO_M."""
        if measure == "deo_a":
            return np.clip(gap + t, 0, 1)
        new = np.clip(largest + (t - largest.mean(axis=0)), 0, 1)
        return np.where(gap == largest, new, np.minimum(gap, new))

    def scores(t: np.ndarray, place: np.ndarray) -> np.ndarray:
        new = gaps(t)
        truth = place * np.minimum(new, gap) + ends * np.maximum(new - gap, 0)
        high = truth[0][:, None] + errors[0]
        low = high.copy()
        for cell, noise in zip(truth[1:], errors[1:], strict=True):
            answer = cell[:, None] + noise
            np.maximum(high, answer, out=high)
            np.minimum(low, answer, out=low)
        high -= low
        return (high.mean(axis=0) if measure == "deo_a" else high.max(axis=0)).mean(axis=1)

    fair = -gap.max(axis=(0, 1)) if measure == "deo_a" else largest.mean(axis=0) - largest.max(axis=0)
    fair_scores = scores(fair, as_observed)
    over_classes = np.mean if measure == "deo_a" else np.max
    image = np.moveaxis(np.broadcast_to(resolution, accuracy[..., 0, :].shape), -1, 0)
    tied = np.all(gap < image - ROUNDING, axis=(0, 1))
    least = np.maximum(np.quantile(fair_scores, TAIL, axis=0), tied * over_classes(image, axis=0).mean(axis=0))

    def small(drawn: np.ndarray) -> np.ndarray:
        return TAIL * np.mean(fair_scores <= np.quantile(drawn, TAIL, axis=0), axis=0)

    def too_small(drawn: np.ndarray) -> np.ndarray:
        """Whether the true DEO is too small for what was observed."""
        return np.mean(drawn >= observed - ROUNDING, axis=0) < 2 * TAIL - small(drawn)

    def not_too_large(drawn: np.ndarray) -> np.ndarray:
        return np.mean(drawn <= np.maximum(observed, least) + ROUNDING, axis=0) >= small(drawn)

    def below_median(drawn: np.ndarray) -> np.ndarray:
        return np.mean(drawn > observed, axis=0) + np.mean(drawn == observed, axis=0) / 2 < 0.5

    def border(below: Callable[[np.ndarray], np.ndarray], place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Enclose the t up to which `below` holds of the scores."""
        low, high = fair, np.ones_like(fair)
        for _ in range(HALVINGS):
            t = (low + high) / 2
            holds = below(scores(t, place))
            low, high = np.where(holds, t, low), np.where(holds, high, t)
        return low, high

    # of the brackets of both ends, the outer bounds
    low, corrected = border(too_small, moved)[0], border(below_median, as_observed)[0]
    found = np.minimum(low, corrected), corrected, border(not_too_large, as_observed)[1]
    return tuple(over_classes(gaps(t), axis=0).mean(axis=0) for t in found)


def pulled_together(accuracy: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return cells of trainings that differ as much as the trainings do but for chance, and the errors of these cells.

    The cells of all trainings approach their mean over trainings by one factor, which takes the variance that the
    noise of the images explains out of that between trainings. One training stays as it is.

    Parameters
    ----------
    accuracy : shape (trainings, ..., n_groups, n_classes)
    error : shape (resamples, trainings, ..., n_groups, n_classes)
    """
    if len(accuracy) == 1:
        return accuracy, error
    cells = (-2, -1)
    observed = accuracy.var(axis=0, ddof=1).mean(axis=cells)
    expected = error.var(axis=1, ddof=1).mean(axis=(0, *cells))
    factor = np.sqrt(np.maximum(0, 1 - expected / np.where(observed > 0, observed, np.inf)))[..., None, None]

    def pull(array: np.ndarray, axis: int) -> np.ndarray:
        mean = array.mean(axis=axis, keepdims=True)
        return mean + factor * (array - mean)

    return pull(accuracy, 0), pull(error, 1)


def _towards_extremes(cells: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return cells, (n_groups, n_classes, ...), with each group moved towards the nearer extreme of its class.

    Its distance d, of variance v over test sets, becomes d * d^2 / (d^2 + 2 v). The 2 is chosen by simulation: with
    less, intervals cover too little where groups tie; with more, too much elsewhere. The extremes stay, so that two
    groups are unchanged.

    Parameters
    ----------
    errors : shape (n_groups, n_classes, resamples, ...)
        Bootstrapped minus observed.
    """
    to_top, to_bottom = cells.max(axis=0) - cells, cells - cells.min(axis=0)
    nearer = np.where(to_top <= to_bottom, cells.argmax(axis=0), cells.argmin(axis=0))
    distance = np.take_along_axis(cells, nearer, axis=0) - cells
    noise = 2 * (np.take_along_axis(errors, nearer[:, :, None], axis=0) - errors).var(axis=2)
    total = distance**2 + noise
    return cells + distance * noise / np.where(total > 0, total, 1)


def _patterns(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct columns of `bits`, shape (k, N), in lexicographic order, and how often each occurs."""
    return np.unique(bits, axis=1, return_counts=True)


def _exchanged(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the `_patterns` of all columns of `bits`, shape (k, N), with their rows in each of the k! orders.

    Among these, an image with r right answers has each pattern of r ones r! (k - r)! times.
    """
    k = len(bits)
    patterns = np.array(list(product([False, True], repeat=k))).T
    with_so_many = np.bincount(bits.sum(axis=0), minlength=k + 1)
    times = [n * factorial(r) * factorial(k - r) for r, n in enumerate(with_so_many.tolist())]
    frequency = np.array([times[r] for r in patterns.sum(axis=0)])
    return patterns[:, frequency > 0], frequency[frequency > 0]


def _draw(patterns: np.ndarray, frequency: np.ndarray, n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n columns of `patterns`, shape (k, ...), by frequency; return each row's share of ones, (resamples, k)."""
    drawn = rng.multinomial(n, frequency / frequency.sum(), size=resamples)
    return drawn @ patterns.T.astype(float) / n


def _named(values: Sequence[SupportsFloat], names: Sequence[str]) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))
