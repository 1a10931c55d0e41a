"""The figure of paired slopes: each student beside the model that it stands on, a line for each seed."""

from collections.abc import Iterable, Mapping
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairdistill.reporting.columns import PLACE
from fairdistill.reporting.labels import printed
from fairdistill.reporting.style import PALETTE, STYLE, styled
from fairdistill.reporting.summaries import values_of
from fairdistill.runtime.errors import UserError

METRICS = {"deo_a": "DEO$_A$", "accuracy": "Accuracy"}
# the colour of a student with a lower DEO than its base or a higher accuracy, of the contrary, and of no difference
BETTER, WORSE, EQUAL = PALETTE[0], PALETTE[1], PALETTE[7]
MOST_COLUMNS = 5
FONT = 7


def plot_slopes(paired: pd.DataFrame, summary: pd.DataFrame, dataset: str) -> Figure:
    """Draw the DEO_A and accuracy of each student of a data set and of its base, seed by seed.

    Each student has a column of two panels; the lines of a panel lead from the base's value to the student's, thin ones
    for the seeds that both have, and a thick one for their means. All panels of a metric have one scale.

    Parameters
    ----------
    paired : DataFrame
        See `fairdistill.reporting.pairs.pair_with_bases`.
    summary : DataFrame
        Of the same models, see `fairdistill.reporting.summaries.summarise`.
    dataset : str
        One of the table's.

    Raises
    ------
    UserError
        If the table has no students of the data set, or the summary lacks a model of it.
    """
    students = paired[(paired["dataset"] == dataset) & (paired["metric"] == "deo_a")].to_dict("records")
    if not students:
        raise UserError(f"no students on '{dataset}' to draw; make paired.csv from their metrics")
    values = {tuple(row[name] for name in (*PLACE, "metric")): values_of(row) for row in summary.to_dict("records")}
    columns = min(MOST_COLUMNS, len(students))
    blocks = ceil(len(students) / columns)
    # a few panels need not be as wide as the page
    width = min(7, 1.5 + 1.1 * max(columns, 3))
    with styled(STYLE):
        figure = Figure(figsize=(width, 0.4 + 2.5 * blocks), layout="constrained")
        axes = figure.subplots(2 * blocks, columns, squeeze=False)
        for index in range(columns * blocks):
            block, column = divmod(index, columns)
            for row, metric in enumerate(METRICS):
                ax = axes[2 * block + row, column]
                if index >= len(students):
                    ax.set_axis_off()
                    continue
                _draw(ax, students[index], values, dataset, metric)
                if row == 0:
                    ax.set_title(_title(students[index]), fontsize=FONT)
                if column == 0:
                    ax.set_ylabel(METRICS[metric])
                else:
                    ax.tick_params(labelleft=False)
        for row, metric in enumerate(METRICS):
            _share_scale(axes[row::2].ravel(), least=0.0 if metric == "deo_a" else None)
        figure.suptitle(f"{printed(dataset)}: students beside their bases, a line for each seed", fontsize=9)
    return figure


def _title(student: Mapping) -> str:
    return f"{printed(student['architecture'])}\n{student['method']}"


def _draw(ax: Axes, student: Mapping, values: Mapping[tuple, pd.Series], dataset: str, metric: str) -> None:
    names = [
        (dataset, student["base_architecture"], student["base_method"], metric),
        (dataset, student["architecture"], student["method"], metric),
    ]
    if missing := [name for name in names if name not in values]:
        raise UserError(f"summary.csv has no {' '.join(missing[0])}, which paired.csv names; make both anew")
    both = pd.concat([values[name] for name in names], axis=1, join="inner")
    for base, own in both.itertuples(index=False):
        ax.plot([0, 1], [base, own], color=_colour(base, own, metric), lw=0.8, alpha=0.6, marker="o", ms=2)
    base, own = both.mean()
    ax.plot([0, 1], [base, own], color=_colour(base, own, metric), lw=2.2, marker="o", ms=4)
    ax.set_xlim(-0.25, 1.25)
    of_base = student["base_method"]
    ax.set_xticks([0, 1], [of_base if len(of_base) < 9 else "base", "student"], fontsize=FONT)


def _colour(base: float, own: float, metric: str) -> tuple[float, float, float]:
    if np.isclose(base, own):
        return EQUAL
    return BETTER if (own < base) == (metric == "deo_a") else WORSE


def _share_scale(axes: Iterable[Axes], least: float | None) -> None:
    drawn = [ax for ax in axes if ax.lines]
    low, high = min(ax.get_ylim()[0] for ax in drawn), max(ax.get_ylim()[1] for ax in drawn)
    room = 0.05 * (high - low)
    for ax in drawn:
        ax.set_ylim(low - room if least is None else least, high + room)
