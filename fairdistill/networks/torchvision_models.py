"""The classifiers of torchvision, each as its authors' network is published there.

What follows the last linear layer's input is the head, so that the features are what that layer sees: in some networks
the output of another linear layer, and in training often after a dropout.
"""

from torch import nn
from torchvision import models

from fairdistill.settings.networks import TorchVision

# networks with classifiers beside the last one, for training; they are left out, as no method here knows them
WITHOUT_AUXILIARY = {kind: {"aux_logits": False, "init_weights": True} for kind in ("googlenet", "inception_v3")}


def build(settings: TorchVision, n_outputs: int) -> tuple[nn.Module, nn.Linear]:
    """Return the body, images to features, and the head."""
    options = WITHOUT_AUXILIARY.get(settings.kind, {})
    body = models.get_model(settings.kind, weights=None, num_classes=n_outputs, **options)
    path, _, name = settings.layout.head.rpartition(".")
    parent = body.get_submodule(path)
    head = getattr(parent, name)
    # a number, too, is a name of a part
    setattr(parent, name, nn.Identity())
    return body, head
