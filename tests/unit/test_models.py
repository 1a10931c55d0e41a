"""The architectures and their checkpoints."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fairdistill.networks import build_model, freeze, load_model, save_model
from fairdistill.runtime.errors import UserError

RESNET = {"kind": "resnet18", "stem": "imagenet"}
SHUFFLENET = {"kind": "shufflenet_v2_x1_0", "stem": "imagenet"}


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize(("kind", "width"), [("resnet18", 512), ("shufflenet_v2_x1_0", 1024)])
def test_features_are_what_the_head_sees(kind, width, stem):
    model = build_model({"kind": kind, "stem": stem}, n_classes=7).eval()
    features, logits = model(torch.randn(2, 3, 32, 32))
    assert features.shape == (2, width)
    assert logits.shape == (2, 7)
    assert torch.equal(logits, model.head(features))
    assert model.width == width


@pytest.mark.parametrize("kind", ["resnet18", "shufflenet_v2_x1_0"])
def test_equals_torchvision_s_network(kind):
    from torchvision import models

    torch.manual_seed(3)
    ours = build_model({"kind": kind}, n_classes=5).eval()
    torch.manual_seed(3)
    theirs = getattr(models, kind)(weights=None, num_classes=5).eval()
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours(images).logits, theirs(images))


def test_the_cifar_stem_keeps_the_resolution():
    model = build_model(RESNET | {"stem": "cifar"}, n_classes=2)
    assert model.body.maxpool(model.body.conv1(torch.zeros(1, 3, 32, 32))).shape[-1] == 32


def test_a_checkpoint_round_trip(tmp_path):
    model = build_model(SHUFFLENET, n_classes=4)
    save_model(tmp_path / "w.safetensors", model, SHUFFLENET)
    loaded = load_model(tmp_path / "w.safetensors", architecture=SHUFFLENET)
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    assert loaded.state_dict().keys() == model.state_dict().keys()


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    save_model(tmp_path / "w.safetensors", build_model(SHUFFLENET, 4), SHUFFLENET)
    with pytest.raises(UserError, match=r"w.safetensors.*shufflenet.*not.*resnet18"):
        load_model(tmp_path / "w.safetensors", architecture=RESNET)


def test_a_full_disk_leaves_the_earlier_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_model(path, build_model(SHUFFLENET, 4), SHUFFLENET)
    before = path.read_bytes()

    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left.*w\.safetensors"):
        save_model(path, build_model(SHUFFLENET, 4), SHUFFLENET)
    assert path.read_bytes() == before


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_model(path, build_model(SHUFFLENET, 4), SHUFFLENET)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_model(path)


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ({"kind": "resnet19"}, "unknown kind 'resnet19'"),
        ({"kind": "resnet18", "stem": "big"}, "unknown stem 'big'"),
        ({"kind": "resnet18", "width": 2}, "unknown key 'width'"),
    ],
)
def test_unknown_architectures_are_named(architecture, words):
    with pytest.raises(UserError, match=words):
        build_model(architecture, 2)


def test_a_frozen_teacher_has_no_gradient_and_fixed_statistics():
    teacher = freeze(build_model(SHUFFLENET, 4))
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    assert not teacher(torch.randn(4, 3, 32, 32)).features.requires_grad
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())


def test_equal_models_are_equal_bytes(tmp_path):
    """In several processes: safetensors orders metadata anew in each."""
    command = (
        "import sys, torch; from fairdistill.networks import build_model, save_model; torch.manual_seed(0); "
        "a = {'kind': 'shufflenet_v2_x1_0', 'stem': 'cifar'}; save_model(sys.argv[1], build_model(a, 3), a)"
    )
    for name in "abc":
        subprocess.run([sys.executable, "-c", command, tmp_path / name], check=True)
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1
