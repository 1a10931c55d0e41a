"""Figure 1: a biased, frozen teacher's features guide a fairer student; drawn from shapes and text alone."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, FancyBboxPatch, Polygon, Rectangle

from fairdistill.reporting.style import styled

STYLE = {"font.size": 8, "mathtext.fontset": "stixsans"}
TEACHER, TEACHER_FILL = "#B35900", "#FBE3C8"
STUDENT, STUDENT_FILL = "#005A8C", "#D3E8F5"
# one marker and colour per group a
GROUPS = [("o", "#005A8C"), ("^", "#7A3E9D")]


def draw() -> Figure:
    """Return the diagram, 7 x 3.6 inches: images, teacher above, student below, and the losses that join them."""
    with styled(STYLE):
        figure = Figure(figsize=(7, 3.6))
        ax = figure.add_axes((0, 0, 1, 1), xlim=(0, 14.4), ylim=(0, 7.4))
        ax.set_axis_off()
        _images(ax)
        _network(ax, 5.55, TEACHER, TEACHER_FILL, "Teacher $T$", "biased, frozen")
        _network(ax, 2.0, STUDENT, STUDENT_FILL, "Student $S$", r"trains $\theta$")
        _features(ax)
        _losses(ax)
    return figure


def _images(ax: Axes) -> None:
    for shift, (_, colour) in zip((0.5, 0.25, 0.0), (*GROUPS, GROUPS[0]), strict=True):
        x, y = 0.35 + shift, 3.1 + shift
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor="white", edgecolor="black", lw=0.8))
        ax.add_patch(Ellipse((x + 0.5, y + 0.62), 0.34, 0.4, color=colour, alpha=0.6, lw=0))
        shoulders = [(x + 0.15, y), (x + 0.3, y + 0.35), (x + 0.7, y + 0.35), (x + 0.85, y)]
        ax.add_patch(Polygon(shoulders, color=colour, alpha=0.6, lw=0))
    ax.text(1.05, 2.9, "images of\nclass $y$", ha="center", va="top")
    for group, (marker, colour) in enumerate(GROUPS):
        ax.plot(0.45, 1.55 - 0.4 * group, marker, ms=4.5, color=colour)
        ax.text(0.65, 1.55 - 0.4 * group, f"group $a = {group}$", va="center_baseline", color=colour)
    _arrow(ax, (1.95, 3.85), (2.3, 3.85), (2.3, 5.55), (2.8, 5.55))
    _arrow(ax, (1.95, 3.85), (2.3, 3.85), (2.3, 2.0), (2.8, 2.0))


def _network(ax: Axes, y: float, colour: str, fill: str, name: str, state: str) -> None:
    """Draw a backbone as layers that shrink from the image to the penultimate features."""
    for i, height in enumerate((2.0, 1.7, 1.4, 1.1)):
        corner = (2.9 + 0.55 * i, y - height / 2)
        ax.add_patch(Rectangle(corner, 0.4, height, facecolor=fill, edgecolor=colour, lw=1))
    ax.text(3.93, y + 1.15, name, ha="center", va="bottom", color=colour, weight="bold", size=9)
    ax.text(3.93, y - 1.1, state, ha="center", va="top", color=colour)
    _arrow(ax, (5.05, y), (5.9, y))


def _features(ax: Axes) -> None:
    """Draw the two spaces of penultimate features, the distributions in them, and the discrepancies between."""
    _box(ax, 5.95, 4.45, 3.6, 2.2, TEACHER)
    _box(ax, 5.95, 0.9, 3.6, 2.2, STUDENT)
    ax.text(7.75, 6.75, "penultimate features", ha="center", va="bottom", color=TEACHER)
    ax.text(7.75, 0.8, "penultimate features", ha="center", va="top", color=STUDENT)
    _cloud(ax, 7.75, 5.4, 2.8, 1.5, TEACHER)
    ax.text(6.1, 6.5, r"$\mathbf{p}_y^T$", ha="left", va="top", color=TEACHER, size=11)
    for group, (_, colour) in enumerate(GROUPS):
        x = 6.85 + 1.8 * group
        _sample(ax, 7.3 + 0.9 * group, 5.4, 1.5, 1.2, group)
        _cloud(ax, x, 2.3, 1.4, 1.25, colour)
        _sample(ax, x, 2.3, 1.3, 1.15, group)
        ax.text(x, 1.0, rf"$\mathbf{{p}}_{{{group},y}}^S$", ha="center", va="bottom", color=colour, size=11)
        _arrow(ax, (7.45 + 0.6 * group, 4.6), (x, 2.98), arrowstyle="<|-|>", ls=(0, (4, 2)))
        ax.text(6.75 + 2 * group, 3.8, "$D^2$", ha="right" if group == 0 else "left", va="center", size=10)
    ax.text(7.75, 3.8, "MMD", ha="center", va="center", weight="bold")


def _losses(ax: Axes) -> None:
    objective = r"$\min_\theta\;\mathcal{L}_{CE}+\frac{\lambda}{2}\,\mathcal{L}_{MFD}$"
    mfd = r"$\mathcal{L}_{MFD}=\sum_y\sum_a D^2(\mathbf{p}_y^T,\mathbf{p}_{a,y}^S)$"
    _box(ax, 10.2, 5.0, 3.6, 1.1, "black", objective, size=11)
    _box(ax, 10.2, 3.25, 3.05, 1.1, "black", mfd, size=9)
    _box(ax, 10.2, 1.55, 1.5, 0.9, STUDENT, "classifier")
    _box(ax, 12.75, 1.55, 1.05, 0.9, "black", r"$\mathcal{L}_{CE}$", size=11)
    ax.text(13.27, 0.75, "label $y$", ha="center", va="center")
    _arrow(ax, (9.4, 3.8), (10.15, 3.8))
    _arrow(ax, (9.6, 2.0), (10.15, 2.0))
    _arrow(ax, (11.75, 2.0), (12.7, 2.0))
    ax.text(12.2, 2.12, "logits", ha="center", va="bottom")
    _arrow(ax, (13.27, 0.95), (13.27, 1.5))
    _arrow(ax, (13.5, 2.5), (13.5, 4.95))
    _arrow(ax, (11.7, 4.4), (11.7, 4.95))
    gradient = [(13.85, 5.55), (14.15, 5.55), (14.15, 0.25), (3.93, 0.25), (3.93, 0.5)]
    _arrow(ax, *gradient, color=STUDENT, ls=(0, (1, 1)))
    ax.text(10.95, 0.35, "gradient", ha="center", va="bottom", color=STUDENT)


def _cloud(ax: Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    """Draw a distribution as nested ellipses."""
    for scale in (1.0, 0.62):
        size = (width * scale, height * scale)
        ax.add_patch(Ellipse((x, y), *size, facecolor=colour, alpha=0.12, lw=0))
        ax.add_patch(Ellipse((x, y), *size, fill=False, edgecolor=colour, lw=0.7))


def _sample(ax: Axes, x: float, y: float, width: float, height: float, group: int) -> None:
    """Draw a dozen points of one group, spread evenly over an ellipse along a sunflower's spiral."""
    i = np.arange(12)
    angle, radius = 2.4 * i + group, 0.45 * np.sqrt((i + 0.5) / len(i))
    marker, colour = GROUPS[group]
    points = x + width * radius * np.cos(angle), y + height * radius * np.sin(angle)
    ax.plot(*points, marker, ms=3.2, color=colour, mec="white", mew=0.4)


def _box(
    ax: Axes, x: float, y: float, width: float, height: float, colour: str, text: str = "", size: float = 8
) -> None:
    shape = "round,pad=0,rounding_size=0.15"
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, facecolor="white", edgecolor=colour))
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", size=size)


def _arrow(ax: Axes, *points: tuple[float, float], arrowstyle: str = "-|>", **line) -> None:
    """Draw a line through `points` that ends in an arrow head."""
    look: dict[str, Any] = {"lw": 1, "color": "black"} | line
    ax.plot(*zip(*points[:-1], strict=True), **look)
    style = {"arrowstyle": arrowstyle, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    ax.annotate("", points[-1], points[-2], arrowprops=style | look)
