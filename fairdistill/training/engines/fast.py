"""The fast engine: nothing is computed twice, and all of it in whole batches, in the layout that the hardware likes.

It differs from `fairdistill.training.engines.reference` by rounding alone where the precision is fp32.
"""

import mmap
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from fairdistill.data import ImageDataset
from fairdistill.methods.base import Method
from fairdistill.networks import Classifier, Output, freeze
from fairdistill.runtime.progress import log
from fairdistill.training.engines import base
from fairdistill.training.engines.adam import ChannelsLastAdam
from fairdistill.training.engines.convolution import use_small_map_convolutions
from fairdistill.training.engines.memory import keep_freed_memory
from fairdistill.training.engines.shuffle import use_channels_last_shuffle

# measured on CPUs: bfloat16 speeds dense convolutions up and halves the speed of depthwise ones
BF16_PAYS = {("cpu", "resnet18"), ("cuda", "resnet18"), ("cuda", "shufflenet_v2_x1_0")}


class Images(base.Images):
    """Pictures on the device: decoded once, normalised and flipped as whole batches."""

    def __init__(self, dataset: ImageDataset, split: str, device: torch.device):
        super().__init__(dataset, split, device)
        self.mapped = dataset.images.base
        self.pixels, self.rows = torch.from_numpy(dataset.images), torch.from_numpy(self.rows)
        if device.type != "cpu":
            self.pixels = self.pixels[self.rows].to(device)
            self.rows = torch.arange(len(self), device=device)
        mean, std = (torch.tensor(v, dtype=torch.float32, device=device) for v in (dataset.mean, dataset.std))
        self.scale, self.shift = 1 / (255 * std), -mean / std

    def batch(self, positions: Tensor, flip: Tensor | None = None) -> Tensor:
        """Normalised images (B, 3, H, W), channels last in memory; those with `flip` (B,) mirrored."""
        pixels = self.pixels[self.rows[positions]]
        if flip is not None:
            pixels = torch.where(flip[:, None, None, None], pixels.flip(2), pixels)
        return (pixels * self.scale + self.shift).permute(0, 3, 1, 2)

    def batches(
        self, order: Tensor, flips: Tensor | None, batch_size: int
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        for start in range(0, len(order), batch_size):
            span = slice(start, start + batch_size)
            flip = flips[span] if flips is not None else None
            yield order[span], flip, self.batch(order[span], flip)
            self._release()

    def _release(self) -> None:
        """Count no longer as this process's memory what it has read of the file; the kernel keeps it at hand."""
        if isinstance(self.mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED)


def prepare(model: Classifier, objective: Method, device: torch.device) -> tuple[Classifier, Method]:
    """Both on `device`; the network in channels-last layout and, on a CPU, fitted to it."""
    return _fast(model, device), objective.to(device)


def optimizer(
    weights: Iterable[Tensor], device: torch.device, *, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Adam, fused."""
    options = {"lr": learning_rate, "weight_decay": weight_decay}
    if device.type == "cpu":
        return ChannelsLastAdam(weights, **options)
    return torch.optim.Adam(weights, fused=True, **options)


def _fast(model: Classifier, device: torch.device) -> Classifier:
    if device.type == "cpu":
        keep_freed_memory()
        use_small_map_convolutions(model)
        use_channels_last_shuffle(model)
    return model.to(device, memory_format=torch.channels_last)


class TeacherOutputs:
    """A frozen teacher's view of each training image in both orientations, computed once.

    A teacher in evaluation mode gives an image the same features whatever its batch; with flips as the only
    augmentation there are two variants of each image, so nothing is approximated.
    """

    def __init__(self, teacher: Classifier, images: Images, *, flip: bool):
        log("computing the teacher's features of the training images")
        teacher = freeze(_fast(teacher, images.device))
        order = torch.arange(len(images), device=images.device)
        variants = [False, True] if flip else [False]
        shape, options = (len(variants), len(images)), {"device": images.device}
        self.features = torch.empty(*shape, teacher.width, **options)
        self.logits = torch.empty(*shape, teacher.head.out_features, **options)
        for variant, mirrored in enumerate(variants):
            flips = torch.full_like(order, mirrored, dtype=torch.bool)
            with torch.no_grad():
                for positions, _, batch in images.batches(order, flips, base.INFERENCE_BATCH):
                    self.features[variant, positions], self.logits[variant, positions] = teacher(batch)

    def __call__(self, positions: Tensor, flip: Tensor | None, images: Tensor) -> Output:
        variant = flip.long() if flip is not None else 0
        return Output(self.features[variant, positions], self.logits[variant, positions])
