"""The network of the MFD authors for CIFAR-10S, compared with its layers written out."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from method_trainings import assert_same_bits, fit, interrupted
from torch import nn
from torch.nn.functional import conv2d, linear, max_pool2d, relu

from fairdistill.methods.base import Method, Task
from fairdistill.networks import build_network, load_network, save_network
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import Erm
from fairdistill.settings.networks import CifarNet
from fairdistill.training.engines import load_engine
from fairdistill.training.resume import ResumeState

CIFAR_NET = CifarNet(kind="cifar_net")
ENGINES = ["fast", "reference"]


@pytest.fixture(autouse=True)
def without_workers(monkeypatch):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)


@pytest.fixture(scope="module")
def large(tiny):
    """The tiny data set at 32 px."""
    return replace(tiny, images=tiny.images.repeat(4, axis=1).repeat(4, axis=2))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network(CIFAR_NET, 10)


def test_it_is_the_layers_of_the_authors(network):
    images = torch.randn(4, 3, 32, 32)
    weights = [*network.parameters()]
    shapes = [(32, 3, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3), (64, 64, 3, 3), (128, 64, 3, 3), (128, 128, 3, 3)]
    assert [tuple(weight.shape) for weight in weights[::2]] == [*shapes, (256, 2048), (10, 256)]
    assert sum(weight.numel() for weight in weights) == 814_122
    output = network.eval()(images, [*network.layers, network.last_map])
    maps = images
    for number in range(3):
        for place in (4 * number, 4 * number + 2):
            maps = relu(conv2d(maps, weights[place], weights[place + 1], padding=1))
        torch.testing.assert_close(output.maps[f"block{number + 1}"], maps)
        maps = max_pool2d(maps, 2)
    features = relu(linear(maps.flatten(1), weights[12], weights[13]))
    torch.testing.assert_close(output.features, features)
    torch.testing.assert_close(output.logits, linear(features, weights[14], weights[15]))
    # what the authors distil on this network is what its head sees
    assert torch.equal(output.maps[network.last_map], output.features)
    assert network.map_shapes(32, [network.last_map]) == {network.last_map: (network.width,)} == {"hidden": (256,)}


def test_a_quarter_of_each_pooled_map_is_dropped_in_training(network):
    drops = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    assert [drop.p for drop in drops] == [0.25] * 3
    found = []
    for drop in drops:
        drop.register_forward_hook(lambda module, inputs, output: found.append((inputs[0], output)))
    network.train()(torch.randn(64, 3, 32, 32))
    for before, after in found:
        kept = after[before > 0] > 0
        assert kept.float().mean().item() == pytest.approx(0.75, abs=0.01)
        torch.testing.assert_close(after[after > 0], before[after > 0] / 0.75)


@pytest.mark.parametrize("size", [28, 40])
def test_images_of_another_size_are_refused(network, size):
    with pytest.raises(UserError) as error:
        network(torch.zeros(1, 3, size, size))
    assert str(error.value) == (
        f"network cifar_net takes images of 32 px, and those of the data set have {size}; choose another network"
    )


def test_both_engines_compute_the_same_network(network):
    images, label = torch.randn(8, 3, 32, 32), torch.arange(8) % 3
    logits = []
    for name in ENGINES:
        ours = copy.deepcopy(network)
        method = Method(Erm(kind="erm"), Task(10, 2, label, label, 32, ours, None))
        ours, _ = load_engine(name).prepare(ours, method, torch.device("cpu"), 32)
        output = ours.eval()(images)
        output.logits.square().sum().backward()
        logits.append((output.logits.detach(), *(weight.grad for weight in ours.parameters())))
    for ours, plain in zip(*logits, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4, check_stride=False)


def test_a_checkpoint_round_trip(network, tmp_path):
    save_network(tmp_path / "w.safetensors", network, CIFAR_NET)
    loaded = load_network(tmp_path / "w.safetensors", settings=CIFAR_NET)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded.eval()(images).logits, network.eval()(images).logits)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_distilled_with_both_engines(large, engine):
    options = {"network": CIFAR_NET, "batch_size": 16, "engine": engine}
    base = fit(large, {"kind": "erm"}, role="teacher", epochs=4, **options).network
    student = {"kind": "mfd", "features": "flattened", "sampling": "oversampled"}
    history = fit(large, student, base=base, epochs=4, **options).history
    assert history["cross_entropy"].iloc[-1] < 0.8 * history["cross_entropy"].iloc[0]
    assert np.isfinite(history["mfd"]).all()


def test_what_is_dropped_is_the_same_after_an_interruption(large, tmp_path):
    options = {"network": CIFAR_NET, "epochs": 3}
    whole = fit(large, {"kind": "erm"}, **options)
    state = ResumeState(tmp_path / "state", {})
    interrupted(large, {"kind": "erm"}, before=1, resume=state, **options)
    assert_same_bits(whole, fit(large, {"kind": "erm"}, resume=state, **options))
