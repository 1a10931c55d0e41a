"""What the pipeline knows of a network without building it."""

from typing import NamedTuple

SMALLEST = 8  # pixels, of a data set's images


class Layout(NamedTuple):
    """Where the parts of a network are, and which images it takes.

    Attributes
    ----------
    head
        Name of the linear layer, under which the weights of a network of this kind are saved elsewhere, whose input is
        the features.
    layers
        Names of the layers whose maps a method can read, from the first to the last; none where a network has no maps,
        as one that cuts images into tokens.
    last_map
        Name of the layer of the last map, which need not be one of `layers`; the empty name, that of the body itself,
        where there is no map, so that the features stand for it.
    smallest
        The edge of the smallest images that it takes, in pixels; data sets have none below the default.
    takes
        The edge of the only images that it takes, in pixels; None where it takes larger ones, too.
    channels_last
        Whether the layers give maps as (B, H, W, K), and not as (B, K, H, W).
    """

    head: str
    layers: tuple[str, ...]
    last_map: str
    smallest: int = SMALLEST
    takes: int | None = None
    channels_last: bool = False
