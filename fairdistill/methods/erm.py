"""Empirical risk minimisation: how a teacher is trained, and the control of every other method."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from fairdistill.methods.base import Batch, Method
from fairdistill.networks import Output


class ERM(Method):
    """Cross-entropy on the labels."""

    fixed_step = True

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the cross-entropy."""
        return {"cross_entropy": cross_entropy(output.logits, batch.label)}
