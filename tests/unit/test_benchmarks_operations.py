"""The useful operations that shares of the peak are of."""

import pytest
import torch
from torch import nn

from benchmarks.operations import count_operations
from fairdistill.networks import build_network
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import read_settings
from fairdistill.training.engines.convolution import crop_kernels, use_fast_convolutions

BATCH, IN, OUT = 2, 4, 6


def forward(size, kernel, *, groups=1, out=OUT, **options):
    """The operations of the forward pass of a convolution, and those of all taps at all outputs."""
    layer = nn.Conv2d(IN, out, kernel, groups=groups, bias=False, **options)
    images = torch.zeros(BATCH, IN, *size)
    found = []
    counted = count_operations(lambda: found.append(layer(images)))
    outputs = found[0].shape[2] * found[0].shape[3]
    return counted, 2 * BATCH * outputs * layer.weight.numel()


@pytest.mark.parametrize(
    ("size", "options", "share"),
    [
        # 0.694: of the three taps of an edge, the four outputs meet 2, 3, 3 and 2
        ((4, 4), {"kernel": 3, "padding": 1}, (10 / 12) ** 2),
        ((1, 1), {"kernel": 3, "padding": 1}, 1 / 9),
        ((4, 1), {"kernel": 3, "padding": 1}, 10 / 12 / 3),
        # of the outputs of each other pixel, the first meets 2 and the second 3
        ((4, 4), {"kernel": 3, "padding": 1, "stride": 2}, (5 / 6) ** 2),
        # at a distance of two the outer taps meet two of the four pixels each
        ((4, 4), {"kernel": 3, "padding": 2, "dilation": 2}, (8 / 12) ** 2),
        ((4, 4), {"kernel": 3, "padding": 1, "groups": 2}, (10 / 12) ** 2),
        ((6, 6), {"kernel": 3}, 1),
        ((4, 4), {"kernel": 1, "stride": 2}, 1),
    ],
)
def test_a_tap_counts_where_it_meets_the_map(size, options, share):
    useful, of_all_taps = forward(size, **options)
    assert useful == pytest.approx(share * of_all_taps)


def test_a_transposed_convolution_counts_as_the_one_whose_input_gradient_it_is():
    layer = nn.ConvTranspose2d(OUT, IN, 3, stride=2, padding=1, output_padding=1, bias=False)
    counted = count_operations(lambda: layer(torch.zeros(BATCH, OUT, 2, 2)))
    assert counted == forward((4, 4), 3, padding=1, stride=2)[0]


@pytest.mark.parametrize("groups", [1, IN])
def test_each_gradient_takes_as_much_as_the_forward_pass(groups):
    layer = nn.Conv2d(IN, IN, 3, padding=1, groups=groups, bias=False)
    images = torch.zeros(BATCH, IN, 4, 4)
    one, _ = forward((4, 4), 3, padding=1, groups=groups, out=IN)
    # none is asked for of the images that a network is given
    assert count_operations(lambda: layer(images).sum().backward()) == 2 * one
    images.requires_grad_()
    assert count_operations(lambda: layer(images).sum().backward()) == 3 * one


@pytest.mark.parametrize("kind", ["resnet18", "shufflenet_v2_x1_0"])
def test_the_count_is_of_the_network_and_not_of_the_algorithms_that_compute_it(kind):
    torch.manual_seed(0)
    network = build_network(read_settings(AnyNetwork, {"kind": kind}, where="kind"), 3)
    images = torch.randn(2, 3, 32, 32)

    def step():
        network(images).logits.sum().backward()

    plain = count_operations(step)
    use_fast_convolutions(network)
    assert count_operations(step) == plain
    # taps that meet only padding never counted
    crop_kernels(network, images)
    assert count_operations(step) == plain


def test_products_count_and_elementwise_work_does_not():
    rows, columns = torch.zeros(3, 4), torch.zeros(4, 5)
    assert count_operations(lambda: (rows @ columns).relu() + 1) == 2 * 3 * 4 * 5
