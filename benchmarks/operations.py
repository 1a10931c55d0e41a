"""The useful operations of matrix products and convolutions, whatever algorithm computes them.

torch's own counter counts each tap of a kernel at each pixel of the output. Where maps are padded some taps meet no
pixel of the map: they add nothing, and oneDNN skips them. Of the weight gradient of a convolution in groups it counts
those between groups as well, as many times too many as there are groups.
"""

from collections.abc import Callable, Sequence
from math import prod
from unittest.mock import patch

import torch
from torch import nn

from fairdistill.training.engines.convolution import FastConv2d


def count_operations(function: Callable[[], object]) -> int:
    """Return how many operations the matrix products and convolutions of `function` take, which is called once.

    A multiplication and the addition to its sum are two. A tap of a kernel counts at the pixels of the output at which
    it meets the map, and elementwise work does not count. Convolutions are computed by torch's own operations
    meanwhile, as those that the fast engine computes as matrix products have zeros in the place of padding.
    """
    # takes 70 MB that a training does without, and counting with it loads torch's compiler besides
    from torch.utils.flop_counter import FlopCounterMode

    formulas = {torch.ops.aten.convolution: _forward, torch.ops.aten.convolution_backward: _backward}
    counter = FlopCounterMode(display=False, custom_mapping=formulas)
    with patch.object(FastConv2d, "forward", nn.Conv2d.forward), counter:
        function()
    return counter.get_total_flops()


def _forward(
    images: Sequence[int],
    weight: Sequence[int],
    bias: object,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    *_: object,
    out_shape: Sequence[int],
) -> int:
    """The operations of a convolution of images (B, I, H, W), by their shape, with a weight (O, I / groups, k, k)."""
    # of a transposed convolution, the pixels that its kernel goes over are those of its input
    small, large = (images, out_shape) if transposed else (out_shape, images)
    edges = zip(small[2:], large[2:], weight[2:], stride, padding, dilation, strict=True)
    return 2 * images[0] * weight[0] * weight[1] * prod(_meetings(*edge) for edge in edges)


def _backward(
    gradient: Sequence[int],
    images: Sequence[int],
    weight: Sequence[int],
    bias: object,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: object,
    groups: int,
    wanted: Sequence[bool],
    *,
    out_shape: object,
) -> int:
    """The same of the gradients of images and weight that are wanted: each has the products of the forward pass."""
    one = _forward(images, weight, bias, stride, padding, dilation, transposed, out_shape=gradient)
    return one * sum(wanted[:2])


def _meetings(out: int, size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Of an edge: how many pairs of an output and a tap are there in which the tap meets the map."""
    places = (stride * output - padding + dilation * tap for output in range(out) for tap in range(kernel))
    return sum(0 <= place < size for place in places)
