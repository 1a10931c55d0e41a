"""Which kind of network weights of another program are those of, where they are not those of the one that was named.

torchvision says how many parameters each of its networks has, so that of eighty no more than a few are built, without
memory, and compared name by name and shape by shape.
"""

from collections.abc import Mapping
from typing import cast, get_args

from torch import Tensor
from torchvision import models

from fairdistill.networks.classifier import build_network
from fairdistill.networks.describing import OWN, without_memory
from fairdistill.networks.weight_names import BESIDE, COUNTER, named_as, names_elsewhere
from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import settings_of_kind
from fairdistill.settings.networks import AnyNetwork, Network
from fairdistill.settings.torchvision_networks import LAYOUTS

IMAGENET = 1000  # classes of the networks whose parameters torchvision counts
# of the parameters, by which those of one network may differ: first layers for small images, buffers that are none, and
# the auxiliary classifier of inception_v3, which torchvision counts
TOLERANCE = 0.06
NO_PARAMETERS = ("running_mean", "running_var", COUNTER)


def kinds_that_fit(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the kinds of networks that have the weights of a file, but for the number of outputs.

    Parameters
    ----------
    weights
        By the names that the file has.

    Returns
    -------
    A kind with its stem, where with another stem it would not fit.
    """
    found = []
    for kind in (*OWN, *LAYOUTS):
        settings_class = cast(type[Network], settings_of_kind(AnyNetwork, kind))
        stems = get_args(settings_class.model_fields["stem"].annotation)
        every = [settings_class.model_validate({"kind": kind, "stem": stem}) for stem in stems]
        if (head := _head(weights, every[0])) is None or not _has_as_many(kind, weights, head):
            continue
        fitting = [settings.stem for settings in every if _fits(settings, weights, n_outputs=len(head))]
        found += [kind] if len(fitting) == len(stems) else [f"{kind} with `stem: {stem}`" for stem in fitting]
    return found


def _head(weights: Mapping[str, Tensor], settings: Network) -> Tensor | None:
    """The weight of what would be the head of such a network."""
    names = (f"{settings.layout.head}.weight", "head.weight")
    ends = tuple(f".{name}" for name in names)
    found = [weight for name, weight in weights.items() if f".{name}".endswith(ends) and weight.ndim == 2]
    # auxiliary classifiers come before it
    return found[-1] if found else None


def _has_as_many(kind: str, weights: Mapping[str, Tensor], head: Tensor) -> bool:
    """Whether there are about as many parameters as such a network has, less the head."""
    of_torchvision = next(iter(models.get_model_weights(kind))).meta["num_params"] - IMAGENET * (head.shape[1] + 1)
    of_head = len(head) * (head.shape[1] + 1)
    parameters = [name for name in weights if not name.endswith(NO_PARAMETERS)]
    alone = [name for name in parameters if not any(f".{beside}" in f".{name}" for beside in BESIDE)]
    # of inception_v3 torchvision counts the auxiliary classifier, and those of googlenet it does not
    counts = [sum(weights[name].numel() for name in names) - of_head for names in (parameters, alone)]
    return any(abs(count - of_torchvision) <= TOLERANCE * of_torchvision for count in counts)


def _fits(settings: Network, weights: Mapping[str, Tensor], *, n_outputs: int) -> bool:
    with without_memory():
        own = build_network(settings, n_outputs).state_dict()
    names = names_elsewhere(settings, own)
    try:
        found, _ = named_as("", weights, names)
    except UserError:
        return False
    needed = {name: own[here].shape for name, here in names.items() if not name.endswith(COUNTER)}
    shapes = {name: weight.shape for name, weight in found.items() if not name.endswith(COUNTER)}
    return needed == {name: shape for name, shape in shapes.items() if not name.startswith(BESIDE)}
