"""ShuffleNetV2's channel shuffle in channels-last layout.

torchvision's own shuffle leaves the channels-first layout, so that each block moves its maps back and forth, and what
follows in the backward pass works on strided memory. Interleaving two halves is the same shuffle without leaving it.
"""

import torch
from torch import Tensor, nn
from torchvision.models.shufflenetv2 import InvertedResidual


class _Interleave(torch.autograd.Function):
    """Maps a, b (B, C, H, W) as one (B, 2C, H, W) with channels a0, b0, a1, b1, ...; their gradients are dense."""

    @staticmethod
    def forward(ctx, a: Tensor, b: Tensor) -> Tensor:
        pixels = torch.stack([a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1)], dim=-1)
        return pixels.flatten(3).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        pairs = gradient.permute(0, 2, 3, 1).unflatten(3, (-1, 2))
        a, b = pairs.movedim(-1, 0).contiguous().permute(0, 1, 4, 2, 3)
        return a, b


class ChannelsLastBlock(InvertedResidual):
    """torchvision's block, its shuffle as above."""

    def forward(self, images: Tensor) -> Tensor:
        if self.stride == 1:
            kept, images = images.chunk(2, dim=1)
            images = images.contiguous(memory_format=torch.channels_last)
        else:
            kept = self.branch1(images)
        return _Interleave.apply(kept, self.branch2(images))


def use_channels_last_shuffle(model: nn.Module) -> None:
    """Turn the blocks of a ShuffleNetV2 in `model` into `ChannelsLastBlock`, weights and all."""
    for module in model.modules():
        if type(module) is InvertedResidual:
            module.__class__ = ChannelsLastBlock
