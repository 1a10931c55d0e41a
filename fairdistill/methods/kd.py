"""Knowledge distillation: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015."""

from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from fairdistill.methods.base import Batch, Method
from fairdistill.networks import Output


def distillation_loss(base: Tensor, logits: Tensor, *, temperature: float) -> Tensor:
    """Return T^2 KL(softmax(base / T) || softmax(logits / T)), the mean over the batch.

    Hinton et al. 2015, section 2. The factor T^2 keeps the size of the gradient as T changes. Their objective is the
    cross-entropy with the softened targets, which differs by the targets' entropy: a constant.

    Parameters
    ----------
    base, logits
        (B, C). No gradient flows into `base`.

    Returns
    -------
    Tensor
        A scalar, zero where both give the same probabilities.
    """
    target = log_softmax(base.detach() / temperature, dim=1)
    found = log_softmax(logits / temperature, dim=1)
    return temperature**2 * kl_div(found, target, reduction="batchmean", log_target=True)


class KD(Method):
    """(1 - alpha) cross-entropy + alpha T^2 KL(base || student), both softened by the temperature T.

    Hinton et al. say that the labels should have considerably the lower weight; for speech they weigh the cross-entropy
    with them by 0.5 and try temperatures of 1, 2, 5 and 10. The defaults, T = 4 and alpha = 0.9, are those of Zagoruyko
    and Komodakis (ICLR 2017), who compare attention transfer with this loss: T is the default of their code (cifar.py),
    and alpha is what its README says for training by this loss.
    """

    uses_base = True
    fixed_step = True

    def read_base(self, output: Output) -> dict[str, Tensor]:
        """Return the logits."""
        return {"logits": output.logits}

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return both terms, weighted."""
        alpha = self.settings.alpha
        distillation = distillation_loss(batch.base["logits"], output.logits, temperature=self.settings.temperature)
        return {
            "cross_entropy": (1 - alpha) * cross_entropy(output.logits, batch.label),
            "distillation": alpha * distillation,
        }
