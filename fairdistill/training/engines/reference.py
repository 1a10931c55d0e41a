"""The plain engine: what a straightforward script does, step by step. Slow; the fast engine's oracle and baseline.

Images pass one by one through PIL transforms and a DataLoader, the base sees each batch anew, and each loss is computed
as it is printed. Only the decoding is left out: images come as arrays, as torchvision's CIFAR-10 keeps them.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, ToTensor
from torchvision.transforms.functional import center_crop, crop, hflip, resize

from fairdistill.data import ImageDataset
from fairdistill.methods.base import Method
from fairdistill.networks import Classifier, freeze
from fairdistill.training.engines import base
from fairdistill.training.engines.safe_convolution import use_safe_convolutions

WORKERS = 2


def bf16_pays(device: torch.device, kind: str) -> bool:
    """Never asked for: what is compared with this engine is to be compared with full precision."""
    return False


def convolutions(device: torch.device, precision: str) -> None:
    """None: torch chooses how they are computed."""


class Images(base.Images, Dataset[tuple[int, bool, Tensor]]):
    """Images behind a DataLoader."""

    def __init__(self, dataset: ImageDataset, split: str, device: torch.device):
        super().__init__(dataset, split, device)
        self.pixels = dataset.images
        self.transform = Compose([ToTensor(), Normalize(dataset.mean.tolist(), dataset.std.tolist())])

    def __getitem__(self, key: tuple[int, bool, list[int] | None]) -> tuple[int, bool, Tensor]:
        position, flip, offset = key
        image = Image.fromarray(self.pixels[self.rows[position]])
        if offset is not None:
            image = crop(image, *offset, self.size, self.size)
        elif self.margin:
            image = resize(image, [self.size, self.size]) if self.whole else center_crop(image, [self.size, self.size])
        return position, flip, self.transform(hflip(image) if flip else image)

    def batches(
        self, order: Tensor, flips: Tensor | None, batch_size: int, offsets: Tensor | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        mirrored = [False] * len(order) if flips is None else flips.tolist()
        corners = [None] * len(order) if offsets is None else offsets.tolist()
        keys = list(zip(order.tolist(), mirrored, corners, strict=True))
        spans = [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]
        # a generator of its own: the workers' seed is not drawn from the random numbers that the method may use
        for batch in DataLoader(self, batch_sampler=spans, num_workers=WORKERS, generator=torch.Generator()):
            yield tuple(column.to(self.device) for column in batch)


def prepare(network: Classifier, method: Method, device: torch.device, size: int) -> tuple[Classifier, Method]:
    """Return both on `device`, the method's loss as it is printed."""
    method.use_printed_formula()
    if device.type == "cpu":
        use_safe_convolutions(network)
    return network.to(device), method.to(device)


def optimizer(
    weights: Iterable[Tensor], device: torch.device, *, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return Adam, fused."""
    return torch.optim.Adam(weights, lr=learning_rate, weight_decay=weight_decay, fused=True)


def record(step: Callable[..., dict[str, Tensor]], device: torch.device) -> Callable[..., dict[str, Tensor]]:
    """Return `step` as it is."""
    return step


class BaseOutputs:
    """What a method reads of the outputs of a frozen base, which is asked anew for each batch."""

    def __init__(self, base: Classifier, method: Method, images: Images, *, flip: bool, bf16: bool = False):
        self.base, self.method, self.bf16 = freeze(base).to(images.device), method, bf16

    def __call__(self, positions: Tensor, flip: Tensor | None, images: Tensor) -> dict[str, Tensor]:
        with torch.no_grad(), self.base.evaluating_in(bf16=self.bf16):
            return self.method.read_base(self.base(images, self.method.base_layers))
