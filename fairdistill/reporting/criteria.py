"""The table of criteria: what each model scores by other criteria of fairness than DEO, and how well it is calibrated.

For the criteria, their sources and the interval of one training see `fairdistill.evaluation.group_criteria`.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from fairdistill.evaluation.criteria import TAIL
from fairdistill.evaluation.group_criteria import RANGES
from fairdistill.reporting.columns import OVER_SEEDS, SEEDS
from fairdistill.reporting.trainings import TrainingsOfModels, for_all_seeds, over_seeds

# least and largest of a criterion that is a share
SHARE = (0.0, 1.0)
CRITERION = [*OVER_SEEDS, "criterion", "group"]
COLUMNS = [
    *(*OVER_SEEDS, "needs_group", "criterion", "group"),
    *("mean", "sd", "n", "trainings", "low", "corrected", "high", *SEEDS),
]


def criteria_table(criteria: pd.DataFrame, trainings: TrainingsOfModels) -> pd.DataFrame:
    """Return each criterion over seeds, one row per model, criterion and group.

    Columns: needs_group, whether the method needs the group of each image at prediction time; group, empty where the
    criterion is of all groups together; mean; sd (ddof = 1) over seeds, missing where there is one; n, the number of
    seeds; trainings; low, corrected and high; seeds, and the value of each in values. The value of a seed is the mean
    over its folds, and not that of all folds together, as a DEO is in summary.csv.

    The interval, at 95 %, joins that of a training and Student's interval of the mean over trainings, as independent.
    It is too long rather than too short: it takes the noise of the images as common to all seeds, and counts a part of
    it a second time in what trainings differ by. Where there is one training it is that of its test images.

    Parameters
    ----------
    criteria
        One row per training, criterion and group, with the columns `CRITERIA`.
    trainings
        Those of the same models: one that is the same for every seed is one training, as in summary.csv.
    """
    rows = []
    for names, found in criteria.groupby(CRITERION, sort=False):
        row: dict[str, Any] = dict(zip(CRITERION, names, strict=True))
        row["needs_group"] = found["needs_group"].any()
        rows.append(row | over_trainings(found, trainings, limits=RANGES.get(row["criterion"], SHARE)))
    return pd.DataFrame(rows, columns=COLUMNS)


def over_trainings(rows: pd.DataFrame, trainings: TrainingsOfModels, *, limits: tuple[float, float] = SHARE) -> dict:
    """Return mean, sd, n, trainings, low, corrected, high, seeds and values of one criterion of a model.

    They are explained at `criteria_table`.

    Parameters
    ----------
    rows
        One of each training, with the columns `IDENTITY`, value, low, corrected (which may be missing) and high.
    trainings
        See `criteria_table`.
    limits
        The least and the largest value that the criterion can have.
    """
    found = trainings.apart(rows)
    values = found.groupby("seed")["value"].mean().round(12)
    centre = found["corrected"].fillna(found["value"])
    # test images of folds are others, and those of seeds the same
    size = found.groupby("seed")["seed"].transform("size")
    down, up = (
        (np.abs(end - centre) / size).groupby(found["seed"]).apply(np.linalg.norm).mean()
        for end in (found["low"], found["high"])
    )
    n, between = len(found), 0.0
    if n > 1:
        between = special.stdtrit(n - 1, 1 - TAIL) * found["value"].round(12).std() / np.sqrt(n)
    corrected = centre.groupby(found["seed"]).mean().mean()
    ends = {"low": max(limits[0], corrected - np.hypot(down, between))}
    ends |= {"high": min(limits[1], corrected + np.hypot(up, between))}
    row = {"mean": values.mean(), "trainings": n, "corrected": corrected} | over_seeds(values, values.index) | ends
    return for_all_seeds(row, rows)
