"""Domain-independent training.

Wang, Qinami, Karakozis, Genova, Nair, Hata, Russakovsky, "Towards Fairness in Visual Recognition: Effective Strategies
for Bias Mitigation", CVPR 2020. The groups are its domains.
"""

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, nll_loss, one_hot

from fairdistill.data.sampling import drawn_shares
from fairdistill.methods.base import Batch, Method, Task
from fairdistill.networks import Output
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import DomainDiscriminative as DiscriminativeSettings
from fairdistill.settings.methods import DomainIndependent as IndependentSettings


class GroupOutputs(Method):
    """A method whose network has an output for each pair of group and class: group 0 first, with all its classes.

    Where the prior is to shift, the scores are corrected by -log P_tr(y, d), of class y and group d: P_tr is the
    distribution of what was trained on, as the sampling draws it. Under any softmax that follows this is the paper's
    factor P_te / P_tr with a uniform P_te; for the softmax of one group it is that of the classes in this group.
    """

    correction: Tensor

    def __init__(self, settings: IndependentSettings | DiscriminativeSettings, task: Task):
        super().__init__(settings, task)
        correction = torch.zeros(task.n_groups, task.n_classes)
        if settings.prior_shift:
            if not task.cell_sizes.all():
                y, a = (task.cell_sizes == 0).nonzero()[0].tolist()
                raise UserError(
                    f"method {settings.kind}: prior_shift needs training images of every class and group, but class "
                    f"{y} has none of group {a}; set it to false"
                )
            shares = drawn_shares(settings.sampling, task.cell_sizes.numpy())
            correction = -torch.from_numpy(shares.T).log().float()
        self.register_buffer("correction", correction)

    @staticmethod
    def n_outputs(settings: IndependentSettings | DiscriminativeSettings, n_classes: int, n_groups: int) -> int:
        """Return one for each pair of class and group."""
        return n_classes * n_groups

    def scores(self, output: Output) -> Tensor:
        """Return the logits as (B, groups, classes)."""
        return output.logits.unflatten(1, (self.n_groups, self.n_classes))

    def prediction_state(self) -> dict[str, Tensor]:
        """Return the correction of the scores, (groups, classes), where there is one."""
        return {"correction": self.correction} if self.settings.prior_shift else {}


class DomainIndependent(GroupOutputs):
    """The cross-entropy of the head of each image's group: a softmax over classes for each group, on a shared body.

    The loss is the mean of -log P(y | d, x) (`_criterion` in the authors' cifar_domain_independent.py). Where an
    image's group is not known, the heads predict together. The rules are

    - argmax_y sum_d s(y, d, x) of the scores s before the softmax, the paper's best (`sum_scores`);
    - argmax_y sum_d P(y | d, x) or argmax_y max_d P(y | d, x), which the authors' code has for CelebA, with sigmoids of
      attributes in the place of classes (`sum_probabilities`, `max_probability`);
    - argmax_y P(y | d, x) of the image's own group d, where that is known (`own_group`).

    As the probabilities of classes these are the softmax of the mean score, so that they are not sharper for more
    groups, the mean probability, the largest one over its sum over classes, and P(y | d, x). The authors' code corrects
    none of them for the prior; with `prior_shift` each head is corrected to equally frequent classes in its group.
    """

    fixed_step = True

    def __init__(self, settings: IndependentSettings, task: Task):
        super().__init__(settings, task)
        self.needs_group = settings.inference == "own_group"

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the cross-entropy of the heads of the images' groups."""
        likelihoods = log_softmax(self.scores(output), dim=2).flatten(1)
        return {"cross_entropy": nll_loss(likelihoods, batch.group * self.n_classes + batch.label)}

    def predict(self, output: Output, group: Tensor) -> Tensor:
        """Return what the heads say together, or the one of the image's group."""
        scores = self.scores(output) + self.correction
        if self.settings.inference == "sum_scores":
            return scores.mean(1).softmax(1)
        of_heads = scores.softmax(2)
        if self.settings.inference == "own_group":
            return (of_heads * one_hot(group, self.n_groups)[:, :, None]).sum(1)
        if self.settings.inference == "sum_probabilities":
            return of_heads.mean(1)
        largest = of_heads.amax(1)
        return largest / largest.sum(1, keepdim=True)
