"""Verify a whole study: its metrics, its tables, and the files of models, data sets and exports that exist."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fairdistill.export.files import OF_A_MODEL
from fairdistill.reporting.features import read_features
from fairdistill.reporting.models import read_files
from fairdistill.runtime.study_files import PREDICTIONS, StudyFiles
from fairdistill.settings.study import Study
from fairdistill.verification.completeness import left_out, missing_metrics
from fairdistill.verification.metrics_files import differences_of_metrics
from fairdistill.verification.model_files import differences_of_export, differences_of_features
from fairdistill.verification.prepared_data import differences_of_data
from fairdistill.verification.remade_tables import differences_of_tables
from fairdistill.verification.scored_tables import SCORED, differences_of_scores

# made from an archive of images, and compared with nothing
LABEL_NOISE = "label_noise.csv"


@dataclass(frozen=True)
class Verified:
    """What the verification of a study found.

    Attributes
    ----------
    wrong
        One line for each result that does not follow from what it was made from.
    not_checked
        Names of what was compared with nothing.
    metrics
        The number of metrics files.
    predictions
        The number of models whose predictions exist.
    """

    wrong: list[str]
    not_checked: list[str]
    metrics: int
    predictions: int


def verify(results: Path, study: Study, listed: pd.DataFrame) -> Verified:
    """Recompute what a study publishes, and compare.

    Parameters
    ----------
    results
        The folder of the study.
    study
        Its configuration.
    listed
        The content of its runs.csv, see `fairdistill.reporting.runs.read_runs`.

    Raises
    ------
    UserError
        A metrics file, or a file of probed features, cannot be read.
    """
    files = StudyFiles(results)
    published = {path.name: path for path in files.tables.glob("*.*")}
    metrics = files.all_metrics()
    features = sorted(files.features.rglob("*.json"))
    exports = sorted({path.parent for path in files.export.rglob("*.*") if path.name in OF_A_MODEL})
    models = read_files(metrics)
    wrong = [difference for path in metrics for difference in differences_of_metrics(path, results)]
    wrong += left_out(models.runs, listed)
    wrong += missing_metrics(models.runs, listed, results)
    for name, scored in SCORED.items():
        if name in published:
            wrong += differences_of_scores(published[name], scored, results)
    if files.data.is_dir():
        wrong += differences_of_data(metrics, results)
    wrong += [difference for folder in exports for difference in differences_of_export(folder, results)]
    wrong += [difference for path in features for difference in differences_of_features(path, results)]
    remade = {name: path for name, path in published.items() if name not in (LABEL_NOISE, *SCORED)}
    wrong += differences_of_tables(remade, models, listed, study, read_features(features))
    predictions = sum((files.models / files.model_of(path) / PREDICTIONS).exists() for path in metrics)
    return Verified(wrong, not_checked(results, published), len(metrics), predictions)


def not_checked(results: Path, published: Collection[str]) -> list[str]:
    """Name what `verify` compares with nothing in the folder of a study, whose tables are called as in `published`."""
    files = StudyFiles(results)
    found = [] if files.models.is_dir() else ["weights, predictions and histories, as no models are here"]
    found += [] if files.data.is_dir() else ["images and splits, as no prepared data are here"]
    found += ["descriptions of data sets (croissant.json)"] * any(files.data.glob("*/croissant.json"))
    found += ["cards of exported models"] * files.export.is_dir()
    found += [f"{LABEL_NOISE}, which is of the archive alone"] * (LABEL_NOISE in published)
    found += [f"rows of {name} other than those of test images" for name in SCORED if name in published]
    return [*found, "figures"]
