"""Networks that return their penultimate features beside their logits."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fairdistill.networks.preprocess import Preprocess
from fairdistill.settings.networks import Network


class Output(NamedTuple):
    """What a classifier says of a batch, in float32.

    Attributes
    ----------
    features
        (B, D), penultimate.
    logits
        (B, C).
    maps
        The maps (B, K, H, W) of the layers that were asked for, by name.
    """

    features: Tensor
    logits: Tensor
    maps: dict[str, Tensor]


class Classifier(nn.Module):
    """A network cut in two: `body` maps images (B, 3, H, W) to features (B, D), `head` those to logits (B, C).

    Attributes
    ----------
    layers
        Names of the layers of the body whose maps a method compares, from the first to the last.
    last_map
        Name of the layer of the body that gives the last map; the empty name, that of the body itself, where there is
        no map, so that the features stand for it.
    width
        D.
    preprocess
        What images pass before the body; None where the body takes them as they are.
    bf16
        Whether forward and backward passes are computed in bfloat16 while the network trains.
    bf16_evaluation
        The same of evaluation mode, in which it computes in float32 unless it is the base of a training in bfloat16.
    """

    def __init__(
        self,
        body: nn.Module,
        head: nn.Linear,
        layers: Sequence[str] = (),
        last_map: str = "",
        *,
        channels_last: bool = False,
    ):
        super().__init__()
        self.layers = tuple(layers)
        self.last_map = last_map
        # whether the body's layers give maps as (B, H, W, K)
        self.channels_last = channels_last
        self.preprocess: Preprocess | None = None
        self.body = body
        self.head = head
        self.width = head.in_features
        self.bf16 = False
        self.bf16_evaluation = False

    def forward(self, images: Tensor, layers: Sequence[str] = ()) -> Output:
        """Classify images, and return the maps of the named `layers` of the body beside the logits."""
        maps: dict[str, Tensor] = {}
        keep = _keep_channels_first if self.channels_last else _keep
        hooks = [self.body.get_submodule(name).register_forward_hook(partial(keep, maps, name)) for name in layers]
        bf16 = self.bf16 if self.training else self.bf16_evaluation
        try:
            with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
                features = self.body(images if self.preprocess is None else self.preprocess(images))
                logits = self.head(features)
        finally:
            for hook in hooks:
                hook.remove()
        return Output(features.float(), logits.float(), {name: maps[name].float() for name in layers})

    def map_shapes(self, image_size: int, layers: Sequence[str]) -> dict[str, torch.Size]:
        """Return the shapes (K, H, W) of the maps of the named layers of an image of so many pixels' edge."""
        return {name: values.shape[1:] for name, values in self._maps_of_ramp(image_size, layers).items()}

    def is_rectified(self, image_size: int, layer: str) -> bool:
        """Return whether a layer puts out no negative numbers, as one that ends with a ReLU."""
        return bool((self._maps_of_ramp(image_size, [layer])[layer] >= 0).all())

    @contextmanager
    def evaluating_in(self, *, bf16: bool) -> Iterator[None]:
        """In evaluation mode compute in bfloat16, or not, as long as this lasts."""
        before, self.bf16_evaluation = self.bf16_evaluation, bf16
        try:
            yield
        finally:
            self.bf16_evaluation = before

    @torch.no_grad()
    def _maps_of_ramp(self, image_size: int, layers: Sequence[str]) -> dict[str, Tensor]:
        """The maps (1, K, H, W) of an image whose values rise from -2 to 2, of so many pixels' edge."""
        weight, training = self.head.weight, self.training
        values = torch.linspace(-2, 2, 3 * image_size**2, dtype=weight.dtype, device=weight.device)
        # in evaluation mode, so that batch norms take no notice of the image
        output = self.eval()(values.view(1, 3, image_size, image_size), layers)
        self.train(training)
        return output.maps


def _keep(maps: dict[str, Tensor], name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
    maps[name] = output


def _keep_channels_first(maps: dict[str, Tensor], name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
    maps[name] = output.permute(0, 3, 1, 2)


def build_network(settings: Network, n_outputs: int) -> Classifier:
    """Make an untrained classifier with `n_outputs` logits; its weights come from torch's global random state."""
    body, head = import_module(settings.implementation).build(settings, n_outputs)
    layout = settings.layout
    return Classifier(body, head, layout.layers, layout.last_map, channels_last=layout.channels_last)


def freeze(network: Classifier) -> Classifier:
    """Put a trained network into evaluation mode, without gradients."""
    return network.eval().requires_grad_(False)
