"""ShuffleNetV2: Ma, Zhang, Zheng, Sun, "ShuffleNet V2", ECCV 2018; torchvision's networks."""

from torch import nn
from torchvision import models

from fairdistill.settings.networks import ShuffleNetV2


def build(settings: ShuffleNetV2, n_outputs: int) -> tuple[nn.Module, nn.Linear]:
    """Return the body, images to 1024 features, or of the widest to 2048, and the head."""
    body = models.get_model(settings.kind, weights=None, num_classes=n_outputs)
    if settings.stem == "cifar":
        body.conv1[0] = nn.Conv2d(3, 24, kernel_size=3, padding=1, bias=False)
        body.maxpool = nn.Identity()
    head, body.fc = body.fc, nn.Identity()
    return body, head
