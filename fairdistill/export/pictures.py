"""From a picture, as people have them, to what a network sees."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fairdistill.runtime.pictures import decode
from fairdistill.settings.checkpoints import ModelFacts


def read_picture(path: Path, facts: ModelFacts) -> NDArray[np.uint8]:
    """Return what a network sees of an image file, (size, size, 3).

    Raises
    ------
    OSError
        The file is missing, or cannot be read.
    UndecodableError
        It is no picture, or a damaged one.
    """
    return crop(decode(path.read_bytes(), facts.image_size, facts.framing), facts)


def crop(pixels: NDArray[np.uint8], facts: ModelFacts) -> NDArray[np.uint8]:
    """Return what a network sees of a square in evaluation, (size, size, 3), as the training's engines crop it."""
    size = facts.network_sees
    if facts.crop is None or size == len(pixels):
        return pixels
    if facts.crop_test == "whole":
        return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
    edge = round((len(pixels) - size) / 2)
    return pixels[edge : edge + size, edge : edge + size]
