"""What images pass before a network that was trained elsewhere: its own size and normalisation in place of ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from fairdistill.runtime.errors import UserError
from fairdistill.settings.preprocess import Preprocess as Settings
from fairdistill.settings.reading import read_settings


class Preprocess(nn.Module):
    """Takes images as the pipeline normalises them, and returns them as the network behind it expects them.

    The data set's normalisation is undone, the image resized and cropped at its centre, and the network's normalisation
    applied. Resizing is that of Pillow, as torchvision's transforms resize pictures, without its rounding to whole
    brightnesses; of bicubic it clips those beyond the scale once, and Pillow after each of its two passes, which differ
    at hard edges. On tensors of floats torchvision's own is the same with bilinear alone: its bicubic leaves the scale,
    and its nearest takes other pixels.

    Parameters
    ----------
    settings
        What the network expects.
    data_mean, data_std
        (3,) by which the data set's images, on the scale 0 to 1, are normalised.
    """

    undo_scale: Tensor
    undo_shift: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, settings: Settings, *, data_mean: Sequence[float], data_std: Sequence[float]):
        super().__init__()
        self.settings = settings
        self.data_mean, self.data_std = list(data_mean), list(data_std)
        buffers = {
            "undo_scale": torch.tensor(self.data_std),
            "undo_shift": torch.tensor(self.data_mean),
            "scale": 1 / torch.tensor(settings.std),
            "shift": -torch.tensor(settings.mean) / torch.tensor(settings.std),
        }
        for name, values in buffers.items():
            # no weights: a checkpoint has them as `to_json`
            self.register_buffer(name, values[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return images (B, 3, h, h) of images (B, 3, H, W), where h is the crop or else the size."""
        pixels = images * self.undo_scale + self.undo_shift
        size = self.settings.size or pixels.shape[-1]
        if pixels.shape[2:] != (size, size):
            pixels = _resized(pixels, size, self.settings.interpolation)
        if crop := self.settings.crop:
            edge = round((size - crop) / 2)
            pixels = pixels[..., edge : edge + crop, edge : edge + crop]
        return pixels * self.scale + self.shift

    def to_json(self) -> dict:
        """Return what `from_json` makes it from anew."""
        return {"expects": self.settings.to_json(), "data_mean": self.data_mean, "data_std": self.data_std}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Preprocess":
        """Make it from what `to_json` returned; a ValueError, LookupError or UserError says what is wrong with that."""
        settings = read_settings(Settings, stored["expects"], where="its preprocess")
        sizes = [len(stored[name]) for name in ("data_mean", "data_std")]
        if sizes != [3, 3]:
            raise UserError("its preprocess does not have the mean and standard deviation of three channels")
        return cls(settings, data_mean=stored["data_mean"], data_std=stored["data_std"])


def _resized(pixels: Tensor, size: int, interpolation: str) -> Tensor:
    if interpolation == "nearest":
        return interpolate(pixels, size=(size, size), mode="nearest-exact")
    resized = interpolate(pixels, size=(size, size), mode=interpolation, antialias=True, align_corners=False)
    # a cubic curve swings beyond the brightest and the darkest pixel
    return resized.clamp(0, 1)
