"""A model that was trained elsewhere as a teacher: what is published of it, and students that stand on it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from method_trainings import method_settings
from small_network import Small
from torchvision import models
from torchvision.transforms import v2

from fairdistill.data.facts import facts_of
from fairdistill.data.reading import DESCRIPTION, description_digest
from fairdistill.methods import imported as implementation
from fairdistill.methods.imported import Imported
from fairdistill.networks import build_network, load_network, save_network
from fairdistill.networks.foreign import read_facts
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import sha256
from fairdistill.training.job import run_training
from scripts import train_model

RESNET, SHUFFLENET = '{"kind": "resnet18"}', '{"kind": "shufflenet_v2_x0_5", "stem": "cifar"}'
TRAINING = '{"epochs": 1, "batch_size": 48, "device": "cpu"}'
# the model has its classes in another order, and expects larger images than the data set has
CLASSES = ["c", "a", "b"]
PREPROCESS = {"size": 20, "crop": 16, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
IMPORTED = json.dumps({"kind": "imported", "classes": CLASSES, "preprocess": PREPROCESS})


def start(data, output, *, network=RESNET, method=IMPORTED, **files):
    options = [text for name, path in files.items() for text in (f"--{name}", str(path))]
    arguments = ["--data", str(data), "--output", str(output), "--network", network, "--method", method, *options]
    run_training(train_model.read_job([*arguments, "--training", TRAINING]))
    return output


def record_of(output):
    return json.loads((output / "training.json").read_text())


@pytest.fixture(scope="module")
def theirs():
    """A model of plain torchvision."""
    torch.manual_seed(5)
    return models.resnet18(num_classes=3).eval()


@pytest.fixture(scope="module")
def checkpoint(theirs, tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "model.pth"
    torch.save({"state_dict": {f"module.{name}": value for name, value in theirs.state_dict().items()}}, path)
    return path


@pytest.fixture(scope="module")
def teacher(tiny_folder, checkpoint, tmp_path_factory):
    return start(tiny_folder, tmp_path_factory.mktemp("models") / "teacher", checkpoint=checkpoint)


def test_the_predictions_are_those_of_the_model_where_it_comes_from(teacher, theirs, tiny):
    rows, _, _ = tiny.split("test")
    pixels = torch.from_numpy(tiny.images[rows]).permute(0, 3, 1, 2)
    transform = v2.Compose(
        [
            v2.ToDtype(torch.float32, scale=True),
            v2.Resize(20, antialias=True),
            v2.CenterCrop(16),
            v2.Normalize(PREPROCESS["mean"], PREPROCESS["std"]),
        ]
    )
    with torch.no_grad():
        probabilities = theirs(transform(pixels)).softmax(1)[:, [CLASSES.index(name) for name in tiny.classes]]
    found = pd.read_parquet(teacher / "predictions.parquet")[["p0", "p1", "p2"]].to_numpy()
    np.testing.assert_allclose(found, probabilities.numpy(), atol=1e-4)


def test_it_is_an_ordinary_model(teacher, checkpoint):
    record = record_of(teacher)
    assert record["run"]["role"] == "teacher"
    assert record["inputs"]["checkpoint"] == sha256(checkpoint)
    assert record["kept_epoch"] == 0
    # the file's place is nobody's concern
    assert str(checkpoint.parent) not in (teacher / "training.json").read_text()
    assert record["parameters"]["method"] == {
        "kind": "imported",
        "sampling": "plain",
        "classes": CLASSES,
        "preprocess": {**PREPROCESS, "interpolation": "bilinear"},
    }
    assert pd.read_csv(teacher / "history.csv").empty
    assert sorted(path.name for path in teacher.iterdir()) == [
        "history.csv",
        "predictions.parquet",
        "training.json",
        "weights.safetensors",
    ]


def test_every_seed_has_the_same_model(teacher, tiny_folder, checkpoint, tmp_path, capsys):
    other = tmp_path / "other"
    arguments = ["--data", str(tiny_folder), "--output", str(other), "--network", RESNET, "--method", IMPORTED]
    run_training(
        train_model.read_job([*arguments, "--checkpoint", str(checkpoint), "--training", TRAINING, "--seed", "7"])
    )
    for name in ("weights.safetensors", "predictions.parquet"):
        assert (other / name).read_bytes() == (teacher / name).read_bytes()
    # what was done to read it is in the log
    logged = capsys.readouterr().err
    for said in (
        "its weights were read from state_dict",
        "'module.' was taken off the names of its weights",
        "its outputs, which are c, a, b, were put in the order of the data set's classes: a, b, c",
    ):
        assert f"{checkpoint}: {said}\n" in logged


def test_after_classes_or_groups_were_renamed_a_model_is_made_anew(tiny_folder, checkpoint, tmp_path):
    """The digest of a data set is of its images and codes, and not of what these are called."""
    output, renamed = tmp_path / "model", tmp_path / tiny_folder.name
    start(tiny_folder, output, checkpoint=checkpoint, code="0123456789ab")
    shutil.copytree(tiny_folder, renamed)
    info = json.loads((renamed / "dataset.json").read_text())

    def rename(names):
        info[names] = [f"{name} of now" for name in info[names]]
        (renamed / "dataset.json").write_text(json.dumps(info | {DESCRIPTION: description_digest(info)}))
        start(renamed, output, checkpoint=checkpoint, code="0123456789ab")

    rename("groups")
    record = record_of(output)
    assert record["groups"] == read_facts(output / "weights.safetensors").groups == info["groups"]
    unknown = "classes names c, a, b, which the data set does not have, and does not name a of now, b of now"
    with pytest.raises(UserError, match=unknown):
        rename("classes")
    assert record_of(output) == record


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"classes": ["a", "b", "c"]}, "its outputs, which are a, b, c, are in the order of the data set's classes"),
        ({}, "its outputs are taken for the classes in the data set's order: a, b, c"),
    ],
)
def test_outputs_in_the_order_of_the_data_set_stay_there(
    teacher, theirs, tiny_folder, checkpoint, tmp_path, capsys, named, said
):
    start(tiny_folder, tmp_path, method=json.dumps({"kind": "imported", **named}), checkpoint=checkpoint)
    assert f"{checkpoint}: {said}\n" in capsys.readouterr().err
    assert torch.equal(load_network(tmp_path / "weights.safetensors").head.weight, theirs.fc.weight)
    # there the outputs are the same in another order
    assert torch.equal(load_network(teacher / "weights.safetensors").head.weight, theirs.fc.weight[[1, 2, 0]])


def test_a_file_that_changes_while_it_is_read_is_refused(tiny_folder, checkpoint, tmp_path, monkeypatch):
    """Else the record could have the checksum of another file than the one that was read."""
    own = shutil.copy(checkpoint, tmp_path / "teacher.pth")
    load = implementation.load_weights

    def change_meanwhile(path, *arguments, **options):
        notes = load(path, *arguments, **options)
        path.write_bytes(path.read_bytes() + b"\0")
        return notes

    monkeypatch.setattr(implementation, "load_weights", change_meanwhile)
    with pytest.raises(UserError, match=r"teacher\.pth: was changed while it was read; run the same command again"):
        start(tiny_folder, tmp_path / "model", checkpoint=own)
    assert not (tmp_path / "model").exists()


def test_the_record_counts_the_training_images_of_each_cell(teacher, tiny_folder):
    info = json.loads((tiny_folder / "dataset.json").read_text())
    counts = np.array(info["folds"][0]["counts"]["train"])
    assert record_of(teacher)["training_images"] == {
        group: dict(zip(info["classes"], counts[:, number].tolist(), strict=True))
        for number, group in enumerate(info["groups"])
    }


@pytest.mark.parametrize("method", ["kd", "mfd", "at"])
def test_students_stand_on_it_as_on_any_teacher(teacher, tiny_folder, tmp_path, method):
    """Of another network: mfd maps 1024 features to 512."""
    student = start(
        tiny_folder, tmp_path / method, network=SHUFFLENET, method=method, base=teacher / "weights.safetensors"
    )
    history, record = pd.read_csv(student / "history.csv"), record_of(student)
    term = {"kd": "distillation", "mfd": "mfd", "at": "attention"}[method]
    assert np.isfinite(history[term]).all()
    assert history[term].iloc[0] > 0
    assert record["inputs"]["base"] == sha256(teacher / "weights.safetensors")
    assert load_network(student / "weights.safetensors").preprocess is None


def test_post_processing_sees_what_it_sees(tiny_with_validation_folder, checkpoint, tmp_path):
    data = tiny_with_validation_folder
    base = start(data, tmp_path / "teacher", checkpoint=checkpoint) / "weights.safetensors"
    student = start(data, tmp_path / "student", method="group_temperature", base=base)
    assert load_network(student / "weights.safetensors").preprocess.to_json() == load_network(base).preprocess.to_json()
    found, before = (pd.read_parquet(output / "predictions.parquet") for output in (student, tmp_path / "teacher"))
    columns = ["p0", "p1", "p2"]
    assert (found[columns].to_numpy().argmax(1) == before[columns].to_numpy().argmax(1)).all()


def test_a_training_starts_from_the_weights_of_a_file(tiny_folder, checkpoint, tmp_path):
    """With a step of next to nothing it ends there, too."""
    training = '{"epochs": 1, "batch_size": 48, "device": "cpu", "learning_rate": 1e-12}'
    arguments = ["--data", str(tiny_folder), "--output", str(tmp_path / "out"), "--network", RESNET]
    run_training(train_model.read_job([*arguments, "--training", training, "--checkpoint", str(checkpoint)]))
    body = load_network(tmp_path / "out" / "weights.safetensors").body.state_dict()
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    torch.testing.assert_close(body["layer4.1.conv2.weight"], state["module.layer4.1.conv2.weight"])
    assert record_of(tmp_path / "out")["inputs"]["checkpoint"] == sha256(checkpoint)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": SHUFFLENET}, r"model\.pth: does not hold the network shufflenet_v2_x0_5: it lacks "),
        (
            {"method": '{"kind": "imported", "classes": ["a", "b", "d"]}'},
            r"model\.pth: classes names d, which the data set does not have, and does not name c, which the data set",
        ),
        (
            {"network": '{"kind": "vit_b_16"}'},
            "network vit_b_16 takes images of 224 px, and those of the data set have 16;",
        ),
        (
            {"checkpoint": None},
            "method imported reads its model from a file, and none was given; name it with --checkpo",
        ),
        ({"checkpoint": Path("nowhere.pth")}, "No such file"),
    ],
)
def test_what_cannot_be_imported_is_one_line_and_leaves_nothing(options, message, tiny_folder, checkpoint, tmp_path):
    files = {"checkpoint": options.pop("checkpoint", checkpoint)}
    with pytest.raises((UserError, FileNotFoundError), match=message) as error:
        start(tiny_folder, tmp_path / "out", **options, **{name: path for name, path in files.items() if path})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


# models of this project, whose files say what they expect


@pytest.fixture
def ours(tiny, tmp_path):
    """Writes a model of this project that was trained on a data set like `tiny`, but for some facts; returns both."""
    torch.manual_seed(6)
    network = build_network(Small(), 3).eval()

    def write(**facts):
        method = method_settings(**facts.pop("method", {"kind": "erm"}))
        stated = facts_of(tiny, method).model_copy(update=facts)
        save_network(tmp_path / "ours.safetensors", network, Small(), facts=stated)
        return tmp_path / "ours.safetensors", network

    return write


def imported(path, dataset, **settings):
    network = build_network(Small(), 3).eval()
    method = method_settings(kind="imported", **settings)
    Imported.start_from(method, path, network, network_settings=Small(), dataset=dataset)
    return network


def test_a_model_of_this_project_for_such_a_data_set_is_taken_as_it_is(ours, tiny):
    path, network = ours()
    again = imported(path, tiny)
    assert again.preprocess is None
    assert torch.equal(again.head.weight, network.head.weight)


def test_outputs_are_those_that_the_file_names(ours, tiny, capsys):
    path, network = ours(classes=CLASSES)
    assert torch.equal(imported(path, tiny).head.weight, network.head.weight[[1, 2, 0]])
    assert f"{path}: its outputs, which are c, a, b, were put in the order of the data set" in capsys.readouterr().err
    # they may have other names in the data set
    path, network = ours(classes=["drei", "eins", "zwei"])
    assert torch.equal(imported(path, tiny, classes=CLASSES).head.weight, network.head.weight[[1, 2, 0]])


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"mean": [0.25, 0.5, 0.75], "std": [0.125, 0.25, 0.5]}, (None, None)),
        ({"image_size": 12}, (12, None)),
        ({"image_size": 12, "crop": 10}, (12, 10)),
        ({"image_size": 12, "crop": 10, "crop_test": "whole"}, (10, None)),
    ],
)
def test_images_are_prepared_as_the_file_says(ours, tiny, facts, expected):
    path, network = ours(**facts)
    preprocess = imported(path, tiny).preprocess.settings
    assert (preprocess.size, preprocess.crop) == expected
    mean, std = (facts.get(name, getattr(tiny, name).tolist()) for name in ("mean", "std"))
    assert (preprocess.mean, preprocess.std) == (mean, std)
    # of the same pixels the network says the same
    pixels = torch.from_numpy(tiny.images[:4]).permute(0, 3, 1, 2) / 255
    here, there = (
        v2.functional.normalize(pixels, list(one), list(other)) for one, other in ((tiny.mean, tiny.std), (mean, std))
    )
    if expected == (None, None):
        torch.testing.assert_close(imported(path, tiny)(here).logits, network(there).logits, check_stride=False)


def test_what_a_crop_of_the_data_set_leaves_becomes_what_the_network_sees(ours, tiny):
    path, _ = ours(image_size=12, crop=10)
    for own, expected in (({"image_size": 12, "crop": 10}, None), ({"crop": 6}, 10)):
        found = imported(path, replace(tiny, info=tiny.info | own)).preprocess
        assert (found and (found.settings.size, found.settings.crop)) == (expected and (expected, None))


def test_squares_that_are_made_in_another_way_are_said(ours, tiny, capsys):
    path, _ = ours(framing="centre")
    imported(path, tiny)
    assert f"{path}: its pictures became squares by cutting at the centre, and the data set's by stret" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("facts", "settings", "message"),
    [
        (
            {"classes": ["a", "b", "d"]},
            {},
            "its metadata names d, which the data set does not have, and does not name c, which the data set has; the "
            "classes of the data set are a, b, c; name them as `classes`, in the order of the model's outputs",
        ),
        (
            {},
            {"classes": ["a", "c", "b"]},
            "its outputs are a, b, c, as its metadata says, and `classes` names a, c, b; leave `classes` out",
        ),
        (
            {"mean": [0.25, 0.5, 0.75]},
            {"preprocess": {"size": 8}},
            "its metadata says that it expects mean [0.25, 0.5, 0.75], and `preprocess` has [0.485, 0.456, 0.406]; "
            "leave `preprocess` out, or give this",
        ),
        (
            {"image_size": 12},
            {"preprocess": {"size": 16}},
            "its metadata says that it expects size 12, and `preprocess` has 16; leave `preprocess` out, or give this",
        ),
        (
            {"method": {"kind": "domain_independent"}},
            {},
            "is a model of kind domain_independent, which has outputs for each group in place of one for each class; "
            "give one of a method that predicts by the network alone",
        ),
        ({"mean": [2.0, 0.5, 0.5]}, {}, "its metadata has a mean or std beyond the scale 0 to 1;"),
    ],
)
def test_what_contradicts_the_file_is_one_line(ours, tiny, facts, settings, message):
    path, _ = ours(**facts)
    with pytest.raises(UserError) as error:
        imported(path, tiny, **settings)
    assert str(error.value).startswith(f"{path}: {message}")


def test_a_preprocess_that_says_what_the_file_says_is_taken(ours, tiny):
    path, _ = ours(image_size=12)
    same = {"size": 12, **{name: getattr(tiny, name).round(4).tolist() for name in ("mean", "std")}}
    assert imported(path, tiny, preprocess={**same, "interpolation": "bicubic"}).preprocess.settings.size == 12
