"""Adversarial debiasing: Zhang, Lemoine, Mitchell, "Mitigating Unwanted Biases with Adversarial Learning", 2018."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from fairdistill.methods.base import Batch, MakeOptimizer, Method, Step, Task
from fairdistill.networks import Classifier
from fairdistill.settings.methods import Adversarial as Settings


class Adversary(nn.Module):
    """Guesses the group from the prediction and the label: the adversary for equality of odds.

    For two classes and two groups, in its experiment on UCI Adult, the paper computes s = sigmoid((1 + |c|) logit) and
    the logistic regression of the group on [s, s y, s (1 - y)], with c and the regression's weights learned. For more
    classes this is s = softmax((1 + |c|) logits) and a linear layer on s and on the products of s with the one-hot
    label. As the entries of s add up to one, the linear layer also sees the label itself, which the paper's regression
    does not: so it can know how frequent each group is in each class without the prediction. As in AIF360's
    implementation c starts at 1: at 0 the gradient of |c| is 0, and c would never be learned.
    """

    def __init__(self, n_classes: int, n_groups: int):
        super().__init__()
        self.n_classes = n_classes
        self.c = nn.Parameter(torch.ones(()))
        self.linear = nn.Linear(n_classes * (1 + n_classes), n_groups)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return logits (B, groups) from logits (B, classes) and labels (B,)."""
        s = ((1 + self.c.abs()) * logits).softmax(1)
        products = s[:, :, None] * one_hot(label, self.n_classes)[:, None, :]
        return self.linear(torch.cat([s, products.flatten(1)], dim=1))


def debiased_gradient(own: list[Tensor], adversary: list[Tensor], *, alpha: float) -> list[Tensor]:
    """Return g - proj_h g - alpha h, of the gradients g of the network's loss and h of the adversary's.

    Section 3, equation 1. To first order, a step against the first two terms leaves the adversary's loss as it is, and
    a step against the last one raises it. All weights together are one vector, as the paper writes it; fairlearn's and
    AIF360's implementations project each weight tensor by itself.

    Parameters
    ----------
    own, adversary
        The gradients of each weight, in the same order and of the same shapes. Where all of h is zero, g is returned.
    """
    product = torch.stack([(g * h).sum() for g, h in zip(own, adversary, strict=True)]).sum()
    square = torch.stack([h.square().sum() for h in adversary]).sum()
    share = product / square.clamp_min(torch.finfo(square.dtype).tiny) + alpha
    return [g - share * h for g, h in zip(own, adversary, strict=True)]


class Adversarial(Method):
    """Cross-entropy against an adversary that guesses the group from the prediction and the label.

    In its experiment on UCI Adult the paper lets alpha grow as the square root of the step t and the learning rate fall
    as 1/t, after both networks were trained by themselves. Here alpha is constant, 1 by default, as in fairlearn, the
    learning rates follow the schedule of the training, and both are trained together from the start. Adam scales the
    combined gradient weight by weight, as it does in fairlearn and AIF360, so that the step itself is not exactly
    along it. The learning rate of the adversary, 0.001 by default, is fairlearn's, and that of both networks in it.
    """

    fixed_step = True

    def __init__(self, settings: Settings, task: Task):
        super().__init__(settings, task)
        self.adversary = Adversary(task.n_classes, task.n_groups)

    def optimizers(self, stage: str, network: Classifier, make: MakeOptimizer) -> dict[str, torch.optim.Optimizer]:
        """Make one for the network and one for the adversary."""
        return {
            "network": make([*network.parameters()]),
            "adversary": make([*self.parameters()], learning_rate=self.settings.adversary_learning_rate),
        }

    def update(
        self, network: Classifier, batch: Batch, optimizers: dict[str, torch.optim.Optimizer], stage: str
    ) -> Step:
        """Improve the adversary, and the network along the gradient that does not help it."""
        output = network(batch.images)
        own_loss = cross_entropy(output.logits, batch.label)
        adversary_loss = cross_entropy(self.adversary(output.logits, batch.label), batch.group)
        weights, of_adversary = [*network.parameters()], [*self.parameters()]
        found = torch.autograd.grad(adversary_loss, [*weights, *of_adversary], retain_graph=True)
        own = torch.autograd.grad(own_loss, weights)
        gradients = debiased_gradient([*own], [*found[: len(weights)]], alpha=self.settings.alpha)
        for weight, gradient in zip([*weights, *of_adversary], [*gradients, *found[len(weights) :]], strict=True):
            weight.grad = gradient
        for optimizer in optimizers.values():
            optimizer.step()
        return Step(output, own_loss, {"cross_entropy": own_loss, "adversary": adversary_loss})
