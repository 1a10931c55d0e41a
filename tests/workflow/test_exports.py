"""Snakemake makes what is to be taken away, and makes anew what a change concerns."""

import csv
import io
import os
import shutil
import subprocess
import sys

from huggingface_hub import ModelCard
from PIL import Image
from running import TINY, planned, snakemake

from fairdistill.data import load_dataset
from fairdistill.runtime.files import read_json

# one model, as torch takes some seconds for each
GIVEN = ("export", "--configfile", TINY, "--config", "export={methods: [teacher], architectures: [resnet]}")
MODEL = "results/tiny/export/digits_s/resnet/teacher/seed0"


def test_students_are_exported_with_the_models_beside_them(study, checkout):
    where = {"project": checkout, "directory": study}
    # of each architecture the student and its base; only the students have a card
    assert planned("export", "--configfile", TINY, **where) == {
        "export_model": 4,
        "measure_model": 4,
        "make_model_card": 2,
        "describe_dataset": 1,
    }


def test_an_exported_folder_predicts_alone_and_only_a_changed_card_is_written_anew(study, checkout, tmp_path):
    own = shutil.copytree(study, tmp_path / "study", copy_function=shutil.copy2)
    where = {"project": checkout, "directory": own}
    done = snakemake("--cores", 2, *GIVEN, **where)
    assert done.returncode == 0, done.stdout
    assert sorted(path.name for path in (own / MODEL).iterdir()) == [
        "README.md", "export.json", "model.int8.onnx", "model.onnx", "model.safetensors", "model_card.html",
        "preprocessor.json", "speed.json",
    ]  # fmt: skip
    assert sorted(path.name for path in (own / MODEL).parents[2].iterdir() if path.is_file()) == [
        "croissant.json", "dataset.json",
    ]  # fmt: skip
    assert planned(*GIVEN, **where) == {}
    given = (*GIVEN[:-1], GIVEN[-1].replace("}", ", watts: 10}"))
    assert planned(*given, **where) == {"make_model_card": 1}
    # the numbers of the card are those of the study's tables
    record = read_json(own / "results/tiny/metrics/digits_s/resnet/teacher/seed0.json")
    (accuracy, *_) = ModelCard.load(own / MODEL / "README.md").data.eval_results
    assert abs(accuracy.metric_value - record["metrics"]["accuracy"]) < 1e-6

    alone = shutil.copytree(own / MODEL, tmp_path / "alone")
    dataset = load_dataset(own / "results/tiny/data/digits_s")
    row = dataset.split("test")[0][0]
    Image.fromarray(dataset.images[row]).save(tmp_path / "zéro.png")
    command = [sys.executable, "-m", "scripts.predict", "alone", "zéro.png"]
    env = os.environ | {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, cwd=alone.parent, env=env, text=True, capture_output=True, check=True)
    (prediction,) = csv.DictReader(io.StringIO(done.stdout))
    assert (prediction["path"], prediction["prediction"] in dataset.classes) == ("zéro.png", True)
