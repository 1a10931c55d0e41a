"""The network of the MFD authors for CIFAR-10S: six convolutions and two linear layers, for images of 32 px.

Jung, Lee, Park, Moon, "Fair Feature Distillation for Visual Recognition", CVPR 2021. The layers are read from the
authors' published code (github.com/DQle38/Fair-Feature-Distillation-for-Visual-Recognition, networks/cifar_net.py),
whose README trains it on CIFAR-10S. That code also makes a dropout of 0.5 in front of the head, and does not use it.
Whether all numbers of the paper are of this very network is not known.

Which values a dropout draws depends on how maps lie in memory, and so on the engine.
"""

from collections import OrderedDict

from torch import Tensor, nn

from fairdistill.runtime.errors import UserError
from fairdistill.settings.networks import CIFAR_NET_SIZE, CifarNet

SIZE = CIFAR_NET_SIZE  # pixels, which are halved three times
CHANNELS = (32, 64, 128)
WIDTH = 256
DROPOUT = 0.25


class _Body(nn.Sequential):
    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2:] != (SIZE, SIZE):
            raise UserError(
                f"network cifar_net takes images of {SIZE} px, and those of the data set have {images.shape[-1]}; "
                "choose another network"
            )
        return super().forward(images)


def build(settings: CifarNet, n_outputs: int) -> tuple[nn.Module, nn.Linear]:
    """Return the body, images to 256 features, and the head."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for number, width in enumerate(CHANNELS, start=1):
        parts[f"block{number}"] = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1),
            nn.ReLU(),
        )
        parts[f"pool{number}"] = nn.Sequential(nn.MaxPool2d(2), nn.Dropout(DROPOUT))
        channels = width
    parts["flatten"] = nn.Flatten()
    pixels = (SIZE // 2 ** len(CHANNELS)) ** 2
    parts["hidden"] = nn.Sequential(nn.Linear(channels * pixels, WIDTH), nn.ReLU())
    return _Body(parts), nn.Linear(WIDTH, n_outputs)
