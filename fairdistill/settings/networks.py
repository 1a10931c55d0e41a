"""The networks that a configuration can describe, one class per `kind`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import OrNull, OwnPath, Settings
from fairdistill.settings.layout import Layout
from fairdistill.settings.torchvision_networks import LAYOUTS, TorchVisionKind

CIFAR_NET_SIZE = 32  # pixels
SHUFFLENET = Layout(head="fc", layers=("stage2", "stage3", "stage4"), last_map="conv5", one_pixel=(8, 16, 32))
# by so much more ImageNet's stem makes the maps smaller than that for CIFAR-10
STEM = 4


class Network(Settings):
    """What every kind of network has.

    Attributes
    ----------
    implementation
        The module that builds networks of this kind: its `build(settings, n_outputs)`.
    """

    implementation: ClassVar[str]

    kind: str
    stem: Literal["imagenet", "cifar"] = Field(
        "imagenet",
        description="The first layers: `imagenet` is torchvision's (stride 2 and max-pooling); `cifar` is a 3x3 "
        "convolution of stride 1 without pooling, which suits images of 32 px and takes about ten times as long.",
    )
    weights: Annotated[OwnPath | None, OrNull] = Field(
        None,
        # not a part of the network: the SHA-256 of the file is an input of the training
        exclude=True,
        description="A file with the weights of such a network, from which every training of it starts, such as those "
        "that torchvision offers (docs/own_teacher.md); a head for other classes is replaced. `null` draws random "
        "weights.",
    )

    @property
    def layout(self) -> Layout:
        """Where the parts of the network are, and which images it takes."""
        raise NotImplementedError

    def check_image_size(self, image_size: int, *, of: str = "the data set") -> None:
        """Raise a UserError where the network does not take images, those of `of`, of `image_size` pixels' edge."""
        layout = self.layout
        wanted = f"images of {layout.takes} px" if layout.takes else f"images of {layout.smallest} px and more"
        if image_size < layout.smallest or layout.takes not in (None, image_size):
            raise UserError(f"takes {wanted}, and those of {of} have {image_size}")


def _of_stem(layout: Layout, stem: str) -> Layout:
    """The layout, which is of ImageNet's stem, with another one."""
    shrinks = 1 if stem == "imagenet" else STEM
    return layout._replace(one_pixel=tuple(edge // shrinks for edge in layout.one_pixel))


class _ResNet(Network):
    """What ResNets of any depth have."""

    implementation: ClassVar[str] = "fairdistill.networks.resnet"

    @property
    def layout(self) -> Layout:
        """That of ResNets of any depth."""
        return _of_stem(LAYOUTS["resnet101"], self.stem)


class ResNet18(_ResNet):
    """ResNet-18 (He et al., CVPR 2016), as torchvision builds it."""

    kind: Literal["resnet18"]


class ResNet34(_ResNet):
    """ResNet-34 (He et al., CVPR 2016), as torchvision builds it."""

    kind: Literal["resnet34"]


class ResNet50(_ResNet):
    """ResNet-50 (He et al., CVPR 2016), as torchvision builds it; its features are four times as wide."""

    kind: Literal["resnet50"]


class ShuffleNetV2(Network):
    """ShuffleNetV2 of any width (Ma et al., ECCV 2018), as torchvision builds it; x1.0 is the paper's."""

    implementation: ClassVar[str] = "fairdistill.networks.shufflenet"

    kind: Literal["shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"]

    @property
    def layout(self) -> Layout:
        """That of torchvision's networks; the first stage is not compared."""
        return _of_stem(SHUFFLENET, self.stem)


class CifarNet(Network):
    """The network of the code of the MFD authors (Jung et al., CVPR 2021) for CIFAR-10S; it takes images of 32 px."""

    implementation: ClassVar[str] = "fairdistill.networks.cifar_net"

    kind: Literal["cifar_net"]
    stem: Literal["cifar"] = Field("cifar", description="The first layers; there is one choice, of stride 1.")

    @property
    def layout(self) -> Layout:
        """What stands for the last map is the output of a linear layer, the features, which the authors distil."""
        return Layout(
            head="head",
            layers=("block1", "block2", "block3"),
            last_map="hidden",
            smallest=CIFAR_NET_SIZE,
            takes=CIFAR_NET_SIZE,
            one_pixel=(0, 0, 0),
        )


class TorchVision(Network):
    """Any other classifier of torchvision, by its name there."""

    implementation: ClassVar[str] = "fairdistill.networks.torchvision_models"

    kind: TorchVisionKind
    stem: Literal["imagenet"] = Field("imagenet", description="The first layers; there is one choice, torchvision's.")

    @property
    def layout(self) -> Layout:
        """What `python -m scripts.describe_networks` found of the network."""
        return LAYOUTS[self.kind]


AnyNetwork = Annotated[
    ResNet18 | ResNet34 | ResNet50 | ShuffleNetV2 | CifarNet | TorchVision, Field(discriminator="kind")
]
