"""The fast engine: nothing is computed twice, and all of it in whole batches, in the layout that the hardware likes.

It differs from `fairdistill.training.engines.reference` by rounding alone where the precision is fp32.
"""

import mmap
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fairdistill.data import ImageDataset
from fairdistill.methods.base import Method
from fairdistill.networks import Classifier, freeze
from fairdistill.runtime.progress import log
from fairdistill.training.engines import base as base_engine
from fairdistill.training.engines import ways
from fairdistill.training.engines.adam import ChannelsLastAdam, RecordableAdam
from fairdistill.training.engines.convolution import crop_kernels, use_fast_convolutions
from fairdistill.training.engines.graphs import RecordedStep
from fairdistill.training.engines.memory import keep_freed_memory
from fairdistill.training.engines.normalisation import use_fast_batch_norm
from fairdistill.training.engines.safe_convolution import use_safe_convolutions
from fairdistill.training.engines.shuffle import use_channels_last_shuffle

# Measured on an H100: a recorded step of resnet18 is 2.8 times as fast at 32 px and 3.7 times at 64 px, one of
# shufflenet_v2_x1_0 1.2 and 1.9 times.
FASTER_ON_A_GPU = ("resnet18", "shufflenet_v2_x1_0")


def bf16_pays(device: torch.device, kind: str) -> bool:
    """Whether a network of a kind trains faster in bfloat16, on hardware that has it.

    On a CPU the answer is one for all kinds: whether convolutions are faster in it. Of 15 of torchvision's, on an AMD
    Zen 5, 14 trained faster in it, up to 3.1 times (swin_t), and mobilenet_v3_small slower (0.93 times).
    """
    return ways.bf16_pays(ways.processor()) if device.type == "cpu" else kind in FASTER_ON_A_GPU


def convolutions(device: torch.device, precision: str) -> str | None:
    """The kind of processor by whose measurements the convolutions are computed, see `ways`; None on a GPU."""
    return ways.measured(ways.processor(), precision) if device.type == "cpu" else None


class Images(base_engine.Images):
    """Images on the device: decoded once, normalised, cropped and flipped as whole batches."""

    def __init__(self, dataset: ImageDataset, split: str, device: torch.device):
        super().__init__(dataset, split, device)
        # numpy's types do not know that it may be a mapped file
        self.mapped: object = dataset.images.base
        # the images, and where among them those of the split are
        self.pixels, self.places = torch.from_numpy(dataset.images), torch.from_numpy(self.rows)
        if device.type != "cpu":
            self.pixels = self.pixels[self.places].to(device)
            self.places = torch.arange(len(self), device=device)
        mean, std = (torch.tensor(v, dtype=torch.float32, device=device) for v in (dataset.mean, dataset.std))
        # of the channels of a row of pixels: operations on the three of a pixel each are several times as slow
        self.scale, self.shift = (1 / (255 * std)).repeat(self.size), (-mean / std).repeat(self.size)

    def batch(self, positions: Tensor, flip: Tensor | None = None, offsets: Tensor | None = None) -> Tensor:
        """Normalised images (B, 3, size, size), channels last in memory, as `batches` has them."""
        pixels = self._of_size(self.places[positions], offsets)
        if flip is not None:
            pixels = torch.where(flip[:, None, None, None], pixels.flip(2), pixels)
        rows = pixels.flatten(2).float().mul_(self.scale).add_(self.shift)
        return rows.unflatten(2, (self.size, 3)).permute(0, 3, 1, 2)

    def batches(
        self, order: Tensor, flips: Tensor | None, batch_size: int, offsets: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        for start in range(0, len(order), batch_size):
            span = slice(start, start + batch_size)
            flip, offset = (values[span] if values is not None else None for values in (flips, offsets))
            yield order[span], flip, self.batch(order[span], flip, offset)
            self._release()

    def _of_size(self, rows: Tensor, offsets: Tensor | None) -> Tensor:
        """Pixels (B, size, size, 3), uint8."""
        if not self.margin:
            return self.pixels[rows]
        if offsets is not None:
            down, right = (offsets[:, None, axis] + torch.arange(self.size, device=self.device) for axis in (0, 1))
            return self.pixels[rows[:, None, None], down[:, :, None], right[:, None, :]]
        pixels = self.pixels[rows]
        if self.whole:
            images = (Image.fromarray(image) for image in pixels.cpu().numpy())
            edges = self.size, self.size
            small = np.stack([np.asarray(image.resize(edges, Image.Resampling.BILINEAR)) for image in images])
            return torch.from_numpy(small).to(self.device)
        edge = round(self.margin / 2)
        return pixels[:, edge : edge + self.size, edge : edge + self.size]

    def _release(self) -> None:
        """Drop the mapped pages from resident memory; they stay in the kernel's page cache."""
        if isinstance(self.mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED)


def prepare(network: Classifier, method: Method, device: torch.device, size: int) -> tuple[Classifier, Method]:
    """Return both on `device`; the network in channels-last layout, and fitted to it and to the device.

    On a CPU it takes no images of another size after that; its state dict does.
    """
    network = _fast(network, device)
    if device.type == "cpu":
        crop_kernels(network, next(network.parameters()).new_zeros(1, 3, size, size))
    return network, method.to(device)


def optimizer(
    weights: Iterable[Tensor], device: torch.device, *, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return Adam, fused."""
    options = {"lr": learning_rate, "weight_decay": weight_decay}
    if device.type == "cpu":
        return ChannelsLastAdam(weights, **options)
    return RecordableAdam(weights, device, **options)


def record(step: Callable[..., dict[str, Tensor]], device: torch.device) -> Callable[..., dict[str, Tensor]]:
    """Return `step`, on a GPU as one CUDA graph."""
    return RecordedStep(step) if device.type == "cuda" else step


def _fast(network: Classifier, device: torch.device) -> Classifier:
    use_channels_last_shuffle(network)
    if device.type == "cpu":
        keep_freed_memory()
        use_fast_convolutions(network)
        # those that are left
        use_safe_convolutions(network)
        use_fast_batch_norm(network)
    # torch's types do not know that a network's layout can be set
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


class BaseOutputs:
    """What a method reads of the frozen base's outputs for each training image in both orientations, computed once.

    A network in evaluation mode says the same of an image whatever its batch; with flips as the only augmentation there
    are two variants of each image, so nothing is approximated. Where images are cropped at random places, or all of it
    would not fit into `CACHE` bytes, the base is asked anew for each batch.

    In a training in bfloat16 the base computes in it, as it would beside the student, and what is read of it is kept
    so. Features and logits of a convolutional network are in bfloat16 already and lose nothing; what a method makes of
    maps, as attention, is rounded.
    """

    # room for flattened maps: 4096 numbers of ShuffleNetV2 in both orientations of UTKFace at 64 px are 0.5 to 0.7 GB
    CACHE = 2**30

    def __init__(self, base: Classifier, method: Method, images: Images, *, flip: bool, bf16: bool = False):
        self.base: Classifier | None = freeze(_fast(base, images.device))
        self.method, self.bf16 = method, bf16
        kept_as = torch.bfloat16 if bf16 else torch.float32
        self.kept: dict[str, Tensor] = {}
        if images.margin:
            log("the training images are cropped at random places: asking the base anew for each batch")
            return
        order = torch.arange(len(images), device=images.device)
        variants = [False, True] if flip else [False]
        first = self._read(self.base, images.batch(order[:1]))
        numbers = len(variants) * len(images) * sum(values.numel() for values in first.values())
        if numbers * kept_as.itemsize > self.CACHE:
            log("the base's outputs do not fit into memory: asking it anew for each batch")
            return
        log("computing the base's outputs on the training images, once for all epochs")
        shape = len(variants), len(images)
        self.kept = {name: values.new_empty(*shape, *values.shape[1:], dtype=kept_as) for name, values in first.items()}
        for variant, mirrored in enumerate(variants):
            flips = torch.full_like(order, mirrored, dtype=torch.bool)
            for positions, _, batch in images.batches(order, flips, images.inference_batch):
                for name, values in self._read(self.base, batch).items():
                    self.kept[name][variant, positions] = values.to(kept_as)
        # it is not asked again, and its memory may serve the training
        self.base = None

    def __call__(self, positions: Tensor, flip: Tensor | None, images: Tensor) -> dict[str, Tensor]:
        if self.base is not None:
            return self._read(self.base, images)
        variant = flip.long() if flip is not None else 0
        return {name: values[variant, positions].float() for name, values in self.kept.items()}

    @torch.no_grad()
    def _read(self, base: Classifier, images: Tensor) -> dict[str, Tensor]:
        with base.evaluating_in(bf16=self.bf16):
            return self.method.read_base(base(images, self.method.base_layers))
