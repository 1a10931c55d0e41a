"""The convolutions of tiny maps against torch's own."""

import copy

import pytest
import torch
from torch import nn

from fairdistill.networks import build_network
from fairdistill.settings.networks import ResNet18, ShuffleNetV2
from fairdistill.training.engines.convolution import SmallMapConv2d, use_small_map_convolutions

# kernel, stride, padding, size of the map
SMALL = [(3, 1, 1, 1), (3, 1, 1, 2), (3, 2, 1, 2), (3, 2, 1, 1), (1, 1, 0, 1), (1, 2, 0, 1), (5, 1, 2, 3)]
LARGE = [(3, 1, 1, 3), (3, 2, 1, 4), (1, 1, 0, 2), (1, 2, 0, 2)]


def pair(kernel, stride, padding, *, groups):
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 6, kernel, stride, padding, groups=groups, bias=False).double()
    fast = copy.deepcopy(plain)
    use_small_map_convolutions(fast)
    return plain, fast


@pytest.mark.parametrize("groups", [1, 6])
@pytest.mark.parametrize(("kernel", "stride", "padding", "size"), SMALL + LARGE)
def test_values_and_gradients_are_those_of_the_plain_convolution(kernel, stride, padding, size, groups):
    plain, fast = pair(kernel, stride, padding, groups=groups)
    assert type(fast) is SmallMapConv2d
    images = torch.randn(5, 6, size, size, dtype=torch.float64, requires_grad=True)
    want, got = plain(images), fast(images)
    assert want.shape == got.shape
    torch.testing.assert_close(got, want)
    weights = torch.randn_like(want)
    want_gradients = torch.autograd.grad((want * weights).sum(), [images, plain.weight])
    got_gradients = torch.autograd.grad((got * weights).sum(), [images, fast.weight])
    torch.testing.assert_close(got_gradients, want_gradients)


@pytest.mark.parametrize(("kernel", "stride", "padding", "size"), SMALL)
def test_small_maps_never_reach_the_convolution(kernel, stride, padding, size, monkeypatch):
    _, fast = pair(kernel, stride, padding, groups=1)
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", None)
    fast(torch.randn(2, 6, size, size, dtype=torch.float64))


def test_maps_may_be_oblong():
    plain, fast = pair(3, 1, 1, groups=1)
    for size in [(1, 2), (2, 1), (2, 5)]:
        images = torch.randn(3, 6, *size, dtype=torch.float64)
        torch.testing.assert_close(fast(images), plain(images))


def test_what_it_cannot_do_is_left_alone():
    layers = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, dilation=2, bias=False), nn.Conv2d(4, 8, 3, groups=2))
    use_small_map_convolutions(layers)
    assert [type(layer) for layer in layers] == [nn.Conv2d] * 3


def test_it_computes_in_bfloat16_where_asked_to():
    plain, fast = (layer.float() for layer in pair(3, 1, 1, groups=1))
    images = torch.randn(5, 6, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        got = fast(images)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), plain(images), atol=0.02, rtol=0.02)


@pytest.mark.parametrize(
    "settings", [ResNet18(kind="resnet18"), ShuffleNetV2(kind="shufflenet_v2_x1_0")], ids=lambda settings: settings.kind
)
def test_a_network_is_the_same_function(settings):
    torch.manual_seed(0)
    plain = build_network(settings, 3).double()
    fast = copy.deepcopy(plain)
    use_small_map_convolutions(fast)
    assert list(fast.state_dict()) == list(plain.state_dict())
    images = torch.randn(8, 3, 32, 32, dtype=torch.float64)
    for model in (plain, fast):
        model(images).logits.square().sum().backward()
    for (name, want), got in zip(plain.named_parameters(), fast.parameters(), strict=True):
        # a bias before a batch normalisation has no gradient but rounding
        assert (got.grad - want.grad).norm() <= 1e-8 * want.grad.norm() + 1e-12, name
