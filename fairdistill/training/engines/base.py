"""What the engines have in common."""

from collections.abc import Iterator

import torch
from torch import Tensor

from fairdistill.data import ImageDataset

# images at a time where no gradient is needed
INFERENCE_BATCH = 125


class Images:
    """One split's images.

    Attributes
    ----------
    rows
        (n,) where in `dataset.images` they are.
    label, group
        (n,) int64 tensors on `device`.
    size
        The edge of the images that come out, in pixels.
    """

    def __init__(self, dataset: ImageDataset, split: str, device: torch.device):
        self.rows, label, group = dataset.split(split)
        self.label, self.group = torch.from_numpy(label).to(device), torch.from_numpy(group).to(device)
        self.size = dataset.images.shape[1]
        self.device = device

    def __len__(self) -> int:
        return len(self.rows)

    def batches(
        self, order: Tensor, flips: Tensor | None, batch_size: int
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """Go through `order` in batches, the last may be smaller.

        Yields
        ------
        positions, flip, images
            (B,) of `order`, (B,) of `flips`, and normalised images (B, 3, H, W), those with `flip` mirrored.
        """
        raise NotImplementedError
