"""Adam for weights in channels-last layout on a CPU, and for recorded steps on a GPU."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class ChannelsLastAdam(torch.optim.Optimizer):
    """Adam by torch's fused kernel, on views of the weights in the order of their memory.

    On a CPU that kernel copies what is not contiguous there and back; a channels-last kernel (O, I, k, k) is contiguous
    as (O, k, k, I). The same update as `torch.optim.Adam(fused=True)` to the bit.

    Those methods of `torch.optim.Optimizer` that load torch's compiler, which takes a second and 140 MB, are written
    anew here. Its state is laid out as torch's.
    """

    BETAS, EPS = (0.9, 0.999), 1e-8

    def __init__(self, weights: Iterable[Tensor], *, lr: float, weight_decay: float = 0.0):
        self.weights = list(weights)
        views = [_in_memory_order(weight.detach(), weight) for weight in self.weights]
        super().__init__(views, {"lr": lr, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        self.param_groups.append(self.defaults | param_group)

    # no closure, which would compute the gradients after they are read here
    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        (group,) = self.param_groups
        views, gradients, states = [], [], []
        for weight, view in zip(self.weights, group["params"], strict=True):
            # as in torch's, what has no gradient is left alone, and its steps are not counted
            if weight.grad is not None:
                views.append(view)
                # a gradient that autograd did not accumulate, as a method may set, can have another layout
                gradients.append(_in_memory_order(weight.grad, weight).contiguous())
                states.append(self.state[view] or self._begin(view))
        means, squares, steps = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
        if not views:
            return
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            views,
            gradients,
            means,
            squares,
            [],
            steps,
            lr=group["lr"],
            beta1=self.BETAS[0],
            beta2=self.BETAS[1],
            weight_decay=group["weight_decay"],
            eps=self.EPS,
            amsgrad=False,
            maximize=False,
        )

    def _begin(self, view: Tensor) -> dict[str, Tensor]:
        self.state[view] = {
            "step": torch.zeros(()),
            "exp_avg": torch.zeros_like(view),
            "exp_avg_sq": torch.zeros_like(view),
        }
        return self.state[view]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for weight in self.weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        (group,) = self.param_groups
        settings = {name: value for name, value in group.items() if name != "params"}
        states = {number: dict(self.state[view]) for number, view in enumerate(group["params"]) if self.state[view]}
        return {"state": states, "param_groups": [settings]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        (group,) = self.param_groups
        (settings,) = state_dict["param_groups"]
        # torch's has the numbers of the weights among them
        group.update({name: value for name, value in settings.items() if name != "params"})
        for number, state in state_dict["state"].items():
            self.state[group["params"][number]] = dict(state)


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
