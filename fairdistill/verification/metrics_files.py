"""Whether the scores in a metrics file follow from the correctness, the predictions and the probabilities of its model.

A metrics file is taken here as JSON, once `fairdistill.evaluation.records.read_record` has checked it.
"""

from pathlib import Path

import numpy as np

from fairdistill.evaluation.correctness import from_metrics
from fairdistill.evaluation.metrics import SPLITS, evaluate_file, score
from fairdistill.evaluation.probabilities import read_cells
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json, sha256
from fairdistill.runtime.study_files import PREDICTIONS, StudyFiles
from fairdistill.verification.comparing import DRAWN, ROUNDING, differing_fields
from fairdistill.verification.model_files import differences_of_base, differences_of_model


def differences_of_metrics(path: Path, results: Path) -> list[str]:
    """Say what in a metrics file does not follow from its correctness and from the files of its model.

    Parameters
    ----------
    path
        The metrics file.
    results
        The folder of its study.
    """
    record, files = read_json(path), StudyFiles(results)
    names = {"classes": record["classes"], "groups": record["groups"]}
    # another version of numpy may draw other random numbers for the bootstrap
    drawn = ROUNDING if record["evaluation_versions"].get("numpy") == np.__version__ else DRAWN
    again = {field: score(from_metrics(record[field], **names), **names) for field in _fields(record)}
    sources: list[tuple[Path | str, dict]] = [("the correctness", again)]
    predictions = files.models / files.model_of(path) / PREDICTIONS
    if predictions.is_file() and sha256(predictions) == record["outputs"].get(PREDICTIONS):
        options = {"weighting": record.get("weighting", "images"), "training_images": record.get("training_images")}
        sources.append((predictions, evaluate_file(predictions, **names, **options)))
    found = [
        f"{path}: {_prefix(field)}{name} does not follow from {source}"
        for source, scores in sources
        for field in _fields(record) | _fields(scores)
        for name in differing_fields(record.get(field, {}), scores.get(field, {}), drawn)
    ]
    if files.models.is_dir():
        found += differences_of_model(path, record, results)
    return [*found, *_differences_of_probabilities(path, record), *differences_of_base(path, record, results)]


def _differences_of_probabilities(path: Path, record: dict) -> list[str]:
    """Say where a metrics file and the file of probabilities beside it do not belong together.

    What is compared is the accuracy of each cell by the correctness, from which all scores follow.
    """
    file, digest = path.with_suffix(".parquet"), record.get("probabilities")
    if not file.exists():
        return [f"{path}: {file} is missing"] if digest else []
    if sha256(file) != digest:
        return [f"{path}: {file} is another than the one evaluated"]
    classes, groups = record["classes"], record["groups"]
    try:
        found = read_cells(file, classes=classes, groups=groups)
    except UserError as error:
        return [str(error)]
    if found.keys() != _fields(record).keys():
        return [f"{path}: {file} is of other splits"]
    wrong = []
    for field, (least, most, count) in found.items():
        answers = from_metrics(record[field], classes=classes, groups=groups)
        if (answers.count != count).any():
            wrong.append(f"{path}: {_prefix(field)}cell_count does not follow from {file}")
        elif ((answers.accuracy < least - ROUNDING) | (answers.accuracy > most + ROUNDING)).any():
            wrong.append(f"{path}: {_prefix(field)}correctness does not follow from {file}")
    return wrong


def _fields(record: dict) -> dict[str, None]:
    """The fields of a metrics file that hold the scores of a split, in order."""
    return {field: None for field in SPLITS.values() if field in record}


def _prefix(field: str) -> str:
    """What stands before the name of a score: nothing for the test split, else its field."""
    return "" if field == SPLITS["test"] else f"{field}."
