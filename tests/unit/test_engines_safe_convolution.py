"""Convolutions whose stride exceeds their map, in bfloat16 on a CPU, where oneDNN leaves gradients unwritten."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from fairdistill.networks import Classifier
from fairdistill.training.engines import fast, reference
from fairdistill.training.engines.safe_convolution import SafeConv2d, use_safe_convolutions

CPU = torch.device("cpu")
STRIDED = partial(nn.Conv2d, 32, 32, 3, 2, 1)


class AnyMethod(nn.Module):
    def use_printed_formula(self):
        """Has no other."""


def fill_freed_memory():
    """With what a gradient that was never written shows."""
    [torch.full((2**n,), float("nan")) for n in range(4, 20)]


@pytest.mark.parametrize("engine", [fast, reference], ids=["fast", "reference"])
@pytest.mark.parametrize("options", [{"bias": False}, {"bias": True}, {"groups": 2}], ids=str)
def test_no_weight_is_changed_by_memory_that_was_never_written(engine, options):
    """Of the nine taps eight meet only padding, so that they have no gradient."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 32, 1, bias=False), STRIDED(**options), nn.Flatten())
    network = Classifier(body, nn.Linear(32, 3))
    before = network.state_dict()["body.1.weight"].clone()
    network, _ = engine.prepare(network, AnyMethod(), CPU, 1)
    network.train().bf16 = True
    adam = engine.optimizer(network.parameters(), CPU, learning_rate=0.1, weight_decay=0.0)
    images = torch.randn(16, 3, 1, 1)
    for _ in range(3):
        adam.zero_grad()
        fill_freed_memory()
        network(images).logits.square().sum().backward()
        adam.step()
    after = network.state_dict()["body.1.weight"]
    assert after.isfinite().all()
    assert (after != before).flatten(2).any(1).any(0).tolist() == [False] * 4 + [True] + [False] * 4


@pytest.mark.parametrize("size", [(1, 1), (4, 1)])
def test_where_the_map_is_narrower_than_the_stride_the_gradient_is_that_in_float32(size):
    plain = STRIDED()
    safe = copy.deepcopy(plain)
    use_safe_convolutions(safe)
    assert type(safe) is SafeConv2d
    images = torch.randn(8, 32, *size)
    plain(images).square().sum().backward()
    fill_freed_memory()
    with torch.autocast("cpu", torch.bfloat16):
        safe(images).square().sum().backward()
    assert torch.equal(safe.weight.grad, plain.weight.grad)


@pytest.mark.parametrize(
    ("size", "dtype", "bf16"),
    [
        ((2, 2), torch.float32, True),
        ((1, 4), torch.float32, True),
        ((1, 1), torch.float32, False),
        ((1, 1), torch.float64, False),
    ],
)
def test_elsewhere_it_is_torchs_own_convolution_to_the_bit(size, dtype, bf16):
    """Where the map is as wide as the stride, or nothing is computed in bfloat16."""
    plain = STRIDED(dtype=dtype)
    safe = copy.deepcopy(plain)
    use_safe_convolutions(safe)
    images = torch.randn(8, 32, *size, dtype=dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found, wanted = safe(images), plain(images)
    assert found.dtype == wanted.dtype
    assert torch.equal(found, wanted)
    for out in (found, wanted):
        out.square().sum().backward()
    assert torch.equal(safe.weight.grad, plain.weight.grad)
