"""The class probabilities of a model in a file that is small enough to publish beside its metrics.

predictions.parquet has them in single precision and with the names of the images; this file has them in half precision
and with the samples' numbers. It is for what needs more than right and wrong answers, such as calibration.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from fairdistill.runtime.files import replacing

# half precision keeps a probability to this much, and classes that differ by less may change places
PRECISION = 2.0**-11


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
        The same rows: sample_id int32, split, label and group int16, and p0, p1, ... float16. The number of a sample
        and the digest of the data set in the metrics file say which image it is.
    """
    probabilities = {name: np.float16 for name in predictions if re.fullmatch(r"p\d+", str(name))}
    return predictions.drop(columns="image_id").astype(probabilities)


def write_compact(path: Path | str, predictions: Path | str) -> None:
    """Write what `compact` makes of a Parquet file of predictions as another."""
    with replacing(path) as partial:
        compact(pd.read_parquet(predictions)).to_parquet(partial, index=False, compression="zstd")
