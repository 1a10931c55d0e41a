"""Networks that train in milliseconds a step."""

from typing import ClassVar, Literal

from torch import nn
from torchvision.models import ShuffleNetV2

from fairdistill.settings.layout import Layout
from fairdistill.settings.networks import SHUFFLENET, Network


class Small(Network):
    """The settings of a network with all that has a state, and no layer to compare but the last map."""

    implementation: ClassVar[str] = __name__

    kind: Literal["small"] = "small"

    @property
    def layout(self) -> Layout:
        """The last map alone."""
        return Layout(head="head", layers=(), last_map="2")


class Short(Network):
    """The settings of a ShuffleNetV2 x0.5 of four blocks in place of sixteen, with the layers of the whole one."""

    implementation: ClassVar[str] = __name__

    kind: Literal["short"] = "short"

    @property
    def layout(self) -> Layout:
        """That of all ShuffleNets."""
        return SHUFFLENET


def build(settings: Small | Short, n_outputs: int) -> tuple[nn.Module, nn.Linear]:
    """Return the body and the head."""
    if isinstance(settings, Small):
        body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return body, nn.Linear(8, n_outputs)
    body = ShuffleNetV2([2, 1, 1], [24, 48, 96, 192, 1024], num_classes=n_outputs)
    # as the stem `cifar` has it
    body.conv1[0] = nn.Conv2d(3, 24, kernel_size=3, padding=1, bias=False)
    body.maxpool = nn.Identity()
    head, body.fc = body.fc, nn.Identity()
    return body, head
