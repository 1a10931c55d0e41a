"""What all figures of models have in common: type, colours, and the names of what is measured."""

from contextlib import AbstractContextManager
from typing import Any

import matplotlib.style
import seaborn as sns
from matplotlib.patheffects import withStroke

STYLE = {
    "font.size": 8,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "0.85",
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.columnspacing": 1.2,
    "legend.handlelength": 1.6,
}
# Title and axis label of the panel of each measure.
PANELS = {
    "accuracy": ("accuracy", "Accuracy"),
    "deo_a": ("DEO$_A$, mean over classes", "DEO$_A$ (lower is fairer)"),
    "deo_m": ("DEO$_M$, worst class", "DEO$_M$ (lower is fairer)"),
}
PALETTE = sns.color_palette("colorblind")
# Colour of the teacher's bars and lines.
TEACHER_COLOUR = PALETTE[1]
# Effect that lets a text or line be read on what is below it.
HALO = [withStroke(linewidth=2.4, foreground="white")]


def styled(style: dict[str, Any]) -> AbstractContextManager:
    """Matplotlib's defaults, changed by `style`: what a user's own matplotlibrc says has no part in a figure."""
    return matplotlib.style.context(["default", style])
