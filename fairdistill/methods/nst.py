"""Neuron selectivity transfer: Huang and Wang, "Like What You Like", arXiv:1707.01219, 2017."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from fairdistill.methods.base import Batch, LayerMethod, Task
from fairdistill.networks import Output
from fairdistill.settings.methods import Nst as Settings

# beneath the root of each norm, as in the authors' code: a neuron that is silent has no direction
EPSILON = 1e-10


def selectivity(maps: Tensor, size: tuple[int, ...] | None = None) -> Tensor:
    """Return the selectivity patterns (B, K, H W) of the neurons of maps (B, K, H, W): each channel of unit length.

    Maps of another size than `size`, (H, W), are resized bilinearly first. The paper has the maps interpolated where
    their sizes differ and names no way.
    """
    if size is not None and maps.shape[2:] != size:
        maps = interpolate(maps, size=size, mode="bilinear", align_corners=False)
    flat = maps.flatten(2)
    return flat * (flat.square().sum(2, keepdim=True) + EPSILON).rsqrt()


def gram(patterns: Tensor) -> Tensor:
    """Return the inner products between pixels, the mean over neurons: (B, K, P) to (B, P, P)."""
    return patterns.mT @ patterns / patterns.shape[1]


def upper_gram(patterns: Tensor) -> Tensor:
    """Return the upper triangle of `gram`, row by row, (B, P (P + 1) / 2): it is symmetric."""
    rows, columns = torch.triu_indices(patterns.shape[2], patterns.shape[2], device=patterns.device)
    return gram(patterns)[:, rows, columns]


def linear_mmd(base: Tensor, student: Tensor) -> Tensor:
    """The squared MMD of an image's patterns, k(x, y) = <x, y>: the squared distance of their means, (B,).

    `base` are the means of the base's patterns, (B, P), and `student` the patterns of the student, (B, K, P).
    """
    return (base - student.mean(1)).square().sum(1)


def polynomial_mmd(base: Tensor, student: Tensor) -> Tensor:
    """The squared MMD of an image's patterns, k(x, y) = <x, y>^2, (B,): degree 2 and offset 0, as in the paper.

    The mean of <x_i, y_j>^2 over all i and j is the inner product of the Gram matrices X'X / K and Y'Y / K' between
    pixels. So the squared MMD is the squared distance of these. `base` is `upper_gram` of the base's patterns, and
    `student` the patterns of the student, (B, K, P).
    """
    whole = base[:, _places(student.shape[2], student.device)]
    return (whole - gram(student)).square().sum((1, 2))


@cache
def _places(pixels: int, device: torch.device) -> Tensor:
    """Where each element of a Gram matrix is in its upper triangle, (P, P); computed once, and not in every step."""
    rows, columns = torch.triu_indices(pixels, pixels, device=device)
    places = torch.empty(pixels, pixels, dtype=torch.long, device=device)
    places[rows, columns] = places[columns, rows] = torch.arange(len(rows), device=device)
    return places


def mean_squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """The mean of ||x_i - y_j||^2 over all i, j and images, for x (B, K, P) and y (B, K', P), without the distances."""
    lengths = x.square().sum(2).mean() + y.square().sum(2).mean()
    return lengths - 2 * (x.mean(1) * y.mean(1)).sum(1).mean()


def rbf_mmd(
    base: Tensor, student: Tensor, *, distance: Callable[[Tensor, Tensor], Tensor] = mean_squared_distance
) -> Tensor:
    """The squared MMD of an image's patterns, k(x, y) = exp(-||x - y||^2 / (2 s)), (B,).

    s is the mean of ||x - y||^2 over all pairs, in all images of the batch, of a neuron of the base and one of the
    student, which `distance` computes. It is held constant. The paper takes the mean squared distance of the pairs,
    without saying of which; the authors' code lacks this kernel.
    """
    with torch.no_grad():
        scale = 2 * distance(base, student).clamp_min(torch.finfo(student.dtype).tiny)

    def mean_kernel(x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(-_squared_distances(x, y) / scale).mean((1, 2))

    return mean_kernel(base, base) + mean_kernel(student, student) - 2 * mean_kernel(base, student)


def kernel_mmd(base: Tensor, student: Tensor, *, power: int) -> Tensor:
    """The squared MMD as it is printed, k(x, y) = <x, y>^power, (B,)."""

    def mean_kernel(x: Tensor, y: Tensor) -> Tensor:
        return ((x @ y.mT) ** power).mean((1, 2))

    return mean_kernel(base, base) + mean_kernel(student, student) - 2 * mean_kernel(base, student)


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    lengths = x.square().sum(2)[:, :, None] + y.square().sum(2)[:, None, :]
    return (lengths - 2 * x @ y.mT).clamp_min(0)


def _mean_of_distances(x: Tensor, y: Tensor) -> Tensor:
    return _squared_distances(x, y).mean()


class Comparison(NamedTuple):
    """The squared MMD of an image's patterns, (B,), in two steps: what depends on the base alone is computed first."""

    # (B, K, P) to what is kept of the base
    read: Callable[[Tensor], Tensor]
    # of that and the student's patterns (B, K', P)
    mmd: Callable[[Tensor, Tensor], Tensor]


def _as_they_are(patterns: Tensor) -> Tensor:
    return patterns


PRINTED = {
    "polynomial": Comparison(_as_they_are, partial(kernel_mmd, power=2)),
    "linear": Comparison(_as_they_are, partial(kernel_mmd, power=1)),
    "rbf": Comparison(_as_they_are, partial(rbf_mmd, distance=_mean_of_distances)),
}


def comparison(kernel: str, shape: Sequence[int]) -> Comparison:
    """Return the quickest way to compare patterns with those of maps of a shape, (K, H, W)."""
    neurons, *size = shape
    if kernel == "linear":
        return Comparison(lambda patterns: patterns.mean(1), linear_mmd)
    # the Gram matrices are of pixels, and the kernel's values of neurons
    if kernel == "polynomial" and prod(size) <= neurons:
        return Comparison(upper_gram, polynomial_mmd)
    if kernel == "rbf":
        return Comparison(_as_they_are, rbf_mmd)
    return PRINTED[kernel]


class NST(LayerMethod):
    """Cross-entropy + beta times the sum over layers of the mean over images of MMD^2(patterns of base, of student).

    A sample of the MMD is a neuron, one channel of a layer's map of one image, divided by its length. So networks of
    any widths can be compared. The paper prints the weight as lambda / 2; the authors' code, for the polynomial kernel,
    has the factor 50 and no half, which is the default here, and of the other kernels for want of a weight of their own
    in that code. It leaves out the base's own term, a constant. It also compares maps before their ReLU (`bn1_output`
    of the base in config/cfgs.py, the last batch norms of the student in symbol/inception_bn.py); here they are what
    the layers put out, which in most networks is after it, so that patterns have no negative numbers, are more alike,
    and the factor 50 weighs another quantity.

    Layers are compared at the same distance from the last one. The paper's experiments and the authors' code compare
    the last maps alone. Of images of 32 px these have one pixel in a ResNet with ImageNet's stem, and then each pattern
    is the number 1, or 0 of a silent neuron, which says nothing. So the default is all layers whose maps have more than
    one pixel. Tian, Krishnan and Isola (ICLR 2020) take all layers, too, and the factor 50.
    """

    fixed_step = True

    def __init__(self, settings: Settings, task: Task):
        super().__init__(settings, task)
        self.sizes = {other: self.shapes[layer][1:] for layer, other in self.pairs.items()}
        self.compare = {other: comparison(settings.kernel, self.shapes[layer]) for layer, other in self.pairs.items()}

    def read_base(self, output: Output) -> dict[str, Tensor]:
        """Return the patterns of the base's neurons at the resolution of the student's, or what is needed of them."""
        return {
            name: self.compare[name].read(selectivity(output.maps[name], size)) for name, size in self.sizes.items()
        }

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the cross-entropy and the weighted transfer loss."""
        losses = [
            self.compare[other].mmd(batch.base[other], selectivity(output.maps[layer])).mean()
            for layer, other in self.pairs.items()
        ]
        return {
            "cross_entropy": cross_entropy(output.logits, batch.label),
            "transfer": self.settings.beta * sum(losses),
        }

    def use_printed_formula(self) -> None:
        """Compute each mean over pairs of neurons from the kernel's values."""
        self.compare = dict.fromkeys(self.compare, PRINTED[self.settings.kernel])
