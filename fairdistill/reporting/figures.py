"""Figures 2 to 5: the teacher and the students of one architecture on each data set, as bars."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, product, repeat
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike

from fairdistill.reporting.columns import BASELINE, DEO
from fairdistill.reporting.labels import printed
from fairdistill.reporting.legend import ALONE, CHANCE, FAIR, INTERVAL, ONE_SEED, PAPER, add_legend
from fairdistill.reporting.notes import GROUP_NOTE, with_group_marks
from fairdistill.reporting.pairs import teachers_of
from fairdistill.reporting.paper.comparison import PAPER_METRICS
from fairdistill.reporting.style import HALO, PALETTE, PANELS, STYLE, TEACHER_COLOUR, styled
from fairdistill.reporting.trainings import values_of
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.paper import PAPER_DATASETS
from fairdistill.settings.study import MOST_STUDENTS

# The teacher has a colour and a hatch of its own. Students take the next of each in turn, so that those beside each
# other differ in colour, in hatch, and in lightness in grey print.
TEACHER_STYLE = {"color": TEACHER_COLOUR, "hatch": "////"}
COLOURS = [PALETTE[i] for i in (0, 9, 2, 4, 8, 3)]
HATCHES = ["", "....", "xxxx", "\\\\\\\\", "++++", "oooo", "----"]
# More students than are told apart have bars that lie below each other, with names beside them.
MOST_UPRIGHT = 10
# The most upright bars in one panel.
MOST_BARS = 21
# Height of a bar that lies and of the room to the next, in inches.
LYING = 0.2
# Distance of a cross from the foot of its bar, in inches: the bar may have no length, and a label stands below it.
ABOVE_FOOT = 0.07


@dataclass(frozen=True)
class Panel:
    """The bars of one panel.

    Attributes
    ----------
    ticks : list of str
        What stands below each group of bars, from left to right; or before each bar that lies, from above.
    place : dict
        Position of each bar by (data set, method), in groups of width 1 around 0, 1, ...
    width : float
        Of one bar.
    lying : bool
        Whether values go to the right, and not upwards.
    """

    ticks: list[str]
    place: dict[tuple[str, str], float]
    width: float
    lying: bool = False

    def turned(self, places: ArrayLike, values: ArrayLike) -> tuple[Any, Any]:
        """Return x and y of values at some places."""
        return (values, places) if self.lying else (places, values)


def plot_comparison(
    summary: pd.DataFrame,
    *,
    architecture: str,
    metric: str,
    paper_values: pd.DataFrame | None = None,
    method: str | None = None,
) -> Figure:
    """Draw the teacher and the students of one architecture on each data set.

    Bars are means over seeds, dots the single seeds, and whiskers the 95 % interval over trainings and test images; of
    one training that over test images alone, with marked ends. On a DEO a band shows what a fair classifier of the same
    accuracy would score: mean and 95 % range. A cross above the foot of a bar says that one of its models is at chance,
    no more accurate than one that names the largest class for every image.

    Data sets and methods are in the order of the summary. Where a panel would have more than `MOST_BARS` bars they are
    split over several. With more than `MOST_UPRIGHT` students, bars lie below each other, one panel for each data set,
    and their names are before them.

    Parameters
    ----------
    summary : DataFrame
        See `fairdistill.reporting.summaries.summarise`.
    metric : "accuracy" or "deo"
        DEO has two panels, DEO_A and DEO_M.
    paper_values : DataFrame, optional
        See `fairdistill.reporting.paper.comparison.as_table`; marked on the teacher's bars and on those of `method`.
    method : str, optional
        The method whose students are compared with the paper's.

    Raises
    ------
    UserError
        If the summary has no such architecture, or more students than a page holds.
    """
    if architecture not in set(summary["architecture"]):
        known = ", ".join(summary["architecture"].unique())
        raise UserError(f"no model of architecture '{architecture}' to draw; the summary has {known}")
    summary = _with_teacher(summary, architecture)
    students = [name for name in summary["method"].unique() if name != TEACHER]
    if len(students) > MOST_STUDENTS:
        raise UserError(
            f"{len(students)} students of {architecture} to draw; a page holds {MOST_STUDENTS}, so take fewer"
        )
    lying = len(students) > MOST_UPRIGHT
    styles, measures = _styles(students, alike=lying), PAPER_METRICS[metric]
    with styled(STYLE | ({"axes.grid.axis": "x"} if lying else {})):
        figure, drawn = (_lying if lying else _upright)(summary, list(styles), measures, printed(architecture))
        for ax, measure, panel in drawn:
            models = summary[summary["metric"] == measure].set_index(["dataset", "method"])
            _draw_bars(ax, models, panel, styles)
            if measure in DEO:
                _draw_fair_baseline(ax, models, panel)
            if paper_values is not None:
                claims = paper_values.query("architecture == @architecture and metric == @metric")
                _mark_paper(ax, claims, panel, method)
            _mark_chance(ax, models, panel)
        get_ends, set_ends = (ax.get_xlim, ax.set_xlim) if lying else (ax.get_ylim, ax.set_ylim)
        # at least 0.05, or differences that are all rounding would fill the panel
        set_ends(0, 1 if metric == "accuracy" else max(0.05, get_ends()[1]))
        add_legend(figure, list(dict.fromkeys(style["label"] for style in styles.values())))
    return figure


def _with_teacher(summary: pd.DataFrame, architecture: str) -> pd.DataFrame:
    """The models of one architecture, and the teacher of another where all of a study's teachers have that one."""
    own = summary["architecture"] == architecture
    of_teacher = teachers_of(pd.Series([architecture]), summary).iloc[0]
    return summary[own | ((summary["method"] == TEACHER) & (summary["architecture"] == of_teacher))]


def _styles(students: Sequence[str], *, alike: bool = False) -> dict[str, dict]:
    """Return how the bars of each method look, the teacher first; students that look alike have no names."""
    labels = [f"student ({name})" if len(students) > 1 and not alike else "student" for name in students]
    return {TEACHER: {"label": "teacher", **TEACHER_STYLE}} | {
        name: {"label": label, "color": COLOURS[i % len(COLOURS)], "hatch": HATCHES[i % len(HATCHES)]}
        for name, label, i in zip(students, labels, repeat(0) if alike else count(), strict=False)
    }


def _upright(
    summary: pd.DataFrame, methods: Sequence[str], measures: Sequence[str], architecture: str
) -> tuple[Figure, list[tuple[Axes, str, Panel]]]:
    """Distribute upright bars: each data set is a group of `methods`, and a panel has as many groups as it can hold."""
    datasets, together = summary["dataset"].unique(), MOST_BARS // len(methods)
    panels = []
    for start in range(0, len(datasets), together):
        shown = datasets[start : start + together]
        width = 0.8 / len(methods)
        place = {
            (dataset, name): i + width * (j - (len(methods) - 1) / 2)
            for i, dataset in enumerate(shown)
            for j, name in enumerate(methods)
        }
        panels.append(Panel([_wrapped(dataset) for dataset in shown], _known(place, summary), width))
    bars = max(len(panel.place) for panel in panels)
    columns = len(measures) if len(panels) == 1 and bars <= 8 else 1
    # bars as wide as those of the paper's figures, until the page is full
    inches = min(7, columns * max(min(3.5, 1.7 + 0.45 * bars), 1.2 + 0.35 * bars))
    rows = len(measures) * len(panels) // columns
    figure = Figure(figsize=(inches, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).flat
    drawn = [(ax, *shown) for ax, shown in zip(axes, product(measures, panels), strict=True)]
    for ax, measure, panel in drawn:
        title, label = PANELS[measure]
        ax.set(title=f"{architecture}: {title}", ylabel=label)
        ax.set_xticks(range(len(panel.ticks)), panel.ticks)
        ax.tick_params(axis="x", length=0)
        ax.set_xlim(-0.5, len(panel.ticks) - 0.5)
    return figure, drawn


def _lying(
    summary: pd.DataFrame, methods: Sequence[str], measures: Sequence[str], architecture: str
) -> tuple[Figure, list[tuple[Axes, str, Panel]]]:
    """Distribute bars that lie below each other, with the names of the `methods` before them: a panel per data set."""
    names = with_group_marks(methods, summary)
    panels = [
        Panel(names, _known({(dataset, name): i for i, name in enumerate(methods)}, summary), width=0.8, lying=True)
        for dataset in summary["dataset"].unique()
    ]
    shown = list(product(panels, measures))
    columns = min(2, len(shown))
    rows = ceil(len(shown) / columns)
    figure = Figure(figsize=(7, rows * (0.8 + LYING * len(names))), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat
    drawn = [(ax, measure, panel) for ax, (panel, measure) in zip(axes, shown, strict=False)]
    for ax, measure, panel in drawn:
        (dataset, _), *_ = panel.place
        title, label = PANELS[measure]
        ax.set(title=f"{architecture}, {printed(dataset)}:\n{title}", xlabel=label, ylim=(len(names) - 0.5, -0.5))
        ax.set_yticks(range(len(names)), names)
        ax.tick_params(axis="y", length=0)
        ax.tick_params(labelbottom=True)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    if summary["needs_group"].any():
        figure.supxlabel(GROUP_NOTE, fontsize=6)
    return figure, drawn


def _known(place: dict[tuple[str, str], float], summary: pd.DataFrame) -> dict[tuple[str, str], float]:
    """The places of the models that there are."""
    known = set(zip(summary["dataset"], summary["method"], strict=True))
    return {model: at for model, at in place.items() if model in known}


def _draw_bars(ax: Axes, models: pd.DataFrame, panel: Panel, styles: dict[str, dict]) -> None:
    rows = models.to_dict("index")
    for (dataset, method), x in panel.place.items():
        row = rows[dataset, method]
        values = values_of(row)
        bar = ax.barh if panel.lying else ax.bar
        bar(x, row["mean"], panel.width, edgecolor="black", linewidth=0.6, **styles[method])
        # one value may be of several trainings, one in each fold, and several of one, that of an imported model
        if min(row["trainings"], len(values)) > 1:
            # beside each other, in the order of the seeds: equal values would cover each other
            at = x + panel.width * (np.linspace(-0.12, 0.12, len(values)) - (0.32 if panel.lying else 0.25))
            # one at zero is shown whole; those of a bar that lies, which is thin, are above the whisker
            seen: dict[str, Any] = {"clip_on": False, "zorder": 3.5 if panel.lying else 2}
            ax.plot(*panel.turned(at, values), "o", ms=3, mfc="black", mec="white", mew=0.4, label=ONE_SEED, **seen)
        half = {"xerr" if panel.lying else "yerr": (row["high"] - row["low"]) / 2}
        line: dict[str, Any] = {"fmt": "none", "ecolor": "black", "label": INTERVAL, **half}
        if row["trainings"] == 1:
            line |= {"capsize": 2, "capthick": 1, "label": ALONE}
        # its middle is not the bar's end: a DEO is too large on average
        whisker = ax.errorbar(*panel.turned(x, (row["low"] + row["high"]) / 2), **line)
        whisker.lines[2][0].set(path_effects=HALO, zorder=3)


def _draw_fair_baseline(ax: Axes, models: pd.DataFrame, panel: Panel) -> None:
    for model, x in panel.place.items():
        mean, low, high = (models[name][model] for name in BASELINE)
        edges = [x - panel.width / 2, x + panel.width / 2]
        # above the bars, below the whiskers and marks
        fill = ax.fill_betweenx if panel.lying else ax.fill_between
        fill(edges, low, high, fc="0.75", ec="black", alpha=0.85, lw=0.5, zorder=1.5, label=FAIR)
        ax.plot(*panel.turned(edges, [mean, mean]), color="black", linewidth=1, solid_capstyle="butt", zorder=1.6)


def _mark_paper(ax: Axes, claims: pd.DataFrame, panel: Panel, method: str | None) -> None:
    for claim in claims.to_dict("records"):
        dataset, *others = PAPER_DATASETS.get(claim["dataset"], [claim["dataset"]])
        x = panel.place.get((dataset, TEACHER if claim["role"] == "teacher" else method or ""))
        if x is not None and not others:
            at = panel.turned(x + panel.width / 4, claim["value"])
            ax.plot(*at, "D", ms=5, mfc="white", mec="black", label=PAPER)


def _mark_chance(ax: Axes, models: pd.DataFrame, panel: Panel) -> None:
    """Put a cross above the foot of each bar one of whose models is at chance."""
    above = ax.transData + ScaledTranslation(*panel.turned(0, ABOVE_FOOT), ax.figure.dpi_scale_trans)
    for model, x in panel.place.items():
        if models.loc[model, "at_chance"]:
            ax.plot(
                *panel.turned(x + panel.width / 4, 0),
                "X",
                ms=6,
                mfc="white",
                mec="black",
                mew=0.8,
                zorder=4,
                transform=above,
                label=CHANCE,
            )


def _wrapped(name: str) -> str:
    return textwrap.fill(printed(name).replace("_", " "), 14)
