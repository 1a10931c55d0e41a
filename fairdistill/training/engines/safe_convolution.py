"""Convolutions on a CPU whose gradients are right in bfloat16, too; of both engines.

Where the stride of a kernel is more pixels than its map is wide, oneDNN (3.12, as of torch 2.13) leaves a part of the
kernel's gradient in bfloat16 unwritten, mostly that of taps that meet only padding: it is whatever the memory held. A
ResNet-18 has such a convolution for images of up to 16 pixels. In float32 the gradient is right.
"""

import torch
from torch import Tensor, nn


class SafeConv2d(nn.Conv2d):
    """`nn.Conv2d`, computed in the precision of its weight, whatever autocast wants, where its stride exceeds its map.

    All else is as torch computes it, to the bit.
    """

    def forward(self, images: Tensor) -> Tensor:
        if self.stride[1] <= images.shape[3]:
            return super().forward(images)
        with torch.autocast("cpu", enabled=False):
            return super().forward(images.to(self.weight.dtype))


def use_safe_convolutions(model: nn.Module) -> None:
    """Turn the convolutions of `model` that are torch's own into `SafeConv2d`, weights and all."""
    for module in model.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = SafeConv2d
