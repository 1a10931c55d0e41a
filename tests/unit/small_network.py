"""A network with all that has a state, which trains in milliseconds an epoch."""

from typing import ClassVar, Literal

from torch import nn

from fairdistill.settings.layout import Layout
from fairdistill.settings.networks import Network


class Small(Network):
    """The settings of such a network."""

    implementation: ClassVar[str] = __name__

    kind: Literal["small"] = "small"

    @property
    def layout(self) -> Layout:
        """The last map alone."""
        return Layout(head="head", layers=(), last_map="2")


def build(settings: Small, n_outputs: int) -> tuple[nn.Module, nn.Linear]:
    """Return the body and the head."""
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return body, nn.Linear(8, n_outputs)
