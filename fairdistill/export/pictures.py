"""From a picture, as people have them, to what a network sees."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fairdistill.settings.checkpoints import ModelFacts

WHITE = (255, 255, 255, 255)
# per sample, of modes with 16 bits
SIXTEEN_BITS = 65535


def read_picture(path: Path, facts: ModelFacts) -> NDArray[np.uint8]:
    """Return what a network sees of an image file, (size, size, 3).

    Raises
    ------
    Exception
        The file is missing, or no image that Pillow can decode: its decoders raise errors of many kinds.
    """
    with Image.open(path) as image:
        return crop(square(to_rgb(image), facts), facts)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the first frame of an image in colour and upright, as its EXIF tag says; what is transparent is white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        # Pillow would cut values off at 255
        values = np.asarray(image, dtype=np.float64)
        image = Image.fromarray((values.clip(0, SIXTEEN_BITS) / SIXTEEN_BITS * 255).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    return image.convert("RGB")


def square(image: Image.Image, facts: ModelFacts) -> NDArray[np.uint8]:
    """Return a colour image as a square of `facts.image_size` pixels, (image_size, image_size, 3)."""
    if facts.framing == "centre":
        edge = min(image.size)
        left, top = ((length - edge) // 2 for length in image.size)
        image = image.crop((left, top, left + edge, top + edge))
    return np.asarray(image.resize((facts.image_size, facts.image_size), Image.Resampling.BILINEAR))


def crop(pixels: NDArray[np.uint8], facts: ModelFacts) -> NDArray[np.uint8]:
    """Return what a network sees of a square in evaluation, (size, size, 3), as the training's engines crop it."""
    size = facts.network_sees
    if facts.crop is None or size == len(pixels):
        return pixels
    if facts.crop_test == "whole":
        return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
    edge = round((len(pixels) - size) / 2)
    return pixels[edge : edge + size, edge : edge + size]
