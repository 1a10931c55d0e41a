"""ResNet-18: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016; torchvision's network."""

from torch import nn
from torchvision import models


def resnet18(stem: str, n_classes: int) -> tuple[nn.Module, nn.Linear]:
    """The body, images to 512 features, and the head."""
    body = models.resnet18(weights=None, num_classes=n_classes)
    if stem == "cifar":
        body.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        body.maxpool = nn.Identity()
    head, body.fc = body.fc, nn.Identity()
    return body, head
