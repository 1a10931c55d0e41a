"""Adam for weights in channels-last layout on a CPU, and for recorded steps on a GPU."""

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

    # no closure, which would compute the gradients after they are read here
    def step(self) -> None:  # type: ignore[override]
        for weight, view in zip(self.weights, self.param_groups[0]["params"], strict=True):
            view.grad = None if weight.grad is None else _in_memory_order(weight.grad, weight)
        super().step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad()
        for weight in self.weights:
            weight.grad = None


class RecordableAdam(torch.optim.Adam):
    """torch's fused Adam on a GPU, whose learning rate is a tensor there: a CUDA graph reads it at each replay."""

    def __init__(self, weights: Iterable[Tensor], device: torch.device, *, lr: float, weight_decay: float):
        self.device = device
        rate = torch.tensor(lr, device=device)
        super().__init__(weights, lr=rate, weight_decay=weight_decay, fused=True, capturable=True)

    def load_state_dict(self, state: dict) -> None:
        super().load_state_dict(state)
        for group in self.param_groups:
            group["lr"] = group["lr"].to(self.device)


def _in_memory_order(values: Tensor, weight: Tensor) -> Tensor:
    channels_last = weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last)
    return values.permute(0, 2, 3, 1) if channels_last else values
