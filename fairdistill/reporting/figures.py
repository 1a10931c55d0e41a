"""Figures 2 to 5: the teacher and the students of one architecture on each data set, as bars."""

import textwrap
from math import ceil

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from fairdistill.reporting.labels import printed
from fairdistill.reporting.paper.comparison import DATASETS, MEASURES
from fairdistill.reporting.runs import DEO
from fairdistill.runtime.errors import UserError

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
# measure: (title, axis label)
PANELS = {
    "accuracy": ("accuracy", "Accuracy"),
    "deo_a": ("DEO$_A$, mean over classes", "DEO$_A$ (lower is fairer)"),
    "deo_m": ("DEO$_M$, worst class", "DEO$_M$ (lower is fairer)"),
}
# Methods differ in colour, in hatch, and in lightness in grey print.
COLOURS = [sns.color_palette("colorblind")[i] for i in (1, 0, 9, 2, 4, 8, 3)]
HATCHES = ["////", "", "....", "xxxx", "\\\\\\\\", "++++", "oooo"]
HALO = [withStroke(linewidth=2.4, foreground="white")]


def plot_comparison(
    runs: pd.DataFrame,
    *,
    architecture: str,
    metric: str,
    paper_values: pd.DataFrame | None = None,
    method: str | None = None,
) -> Figure:
    """Draw the teacher and the students of one architecture on each data set.

    Bars are means over seeds; over several seeds whiskers show the sd and dots the single seeds. On a DEO a band shows
    what a fair classifier of the same accuracy would score: mean and 95 % range.

    Parameters
    ----------
    runs : DataFrame
        One row per model, see `fairdistill.reporting.runs.read_metrics`.
    metric : "accuracy" or "deo"
        DEO has two panels, DEO_A and DEO_M.
    paper_values : DataFrame, optional
        See `fairdistill.reporting.paper.comparison`; marked on the teacher's bars and on those of `method`.
    method : str, optional
        The method whose students the paper's are.

    Raises
    ------
    UserError
        If the runs have no such architecture.
    """
    if architecture not in set(runs["architecture"]):
        known = ", ".join(sorted(set(runs["architecture"])))
        raise UserError(f"no run of architecture '{architecture}' to draw; the table of runs has {known}")
    runs = runs[runs["architecture"] == architecture]
    datasets = sorted(set(runs["dataset"]))
    styles = _styles(sorted(set(runs["method"]) - {"teacher"}))
    width = 0.8 / len(styles)
    place = {
        (dataset, name): i + width * (j - (len(styles) - 1) / 2)
        for i, dataset in enumerate(datasets)
        for j, name in enumerate(styles)
        if (dataset, name) in set(zip(runs["dataset"], runs["method"], strict=True))
    }
    measures = MEASURES[metric]
    side_by_side = len(place) <= 8
    columns = len(measures) if side_by_side else 1
    inches = min(7, columns * max(3.5, 1.2 + 0.35 * len(place)))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(inches, 2.6 * len(measures) / columns), layout="constrained")
        panels = figure.subplots(len(measures) // columns, columns, squeeze=False, sharey=True).flat
        for ax, measure in zip(panels, measures, strict=True):
            _draw_bars(ax, runs, measure, place, width, styles)
            if measure in DEO:
                _draw_fair_baseline(ax, runs, measure, place, width)
            if paper_values is not None:
                claims = paper_values.query("architecture == @architecture and metric == @metric")
                _mark_paper(ax, claims, place, width, method)
            title, label = PANELS[measure]
            ax.set(title=f"{printed(architecture)}: {title}", ylabel=label)
            ax.set_xticks(range(len(datasets)), [_wrapped(name) for name in datasets])
            ax.tick_params(axis="x", length=0)
            # room for two data sets at least: the bars of a single one would be slabs
            ax.set_xlim(min(-0.5, len(datasets) / 2 - 1.5), max(len(datasets) - 0.5, len(datasets) / 2 + 0.5))
        ax.set_ylim(0, 1 if metric == "accuracy" else None)
        _add_legend(figure, [style["label"] for style in styles.values()])
    return figure


def _styles(students: list[str]) -> dict[str, dict]:
    """Return how the bars of each method look, the teacher first; several students go by their names."""
    labels = [f"student ({name})" for name in students] if len(students) > 1 else ["student"]
    return {
        name: {"label": label, "color": COLOURS[i % len(COLOURS)], "hatch": HATCHES[i % len(HATCHES)]}
        for i, (name, label) in enumerate(zip(["teacher", *students], ["teacher", *labels], strict=False))
    }


def _draw_bars(ax: Axes, runs: pd.DataFrame, measure: str, place: dict, width: float, styles: dict[str, dict]) -> None:
    cells = runs.groupby(["dataset", "method"])[measure]
    for (dataset, method), x in place.items():
        values = cells.get_group((dataset, method))
        ax.bar(x, values.mean(), width, edgecolor="black", linewidth=0.6, **styles[method])
        if len(values) > 1:
            # beside each other, in the order of the seeds: equal values would cover each other
            at = x - width / 4 + width * np.linspace(-0.12, 0.12, len(values))
            ax.plot(at, values, "o", ms=3, mfc="black", mec="white", mew=0.4, label="one seed")
            whisker = ax.errorbar(x, values.mean(), values.std(), fmt="none", ecolor="black", label="± sd")
            whisker.lines[2][0].set(path_effects=HALO, zorder=3)


def _draw_fair_baseline(ax: Axes, runs: pd.DataFrame, measure: str, place: dict, width: float) -> None:
    baselines = runs.groupby(["dataset", "method"])[
        [f"{measure}_fair_baseline{end}" for end in ("_low", "", "_high")]
    ].mean()
    for model, x in place.items():
        low, mean, high = baselines.loc[model]
        edges = [x - width / 2, x + width / 2]
        # above the bars, below the whiskers and marks
        ax.fill_between(
            edges, low, high, fc="0.75", ec="black", alpha=0.85, lw=0.5, zorder=1.5, label="fair classifier"
        )
        ax.plot(edges, [mean, mean], color="black", linewidth=1, solid_capstyle="butt", zorder=1.6)


def _mark_paper(ax: Axes, claims: pd.DataFrame, place: dict, width: float, method: str | None) -> None:
    for claim in claims.itertuples():
        dataset, *others = DATASETS.get(claim.dataset, [claim.dataset])
        x = place.get((dataset, "teacher" if claim.role == "teacher" else method))
        if x is not None and not others:
            ax.plot(x + width / 4, claim.value, "D", ms=5, mfc="white", mec="black", label="paper")


def _add_legend(figure: Figure, methods: list[str]) -> None:
    """Put one legend above the panels, in as many columns as its longest text allows."""
    found = {}
    for ax in figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    labels = [label for label in [*methods, "one seed", "± sd", "fair classifier", "paper"] if label in found]
    columns = int(figure.get_figwidth() / (0.5 + 0.065 * max(map(len, labels))))
    rows = ceil(len(labels) / columns)
    figure.legend(
        [found[label] for label in labels], labels, loc="outside upper center", ncols=ceil(len(labels) / rows)
    )
    figure.set_figheight(figure.get_figheight() + 0.17 * rows)


def _wrapped(name: str) -> str:
    return textwrap.fill(printed(name).replace("_", " "), 14)
