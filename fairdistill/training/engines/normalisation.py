"""Batch norm on a CPU, of maps of one pixel.

Such a map has two descriptions of its layout in memory, channels first and channels last, and torch's operations leave
now the one and now the other behind. Where those of the images and of their gradient differ, torch's backward pass of
batch norm takes twelve to twenty times as long. As vectors they have one.
"""

from torch import Tensor, nn


class FastBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d`, which takes maps of one pixel for vectors; the same bits."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Vectors are right, too."""

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[2:] != (1, 1):
            return super().forward(input)
        return super().forward(input.flatten(1))[..., None, None]


def use_fast_batch_norm(model: nn.Module) -> None:
    """Turn the batch norms of `model` into `FastBatchNorm2d`, weights and all."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = FastBatchNorm2d
