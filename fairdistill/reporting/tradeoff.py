"""The trade-off figure: accuracy against DEO_A and DEO_M of all methods on one data set."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP

from fairdistill.reporting import legend
from fairdistill.reporting.columns import DEO
from fairdistill.reporting.fences import far_off
from fairdistill.reporting.labels import method_numbers, printed
from fairdistill.reporting.ranking import pareto_front
from fairdistill.reporting.style import HALO, PALETTE, PANELS, STYLE, styled
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import TEACHER

COLOURS = {
    "plain training": PALETTE[7],
    "distillation": PALETTE[0],
    "MFD": PALETTE[3],
    "pre-processing": PALETTE[4],
    "in-processing": PALETTE[2],
    "post-processing": PALETTE[8],
    "imported": PALETTE[5],
    # a method of a kind that is not known has none
    "": "white",
}
TEACHER_COLOUR = "black"
MARKER, GROUP_MARKER, TEACHER_MARKER, CHANCE_MARKER = "o", "^", "s", "X"
# Up to so many students are named beside their points; more have numbers, and a key.
MOST_NAMES = 6
# Size of a point's mark, and of texts, in points.
SIZE, FONT = 5.5, 7
# Width of the edge of a point that belongs beyond the panel, in points.
BEYOND = 1.4
# Line style of the intervals of one training, where others are of several.
SINGLE_STYLE = ":"
# Size of the arrowhead on an interval that the panel cuts off, in points.
ARROW = 3.5
# The line of an interval is no lighter than this, where white is 1: a pale yellow one is not seen on white.
LIGHTEST = 0.5
# Shares of red, green and blue in the lightness of a colour.
LUMA = (0.299, 0.587, 0.114)
# Distances that the middle of a label may have from its point, in points, and the directions, in radians.
DISTANCES = (8, 11, 15, 20, 26, 33, 41, 50)
ANGLES = np.deg2rad(np.arange(0, 360, 15))
# A label that is nearer to another point than to its own is as bad as one that is covered by so much of its area.
MISLEADING = 0.5
# How often the place of each label is chosen.
ROUNDS = 5


def plot_tradeoff(table: pd.DataFrame, dataset: str) -> Figure:
    """Draw each method of a data set by its accuracy and its DEO, one row of panels for each architecture.

    Points are means over seeds, with the 95 % intervals of both; an interval that the panel does not hold is cut off,
    with an arrowhead. Methods that share a point share a label. A crowd has panels that leave out what is far off and
    better than the median in nothing: such a point is at the border, hollow and without intervals, beside others there,
    and its label says where it belongs. The line is the Pareto front of the students' means in that panel; methods that
    are at chance are on none. Numbers are those of `method_numbers`.

    Parameters
    ----------
    table : DataFrame
        See `fairdistill.reporting.ranking.rank_methods`.
    dataset : str
        One of the table's.

    Raises
    ------
    UserError
        If the table has no such data set.
    """
    if dataset not in set(table["dataset"]):
        raise UserError(f"no methods on '{dataset}' to draw; the table has {', '.join(table['dataset'].unique())}")
    table = table[table["dataset"] == dataset]
    numbers = method_numbers(table)
    named = len(numbers) <= MOST_NAMES
    # where all are of one training, the legend says so
    alone = SINGLE_STYLE if (table["trainings"] > 1).any() else "-"
    labels = {name: name if named else str(number) for name, number in numbers.items()}
    architectures = table["architecture"].unique()
    with styled(STYLE | {"axes.grid.axis": "both"}):
        # a crowd needs the whole width
        rows, columns, height = (len(architectures), 2, 3.2) if named else (2 * len(architectures), 1, 3.5)
        figure = Figure(figsize=(7, height * rows), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
        panels = [
            (ax, table[table["architecture"] == architecture], deo)
            for (architecture, deo), ax in zip(product(architectures, DEO), axes.flat, strict=True)
        ]
        cut = some_beyond = False
        for ax, methods, deo in panels:
            # the teacher is what all others are looked at beside
            shown = methods if named else methods[~far_off(methods, deo) | (methods["method"] == TEACHER)]
            ax.set_xlim(*_limits(shown, deo))
            ax.set_ylim(*_limits(shown, "accuracy"))
            beyond = _beyond(ax, methods[[deo, "accuracy"]].to_numpy())
            some_beyond |= bool(beyond.any())
            cut |= _draw_intervals(ax, methods[~beyond], deo, alone=alone)
            _draw_front(ax, methods, deo)
            ax.set(title=f"{printed(dataset)}, {printed(methods['architecture'].iloc[0])}", xlabel=PANELS[deo][1])
            ax.set_ylabel("Accuracy" if deo == DEO[0] or not named else "")
        _add_legend(figure, table, alone=alone, cut=cut, beyond=some_beyond)
        if not named:
            _add_key(figure, table, labels)
        # where the points are is known only now
        figure.draw_without_rendering()
        for ax, methods, deo in panels:
            _draw_points(ax, methods, deo, labels)
    return figure


def _beyond(ax: Axes, points: np.ndarray) -> np.ndarray:
    """Return which of the points (n, 2) lie outside the panel, (n,)."""
    low, high = np.transpose([ax.get_xlim(), ax.get_ylim()])
    return ((points < low) | (points > high)).any(axis=1)


def _held(ax: Axes, points: np.ndarray) -> np.ndarray:
    """Return the points (n, 2), those outside the panel moved to a little within its border, beside each other."""
    low, high = np.transpose([ax.get_xlim(), ax.get_ylim()])
    room = 0.02 * (high - low)
    held = np.where(_beyond(ax, points)[:, None], points.clip(low + room, high - room), points)
    of_mark = (SIZE + BEYOND) * ax.figure.dpi / 72 * (high - low) / ax.bbox.size
    side = (points > high).astype(int) - (points < low)
    # one in a corner is moved along x
    side[side[:, 1] != 0, 0] = 0
    for along, across in ((0, 1), (1, 0)):
        for border in (-1, 1):
            there = side[:, across] == border
            held[there, along] = _apart(held[there, along], of_mark[along], most=(high - room)[along])
    return held


def _apart(values: np.ndarray, gap: float, *, most: float) -> np.ndarray:
    """Return values moved up until each is a gap from the next, or down where they would exceed `most`."""
    order = values.argsort(kind="stable")
    steps = gap * np.arange(len(values))
    moved = np.maximum.accumulate(values[order] - steps) + steps
    return np.minimum(moved, most - steps[::-1])[order.argsort()]


def _marker(row: Mapping) -> dict:
    """How the point of a method looks."""
    if row["role"] == "teacher":
        return {"marker": TEACHER_MARKER, "mfc": TEACHER_COLOUR}
    marker = CHANCE_MARKER if row["at_chance"] else GROUP_MARKER if row["needs_group"] else MARKER
    return {"marker": marker, "mfc": COLOURS[row["family"]]}


def _draw_intervals(ax: Axes, methods: pd.DataFrame, deo: str, *, alone: str) -> bool:
    """Draw the intervals of each method, in the line style `alone` where they are of one training.

    Where the panel cuts one off there is an arrowhead; return whether it does.
    """
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    cut = []
    for row in methods.to_dict("records"):
        x, y = row[deo], row["accuracy"]
        line: dict[str, Any] = {"color": _darkened(_marker(row)["mfc"]), "linewidth": 0.7, "alpha": 0.5, "zorder": 2}
        line["linestyle"] = alone if row["trainings"] == 1 else "-"
        ax.plot([row[f"{deo}_low"], row[f"{deo}_high"]], [y, y], **line)
        ax.plot([x, x], [row["accuracy_low"], row["accuracy_high"]], **line)
        heads: list[tuple[Any, ...]] = [
            (left, y, CARETLEFT, row[f"{deo}_low"] < left),
            (right, y, CARETRIGHT, row[f"{deo}_high"] > right),
            (x, bottom, CARETDOWN, row["accuracy_low"] < bottom),
            (x, top, CARETUP, row["accuracy_high"] > top),
        ]
        for x_head, y_head, head, is_cut in heads:
            if is_cut:
                look = {"s": ARROW**2, "color": line["color"], "marker": head, "lw": 0}
                ax.scatter(x_head, y_head, clip_on=False, zorder=2.5, **look)
        cut += [is_cut for *_, is_cut in heads]
    return any(cut)


def _draw_points(ax: Axes, methods: pd.DataFrame, deo: str, labels: Mapping[str, str]) -> None:
    """Draw each method, hollow at the border if it lies outside the panel, and write one label at each point."""
    values = methods[[deo, "accuracy"]]
    # those of one model by several names differ in nothing but rounding
    of_point = values.round(9).groupby([*values], sort=False).ngroup().to_numpy()
    points = values.groupby(of_point).first().to_numpy()
    held, beyond = _held(ax, points), _beyond(ax, points)
    names: list[list[str]] = [[] for _ in points]
    for row, i in zip(methods.to_dict("records"), of_point, strict=True):
        look: dict[str, Any] = {"mec": "black", "mew": 0.5} | _marker(row)
        if beyond[i]:
            look |= {"mfc": "none", "mec": _darkened(look["mfc"]), "mew": BEYOND}
        # a student is seen above the teacher, whose square is larger than a circle
        zorder = 2.9 if row["role"] == "teacher" else 3
        ax.plot(*held[i], linestyle="none", ms=SIZE, zorder=zorder, **look)
        names[i].append(row["method"] if row["role"] == "teacher" else labels[row["method"]])
    texts = [", ".join(found) for found in names]
    places = [f" ({x:.2f}, {y:.2f})" if far else "" for (x, y), far in zip(points, beyond, strict=True)]
    _label(ax, held, [text + place for text, place in zip(texts, places, strict=True)])


def _darkened(colour: str | tuple[float, float, float]) -> tuple[float, float, float]:
    """A colour that is seen on white: darker where it is too light."""
    found = to_rgb(colour)
    lightness = float(np.dot(found, LUMA))
    red, green, blue = (part * min(1.0, LIGHTEST / max(lightness, LIGHTEST)) for part in found)
    return red, green, blue


def _limits(methods: pd.DataFrame, metric: str) -> tuple[float, float]:
    """The range of the points, and of intervals of the usual length: that of two seeds may be wider than the panel."""
    least, most = methods[metric].min(), methods[metric].max()
    low, high = methods[f"{metric}_low"], methods[f"{metric}_high"]
    beyond = max(0.25 * (most - least), 0.75 * (high - low).median())
    least, most = max(least - beyond, min(least, low.min())), min(most + beyond, max(most, high.max()))
    room = 0.04 * max(most - least, 0.01)
    return least - room, most + room


def _draw_front(ax: Axes, methods: pd.DataFrame, deo: str) -> None:
    students = methods[(methods["role"] == "student") & ~methods["at_chance"]]
    front = students[pareto_front(students["accuracy"], students[deo])].sort_values(deo)
    if front.empty:
        return
    x, y = front[deo].to_numpy(), front["accuracy"].to_numpy()
    right, bottom = ax.get_xlim()[1], ax.get_ylim()[0]
    # up to each point at its DEO, and on at its accuracy
    ax.step([x[0], *x, right], [bottom, *y, y[-1]], where="post", color="0.35", lw=0.9, ls="--", zorder=1.5)


def _label(ax: Axes, points: np.ndarray, texts: Sequence[str]) -> None:
    """Write each text near its point, where it covers no point and no other text.

    A line leads to a text that is further off, or nearer to another point than to its own.
    """
    scale = ax.figure.dpi / 72
    at = ax.transData.transform(points)
    panel = np.asarray(ax.bbox.extents)[None]
    half = (SIZE + BEYOND) * scale / 2
    marks = np.hstack([at - half, at + half])
    labels, offsets, boxes, misleading, costs = [], [], [], [], []
    for i, written in enumerate(texts):
        label = ax.annotate(
            written, points[i], xytext=(0, 0), textcoords="offset points", ha="center", va="center", fontsize=FONT
        )
        # the layout is done
        label.set(in_layout=False, path_effects=HALO, zorder=5)
        box = label.get_window_extent()
        wide = (box.width / scale - FONT) / 2
        places = np.array(
            [(d * np.cos(a) + wide * np.sign(np.cos(a).round(6)), d * np.sin(a)) for d, a in product(DISTANCES, ANGLES)]
        )
        # as arrays of x0, y0, x1, y1
        found = np.asarray(box.padded(1).extents) + scale * np.tile(places, 2)
        area = np.prod(found[:, 2:] - found[:, :2], axis=1)
        distances = _distances(found, at)
        labels.append(label)
        offsets.append(places)
        boxes.append(found)
        misleading.append(distances[:, i] > distances.min(axis=1))
        costs.append(_covered(found, marks) + area - _covered(found, panel) + MISLEADING * area * misleading[i])
    # those in a crowd have the least choice, and choose first; then all choose again, now that they know the others
    crowd = [(np.hypot(*(at - one).T) < 40 * scale).sum() for one in at]
    order = sorted(range(len(texts)), key=lambda i: (-crowd[i], i))
    best: dict[int, int] = {}
    for i in order * ROUNDS:
        others = np.array([boxes[j][place] for j, place in best.items() if j != i]).reshape(-1, 4)
        best[i] = int(np.argmin((costs[i] + _covered(boxes[i], others)).round(6)))
    for i, place in best.items():
        labels[i].set_position(offsets[i][place])
        if place >= len(ANGLES) or misleading[i][place]:
            end = ax.transData.inverted().transform(at[i] + scale * offsets[i][place])
            ax.plot(*zip(points[i], end, strict=True), color="0.3", lw=0.4, zorder=2.5)


def _covered(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How much of each box lies on the others together, those that overlap counted twice."""
    sides = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    return sides.clip(0).prod(axis=2).sum(axis=1)


def _distances(boxes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How far each point (n, 2) is from each box (b, 4), (b, n)."""
    beyond = np.maximum(boxes[:, None, :2] - points, points - boxes[:, None, 2:]).clip(0)
    return np.hypot(*np.moveaxis(beyond, -1, 0))


def _add_legend(figure: Figure, table: pd.DataFrame, *, alone: str, cut: bool, beyond: bool) -> None:
    """What colours, marks and lines mean, above the panels; `alone` is the line style of one training's intervals."""
    point: dict[str, Any] = {"linestyle": "none", "ms": SIZE, "mec": "black", "mew": 0.5}
    students = table[table["role"] == "student"]
    handles = {
        family: Line2D([], [], marker=MARKER, mfc=colour, **point)
        for family, colour in COLOURS.items()
        if family in set(students["family"]) and family
    }
    if (table["role"] == "teacher").any():
        handles["teacher"] = Line2D([], [], marker=TEACHER_MARKER, mfc=TEACHER_COLOUR, **point)
    if students["needs_group"].any():
        handles[legend.NEEDS_GROUP] = Line2D([], [], marker=GROUP_MARKER, mfc="white", **point)
    if students["at_chance"].any():
        handles[legend.CHANCE] = Line2D([], [], marker=CHANCE_MARKER, mfc="white", **point)
    single = table["trainings"] == 1
    if not single.all():
        handles[legend.INTERVAL] = Line2D([], [], color="0.5", lw=0.8)
    if single.any():
        handles[legend.ALONE] = Line2D([], [], color="0.5", lw=0.8, ls=alone)
    if cut:
        handles["interval beyond the panel"] = Line2D([], [], color="0.5", lw=0.8, marker=">", ms=ARROW)
    handles["Pareto front of the students"] = Line2D([], [], color="0.35", lw=0.9, ls="--")
    if beyond:
        hollow = point | {"mec": "0.3", "mew": BEYOND}
        handles["beyond the panel: (DEO, accuracy)"] = Line2D([], [], marker=MARKER, mfc="none", **hollow)
    columns = _add_fitting(figure, [*handles.values()], [*handles], loc="outside upper center")
    figure.set_figheight(figure.get_figheight() + 0.17 * ceil(len(handles) / columns))


def _add_key(figure: Figure, table: pd.DataFrame, labels: dict[str, str]) -> None:
    """The method of each number, below the panels."""
    rows = table.drop_duplicates("method").set_index("method", drop=False)
    handles = [
        Line2D([], [], linestyle="none", ms=SIZE, mec="black", mew=0.5, **_marker(rows.loc[name].to_dict()))
        for name in labels
    ]
    texts = [f"{number}  {name}" for name, number in labels.items()]
    small: dict[str, Any] = {"fontsize": FONT, "handletextpad": 0.1, "columnspacing": 0.8}
    columns = _add_fitting(figure, handles, texts, loc="outside lower center", **small)
    figure.set_figheight(figure.get_figheight() + 0.155 * ceil(len(texts) / columns))


def _add_fitting(figure: Figure, handles: list[Line2D], texts: list[str], **options: Any) -> int:
    """Add a legend with as many columns as the figure is wide enough for; return how many."""
    columns = min(5, len(handles))
    while True:
        drawn = figure.legend(handles, texts, ncols=columns, **options)
        if columns == 1 or drawn.get_window_extent().width <= figure.bbox.width:
            return columns
        drawn.remove()
        columns -= 1
