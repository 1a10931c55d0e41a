"""What the engines have in common."""

from collections.abc import Iterator

import torch
from torch import Tensor

from fairdistill.data import ImageDataset

# images at a time where no gradient is needed: so many at least, and as many as have these pixels together, which keep
# the processor busy
INFERENCE_BATCH, INFERENCE_PIXELS, GPU_INFERENCE_PIXELS = 125, 2**19, 2**20


class Images:
    """One split's images, cropped where the data set says so: `crop` and `crop_test` of its settings.

    Attributes
    ----------
    rows
        (n,) where in `dataset.images` they are.
    label, group
        (n,) int64 tensors on `device`.
    size
        The edge of the images that come out, in pixels.
    margin
        How many pixels the images of the data set have more than those; 0 where nothing is cropped.
    whole
        Whether an image that is not cropped at a random place is shrunk in place of being cropped at its centre.
    inference_batch
        How many to classify at a time where no gradient is needed.
    """

    def __init__(self, dataset: ImageDataset, split: str, device: torch.device):
        self.rows, label, group = dataset.split(split)
        self.label, self.group = torch.from_numpy(label).to(device), torch.from_numpy(group).to(device)
        self.size = dataset.info.get("crop") or dataset.images.shape[1]
        self.margin = dataset.images.shape[1] - self.size
        self.whole = dataset.info.get("crop_test") == "whole"
        self.device = device
        pixels = GPU_INFERENCE_PIXELS if device.type == "cuda" else INFERENCE_PIXELS
        self.inference_batch = max(INFERENCE_BATCH, pixels // self.size**2)

    def __len__(self) -> int:
        return len(self.rows)

    def batches(
        self, order: Tensor, flips: Tensor | None, batch_size: int, offsets: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """Go through `order` in batches, the last may be smaller.

        Parameters
        ----------
        order, flips, offsets
            (n,) positions; (n,) whether to mirror each, after it was cropped; (n, 2) int64, the row and the column,
            from 0 to `margin`, of the pixel where each crop begins. Without offsets the images are as in evaluation.

        Yields
        ------
        positions, flip, images
            (B,) of `order`, (B,) of `flips`, and normalised images (B, 3, size, size), those with `flip` mirrored.
        """
        raise NotImplementedError
