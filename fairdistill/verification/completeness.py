"""Whether a study's table of runs, its metrics files and its configuration have the same models."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from fairdistill.reporting.columns import BASE, IDENTITY, OVER_SEEDS, TRAINING, keys
from fairdistill.reporting.grids import paths_of
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.study_files import MODEL_PATH, StudyFiles
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.study import Study


def require_defined(study: Study, listed: pd.DataFrame) -> None:
    """Raise a UserError if runs.csv, read as `listed`, has a name that the configuration does not define."""
    known: dict[str, Collection[str]] = {
        "dataset": study.data.sets,
        "architecture": study.networks,
        "method": [TEACHER, *study.students],
    }
    for column, names in known.items():
        for name in listed[column].unique():
            if name not in names:
                raise UserError(
                    f"runs.csv has the {column} {name}, which the configuration does not define; give the study's "
                    "own with --configfile"
                )


def left_out(evaluated: pd.DataFrame, listed: pd.DataFrame) -> list[str]:
    """Name the seeds of models in runs.csv (`listed`) that were evaluated, and that it leaves out."""
    of_models = evaluated.merge(listed[OVER_SEEDS].drop_duplicates())
    runs = set(keys(listed, IDENTITY))
    return [
        f"tables/runs.csv leaves out {' '.join(map(str, run))}" for run in keys(of_models, IDENTITY) if run not in runs
    ]


def missing_metrics(evaluated: pd.DataFrame, listed: pd.DataFrame, results: Path) -> list[str]:
    """Name the metrics files that do not exist: of models in runs.csv (`listed`), and of bases of evaluated models."""
    bases = evaluated[evaluated["base_method"] != ""].drop(columns=["architecture", "method"])
    bases = bases.rename(columns={name: name.removeprefix("base_") for name in BASE})
    wanted = pd.concat([listed[TRAINING], bases[TRAINING]]).drop_duplicates()
    paths = paths_of(str(StudyFiles(results).metrics_of(MODEL_PATH)), wanted)
    return [f"{path} is missing" for path in paths if not Path(path).exists()]
