"""Adam for weights in channels-last layout on a CPU."""

from collections.abc import Iterable

import torch
from torch import Tensor


class ChannelsLastAdam(torch.optim.Adam):
    """torch's fused Adam, on views of the weights in the order of their memory.

    On a CPU the fused kernel copies what is not contiguous there and back; a channels-last kernel (O, I, k, k) is
    contiguous as (O, k, k, I). The same update to the bit.
    """

    def __init__(self, weights: Iterable[Tensor], **options):
        self.weights = list(weights)
        super().__init__([_in_memory_order(w.detach(), w) for w in self.weights], fused=True, **options)

    def step(self) -> None:
        for weight, view in zip(self.weights, self.param_groups[0]["params"], strict=True):
            view.grad = None if weight.grad is None else _in_memory_order(weight.grad, weight)
        super().step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad()
        for weight in self.weights:
            weight.grad = None


def _in_memory_order(values: Tensor, weight: Tensor) -> Tensor:
    channels_last = weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last)
    return values.permute(0, 2, 3, 1) if channels_last else values
