"""The class probabilities of a model in a file that is small enough to publish beside its metrics.

predictions.parquet has them in single precision and with the names of the images; this file has them in half precision
and with the samples' numbers. It is for what needs more than right and wrong answers, such as calibration.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from fairdistill.evaluation.metrics import SPLITS, cell_accuracy
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import replacing


def compact(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return predictions without the names of the images, and the probabilities in half precision.

    Parameters
    ----------
    predictions
        One row per image, see `fairdistill.evaluation.metrics.evaluate_file`: sample_id, image_id, split, label, group,
        p0, p1, ...

    Returns
    -------
    DataFrame
        The same rows: sample_id int32, split, label and group int16, and p0, p1, ... float16; and where labels were
        drawn from the probabilities, prediction int16. The number of a sample
        and the digest of the data set in the metrics file say which image it is.
    """
    probabilities = {name: np.float16 for name in predictions if re.fullmatch(r"p\d+", str(name))}
    return predictions.drop(columns="image_id").astype(probabilities)


def write_compact(path: Path | str, predictions: Path | str) -> None:
    """Write what `compact` makes of a Parquet file of predictions as another."""
    with replacing(path) as partial:
        compact(pd.read_parquet(predictions)).to_parquet(partial, index=False, compression="zstd")


def read_cells(
    path: Path | str, *, classes: Sequence[str], groups: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return what a file of `write_compact` says of the cells of each split that it has.

    Half precision keeps the order of two probabilities, or makes them equal. So an answer is known from it where one
    class is the most probable, and may be right or wrong where the true class is one of several that are. Where labels
    were drawn, the file has them.

    Parameters
    ----------
    classes, groups
        Their names in the order of the codes.

    Returns
    -------
    dict
        By the names that `SPLITS` gives the splits: least and most, the bounds of the accuracy of each cell, and count,
        its number of images; all of shape (n_groups, n_classes).

    Raises
    ------
    UserError
        One line that names the file, if it is damaged, lacks a column or a cell, or holds what is no probability.
    """
    probability = [f"p{y}" for y in range(len(classes))]
    try:
        table = pd.read_parquet(path)
        if missing := [name for name in ["split", "label", "group", *probability] if name not in table]:
            raise UserError(f"column '{missing[0]}' is missing")
        p = table[probability].to_numpy()
        if not ((p >= 0) & (p <= 1)).all():
            raise UserError("a probability is not a number in 0..1")
        label, group = table["label"].to_numpy(), table["group"].to_numpy()
        top = p == p.max(axis=1, keepdims=True)
        may_be_right = (top & (label[:, None] == np.arange(len(classes)))).any(axis=1)
        is_right = may_be_right & (top.sum(axis=1) == 1)
        if "prediction" in table:
            is_right = may_be_right = table["prediction"].to_numpy() == label
        found = {}
        for split in [name for name in SPLITS if name in set(table["split"])]:
            of_split = (table["split"] == split).to_numpy()
            # any wrong class will do
            bounds = (
                cell_accuracy(
                    label=label[of_split],
                    group=group[of_split],
                    prediction=np.where(right, label, (label + 1) % len(classes))[of_split],
                    classes=classes,
                    groups=groups,
                )
                for right in (is_right, may_be_right)
            )
            (least, count), (most, _) = bounds
            found[SPLITS[split]] = least, most, count
        return found
    except (UserError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}") from error
