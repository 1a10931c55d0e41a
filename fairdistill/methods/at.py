"""Attention transfer: Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017."""

from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate, normalize

from fairdistill.methods.base import Batch, LayerMethod
from fairdistill.networks import Output


def attention_map(maps: Tensor) -> Tensor:
    """Return the spatial attention (B, H, W) of maps (B, K, H, W): the mean over channels of their squares.

    F_sum^p with p = 2 of section 3.1, up to a factor that the normalisation in `attention_loss` takes away.
    """
    return maps.square().mean(1)


def attention_loss(base: Tensor, student: Tensor) -> Tensor:
    """Return the mean over images and pixels of (Q_S / ||Q_S|| - Q_T / ||Q_T||)^2, the norms over pixels.

    Equation 2 prints the norm of the difference and the factor beta / 2; the authors' published code has the mean of
    its squares and the factor beta, for which their beta of 1000 is meant. This follows the code. The paper lets maps
    of different sizes be interpolated to match and names no way: the base's map is resized bilinearly, and then
    normalised.

    Parameters
    ----------
    base, student
        Attention maps (B, H', W') and (B, H, W). No gradient flows into `base`.

    Returns
    -------
    Tensor
        A scalar, zero where the maps are the same up to a factor, as any two of 1x1 pixels are.
    """
    base = base.detach()
    if base.shape[1:] != student.shape[1:]:
        base = interpolate(base[:, None], size=student.shape[1:], mode="bilinear", align_corners=False)[:, 0]
    return (normalize(student.flatten(1)) - normalize(base.flatten(1))).square().mean()


class AT(LayerMethod):
    """Cross-entropy + beta times the sum over layers of the attention loss.

    Layers are compared at the same distance from the last one, which in ResNets and ShuffleNets of one stem is at the
    same resolution; so any two architectures can be paired. Maps of one pixel are left out, as their loss is zero:
    the last ones of images of 32 px in a ResNet with ImageNet's stem.

    As the loss of a layer is a mean over its pixels, beta weighs small maps more. In the authors' experiments on
    CIFAR-10 the maps have 32, 16 and 8 pixels a side; those of images of 32 px in a ResNet with ImageNet's stem have 8,
    4 and 2, so that the same beta weighs each 16 times as much. The authors' maps of CIFAR-10 are also sums before the
    ReLU (cifar.py); here they are what the layers put out, which in most networks is after it.
    """

    fixed_step = True

    def read_base(self, output: Output) -> dict[str, Tensor]:
        """Return the attention maps of the base's layers."""
        return {name: attention_map(output.maps[name]) for name in self.base_layers}

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the cross-entropy and the weighted attention loss."""
        losses = [
            attention_loss(batch.base[other], attention_map(output.maps[layer])) for layer, other in self.pairs.items()
        ]
        return {
            "cross_entropy": cross_entropy(output.logits, batch.label),
            "attention": self.settings.beta * sum(losses),
        }
