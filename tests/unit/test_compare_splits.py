"""The script that sets training images beside test images."""

import json

import numpy as np
import pandas as pd
import pytest

from fairdistill.networks import build_model, save_model
from scripts import compare_splits


def test_the_share_between_groups():
    label, group = np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])
    apart = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    assert compare_splits.between_groups(apart, label, group) == pytest.approx(1)
    assert compare_splits.between_groups(apart, label, np.array([0, 1, 0, 1])) == 0
    # the distance of two classes is none between groups
    assert compare_splits.between_groups(apart, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == 0


def test_both_splits_of_each_model_are_measured(tiny_folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tiny").symlink_to(tiny_folder)
    folder = tmp_path / "models" / "tiny" / "shufflenet" / "teacher" / "seed3"
    folder.mkdir(parents=True)
    architecture = {"kind": "shufflenet_v2_x1_0", "stem": "cifar"}
    save_model(folder / "weights.safetensors", build_model(architecture, 3), architecture)
    run = {"dataset": "tiny", "architecture": "shufflenet", "method": "teacher", "seed": 3}
    (folder / "training.json").write_text(json.dumps({"run": run}))
    arguments = ["--results", tmp_path, "--csv", tmp_path / "splits.csv", folder.relative_to(tmp_path / "models")]
    monkeypatch.setattr("sys.argv", ["compare_splits", *map(str, arguments)])

    compare_splits.main()

    table = pd.read_csv(tmp_path / "splits.csv")
    assert table["split"].tolist() == ["train", "test"]
    assert (table[list(run)] == pd.Series(run)).all(axis=None)
    # an untrained model gives one answer
    assert table[["accuracy", "deo_a", "deo_m"]].to_numpy() == pytest.approx(np.array([[1 / 3, 0, 0]] * 2))
    assert table["between_groups"].gt(0).all()
    assert capsys.readouterr().out.count("shufflenet") == 2
