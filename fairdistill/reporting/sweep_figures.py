"""Figures of sweeps: accuracy and DEO against a setting of a method."""

import textwrap
from collections.abc import Sequence
from math import log10
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from fairdistill.reporting.columns import BASELINE, DEO, MEASURED, MODEL, PLACE, keys
from fairdistill.reporting.labels import printed
from fairdistill.reporting.legend import ALONE, CHANCE, CHOSEN, COMMON, FAIR, INTERVAL, ONE_SEED, add_legend
from fairdistill.reporting.style import PALETTE, PANELS, STYLE, TEACHER_COLOUR, styled
from fairdistill.reporting.trainings import values_of
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import SAME
from fairdistill.settings.sweeps import Line, as_text

COLOURS = [PALETTE[i] for i in (0, 2, 3, 4, 8, 9, 5, 6)]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "h"]
# points between the marks of two lines, which would cover each other, and most between those of the first and the last
APART, WIDEST = 5, 30
# where the largest value is more times the smallest than this, the axis is logarithmic
LONG = 5


def plot_sweep(
    summary: pd.DataFrame,
    *,
    setting: str,
    lines: Sequence[Line],
    architectures: Sequence[str],
    search: pd.DataFrame | None = None,
) -> Figure:
    """Draw accuracy, DEO_A and DEO_M against a setting, in a row of panels for each data set and architecture.

    Marks are means over seeds, small dots the single seeds, and whiskers the 95 % interval over trainings and test
    images (of one training that over test images alone, which the legend says). Horizontal lines with a band are the
    model that those of a line stand on, and its interval. A cross marks models of which one is at chance, so that their
    DEO says nothing. A ring marks the model that was chosen on the validation split; the scores here are those
    on the test split.

    Numbers are on an axis that is logarithmic where they span more than a factor of `LONG`; zero then has a place of
    its own, left of a break. Names are on an axis of categories, in the order of the sweep.

    Parameters
    ----------
    summary
        See `fairdistill.reporting.summaries.summarise`.
    architectures
        Those of the main grid. Others have bases alone, of which some may be models of the lines.
    search
        See `fairdistill.reporting.search.choose`; of these sweeps, of others, or none.

    Raises
    ------
    UserError
        If the summary lacks a model of the lines.
    """
    axis = Axis([value for line in lines for value in line.values.values()])
    models = summary.set_index([*MODEL, "metric"])
    chosen = set() if search is None else set(keys(search[search["chosen"]], MODEL))
    drawn = summary["method"].isin(lines[0].values) & summary["architecture"].isin(architectures)
    places = list(dict.fromkeys(keys(summary[drawn], PLACE)))
    for dataset, architecture in places:
        for name in (name for line in lines for name in line.values):
            if (dataset, architecture, name, MEASURED[0]) not in models.index:
                raise UserError(
                    f"the summary lacks {dataset} {architecture} {name}, which is to be drawn; make it anew"
                )
    with styled(STYLE):
        figure = Figure(figsize=(7, 0.6 + 1.7 * len(places)), layout="constrained")
        panels = figure.subplots(len(places), len(MEASURED), squeeze=False, sharex=True, sharey="col")
        for column, metric in zip(panels.T, MEASURED, strict=True):
            scores, shown = models.xs(metric, level="metric"), []
            for (dataset, architecture), ax in zip(places, column, strict=True):
                shown.append(_draw_references(ax, scores.loc[dataset], lines, architecture))
                for number, line in enumerate(lines):
                    of_line = scores.loc[dataset].loc[architecture].loc[[*line.values]]
                    of_line = of_line.assign(chosen=[(dataset, architecture, name) in chosen for name in line.values])
                    _draw_line(ax, of_line, line, axis, number, len(lines))
                    shown.append(of_line)
            # marks that are shifted have no part in the limits that matplotlib finds
            ends = pd.concat(shown)[["low", "high", "mean"]]
            low, high = ends.min().min(), ends.max().max()
            margin = 0.05 * max(0.05, high - low)
            column[0].set_ylim(0 if metric in DEO else max(0, low - margin), high + margin)
            column[0].set_title(PANELS[metric][1])
        for (dataset, architecture), ax in zip(places, panels[:, 0], strict=True):
            ax.set_ylabel(f"{printed(dataset)}\n{printed(architecture)}")
        for ax in panels[-1]:
            axis.draw(ax)
            ax.set_xlabel(setting)
        entries = dict.fromkeys(label for ax in figure.axes for label in ax.get_legend_handles_labels()[1])
        labels = [line.label for line in lines]
        add_legend(figure, [*labels, *(label for label in entries if label not in (*labels, *COMMON))])
    return figure


class Axis:
    """Where the values of a setting stand on the horizontal axis.

    Parameters
    ----------
    values
        Numbers, or names; where there is a name, all count as names.

    Attributes
    ----------
    ticks : dict
        The label of each value, by its position, from left to right where they are numbers.
    is_of_names : bool
    gap : pair of positions, or None
        Between which the axis is broken.
    """

    def __init__(self, values: Sequence[float | str]):
        self.is_of_names = any(isinstance(value, str) for value in values)
        numbers = sorted({value for value in values if not isinstance(value, str)})
        positive = [value for value in numbers if value > 0]
        self.gap: tuple[float, float] | None = None
        self._position: dict[float | str, float]
        if self.is_of_names:
            self._position = {value: float(i) for i, value in enumerate(dict.fromkeys(map(as_text, values)))}
        elif len(positive) > 1 and numbers[0] >= 0 and positive[-1] > LONG * positive[0]:
            self._position = {value: log10(value) for value in positive}
            if numbers[0] == 0:
                # as far as the others are from each other, on average
                step = (log10(positive[-1]) - log10(positive[0])) / (len(positive) - 1)
                self._position[0] = log10(positive[0]) - step
                self.gap = self._position[0], log10(positive[0])
        else:
            self._position = {value: float(value) for value in numbers}
        self.ticks = {position: as_text(value) for value, position in sorted(self._position.items(), key=itemgetter(1))}

    def at(self, value: float | str) -> float:
        """Return the position of a value."""
        return self._position[as_text(value) if self.is_of_names else value]

    def draw(self, ax: Axes) -> None:
        """Draw the ticks, and the break that parts zero from a logarithmic axis."""
        labels = [textwrap.fill(text, 14) for text in self.ticks.values()]
        # names beside each other would run into each other
        slanted: dict[str, Any] = (
            {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, labels)) > 24 else {}
        )
        ax.set_xticks([*self.ticks], labels, **slanted)
        first, *_, last = self.ticks
        margin = 0.5 * (last - first) / (len(self.ticks) - 1)
        ax.set_xlim(first - margin, last + margin)
        if self.gap:
            middle = sum(self.gap) / 2
            across = ax.get_xaxis_transform()
            for shift in (-0.02, 0.02):
                x = middle + shift * (last - first)
                ends = [x - 0.012 * (last - first), x + 0.012 * (last - first)]
                ax.plot(ends, [-0.025, 0.025], color="black", lw=0.8, clip_on=False, zorder=5, transform=across)


def _draw_line(ax: Axes, models: pd.DataFrame, line: Line, axis: Axis, number: int, count: int) -> None:
    """Draw one line, whose marks are shifted by points, which are the same on every scale."""
    colour, mark = _look(number)
    shift = min(APART, WIDEST / count) * (number - (count - 1) / 2) / 72
    moved = ax.transData + ScaledTranslation(shift, 0, ax.figure.dpi_scale_trans)
    x = np.array([axis.at(value) for value in line.values.values()])
    # the order of the sweep is that of names, but numbers may be in any
    models, x = models.iloc[np.argsort(x)], np.sort(x)
    mean = models["mean"].to_numpy()
    if models["fair_baseline"].notna().all():
        middle, low, high = (models[name] for name in BASELINE)
        ax.vlines(x, low, high, color="0.85", lw=4, zorder=0.6, transform=moved, label=FAIR)
        ax.plot(x, middle, "_", color="0.5", ms=4, mew=1, zorder=0.7, transform=moved)
    if not axis.is_of_names:
        beyond = len(x) - sum(x > axis.gap[0]) if axis.gap else 0
        ax.plot(x[beyond:], mean[beyond:], color=colour, lw=1, transform=moved)
        # the break has no scale
        ax.plot(x[: beyond + 1], mean[: beyond + 1], ":", color=colour, lw=1, transform=moved)
    for at, row in zip(x, models.to_dict("records"), strict=True):
        values = values_of(row)
        if row["trainings"] > 1:
            jitter = np.linspace(-2, 2, len(values)) / 72
            for value, beside in zip(values, jitter, strict=True):
                there = moved + ScaledTranslation(beside, 0, ax.figure.dpi_scale_trans)
                ax.plot(at, value, ".", ms=3, color="0.45", transform=there, label=ONE_SEED)
        ax.vlines(at, row["low"], row["high"], color=colour, lw=1.2, transform=moved, zorder=2.5)
        ax.plot([], [], color="black", lw=1.2, label=INTERVAL if row["trainings"] > 1 else ALONE)
        # a mark at zero is shown whole
        point: dict[str, Any] = {"transform": moved, "clip_on": False}
        ax.plot(at, row["mean"], mark, ms=4.5, color=colour, zorder=3, label=line.label, **point)
        if row["chosen"]:
            ax.plot(at, row["mean"], "o", ms=9, mfc="none", mec="black", mew=1, zorder=3, label=CHOSEN, **point)
        if row["at_chance"]:
            ax.plot(at, row["mean"], "X", ms=6, mfc="white", mec="black", zorder=4, label=CHANCE, **point)


def _draw_references(ax: Axes, models: pd.DataFrame, lines: Sequence[Line], architecture: str) -> pd.DataFrame:
    """Draw the models that those of the lines stand on, and return them; each line's in its colour if they differ."""
    bases: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lines):
        network = architecture if line.base.architecture == SAME else line.base.architecture
        bases.setdefault((network, line.base.method), number)
    rows = models.to_dict("index")
    for (network, method), number in bases.items():
        row = rows[network, method]
        colour = _look(number)[0] if len(bases) > 1 else TEACHER_COLOUR
        label = " ".join([*([printed(network)] if network != architecture else []), method])
        ax.axhline(row["mean"], color=colour, ls="--", lw=1, zorder=0.9, label=label)
        ax.axhspan(row["low"], row["high"], color=colour, alpha=0.15, lw=0, zorder=0.5)
    return models.loc[[*bases]]


def _look(number: int) -> tuple[tuple[float, float, float], str]:
    """The colour and the mark of a line; 64 differ."""
    turn = number // len(COLOURS)
    return COLOURS[number % len(COLOURS)], MARKERS[(number + turn) % len(MARKERS)]
