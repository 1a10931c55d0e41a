"""The networks, and their checkpoints.

A kind of network is a class in `fairdistill.settings.networks` and the module that it names, whose
`build(settings, n_outputs)` makes the two halves of a `Classifier`. To add one, write the two; no rule changes.
"""

# before any other module, as they import parts of torchvision
from fairdistill.networks import torchvision_import  # noqa: F401
from fairdistill.networks.checkpoints import load_facts, load_method, load_network, save_network
from fairdistill.networks.classifier import Classifier, Output, build_network, freeze

__all__ = [
    "Classifier",
    "Output",
    "build_network",
    "freeze",
    "load_facts",
    "load_method",
    "load_network",
    "save_network",
]
