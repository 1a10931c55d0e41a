"""Weights from a file: those that a training starts from, or the whole model where it is imported."""

from pathlib import Path

from fairdistill.data import ImageDataset
from fairdistill.networks import Classifier
from fairdistill.networks.foreign import load_weights, order_outputs
from fairdistill.networks.preprocess import Preprocess
from fairdistill.runtime.progress import log
from fairdistill.settings.methods import Imported, Method
from fairdistill.settings.networks import Network


def start_from_file(
    network: Classifier, path: Path, *, settings: Network, method: Method, dataset: ImageDataset
) -> None:
    """Give a new network the weights in a file, and log what was done beside that.

    The head of a network that is trained may be for other classes, and is then made anew. An imported model is taken as
    it is, its outputs in the order of the data set's classes, and behind what it expects of its images.

    Raises
    ------
    UserError
        The file does not hold such a network, or one for other classes than the data set has.
    """
    imported = isinstance(method, Imported)
    for note in load_weights(path, network, settings, new_head=not imported):
        log(f"{path}: {note}")
    if not isinstance(method, Imported):
        return
    if method.classes:
        order_outputs(network, method.classes, dataset.classes, where=f"{path}: classes")
    else:
        log(f"{path}: its outputs are taken for the classes in the data set's order: {', '.join(dataset.classes)}")
    if method.preprocess:
        network.preprocess = Preprocess(method.preprocess, data_mean=dataset.mean, data_std=dataset.std)
