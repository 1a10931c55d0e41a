"""What the marks of models are called in figures and on the page, and the legend of figures that share these marks."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from fairdistill.evaluation.uncertainty import AT_CHANCE

ONE_SEED = "one seed"
INTERVAL, ALONE = "95 % interval", "95 % interval, test images alone"
FAIR = "fair classifier: mean and 95 % range"
CHANCE, NEEDS_GROUP = AT_CHANCE, "needs the group to predict"
CHOSEN = "chosen on validation"
PAPER = "paper"
# The entries that come after the models in a legend, in this order.
COMMON = [ONE_SEED, INTERVAL, ALONE, FAIR, PAPER, CHANCE, CHOSEN]


def add_legend(figure: Figure, models: Sequence[str]) -> None:
    """Put one legend above the panels, in as few rows as the width of the figure allows."""
    found: dict[str, Artist] = {}
    for ax in figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    labels = [label for label in [*models, *COMMON] if label in found]
    fitting = [n for n in range(1, len(labels) + 1) if _legend_width(labels, n) <= figure.get_figwidth()] or [1]
    rows, columns = min((ceil(len(labels) / n), n) for n in fitting)
    figure.legend([found[label] for label in labels], labels, loc="outside upper center", ncols=columns)
    figure.set_figheight(figure.get_figheight() + 0.17 * rows)


def _legend_width(labels: Sequence[str], columns: int) -> float:
    """Inches that a legend takes, about: its columns are filled from above, each as wide as its longest text."""
    filled = np.array_split(np.array([len(label) for label in labels]), columns)
    return sum(0.5 + 0.065 * max(lengths) for lengths in filled)
