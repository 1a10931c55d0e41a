"""Domain-discriminative training.

Wang, Qinami, Karakozis, Genova, Nair, Hata, Russakovsky, "Towards Fairness in Visual Recognition: Effective Strategies
for Bias Mitigation", CVPR 2020. The groups are its domains.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from fairdistill.methods.base import Batch
from fairdistill.methods.domain_independent import GroupOutputs
from fairdistill.networks import Output


class DomainDiscriminative(GroupOutputs):
    """The cross-entropy over all pairs of class and group: "fairness through awareness".

    The loss is the mean of -log P_tr(y, d | x). A class is predicted without the image's group (the authors'
    cifar_domain_discriminative.py), by

    - argmax_y sum_d P(y, d | x) (`sum`) or argmax_y max_d P(y, d | x) (`max`),
    - with P the network's own P_tr or, with `prior_shift`, P_te(y, d | x), proportional to P_tr(y, d | x) / P_tr(y, d)
      where all pairs of class and group are equally frequent in P_te. The authors' code has P_tr as numbers for skew
      0.95; here it is counted in the training split, and is that of the sampling. Where every pair is drawn equally
      often, nothing is left to correct.

    The probabilities of classes are these over their sum over classes. The paper's Reducing Bias Amplification on top
    of P_te, a constraint on the predictions of a whole test set, is left out.
    """

    fixed_step = True

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the cross-entropy of the pairs of class and group."""
        return {"cross_entropy": cross_entropy(output.logits, batch.group * self.n_classes + batch.label)}

    def predict(self, output: Output, group: Tensor) -> Tensor:
        """Return the probabilities of the classes, over all groups."""
        scores = self.scores(output) + self.correction
        # of logarithms, the softmax over classes divides by the sum
        of_class = scores.logsumexp(1) if self.settings.inference == "sum" else scores.amax(1)
        return of_class.softmax(1)
