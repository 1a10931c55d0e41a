"""A model that was trained elsewhere: nothing is trained here, and the network has the weights of a file."""

from pathlib import Path

import numpy as np

from fairdistill.data import ImageDataset
from fairdistill.data.facts import facts_of
from fairdistill.methods.base import Method, Stage
from fairdistill.networks import Classifier
from fairdistill.networks.foreign import load_weights, order_outputs, read_facts
from fairdistill.networks.preprocess import Preprocess
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.progress import log
from fairdistill.settings.checkpoints import ModelFacts
from fairdistill.settings.methods import Imported as Settings
from fairdistill.settings.methods import method_of_kind
from fairdistill.settings.networks import Network
from fairdistill.settings.preprocess import Preprocess as Expected
from fairdistill.settings.reading import read_settings

# of a mean or standard deviation that a person has written down
ROUNDING = 1e-3
FRAMINGS = {"stretch": "stretching", "centre": "cutting at the centre"}


class Imported(Method):
    """The network as it was read, which predicts by the softmax of its logits."""

    @staticmethod
    def start_from(
        settings: Settings, path: Path, network: Classifier, *, network_settings: Network, dataset: ImageDataset
    ) -> None:
        """Take the model as it is, its outputs in the order of the data set's classes, behind what it expects.

        What a checkpoint of this project says of itself holds where the settings say nothing, and they may not
        contradict it.

        Raises
        ------
        UserError
            The file does not hold such a network, or one for other classes than the data set has, or it says of itself
            what the settings do not.
        """
        for note in load_weights(path, network, network_settings, new_head=False):
            log(f"{path}: {note}")
        stated = read_facts(path)
        if stated is not None:
            _require_softmax(path, stated)
        _order_outputs(settings, path, network, stated, dataset.classes)
        expected = settings.preprocess
        if stated is not None:
            expected = _expected(settings, path, stated, facts_of(dataset, settings))
        if expected is None and stated is None:
            log(
                f"warning: {path}: no `preprocess` is given, so that it gets images of mean 0 and standard deviation 1 "
                "in each channel of this data set; give that of the program that trained it, or it predicts worse than "
                "it can"
            )
        if expected is not None:
            network.preprocess = Preprocess(expected, data_mean=dataset.mean.tolist(), data_std=dataset.std.tolist())

    def stages(self, epochs: int) -> list[Stage]:
        """Train nothing."""
        return []


def _require_softmax(path: Path, stated: ModelFacts) -> None:
    kind = stated.method.get("kind")
    method = method_of_kind(kind)
    if method and method.own_outputs:
        raise UserError(
            f"{path}: is a model of kind {kind}, which has {method.own_outputs} in place of one for each class; give "
            "one of a method that predicts by the network alone"
        )


def _order_outputs(
    settings: Settings, path: Path, network: Classifier, stated: ModelFacts | None, classes: list[str]
) -> None:
    names, where = settings.classes, "classes"
    if stated is not None and names is None:
        names, where = stated.classes, "its metadata"
    if names is None:
        log(f"{path}: its outputs are taken for the classes in the data set's order: {', '.join(classes)}")
        return
    # names that the file does not have are those of the same classes in another data set
    if stated is not None and any(
        name != said and name in stated.classes for name, said in zip(names, stated.classes, strict=False)
    ):
        raise UserError(
            f"{path}: its outputs are {', '.join(stated.classes)}, as its metadata says, and `classes` names "
            f"{', '.join(names)}; leave `classes` out"
        )
    order_outputs(network, names, classes, where=f"{path}: {where}")
    order = (
        "are in the order of the data set's classes"
        if names == classes
        else f"were put in the order of the data set's classes: {', '.join(classes)}"
    )
    log(f"{path}: its outputs, which are {', '.join(names)}, {order}")


def _expected(settings: Settings, path: Path, stated: ModelFacts, own: ModelFacts) -> Expected | None:
    """How a model that says what it expects gets the images of a data set; None where it gets them as they are."""
    if stated.framing != own.framing:
        log(
            f"{path}: its pictures became squares by {FRAMINGS[stated.framing]}, and the data set's by "
            f"{FRAMINGS[own.framing]}"
        )
    # what a crop of the data set's cuts off is not there any more
    crop = stated.crop if stated.crop_test == "centre" and own.crop is None else None
    size = stated.image_size if crop else stated.network_sees
    resized = crop is not None or size != own.network_sees
    values = {"size": size if resized else None, "crop": crop, "mean": stated.mean, "std": stated.std}
    said = read_settings(Expected, values, where=f"{path}: its metadata")
    if settings.preprocess is not None:
        _require_agreement(path, settings.preprocess, said, own.network_sees)
        return settings.preprocess
    if not resized and (stated.mean, stated.std) == (own.mean, own.std):
        return None
    log(f"{path}: its images are prepared as its metadata says: {said.to_json()}")
    return said


def _require_agreement(path: Path, given: Expected, said: Expected, image_size: int) -> None:
    theirs, ours = (_numbers(one, image_size) for one in (said, given))
    for name, value in theirs.items():
        if not np.allclose(value, ours[name], rtol=0, atol=ROUNDING):
            raise UserError(
                f"{path}: its metadata says that it expects {name} {value}, and `preprocess` has {ours[name]}; leave "
                "`preprocess` out, or give this"
            )


def _numbers(expected: Expected, image_size: int) -> dict[str, int | list[float]]:
    """What the network gets of images of that size."""
    size, crop = expected.size or image_size, expected.network_gets(image_size)
    return {"size": size, "crop": crop, "mean": expected.mean, "std": expected.std}
