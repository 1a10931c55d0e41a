"""Weights that other programs saved, read into a network of this project.

Files of safetensors and of `torch.save` are read; the latter with `weights_only`, so that nothing in a file is ever
run. Names of weights are those of torchvision's network of the same kind, or come to these without the prefixes that
programs put before them. A file that does not fit is left as it is, and is never called damaged: it may be whole, and
its owner's only copy.
"""

import argparse
import errno
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from fairdistill.networks.checkpoints import METHOD, own_description
from fairdistill.networks.classifier import Classifier
from fairdistill.networks.weight_names import BESIDE, COUNTER, in_head, named_as, names_elsewhere
from fairdistill.runtime.errors import UserError, printable
from fairdistill.settings.checkpoints import ModelFacts
from fairdistill.settings.networks import Network
from fairdistill.settings.reading import read_settings

# where programs keep the weights in a checkpoint, the first that is there
PLACES = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights", "params", "module")
# how what torch.save writes begins: a pickle, as long ago, or a zip file
PICKLE, ZIP = b"\x80", b"PK\x03\x04"
# What torchvision's and timm's programs save beside the weights: the options that they were started with. It is a
# holder of named values, so that nothing is run where it is read; of what classes these may be, torch goes on to check.
HOLDERS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [argparse.Namespace]
SHOWN = 3  # names of weights that an error shows
ADVICE = (
    "in the program that wrote it, save the weights alone, torch.save(model.state_dict(), ...) or "
    "safetensors.torch.save_model(model, ...), and name that file"
)
KINDS = "; give a safetensors file, or one that torch.save wrote of a state dict"


def read_weights(path: Path | str) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights in a file, by the names that they have there, and sentences on where in it they were found.

    Raises
    ------
    UserError
        The file is not one of weights; the message says what it is instead.
    OSError
        There is no such file, or it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder, and not a checkpoint{KINDS}")
    with open(path, "rb") as file:
        start = file.read(9)
    if not start:
        raise UserError(f"{path}: is empty{KINDS}")
    if start[8:] == b"{":
        return _read_safetensors(path), []
    if start == b"version h":
        raise UserError(
            f"{path}: is a pointer of Git LFS, and not the checkpoint; fetch the file itself by `git lfs pull`"
        )
    if not start.startswith((PICKLE, ZIP)):
        raise UserError(f"{path}: is no checkpoint that torch can read{KINDS}")
    return _find_weights(path, _read_torch(path))


def read_facts(path: Path | str) -> ModelFacts | None:
    """Return what a checkpoint of this project says of its images and outputs; None where the file says nothing.

    Raises
    ------
    UserError
        It says what this version does not understand.
    """
    try:
        with safe_open(path, "pt") as file:
            stated = own_description(file.metadata()).get("model")
    except SafetensorError:
        # of torch.save
        return None
    return None if stated is None else read_settings(ModelFacts, stated, where=f"{path}: its model")


def load_weights(path: Path | str, network: Classifier, settings: Network, *, new_head: bool) -> list[str]:
    """Load a file's weights into `network`, which `settings` describe; return sentences on what was done for that.

    Parameters
    ----------
    new_head
        Whether the head stays as it is where the file has none, or one for another number of classes.

    Raises
    ------
    UserError
        The file is not one of weights, or they are not those of such a network.
    OSError
        There is no such file, or it cannot be read.
    """
    own = network.state_dict()
    head = settings.layout.head
    names = names_elsewhere(settings, own)
    weights, notes = read_weights(path)
    found, prefixes = named_as(path, weights, names)
    if prefixes:
        were = "was" if len(prefixes) == 1 else "were"
        notes.append(f"{' and '.join(map(repr, prefixes))} {were} taken off the names of its weights")
    counters = [name for name in names if name.endswith(COUNTER)]
    found |= {name: found[name].squeeze() for name in counters if _is_list_of_one(found.get(name))}
    lacking = [name for name in names if name not in found and not name.endswith(COUNTER)]
    if f"{head}.weight" in lacking and (other := _other_head(found, names, network.width)):
        found |= {f"{head}.{part}": found.pop(f"{other}.{part}") for part in ("weight", "bias")}
        notes.append(f"its last linear layer, {other}, is taken for the network's {head}")
        lacking = [name for name in lacking if name not in found]
    of_head = [name for name, here in names.items() if in_head(here)]
    if (
        not new_head
        and len(own["head.weight"]) == 2
        and all(_is_of_one_output(found.get(name), own[names[name]]) for name in of_head)
    ):
        # softmax(0, z) is (1 - sigmoid(z), sigmoid(z))
        found |= {name: torch.cat([torch.zeros_like(found[name]), found[name]]) for name in of_head}
        notes.append("its one output was taken for that of a sigmoid, which is the probability of the second class")
    if new_head and (misfit := _misfit_of_head(head, found, own["head.weight"])):
        notes.append(f"{misfit}: the head is made anew")
        found = {name: weight for name, weight in found.items() if name not in of_head}
        lacking = [name for name in lacking if name not in of_head]
    surplus = [name for name in found if name not in names]
    if beside := [name for name in surplus if name.startswith(BESIDE)]:
        notes.append(f"it has {_listed(beside)} beside the network, which are left out")
        surplus = [name for name in surplus if name not in beside]
    if lacking or surplus:
        _refuse_names(path, settings, weights, lacking=lacking, surplus=surplus)
    _require_fit(path, settings, own, names, found, weights)
    network.load_state_dict({here: found.get(name, own[here]) for name, here in names.items()})
    return notes


def order_outputs(network: Classifier, outputs: Sequence[str], classes: Sequence[str], *, where: str) -> None:
    """Put the outputs of a network, the names of which are `outputs` in turn, in the order of `classes`.

    Raises
    ------
    UserError
        Begins with `where`; the two do not have the same names.
    """
    if repeated := sorted({name for name in outputs if list(outputs).count(name) > 1}):
        raise UserError(f"{where} names {repeated[0]!r} twice; name each output of the model once")
    unknown = [name for name in outputs if name not in classes]
    missing = [name for name in classes if name not in outputs]
    if unknown or missing:
        parts = [f"names {_listed(unknown)}, which the data set does not have"] * bool(unknown)
        parts += [f"does not name {_listed(missing)}, which the data set has"] * bool(missing)
        raise UserError(
            f"{where} {', and '.join(parts)}; the classes of the data set are {', '.join(classes)}; name them as "
            "`classes`, in the order of the model's outputs"
        )
    rows = torch.tensor([list(outputs).index(name) for name in classes])
    with torch.no_grad():
        for values in network.head.parameters():
            values.copy_(values[rows])


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            _require_plain(path, names, own_description(file.metadata()))
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise UserError(
            f"{path}: begins as a safetensors file, but cannot be read as one ({_line(error)}); compare it with its "
            "source, as it may be incomplete"
        ) from error


def _require_plain(path: Path, names: Collection[str], description: Mapping[str, Any]) -> None:
    """A model of this project is its network alone."""
    if description and (own := [name for name in names if name.startswith(METHOD)]):
        raise UserError(
            f"{path}: is a model of this project whose method predicts with more than the network ({_listed(own)}); "
            "give one of a method that predicts by the network alone"
        )
    if description.get("preprocess") is not None:
        raise UserError(f"{path}: was imported itself; give the file that it was imported from, with its preprocess")


def _read_torch(path: Path) -> object:
    try:
        if zipfile.is_zipfile(path):
            _require_weights_only(path)
        with warnings.catch_warnings(), safe_globals(HOLDERS):
            # of pickles that it then refuses, or reads
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: holds more than weights, or was not written by torch.save, and reading it could run code, which "
            f"this project does not do; {ADVICE}"
        ) from error
    except (UserError, MemoryError):
        raise
    # Torch lets through whatever the bytes of a file of any other kind, or of a damaged one, lead to.
    except Exception as error:
        # a zip file that lacks a byte leads to a place before its beginning, which is an invalid argument
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        reason = (
            f" ({_line(error)}); if torch.save wrote it, it is incomplete" if isinstance(error, RuntimeError) else ""
        )
        raise UserError(f"{path}: is no checkpoint that torch can read{reason}{KINDS}") from error


def _require_weights_only(path: Path) -> None:
    """What a zip file holds is weights, and no program."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            raise UserError(f"{path}: is a TorchScript archive, which is a program and not weights; {ADVICE}")
        if not any(name.endswith("/data.pkl") for name in names):
            raise UserError(f"{path}: is a zip file, but not one that torch.save wrote{KINDS}")
        # packed, a small file fills the memory
        held, unpacked = path.stat().st_size, sum(member.file_size for member in archive.infolist())
        if unpacked > held:
            raise UserError(
                f"{path}: is a zip file that unpacks to {unpacked / 1e6:.1f} MB and has {held / 1e6:.1f}, as "
                f"torch.save writes none{KINDS}"
            )
        if changed := archive.testzip():
            raise UserError(
                f"{path}: {changed} in it is not as it was written, by its checksum; compare the file with its source"
            )
    with safe_globals(HOLDERS):
        unsafe = get_unsafe_globals_in_checkpoint(path)
    if unsafe:
        raise UserError(
            f"{path}: holds objects of {_listed(unsafe)}, and to read them would run code, which this project does not "
            f"do; {ADVICE}"
        )


def _find_weights(path: Path, content: object) -> tuple[dict[str, Tensor], list[str]]:
    """The weights in what a file holds, however deep they lie, and what else could be meant."""
    where = content
    notes: list[str] = []
    within: list[str] = []
    passed: set[int] = set()
    while isinstance(where, Mapping):
        # a dictionary may hold itself
        passed.add(id(where))
        inside = {
            name: value
            for name, value in where.items()
            if _may_hold_weights(name, value) and id(value) not in passed and _has_weights(value)
        }
        named = next((name for name in PLACES if name in inside), None)
        tensors = {str(name): value for name, value in where.items() if isinstance(value, Tensor)}
        # beside a dictionary of weights a number may stand, such as a step or the best accuracy; a network's weights
        # have a layer's name, a dot, and their own
        if named is None and tensors and (not inside or any("." in name for name in tensors)):
            read = [f"its weights were read from {printable(' > '.join(within))}"] * bool(within)
            return tensors, read + notes
        if named is None and len(inside) > 1:
            places = " and ".join(map(str, list(inside)[:SHOWN]))
            raise UserError(
                f"{path}: holds weights in {places}, and which of them are meant is not to be told; {ADVICE}"
            )
        if named is None and not inside:
            break
        key = named if named is not None else next(iter(inside))
        within.append(str(key))
        where = inside[key]
        if others := [name for name in inside if name != named and len(inside[name]) == len(where) and named]:
            notes.append(f"it has {named} and {_listed(others)}, of which {named} is taken")
    shown = _listed(list(map(str, where))) if isinstance(where, Mapping) and where else type(where).__name__
    raise UserError(f"{path}: holds {shown}, and no weights among it that are to be found; {ADVICE}")


def _may_hold_weights(name: object, value: object) -> bool:
    """Whether it is a dictionary, and not what an optimizer keeps."""
    return isinstance(value, Mapping) and not str(name).lower().startswith("optim") and "param_groups" not in value


def _has_weights(values: Mapping) -> bool:
    # each once: they may hold each other, in any depth
    known, waiting = {id(values)}, [values]
    while waiting:
        for name, value in waiting.pop().items():
            if isinstance(value, Tensor):
                return True
            if _may_hold_weights(name, value) and id(value) not in known:
                known.add(id(value))
                waiting.append(value)
    return False


def _other_head(found: Mapping[str, Tensor], names: Collection[str], width: int) -> str | None:
    """The one linear layer of `width` inputs that the network does not know: a program put it in the head's place."""
    others = [
        name.removesuffix(".weight")
        for name, weight in found.items()
        if name not in names and name.endswith(".weight") and weight.ndim == 2 and weight.shape[1] == width
    ]
    others = [name for name in others if f"{name}.bias" in found]
    return others[0] if len(others) == 1 else None


def _is_of_one_output(weight: Tensor | None, own: Tensor) -> bool:
    """Whether it is one output's part of a weight or bias like `own`; what is no dense tensor is refused later."""
    return (
        weight is not None
        and weight.layout == torch.strided
        and not weight.is_quantized
        and weight.shape == (1, *own.shape[1:])
    )


def _is_list_of_one(weight: Tensor | None) -> bool:
    return weight is not None and weight.layout == torch.strided and weight.shape == (1,)


def _is_transposed(weight: Tensor, own: Tensor) -> bool:
    """Whether it is, of a linear layer like `own`, inputs x outputs, as other libraries have it."""
    return weight.ndim == 2 and weight.shape[1] != own.shape[1] == weight.shape[0]


def _misfit_of_head(head: str, found: Mapping[str, Tensor], own: Tensor) -> str:
    """What is wrong with a file's head for a network that has one with the weight `own`; nothing where it fits."""
    weight, bias = (found.get(f"{head}.{part}") for part in ("weight", "bias"))
    if weight is None or weight.ndim != own.ndim:
        return f"it has no outputs, and {len(own)} are wanted"
    if _is_transposed(weight, own):
        return f"the weight of its head, {head}, is transposed ({_shape(weight)}, inputs x outputs)"
    if len(weight) != len(own):
        return f"it has {_outputs(weight)}, and {len(own)} are wanted"
    if weight.shape != own.shape:
        return f"its head, {head}, takes {weight.shape[1]} features, and the network has {own.shape[1]}"
    if bias is None:
        return f"its head, {head}, has no bias"
    return f"the bias of its head, {head}, is of {_shape(bias)}" if bias.shape != own.shape[:1] else ""


def _refuse_names(
    path: Path | str,
    settings: Network,
    weights: Mapping[str, Tensor],
    *,
    lacking: Sequence[str],
    surplus: Sequence[str],
) -> NoReturn:
    """Raise a UserError for weights that are not those of the network by their names."""
    head = settings.layout.head
    if lacking == [f"{head}.bias"] and not surplus:
        raise UserError(
            f"{path}: its head, {head}, has no bias, which that of {settings.kind} has; save the file again with "
            f"{head}.bias beside {head}.weight, a zero for each output, which changes no prediction"
        )
    parts = [f"lacks {_listed(lacking)}"] * bool(lacking) + [f"has {_listed(surplus)} beside it"] * bool(surplus)
    remedy = _name_the_kind(weights) or "name the kind of network that it holds, as torchvision builds it"
    raise UserError(f"{path}: does not hold the network {settings.kind}: it {' and '.join(parts)}; {remedy}")


def _name_the_kind(weights: Mapping[str, Tensor]) -> str:
    """Which kind of network a file holds, where that is to be told."""
    # it loads all of torchvision's networks
    from fairdistill.networks.recognising import kinds_that_fit

    kinds = kinds_that_fit(weights)
    return f"its weights are those of {' or '.join(kinds)}: name that network" if kinds else ""


def _require_fit(
    path: Path | str,
    settings: Network,
    own: Mapping[str, Tensor],
    names: Mapping[str, str],
    found: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
) -> None:
    """Refuse weights that have the names of those of the network, but not their shapes, or are no numbers of it.

    Parameters
    ----------
    found, weights
        By the names of `names`, and as the file has them.
    """
    of_head = [name for name, here in names.items() if in_head(here)]
    others = {name: weight for name, weight in found.items() if name in names}
    wrong = [name for name, weight in others.items() if weight.shape != own[names[name]].shape]
    if wrong and set(wrong) <= set(of_head) and all(found[name].ndim == own[names[name]].ndim for name in wrong):
        wanted = own["head.weight"]
        if _is_transposed(found[of_head[0]], wanted):
            raise UserError(
                f"{path}: {of_head[0]} is of {_shape(found[of_head[0]])}, inputs x outputs, so that it is transposed; "
                "save the file again with it the other way round, as torch has it (weight.T)"
            )
        if len(found[wrong[0]]) == len(wanted):
            misfit = _misfit_of_head(settings.layout.head, found, wanted)
            raise UserError(f"{path}: {misfit}; {_name_the_kind(weights) or 'name the network that it holds'}")
        raise UserError(
            f"{path}: the model has {_outputs(found[wrong[0]])}, and the data set {len(wanted)} classes; give a model "
            "with one output for each class"
        )
    if wrong:
        shapes = [f"{name} of {_shape(found[name])} in place of {_shape(own[names[name]])}" for name in wrong]
        stem = " with this stem" if settings.kind.startswith(("resnet", "shufflenet")) else ""
        raise UserError(
            f"{path}: does not hold the network {settings.kind}{stem}: it has {_listed(shapes)}; "
            f"{_name_the_kind(weights) or 'name the network that it holds'}"
        )
    numbers = {name: weight for name, weight in others.items() if own[names[name]].is_floating_point()}
    if quantised := [name for name, weight in others.items() if weight.is_quantized]:
        raise UserError(f"{path}: {_listed(quantised)} are quantised; give the weights of before, as floats")
    if strange := [name for name, weight in others.items() if weight.layout != torch.strided or weight.is_meta]:
        raise UserError(f"{path}: {_listed(strange)} are no dense tensors; give the weights as such")
    if other := [name for name, weight in numbers.items() if not weight.is_floating_point()]:
        raise UserError(f"{path}: {_listed(other)} are no real floating-point numbers; give the weights as such")
    # as the network will have them: in float32 a large number of float64 is infinite
    numbers = {name: weight.to(own[names[name]].dtype) for name, weight in numbers.items()}
    if broken := [name for name, weight in numbers.items() if not torch.isfinite(weight).all()]:
        raise UserError(f"{path}: {_listed(broken)} are not finite, so that the model predicts nothing; give another")
    if negative := [name for name, weight in numbers.items() if name.endswith("running_var") and (weight < 0).any()]:
        raise UserError(f"{path}: {_listed(negative)} are variances below zero; give another checkpoint")


def _listed(names: Sequence[Any]) -> str:
    """A few names, and how many there are where those are more."""
    shown = ", ".join(map(str, names[:SHOWN]))
    return shown if len(names) <= SHOWN else f"{shown}, ... ({len(names)} in all)"


def _outputs(weight: Tensor) -> str:
    return f"{len(weight)} output{'s' * (len(weight) != 1)}"


def _shape(weight: Tensor) -> str:
    return " x ".join(map(str, weight.shape)) or "a number"


def _line(error: Exception) -> str:
    """The first sentence of an error's message, in one line."""
    return re.split(r"\. |\n", str(error).strip())[0]
