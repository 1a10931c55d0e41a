"""What is written for a GPU, on one; skipped where there is none."""

import copy
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from method_trainings import KINDS, assert_same_bits, fit, interrupted, network_settings

from fairdistill.data import ImageDataset
from fairdistill.methods.mfd import Kernel, mfd_loss, mfd_loss_by_cells
from fairdistill.networks import build_network
from fairdistill.runtime.errors import UserError
from fairdistill.training.engines import fast, graphs
from fairdistill.training.resume import ResumeState

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

METHODS = [
    {"kind": "erm"},
    {"kind": "mfd"},
    {"kind": "mfd", "kernel": "polynomial", "sampling": "plain"},
    {"kind": "mfd", "features": "flattened"},
    {"kind": "mfd", "joint": True},
    {"kind": "kd"},
    {"kind": "mfd", "kd_weight": 2.0},
    {"kind": "at"},
    {"kind": "fitnets", "hint_share": 0.5},
    {"kind": "nst"},
    {"kind": "nst", "kernel": "rbf"},
    {"kind": "pkt"},
    {"kind": "adversarial"},
    {"kind": "reweighing"},
    {"kind": "group_mmd"},
    {"kind": "group_mmd", "kernel": "polynomial"},
    {"kind": "domain_independent"},
    {"kind": "domain_independent", "inference": "own_group", "prior_shift": True},
    {"kind": "domain_discriminative"},
    {"kind": "group_dro"},
    {"kind": "vfae"},
    {"kind": "ffvae", "representation_share": 0.5},
]
GPU = {"device": "cuda", "epochs": 3}


@pytest.fixture(scope="module")
def images():
    """640 training images of 32 px, 10 classes told by brightness, 2 groups by colour; 160 test images."""
    rng = np.random.default_rng(0)
    n = 800
    label, group = np.arange(n) % 10, np.arange(n) // 10 % 2
    pixels = rng.integers(0, 40, (n, 32, 32, 3)) + 20 * label[:, None, None, None]
    pixels[..., 0] += 15 * group[:, None, None]
    split = np.where(np.arange(n) < 640, "train", "test")
    name = [f"image{i}" for i in range(n)]
    samples = pd.DataFrame({"sample_id": name, "image_id": name, "split": split, "label": label, "group": group})
    names = [f"class{y}" for y in range(10)], ["g", "h"]
    return ImageDataset(pixels.astype(np.uint8), samples, *names, np.full(3, 0.5), np.full(3, 0.3), {})


def base_of(dataset, network):
    torch.manual_seed(7)
    return build_network(network, len(dataset.classes))


def run(dataset, method, network, **options):
    return fit(dataset, method, network=network, base=base_of(dataset, network), **(GPU | options))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_training_has_the_bits_of_one_that_is_not(images, kind, method, precision, monkeypatch):
    network, made = network_settings(kind), []
    record = graphs.RecordedStep._record
    monkeypatch.setattr(graphs.RecordedStep, "_record", lambda step, inputs: made.append(step) or record(step, inputs))
    recorded = run(images, method, network, precision=precision)
    # once in each stage
    assert len(made) == len(recorded.method.stages(GPU["epochs"]))
    again = run(images, method, network, precision=precision)
    assert_same_bits(recorded, again)
    monkeypatch.setattr(fast, "record", lambda step, device: step)
    assert_same_bits(recorded, run(images, method, network, precision=precision))


def test_a_step_that_cannot_be_recorded_is_said():
    def step(values):
        return {"loss": values * values.sum().item()}

    recorded = graphs.RecordedStep(step)
    values = torch.ones(3, device="cuda")
    for _ in range(graphs.WARM_UP):
        recorded(values)
    with pytest.raises(UserError, match=r"cannot be recorded as a CUDA graph .* fixed_step"):
        recorded(values)


def test_a_step_of_other_shapes_is_recorded_anew():
    recorded = graphs.RecordedStep(lambda values: {"sum": values.sum()})
    for n in (3, 3, 3, 3, 3, 5, 5, 1):
        assert recorded(torch.ones(n, device="cuda"))["sum"].item() == n


def test_random_numbers_are_drawn_anew_at_each_replay():
    recorded = graphs.RecordedStep(lambda values: {"drawn": values + torch.rand_like(values)})
    values = torch.zeros(4, device="cuda")
    torch.manual_seed(0)
    first = [recorded(values)["drawn"].clone() for _ in range(graphs.WARM_UP + 4)]
    torch.manual_seed(0)
    again = [recorded(values)["drawn"].clone() for _ in range(graphs.WARM_UP + 4)]
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert len({tuple(drawn.tolist()) for drawn in first}) == len(first)


@pytest.mark.parametrize("kind", KINDS)
def test_networks_of_small_images_repeat_themselves(images, kind):
    network = network_settings(kind, "imagenet")
    one, two = (run(images, {"kind": "mfd"}, network, precision="auto") for _ in range(2))
    assert_same_bits(one, two)
    assert one.history["loss"].iloc[-1] < one.history["loss"].iloc[0]


@pytest.mark.parametrize("method", [{"kind": "mfd"}, {"kind": "adversarial"}], ids=str)
@pytest.mark.parametrize("before", [1, 2])
def test_a_resumed_training_ends_with_the_same_bits(images, tmp_path, method, before):
    network = network_settings()
    options = {"network": network, "base": base_of(images, network), **GPU}
    state = ResumeState(tmp_path / "state", {})
    interrupted(images, method, before=before, resume=state, **copy.deepcopy(options))
    resumed = fit(images, method, resume=state, **copy.deepcopy(options))
    assert_same_bits(fit(images, method, **options), resumed)


@pytest.mark.parametrize("kernel", ["rbf", "polynomial"])
@pytest.mark.parametrize(("n_classes", "n_groups", "width"), [(10, 2, 512), (3, 4, 1024), (3, 4, 4096)])
def test_the_loss_of_mfd_is_that_of_the_cpu(kernel, n_classes, n_groups, width):
    torch.manual_seed(0)
    teacher, student = torch.randn(2, 128, width).relu().unbind()
    label, group = torch.randint(n_classes, (128,)), torch.randint(n_groups, (128,))
    group[label == 1] = 0  # empty cells
    found = []
    for loss, device, dtype in [(mfd_loss, "cuda", torch.float32), (mfd_loss_by_cells, "cpu", torch.float64)]:
        s = student.to(device, dtype).requires_grad_()
        t, y, a = teacher.to(device, dtype), label.to(device), group.to(device)
        value = loss(t, s, y, a, n_classes=n_classes, n_groups=n_groups, kernel=Kernel(kernel))
        found.append([each.double().cpu() for each in (value.detach(), *torch.autograd.grad(value, s))])
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-6)


def test_the_reference_engine_agrees_in_the_first_epoch(images):
    network = network_settings()
    options = {"epochs": 1, "batch_size": 128, "learning_rate": 1e-5}
    ours, plain = (run(images, {"kind": "mfd"}, network, engine=name, **options) for name in ("fast", "reference"))
    for term in ("cross_entropy", "mfd"):
        assert ours.history[term][0] == pytest.approx(plain.history[term][0], rel=1e-3)


def test_trainings_share_a_gpu(tiny_folder, tmp_path):
    """Three processes, two slots: all end, with the same bits."""
    training = {"epochs": 2, "batch_size": 32, "device": "cuda", "precision": "fp32"}
    outputs = [tmp_path / f"model{i}" for i in range(3)]
    environment = os.environ | {"FAIRDISTILL_GPU_SLOTS": "2"}
    common = [sys.executable, "-m", "scripts.train_model", "--data", str(tiny_folder), "--seed", "1"]
    common += ["--network", json.dumps(network_settings().to_json()), "--training", json.dumps(training)]
    processes = [subprocess.Popen([*common, "--output", str(output)], env=environment) for output in outputs]
    assert [process.wait() for process in processes] == [0, 0, 0]
    weights = {(output / "weights.safetensors").read_bytes() for output in outputs}
    assert len(weights) == 1
    record = json.loads((outputs[0] / "training.json").read_text())
    assert record["device"] == "cuda"
    assert record["hardware"]["gpu"]
    assert record["peak_gpu_memory_mb"] > 0
