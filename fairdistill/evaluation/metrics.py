"""Accuracy, the difference in equalized odds (DEO) and other criteria of one model, from its predictions on one split.

Accuracy and DEO follow from the accuracy of each (group, class) cell, see `fairdistill.evaluation.criteria`; values are
fractions in 0..1. For all others see `fairdistill.evaluation.group_criteria`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike

from fairdistill.evaluation.correctness import Correctness, collect
from fairdistill.evaluation.criteria import deo_a, deo_m, gaps, overall
from fairdistill.evaluation.group_criteria import assess_criteria
from fairdistill.evaluation.uncertainty import RESAMPLES, assess
from fairdistill.runtime.errors import UserError

# the splits that models are scored on, and the field of the metrics file that holds the scores of each
SPLITS = {"test": "metrics", "validation": "validation"}


def cell_accuracy(
    *,
    label: ArrayLike,
    group: ArrayLike,
    prediction: ArrayLike,
    classes: Sequence,
    groups: Sequence,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the accuracy and the number of samples of each (group, class) cell.

    Parameters
    ----------
    label, group, prediction : integer arrays, shape (n,)
        True class, sensitive group and predicted class of each sample, coded 0, 1, ...
    classes, groups : sequences of length n_classes and n_groups
        Their names in the order of the codes, for messages; `range(n)` will do.

    Returns
    -------
    accuracy : float array, shape (n_groups, n_classes)
        Pr(prediction = y | A = a, Y = y).
    count : int array, shape (n_groups, n_classes)

    Raises
    ------
    UserError
        If an array does not hold codes in range, or a cell has no sample.
    """
    label = _codes("label", label, len(classes))
    group = _codes("group", group, len(groups))
    prediction = _codes("prediction", prediction, len(classes))
    cell = group * len(classes) + label
    size, shape = len(groups) * len(classes), (len(groups), len(classes))
    count = np.bincount(cell, minlength=size).reshape(shape)
    correct = np.bincount(cell[prediction == label], minlength=size).reshape(shape)
    for a, y in np.argwhere(count == 0)[:1]:
        raise UserError(
            f"no image of class '{classes[y]}' in group '{groups[a]}': "
            "DEO needs at least one in every (class, group) cell"
        )
    return correct / count, count


def evaluate(
    predictions: pd.DataFrame,
    *,
    classes: Sequence[str],
    groups: Sequence[str],
    weighting: str = "images",
    training_images: Mapping[str, Mapping[str, int]] | None = None,
    resamples: int = RESAMPLES,
) -> dict:
    """Return every metric of one model, its uncertainty, and the correctness they follow from, ready for JSON.

    The field `criteria` has those that do not follow from the correctness, see
    `fairdistill.evaluation.group_criteria.assess_criteria`.

    The difference in equalized odds is given as deo_a, its mean, and deo_m, its maximum over classes:
    DEO_A = 1/M sum over y of max over a, a' of |Pr(pred = y | A = a, Y = y) - Pr(pred = y | A = a', Y = y)|,
    the formula in section IV-A of the paper; DEO_M takes the maximum over y in place of the mean. Both are
    defined in Jung, Lee, Park, Moon, "Fair Feature Distillation for Visual Recognition", CVPR 2021.

    Parameters
    ----------
    predictions : DataFrame
        One row per image of one split with the columns image_id (the same for copies of one image), label, group,
        p0 .. p{n_classes - 1}; the prediction is the most probable class, or the column `prediction` where it is there.
    classes, groups : names in the order of their codes
    weighting : "images" or "cells"
        What counts the same in the accuracy of all images, of a group and of a class.
    training_images : mapping, optional
        Number of training images by group and class, for the bias amplification.
    resamples : int
        Of the bootstrap that the uncertainty is computed with.

    Raises
    ------
    UserError
        If a column is missing, a value is out of range, or a (class, group) cell has no image.

    Examples
    --------
    >>> predictions = pd.DataFrame({"label": [0, 0, 1, 1, 1, 1], "group": [0, 1, 0, 0, 1, 1], "p1": [0, 1, 1, 0, 1, 1]})
    >>> predictions["image_id"] = ["i", "j", "k", "l", "m", "n"]
    >>> result = evaluate(predictions.assign(p0=1 - predictions["p1"]), classes=["young", "old"], groups=["a", "b"])
    >>> result["deo_per_class"], result["deo_a"], result["deo_m"]
    ({'young': 1.0, 'old': 0.5}, 0.75, 1.0)
    """
    probability = [f"p{y}" for y in range(len(classes))]
    expected = ["image_id", "label", "group", *probability]
    if missing := [name for name in expected if name not in predictions]:
        raise UserError(f"column '{missing[0]}' is missing; predictions need {', '.join(expected)}")
    if f"p{len(classes)}" in predictions:
        raise UserError(f"more probabilities than the {len(classes)} classes: {', '.join(classes)}")
    p = predictions[probability].to_numpy(dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise UserError("a probability is not a number in 0..1; train the model again")

    label, group = predictions["label"].to_numpy(), predictions["group"].to_numpy()
    prediction = predicted(predictions, len(classes))
    cells, _ = cell_accuracy(label=label, group=group, prediction=prediction, classes=classes, groups=groups)
    correctness = collect(
        right=prediction == label,
        label=label,
        group=group,
        image_id=predictions["image_id"].to_numpy(),
        shape=cells.shape,
        weighting=weighting,
    )
    counts = None
    if training_images is not None:
        counts = np.array([[training_images[of][name] for name in classes] for of in groups])
    scores = score(correctness, classes=classes, groups=groups, resamples=resamples)
    criteria = assess_criteria(
        probability=p,
        prediction=prediction,
        label=label,
        group=group,
        image_id=predictions["image_id"].to_numpy(),
        correctness=correctness,
        of_correctness=scores["uncertainty"],
        groups=groups,
        training_images=counts,
        resamples=resamples,
    )
    return scores | {"criteria": criteria}


def predicted(predictions: pd.DataFrame, n_classes: int) -> np.ndarray:
    """Return the predicted classes (n,): those that were drawn, where the method draws them, else the most probable."""
    if "prediction" in predictions:
        return predictions["prediction"].to_numpy()
    return predictions[[f"p{y}" for y in range(n_classes)]].to_numpy().argmax(axis=1)


def score(
    correctness: Correctness, *, classes: Sequence[str], groups: Sequence[str], resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Return what `evaluate` does but for the `criteria`, from the right and wrong answers alone."""
    accuracy, count, share = correctness.accuracy, correctness.count, correctness.share
    per_group = np.average(accuracy, weights=share, axis=1)
    return {
        "n": int(count.sum()),
        "accuracy": float(overall(accuracy, share)),
        "deo_a": float(deo_a(accuracy)),
        "deo_m": float(deo_m(accuracy)),
        "worst_group_accuracy": float(per_group.min()),
        "accuracy_per_group": _named(groups, per_group),
        "accuracy_per_class": _named(classes, np.average(accuracy, weights=share, axis=0)),
        "deo_per_class": _named(classes, gaps(accuracy)),
        "cell_accuracy": {name: _named(classes, row) for name, row in zip(groups, accuracy, strict=True)},
        "cell_count": {name: _named(classes, row) for name, row in zip(groups, count, strict=True)},
        "uncertainty": assess(correctness, resamples=resamples),
        "correctness": correctness.to_json(classes=classes, groups=groups),
    }


def evaluate_file(
    path: Path | str,
    *,
    classes: Sequence[str],
    groups: Sequence[str],
    weighting: str = "images",
    training_images: Mapping[str, Mapping[str, int]] | None = None,
) -> dict[str, dict]:
    """Return `evaluate` of each split in a Parquet file of predictions, under the names that `SPLITS` gives them.

    The test split has to be there, the validation split need not. A row's split is in its column `split`.

    Raises
    ------
    UserError
        One line that names the file, if it is damaged or `evaluate` refuses what it holds.
    """
    try:
        predictions = pd.read_parquet(path)
        if "split" not in predictions:
            raise UserError("column 'split' is missing; train the model again")
        return {
            field: _evaluate_split(
                predictions[predictions["split"] == split],
                split,
                classes=classes,
                groups=groups,
                weighting=weighting,
                training_images=training_images,
            )
            for split, field in SPLITS.items()
            if split == "test" or split in set(predictions["split"])
        }
    except (UserError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}") from error


def _evaluate_split(predictions: pd.DataFrame, split: str, **names) -> dict:
    try:
        return evaluate(predictions, **names)
    except UserError as error:
        raise UserError(f"{split} split: {error}") from error


def _codes(name: str, values: ArrayLike, n: int) -> np.ndarray:
    values = np.asarray(values)
    if values.size == 0:
        return values.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise UserError(f"{name} holds {values.dtype}, not integers")
    if values.min() < 0 or values.max() >= n:
        raise UserError(f"{name} holds {values.min()}..{values.max()}, outside 0..{n - 1}")
    return values.astype(np.int64)


def _named(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))
