"""Probabilistic knowledge transfer: Passalis and Tefas, ECCV 2018; Passalis, Tzelepi and Tefas, TNNLS 2020."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from fairdistill.methods.base import Batch, Method
from fairdistill.networks import Output

# of the authors' code: beside norms, and within the logarithms
EPSILON = 1e-7


def conditional_probabilities(features: Tensor) -> Tensor:
    """Return (B, B), row i the probabilities that image i picks each image of the batch as its neighbour.

    They are proportional to the cosine kernel K(x, y) = (cos(x, y) + 1) / 2 of features (B, D). In the paper no image
    picks itself; in the authors' code, as here, it does.
    """
    unit = features / (features.norm(dim=1, keepdim=True) + EPSILON)
    kernel = (unit @ unit.T + 1) / 2
    return kernel / kernel.sum(1, keepdim=True)


def pkt_loss(base: Tensor, student: Tensor) -> Tensor:
    """Return the mean over all B^2 pairs of images of p_ij log(p_ij / q_ij), p of the base's features, q the student's.

    The paper prints the sum over i of KL(p_i || q_i) without the pairs i = j. The authors' code, which this follows,
    has the mean over all pairs: KL(p_i || q_i) averaged over i and divided by B.

    Parameters
    ----------
    base, student
        Features (B, D') and (B, D). No gradient flows into `base`.

    Returns
    -------
    Tensor
        A scalar, zero where all angles between features are the same.
    """
    p, q = conditional_probabilities(base.detach()), conditional_probabilities(student)
    return (p * ((p + EPSILON) / (q + EPSILON)).log()).mean()


class PKT(Method):
    """Cross-entropy + beta times the loss of probabilistic knowledge transfer on the features before the head.

    The authors train representations by the second term alone. The sum with the cross-entropy, and its default weight,
    are those of Tian, Krishnan and Isola, *Contrastive Representation Distillation*, ICLR 2020, in whose comparison
    batches have 64 images. As the loss is a mean over pairs of conditional probabilities, which are about 1 / B each,
    it falls with the batch size B: with batches of 128 images the same beta is half of theirs. As similarities alone
    are compared, features of any two widths can be.
    """

    uses_base = True
    fixed_step = True

    def read_base(self, output: Output) -> dict[str, Tensor]:
        """Return the features."""
        return {"features": output.features}

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the cross-entropy and the weighted transfer loss."""
        return {
            "cross_entropy": cross_entropy(output.logits, batch.label),
            "transfer": self.settings.beta * pkt_loss(batch.base["features"], output.features),
        }
