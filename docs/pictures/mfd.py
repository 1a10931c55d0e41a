"""Draw docs/pictures/mfd.svg, what MFD does to features: python docs/pictures/mfd.py [FILE].

One class with two groups, in two dimensions. The features of the teacher are drawn from two Gaussians, one for each
group. The student's are points that the project's own loss moves, by gradient descent and with no network in between.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from fairdistill.methods.mfd import mfd_loss

PICTURE = Path(__file__).with_suffix(".svg")
GROUPS = {"group a": "#d95f02", "group b": "#2b6cb0"}
IMAGES = 120  # of each group


def features() -> tuple[Tensor, Tensor, Tensor]:
    """Return the features of the teacher and of the student before training, (n, 2) each, and the groups, (n,)."""
    generator = torch.Generator().manual_seed(0)
    group = torch.arange(2).repeat_interleave(IMAGES)
    side = (2.0 * group - 1)[:, None]
    teacher = side * torch.tensor([1.3, 0.3]) + 0.5 * torch.randn(2 * IMAGES, 2, generator=generator)
    student = side * torch.tensor([0.4, -1.6]) + 0.4 * torch.randn(2 * IMAGES, 2, generator=generator)
    return teacher, student, group


def distil(teacher: Tensor, student: Tensor, group: Tensor, steps: int = 400) -> Tensor:
    """Return the student's features, (n, 2), after `steps` steps of Adam down the loss of MFD."""
    points = student.clone().requires_grad_()
    optimizer = torch.optim.Adam([points], lr=0.05)
    label = torch.zeros_like(group)
    for _ in range(steps):
        optimizer.zero_grad()
        mfd_loss(teacher, points, label, group, n_classes=1, n_groups=2).backward()
        optimizer.step()
    return points.detach()


def draw(path: Path) -> None:
    """Draw the three clouds of points beside each other."""
    teacher, before, group = features()
    panels = {
        "The teacher": teacher,
        "Its student, before": before,
        "The student, after MFD": distil(teacher, before, group),
    }
    settings = {"svg.hashsalt": "mfd", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11}
    with plt.rc_context(settings):
        figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharex=True, sharey=True, layout="constrained")
        for axis, (title, points) in zip(axes, panels.items(), strict=True):
            for number, (name, colour) in enumerate(GROUPS.items()):
                of_group = points[group == number]
                axis.scatter(*of_group.T, s=12, color=colour, alpha=0.6, linewidth=0, label=name)
                axis.scatter(*of_group.mean(0), s=130, marker="X", color=colour, edgecolor="white")
            axis.scatter(*teacher.mean(0), s=150, marker="P", color="black", edgecolor="white")
            axis.set(title=title, xticks=[], yticks=[], aspect="equal")
            axis.spines[:].set_color("0.8")
        axes[0].set(xlabel="feature 1", ylabel="feature 2")
        axes[0].legend(loc="upper left", frameon=False, handletextpad=0.1)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    draw(Path(*sys.argv[1:2]) if sys.argv[1:] else PICTURE)
