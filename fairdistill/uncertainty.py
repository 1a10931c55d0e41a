"""How far accuracy and DEO may be trusted on a finite test set: intervals, the floor of a fair classifier, gaps.

DEO is a range, maximum minus minimum over groups, and so never below zero: noise in the cells does not cancel in
it, it adds. A fair classifier scores above zero (the floor), every DEO is too large on average, and the ordinary
bootstrap doubles that bias instead of showing it: its percentile intervals miss a small DEO nearly always. So

- the *floor* is simulated from a classifier with the model's per-class accuracy and no bias;
- the *interval* of a DEO inverts a test: it holds each true DEO under which the observed one would not be among
  the 2.5 % smallest or the 2.5 % largest. The same curve at 50 % is the *corrected* DEO, which is median-unbiased;
- the interval of a *gap* between two models joins their two intervals (MOVER).

Intervals and floor rest on one bootstrap over test images, stratified by (class, group), that draws the copies of an
image together. Images are not drawn one by one: given the strata, the numbers of images with each pattern of right
and wrong are multinomial. The covariance of two models' scores on the same images is had in closed form.

Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (bootstrap, percentile interval); Andrews,
Econometrica 68, 2000 (why it fails at a boundary); Chuang and Lai, Statistica Sinica 10, 2000 (inverting simulated
tests over a one-parameter family: hybrid resampling); Zou and Donner, Statistics in Medicine 27, 2008 (MOVER).
`docs/statistics.md` says what was chosen and how well it covers.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from statistics import NormalDist

import numpy as np

from fairdistill.outcomes import Outcomes

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
RESAMPLES = 10_000
SEED = 0
# of the bisection in DEO: to 0.0001
HALVINGS = 14

ABOVE = "above floor"
FAIR = "not distinguishable from fair"


def assess(outcomes: Outcomes, *, resamples: int = RESAMPLES, seed: int = SEED) -> dict:
    """Return the uncertainty of one model's accuracy, DEO_A and DEO_M, ready for JSON.

    All values are fractions. accuracy has the ends of its interval, `low` and `high`; deo_a and deo_m have those,
    the `corrected` value, the `floor` (mean, low and high of a fair classifier's DEO) and the `verdict`: "above
    floor" where the observed DEO exceeds floor's high, else "not distinguishable from fair".
    """
    rng = np.random.default_rng(seed)
    observed, count = outcomes.accuracy, outcomes.count
    drawn = resample([outcomes], resamples=resamples, rng=rng)[:, 0]
    fair = resample_fair(outcomes, resamples=resamples, rng=rng)
    result = {
        "level": LEVEL,
        "resamples": resamples,
        "seed": seed,
        "accuracy": _named(np.quantile(overall(drawn, count), [TAIL, 1 - TAIL]), ["low", "high"]),
    }
    for name, measure in MEASURES.items():
        low, corrected, high = deo_interval(observed, drawn - observed, measure=name)
        floor = measure(fair)
        top = np.quantile(floor, 1 - TAIL)
        result[name] = {
            "low": float(low),
            "corrected": float(corrected),
            "high": float(high),
            "floor": _named([floor.mean(), np.quantile(floor, TAIL), top], ["mean", "low", "high"]),
            "verdict": verdict(measure(observed), top),
        }
    return result


def verdict(deo: float, floor_high: float) -> str:
    """Say whether a DEO is above what a fair classifier scores, given the upper end of the floor's 95 % range."""
    return ABOVE if deo > floor_high else FAIR


def gap_intervals(
    student: Outcomes, teacher: Outcomes, student_uncertainty: Mapping, teacher_uncertainty: Mapping
) -> dict[str, tuple[float, float]]:
    """Return the test-set interval (low, high) of student minus teacher in accuracy, deo_a and deo_m.

    Accuracy has the normal interval of a difference, DEO the MOVER one; the covariances are exact for accuracy, and
    for DEO those of the cells that are its extremes (delta method). Both models count as tested on the same images
    where they were; else as if their test sets were independent, which is wider.

    Parameters
    ----------
    student_uncertainty, teacher_uncertainty : as `assess` returns them
    """
    covariance = _covariance(student, teacher, [model.count / model.count.sum() for model in (student, teacher)])
    difference = overall(student.accuracy, student.count) - overall(teacher.accuracy, teacher.count)
    half = NormalDist().inv_cdf(1 - TAIL) * np.sqrt(covariance.trace() - 2 * covariance[0, 1])
    result = {"accuracy": (float(difference - half), float(difference + half))}
    for name in MEASURES:
        correlation = deo_correlation(student, teacher, measure=name)
        result[name] = mover(student_uncertainty[name], teacher_uncertainty[name], correlation)
    return result


def deo_correlation(student: Outcomes, teacher: Outcomes, *, measure: str) -> float:
    """Return the correlation of two models' DEO over test sets, by the delta method; 0 where one has no variance."""
    weights = []
    for model in (student, teacher):
        cells = model.accuracy
        gap = np.ptp(cells, axis=0)
        # extremes that tie share the weight
        extreme = _share(cells == cells.max(axis=0)) - _share(cells == cells.min(axis=0))
        weights.append(extreme * (1 / len(gap) if measure == "deo_a" else _share(gap == gap.max())))
    covariance = _covariance(student, teacher, weights)
    spread = np.sqrt(covariance[0, 0] * covariance[1, 1])
    return float(covariance[0, 1] / spread) if spread > 0 else 0.0


def _share(chosen: np.ndarray) -> np.ndarray:
    return chosen / chosen.sum(axis=0)


def _covariance(student: Outcomes, teacher: Outcomes, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Covariance over test sets, (2, 2), of a weighted sum of cell accuracies of each model."""
    covariance = np.zeros((2, 2))
    for groups, y in _strata(student):
        n = len(student.right[groups[0]][y])
        sums = [
            sum(weight[a, y] * model.right[a][y] for a in groups)
            for model, weight in zip((student, teacher), weights, strict=True)
        ]
        if student.images is not None and student.images == teacher.images:
            covariance += np.cov(sums, bias=True) / n
        else:
            covariance += np.diag([np.var(values) / len(values) for values in sums])
    return covariance


def mover(first: Mapping, second: Mapping, correlation: float) -> tuple[float, float]:
    """Return the interval of first - second from an interval of each: the method of variance estimates recovery.

    Zou and Donner 2008, equation for a difference of correlated estimates.

    Parameters
    ----------
    first, second : mappings with low, corrected (the point estimate) and high
    correlation : float
        Of the two estimates.
    """
    difference = first["corrected"] - second["corrected"]

    def reach(a: float, b: float) -> float:
        return float(np.sqrt(max(0.0, a**2 + b**2 - 2 * correlation * a * b)))

    low = reach(first["corrected"] - first["low"], second["high"] - second["corrected"])
    high = reach(first["high"] - first["corrected"], second["corrected"] - second["low"])
    return difference - low, difference + high


def overall(accuracy: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Accuracy over all samples from cells, shape (..., n_groups, n_classes) -> (...)."""
    return (accuracy * count).sum(axis=(-2, -1)) / count.sum()


def deo_a(accuracy: np.ndarray) -> np.ndarray:
    """DEO_A from cells, shape (..., n_groups, n_classes) -> (...)."""
    return np.ptp(accuracy, axis=-2).mean(axis=-1)


def deo_m(accuracy: np.ndarray) -> np.ndarray:
    """DEO_M from cells, shape (..., n_groups, n_classes) -> (...)."""
    return np.ptp(accuracy, axis=-2).max(axis=-1)


MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"deo_a": deo_a, "deo_m": deo_m}


def resample(models: Sequence[Outcomes], *, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return bootstrapped cell accuracies of models, shape (resamples, n_models, n_groups, n_classes).

    Each resample draws as many images of each class (paired), or of each cell (not paired), as there are, with
    replacement; an image brings all its copies and the answers of all models.
    """
    first, *others = models
    if any(other.images is None or other.images != first.images for other in others):
        alone = [resample([model], resamples=resamples, rng=rng) for model in models]
        return np.concatenate(alone, axis=1)
    n_groups, n_classes = first.count.shape
    accuracy = np.empty((resamples, len(models), n_groups, n_classes))
    for strata, y in _strata(first):
        bits = np.array([model.right[a][y] for model in models for a in strata])
        share = _draw(bits, bits.shape[1], resamples, rng)
        accuracy[:, :, strata, y] = share.reshape(resamples, len(models), len(strata))
    return accuracy


def resample_fair(outcomes: Outcomes, *, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return cell accuracies of a fair classifier on this test set, shape (resamples, n_groups, n_classes).

    It has the per-class accuracy of the model. Where images are paired, copies err together as often as the
    model's, but which copy is right alone is left to chance: their answers are exchanged over all orders of groups.
    """
    n_groups, n_classes = outcomes.count.shape
    accuracy = np.empty((resamples, n_groups, n_classes))
    for strata, y in _strata(outcomes):
        cells = [outcomes.right[a][y] for a in range(n_groups)]
        if outcomes.paired:
            pool = np.concatenate([np.array(order) for order in permutations(cells)], axis=1)
        else:
            pool = np.concatenate(cells)[None]
        accuracy[:, strata, y] = _draw(pool, len(cells[strata[0]]), resamples, rng)
    return accuracy


def deo_interval(accuracy: np.ndarray, error: np.ndarray, *, measure: str) -> tuple[np.ndarray, ...]:
    """Return (low, corrected, high), each of shape (...): the true DEOs that put the observed one at 97.5, 50, 2.5 %.

    Under a true DEO t the model would score DEO(truth(t) + error), with the bootstrap's errors. truth(t) are the
    cells that have DEO t and are otherwise nearest to what was observed: for DEO_A the gaps of all classes grow or
    shrink by the same amount, down to zero (soft thresholding); for DEO_M gaps above t are cut to t, or the
    largest is stretched to it. Groups keep their order and relative place. Where the observed DEO is below what a
    fair model scores, the upper tail is taken relative to a fair model's (CLs: Read, J. Phys. G 28, 2002), lest
    luck make the interval short.

    Parameters
    ----------
    accuracy : shape (..., n_groups, n_classes)
        Observed.
    error : shape (resamples, ..., n_groups, n_classes)
        Bootstrapped minus observed.
    measure : "deo_a" or "deo_m"
    """
    deo = MEASURES[measure]
    gap = np.ptp(accuracy, axis=-2, keepdims=True)
    observed = deo(accuracy)
    # a class without a gap gets one between its first and its last group
    none = np.zeros((accuracy.shape[-2], 1))
    none[0], none[-1] = -0.5, 0.5
    centred = accuracy - accuracy.mean(axis=-2, keepdims=True)
    direction = np.where(gap > 0, centred / np.where(gap > 0, gap, 1), none)
    widest = gap == gap.max(axis=-1, keepdims=True)

    def truth(t: np.ndarray) -> np.ndarray:
        t = t[..., None, None]
        if measure == "deo_a":
            return direction * np.clip(gap + t, 0, 1)
        return direction * np.where(widest, t, np.minimum(gap, t))

    def above(t: np.ndarray) -> np.ndarray:
        """The share of models that score above the observed DEO, ties by half."""
        scores = deo(truth(t) + error)
        return np.mean(scores > observed, axis=0) + np.mean(scores == observed, axis=0) / 2

    fair = -gap.max(axis=(-2, -1)) if measure == "deo_a" else np.zeros_like(observed)

    def true_deo(share: float | np.ndarray) -> np.ndarray:
        """The DEO under which `share` of the models score above the observed one."""
        low, high = fair, np.ones_like(fair)
        for _ in range(HALVINGS):
            t = (low + high) / 2
            below = above(t) < share
            low, high = np.where(below, t, low), np.where(below, high, t)
        return deo(truth(low))

    return true_deo(TAIL), true_deo(0.5), true_deo(1 - TAIL * (1 - above(fair)))


def _strata(outcomes: Outcomes) -> list[tuple[list[int], int]]:
    """The groups whose samples are drawn together, and the class, of each stratum."""
    n_groups, n_classes = outcomes.count.shape
    together = [list(range(n_groups))] if outcomes.paired else [[a] for a in range(n_groups)]
    return [(groups, y) for y in range(n_classes) for groups in together]


def _draw(bits: np.ndarray, n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n columns of `bits`, shape (k, N), with replacement; return each row's share of ones, (resamples, k)."""
    patterns, frequency = np.unique(bits, axis=1, return_counts=True)
    drawn = rng.multinomial(n, frequency / bits.shape[1], size=resamples)
    return drawn @ patterns.T.astype(float) / n


def _named(values: Sequence[float], names: Sequence[str]) -> dict[str, float]:
    return dict(zip(names, map(float, values), strict=True))
