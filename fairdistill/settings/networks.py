"""The networks that a configuration can describe, one class per `kind`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fairdistill.settings.base import Settings


class Network(Settings):
    """What every kind of network has.

    Attributes
    ----------
    implementation
        The module that builds networks of this kind: its `build(settings, n_outputs)`.
    layers
        Names of the layers whose maps a method can read, from the first to the last.
    last_map
        Name of the layer whose output is the features once it is averaged over its pixels, if it has any; it need not
        be one of `layers`.
    takes
        The edge of the images that networks of this kind take, in pixels; None where they take any.
    """

    implementation: ClassVar[str]
    layers: ClassVar[tuple[str, ...]]
    last_map: ClassVar[str]
    takes: ClassVar[int | None] = None

    kind: str
    stem: Literal["imagenet", "cifar"] = Field(
        "imagenet",
        description="The first layers: `imagenet` is torchvision's (stride 2 and max-pooling); `cifar` is a 3x3 "
        "convolution of stride 1 without pooling, which suits images of 32 px and takes about ten times as long.",
    )


class _ResNet(Network):
    """What ResNets of any depth have."""

    implementation: ClassVar[str] = "fairdistill.networks.resnet"
    layers: ClassVar[tuple[str, ...]] = ("layer1", "layer2", "layer3", "layer4")
    last_map: ClassVar[str] = "layer4"


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
    """ShuffleNetV2 x1.0 (Ma et al., ECCV 2018), as torchvision builds it."""

    implementation: ClassVar[str] = "fairdistill.networks.shufflenet"
    layers: ClassVar[tuple[str, ...]] = ("stage2", "stage3", "stage4")
    last_map: ClassVar[str] = "conv5"

    kind: Literal["shufflenet_v2_x1_0"]


class CifarNet(Network):
    """The network of the code of the MFD authors (Jung et al., CVPR 2021) for CIFAR-10S; it takes images of 32 px."""

    implementation: ClassVar[str] = "fairdistill.networks.cifar_net"
    layers: ClassVar[tuple[str, ...]] = ("block1", "block2", "block3")
    # the features are a linear layer's, which the authors distil on this network
    last_map: ClassVar[str] = "hidden"
    takes: ClassVar[int] = 32

    kind: Literal["cifar_net"]
    stem: Literal["cifar"] = Field("cifar", description="The first layers; there is one choice, of stride 1.")


AnyNetwork = Annotated[ResNet18 | ResNet34 | ResNet50 | ShuffleNetV2 | CifarNet, Field(discriminator="kind")]
