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
    one_pixel
        For each of `layers`, the edge of the largest images of which its map has one pixel, in pixels; 0 where the
        network takes none so small.
    """

    head: str
    layers: tuple[str, ...]
    last_map: str
    smallest: int = SMALLEST
    takes: int | None = None
    channels_last: bool = False
    one_pixel: tuple[int, ...] = ()

    def of_one_pixel(self, image_size: int) -> set[str]:
        """The layers whose maps of images of `image_size` pixels' edge have one pixel."""
        return {layer for layer, edge in zip(self.layers, self.one_pixel, strict=True) if image_size <= edge}
