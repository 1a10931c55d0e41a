"""Reweighing: Kamiran and Calders, "Data preprocessing techniques for classification without discrimination", 2012."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fairdistill.methods.base import Batch, Method, Task
from fairdistill.networks import Output
from fairdistill.settings.methods import Reweighing as Settings


def reweighing_weights(sizes: Tensor) -> Tensor:
    """Return P(y) P(a) / P(y, a) of each class y and group a: how frequent it would be by chance, and how it is.

    The paper, in Knowledge and Information Systems 33, has two classes and two groups; this is the same for any number,
    as in AIF360's implementation for scikit-learn. Where every cell has an image, the mean weight of an image is one,
    and under the weights class and group are independent.

    Parameters
    ----------
    sizes
        (classes, groups) number of training images.

    Returns
    -------
    Tensor
        (classes, groups), float64; zero for cells without images.
    """
    shares = sizes.double() / sizes.sum()
    by_chance = shares.sum(1, keepdim=True) * shares.sum(0, keepdim=True)
    return torch.where(sizes > 0, by_chance / shares, 0)


class Reweighing(Method):
    """The mean over the batch of weight times cross-entropy.

    The paper gives the weights to any learner that takes some, which for one that minimises a loss are factors of it.
    They are of the training split and are not normalised within a batch.
    """

    fixed_step = True
    weights: Tensor

    def __init__(self, settings: Settings, task: Task):
        super().__init__(settings, task)
        self.register_buffer("weights", reweighing_weights(task.cell_sizes).float())

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the weighted cross-entropy."""
        losses = cross_entropy(output.logits, batch.label, reduction="none")
        return {"cross_entropy": (self.weights[batch.label, batch.group] * losses).mean()}
