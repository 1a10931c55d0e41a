"""Empirical risk minimisation: how a teacher is trained, and the control of every other method."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from fairdistill.methods.base import Batch, Method
from fairdistill.networks import Output


class ERM(Method):
    """Cross-entropy on the labels: the mean of -log p(y | x) over the images of a batch.

    The principle is Vapnik's ("Principles of risk minimization for learning theory", NIPS 1991): the mean loss of the
    training images stands for that of all images. Which images a batch has, and so what the mean is over, is up to the
    sampling.
    """

    fixed_step = True

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the cross-entropy."""
        return {"cross_entropy": cross_entropy(output.logits, batch.label)}
