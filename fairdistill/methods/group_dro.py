"""Group distributionally robust optimisation (group DRO).

Sagawa, Koh, Hashimoto, Liang, "Distributionally Robust Neural Networks for Group Shifts: On the Importance of
Regularization for Worst-Case Generalization", ICLR 2020.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, one_hot

from fairdistill.methods.base import Batch, Method, Task
from fairdistill.networks import Output
from fairdistill.settings.methods import GroupDro as Settings


class GroupDRO(Method):
    """The sum over g of q_g times the mean cross-entropy of g in the batch, with weights q that follow the losses.

    g are the (class, group) cells, which are the paper's groups, or with `over: groups` the groups alone. Before each
    step of the network (Algorithm 1),

        q_g <- q_g exp(eta (loss_g + C / sqrt(n_g))),  then divided by their sum,

    with n_g the number of training images of g, eta `step_size` and C `adjustment`. The weights begin equal, last over
    the batches and are kept as logarithms, so that none becomes zero by rounding. The adjustment has no gradient and is
    left out of the recorded loss.

    Algorithm 1 draws one g in each step and updates its weight alone. As in the authors' code (`compute_robust_loss`),
    all g that the batch has are updated at once; those that it lacks have a factor of one, though their code gives them
    that of the adjustment. The authors draw all g equally often with replacement (`--reweight_groups`); here
    `sampling: balanced` does so, without replacement within a cell. Their code can also normalise
    the losses and take an adjustment of its own for each g, which is left out.

    The paper finds that networks which fit every training image gain nothing, as all losses end near zero, and that a
    strong L2 penalty or early stopping is needed: see `training.weight_decay`, whose default is 0 for all methods. The
    authors stop by the accuracy of the worst g on validation images; `keep: best` takes that of all of them, which are
    as biased as the training images, and so is another rule.
    """

    fixed_step = True
    log_weights: Tensor
    adjustment: Tensor

    def __init__(self, settings: Settings, task: Task):
        super().__init__(settings, task)
        sizes = task.cell_sizes.flatten() if settings.over == "cells" else task.cell_sizes.sum(0)
        self.register_buffer("log_weights", log_softmax(torch.zeros(len(sizes)), dim=0))
        self.register_buffer("adjustment", settings.adjustment / sizes.clamp_min(1).sqrt())

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Update the weights, and return the weighted cross-entropy."""
        number = batch.group if self.settings.over == "groups" else batch.label * self.n_groups + batch.group
        losses = cross_entropy(output.logits, batch.label, reduction="none")
        member = one_hot(number, len(self.log_weights))
        size = member.sum(0)
        means = losses @ member.to(losses.dtype) / size.clamp_min(1)
        with torch.no_grad():
            gain = self.settings.step_size * (means + self.adjustment) * (size > 0)
            self.log_weights.copy_(log_softmax(self.log_weights + gain, dim=0))
        return {"weighted_cross_entropy": (self.log_weights.exp() * means).sum()}
