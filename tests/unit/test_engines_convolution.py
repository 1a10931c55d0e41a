"""The fast engine's convolutions against torch's own."""

import copy

import pytest
import torch
from torch import nn

from fairdistill.networks import build_network
from fairdistill.settings.networks import ResNet18, ShuffleNetV2
from fairdistill.training.engines import convolution
from fairdistill.training.engines.adam import ChannelsLastAdam
from fairdistill.training.engines.convolution import CroppedConv2d, FastConv2d, crop_kernels, use_fast_convolutions
from fairdistill.training.engines.ways import WHOLE, Shape, Way

# kernel, stride, padding, size of the map
SMALL = [(3, 1, 1, 1), (3, 1, 1, 2), (3, 2, 1, 2), (3, 2, 1, 1), (1, 1, 0, 1), (1, 2, 0, 1), (5, 1, 2, 3)]
LARGE = [(3, 1, 1, 3), (3, 2, 1, 4), (1, 1, 0, 2), (1, 2, 0, 2)]


def pair(kernel, stride, padding, *, groups):
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 6, kernel, stride, padding, groups=groups, bias=False).double()
    fast = copy.deepcopy(plain)
    use_fast_convolutions(fast)
    return plain, fast


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize(("kernel", "stride", "padding", "size"), SMALL + LARGE)
def test_values_and_gradients_are_those_of_the_plain_convolution(kernel, stride, padding, size, groups):
    plain, fast = pair(kernel, stride, padding, groups=groups)
    assert type(fast) is FastConv2d
    images = torch.randn(5, 6, size, size, dtype=torch.float64, requires_grad=True)
    want, got = plain(images), fast(images)
    assert want.shape == got.shape
    torch.testing.assert_close(got, want)
    weights = torch.randn_like(want)
    want_gradients = torch.autograd.grad((want * weights).sum(), [images, plain.weight])
    got_gradients = torch.autograd.grad((got * weights).sum(), [images, fast.weight])
    torch.testing.assert_close(got_gradients, want_gradients)


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize(("kernel", "stride", "padding", "size"), SMALL)
def test_values_without_gradients_are_those_of_the_plain_convolution_in_float64(kernel, stride, padding, size, batch):
    """They are computed by another library where that is faster."""
    plain, fast = pair(kernel, stride, padding, groups=1)
    images = torch.randn(batch, 6, size, size)
    with torch.no_grad():
        torch.testing.assert_close(fast.float()(images), plain(images.double()).float(), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not convolution.ONEDNN_PRODUCTS, reason="this processor has its products from MKL")
def test_products_in_float32_are_onednns_where_no_gradient_is_needed(monkeypatch):
    _, fast = pair(3, 1, 1, groups=1)
    images = torch.randn(2, 6, 1, 1)
    monkeypatch.setattr(convolution, "linear", None)
    with torch.no_grad():
        fast.float()(images)
        with pytest.raises(TypeError), torch.autocast("cpu", torch.bfloat16):
            fast(images)
    with pytest.raises(TypeError):
        fast(images)


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


@pytest.mark.parametrize(
    "options",
    [
        {"bias": True},
        {"dilation": 2},
        {"padding": 1, "padding_mode": "reflect"},
        {"padding": "same"},
    ],
    ids=str,
)
def test_what_it_cannot_do_is_left_alone(options):
    layer = nn.Conv2d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, "bias": False} | options)
    use_fast_convolutions(layer)
    assert type(layer) is nn.Conv2d


@pytest.mark.parametrize("groups", [1, 6])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"), [*SMALL, *LARGE, (3, 1, 1, 4), (3, 1, 1, 6), (3, 2, 1, 9), (5, 2, 2, 8)]
)
def test_it_computes_in_bfloat16_where_asked_to(kernel, stride, padding, size, groups):
    plain, fast = (layer.float() for layer in pair(kernel, stride, padding, groups=groups))
    fast = fast.to(memory_format=torch.channels_last)
    images = torch.randn(5, 6, size, size).contiguous(memory_format=torch.channels_last).requires_grad_()
    want = plain(images)
    with torch.autocast("cpu", torch.bfloat16):
        got = fast(images)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), want, atol=0.05, rtol=0.05)
    weights = torch.randn_like(want)
    want_gradients = torch.autograd.grad((want * weights).sum(), [images, plain.weight])
    got_gradients = torch.autograd.grad((got * weights).sum(), [images, fast.weight])
    for got_gradient, want_gradient in zip(got_gradients, want_gradients, strict=True):
        assert got_gradient.dtype == torch.float32
        assert (got_gradient - want_gradient).norm() < 0.02 * want_gradient.norm()


# of all passes, and each with another neighbour
DENSE = [Way("taps", "taps", "taps"), Way("onednn", "onednn", "taps"), Way("taps", "onednn", "onednn")]
DENSE += [Way("onednn", "taps", "onednn")]
DEPTHWISE = [
    Way("onednn", "float32", "float32"),
    Way("onednn", "float32", "onednn"),
    Way("onednn", "onednn", "float32"),
]


@pytest.mark.parametrize("needed", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize(("groups", "way"), [*((1, way) for way in DENSE), *((4, way) for way in DEPTHWISE)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [(3, 1, 1, 4), (3, 2, 1, 4), (3, 2, 1, 5), (3, 2, 0, 6), (1, 1, 0, 3), (1, 2, 0, 4), (1, 2, 0, 5), (5, 2, 2, 7)],
)
def test_each_way_is_the_convolution(kernel, stride, padding, size, groups, way, needed):
    torch.manual_seed(0)
    # what is computed in float32 whatever comes in is compared in it
    precise = torch.float32 if "float32" in way else torch.float64
    images = torch.randn(3, 4, size, size, dtype=precise, requires_grad=needed[0])
    weight = torch.randn(4, 4 // groups, kernel, kernel, dtype=precise, requires_grad=needed[1])
    want = nn.functional.conv2d(images, weight, None, stride, padding, groups=groups)
    got = convolution._Convolution.apply(images, weight, stride, padding, groups, way)
    torch.testing.assert_close(got, want)
    weights, leaves = torch.randn_like(want), [leaf for leaf in (images, weight) if leaf.requires_grad]
    gradients = [torch.autograd.grad((out * weights).sum(), leaves) for out in (got, want)]
    torch.testing.assert_close(*gradients)


def passes_of(module, images):
    """The names of the ways in which the module computes images in bfloat16, those that it has of its own."""
    with torch.autocast("cpu", torch.bfloat16):
        out = module(images.requires_grad_())
    seen, pending = set(), [out.grad_fn]
    while pending:
        node = pending.pop()
        seen.add(node.name())
        pending += [above for above, _ in node.next_functions if above]
    return {"_ConvolutionBackward", "ConvolutionBackward0"} & seen


@pytest.fixture
def chosen(monkeypatch):
    """A function that lets a way be chosen, and the list of what it was asked for."""
    asked = []

    def choose(way):
        monkeypatch.setattr(convolution, "fastest_way", lambda *of: asked.append(of) or way)
        return asked

    return choose


@pytest.mark.parametrize(
    ("way", "passes"),
    [
        (None, "ConvolutionBackward0"),
        (Way(), "ConvolutionBackward0"),
        # maps are too large for it, but the nearest shape that was measured has smaller ones
        (WHOLE, "ConvolutionBackward0"),
        (Way("onednn", "onednn", "taps"), "_ConvolutionBackward"),
    ],
)
def test_a_convolution_goes_the_way_of_its_shape_and_precision(chosen, way, passes):
    asked = chosen(way)
    plain, fast = (layer.float() for layer in pair(3, 2, 1, groups=1))
    images = torch.randn(2, 6, 9, 9)
    assert passes_of(fast, images) == {passes}
    torch.testing.assert_close(fast(images), plain(images))
    shape = Shape(depthwise=False, kernel=3, stride=2, size=5, into=6, out=6)
    assert asked == [(shape, precision, convolution.PROCESSOR) for precision in ("bf16", "fp32")]
    _, depthwise = (layer.float() for layer in pair(3, 1, 1, groups=6))
    depthwise(images)
    assert asked[-1][0] == Shape(depthwise=True, kernel=3, stride=1, size=9, into=6, out=6)


def test_where_no_gradient_is_needed_the_convolution_is_torchs_own(chosen, monkeypatch):
    chosen(Way("taps", "taps", "taps"))
    monkeypatch.setattr(convolution, "_taps", None)
    plain, fast = (layer.float() for layer in pair(3, 2, 1, groups=1))
    images = torch.randn(2, 6, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(fast(images), plain(images))
    with pytest.raises(TypeError):
        fast(images)


def test_where_the_shape_has_two_edges_no_way_is_known(chosen):
    asked = chosen(Way("taps", "taps", "taps"))
    _, fast = pair(3, 2, 1, groups=1)
    fast(torch.randn(2, 6, 9, 7, dtype=torch.float64))
    assert not asked


def test_a_map_smaller_than_the_kernel_is_torchs_error():
    layer = nn.Conv2d(2, 2, 3, bias=False)
    use_fast_convolutions(layer)
    for size in (1, 2):
        with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
            layer(torch.randn(1, 2, size, size))


@pytest.mark.parametrize(("way", "product"), [(None, True), (WHOLE, True), (Way(), False)])
def test_small_maps_are_whole_products_unless_another_way_was_measured_to_be_faster(chosen, way, product):
    chosen(way)
    _, fast = (layer.float() for layer in pair(3, 1, 1, groups=1))
    assert passes_of(fast, torch.randn(2, 6, 2, 2)) == (set() if product else {"ConvolutionBackward0"})


def test_a_kernel_of_one_pixel_is_torchs_own_product(chosen):
    chosen(Way("taps", "taps", "taps"))
    plain, fast = (layer.float() for layer in pair(1, 1, 0, groups=1))
    images = torch.randn(2, 6, 4, 4)
    assert passes_of(fast, images) == set()
    torch.testing.assert_close(fast(images), plain(images))


# kernel, stride, padding, size of the map, and the taps of it that meet a pixel
CROPPED = [
    ((3, 1, 1, 1), slice(1, 2)),
    ((3, 2, 1, 2), slice(1, 3)),
    ((3, 2, 1, 1), slice(1, 2)),
    ((5, 1, 2, 1), slice(2, 3)),
    ((5, 1, 2, 2), slice(1, 4)),
]


@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize(("case", "taps"), CROPPED)
def test_taps_that_meet_only_padding_are_left_out_and_kept(case, taps, groups):
    kernel, stride, padding, size = case
    plain, fast = pair(kernel, stride, padding, groups=groups)
    network = nn.Sequential(fast)
    crop_kernels(network, torch.zeros(1, 6, size, size, dtype=torch.float64))
    assert type(fast) is CroppedConv2d
    assert fast.weight.shape[2:] == (taps.stop - taps.start,) * 2
    images = torch.randn(5, 6, size, size, dtype=torch.float64)
    before = plain.weight.detach().clone()
    optimizers = torch.optim.Adam(plain.parameters(), lr=0.1), ChannelsLastAdam(network.parameters(), lr=0.1)
    for _ in range(3):
        for model, adam in zip((plain, network), optimizers, strict=True):
            adam.zero_grad()
            model(images).square().sum().backward()
            adam.step()
    torch.testing.assert_close(network(images), plain(images))
    # the state is the whole kernel, of which the other taps are as they were
    whole = network.state_dict()["0.weight"]
    torch.testing.assert_close(whole, plain.state_dict()["weight"])
    outside = torch.ones_like(whole, dtype=torch.bool)
    outside[:, :, taps, taps] = False
    assert (whole[outside] == before[outside]).all()
    assert (whole[~outside] != before[~outside]).all()


def test_the_state_of_a_cropped_convolution_is_loaded_and_copied():
    _, fast = pair(3, 1, 1, groups=1)
    crop_kernels(fast, torch.zeros(1, 6, 1, 1, dtype=torch.float64))
    state = {"weight": torch.randn(6, 6, 3, 3, dtype=torch.float64)}
    fast.load_state_dict(state)
    for module in (fast, copy.deepcopy(fast)):
        torch.testing.assert_close(module.state_dict(), state)
        torch.testing.assert_close(module.weight.detach(), state["weight"][:, :, 1:2, 1:2])
    with pytest.raises(RuntimeError, match="Missing key"):
        fast.load_state_dict({})


def test_the_maps_of_a_cropped_convolution_may_be_oblong():
    plain, fast = pair(5, 1, 2, groups=1)
    images = torch.randn(3, 6, 1, 2, dtype=torch.float64)
    crop_kernels(fast, images)
    assert fast.weight.shape[2:] == (1, 3)
    torch.testing.assert_close(fast(images), plain(images))


def test_in_bfloat16_no_weight_of_groups_is_changed_by_memory_that_was_never_written():
    """oneDNN does not write the gradient of taps that meet only padding, of which a strided kernel has eight."""
    torch.manual_seed(0)
    module = nn.Conv2d(64, 64, 3, 2, 1, groups=2, bias=False).to(memory_format=torch.channels_last)
    use_fast_convolutions(module)
    before = module.weight.detach().clone()
    images = torch.randn(16, 64, 1, 1).to(memory_format=torch.channels_last)
    crop_kernels(module, images)
    adam = ChannelsLastAdam(module.parameters(), lr=0.1)
    for _ in range(3):
        adam.zero_grad()
        # what freed memory holds
        [torch.full((2**n,), float("nan")) for n in range(4, 22)]
        with torch.autocast("cpu", torch.bfloat16):
            module(images).sum().backward()
        adam.step()
    after = module.state_dict()["weight"]
    assert after.isfinite().all()
    changed = (after != before).flatten(2).any(1).any(0)
    assert changed.tolist() == [False] * 4 + [True] + [False] * 4


def test_a_convolution_none_of_whose_outputs_sees_the_map_is_left_whole():
    module = nn.Conv2d(4, 4, 1, 3, 1, bias=False)
    use_fast_convolutions(module)
    images = torch.randn(2, 4, 1, 1)
    crop_kernels(module, images)
    assert module.weight.shape == (4, 4, 1, 1)
    assert (module(images) == 0).all()


def test_a_kernel_for_maps_of_two_sizes_is_left_whole():
    _, fast = pair(3, 1, 1, groups=1)
    crop_kernels(nn.Sequential(fast, nn.AvgPool2d(2), fast), torch.zeros(1, 6, 2, 2, dtype=torch.float64))
    assert fast.weight.shape == (6, 6, 3, 3)


def test_a_kernel_that_is_frozen_stays_so():
    _, fast = pair(3, 1, 1, groups=1)
    fast.requires_grad_(False)
    crop_kernels(fast, torch.zeros(1, 6, 1, 1, dtype=torch.float64))
    assert type(fast) is CroppedConv2d
    assert not fast.weight.requires_grad


@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_cropped_for_its_images_and_left_in_its_mode(training):
    network = build_network(ResNet18(kind="resnet18"), 3).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    use_fast_convolutions(network)
    for size, count in ((64, 0), (32, 4)):
        crop_kernels(network, torch.zeros(1, 3, size, size))
        assert sum(type(module) is CroppedConv2d for module in network.modules()) == count
    assert network.training == training
    assert not any(module._forward_pre_hooks for module in network.modules())
    # running means and variances are those of no image
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    "settings", [ResNet18(kind="resnet18"), ShuffleNetV2(kind="shufflenet_v2_x1_0")], ids=lambda settings: settings.kind
)
def test_a_network_is_the_same_function(settings):
    torch.manual_seed(0)
    plain = build_network(settings, 3).double()
    fast = copy.deepcopy(plain)
    use_fast_convolutions(fast)
    assert list(fast.state_dict()) == list(plain.state_dict())
    images = torch.randn(8, 3, 32, 32, dtype=torch.float64)
    for model in (plain, fast):
        model(images).logits.square().sum().backward()
    for (name, want), got in zip(plain.named_parameters(), fast.parameters(), strict=True):
        # a bias before a batch normalisation has no gradient but rounding
        assert (got.grad - want.grad).norm() <= 1e-8 * want.grad.norm() + 1e-12, name
