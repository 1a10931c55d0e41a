"""MMD-based fair distillation (MFD).

Jung, Lee, Park, Moon, "Fair Feature Distillation for Visual Recognition", CVPR 2021; term paper, section IV-B.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, one_hot

from fairdistill.errors import UserError
from fairdistill.methods import Shape
from fairdistill.methods.base import Batch, Method
from fairdistill.models import Output

Kernel = Callable[[Tensor, Tensor], Tensor]


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """||x_i - y_j||^2 for x (N, D) and y (M, D), as (N, M)."""
    norms = x.square().sum(1)[:, None] + y.square().sum(1)
    return torch.addmm(norms, x, y.T, alpha=-2).clamp_min(0)


def rbf_kernel(teacher: Tensor, student: Tensor, *, sigma: float) -> Kernel:
    """k(x, x') = exp(-||x - x'||^2 / (2 sigma s)), s the mean of ||t_i - s_j||^2 over the batch, held constant."""
    with torch.no_grad():
        scale = 2 * sigma * squared_distances(teacher, student).mean()
        scale = scale.clamp_min(torch.finfo(scale.dtype).tiny)
    return lambda x, y: torch.exp(-squared_distances(x, y) / scale)


def polynomial_kernel(*, degree: int) -> Kernel:
    """k(x, x') = (<x, x'> / (||x|| ||x'||) + 1)^degree: on L2-normalised features."""
    return lambda x, y: (normalize(x) @ normalize(y).T + 1) ** degree


def cell_weights(
    label: Tensor, group: Tensor, n_classes: int, n_groups: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """The averages that the loss compares, as rows of weights over the batch.

    Returns
    -------
    target, source
        Both (n_classes * n_groups, B). Row (y, a) of `target` averages the samples of class y, of `source` those
        of class y and group a. The rows of a cell that the batch lacks are zero in both, so that it adds nothing.
    """
    member = one_hot(label * n_groups + group, n_classes * n_groups).T.to(dtype)
    size = member.sum(1, keepdim=True)
    source = member / size.clamp_min(1)
    of_class = one_hot(label, n_classes).T.to(dtype)
    of_class = of_class / of_class.sum(1, keepdim=True).clamp_min(1)
    target = of_class.repeat_interleave(n_groups, dim=0) * (size > 0)
    return target, source


def mfd_loss(
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
    """Sum over classes y and groups a of D^2(p_y^T, p_{a,y}^S) on one batch (term paper, section IV-B.2).

    D^2 is the biased V-statistic of the squared maximum mean discrepancy, diagonal included,

        D^2 = mean k(T_y, T_y) + mean k(S_ay, S_ay) - 2 mean k(T_y, S_ay),

    with T_y the teacher's features of the batch's samples of class y, S_ay the student's of class y and group a.
    All cells are computed at once: each mean is a pair of weight vectors around a kernel matrix.

    Parameters
    ----------
    teacher, student
        Features (B, D), float. No gradient flows into `teacher`.
    label, group
        (B,) int64.
    kernel
        "rbf" (bandwidth `sigma` times the mean squared distance) or "polynomial" (of `degree`).

    Returns
    -------
    Tensor
        A scalar, at least zero up to rounding.
    """
    teacher = teacher.detach()
    k = rbf_kernel(teacher, student, sigma=sigma) if kernel == "rbf" else polynomial_kernel(degree=degree)
    target, source = cell_weights(label, group, n_classes, n_groups, student.dtype)
    return (
        (target.T @ target * k(teacher, teacher)).sum()
        + (source.T @ source * k(student, student)).sum()
        - 2 * (target.T @ source * k(teacher, student)).sum()
    )


class MFD(Method):
    """Cross-entropy + (lambda / 2) MFD (term paper, section IV-B.3).

    Parameters
    ----------
    lambda_
        Weight of the fairness term; 0 is exactly cross-entropy.
    sigma
        Bandwidth of the RBF kernel, in units of the batch's mean squared distance.
    kernel, degree
        "rbf", or "polynomial" of that degree.
    sampling
        "balanced" draws (group, class)-balanced batches, as the method's authors do; "plain" shuffles.
    """

    def __init__(
        self,
        *,
        shape: Shape,
        lambda_: float = 3.0,
        sigma: float = 1.0,
        kernel: str = "rbf",
        degree: int = 2,
        sampling: str = "balanced",
    ):
        super().__init__(shape=shape, sampling=sampling)
        if lambda_ < 0:
            raise UserError(f"method mfd: lambda is {lambda_}; it must be at least 0")
        if sigma <= 0:
            raise UserError(f"method mfd: sigma is {sigma}; it must be above 0")
        if kernel not in ("rbf", "polynomial"):
            raise UserError(f"method mfd: unknown kernel {kernel!r}; choose rbf or polynomial")
        self.lambda_, self.sigma, self.kernel, self.degree = lambda_, sigma, kernel, degree
        self.needs_teacher = lambda_ > 0
        self.discrepancy = mfd_loss
        same_width = shape.teacher_width in (None, shape.student_width)
        self.regressor = (
            nn.Identity() if same_width else nn.Linear(shape.student_width, shape.teacher_width, bias=False)
        )

    def loss(self, batch: Batch, student: Output, teacher: Output | None) -> dict[str, Tensor]:
        terms = {"cross_entropy": cross_entropy(student.logits, batch.label)}
        if self.lambda_ > 0:
            terms["mfd"] = (
                self.lambda_
                / 2
                * self.discrepancy(
                    teacher.features,
                    self.regressor(student.features),
                    batch.label,
                    batch.group,
                    n_classes=self.shape.n_classes,
                    n_groups=self.shape.n_groups,
                    kernel=self.kernel,
                    sigma=self.sigma,
                    degree=self.degree,
                )
            )
        return terms
