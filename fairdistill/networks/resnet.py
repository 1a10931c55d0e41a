"""ResNets: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016; torchvision's networks."""

from torch import nn
from torchvision import models

from fairdistill.settings.networks import ResNet18, ResNet34, ResNet50


def build(settings: ResNet18 | ResNet34 | ResNet50, n_outputs: int) -> tuple[nn.Module, nn.Linear]:
    """Return the body, images to 512 features, or of ResNet-50 to 2048, and the head."""
    body = models.get_model(settings.kind, weights=None, num_classes=n_outputs)
    if settings.stem == "cifar":
        body.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        body.maxpool = nn.Identity()
    head, body.fc = body.fc, nn.Identity()
    return body, head
