"""The maximum mean discrepancy (MMD) between the groups of each class, as a penalty without a base.

No paper has exactly this: it is the part of MFD (Jung et al., CVPR 2021) that needs no teacher. The code of the MFD
authors has such a method, which their paper does not name (trainer/scratch_mmd.py): it compares each group of a class
with the whole class instead of the other groups, lets no gradient flow into the whole class, takes the bandwidth of
each such pair by itself, in which sigma is squared, cuts each term off at zero, and weights the sum by lambda / (2
groups). Close to it are also Louizos et al., "The Variational Fair Autoencoder", ICLR 2016 (between groups, on a latent
representation), Prost et al., "Toward a better trade-off between performance and fairness with kernel-based
distribution matching", 2019 (between groups among the negatives, on the prediction), and Chung et al., "Toward Fairness
via Maximum Mean Discrepancy Regularization on Logits Space", 2024 (between the groups of each class, on the logits).
The estimate is the biased one of Gretton et al., "A Kernel Two-Sample Test", JMLR 2012.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from fairdistill.methods.base import Batch, Method
from fairdistill.methods.mfd import RBF, Kernel
from fairdistill.networks import Output


def group_mmd(
    features: Tensor,
    label: Tensor,
    group: Tensor,
    *,
    n_classes: int,
    n_groups: int,
    kernel: Kernel = RBF,
) -> Tensor:
    """Sum over classes y and pairs of groups a < b of D^2(S_ay, S_by) on one batch.

    With S_ay the features of the batch's samples of class y and group a,

        D^2(S_a, S_b) = mean k(S_a, S_a) + mean k(S_b, S_b) - 2 mean k(S_a, S_b),

    diagonal included, which is Gretton et al.'s MMD_b^2 (equation 5). The kernels are those of MFD: the rbf kernel is
    exp(-||x - x'||^2 / (2 sigma s)), s the mean of ||x_i - x_j||^2 over the batch, held constant. Pairs of which the
    batch lacks a group are left out.

    Parameters
    ----------
    features
        (B, D), float.
    label, group
        (B,) int64.
    kernel
        That rbf kernel, or a polynomial one.

    Returns
    -------
    Tensor
        A scalar, at least zero up to rounding.
    """
    products = features @ features.T
    squares = products.diagonal()
    k = kernel.of(features, features)(products, squares, squares)
    member = one_hot(label * n_groups + group, n_classes * n_groups).T.view(n_classes, n_groups, -1)
    size = member.sum(2)
    # weights that average each cell, (classes, groups, B); zero for what the batch lacks
    average = member / size.clamp_min(1)[:, :, None].to(k.dtype)
    means = average @ k @ average.mT
    own = means.diagonal(dim1=1, dim2=2)
    squared = own[:, :, None] + own[:, None, :] - 2 * means
    present = size > 0
    return (squared * (present[:, :, None] & present[:, None, :])).triu(1).sum()


class GroupMMD(Method):
    """Cross-entropy + (lambda / 2) group MMD of the penultimate features.

    The code of the MFD authors has a weight for its own form of the penalty alone (see above; lambda 1 by default). The
    default here, and that of the sampling, are those of MFD. At the same lambda this penalty pulls the groups of a
    class together G times as hard as MFD does, where G is the number of groups: under a kernel that both share, such as
    the polynomial one, MFD's sum over the groups of a class is

        sum_a D^2(T_y, S_ay) = G D^2(T_y, mean of the S_ay) + (1 / G) sum_{a < b} D^2(S_ay, S_by),

    whose last term is this penalty divided by G. So a comparison with MFD is one of both the teacher and the strength.
    """

    fixed_step = True

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the cross-entropy and the weighted penalty."""
        settings = self.settings
        discrepancy = group_mmd(
            output.features,
            batch.label,
            batch.group,
            n_classes=self.n_classes,
            n_groups=self.n_groups,
            kernel=Kernel(settings.kernel, settings.sigma, settings.degree, settings.offset),
        )
        return {
            "cross_entropy": cross_entropy(output.logits, batch.label),
            "group_mmd": settings.lambda_ / 2 * discrepancy,
        }
