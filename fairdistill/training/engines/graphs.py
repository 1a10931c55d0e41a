"""A training step as a CUDA graph.

A step of a small network is a thousand short kernels, which a GPU computes faster than Python can start them. Recorded
once as a graph, they are started together.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fairdistill.runtime.errors import UserError

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
        Takes tensors, or None, and returns tensors by name. Where the shapes are not those of the call before, it is
        recorded anew.

    Raises
    ------
    UserError
        When it is called: the step does what cannot be recorded.
    """

    def __init__(self, step: Callable[..., dict[str, Tensor]]):
        self.step = step
        self.calls = 0
        self.stream = torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: list[Tensor | None] = []

    def __call__(self, *inputs: Tensor | None) -> dict[str, Tensor]:
        """Make a step; what it returns holds until the next call."""
        self.calls += 1
        if self.calls <= WARM_UP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                outputs = self.step(*inputs)
            torch.cuda.current_stream().wait_stream(self.stream)
            return outputs
        if self.graph is None or _shapes(inputs) != _shapes(self.inputs):
            self._record(inputs)
        for kept, value in zip(self.inputs, inputs, strict=True):
            if kept is not None and value is not None:
                kept.copy_(value)
        assert self.graph is not None
        self.graph.replay()
        return self.outputs

    def _record(self, inputs: Sequence[Tensor | None]) -> None:
        self.inputs = [None if value is None else value.clone() for value in inputs]
        self.graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.outputs = self.step(*self.inputs)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"training: the method's step cannot be recorded as a CUDA graph ({reason}); a method whose step reads "
                "a value back, or has shapes that depend on values, must not say fixed_step = True"
            ) from error


def _shapes(values: Sequence[Tensor | None]) -> list[torch.Size | None]:
    return [None if value is None else value.shape for value in values]
