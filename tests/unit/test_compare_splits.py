"""The script that compares what a model does on the splits of its data set."""

import json

import numpy as np
import pandas as pd
import pytest
from synthetic_results import make_training

from fairdistill.networks import build_network, save_network
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import sha256
from fairdistill.settings.networks import ShuffleNetV2
from scripts import compare_splits


def test_the_share_between_groups():
    label, group = np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])
    apart = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    assert compare_splits.between_groups(apart, label, group) == pytest.approx(1)
    # chance alone would set the groups' means apart by more than they are
    assert compare_splits.between_groups(apart, label, np.array([0, 1, 0, 1])) == pytest.approx(-0.5)
    # the distance of two classes is none between groups
    assert compare_splits.between_groups(apart, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == 0


def test_groups_that_do_not_differ_have_no_share_on_average():
    rng = np.random.default_rng(0)
    label, group = np.repeat([0, 1], 60), np.repeat([0, 1, 2, 0, 1, 2], [10, 20, 30, 30, 15, 15])
    shares = [compare_splits.between_groups(rng.normal(size=(120, 4)), label, group) for _ in range(2000)]
    # uncorrected it is 0.03
    assert abs(np.mean(shares)) < 4 * np.std(shares) / np.sqrt(2000) < 0.003


def measured(data, tmp_path, monkeypatch):
    """The table that the script writes on an untrained model of a data set."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tiny").symlink_to(data)
    folder = tmp_path / "models" / "tiny" / "shufflenet" / "teacher" / "seed3"
    folder.mkdir(parents=True)
    settings = ShuffleNetV2(kind="shufflenet_v2_x1_0", stem="cifar")
    weights = folder / "weights.safetensors"
    save_network(weights, build_network(settings, 3), settings)
    record = make_training(**{name: value for name, value in IDENTITY.items() if name != "fold"})
    record["outputs"][weights.name] = sha256(weights)
    record["inputs"]["dataset"] = json.loads((data / "dataset.json").read_text())["sha256"]
    (folder / "training.json").write_text(json.dumps(record))
    arguments = ["--results", tmp_path, "--csv", tmp_path / "splits.csv", folder.relative_to(tmp_path / "models")]
    monkeypatch.setattr("sys.argv", ["compare_splits", *map(str, arguments)])
    compare_splits.main()
    return pd.read_csv(tmp_path / "splits.csv")


IDENTITY = {"dataset": "tiny", "architecture": "shufflenet", "method": "teacher", "seed": 3, "fold": 0}


def test_both_splits_of_each_model_are_measured(tiny_folder, tmp_path, monkeypatch, capsys):
    table = measured(tiny_folder, tmp_path, monkeypatch)
    assert list(table) == [*IDENTITY, "split", "accuracy", "deo_a", "deo_m", "between_groups"]
    assert table["split"].tolist() == ["train", "test"]
    assert (table[list(IDENTITY)] == pd.Series(IDENTITY)).all(axis=None)
    # an untrained model gives one answer
    assert table[["accuracy", "deo_a", "deo_m"]].to_numpy() == pytest.approx(np.array([[1 / 3, 0, 0]] * 2))
    # freed of what chance adds it may be below zero
    assert table["between_groups"].between(-0.1, 1).all()
    assert capsys.readouterr().out.count("shufflenet") == 2


def test_another_data_set_than_that_of_the_training_is_refused(tiny_folder, tmp_path, monkeypatch):
    measured(tiny_folder, tmp_path, monkeypatch)
    record = tmp_path / "models" / "tiny" / "shufflenet" / "teacher" / "seed3" / "training.json"
    training = json.loads(record.read_text())
    record.write_text(json.dumps(training | {"inputs": training["inputs"] | {"dataset": "0" * 64}}))
    with pytest.raises(UserError, match=r"tiny: not the data set of .*seed3/training\.json; prepare that one"):
        compare_splits.main()


def test_the_validation_split_is_measured_where_there_is_one(tiny_with_validation_folder, tmp_path, monkeypatch):
    table = measured(tiny_with_validation_folder, tmp_path, monkeypatch)
    assert table["split"].tolist() == ["train", "validation", "test"]
    # the features of each split are its own
    assert table["between_groups"].nunique() == 3
