"""The contract of a training method: what the training loop asks of it, and what it is given."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from importlib import import_module
from operator import add
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fairdistill.data import ImageDataset
from fairdistill.data.sampling import epoch_order
from fairdistill.networks import Classifier, Output
from fairdistill.networks.foreign import load_weights
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.progress import log
from fairdistill.settings.methods import LayerDistillation
from fairdistill.settings.methods import Method as Settings
from fairdistill.settings.networks import Network


class Task(NamedTuple):
    """What a method is made for.

    Attributes
    ----------
    n_classes, n_groups
        Sizes of the sets of labels and groups.
    label, group
        (n,) int64, of the training images.
    image_size
        The edge, in pixels, of the square images that the networks see.
    network
        The network to train, with its initial weights.
    base
        The frozen model that the method stands on; None where it stands on none.
    """

    n_classes: int
    n_groups: int
    label: Tensor
    group: Tensor
    image_size: int
    network: Classifier
    base: Classifier | None

    @property
    def cell_sizes(self) -> Tensor:
        """(n_classes, n_groups) int64, the number of training images of each class and group."""
        cell = self.label * self.n_groups + self.group
        return torch.bincount(cell, minlength=self.n_classes * self.n_groups).view(self.n_classes, self.n_groups)


class Batch(NamedTuple):
    """What a step is computed from.

    Attributes
    ----------
    images
        (B, 3, H, W), normalised and mirrored.
    label, group
        (B,) int64.
    position
        (B,) int64, the positions of the images among the training images, for what a method keeps of each of them.
    base
        What `read_base` returns of the base's outputs, as tensors (B, ...) by name; empty where there is no base.
    """

    images: Tensor
    label: Tensor
    group: Tensor
    position: Tensor
    base: dict[str, Tensor]


class Step(NamedTuple):
    """What a step says of itself: the network's output, its loss, and the terms to record, by name."""

    output: Output
    loss: Tensor
    terms: dict[str, Tensor]


class Stage(NamedTuple):
    """A part of a training, with optimisers and a learning-rate schedule of its own."""

    name: str
    epochs: int


class MakeOptimizer(Protocol):
    """Makes the engine's optimiser; without a learning rate it takes that of the training."""

    def __call__(self, weights: Sequence[Tensor], *, learning_rate: float | None = None) -> torch.optim.Optimizer: ...


class Method(nn.Module):
    """A way to train a classifier.

    Most methods are a `loss` and, where they stand on a base, a `read_base`; everything else has a default. A method is
    a torch module: what it learns or counts beside the network, such as a regressor, an adversary or running weights,
    are its parameters and buffers, which move to the device and are kept and resumed with the network.

    A training calls `n_outputs`, `start_from` where there is a file, the constructor and `initialise`; at the start of
    each stage `optimizers`; in each epoch `order`, and for each batch `update`, which calls `loss`; at the end
    `calibrate`, `predict` and `prediction_state`. A training that was interrupted goes on at the start of an epoch. It
    repeats the calls before the first epoch, restores the network, the method and the optimisers, and so ends with the
    same bits. For random numbers use numpy's generator in `order` and torch's global one anywhere else: both are seeded
    for each epoch.

    Parameters
    ----------
    settings
        Those of its kind, checked.
    task
        What it is made for. The networks in it must not become attributes: they would count as part of the method.

    Attributes
    ----------
    layers
        Names of the network's layers whose maps `loss` reads.
    base_layers
        Names of the base's layers whose maps `read_base` reads.
    uses_base
        Whether the base is asked at all.
    needs_group
        Whether `predict` reads the group.
    randomised
        Whether the label of an image is drawn from the probabilities that `predict` returns, once the training has
        ended; it is the most probable class otherwise.
    fixed_step
        Whether `update` and `predict` make the same torch operations at each step of a stage, on tensors that stay
        where they are, and never read a value back as `Tensor.item` does. On a GPU such a step is recorded and
        replayed, which is several times faster; what Python does beside torch, such as counting, would not be repeated.
        It is not inherited: a subclass, which may do more, says it for itself.
    """

    layers: Sequence[str] = ()
    base_layers: Sequence[str] = ()
    uses_base = False
    needs_group = False
    randomised = False
    fixed_step = False

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        cls.fixed_step = cls.__dict__.get("fixed_step", False)

    def __init__(self, settings: Any, task: Task):
        super().__init__()
        self.settings = settings
        self.n_classes, self.n_groups = task.n_classes, task.n_groups

    # what is trained, in what order

    @staticmethod
    def n_outputs(settings: Any, n_classes: int, n_groups: int) -> int:
        """Return the number of the network's logits; more than the classes where each group has a head of its own."""
        return n_classes

    @staticmethod
    def start_from(
        settings: Any, path: Path, network: Classifier, *, network_settings: Network, dataset: ImageDataset
    ) -> None:
        """Give a new network the weights in a file, from which it is trained, and log what was done beside that.

        A head for other classes stays as it was drawn. It is called where the configuration names a file, before the
        constructor.
        """
        for note in load_weights(path, network, network_settings, new_head=True):
            log(f"{path}: {note}")

    def initialise(self, network: Classifier, base: Classifier | None) -> None:
        """Change the network's initial weights, such as to those of the base.

        Both are on the CPU.
        """

    def stages(self, epochs: int) -> list[Stage]:
        """Divide `epochs` epochs into stages; none where nothing is trained."""
        return [Stage("train", epochs)]

    def order(self, label: NDArray, group: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the positions (m,) of the images that an epoch visits, of labels and groups (n,)."""
        return epoch_order(self.settings.sampling, label, group, rng)

    def optimizers(self, stage: str, network: Classifier, make: MakeOptimizer) -> dict[str, torch.optim.Optimizer]:
        """Make the optimisers of a stage, by name: one for the network's parameters and the method's together.

        The schedule multiplies the learning rate that each has here. Weights that a stage freezes are those of no
        optimiser. This is called anew where a training is resumed within the stage, so it must not change a weight.
        """
        return {"adam": make([*network.parameters(), *self.parameters()])}

    # a step

    def read_base(self, output: Output) -> dict[str, Tensor]:
        """Reduce what the base says of some images to what `loss` needs of it: tensors (B, ...) by name.

        What it says of an image may depend on that image alone, and on nothing that changes during the training: the
        engine may compute it once for all epochs.
        """
        return {}

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Name each term of the loss, a scalar tensor each; the step minimises their sum.

        The terms are columns of history.csv; the sum is its column `loss`, so that no term may have that name.
        """
        raise NotImplementedError

    def update(
        self, network: Classifier, batch: Batch, optimizers: dict[str, torch.optim.Optimizer], stage: str
    ) -> Step:
        """Make one step: forward, backward, and all optimisers. Methods that combine gradients by hand override it."""
        output = network(batch.images, self.layers)
        terms = self.loss(batch, output, stage)
        loss = reduce(add, terms.values())
        for optimizer in optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
        return Step(output, loss, terms)

    def use_printed_formula(self) -> None:
        """Compute the loss as it is printed, without any rearrangement: for the reference engine."""

    # prediction

    def calibrate(self, outputs: Iterator[tuple[Output, Tensor, Tensor]]) -> None:
        """Fit what `predict` needs on the validation split: batches of output, label (B,) and group (B,).

        It is called after the last epoch where the settings say `needs_validation`, with the network in evaluation
        mode. It never sees a training or a test image.
        """

    def predict(self, output: Output, group: Tensor) -> Tensor:
        """Return the probabilities (B, n_classes) of the classes; `group` (B,) is there for methods that need it.

        It is called during the training as well, for the accuracies in the history, and so before `calibrate`.
        """
        return output.logits.softmax(1)

    @staticmethod
    def representation(settings: Any, output: Output, group: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Return what the classifier sees of images, (B, D): the features before the network's head.

        Whether this tells the groups apart is what scripts/probe_features.py asks. `state` is the `prediction_state`.
        """
        return output.features

    def prediction_state(self) -> dict[str, Tensor]:
        """Return what `predict` needs beside the network's weights, by name.

        It is saved in weights.safetensors; `fairdistill.networks.load_method` reads it. The names are those of the
        method's own parameters and buffers: an exported model loads them into a method that was trained on nothing.
        """
        return {}


def method_class(settings: Settings) -> type[Method]:
    """Return the class that `settings` names."""
    module, name = settings.implementation.split(":")
    return getattr(import_module(module), name)


def pair_layers(settings: Settings, task: Task) -> dict[str, str]:
    """Return the layers of the network that a method reads, each with that of the base, as its settings pair them.

    Raises
    ------
    UserError
        The settings name a layer that one of the two lacks. A configuration is checked for this when it is read, and a
        training that is started by hand here.
    """
    try:
        return settings.pair_layers(task.network.layers, task.base.layers if task.base else ())
    except UserError as error:
        raise UserError(f"method {settings.kind}: {settings.layer_setting} {error}") from None


class LayerMethod(Method):
    """A method that compares the maps of layers with those of the base's, as its settings pair them.

    Layers whose map has one pixel, in either network, are left out.

    Attributes
    ----------
    pairs
        The layers of the network that are compared, each with that of the base.
    shapes
        (K, H, W), of the maps of these layers of the network, by name.

    Raises
    ------
    UserError
        As `pair_layers`; or the settings name a layer whose map has one pixel, or there are no others.
    """

    uses_base = True

    def __init__(self, settings: LayerDistillation, task: Task):
        super().__init__(settings, task)
        pairs = pair_layers(settings, task)
        assert task.base is not None, "the training loop refuses a training without its base"
        self.shapes = task.network.map_shapes(task.image_size, list(pairs))
        base_shapes = task.base.map_shapes(task.image_size, list(pairs.values()))
        single = [a for a, b in pairs.items() if 1 in (self.shapes[a][1:].numel(), base_shapes[b][1:].numel())]
        try:
            self.pairs = settings.without_single(pairs, single, image_size=task.image_size)
        except UserError as error:
            raise UserError(f"method {settings.kind}: layers {error}") from None
        self.layers, self.base_layers = list(self.pairs), list(self.pairs.values())
