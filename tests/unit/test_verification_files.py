"""Metrics files, and files of models, data sets and exports, that do not belong together."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_results import CLASSES, GROUPS, make_export, make_predictions, make_study, make_training

from fairdistill.data.reading import load_dataset, view_digest
from fairdistill.evaluation.correctness import from_metrics
from fairdistill.evaluation.metrics import evaluate, evaluate_file, score
from fairdistill.evaluation.probabilities import write_compact
from fairdistill.export.files import MODEL, RECORD
from fairdistill.runtime.files import read_json, sha256
from fairdistill.runtime.provenance import versions
from fairdistill.verification.metrics_files import differences_of_metrics
from fairdistill.verification.model_files import differences_of_export
from fairdistill.verification.prepared_data import differences_of_data
from fairdistill.verification.study import not_checked

PUBLISHED = Path(__file__).parents[2] / "results" / "paper" / "metrics" / "utkface" / "resnet"


@pytest.fixture
def student(tmp_path):
    """A copy of a published student's metrics file, in a study that has its base's beside it."""
    target = tmp_path / "metrics" / "utkface" / "resnet"
    for method in ("teacher", "mfd"):
        (target / method).mkdir(parents=True)
        for path in (PUBLISHED / method).glob("seed0.*"):
            shutil.copy(path, target / method)
    return target / "mfd" / "seed0.json"


@pytest.mark.parametrize(
    ("numpy", "shift", "holds"), [(None, 0, True), (None, 1e-4, False), ("1.0", 1e-4, True), ("1.0", 0.02, False)]
)
def test_intervals_that_another_numpy_drew_hold_to_an_image_of_a_hundred(student, numpy, shift, holds):
    record = json.loads(student.read_text())
    names = {name: record[name] for name in ("classes", "groups")}
    record["metrics"]["uncertainty"] = score(from_metrics(record["metrics"], **names), **names)["uncertainty"]
    record["evaluation_versions"]["numpy"] = numpy or np.__version__
    record["metrics"]["uncertainty"]["accuracy"]["low"] += shift
    student.write_text(json.dumps(record))
    assert (differences_of_metrics(student, student.parents[4]) == []) is holds


@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_a_student_of_another_base_is_named(student, digest):
    record = json.loads(student.read_text())
    record["inputs"]["base"] = digest
    student.write_text(json.dumps(record))

    base = student.parents[1] / "teacher" / "seed0.json"
    assert differences_of_metrics(student, student.parents[4]) == [
        f"{student}: its base is another than that of {base}"
    ]


def test_the_validation_split_is_verified_too(student):
    record = json.loads(student.read_text())
    record["validation"] = record["metrics"] | {"deo_m": 0.5}
    student.write_text(json.dumps(record))

    found = differences_of_metrics(student, student.parents[4])

    assert found == [f"{student}: validation.deo_m does not follow from the correctness"]


@pytest.fixture
def with_probabilities(tmp_path):
    """A metrics file with its probabilities beside it, and the table that those are of."""
    predictions = make_predictions()
    record = make_training() | {"outputs": {}, "evaluation_versions": versions()}
    record["metrics"] = evaluate(predictions, classes=CLASSES, groups=GROUPS)
    path = tmp_path / "metrics" / "utkface" / "resnet" / "teacher" / "seed0.json"
    path.parent.mkdir(parents=True)

    def write(table, **changed):
        table.to_parquet(tmp_path / "predictions.parquet")
        write_compact(path.with_suffix(".parquet"), tmp_path / "predictions.parquet")
        digest = {"probabilities": sha256(path.with_suffix(".parquet"))}
        path.write_text(json.dumps(record | digest | changed))
        return differences_of_metrics(path, tmp_path)

    return path, predictions, write


def wrong_answer(predictions):
    """The predictions, one right answer of which has become wrong."""
    changed = predictions.copy()
    p = [f"p{y}" for y in range(len(CLASSES))]
    right = changed[p].to_numpy().argmax(axis=1) == changed["label"]
    changed.loc[right.idxmax(), p] = changed.loc[right.idxmax(), p].to_numpy("float32")[[1, 2, 0]]
    return changed


def test_probabilities_that_the_answers_follow_from_hold(with_probabilities):
    _, predictions, write = with_probabilities

    assert write(predictions) == []


def test_a_tie_that_half_precision_makes_is_left_open(with_probabilities):
    _, predictions, write = with_probabilities
    p = [f"p{y}" for y in range(len(CLASSES))]
    assert predictions.loc[0, "label"] == 0
    # of different order in single precision, and equal in half precision
    for first, second, right in ((0.50001, 0.49999, True), (0.49999, 0.50001, False)):
        table = predictions.copy()
        table.loc[0, p] = np.array([first, second, 0.0], dtype="float32")
        assert bool(table[p].to_numpy()[0].argmax() == 0) is right
        assert write(table, metrics=evaluate(table, classes=CLASSES, groups=GROUPS)) == []


def test_an_answer_that_the_probabilities_contradict_is_found(with_probabilities):
    path, predictions, write = with_probabilities

    found = write(wrong_answer(predictions))

    assert found == [f"{path}: correctness does not follow from {path.with_suffix('.parquet')}"]


def test_probabilities_of_other_images_or_splits_are_found(with_probabilities):
    path, predictions, write = with_probabilities
    file = path.with_suffix(".parquet")

    assert write(predictions.iloc[:-1]) == [f"{path}: cell_count does not follow from {file}"]
    more = pd.concat([predictions, make_predictions(n=60, split="validation")])
    assert write(more) == [f"{path}: {file} is of other splits"]


def test_probabilities_that_are_gone_damaged_or_not_named_are_one_line(with_probabilities):
    path, predictions, write = with_probabilities
    file = path.with_suffix(".parquet")

    other = [f"{path}: {file} is another than the one evaluated"]
    assert write(predictions, probabilities="0" * 64) == other
    assert write(predictions, probabilities=None) == other
    nan = predictions.assign(p0=np.float32(np.nan))
    assert write(nan) == [f"{file}: a probability is not a number in 0..1"]
    assert write(predictions.drop(columns="p2")) == [f"{file}: column 'p2' is missing"]
    assert write(predictions.assign(label=np.int16(3))) == [f"{file}: label holds 3..3, outside 0..2"]

    write(predictions)
    file.write_bytes(file.read_bytes()[:-10])
    assert differences_of_metrics(path, path.parents[4]) == other
    file.unlink()
    assert differences_of_metrics(path, path.parents[4]) == [f"{path}: {file} is missing"]


# files that are not published: of models, of prepared data and of exported models


@pytest.fixture
def model(tmp_path, tiny_folder):
    """The metrics of a model, its files and its data set; the paths of the first three."""
    (path,) = make_study(tmp_path / "metrics", datasets=("tiny",), architectures=("resnet",), methods=())
    record, folder = read_json(path), tmp_path / "models" / "tiny" / "resnet" / "teacher" / "seed0"
    folder.mkdir(parents=True)
    make_predictions().to_parquet(folder / "predictions.parquet")
    for name in ("weights.safetensors", "history.csv"):
        (folder / name).write_text(name)
    record["outputs"] = {name: sha256(folder / name) for name in record["outputs"]}
    shutil.copytree(tiny_folder, tmp_path / "data" / "tiny")
    record["inputs"]["dataset"] = read_json(tiny_folder / "dataset.json")["sha256"]
    trained = {name: record[name] for name in make_training() if name != "evaluation_versions"}
    (folder / "training.json").write_text(json.dumps(trained))
    record |= evaluate_file(folder / "predictions.parquet", classes=record["classes"], groups=record["groups"])
    record["evaluation_versions"] = versions()
    path.write_text(json.dumps(record))
    assert differences_of_metrics(path, tmp_path) == []
    assert differences_of_data([path], tmp_path) == []
    return path, folder, tmp_path / "data" / "tiny"


@pytest.mark.parametrize("name", ["weights.safetensors", "predictions.parquet", "history.csv"])
def test_a_file_of_a_model_that_is_gone_or_another_is_named(model, name):
    metrics, folder, _ = model
    (folder / name).write_bytes((folder / name).read_bytes() + b"x")
    assert differences_of_metrics(metrics, metrics.parents[4]) == [
        f"{metrics}: {folder / name} is another than the one evaluated"
    ]
    (folder / name).unlink()
    assert differences_of_metrics(metrics, metrics.parents[4]) == [f"{metrics}: {folder / name} is missing"]


def test_a_record_of_a_training_that_is_not_that_of_the_metrics_is_named(model):
    metrics, folder, _ = model
    path, results = folder / "training.json", metrics.parents[4]
    record = read_json(path)
    path.write_text(json.dumps(record | {"code": "0" * 12, "run": record["run"] | {"seed": 7}}))
    assert differences_of_metrics(metrics, results) == [
        f"{metrics}: {key} is not that of {path}" for key in ("run", "code")
    ]
    # what records of earlier versions lack, and this one's metrics file has
    path.write_text(json.dumps(record))
    metrics.write_text(json.dumps(read_json(metrics) | {"kept_epoch": 3}))
    assert differences_of_metrics(metrics, results) == [f"{metrics}: kept_epoch is not that of {path}"]
    path.write_text(json.dumps(record | {"code": "nonsense"}))
    (line,) = differences_of_metrics(metrics, results)
    assert line.startswith(f"{path}: code is no version of the code")
    path.write_text("{")
    assert [line.startswith(f"{path}: not readable") for line in differences_of_metrics(metrics, results)] == [True]
    path.unlink()
    assert differences_of_metrics(metrics, results) == [f"{metrics}: {path} is missing"]


def test_metrics_hold_without_the_models(model):
    metrics, folder, _ = model
    shutil.rmtree(folder.parents[3])
    assert differences_of_metrics(metrics, metrics.parents[4]) == []


@pytest.mark.parametrize("name", ["images.npy", "samples.parquet", "dataset.json"])
def test_prepared_data_that_are_gone_or_damaged_are_named(model, name):
    metrics, _, data = model
    (data / name).write_bytes((data / name).read_bytes()[:-10])
    (line,) = differences_of_data([metrics], metrics.parents[4])
    assert line.startswith(str(data))
    (data / name).unlink()
    (line,) = differences_of_data([metrics], metrics.parents[4])
    assert str(data / name) in line
    shutil.rmtree(data)
    assert differences_of_data([metrics], metrics.parents[4]) == [f"{data} is missing"]


def test_prepared_data_of_another_training_are_named(model):
    metrics, _, data = model
    record = read_json(metrics)
    record["inputs"]["dataset"] = "0" * 64
    metrics.write_text(json.dumps(record))
    assert differences_of_data([metrics], metrics.parents[4]) == [
        f"{metrics}: {data} is another data set than the one trained on"
    ]
    record["data"]["settings"]["per_seed"] = ["split"]
    metrics.write_text(json.dumps(record))
    assert differences_of_data([metrics], metrics.parents[4]) == [f"{data}.seed0 is missing"]


def test_prepared_data_that_are_shown_otherwise_are_named(model):
    metrics, _, data = model
    record = read_json(metrics)
    record["inputs"]["normalisation_and_crop"] = view_digest(load_dataset(data))
    metrics.write_text(json.dumps(record))
    assert differences_of_data([metrics], metrics.parents[4]) == []
    record["inputs"]["normalisation_and_crop"] = "0" * 64
    metrics.write_text(json.dumps(record))
    assert differences_of_data([metrics], metrics.parents[4]) == [
        f"{metrics}: {data} is another data set than the one trained on"
    ]


def test_an_exported_model_that_is_not_the_evaluated_one_is_named(model):
    metrics, _, _ = model
    results = metrics.parents[4]
    folder = results / "export" / "tiny" / "resnet" / "teacher" / "seed0"
    folder.mkdir(parents=True)
    (folder / RECORD).write_text(json.dumps(make_export(folder) | {"outputs": read_json(metrics)["outputs"]}))
    assert differences_of_export(folder, results) == []
    (folder / RECORD).write_text(json.dumps(make_export(folder)))
    assert differences_of_export(folder, results) == [f"{folder}: is of another model than {metrics}"]
    (folder / MODEL).write_bytes(b"x")
    (line,) = differences_of_export(folder, results)
    assert line == f"{folder / MODEL}: is not the file of {folder / RECORD}; export the model again"
    (folder / RECORD).unlink()
    (line,) = differences_of_export(folder, results)
    assert str(folder / RECORD) in line


def test_what_is_not_checked_is_said(model):
    results = model[0].parents[4]
    assert not_checked(results, ["runs.csv"]) == ["figures"]
    shutil.rmtree(results / "models")
    shutil.rmtree(results / "data")
    assert not_checked(results, ["label_noise.csv", "splits.csv"]) == [
        "weights, predictions and histories, as no models are here",
        "images and splits, as no prepared data are here",
        "label_noise.csv, which is of the archive alone",
        "rows of splits.csv other than those of test images",
        "figures",
    ]
