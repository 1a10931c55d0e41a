"""The architectures: networks that return their penultimate features beside their logits; one module each.

Such a module makes the two halves of a `Classifier`, from a stem and the number of classes. To add one, write it,
name it below, and add its kind to the config schema.
"""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import replacing


class Output(NamedTuple):
    """What a classifier says of a batch: `features` (B, D), `logits` (B, C)."""

    features: Tensor
    logits: Tensor


class Classifier(nn.Module):
    """A network cut in two: `body` maps images (B, 3, H, W) to features (B, D), `head` those to logits (B, C)."""

    def __init__(self, body: nn.Module, head: nn.Linear):
        super().__init__()
        self.body = body
        self.head = head
        self.width = head.in_features

    def forward(self, images: Tensor) -> Output:
        features = self.body(images)
        return Output(features, self.head(features))


ARCHITECTURES = {
    "resnet18": "fairdistill.networks.resnet:resnet18",
    "shufflenet_v2_x1_0": "fairdistill.networks.shufflenet:shufflenet_v2_x1_0",
}
STEMS = ("imagenet", "cifar")
DEFAULTS = {"stem": "imagenet"}


def build_model(architecture: Mapping, n_classes: int) -> Classifier:
    """Make an untrained classifier from torch's global random state.

    Parameters
    ----------
    architecture
        `kind`, a key of `ARCHITECTURES`, and `stem`: "imagenet" (torchvision's, the default) or "cifar"
        (a 3x3 convolution of stride 1 and no max-pooling, for images of 32 px).
    n_classes
        Number of logits.
    """
    unknown = set(architecture) - {"kind", "stem"}
    kind, stem = architecture.get("kind"), architecture.get("stem", DEFAULTS["stem"])
    if unknown:
        raise UserError(f"architecture: unknown key {sorted(unknown)[0]!r}; known are kind and stem")
    if kind not in ARCHITECTURES:
        raise UserError(f"architecture: unknown kind {kind!r}; choose one of {', '.join(ARCHITECTURES)}")
    if stem not in STEMS:
        raise UserError(f"architecture: unknown stem {stem!r}; choose one of {', '.join(STEMS)}")
    module, name = ARCHITECTURES[kind].split(":")
    body, head = getattr(importlib.import_module(module), name)(stem, n_classes)
    return Classifier(body, head)


def save_model(path: Path | str, model: Classifier, architecture: Mapping) -> None:
    """Write the weights as safetensors, with what `load_model` needs to rebuild the network as metadata."""
    # one entry alone: safetensors writes several in an order of chance, and equal models would differ in bytes
    network = {"architecture": dict(architecture), "n_classes": model.head.out_features}
    metadata = {"network": json.dumps(network, sort_keys=True)}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as partial:
        partial.write_bytes(save(weights, metadata))


def load_model(path: Path | str, *, architecture: Mapping | None = None) -> Classifier:
    """Read a checkpoint of `save_model`.

    Raises
    ------
    UserError
        The file is damaged, was not written by this project, or holds another architecture than the one given.
    """
    try:
        with safe_open(path, "pt") as checkpoint:
            metadata = checkpoint.metadata() or {}
            weights = {name: checkpoint.get_tensor(name) for name in checkpoint.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable checkpoint ({error}); delete it and train again") from error
    if "network" not in metadata:
        raise UserError(f"{path}: the checkpoint does not name its architecture; train it with this project")
    try:
        network = json.loads(metadata["network"])
        stored = network["architecture"]
        model = build_model(stored, network["n_classes"])
    except (ValueError, TypeError, LookupError, AttributeError, UserError) as error:
        raise UserError(f"{path}: not a network that this project knows ({error}); train it again") from error
    if architecture is not None and DEFAULTS | dict(architecture) != DEFAULTS | stored:
        raise UserError(
            f"{path}: the checkpoint is of architecture {stored}, not {dict(architecture)}; "
            "point to a checkpoint of that architecture or train one"
        )
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{path}: the weights do not fit architecture {stored}; train it again") from error
    return model


def freeze(model: Classifier) -> Classifier:
    """Put a teacher into evaluation mode, without gradients."""
    return model.eval().requires_grad_(False)
