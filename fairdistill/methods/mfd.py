"""MMD-based fair distillation (MFD).

Jung, Lee, Park, Moon, "Fair Feature Distillation for Visual Recognition", CVPR 2021; term paper, section IV-B.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy, normalize, one_hot

from fairdistill.methods.base import Batch, Method, Task, pair_layers
from fairdistill.methods.kd import distillation_loss
from fairdistill.networks import Classifier, Output
from fairdistill.settings.methods import Mfd as Settings

# names of what is read of the base, beside those of its layers
FEATURES, LOGITS = "features", "logits"


class _Products(torch.autograd.Function):
    """Inner products of a batch's features within each class: of teacher and teacher, teacher and student, and
    student and student, each (classes, M, M) in the order of `position`.

    Torch's own backward pass would take twice as many products, and as many sums over features.
    """

    @staticmethod
    def forward(
        ctx, teacher: Tensor, student: Tensor, label: Tensor, rank: Tensor, position: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        t, s = teacher[position], student[position]
        both = torch.cat([t, s], dim=1)
        ctx.save_for_backward(both, label, rank)
        ts, ss = (both @ s.mT).chunk(2, dim=1)
        tt = t @ t.mT
        ctx.mark_non_differentiable(tt)
        return tt, ts, ss

    @staticmethod
    @once_differentiable
    def backward(ctx, _: Tensor, ts: Tensor, ss: Tensor) -> tuple[None, Tensor, None, None, None]:
        both, label, rank = ctx.saved_tensors
        gradient = torch.cat([ts.mT, ss + ss.mT], dim=2) @ both
        return None, gradient[label, rank], None, None, None


def rbf_kernel(xy: Tensor, xx: Tensor, yy: Tensor, *, scale: Tensor) -> Tensor:
    """k(x, y) = exp(-||x - y||^2 / scale), of inner products (..., N, M) and squared norms (..., N) and (..., M)."""
    return torch.exp((2 * xy - xx[..., :, None] - yy[..., None, :]).clamp_max(0) / scale)


def polynomial_kernel(xy: Tensor, xx: Tensor, yy: Tensor, *, degree: int, offset: float) -> Tensor:
    """k(x, y) = (<x, y> / (||x|| ||y||) + offset)^degree: on L2-normalised features, given as for `rbf_kernel`."""
    xx, yy = xx.clamp_min(1e-24).sqrt(), yy.clamp_min(1e-24).sqrt()
    return (xy / (xx[..., :, None] * yy[..., None, :]) + offset) ** degree


@torch.no_grad()
def mean_squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """The mean of ||x_i - y_j||^2 over all i and j, for x (N, D) and y (M, D), without the distances."""
    return x.square().sum(1).mean() + y.square().sum(1).mean() - 2 * x.mean(0) @ y.mean(0)


class Kernel(NamedTuple):
    """The kernel of an MMD: "rbf", of bandwidth `sigma` times the batch's mean squared distance, or "polynomial".

    The latter is of `degree` and `offset`, on L2-normalised features; the code of the MFD authors has offset 0.
    """

    kind: str = "rbf"
    sigma: float = 1.0
    degree: int = 2
    offset: float = 1.0

    def of(self, x: Tensor, y: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Return `polynomial_kernel`, or `rbf_kernel` with the bandwidth of features x (N, D) and y (M, D)."""
        if self.kind == "rbf":
            scale = 2 * self.sigma * mean_squared_distance(x, y)
            return partial(rbf_kernel, scale=scale.clamp_min(torch.finfo(scale.dtype).tiny))
        return partial(polynomial_kernel, degree=self.degree, offset=self.offset)


RBF = Kernel()


def by_class(label: Tensor, n_classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where each class's samples are in a batch.

    Returns
    -------
    rank, position, present
        (B,) each sample's number among those of its class; (n_classes, M) the sample of a class with that number, M
        the size of the largest class, or on a GPU B; (n_classes, M) whether there is one: where not, `position` is 0.
    """
    count = one_hot(label, n_classes).cumsum(0)
    size, rank = count[-1], count.gather(1, label[:, None])[:, 0] - 1
    # a GPU would have to be waited for to know the largest size, and has room for the largest that there can be
    position = label.new_zeros(n_classes, len(label) if label.is_cuda else int(size.max()))
    position[label, rank] = torch.arange(len(label), device=label.device)
    return rank, position, torch.arange(position.shape[1], device=label.device) < size[:, None]


def mfd_loss(
    teacher: Tensor,
    student: Tensor,
    label: Tensor,
    group: Tensor,
    *,
    n_classes: int,
    n_groups: int,
    kernel: Kernel = RBF,
) -> Tensor:
    """Sum over classes y and groups a of D^2(p_y^T, p_{a,y}^S) on one batch (term paper, section IV-B.2).

    D^2 is the biased V-statistic of the squared maximum mean discrepancy, diagonal included,

        D^2 = mean k(T_y, T_y) + mean k(S_ay, S_ay) - 2 mean k(T_y, S_ay),

    with T_y the teacher's features of the batch's samples of class y, S_ay the student's of class y and group a,
    and k(x, x') = exp(-||x - x'||^2 / (2 sigma s)), s the mean of ||t_i - s_j||^2 over the batch, held constant. Only
    pairs of one class meet in a kernel: the batch is sorted by class and padded, and all classes are computed at once,
    each mean as weights around a kernel matrix.

    Parameters
    ----------
    teacher, student
        Features (B, D), float. No gradient flows into `teacher`.
    label, group
        (B,) int64.
    kernel
        The rbf kernel k, or a polynomial one.

    Returns
    -------
    Tensor
        A scalar, at least zero up to rounding.
    """
    teacher = teacher.detach()
    rank, position, present = by_class(label, n_classes)
    cell = present & (group[position] == torch.arange(n_groups, device=group.device)[:, None, None])
    # weights that average each class, (classes, M), and each cell, (groups, classes, M); zero for what the batch lacks
    target, source = _averaging(present, student.dtype), _averaging(cell, student.dtype)
    cells = cell.any(-1).sum(0)[:, None, None]

    tt, ts, ss = _Products.apply(teacher, student, label, rank, position)
    t, s = tt.diagonal(dim1=1, dim2=2), ss.diagonal(dim1=1, dim2=2)
    k = kernel.of(teacher, student)
    return (
        cells * _outer(target, target) * k(tt, t, t)
        + _outer(source, source).sum(0) * k(ss, s, s)
        - 2 * _outer(target, source.sum(0)) * k(ts, t, s)
    ).sum()


def _averaging(member: Tensor, dtype: torch.dtype) -> Tensor:
    return member.to(dtype) / member.sum(-1, keepdim=True).clamp_min(1)


def _outer(x: Tensor, y: Tensor) -> Tensor:
    return x[..., :, None] * y[..., None, :]


def mfd_loss_by_cells(
    teacher: Tensor,
    student: Tensor,
    label: Tensor,
    group: Tensor,
    *,
    n_classes: int,
    n_groups: int,
    kernel: Kernel = RBF,
) -> Tensor:
    """`mfd_loss` as it is printed: one (class, group) cell after another."""
    with torch.no_grad():
        scale = 2 * kernel.sigma * torch.cdist(teacher, student).square().mean()

    def k(x: Tensor, y: Tensor) -> Tensor:
        if kernel.kind == "rbf":
            squared = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
            return torch.exp(-squared.clamp_min(0) / scale)
        return (normalize(x) @ normalize(y).T + kernel.offset) ** kernel.degree

    total = student.new_zeros(())
    for y in range(n_classes):
        t = teacher[label == y]
        for a in range(n_groups):
            s = student[(label == y) & (group == a)]
            if len(s):
                total = total + k(t, t).mean() + k(s, s).mean() - 2 * k(t, s).mean()
    return total


def features(output: Output, layer: str | None, *, pooled: bool) -> Tensor:
    """Return what is compared: (B, D).

    Without a layer they are the features before the head. Of a layer's map (B, K, H, W) they are the means over its
    pixels (B, K), or all of its values (B, K H W).
    """
    if layer is None:
        return output.features
    return output.maps[layer].flatten(2).mean(2) if pooled else output.maps[layer].flatten(1)


class MFD(Method):
    """Cross-entropy + (lambda / 2) MFD + lambda_h KD (term paper, section IV-B.3; the last term is of Jung's code).

    The rbf loss is that of Jung et al., as is the default lambda; docs/mfd_authors.md says what else differs.

    The features are those before the head; with `features: flattened` they are all values of the last map, which Jung
    et al. compare in their code; with `layers` they are those of the maps of these layers, pooled or flattened, and the
    terms of the layers are added. Where the two networks differ in width, a linear regressor without bias, trained with
    the student, maps its features to the base's width.

    With `joint` the MFD term is D^2(p^T, p^S) of the whole batch, regardless of class and group, which Jung et al. have
    as the option `--jointfeature` of their code; none of the commands that they publish uses it. It asks the student
    only for the teacher's features as a whole: what it does for fairness comes from how the batches are drawn.

    KD is Hinton's term of the logits (see `fairdistill.methods.kd`), which the authors' trainer adds with the factor
    `lambh`. It is constant here, as in the authors' commands (`--no-annealing`); without that option their code lowers
    it by 3 / (epochs - 1) after each epoch, from 4 to 1 by default.

    With lambda = 0 and no KD it is exactly cross-entropy, and the base is not asked.
    """

    fixed_step = True

    def __init__(self, settings: Settings, task: Task):
        super().__init__(settings, task)
        self.uses_base = settings.lambda_ > 0 or settings.kd_weight > 0
        self.discrepancy = mfd_loss
        self.kernel = Kernel(settings.kernel, settings.sigma, settings.degree, settings.offset)
        assert task.base is not None, "the training loop refuses a training without its base"
        self.pooled = settings.features == "pooled"
        # what is compared: the layer of the network and that of the base; None where it is the features before the head
        self.places: list[tuple[str | None, str | None]] = []
        if settings.lambda_ > 0:
            at_layers = pair_layers(settings, task)
            at_the_end = None if self.pooled else task.network.last_map, None if self.pooled else task.base.last_map
            self.places = list(at_layers.items()) or [at_the_end]
        self.layers = [layer for layer, _ in self.places if layer is not None]
        self.base_layers = [layer for _, layer in self.places if layer is not None]
        widths, base_widths = (
            self._widths(each, layers, task.image_size)
            for each, layers in ((task.network, self.layers), (task.base, self.base_layers))
        )
        pairs = [(widths[layer], base_widths[other]) for layer, other in self.places]
        self.regressors = nn.ModuleList(nn.Identity() if a == b else nn.Linear(a, b, bias=False) for a, b in pairs)

    def _widths(self, network: Classifier, layers: Sequence[str], image_size: int) -> dict[str | None, int]:
        """The numbers of features of each layer, and under None of those before the head."""
        shapes = network.map_shapes(image_size, layers) if layers else {}
        return {None: network.width} | {
            layer: shape[0] if self.pooled else shape.numel() for layer, shape in shapes.items()
        }

    def read_base(self, output: Output) -> dict[str, Tensor]:
        """Return the features of each layer under its name, and the logits where they are distilled."""
        found = {other or FEATURES: features(output, other, pooled=self.pooled) for _, other in self.places}
        return found | ({LOGITS: output.logits} if self.settings.kd_weight > 0 else {})

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the cross-entropy and the weighted terms of fairness and distillation, as far as they are wanted."""
        settings = self.settings
        terms = {"cross_entropy": cross_entropy(output.logits, batch.label)}
        if self.places:
            label, group, n_classes, n_groups = batch.label, batch.group, self.n_classes, self.n_groups
            if settings.joint:
                # joint features are those of one class and one group
                label = group = torch.zeros_like(batch.label)
                n_classes = n_groups = 1
            discrepancies = [
                self.discrepancy(
                    batch.base[other or FEATURES],
                    regressor(features(output, layer, pooled=self.pooled)),
                    label,
                    group,
                    n_classes=n_classes,
                    n_groups=n_groups,
                    kernel=self.kernel,
                )
                for (layer, other), regressor in zip(self.places, self.regressors, strict=True)
            ]
            terms["mfd"] = settings.lambda_ / 2 * reduce(add, discrepancies)
        if settings.kd_weight > 0:
            distillation = distillation_loss(batch.base[LOGITS], output.logits, temperature=settings.kd_temperature)
            terms["distillation"] = settings.kd_weight * distillation
        return terms

    def use_printed_formula(self) -> None:
        """Compute the fairness term one cell after another."""
        self.discrepancy = mfd_loss_by_cells
