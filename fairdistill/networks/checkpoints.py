"""Networks as safetensors files that say what network they hold."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fairdistill.networks.classifier import Classifier, build_network
from fairdistill.networks.preprocess import Preprocess
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import parse_json
from fairdistill.settings.checkpoints import ModelFacts
from fairdistill.settings.networks import AnyNetwork, Network
from fairdistill.settings.reading import read_settings

# before the names of what a method predicts with beside the network
METHOD = "method."
IMPORT = (
    "a model of another program is imported first (docs/own_teacher.md); where it is a model of this project, move its "
    "folder aside and train it again"
)


def save_network(
    path: Path | str,
    network: Classifier,
    settings: Network,
    *,
    method: Mapping[str, Tensor] | None = None,
    facts: ModelFacts | None = None,
) -> None:
    """Write the weights, with what `load_network` needs to build the network anew as metadata.

    Parameters
    ----------
    method
        Tensors that the method predicts with beside the network, by name; `load_method` reads them.
    facts
        What else it takes to predict from the file alone; `load_facts` reads it.
    """
    # one entry alone: safetensors writes several in an order of chance, and equal networks would differ in bytes
    stored = {"settings": settings.to_json(), "n_outputs": network.head.out_features}
    if facts is not None:
        stored["model"] = facts.to_json()
    if network.preprocess is not None:
        stored["preprocess"] = network.preprocess.to_json()
    metadata = {"network": json.dumps(stored, sort_keys=True)}
    tensors = network.state_dict() | {f"{METHOD}{name}": tensor for name, tensor in (method or {}).items()}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    Path(path).write_bytes(save(weights, metadata))


def load_network(path: Path | str, *, settings: Network | None = None) -> Classifier:
    """Read a checkpoint of `save_network`.

    Parameters
    ----------
    settings
        What the checkpoint must hold; unchecked where left out.

    Raises
    ------
    UserError
        The file cannot be read, was not written by this project, or holds another network than `settings` says. What
        the file is nobody knows then: the message does not call it damaged, and asks nobody to delete it.
    """
    metadata, tensors = _read(path)
    stored = own_description(metadata)
    if not stored:
        raise UserError(f"{path}: the checkpoint does not name its network, so another program wrote it; {IMPORT}")
    try:
        found = read_settings(AnyNetwork, stored["settings"], where="its network")
        network = build_network(found, stored["n_outputs"])
        if preprocess := stored.get("preprocess"):
            network.preprocess = Preprocess.from_json(preprocess)
    except (ValueError, TypeError, LookupError, AttributeError, UserError) as error:
        raise UserError(
            f"{path}: not a network that this version of the project knows ({error}); read it with the version that "
            "wrote it, or train such a model anew beside it"
        ) from error
    if settings is not None and settings != found:
        raise UserError(
            f"{path}: the checkpoint holds the network {found.to_json()}, not {settings.to_json()}; "
            "point to a checkpoint of that network or train one"
        )
    try:
        network.load_state_dict({name: weight for name, weight in tensors.items() if not name.startswith(METHOD)})
    except RuntimeError as error:
        raise UserError(
            f"{path}: the weights do not fit the network {found.to_json()} that it says it holds; name another file, "
            "or train such a model anew beside it"
        ) from error
    return network


def load_method(path: Path | str) -> dict[str, Tensor]:
    """Read what a method predicts with beside the network, as it was given to `save_network`."""
    _, tensors = _read(path)
    return {name.removeprefix(METHOD): tensor for name, tensor in tensors.items() if name.startswith(METHOD)}


def load_facts(path: Path | str) -> ModelFacts | None:
    """Read what images a model takes and what its outputs mean; None where the checkpoint is from before it said so."""
    metadata, _ = _read(path)
    description = own_description(metadata)
    if not description:
        raise UserError(f"{path}: the checkpoint does not name its network; train it with this project")
    stored = description.get("model")
    return None if stored is None else read_settings(ModelFacts, stored, where=f"{path}: its model")


def own_description(metadata: Mapping[str, str] | None) -> Mapping[str, Any]:
    """Return what a checkpoint of `save_network` says of itself; nothing of any other, whatever its metadata hold."""
    try:
        stored = parse_json((metadata or {})["network"])
    except (ValueError, LookupError):
        return {}
    if not isinstance(stored, Mapping) or not isinstance(stored.get("settings"), Mapping):
        return {}
    # programs may use the same few words for something else
    return stored if "kind" in stored["settings"] and "n_outputs" in stored else {}


def _read(path: Path | str) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as checkpoint:
            tensors = {name: checkpoint.get_tensor(name) for name in checkpoint.keys()}  # noqa: SIM118
            return checkpoint.metadata() or {}, tensors
    except OSError as error:
        # safetensors does not name the file; a folder is "No such device" to it
        reason = "is a folder" if Path(path).is_dir() else f"cannot be read ({error})"
        raise UserError(f"{path}: {reason}; name a file of weights, such as weights.safetensors of a model") from error
    except SafetensorError as error:
        raise UserError(f"{path}: cannot be read as a checkpoint of this project ({error}); {IMPORT}") from error
