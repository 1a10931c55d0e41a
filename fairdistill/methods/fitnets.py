"""FitNets: Romero, Ballas, Kahou, Chassang, Gatta, Bengio, "FitNets: Hints for Thin Deep Nets", ICLR 2015."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fairdistill.methods.base import Batch, MakeOptimizer, Method, Stage, Task, pair_layers
from fairdistill.methods.kd import distillation_loss
from fairdistill.networks import Classifier, Output
from fairdistill.settings.methods import FitNets as Settings

HINT, TRAIN = "hint", "train"


class Regressor(nn.Module):
    """r(v): a convolution from the guided layer's map (B, K, H, W) to the hint's size (B, K', H', W'), and a ReLU.

    Section 2.2 of the paper. Without padding a kernel of H - H' + 1 pixels gives the hint's size. Where the hint's map
    is the larger one, which the authors' code refuses for want of "zero-padding", the map is padded by H' - H zeros on
    each side. The paper wants the regressor to have the hint's nonlinearity: a ReLU where the hint is `rectified`, and
    none where it has negative numbers, as in networks whose layers end with a sum or a batch norm.
    """

    def __init__(self, guided: torch.Size, hint: torch.Size, *, rectified: bool = True):
        super().__init__()
        self.nonlinearity = nn.ReLU() if rectified else nn.Identity()
        excess = guided[1] - hint[1]
        self.convolution = nn.Conv2d(guided[0], hint[0], kernel_size=abs(excess) + 1, padding=max(0, -excess))

    def forward(self, maps: Tensor) -> Tensor:
        return self.nonlinearity(self.convolution(maps))


def hint_loss(hint: Tensor, regressed: Tensor) -> Tensor:
    """Return the mean over images of ||hint - regressed||^2 / 2 (equation 3).

    The authors' code sums over one of the two axes of pixels and averages over the other and over channels. With Adam
    such a factor makes no difference, but for its epsilon, and for `weight_decay` where there is one, which a smaller
    loss would make weigh more.

    Parameters
    ----------
    hint, regressed
        (B, K, H, W). No gradient flows into `hint`.

    Returns
    -------
    Tensor
        A scalar, zero where both are the same.
    """
    return (hint.detach() - regressed).square().flatten(1).sum(1).mean() / 2


class FitNets(Method):
    """Training in two stages: first towards a hint, then by knowledge distillation (algorithm 1).

    The hint stage trains the student up to its guided layer, with the regressor, by `hint_loss`; no gradient reaches
    any later layer, of which batch norms alone see the images. Then the whole student is trained by equation 2,

        cross-entropy(labels) + lambda H(softmax(base / T), softmax(student / T)),

    where lambda falls linearly from epoch to epoch, over all of this stage. H is given here less the entropy of the
    base's probabilities, a constant; the paper has no factor T^2, which Hinton's loss has. T = 3 and lambda from 4 to 1
    are those of the authors' code (yaml/cifar10_fitnet19_all.yaml), where lambda falls from the fifth epoch on and
    would reach 1 in the 400th, after the end of its 288 epochs. There all convolutions train at 0.05 times the learning
    rate, and the hinted layers can be slowed further in the second stage; here the whole student has the full rate.

    The paper takes the middle layer of each network. Here it is the student's middle layer and the base's at the same
    distance from its last, which for two networks of one architecture is the same. The paper trains each stage until a
    validation error stops falling; here the two share the epochs of the training, the hint stage having a third, as
    epochs / 2 before another full number of epochs in the code of the MFD authors (trainer/kd_fitnet.py). That code
    compares the last feature maps themselves, without a regressor. The FitNets authors' code has none where the two
    maps have one shape; here there always is one.
    """

    uses_base = True
    fixed_step = True
    begun: Tensor

    def __init__(self, settings: Settings, task: Task):
        super().__init__(settings, task)
        ((guided, hint),) = pair_layers(settings, task).items()
        self.layers, self.base_layers = [guided], [hint]
        assert task.base is not None, "the training loop refuses a training without its base"
        shapes = [
            network.map_shapes(task.image_size, [layer])[layer]
            for network, layer in ((task.network, guided), (task.base, hint))
        ]
        self.regressor = Regressor(*shapes, rectified=task.base.is_rectified(task.image_size, hint))
        # epochs that have begun, of both stages: a buffer, so that a resumed training counts on
        self.register_buffer("begun", torch.zeros((), dtype=torch.int64))
        self.hinted, self.trained = 0, 1

    def stages(self, epochs: int) -> list[Stage]:
        """Return the hint stage and the training by distillation."""
        self.hinted = self.settings.hint_epochs(epochs)
        self.trained = epochs - self.hinted
        return [Stage(HINT, self.hinted), Stage(TRAIN, self.trained)]

    def order(self, label: NDArray, group: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the positions of an epoch's images, and count the epoch."""
        self.begun.add_(1)
        return super().order(label, group, rng)

    def optimizers(self, stage: str, network: Classifier, make: MakeOptimizer) -> dict[str, torch.optim.Optimizer]:
        """Make one optimiser; in the hint stage weights behind the guided layer stay, as they get no gradient."""
        own = self.parameters() if stage == HINT else ()
        return {"adam": make([*network.parameters(), *own])}

    def read_base(self, output: Output) -> dict[str, Tensor]:
        """Return the map of the hint layer, and the logits."""
        return {"hint": output.maps[self.base_layers[0]], "logits": output.logits}

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the term of the hint, or the cross-entropy and the weighted distillation."""
        if stage == HINT:
            return {"hint": hint_loss(batch.base["hint"], self.regressor(output.maps[self.layers[0]]))}
        temperature = self.settings.temperature
        distillation = distillation_loss(batch.base["logits"], output.logits, temperature=temperature) / temperature**2
        return {
            "cross_entropy": cross_entropy(output.logits, batch.label),
            "distillation": self.kd_weight() * distillation,
        }

    def kd_weight(self) -> Tensor:
        """Return lambda in the present epoch, a scalar: linear from the first to the last of the second stage."""
        start, end = self.settings.kd_weight, self.settings.final_kd_weight
        progress = (self.begun - 1 - self.hinted).clamp_min(0) / max(1, self.trained - 1)
        return start + (end - start) * progress
