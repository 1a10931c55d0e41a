"""The plain engine: what a straightforward script does, step by step. Slow; the fast engine's oracle and baseline.

Pictures pass one by one through PIL transforms and a DataLoader, the teacher sees each batch anew, and the MFD loss
is written as loops over classes and groups. Only the decoding is left out: pictures come as arrays, as torchvision's
CIFAR-10 keeps them.
"""

from collections.abc import Iterable, Iterator

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, Normalize, ToTensor
from torchvision.transforms.functional import hflip

from fairdistill.data import ImageDataset
from fairdistill.methods.base import Method
from fairdistill.methods.mfd import MFD
from fairdistill.networks import Classifier, Output, freeze
from fairdistill.training.engines import base

WORKERS = 2
BF16_PAYS = ()


class Images(base.Images):
    """Pictures behind a DataLoader."""

    def __init__(self, dataset: ImageDataset, split: str, device: torch.device):
        super().__init__(dataset, split, device)
        self.pixels = dataset.images
        self.transform = Compose([ToTensor(), Normalize(dataset.mean.tolist(), dataset.std.tolist())])

    def __getitem__(self, key: tuple[int, bool]) -> tuple[int, bool, Tensor]:
        position, flip = key
        picture = Image.fromarray(self.pixels[self.rows[position]])
        return position, flip, self.transform(hflip(picture) if flip else picture)

    def batches(
        self, order: Tensor, flips: Tensor | None, batch_size: int
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        keys = list(zip(order.tolist(), [False] * len(order) if flips is None else flips.tolist(), strict=True))
        spans = [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]
        for batch in DataLoader(self, batch_sampler=spans, num_workers=WORKERS):
            yield tuple(column.to(self.device) for column in batch)


def prepare(model: Classifier, objective: Method, device: torch.device) -> tuple[Classifier, Method]:
    """Both on `device`, the MFD loss as loops."""
    if isinstance(objective, MFD):
        objective.discrepancy = mfd_loss_by_cells
    return model.to(device), objective.to(device)


def optimizer(
    weights: Iterable[Tensor], device: torch.device, *, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Adam, fused."""
    return torch.optim.Adam(weights, lr=learning_rate, weight_decay=weight_decay, fused=True)


class TeacherOutputs:
    """A frozen teacher, asked anew for each batch."""

    def __init__(self, teacher: Classifier, images: Images, *, flip: bool):
        self.teacher = freeze(teacher).to(images.device)

    def __call__(self, positions: Tensor, flip: Tensor | None, images: Tensor) -> Output:
        with torch.no_grad():
            return self.teacher(images)


def mfd_loss_by_cells(
    teacher: Tensor,
    student: Tensor,
    label: Tensor,
    group: Tensor,
    *,
    n_classes: int,
    n_groups: int,
    kernel: str = "rbf",
    sigma: float = 1.0,
    degree: int = 2,
) -> Tensor:
    """`fairdistill.methods.mfd.mfd_loss`, one (class, group) cell after another."""
    with torch.no_grad():
        scale = 2 * sigma * torch.cdist(teacher, student).square().mean()

    def k(x: Tensor, y: Tensor) -> Tensor:
        if kernel == "rbf":
            squared = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
            return torch.exp(-squared.clamp_min(0) / scale)
        return (normalize(x) @ normalize(y).T + 1) ** degree

    total = student.new_zeros(())
    for y in range(n_classes):
        t = teacher[label == y]
        for a in range(n_groups):
            s = student[(label == y) & (group == a)]
            if len(s):
                total = total + k(t, t).mean() + k(s, s).mean() - 2 * k(t, s).mean()
    return total
