"""A model that was trained elsewhere: nothing is trained here, and the network has the weights of a file."""

from pathlib import Path

from fairdistill.data import ImageDataset
from fairdistill.methods.base import Method, Stage
from fairdistill.networks import Classifier
from fairdistill.networks.foreign import load_weights, order_outputs
from fairdistill.networks.preprocess import Preprocess
from fairdistill.runtime.progress import log
from fairdistill.settings.methods import Imported as Settings
from fairdistill.settings.networks import Network


class Imported(Method):
    """The network as it was read, which predicts by the softmax of its logits."""

    @staticmethod
    def start_from(
        settings: Settings, path: Path, network: Classifier, *, network_settings: Network, dataset: ImageDataset
    ) -> None:
        """Take the model as it is, its outputs in the order of the data set's classes, behind what it expects.

        Raises
        ------
        UserError
            The file does not hold such a network, or one for other classes than the data set has.
        """
        for note in load_weights(path, network, network_settings, new_head=False):
            log(f"{path}: {note}")
        if settings.classes:
            order_outputs(network, settings.classes, dataset.classes, where=f"{path}: classes")
            order = (
                "are in the order of the data set's classes"
                if settings.classes == dataset.classes
                else f"were put in the order of the data set's classes: {', '.join(dataset.classes)}"
            )
            log(f"{path}: its outputs, which are {', '.join(settings.classes)}, {order}")
        else:
            log(f"{path}: its outputs are taken for the classes in the data set's order: {', '.join(dataset.classes)}")
        if settings.preprocess:
            network.preprocess = Preprocess(
                settings.preprocess, data_mean=dataset.mean.tolist(), data_std=dataset.std.tolist()
            )

    def stages(self, epochs: int) -> list[Stage]:
        """Train nothing."""
        return []
