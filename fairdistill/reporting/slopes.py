"""The figure of paired slopes: each student beside the model that it stands on, a line for each seed."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairdistill.reporting.answers import values_of
from fairdistill.reporting.columns import PLACE
from fairdistill.reporting.labels import printed
from fairdistill.reporting.style import PALETTE, STYLE, styled
from fairdistill.reporting.tables import AT_CHANCE_NOTE, CHANCE_MARK
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import TEACHER

METRICS = {"deo_a": "DEO$_A$", "accuracy": "Accuracy"}
# the colour of a student with a lower observed DEO than its base or a higher accuracy, of the contrary, and of neither
BETTER, WORSE, NEITHER = PALETTE[0], PALETTE[1], PALETTE[7]
# more students than have a panel each, on a page, have a row each
MOST_COLUMNS, MOST_PANELS = 5, 15
# of a page, in inches
WIDTH, HEIGHT = 7, 9.5
FONT = 7
# a mark at zero is shown whole
SEED: dict[str, Any] = {"lw": 0.8, "alpha": 0.6, "marker": "o", "ms": 2, "clip_on": False}
MEANS: dict[str, Any] = {"lw": 2.2, "marker": "o", "ms": 4, "clip_on": False}


def plot_slopes(paired: pd.DataFrame, summary: pd.DataFrame, dataset: str) -> Figure:
    """Draw the DEO_A and accuracy of each student of a data set and of its base, seed by seed.

    Lines lead from the base's value to the student's: thin ones for the seeds that both have, and a thick one for their
    means. Each student has a column of two panels, one of each metric; more than `MOST_PANELS` students have a row each
    of two panels in all, so that the figure is no larger than a page. All panels of a metric have one scale. Colours
    tell better from worse by the observed values, whatever their intervals, but for the DEO of a pair in which a model
    is at chance, which is marked.

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
    with styled(STYLE):
        draw = _in_panels if len(students) <= MOST_PANELS else _in_rows
        figure = draw(students, values, printed(dataset))
        _add_legend(figure, some_at_chance=any(student["at_chance"] for student in students))
    return figure


def _in_panels(students: Sequence[Mapping], values: Mapping[tuple, pd.Series], dataset: str) -> Figure:
    columns = min(MOST_COLUMNS, len(students))
    blocks = ceil(len(students) / columns)
    # a few panels need not be as wide as the page
    figure = Figure(figsize=(min(WIDTH, 1.5 + 1.1 * max(columns, 3)), 0.6 + 2.5 * blocks), layout="constrained")
    axes = figure.subplots(2 * blocks, columns, squeeze=False)
    for index in range(columns * blocks):
        block, column = divmod(index, columns)
        for row, metric in enumerate(METRICS):
            ax = axes[2 * block + row, column]
            if index >= len(students):
                ax.set_axis_off()
                continue
            student = students[index]
            *seeds, means = _pairs(student, values, metric)
            for pair in seeds:
                ax.plot([0, 1], pair, color=_colour(student, *pair, metric), **SEED)
            ax.plot([0, 1], means, color=_colour(student, *means, metric), **MEANS)
            ax.set_xlim(-0.25, 1.25)
            of_base = student["base_method"]
            ax.set_xticks([0, 1], [of_base if len(of_base) < 9 else "base", "student"], fontsize=FONT)
            if row == 0:
                title = f"{printed(student['architecture'])}\n{_marked(student['method'], student)}"
                ax.set_title(title, fontsize=FONT)
            if column == 0:
                ax.set_ylabel(METRICS[metric])
            else:
                ax.tick_params(labelleft=False)
    for row, metric in enumerate(METRICS):
        _share_scale(axes[row::2].ravel(), least=0.0 if metric == "deo_a" else None)
    figure.suptitle(f"{dataset}: students and their bases, one line per seed", fontsize=9)
    return figure


def _in_rows(students: Sequence[Mapping], values: Mapping[tuple, pd.Series], dataset: str) -> Figure:
    names = [_marked(_name(student, alone=_of_one_architecture(students)), student) for student in students]
    height = min(HEIGHT, 1.2 + 0.27 * len(students))
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, (metric, label) in zip(axes, METRICS.items(), strict=True):
        for place, student in enumerate(students):
            *seeds, means = _pairs(student, values, metric)
            for at, pair in zip(place + np.linspace(-0.1, 0.38, len(seeds)), seeds, strict=True):
                ax.plot(pair, [at, at], color=_colour(student, *pair, metric), markevery=[1], **SEED)
            colour = _colour(student, *means, metric)
            above = place - 0.3
            ax.plot(means, [above, above], color=colour, markevery=[1], **MEANS)
            ax.plot(means[0], above, "o", ms=4, color=colour, mfc="white", clip_on=False)
        ax.set(xlabel=label, ylim=(len(students) - 0.5, -0.5))
        ax.grid(True, axis="x")
        ax.hlines(np.arange(1, len(students)) - 0.5, 0, 1, transform=ax.get_yaxis_transform(), color="0.85", lw=0.5)
        ax.grid(False, axis="y")
    axes[0].set_xlim(left=0)
    # in points, of the room that a row has
    room = 72 * (height - 1.2) / len(students)
    size = min(FONT, 0.8 * room / max(1 + name.count("\n") for name in names))
    axes[0].set_yticks(range(len(students)), names, fontsize=size)
    for ax in axes:
        ax.tick_params(axis="y", length=0)
    of_all = f", {printed(students[0]['architecture'])}" if _of_one_architecture(students) else ""
    figure.suptitle(f"{dataset}{of_all}: from the base (○) to the student (●)", fontsize=9)
    return figure


def _of_one_architecture(students: Iterable[Mapping]) -> bool:
    return len({student["architecture"] for student in students}) == 1


def _name(student: Mapping, *, alone: bool) -> str:
    """The student's name and, where that is not the teacher of its architecture, its base's below it."""
    name = student["method"] if alone else f"{printed(student['architecture'])} {student['method']}"
    other = student["base_architecture"] if student["base_architecture"] != student["architecture"] else ""
    if not other and student["base_method"] == TEACHER:
        return name
    return f"{name}\nfrom {f'{printed(other)} ' if other else ''}{student['base_method']}"


def _marked(name: str, student: Mapping) -> str:
    return f"{name} {CHANCE_MARK}" if student["at_chance"] else name


def _pairs(student: Mapping, values: Mapping[tuple, pd.Series], metric: str) -> list[tuple[float, float]]:
    """The base's value and the student's, of each seed that both have, and the means of these."""
    names = [
        (student["dataset"], student["base_architecture"], student["base_method"], metric),
        (student["dataset"], student["architecture"], student["method"], metric),
    ]
    if missing := [name for name in names if name not in values]:
        raise UserError(f"summary.csv has no {' '.join(missing[0])}, which paired.csv names; make both anew")
    both = pd.concat([values[name] for name in names], axis=1, join="inner").to_numpy()
    return [(base, own) for base, own in [*both, both.mean(axis=0)]]


def _colour(student: Mapping, base: float, own: float, metric: str) -> tuple[float, float, float]:
    if np.isclose(base, own) or (metric == "deo_a" and student["at_chance"]):
        return NEITHER
    return BETTER if (own < base) == (metric == "deo_a") else WORSE


def _share_scale(axes: Iterable[Axes], least: float | None) -> None:
    drawn = [ax for ax in axes if ax.lines]
    low, high = min(ax.get_ylim()[0] for ax in drawn), max(ax.get_ylim()[1] for ax in drawn)
    room = 0.05 * (high - low)
    for ax in drawn:
        ax.set_ylim(low - room if least is None else least, high + room)


def _add_legend(figure: Figure, *, some_at_chance: bool) -> None:
    meanings = {
        BETTER: "lower DEO$_A$ or higher accuracy (observed)",
        WORSE: "the opposite",
        NEITHER: "no difference",
    }
    note = None
    if some_at_chance:
        meanings[NEITHER] += f", or DEO at chance ({CHANCE_MARK})"
        note = textwrap.fill(AT_CHANCE_NOTE, int(18 * figure.get_figwidth()))
    lines = [Line2D([], [], color=colour, label=meaning, **MEANS) for colour, meaning in meanings.items()]
    widths = {"mean over seeds": MEANS, "one seed": SEED}
    lines += [Line2D([], [], color="black", label=meaning, **width) for meaning, width in widths.items()]
    # two columns: colours, and widths
    figure.legend(handles=lines, loc="outside lower center", ncols=2, title=note, title_fontsize=6, fontsize=FONT)
