"""The names of a network's weights in the files of other programs, and here."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor

from fairdistill.runtime.errors import UserError
from fairdistill.settings.networks import Network

# what programs put before the names of a network's weights: DataParallel, torch.compile, Lightning and wrappers
PREFIXES = ("module.", "model.", "backbone.", "net.", "network.", "encoder.", "_orig_mod.")
# what a checkpoint may have beside the network: classifiers that help to train it, and losses
BESIDE = ("aux1.", "aux2.", "AuxLogits.", "criterion.", "loss.", "loss_fn.", "n_averaged")
# how the names of batch norms' counters end, which nothing depends on
COUNTER = "num_batches_tracked"


def names_elsewhere(settings: Network, own: Collection[str]) -> dict[str, str]:
    """Return the names `own` of a network's weights here, by the names that they have in torchvision's network."""
    head = settings.layout.head
    return {head + name.removeprefix("head") if in_head(name) else name.removeprefix("body."): name for name in own}


def in_head(name: str) -> bool:
    """Whether a weight of this name, as it is here, is one of the head."""
    return name.startswith("head.")


def named_as(
    path: Path | str, weights: Mapping[str, Tensor], names: Mapping[str, str]
) -> tuple[dict[str, Tensor], list[str]]:
    """The weights by the names that torchvision gives them, as far as these are `names`; and what stood before them."""
    found: dict[str, Tensor] = {}
    given: dict[str, str] = {}
    here = {own: name for name, own in names.items()}
    whole = here.keys() <= weights.keys()
    common = "" if whole else _common_prefix(weights, names)
    for name, weight in weights.items():
        plain = here.get(name, name) if whole else without_prefixes(name.removeprefix(common), names)
        if plain in found:
            raise UserError(
                f"{path}: holds {given[plain]} and {name}, which would be one weight of the network; save the one that "
                "is meant"
            )
        found[plain], given[plain] = weight, name
    # a model of this project has its own names
    stood = [] if whole else [name.removesuffix(plain) for plain, name in given.items() if plain in names]
    # less the old names of DenseNets, which do not end as the new ones do
    return found, [prefix for prefix in dict.fromkeys(stood) if prefix.endswith(".")]


def _common_prefix(weights: Collection[str], names: Mapping[str, str]) -> str:
    """What stands before the names of all weights of the network but its head; nothing where that is not there."""
    needed = [name for name, own in names.items() if not in_head(own) and not name.endswith(COUNTER)]
    prefixes = [name.removesuffix(needed[0]) for name in weights if name.endswith(needed[0])]
    return next((prefix for prefix in prefixes if all(prefix + name in weights for name in needed)), "")


def without_prefixes(name: str, names: Collection[str]) -> str:
    while name not in names and (prefix := next(filter(name.startswith, PREFIXES), None)):
        name = name.removeprefix(prefix)
    # names of DenseNets' weights of before 2018, which torchvision still offers
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name)
