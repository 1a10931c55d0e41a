"""The figure of paired slopes: each student beside the model that it stands on, a line for each seed."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from fairdistill.reporting.columns import BASE, MODEL
from fairdistill.reporting.fences import within_fences
from fairdistill.reporting.labels import printed
from fairdistill.reporting.notes import CHANCE_MARK, marked_names, notes_on_names, with_group_marks
from fairdistill.reporting.style import HALO, PALETTE, STYLE, styled
from fairdistill.reporting.trainings import values_of
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import TEACHER

METRICS = {"deo_a": "DEO$_A$", "accuracy": "Accuracy"}
# Colours of a student with a lower observed DEO than its base or a higher accuracy, of the contrary, and of neither.
BETTER, WORSE, NEITHER = PALETTE[0], PALETTE[1], PALETTE[7]
# Columns of panels on a page, and the most students that have a panel each; more have a row each.
MOST_COLUMNS, MOST_PANELS = 5, 15
# With more students than these, what is far off lies beyond the axis.
MOST_SHOWN = 6
# Width and height of a page, in inches.
WIDTH, HEIGHT = 7, 9.5
# Size of texts, in points.
FONT = 7
# Size of the texts of values beyond the axis, and by how much an arrow is larger than a mark, in points.
SMALL, ARROW = 6, 1.5
# Looks of the line of one seed, and of that of the means; a mark at zero is shown whole.
SEED: dict[str, Any] = {"lw": 0.8, "alpha": 0.6, "marker": "o", "ms": 2, "clip_on": False}
MEANS: dict[str, Any] = {"lw": 2.2, "marker": "o", "ms": 4, "clip_on": False}


@dataclass(frozen=True)
class Axis:
    """The axis of a metric.

    Attributes
    ----------
    low, high : float
        Its ends, infinite where no value lies beyond that end.
    upright : bool
        Whether it is the axis of y.
    """

    low: float
    high: float
    upright: bool

    @property
    def ends(self) -> list[float | None]:
        """The low and the high end, None for one that is infinite."""
        return [end if np.isfinite(end) else None for end in (self.low, self.high)]

    def turned(self, beside: ArrayLike, values: ArrayLike) -> tuple:
        """Return x and y of values, those beyond the ends moved to these, and of their places on the other axis."""
        within = np.clip(values, self.low, self.high)
        return (beside, within) if self.upright else (within, beside)

    def beyond(self, value: float) -> int:
        """Return -1 for a value below the axis, 1 for one above, and 0 for others."""
        return int(value > self.high) - int(value < self.low)

    def mark(self, value: float) -> str:
        """Return the mark of a value: an arrow if it lies beyond the axis."""
        return ("o^v" if self.upright else "o><")[self.beyond(value)]


def plot_slopes(paired: pd.DataFrame, summary: pd.DataFrame, dataset: str) -> Figure:
    """Draw the DEO_A and accuracy of each student of a data set and of its base, seed by seed.

    Lines lead from the base's value to the student's: thin ones for the seeds that both have, and a thick one for their
    means. Each student has a column of two panels, one of each metric; more than `MOST_PANELS` students have a row each
    of two panels in all, so that the figure is no larger than a page. All panels of a metric have one scale. That of
    more than `MOST_SHOWN` students leaves out what is far off: arrows at its end stand for it, and those of means have
    the value beside them. Colours tell better from worse by the observed values, whatever their intervals, but for the
    DEO of a pair in which a model is at chance. Names have the marks of `fairdistill.reporting.notes.marked_names`.

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
    rows = paired[(paired["dataset"] == dataset) & (paired["metric"] == "deo_a")]
    if rows.empty:
        raise UserError(f"no students on '{dataset}' to draw; make paired.csv from their metrics")
    names = {"name": marked_names(rows), "base_name": with_group_marks(rows["base_method"], rows)}
    students = rows.assign(**names).to_dict("records")
    values = {tuple(row[name] for name in (*MODEL, "metric")): values_of(row) for row in summary.to_dict("records")}
    pairs = {metric: [_pairs(student, values, metric) for student in students] for metric in METRICS}
    in_panels = len(students) <= MOST_PANELS
    axes = {metric: _axis(students, pairs[metric], metric, upright=in_panels) for metric in METRICS}
    with styled(STYLE):
        draw = _in_panels if in_panels else _in_rows
        figure = draw(students, pairs, axes, printed(dataset))
        marks = {axes[metric].mark(value) for metric in METRICS for value in np.concatenate(pairs[metric], axis=None)}
        _add_legend(figure, rows, arrow=min(marks - {MEANS["marker"]}, default=""))
    return figure


def _in_panels(
    students: Sequence[Mapping], pairs: Mapping[str, Sequence[np.ndarray]], axes: Mapping[str, Axis], dataset: str
) -> Figure:
    columns = min(MOST_COLUMNS, len(students))
    blocks = ceil(len(students) / columns)
    # a few panels need not be as wide as the page
    figure = Figure(figsize=(min(WIDTH, 1.5 + 1.1 * max(columns, 3)), 0.6 + 2.5 * blocks), layout="constrained")
    panels = figure.subplots(2 * blocks, columns, squeeze=False)
    for index in range(columns * blocks):
        block, column = divmod(index, columns)
        for row, metric in enumerate(METRICS):
            ax = panels[2 * block + row, column]
            if index >= len(students):
                ax.set_axis_off()
                continue
            student, axis = students[index], axes[metric]
            *seeds, means = pairs[metric][index]
            for pair in seeds:
                _draw_pair(ax, axis, pair, [0, 1], _colour(student, pair, metric), SEED)
            _draw_pair(ax, axis, means, [0, 1], _colour(student, means, metric), MEANS)
            for end, mean in enumerate(means):
                if axis.beyond(mean):
                    _write(ax, f"{mean:.2f}", axis.turned(end, mean), right=end == 1, rise=-5 * axis.beyond(mean))
            ax.set_xlim(-0.25, 1.25)
            of_base = student["base_name"]
            ax.set_xticks([0, 1], [of_base if len(of_base) < 9 else "base", "student"], fontsize=FONT)
            if row == 0:
                ax.set_title(f"{printed(student['architecture'])}\n{student['name']}", fontsize=FONT)
            if column == 0:
                ax.set_ylabel(METRICS[metric])
            else:
                ax.tick_params(labelleft=False)
    for row, metric in enumerate(METRICS):
        _share_scale(panels[row::2].ravel(), axes[metric], least=0.0 if metric == "deo_a" else None)
    figure.suptitle(f"{dataset}: students and their bases, one line per seed", fontsize=9)
    return figure


def _in_rows(
    students: Sequence[Mapping], pairs: Mapping[str, Sequence[np.ndarray]], axes: Mapping[str, Axis], dataset: str
) -> Figure:
    names = [_name(student, alone=_of_one_architecture(students)) for student in students]
    height = min(HEIGHT, 1.2 + 0.27 * len(students))
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for ax, (metric, label) in zip(panels, METRICS.items(), strict=True):
        axis = axes[metric]
        for place, student in enumerate(students):
            *seeds, means = pairs[metric][place]
            for at, pair in zip(place + np.linspace(-0.1, 0.38, len(seeds)), seeds, strict=True):
                _draw_pair(ax, axis, pair, [at, at], _colour(student, pair, metric), SEED, marked=[1])
            colour = _colour(student, means, metric)
            above = place - 0.3
            _draw_pair(ax, axis, means, [above, above], colour, MEANS, marked=[1])
            base = axis.mark(means[0])
            ax.plot(*axis.turned(above, means[0]), base, ms=4, color=colour, mfc="white", clip_on=False)
            for side in (-1, 1):
                if beyond := [mean for mean in means if axis.beyond(mean) == side]:
                    text = " to ".join(map("{:.2f}".format, beyond))
                    _write(ax, text, axis.turned(above, beyond[0]), right=side == 1)
        ax.set(xlabel=label, ylim=(len(students) - 0.5, -0.5))
        ax.grid(True, axis="x")
        ax.hlines(np.arange(1, len(students)) - 0.5, 0, 1, transform=ax.get_yaxis_transform(), color="0.85", lw=0.5)
        ax.grid(False, axis="y")
        ax.set_xlim(*axis.ends)
    panels[0].set_xlim(left=0)
    # in points, of the room that a row has
    room = 72 * (height - 1.2) / len(students)
    size = min(FONT, 0.8 * room / max(1 + name.count("\n") for name in names))
    panels[0].set_yticks(range(len(students)), names, fontsize=size)
    for ax in panels:
        ax.tick_params(axis="y", length=0)
    of_all = f", {printed(students[0]['architecture'])}" if _of_one_architecture(students) else ""
    figure.suptitle(f"{dataset}{of_all}: from the base (○) to the student (●)", fontsize=9)
    return figure


def _draw_pair(
    ax: Axes,
    axis: Axis,
    pair: np.ndarray,
    beside: Sequence[float],
    colour: Any,
    look: dict,
    marked: Sequence[int] = (0, 1),
) -> None:
    """Draw the line from the base to the student, and marks: at those of its ends that are `marked`, or beyond."""
    beyond = [end for end in (0, 1) if axis.beyond(pair[end])]
    ax.plot(*axis.turned(beside, pair), color=colour, markevery=[end for end in marked if end not in beyond], **look)
    for end in beyond:
        arrow = look | {"marker": axis.mark(pair[end]), "ms": look["ms"] + ARROW}
        ax.plot(*axis.turned(beside[end], pair[end]), color=colour, **arrow)


def _write(ax: Axes, text: str, at: tuple[float, float], *, right: bool, rise: float = 0) -> None:
    """Write the value of what lies beyond the axis beside its arrow, and `rise` points higher."""
    place: dict[str, Any] = {"xytext": (4 if right else -4, rise), "ha": "left" if right else "right", "va": "center"}
    ax.annotate(text, at, textcoords="offset points", fontsize=SMALL, path_effects=HALO, zorder=4, **place)


def _of_one_architecture(students: Iterable[Mapping]) -> bool:
    return len({student["architecture"] for student in students}) == 1


def _name(student: Mapping, *, alone: bool) -> str:
    """The student's name and, where that is not the teacher of its architecture, its base's below it."""
    name = student["name"] if alone else f"{printed(student['architecture'])} {student['name']}"
    other = student["base_architecture"] if student["base_architecture"] != student["architecture"] else ""
    if not other and student["base_method"] == TEACHER:
        return name
    return f"{name}\nfrom {f'{printed(other)} ' if other else ''}{student['base_name']}"


def _pairs(student: Mapping, values: Mapping[tuple, pd.Series], metric: str) -> np.ndarray:
    """The base's value and the student's, of each seed that both have, and the means of these, (seeds + 1, 2)."""
    names = [
        (student["dataset"], student["base_architecture"], student["base_method"], metric),
        (student["dataset"], student["architecture"], student["method"], metric),
    ]
    if missing := [name for name in names if name not in values]:
        raise UserError(f"summary.csv has no {' '.join(missing[0])}, which paired.csv names; make both anew")
    both = pd.concat([values[name] for name in names], axis=1, join="inner").to_numpy()
    return np.vstack([both, both.mean(axis=0)])


def _axis(students: Sequence[Mapping], pairs: Sequence[np.ndarray], metric: str, *, upright: bool) -> Axis:
    """The axis that holds all models, or of a crowd those that are not far off from the means of the students."""
    if len(students) <= MOST_SHOWN:
        return Axis(-np.inf, np.inf, upright)
    means = pd.DataFrame([pair[-1] for pair in pairs], columns=["base", "student"])
    near = means.apply(within_fences, crowd=means["student"])
    # students are looked at beside the base that they share
    near["base"] |= pd.DataFrame(students)[BASE].duplicated(keep=False)
    shown = np.concatenate([pair[:, of] for pair, of in zip(pairs, near.to_numpy(), strict=True)], axis=None)
    every = np.concatenate(pairs, axis=None)
    room = 0.05 * max(np.ptp(shown), 0.01)
    low, high = shown.min() - room, shown.max() + room
    # that of a DEO begins at zero
    low = low if metric == "accuracy" and every.min() < low else -np.inf
    return Axis(low, high if every.max() > high else np.inf, upright)


def _colour(student: Mapping, pair: Iterable[float], metric: str) -> tuple[float, float, float]:
    base, own = pair
    if np.isclose(base, own) or (metric == "deo_a" and student["at_chance"]):
        return NEITHER
    return BETTER if (own < base) == (metric == "deo_a") else WORSE


def _share_scale(axes: Iterable[Axes], axis: Axis, least: float | None) -> None:
    drawn = [ax for ax in axes if ax.lines]
    low, high = min(ax.get_ylim()[0] for ax in drawn), max(ax.get_ylim()[1] for ax in drawn)
    room = 0.05 * (high - low)
    for ax in drawn:
        ax.set_ylim(low - room if least is None else least, high + room)
        ax.set_ylim(*axis.ends)


def _add_legend(figure: Figure, rows: pd.DataFrame, *, arrow: str) -> None:
    """What colours, widths, marks behind names and, where there are such, arrows mean."""
    meanings = {
        BETTER: "lower DEO$_A$ or higher accuracy (observed)",
        WORSE: "the opposite",
        NEITHER: "no difference",
    }
    if rows["at_chance"].any():
        meanings[NEITHER] += f", or DEO at chance ({CHANCE_MARK})"
    note = textwrap.fill(" ".join(notes_on_names(rows)), int(18 * figure.get_figwidth())) or None
    lines = [Line2D([], [], color=colour, label=meaning, **MEANS) for colour, meaning in meanings.items()]
    widths = {"mean over seeds": MEANS, "one seed": SEED}
    lines += [Line2D([], [], color="black", label=meaning, **width) for meaning, width in widths.items()]
    if arrow:
        far = MEANS | {"marker": arrow, "ms": MEANS["ms"] + ARROW, "linestyle": "none"}
        lines.append(Line2D([], [], color="black", label="beyond the axis, means with their values", **far))
    # two columns: colours, and widths
    figure.legend(handles=lines, loc="outside lower center", ncols=2, title=note, title_fontsize=6, fontsize=FONT)
