"""Criteria of fairness that need the predicted labels or their probabilities, calibration, and how sure each is.

Accuracy and DEO follow from right and wrong answers alone (`fairdistill.evaluation.criteria`); these do not. With the
prediction k, the true class y and the group a of an image, and P over the images of one split:

- overall accuracy equality: the largest difference between two groups in P(k = y | a). Berk et al., Sociological
  Methods & Research 50, 2021;
- statistical parity: the same in P(k | a), for each class k; `_a` is the mean and `_m` the maximum over classes. Dwork
  et al., ITCS 2012;
- equal opportunity: the same in P(k = 1 | y = 1, a), where there are two classes, the second of which is the favoured
  one. Hardt, Price, Srebro, NIPS 2016. With more classes none is favoured, and the gaps of all are `deo_per_class`;
- equalized odds difference: the largest of the differences in P(k | y, a) over all k and y. With two classes this is
  `equalized_odds_difference` of fairlearn and DEO_M; with more it asks more than DEO_M: also that errors be alike;
- predictive parity: the same as statistical parity in P(y = k | k, a). Chouldechova, Big Data 5, 2017. Left out are
  the classes that are never predicted in one of the groups;
- bias amplification: the mean over groups and classes of s_ak (P(k | a) - P(y = k | a)), where s_ak is the sign of the
  association of group and class in training, P(a, y = k) - P(a) P(y = k): above zero, the predictions follow it more
  than the labels do. Wang and Russakovsky, "Directional Bias Amplification", ICML 2021, from group to prediction. Their
  formula counts pairs without association as negative, their code leaves them out, and so does this;
- worst group's accuracy: the smallest P(k = y | a);
- counterfactual flip rate: the share of images whose prediction is not the same in all groups, where the test split has
  every image in each group, as CIFAR-10S and Digits-S have: there the copy in another group is the counterfactual of
  counterfactual fairness (Kusner et al., NIPS 2017). Garg et al., "Counterfactual Fairness in Text Classification
  through Robustness", AIES 2019, count such flips in text. Labels that were drawn at random are compared as drawn;
- expected calibration error (ECE): the sum over bins of the confidence, the probability of the prediction, of
  |share of right answers - mean confidence| times the share of images in the bin. The bins are 15 of equal width, each
  with its upper end. Guo et al., ICML 2017, equation 3;
- Brier score: the mean of the sum over classes of the squared distance of the probability from 1 for the true class,
  and from 0 for others; 0 to 2. Brier, Monthly Weather Review 78, 1950.

Images count as they do in the accuracy over all images (`Correctness.weighting`). All intervals are of 95 %, over test
images, from the bootstrap of `fairdistill.evaluation.uncertainty`, with fewer resamples, and of a hundred classes and
more with fewer yet, as memory allows. Those of differences between groups invert a test, as those of DEO do, and so do
those of the ECE, which is a sum of differences; both are too large on average, and `corrected` is freed of that. With
two classes, equal opportunity is the gap of the second class and equalized odds difference DEO_M, and they have the
intervals of these. That of the worst group's accuracy joins simultaneous intervals of all groups' (Bonferroni), and is
the longer for it. Bias amplification and the Brier score have percentile intervals. The flip rate, a share of
independent images, has Wilson's, for percentiles are empty where no image flips. It is that of as many images as there
are where classes count by their images, and else of so many as leave the share at least as uncertain as it is,
whichever classes flip. Of two classes of 10 and 100 images and the same weight, it covers 0.96 or more at 99 % of the
rates of 0 to 0.5 in each, and 0.90 at the least, near zero. That the numbers of images of the classes are fixed makes
the true one a little shorter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fairdistill.evaluation.correctness import Correctness
from fairdistill.evaluation.criteria import MEASURES, TAIL
from fairdistill.evaluation.uncertainty import ENDS, RESAMPLES, SEED, deo_interval, wilson_interval

BINS = 15
# these criteria need every image in each resample
FEWER_RESAMPLES = 2000
# of many classes there are fewer, but so many at least that ten lie beyond each end of an interval
LEAST_RESAMPLES = 400
# values that all resamples hold, of which each takes about 50 bytes at the peak
MOST_VALUES = 2**25
# images that are drawn at a time, which take about a gigabyte of memory
MOST_AT_ONCE = 2**25
# the least and the largest value, where they are not 0 and 1
RANGES = {"bias_amplification": (-1.0, 1.0), "brier": (0.0, 2.0)}


@dataclass(frozen=True)
class Cells:
    """What the criteria follow from: means over the images of each (group, class) cell.

    Attributes
    ----------
    predicted : shape (..., n_groups, n_classes, n_classes)
        P(k | a, y) at [a, y, k].
    bins : shape (..., n_groups, n_classes, 2, BINS)
        The share of right answers, and the mean confidence, of the images in each bin, as parts of the whole cell's.
    brier : shape (..., n_groups, n_classes)
    """

    predicted: np.ndarray
    bins: np.ndarray
    brier: np.ndarray


def assess_criteria(
    *,
    probability: np.ndarray,
    prediction: np.ndarray,
    label: np.ndarray,
    group: np.ndarray,
    image_id: np.ndarray,
    correctness: Correctness,
    of_correctness: Mapping,
    groups: Sequence[str],
    training_images: np.ndarray | None = None,
    resamples: int = RESAMPLES,
) -> dict:
    """Return every criterion of one model on one split, with its interval, ready for JSON.

    Each has its `value`, `low` and `high`, and where there is one the `corrected` value. `ece_per_group` and
    `brier_per_group` have these for each group.

    Parameters
    ----------
    probability : float array, shape (n, n_classes)
    prediction, label, group : int arrays, shape (n,)
    image_id : array of str, shape (n,)
    correctness : Correctness
        Of the same predictions.
    of_correctness : mapping
        What `fairdistill.evaluation.uncertainty.assess` says of it.
    groups : names in the order of their codes
    training_images : int array, shape (n_groups, n_classes), optional
        Number of training images in each cell; without it there is no bias amplification.
    """
    n_classes = probability.shape[1]
    of_image = _values_of_images(probability, prediction, label)
    table = pd.DataFrame({"group": group, "label": label, "image": image_id})
    table = table.sort_values(["group", "label", "image"], kind="stable")
    rows = table.groupby(["group", "label"]).groups
    values: dict[Any, np.ndarray] = {cell: of_image[np.asarray(found)] for cell, found in rows.items()}

    affordable = MOST_VALUES // values_of_a_resample(*correctness.count.shape)
    draws = min(resamples, FEWER_RESAMPLES, max(LEAST_RESAMPLES, affordable))
    observed, drawn = (_cells(means, n_classes) for means in _means_and_resamples(values, correctness, draws))
    found = _of_groups(observed, drawn, correctness, training_images)
    found |= _of_probabilities(observed, drawn, correctness.share, groups)
    if n_classes == 2:
        # one number has one interval, wherever it is given
        found["equal_opportunity"] |= {name: of_correctness["deo_per_class"][name][1] for name in ENDS}
        found["equalized_odds_difference"] |= {name: of_correctness["deo_m"][name] for name in ENDS}
    if correctness.paired:
        chosen_class = [
            np.stack([values[a, y][:, :n_classes].argmax(axis=1) for a in together])
            for together, y in correctness.strata
        ]
        found["counterfactual_flip_rate"] = _flip_rate(chosen_class, correctness.share.sum(axis=0))
    return {"resamples": draws, "seed": SEED, "bins": BINS, **found}


def _values_of_images(probability: np.ndarray, prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    """What `Cells` has the means of, for each image: (n, n_classes + 2 BINS + 1)."""
    classes = np.eye(probability.shape[1])
    confidence = probability[np.arange(len(label)), prediction]
    # bin b holds the confidences in (b / BINS, (b + 1) / BINS]
    in_bin = np.eye(BINS)[np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)]
    right = (prediction == label).astype(float)
    brier = np.square(probability - classes[label]).sum(axis=1, keepdims=True)
    return np.hstack([classes[prediction], in_bin * right[:, None], in_bin * confidence[:, None], brier])


def _means_and_resamples(
    values: Mapping[tuple[int, int], np.ndarray], correctness: Correctness, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """The means of each cell's images, (n_groups, n_classes, values), and those of resamples, (draws, ...).

    `values` are those of the images of each (group, class) cell, (images, values). Copies of an image are drawn
    together.
    """
    rng = np.random.default_rng(SEED)
    first = next(iter(values.values()))
    observed = np.empty((*correctness.count.shape, first.shape[1]))
    drawn = np.empty((draws, *observed.shape))
    for together, y in correctness.strata:
        for a in together:
            observed[a, y] = values[a, y].mean(axis=0)
        n = len(values[together[0], y])
        for some in np.array_split(np.arange(draws), -(-draws * n // MOST_AT_ONCE)):
            chosen = rng.integers(n, size=(len(some), n)) + n * np.arange(len(some))[:, None]
            times = np.bincount(chosen.ravel(), minlength=chosen.size).reshape(chosen.shape) / n
            for a in together:
                drawn[some, a, y] = times @ values[a, y]
    return observed, drawn


def values_of_a_resample(n_groups: int, n_classes: int) -> int:
    """Return how many numbers the `Cells` of one resample hold."""
    return n_groups * n_classes * (n_classes + 2 * BINS + 1)


def _cells(means: np.ndarray, n_classes: int) -> Cells:
    predicted, bins, brier = np.split(means, [n_classes, n_classes + 2 * BINS], axis=-1)
    return Cells(predicted, bins.reshape(*bins.shape[:-1], 2, BINS), brier[..., 0])


def _of_groups(
    observed: Cells, drawn: Cells, correctness: Correctness, training_images: np.ndarray | None
) -> dict[str, dict]:
    """The criteria that compare groups by predicted labels."""
    share, of_cell = correctness.share, 1 / correctness.count
    within = share / share.sum(axis=1, keepdims=True)
    predicted = [(cells.predicted * within[..., None]).sum(axis=-2) for cells in (observed, drawn)]
    accuracy = [(_diagonal(cells.predicted) * within).sum(axis=-1) for cells in (observed, drawn)]
    # what one image adds to the rates of its group, at the least
    image = (within * of_cell).min(axis=1, keepdims=True)
    n_classes = share.shape[1]
    # of two classes one says it all: with the other, whose rates are the rest, groups that tie would move apart twice
    shares = [rates[..., -1:] for rates in predicted] if n_classes == 2 else predicted
    found = {
        "overall_accuracy_equality": _gap(*(rate[..., None] for rate in accuracy), image=image, measure="deo_m"),
        "statistical_parity_a": _gap(*shares, image=image, measure="deo_a"),
        "statistical_parity_m": _gap(*shares, image=image, measure="deo_m"),
    }
    if n_classes == 2:
        favoured = [cells.predicted[..., 1, 1:] for cells in (observed, drawn)]
        found["equal_opportunity"] = _gap(*favoured, image=of_cell[:, 1:], measure="deo_m")
    rates = [cells.predicted.reshape(*cells.predicted.shape[:-2], -1) for cells in (observed, drawn)]
    found["equalized_odds_difference"] = _gap(*rates, image=np.repeat(of_cell, n_classes, axis=1), measure="deo_m")
    # classes that are predicted in each group
    always = (predicted[0] > 0).all(axis=0)
    if always.any():
        hits = [_diagonal(cells.predicted) * within for cells in (observed, drawn)]
        precision = hits[0][:, always] / predicted[0][:, always]
        # what a resample never predicts says nothing of the precision
        times = predicted[1][..., always]
        redrawn = np.where(times > 0, hits[1][..., always] / np.where(times > 0, times, 1), precision)
        of_predicted = image / predicted[0][:, always]
        found |= {
            f"predictive_parity_{one}": _gap(precision, redrawn, image=of_predicted, measure=f"deo_{one}")
            for one in "am"
        }
    if training_images is not None:
        n = training_images
        association = np.sign(n * n.sum() - n.sum(axis=1, keepdims=True) * n.sum(axis=0))
        found["bias_amplification"] = _percentiles(
            *((association * (p - within)).mean(axis=(-2, -1)) for p in predicted)
        )
    found["worst_group_accuracy"] = _worst(*accuracy)
    return found


def _of_probabilities(observed: Cells, drawn: Cells, share: np.ndarray, groups: Sequence[str]) -> dict[str, dict]:
    """ECE and Brier score, of all images and of each group."""
    bins = [cells.bins * share[..., None, None] for cells in (observed, drawn)]
    brier = [cells.brier * share for cells in (observed, drawn)]
    found: dict[str, dict] = {
        "ece": _ece(*(one.sum(axis=(-4, -3)) for one in bins)),
        "brier": _percentiles(*(one.sum(axis=(-2, -1)) for one in brier)),
        "ece_per_group": {},
        "brier_per_group": {},
    }
    for a, name in enumerate(groups):
        weight = share[a].sum()
        found["ece_per_group"][name] = _ece(*(one[..., a, :, :, :].sum(axis=-3) / weight for one in bins))
        found["brier_per_group"][name] = _percentiles(*(one[..., a, :].sum(axis=-1) / weight for one in brier))
    return found


def _gap(observed: np.ndarray, drawn: np.ndarray, *, image: np.ndarray, measure: str) -> dict[str, float]:
    """The mean or maximum over columns of the largest difference between two rows, (..., n_groups, columns).

    `image` is what one image changes, (n_groups, columns or 1), as in `fairdistill.evaluation.uncertainty.one_image`.
    """
    ends = deo_interval(observed, drawn - observed, measure=measure, resolution=np.sort(image, axis=0)[-2])
    return {"value": float(MEASURES[measure](observed)), **dict(zip(ENDS, map(float, ends), strict=True))}


def _ece(observed: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """The sum over bins of the difference between two rows, (..., 2, BINS): right answers and confidence."""
    used = observed.any(axis=0)
    # confidences are no whole numbers of images
    of_mean = _gap(observed[:, used], drawn[..., used], image=np.zeros((2, 1)), measure="deo_a")
    return {name: float(value * used.sum()) for name, value in of_mean.items()}


def _percentiles(observed: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(drawn, [TAIL, 1 - TAIL])
    return {"value": float(observed), "low": float(low), "high": float(high)}


def _worst(observed: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """The smallest of the groups' accuracies, (..., n_groups), with intervals that hold for all groups at once."""
    tail = TAIL / len(observed)
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0).min(axis=1)
    return {"value": float(observed.min()), "low": float(low), "high": float(high)}


def _flip_rate(predictions: Sequence[np.ndarray], share: np.ndarray) -> dict[str, float]:
    """The share of images that are not predicted alike in all groups.

    Parameters
    ----------
    predictions : for each class, int array of shape (n_groups, images)
    share : shape (n_classes,)
        The weight of each class.
    """
    flips = np.array([(of_class != of_class[0]).any(axis=0).mean() for of_class in predictions])
    value = float(share @ flips)
    # the variance is the sum of w^2 f (1 - f) / m over classes, f their flip rates, w and m their weights and images;
    # with the largest w / m in the place of each it is larger, and at most that of a share of so many images
    n = min(of_class.shape[1] / weight for weight, of_class in zip(share, predictions, strict=True))
    low, high = wilson_interval(value, n)
    return {"value": value, "low": low, "high": high}


def _diagonal(square: np.ndarray) -> np.ndarray:
    return np.diagonal(square, axis1=-2, axis2=-1)


def long_form(criteria: Mapping) -> list[dict]:
    """Return the criteria of `assess_criteria` as rows: criterion, group (empty where it is of all), value and ends."""
    rows = []
    for name, found in criteria.items():
        if name.endswith("_per_group"):
            rows += [
                {"criterion": name.removesuffix("_per_group"), "group": group, **one} for group, one in found.items()
            ]
        elif isinstance(found, Mapping):
            rows.append({"criterion": name, "group": "", **found})
    return rows
