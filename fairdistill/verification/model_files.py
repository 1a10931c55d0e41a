"""Whether the files of a model, its base, its probed features and its export belong to the model that was evaluated."""

from pathlib import Path

from fairdistill.evaluation.records import read_record
from fairdistill.export.files import SPEED
from fairdistill.export.records import read_exported, read_speed
from fairdistill.reporting.features import read_probed
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json, sha256
from fairdistill.runtime.study_files import TRAINING_RECORD, WEIGHTS, StudyFiles
from fairdistill.settings.training_record import TrainingRecord, read_training


def differences_of_model(path: Path, record: dict, results: Path) -> list[str]:
    """Say which files of a model are missing, or are not those that its metrics file is of.

    Parameters
    ----------
    path, record
        The metrics file and its content.
    results
        The folder of the study.
    """
    found, files = [], StudyFiles(results)
    folder = files.models / files.model_of(path)
    for name in (*record["outputs"], TRAINING_RECORD):
        if not (file := folder / name).is_file():
            found.append(f"{path}: {file} is missing")
        elif name == TRAINING_RECORD:
            try:
                trained, _ = read_training(file)
            except UserError as error:
                found.append(str(error))
                continue
            # a metrics file has all fields of its training's record, and others
            fields = dict.fromkeys([*trained, *(TrainingRecord.model_fields.keys() & record.keys())])
            found += [f"{path}: {key} is not that of {file}" for key in fields if trained.get(key) != record.get(key)]
        elif sha256(file) != record["outputs"][name]:
            found.append(f"{path}: {file} is another than the one evaluated")
    return found


def differences_of_base(path: Path, record: dict, results: Path) -> list[str]:
    """Say if a model was trained from another base than the one that the study has evaluated.

    Parameters
    ----------
    path, record
        The metrics file of the model and its content.
    results
        The folder of the study.
    """
    run, digest = record["run"], record["inputs"].get("base")
    if run["base"] is None:
        return []
    names = run["dataset"], run["base"]["architecture"], run["base"]["method"]
    base = StudyFiles(results).metrics.joinpath(*names, path.name)
    evaluated = read_json(base)["outputs"][WEIGHTS] if base.exists() else digest
    return [] if digest == evaluated else [f"{path}: its base is another than that of {base}"]


def differences_of_features(path: Path, results: Path) -> list[str]:
    """Say if a file of probed features is not of the model that was evaluated."""
    files = StudyFiles(results)
    metrics = files.metrics_of(files.model_of(path))
    if not metrics.exists():
        return [f"{path}: there is no {metrics}"]
    probed, record = read_probed(path), read_record(metrics)
    same = (probed.run, probed.inputs, probed.outputs) == (record.run, record.inputs, record.outputs)
    return [] if same else [f"{path}: is of another model than {metrics}"]


def differences_of_export(folder: Path, results: Path) -> list[str]:
    """Say if the files in the folder of an exported model are not those of its record, or are of another model."""
    files = StudyFiles(results)
    metrics = files.metrics_of(files.model_of(folder))
    try:
        exported = read_exported(folder)
        if (speed := folder / SPEED).exists():
            read_speed(speed)
    except (UserError, OSError) as error:
        return [str(error)]
    if not metrics.exists():
        return [f"{folder}: there is no {metrics}"]
    return [] if exported.outputs == read_record(metrics).outputs else [f"{folder}: is of another model than {metrics}"]
