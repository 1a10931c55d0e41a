"""The script that says what test images with near-copies in training do to published numbers."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic_archives import accept_faces, faces, pack
from synthetic_results import make_training

from fairdistill.data import utkface
from fairdistill.evaluation.correctness import Correctness
from fairdistill.evaluation.metrics import evaluate
from fairdistill.runtime.errors import UserError
from fairdistill.settings.data import UTKFace
from scripts import near_copies_effect

SETTINGS = {"kind": "utkface", "image_size": 32, "test_per_cell": 3, "duplicates": "drop"}


def cells(*rows, images="of one test set"):
    return Correctness([[np.array(cell, dtype=bool) for cell in row] for row in rows], paired=False, images=images)


def test_the_measures_with_and_without_the_copies():
    answers = cells([[1, 1, 1, 0], [1, 0]], [[1, 0, 0, 0], [1, 1]])
    copied = cells([[1, 0, 0, 0], [0, 0]], [[1, 0, 0, 0], [0, 1]])
    assert near_copies_effect.effect(answers, copied) == pytest.approx(
        {
            "n": 12,
            "copies": 3,
            "accuracy": 7 / 12,
            "deo_a": 0.5,
            "deo_m": 0.5,
            "accuracy_on_copies": 1.0,
            "accuracy_without": 4 / 9,
            "deo_a_without": (2 / 3 + 1 / 2) / 2,
            "deo_m_without": 2 / 3,
        }
    )


def test_without_any_copy_nothing_changes():
    answers = cells([[1, 0], [1, 1]], [[1, 1], [0, 1]])
    found = near_copies_effect.effect(answers, cells([[0, 0], [0, 0]], [[0, 0], [0, 0]]))
    assert np.isnan(found["accuracy_on_copies"])
    assert [found[name] for name in near_copies_effect.WITHOUT] == [found[name] for name in near_copies_effect.MEASURED]


@pytest.mark.parametrize(
    ("copied", "message"),
    [
        (cells([[0, 0], [0]], images="of another"), "tested on other images"),
        (cells([[1, 1], [0]]), "all images of a .* cell have copies"),
    ],
)
def test_what_cannot_be_measured_is_said(copied, message):
    with pytest.raises(UserError, match=message):
        near_copies_effect.effect(cells([[1, 0], [1]]), copied)


def test_gaps_are_to_the_teacher_of_the_same_seed_and_means_over_seeds():
    models = pd.DataFrame(
        [("d", "resnet", method, seed) for method in ("mfd", "teacher") for seed in (0, 1)],
        columns=near_copies_effect.RUN,
    )
    values = [*near_copies_effect.MEASURED, "accuracy_on_copies", *near_copies_effect.WITHOUT]
    models = models.assign(n=100, copies=5, **dict.fromkeys(values, 0.5))
    models["deo_m"] = [0.2, 0.3, 0.4, 0.6]
    models["deo_m_without"] = [0.1, 0.3, 0.4, 0.4]
    table = near_copies_effect.with_gaps(models)
    assert table["minus"].tolist() == ["", "", "", "", "teacher", "teacher"]
    assert table["deo_m"].tolist()[4:] == pytest.approx([-0.2, -0.3])
    means = near_copies_effect.over_seeds(table).set_index(["method", "minus"])
    assert means["seeds"].tolist() == [2, 2, 2]
    assert means["deo_m_moves"].to_dict() == pytest.approx(
        {("mfd", ""): -0.05, ("teacher", ""): -0.1, ("mfd", "teacher"): 0.05}
    )


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study with one model, on faces of which each third is there again, mirrored; and the names of these pairs."""
    members = faces(per_cell=9, size=64)
    pairs = {name: name.replace("_0_", "_1_", 1) for name in list(members)[::3]}
    for name, copy in pairs.items():
        content = io.BytesIO()
        Image.open(io.BytesIO(members[name])).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(content, "JPEG")
        members[copy] = content.getvalue()
    accept_faces(monkeypatch, members)
    archive = pack(tmp_path / UTKFace.archives[0], [*members.items()])
    prepared = utkface.prepare(UTKFace(**SETTINGS), archive)
    test = prepared.samples[prepared.samples["split"] == "test"]
    predictions = test.assign(**{f"p{y}": (test["label"] == y).astype(float) for y in range(3)})
    names = {"classes": prepared.classes, "groups": prepared.groups}
    record = make_training(dataset="faces") | names | {"data": {"kind": "utkface", "settings": SETTINGS}}
    record["metrics"] = evaluate(predictions, **names)
    path = tmp_path / "metrics" / "faces" / "resnet" / "teacher" / "seed0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    return tmp_path, prepared.samples, pairs


def run_script(monkeypatch, folder, *names):
    arguments = ["--results", folder, "--archives", folder, "--csv", folder / "near.csv", *names]
    monkeypatch.setattr("sys.argv", ["near_copies_effect", *map(str, arguments)])
    near_copies_effect.main()
    return pd.read_csv(folder / "near.csv")


def test_the_images_with_copies_are_found(study, monkeypatch, capsys):
    folder, samples, pairs = study
    split = samples.set_index("image_id")["split"]
    leaks = sum({split.get(one), split.get(other)} == {"train", "test"} for one, other in pairs.items())
    assert leaks > 0
    (row,) = run_script(monkeypatch, folder, "faces").to_dict("records")
    assert (row["n"], row["copies"], row["accuracy_on_copies"]) == (36, leaks, 1)
    assert "resnet" in capsys.readouterr().out


def test_draws_of_each_seed_and_other_settings_have_their_own_copies(study, monkeypatch):
    """Three models, tested on the images that one seed draws: for that seed, by a fixed seed, and for another seed."""
    folder, *_ = study
    path = folder / "metrics" / "faces" / "resnet" / "teacher" / "seed0.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    per_seed = {"kind": "utkface", "settings": SETTINGS | {"per_seed": ["split"]}}
    fixed = {"kind": "utkface", "settings": SETTINGS | {"split_seed": 3}}
    path.write_text(json.dumps(record | {"data": per_seed}), encoding="utf-8")
    prepared = utkface.prepare(UTKFace(**fixed["settings"]), folder / UTKFace.archives[0])
    test = prepared.samples[prepared.samples["split"] == "test"]
    predictions = test.assign(**{f"p{y}": (test["label"] == y).astype(float) for y in range(3)})
    record["metrics"] = evaluate(predictions, classes=record["classes"], groups=record["groups"])
    record["run"]["seed"] = 3
    path.with_name("seed3.json").write_text(json.dumps(record | {"data": per_seed}), encoding="utf-8")
    path.with_name("seed3fixed.json").write_text(json.dumps(record | {"data": fixed}), encoding="utf-8")
    assert run_script(monkeypatch, folder, "faces")["seed"].tolist() == [0, 3, 3]
    record["run"]["seed"] = 4
    path.with_name("seed4.json").write_text(json.dumps(record | {"data": per_seed}), encoding="utf-8")
    with pytest.raises(UserError, match=r"seed4\.json: the model was tested on other images"):
        run_script(monkeypatch, folder, "faces")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda record: record["metrics"]["correctness"].update(images="0" * 64),
            "the model was tested on other images",
        ),
        (
            lambda record: record["metrics"]["correctness"].update(right={}),
            r"has metrics\.correctness\.right that is not of its classes",
        ),
        (lambda record: record.clear(), "lacks the key 'classes'; evaluate the model again"),
    ],
)
def test_a_metrics_file_that_does_not_fit_is_named(study, monkeypatch, damage, message):
    folder, *_ = study
    path = folder / "metrics" / "faces" / "resnet" / "teacher" / "seed0.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    damage(record)
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(UserError, match=rf"seed0\.json:? {message}"):
        run_script(monkeypatch, folder, "faces")


def test_a_data_set_that_the_study_lacks_is_named(study, monkeypatch):
    with pytest.raises(UserError, match="metrics/cifar10s has no metrics files"):
        run_script(monkeypatch, study[0], "cifar10s")


def test_a_data_set_in_folds_is_refused(study, monkeypatch):
    folder, *_ = study
    path = folder / "metrics" / "faces" / "resnet" / "teacher" / "seed0.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["data"]["settings"] = SETTINGS | {"folds": 2}
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(UserError, match="faces has folds or no archive"):
        run_script(monkeypatch, folder, "faces")
