"""The script that sets training images beside test images."""

import numpy as np
import pytest

from fairdistill.models import build_model, save_model
from scripts import compare_splits


def test_the_share_between_groups():
    label, group = np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])
    apart = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    assert compare_splits.between_groups(apart, label, group) == pytest.approx(1)
    assert compare_splits.between_groups(apart, label, np.array([0, 1, 0, 1])) == 0
    # the distance of two classes is none between groups
    assert compare_splits.between_groups(apart, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == 0


def test_it_prints_both_splits(tiny_folder, tmp_path, monkeypatch, capsys):
    architecture = {"kind": "shufflenet_v2_x1_0", "stem": "cifar"}
    save_model(tmp_path / "weights.safetensors", build_model(architecture, 3), architecture)
    arguments = ["--data", str(tiny_folder), "--weights", str(tmp_path / "weights.safetensors")]
    monkeypatch.setattr("sys.argv", ["compare_splits", *arguments])
    compare_splits.main()
    out = capsys.readouterr().out
    assert out.index("train: accuracy") < out.index("test: accuracy")
    assert out.count("DEO_M") == 2
