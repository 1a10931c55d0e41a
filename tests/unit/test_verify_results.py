"""scripts.verify_results on configurations, tables and files that are damaged; tests/workflow has whole studies."""

import json
import shutil

import pandas as pd
import pytest
from synthetic_results import make_export, make_predictions, make_study, make_training

from fairdistill.data.reading import load_dataset, view_digest
from fairdistill.evaluation.metrics import evaluate_file
from fairdistill.export.files import MODEL, RECORD
from fairdistill.reporting.models import read_files
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import read_json, sha256
from fairdistill.runtime.provenance import versions
from scripts import verify_results
from scripts.verify_results import (
    SCORED,
    ablation_tables,
    configuration,
    differences_of_data,
    differences_of_export,
    differences_of_metrics,
    differences_of_scores,
    first_difference,
    not_checked,
)

SPLITS = "dataset,architecture,method,seed,split,accuracy,deo_a,deo_m\n"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"a: [", "is not readable as YAML (while parsing"),
        (b"\xff\xfe\x00\x93\x81", "is not readable as YAML ("),
        (b"a: \x00", "is not readable as YAML ("),
        (b"[" * 100_000, "is not readable as YAML ("),
        (b"- a", "holds no settings; give the study's own file"),
        (b"", "holds no settings; give the study's own file"),
    ],
)
def test_a_configuration_that_is_none_is_one_line(content, what, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        configuration([path], pd.DataFrame())
    assert str(caught.value).startswith(f"--configfile: {path} {what}")
    assert "\n" not in str(caught.value)


@pytest.fixture
def study(tmp_path):
    make_study(tmp_path / "metrics", datasets=("utkface",), architectures=("resnet",))
    return tmp_path


def scored(study, text):
    path = study / "splits.csv"
    path.write_text(text)
    return differences_of_scores(path, *SCORED["splits.csv"], results=study)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", r".*splits\.csv: not readable as CSV .*; make it with scripts\.compare_splits"),
        (SPLITS, r".*splits\.csv: has no rows; .*"),
        (
            SPLITS + "utkface,resnet,mfd,x,test,0,0,0\n",
            r".*splits\.csv: row 2: seed is 'x'; it must be a whole number from 0 on.*",
        ),
        (SPLITS + "utkface,resnet,mfd,0,train,0,0,0\n", r".*splits\.csv: has no scores on test images; .*"),
        (SPLITS + "utkface,resnet,kd,0,test,0,0,0\n", r"tables/splits\.csv: there is no metrics/utkface/resnet/kd/.*"),
    ],
)
def test_a_damaged_table_of_scores_does_not_hold(study, text, what):
    found = scored(study, text)
    assert len(found) == 1
    assert pd.Series(found).str.fullmatch(what).all(), found


def test_scores_are_those_of_the_metrics_and_none_is_missing(study):
    metrics = json.loads((study / "metrics/utkface/resnet/mfd/seed0.json").read_text())["metrics"]
    right = f"{SPLITS}utkface,resnet,mfd,0,test,{metrics['accuracy']},{metrics['deo_a']},"
    assert scored(study, f"{right}{metrics['deo_m']}\n") == []
    wrong = ["tables/splits.csv: deo_m is not that of metrics/utkface/resnet/mfd/seed0.json"]
    assert scored(study, f"{right}{metrics['deo_m'] + 0.1}\n") == wrong
    assert scored(study, f"{right}\n") == wrong


def test_ablations_of_models_that_are_not_there_are_named(study):
    models = read_files(sorted(study.rglob("*.json")))
    path = study / "ablations.csv"
    columns = (
        "part,dataset,architecture,method,minus,metric,estimate,sd,n,trainings,low,corrected,high,images,between,run"
    )
    path.write_text(f"{columns},shared,seeds,at_chance\nmodel,utkface,resnet,kd,,accuracy,1,,1,1,,,,,,,,0,False\n")
    with pytest.raises(UserError, match=r"ablations\.csv: is of models that have no metrics file; make it with"):
        ablation_tables(models, path, None)


@pytest.mark.parametrize(
    ("published", "difference"),
    [
        (b"a\nb\n", ""),
        (b"a\nc\n", "line 2 is 'c', and should be 'b'"),
        (b"a\n", "has 1 lines, and should have 2"),
        (b"a\nb\nc\n", "has 3 lines, and should have 2"),
        (b"", "has 0 lines, and should have 2"),
        (b"a\n\xff\n", "is no text ('utf-8' codec can't decode byte 0xff in position 2: invalid start byte)"),
    ],
)
def test_the_first_difference_is_named(published, difference):
    assert first_difference(published, "a\nb\n") == difference


@pytest.mark.parametrize(
    ("published", "holds"),
    [
        ("mfd,0.04368166143,0 1,0.25 1e-05,True", True),
        ("mfd,0.04368166143,0 1,0.25 1.0002e-05,True", True),
        ("mfd,0.0436817,0 1,0.25 1e-05,True", False),
        ("mfd,0.04368166142,0 1,0.251 1e-05,True", False),
        ("mfd,0.04368166142,0 1,0.25 1e-05,False", False),
        ("mfd,0.04368166142,0 1,0.25,True", False),
        ("mfd,nan,0 1,0.25 1e-05,True", False),
    ],
)
def test_numbers_of_a_table_may_differ_by_rounding_alone(published, holds):
    """As sums do whose terms another processor adds in another order."""
    assert (first_difference(published.encode(), "mfd,0.04368166142,0 1,0.25 1e-05,True") == "") == holds


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


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"study,dataset\n"])
def test_a_study_whose_table_of_runs_is_damaged_is_one_line(content, tmp_path, monkeypatch):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "runs.csv").write_bytes(content)
    monkeypatch.setattr("sys.argv", ["verify_results", "--results", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        run_script(verify_results.main)
    assert str(caught.value).startswith(f"error: {tmp_path / 'tables' / 'runs.csv'}: ")
    assert "\n" not in str(caught.value)
