"""A training step as a CUDA graph.

A step of a small network is a thousand short kernels, which a GPU computes faster than Python can start them. Recorded
once as a graph, they are started together.
"""

from collections.abc import Callable

import torch
from torch import Tensor

# Steps that are made one kernel after another before one is recorded: optimisers make their state in the first, and
# libraries choose their kernels. They are steps of the training as any other.
WARM_UP = 3


class RecordedStep:
    """A function of tensors that makes the same torch operations at each call, replayed on a GPU.

    What it reads beside its arguments, such as weights and learning rates, has to stay where it is in memory. Nothing
    may wait for the GPU, as `Tensor.item` does. What it draws from torch's generator is drawn anew at each replay.

    Parameters
    ----------
    step
        Takes tensors, or None, of the same shapes at each call, and returns tensors by name.
    """

    def __init__(self, step: Callable[..., dict[str, Tensor]]):
        self.step = step
        self.calls = 0
        self.stream = torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *inputs: Tensor | None) -> dict[str, Tensor]:
        """Make a step; what it returns holds until the next call."""
        self.calls += 1
        if self.calls <= WARM_UP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                outputs = self.step(*inputs)
            torch.cuda.current_stream().wait_stream(self.stream)
            return outputs
        if self.graph is None:
            self.inputs = [None if value is None else value.clone() for value in inputs]
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.outputs = self.step(*self.inputs)
        for kept, value in zip(self.inputs, inputs, strict=True):
            if kept is not None:
                kept.copy_(value)
        self.graph.replay()
        return self.outputs
