"""The projected features of a study's models, see `fairdistill.evaluation.projections`."""

import numpy as np
import pandas as pd
from pyarrow import ArrowInvalid

from fairdistill.evaluation.records import PROJECTED
from fairdistill.reporting.columns import MODEL, TRAINING, keys
from fairdistill.reporting.grids import paths_of
from fairdistill.reporting.page.contents import name_model
from fairdistill.runtime.errors import UserError

MAKER = "scripts.probe_features"


def read_projections(pattern: str | None, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the projections of the first training of each model, one row per image, with the column model.

    Parameters
    ----------
    pattern
        Path of a model's file, see `fairdistill.reporting.models.read_models`; None where there are none.
    runs
        One row per training, see `fairdistill.reporting.runs`.

    Raises
    ------
    UserError
        One line that names the file, if one is missing or damaged.
    """
    if not pattern:
        return pd.DataFrame(columns=["model", *PROJECTED])
    found = []
    path_of = {names: path for path, names in paths_of(pattern, runs).items()}
    for names in keys(runs.drop_duplicates(MODEL), TRAINING):
        path = path_of[names]
        try:
            table = pd.read_parquet(path, columns=PROJECTED)
            named = table[["class", "group"]].map(lambda name: isinstance(name, str)).all(axis=None)
            if not named or not np.isfinite(table[["x", "y", "share"]].to_numpy(dtype=float)).all():
                raise ValueError
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; make it with {MAKER}") from None
        except (ArrowInvalid, KeyError, OSError, TypeError, ValueError) as error:
            raise UserError(f"{path}: no table of projected features; make it again with {MAKER}") from error
        found.append(table.assign(model=name_model(*names[: len(MODEL)])))
    return pd.concat(found, ignore_index=True)
