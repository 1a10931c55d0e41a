"""How the models of a data set were trained: accuracy and loss over the epochs, by method."""

from collections.abc import Iterable
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation, MaxNLocator, NullFormatter
from matplotlib.transforms import Transform

from fairdistill.reporting.csv_files import read_table
from fairdistill.reporting.labels import printed
from fairdistill.reporting.style import PALETTE, STYLE, styled
from fairdistill.runtime.errors import UserError

COLUMNS = ["epoch", "loss", "train_accuracy"]
OF_SPLITS = ["validation_accuracy", "test_accuracy"]
# Colours of the accuracies on the splits; a history may have those of evaluated epochs alone.
SPLITS = {"train": PALETTE[7], "validation": PALETTE[0], "test": PALETTE[3]}
LOSS = "black"
MOST_COLUMNS = 5
# Least distance between two labels of the axis of losses, as a share of its length.
APART = 0.2


def read_histories(files: Iterable[tuple[str, str, Path | str]]) -> pd.DataFrame:
    """Return the histories of some trainings, one row per epoch, with the columns architecture, method and training.

    Parameters
    ----------
    files : (architecture, method, path) of each training
        A method that trains nothing has a history without epochs.

    Raises
    ------
    UserError
        One line that names the file, if it is missing or is no history; or if no history has an epoch.
    """
    found = []
    for architecture, method, path in files:
        try:
            history = read_table(
                path, COLUMNS, key=["epoch"], optional=OF_SPLITS, may_be_empty=True, maker="scripts.train_model"
            )
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; train that model first") from None
        if not history.empty:
            found.append(history.assign(architecture=architecture, method=method, training=str(path)))
    if not found:
        raise UserError("no history has an epoch; name models that are trained")
    return pd.concat(found, ignore_index=True)


def plot_training_curves(histories: pd.DataFrame, *, dataset: str) -> Figure:
    """Draw accuracy over the epochs, and the training loss below it, one pair of panels per architecture and method.

    Each line is one training. Accuracies have one scale in all panels; losses, whose terms differ between methods, have
    a logarithmic one in each.

    Parameters
    ----------
    histories : DataFrame
        See `read_histories`.
    dataset : str
        For the title.
    """
    models = list(histories.groupby(["architecture", "method"], sort=False))
    columns = min(MOST_COLUMNS, len(models))
    rows = ceil(len(models) / columns)
    several = histories["architecture"].nunique() > 1
    shown = [split for split in SPLITS if f"{split}_accuracy" in histories]
    with styled(STYLE | {"axes.titlesize": 7.5, "font.size": 7, "axes.labelsize": 7.5}):
        figure = Figure(figsize=(max(3.2, 1.75 * columns), 0.6 + 2.0 * rows), layout="constrained")
        axes = figure.subplots(2 * rows, columns, squeeze=False, sharex=True, height_ratios=[3, 2] * rows)
        lowest = histories[[f"{split}_accuracy" for split in shown]].min().min()
        for number, ((architecture, method), trainings) in enumerate(models):
            above, below = (axes[2 * (number // columns) + i, number % columns] for i in range(2))
            for _, history in trainings.groupby("training", sort=False):
                _draw(above, below, history, shown)
            above.set_title(f"{method}\n{printed(str(architecture))}" if several else method)
            above.set_ylim(lowest - 0.02, 1.01)
            above.yaxis.set_major_locator(MaxNLocator(nbins=5, min_n_ticks=3))
            below.set_yscale("log" if (trainings["loss"] > 0).all() else "symlog")
            if number % columns == 0:
                above.set_ylabel("Accuracy")
                below.set_ylabel("Loss")
            else:
                above.tick_params(labelleft=False)
            _label_losses(below)
            below.tick_params(labelsize=6)
            if number >= len(models) - columns:
                below.set_xlabel("Epoch")
                below.tick_params(labelbottom=True)
        figure.align_ylabels(axes[:, 0])
        for number in range(len(models), rows * columns):
            for i in range(2):
                axes[2 * (number // columns) + i, number % columns].set_visible(False)
        handles = [Line2D([], [], color=SPLITS[split], label=f"accuracy, {split}") for split in shown]
        handles.append(Line2D([], [], color=LOSS, label="training loss"))
        figure.suptitle(f"{printed(dataset)}: each line is one training", fontsize=9)
        figure.legend(handles=handles, loc="outside lower center", ncols=min(4, 2 * columns))
    return figure


def _label_losses(ax: Axes) -> None:
    """Label the axis of losses at two values or more, which are so far apart that no label lies on another."""
    low, high = ax.get_ylim()
    ticks = _ticks(low, high, ax.yaxis.get_transform())
    form = LogFormatterSciNotation()
    plain = [f"{tick:g}" if tick == 0 or 1e-3 <= abs(tick) < 1e4 else form(tick) for tick in ticks]
    ax.set_yticks(ticks, plain)
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(low, high)


def _ticks(low: float, high: float, scale: Transform) -> list[float]:
    """Return at which values an axis from `low` to `high` is labelled, two or more.

    They are 1, 2 and 5 in each power of ten, or 1 and 3, where there is room for all of these; else as many powers of
    ten as there is room for, zero among them; or, where less than two of these lie on the axis, round values at equal
    steps.
    """
    least = APART * np.ptp(scale.transform([low, high]))

    def inside(factors: tuple[int, ...]) -> list[float]:
        sizes = np.outer(10.0 ** np.arange(-12, 13), factors).ravel()
        return [tick for tick in sorted([*-sizes, 0.0, *sizes]) if low <= tick <= high]

    for ticks in (inside((1, 2, 5)), inside((1, 3))):
        if len(ticks) > 1 and np.diff(scale.transform(ticks)).min() >= least:
            return ticks
    kept: list[float] = []
    for tick in sorted(inside((1,)), key=abs):
        if not kept or np.abs(scale.transform(kept) - scale.transform([tick])).min() >= least:
            kept.append(tick)
    if len(kept) > 1:
        return kept
    steps = MaxNLocator(nbins=3, steps=[1, 2, 5, 10], min_n_ticks=2).tick_values(low, high)
    return [tick for tick in steps if low <= tick <= high]


def _draw(above: Axes, below: Axes, history: pd.DataFrame, shown: list[str]) -> None:
    for split in shown:
        evaluated = history.dropna(subset=f"{split}_accuracy")
        marker = "." if len(evaluated) < len(history) else None
        above.plot(evaluated["epoch"], evaluated[f"{split}_accuracy"], color=SPLITS[split], lw=0.8, marker=marker, ms=3)
    below.plot(history["epoch"], history["loss"], color=LOSS, lw=0.8)
