"""The figures that compare all methods: what is drawn where, labels that do not lie on each other, the same bytes."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from figure_texts import cut_texts
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from fairdistill.reporting.cell_map import plot_cells
from fairdistill.reporting.figure_files import save
from fairdistill.reporting.notes import AT_CHANCE_NOTE, GROUP_NOTE, ONE_TRAINING_NOTE
from fairdistill.reporting.ranking import CELLS, RANKED
from fairdistill.reporting.tradeoff import COLOURS, MOST_NAMES, SIZE, plot_tradeoff
from fairdistill.reporting.training_curves import plot_training_curves, read_histories
from fairdistill.runtime.errors import UserError

GROUPS, CLASSES = ["gray", "color"], ["airplane", "automobile", "bird"]


def ranked(students, architectures=("resnet",), **changes):
    """A table of made-up methods, most of them in a crowd, and their teachers."""
    rng, rows = np.random.default_rng(0), []
    families = [family for family in COLOURS if family]
    for architecture in architectures:
        for i in range(students + 1):
            row = dict.fromkeys(RANKED, False) | {"dataset": "cifar10s", "architecture": architecture}
            row |= {"rank": i or np.nan, "method": f"a_method_{i}" if i else "teacher", "n": 2, "trainings": 2}
            row |= {"role": "student" if i else "teacher", "family": families[i % len(families)], "base": ""}
            for metric, centre in {"accuracy": 0.76, "deo_a": 0.12, "deo_m": 0.25}.items():
                value, half = centre + 0.01 * rng.standard_normal(), 0.02 + 0.1 * (i == 3)
                row |= {metric: value, f"{metric}_low": value - half, f"{metric}_high": value + half}
            rows.append(row)
    return pd.DataFrame(rows).assign(**changes)


def texts_of(ax):
    return [text for text in ax.texts if text.get_text()]


@pytest.mark.parametrize("students", [4, 30])
def test_labels_lie_neither_on_each_other_nor_on_points_nor_outside(students):
    figure = plot_tradeoff(ranked(students, ("resnet", "shufflenet")), "cifar10s")
    assert cut_texts(figure) == []
    FigureCanvasAgg(figure).draw()

    assert len(figure.axes) == 4
    for ax in figure.axes:
        boxes = [text.get_window_extent() for text in texts_of(ax)]
        assert len(boxes) == students + 1
        assert [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])] == []
        points = [line for line in ax.lines if line.get_marker() not in ("None", "", None)]
        assert len(points) == students + 1
        at = ax.transData.transform([(line.get_xdata()[0], line.get_ydata()[0]) for line in points])
        assert not [box for box in boxes for point in at if box.contains(*point)]
        assert all(ax.bbox.contains(*corner) for box in boxes for corner in box.corners())


@pytest.mark.parametrize("students", [10, 30])
def test_a_label_is_nearest_to_its_own_point_or_a_line_leads_to_it(students):
    table = ranked(students)
    # two neighbours at the border
    table.loc[[1, 2], "accuracy"] = 0.3
    table.loc[[1, 2], ["deo_a", "deo_m"]] = [[0.130, 0.260], [0.131, 0.261]]
    for ax in plot_tradeoff(table, "cifar10s").axes:
        lines = [line for line in ax.lines if line.get_marker() not in ("None", "", None)]
        points = ax.transData.transform([(line.get_xdata()[0], line.get_ydata()[0]) for line in lines])
        leaders = [ax.transData.transform(line.get_xydata()) for line in ax.lines if line.get_linewidth() == 0.4]
        for text in texts_of(ax):
            own = 0 if text.get_text() == "teacher" else int(text.get_text().split()[0])
            box = text.get_window_extent()
            beyond = np.maximum(box.min - points, points - box.max).clip(0)
            nearest = np.hypot(*beyond.T).argmin() == own
            led = any(np.allclose(a, points[own]) and box.contains(*b) for a, b in leaders)
            assert nearest or led, text.get_text()


def test_few_methods_are_named_and_many_have_a_key():
    few, many = (plot_tradeoff(ranked(students), "cifar10s") for students in (4, 30))

    assert {text.get_text() for text in texts_of(few.axes[0])} == {"teacher", *(f"a_method_{i}" for i in range(1, 5))}
    assert len(few.legends) == 1
    key = [text.get_text() for text in many.legends[1].get_texts()]
    assert key == [f"{i}  a_method_{i}" for i in range(1, 31)]


def test_points_and_intervals_are_those_of_the_table():
    table = ranked(4)
    for measure, ax in zip(("deo_a", "deo_m"), plot_tradeoff(table, "cifar10s").axes, strict=True):
        segments = {tuple(np.round([*line.get_xdata(), *line.get_ydata()], 9)) for line in ax.lines}
        for row in table.to_dict("records"):
            x, y = row[measure], row["accuracy"]
            expected = [(x, y), (row[f"{measure}_low"], row[f"{measure}_high"], y, y)]
            expected.append((x, x, row["accuracy_low"], row["accuracy_high"]))
            assert {tuple(np.round(one, 9)) for one in expected} <= segments


@pytest.mark.parametrize(
    ("trainings", "dotted", "said"),
    [
        ([2, 2, 2], [], ["95 % interval"]),
        ([1, 1, 1], [], ["95 % interval, test images alone"]),
        ([2, 1, 3], [1], ["95 % interval", "95 % interval, test images alone"]),
    ],
)
def test_intervals_of_one_training_are_told_from_others(trainings, dotted, said):
    table = ranked(2, trainings=trainings)
    figure = plot_tradeoff(table, "cifar10s")
    whiskers = [line for line in figure.axes[0].lines if line.get_linewidth() == 0.7]
    assert [line.get_linestyle() == ":" for line in whiskers] == [i in dotted for i in range(3) for _ in "xy"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text for text in legend if "interval" in text] == said


def test_the_front_goes_through_the_best_and_not_through_teachers_and_models_at_chance():
    table = ranked(4)
    table["accuracy"] = [0.99, 0.7, 0.8, 0.75, 0.9]
    table["deo_a"] = [0.0, 0.1, 0.2, 0.3, 0.05]
    table["at_chance"] = table["method"] == "a_method_4"

    figure = plot_tradeoff(table, "cifar10s")

    (front,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    assert front.get_xdata()[:3].tolist() == [0.1, 0.1, 0.2]
    assert front.get_ydata()[1:].tolist() == [0.7, 0.8, 0.8]
    assert "at chance" in {text.get_text() for text in figure.legends[0].get_texts()}


def test_in_a_crowd_a_point_that_is_far_off_is_at_the_border_and_says_where_it_belongs():
    table = ranked(30)
    table.loc[7, ["accuracy", "deo_a", "deo_m"]] = 0.1, 0.9, 0.28

    for ax in plot_tradeoff(table, "cifar10s").axes:
        low, high = ax.get_ylim()
        assert low > 0.5
        lines = [line for line in ax.lines if line.get_marker() not in ("None", "", None)]
        assert all(low < line.get_ydata()[0] < high for line in lines)
        # it alone is hollow
        hollow = [line.get_ydata()[0] for line in lines if line.get_markerfacecolor() == "none"]
        assert hollow == [min(line.get_ydata()[0] for line in lines)]
        (text,) = (text.get_text() for text in texts_of(ax) if "(" in text.get_text())
        assert text == f"7 ({0.9 if 'A' in ax.get_xlabel() else 0.28:.2f}, 0.10)"

    (legend, _) = plot_tradeoff(table, "cifar10s").legends
    handles = {text.get_text(): line for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)}
    assert handles["beyond the panel: (DEO, accuracy)"].get_markerfacecolor() == "none"

    # the teacher is always shown where it is
    table.loc[0, "accuracy"] = 0.3
    assert plot_tradeoff(table, "cifar10s").axes[0].get_ylim()[0] < 0.3

    # few are shown as they are
    few = ranked(4)
    few.loc[3, "accuracy"] = 0.1
    assert plot_tradeoff(few, "cifar10s").axes[0].get_ylim()[0] < 0.1


@pytest.mark.parametrize(("accuracy", "deo"), [(0.1, 0.01), (0.99, 0.9)], ids=["fairer", "more accurate"])
def test_in_a_crowd_what_is_far_off_but_better_than_the_median_is_shown_with_its_intervals(accuracy, deo):
    """A method that is fair at a high price begins the front, which a reader looks for."""
    table = ranked(30)
    table.loc[7, ["accuracy", "deo_a", "deo_m"]] = accuracy, deo, deo

    for ax in plot_tradeoff(table, "cifar10s").axes:
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        assert left < deo < right
        assert bottom < accuracy < top
        assert not [line for line in ax.lines if line.get_markerfacecolor() == "none"]
        assert sum(line.get_linewidth() == 0.7 for line in ax.lines) == 2 * 31


def test_in_a_crowd_a_method_at_chance_does_not_stretch_the_panel():
    table = ranked(30)
    table.loc[7, ["accuracy", "deo_a", "deo_m", "at_chance"]] = 0.1, 0.0, 0.0, True
    assert all(ax.get_ylim()[0] > 0.5 for ax in plot_tradeoff(table, "cifar10s").axes)


def test_points_at_one_place_of_the_border_are_beside_each_other():
    table = ranked(30)
    # in a corner, at the lower border, and at the right one
    table.loc[[5, 6, 7], ["accuracy", "deo_a", "deo_m"]] = [[0.1, 0.9, 0.9], [0.2, 0.8, 0.8], [0.3, 0.7, 0.7]]
    table.loc[[8, 9], ["accuracy", "deo_a", "deo_m"]] = [[0.1, 0.13, 0.26], [0.2, 0.13, 0.26]]
    table.loc[[10, 11], ["accuracy", "deo_a", "deo_m"]] = [[0.75, 0.9, 0.9], [0.7501, 0.8, 0.8]]

    figure = plot_tradeoff(table, "cifar10s")
    FigureCanvasAgg(figure).draw()

    for ax in figure.axes:
        hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
        at = ax.transData.transform([(line.get_xdata()[0], line.get_ydata()[0]) for line in hollow])
        mark = SIZE * figure.dpi / 72
        assert len(at) == 7
        assert min(np.hypot(*(a - b)) for a, b in combinations(at, 2)) > mark
        edges = np.hstack([at - mark / 2, at + mark / 2])
        assert (edges[:, :2] >= ax.bbox.min).all()
        assert (edges[:, 2:] <= ax.bbox.max).all()
        # none has left its border
        assert [np.isclose(at[i:j, axis], at[i, axis]).all() for i, j, axis in [(0, 5, 1), (5, 7, 0)]] == [True, True]
        # and their intervals would begin elsewhere
        assert sum(line.get_linewidth() == 0.7 for line in ax.lines) == 2 * (31 - 7)


def test_an_interval_that_the_panel_cuts_off_has_an_arrowhead_at_the_border():
    table = ranked(10)
    whole, figure = plot_tradeoff(table.drop(index=3), "cifar10s"), plot_tradeoff(table, "cifar10s")

    row = table.loc[3]
    for deo, ax in zip(("deo_a", "deo_m"), figure.axes, strict=True):
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        ends = [row["accuracy_low"] - bottom, top - row["accuracy_high"]]
        ends += [row[f"{deo}_low"] - left, right - row[f"{deo}_high"]]
        assert max(ends) < 0
        expected = [(left, row["accuracy"]), (right, row["accuracy"]), (row[deo], bottom), (row[deo], top)]
        np.testing.assert_allclose([points.get_offsets()[0] for points in ax.collections], expected)
    assert not any(ax.collections for ax in whole.axes)
    legends = [[text.get_text() for text in one.legends[0].get_texts()] for one in (whole, figure)]
    assert set(legends[1]) - set(legends[0]) == {"interval beyond the panel"}


def test_methods_that_share_a_point_share_a_label():
    table = ranked(10)
    measures = ["accuracy", "deo_a", "deo_m"]
    table.loc[[8, 9], measures] = table.loc[[7, 7], measures].to_numpy()
    table.loc[10, measures] = table.loc[0, measures]
    # on one of the two axes they still differ
    table.loc[9, "deo_m"] += 0.01

    texts = [{text.get_text() for text in texts_of(ax)} for ax in plot_tradeoff(table, "cifar10s").axes]

    alone = {"1", "2", "3", "4", "5", "6", "teacher, 10"}
    assert texts == [{*alone, "7, 8, 9"}, {*alone, "7, 8", "9"}]


@pytest.mark.parametrize("students", [4, 30])
def test_legends_are_no_wider_than_the_figure(students):
    table = ranked(students, needs_group=True, at_chance=True, trainings=1)
    table.loc[students, "accuracy"] = 0.0

    figure = plot_tradeoff(table.replace("a_method_1", "a_method_whose_name_is_as_long_as_names_get"), "cifar10s")
    FigureCanvasAgg(figure).draw()

    for legend in figure.legends:
        box = legend.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width


def test_intervals_are_seen_on_white_whatever_the_colour_of_the_points():
    figure = plot_tradeoff(ranked(len(COLOURS)), "cifar10s")
    intervals = [line for line in figure.axes[0].lines if line.get_linestyle() == "-" and line.get_marker() == "None"]
    lightness = [np.dot(to_rgb(line.get_color()), (0.299, 0.587, 0.114)) for line in intervals if line.get_alpha()]
    assert len(lightness) == 2 * (len(COLOURS) + 1)
    assert max(lightness) < 0.51
    # points keep theirs
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert COLOURS["post-processing"] in {to_rgb(line.get_markerfacecolor()) for line in points}


def test_methods_that_need_the_group_are_marked():
    table = ranked(4)
    table["needs_group"] = table["method"] == "a_method_2"

    figure = plot_tradeoff(table, "cifar10s")

    point = table.set_index("method").loc["a_method_2"]
    (marked,) = (line for line in figure.axes[0].lines if line.get_marker() == "^")
    assert (marked.get_xdata()[0], marked.get_ydata()[0]) == (point["deo_a"], point["accuracy"])
    assert "needs the group to predict" in {text.get_text() for text in figure.legends[0].get_texts()}


def test_figures_are_the_same_bytes_each_time(tmp_path):
    for name in ("first", "second"):
        save(plot_tradeoff(ranked(3), "cifar10s"), pdf=tmp_path / f"{name}.pdf", png=tmp_path / f"{name}.png")
    for form in ("pdf", "png"):
        assert (tmp_path / f"first.{form}").read_bytes() == (tmp_path / f"second.{form}").read_bytes()


def cells(table):
    rows = [
        ["cifar10s", row["architecture"], row["method"], row["role"], False, group, label, 0.01 * i + 0.1 * a + 0.2 * y]
        for i, row in table.iterrows()
        for a, group in enumerate(GROUPS)
        for y, label in enumerate(CLASSES)
    ]
    return pd.DataFrame(rows, columns=CELLS)


def test_the_heat_map_has_a_row_per_method_by_rank_and_a_column_per_class_and_group():
    table = ranked(4)

    figure = plot_cells(cells(table), methods=table[::-1], dataset="cifar10s", architecture="resnet")
    assert cut_texts(figure) == []

    ax = figure.axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        *(f"a_method_{i}  {i}" for i in (4, 3, 2, 1)), "teacher",
    ]  # fmt: skip
    assert [text.get_text() for text in ax.get_xticklabels()] == GROUPS * 3
    values = np.asarray(ax.collections[0].get_array()).reshape(5, 6)
    # of the last row, the teacher's, by class and then group
    assert values[4] == pytest.approx([0, 10, 20, 30, 40, 50])
    assert values[0] == pytest.approx(values[4] + 4)


def test_the_colours_of_the_heat_map_are_of_the_methods_that_learned():
    table = ranked(8)
    of_cells = cells(table)
    of_cells["accuracy"] += 0.2
    failed = table["method"] == "a_method_8"
    for far in (False, True):
        if far:
            table.loc[failed, "accuracy"] = 0.6 * table["accuracy"].median()
        of_cells.loc[of_cells["method"] == "a_method_8", "accuracy"] = 0.05
        figure = plot_cells(of_cells, methods=table, dataset="cifar10s", architecture="resnet")
        colours, bar = figure.axes[0].collections[0], figure.axes[0].collections[0].colorbar
        assert colours.norm.vmin == pytest.approx(20 if far else 5)
        assert bar.extend == ("min" if far else "neither")
        note = "The colours span the accuracies of all methods but a_method_8."
        assert figure.get_supxlabel() == (note if far else "")


def test_the_heat_map_says_what_methods_are_ranked_by_and_what_the_marks_behind_names_mean():
    table = ranked(4)
    plain = plot_cells(cells(table), methods=table, dataset="cifar10s", architecture="resnet")
    table["needs_group"] = table["method"].isin(["a_method_1", "a_method_2"])
    table["trainings"] = table["trainings"].mask(table["method"].isin(["a_method_2", "teacher"]), 1)
    table["at_chance"] = table["method"] == "a_method_4"

    figure = plot_cells(cells(table), methods=table, dataset="cifar10s", architecture="resnet")

    assert figure.axes[0].get_title() == "CIFAR-10S, ResNet: methods ranked by DEO_A, the lowest first"
    names = ["teacher ‡", "a_method_1 §  1", "a_method_2 § ‡  2", "a_method_3  3", "a_method_4 †  4"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == names
    notes = [AT_CHANCE_NOTE, GROUP_NOTE, ONE_TRAINING_NOTE]
    assert (plain.get_supxlabel(), figure.get_supxlabel().replace("\n", " ")) == ("", " ".join(notes))
    assert cut_texts(figure) == []
    lowest = min(text.get_window_extent().y0 for text in figure.axes[0].get_xticklabels())
    assert figure._supxlabel.get_window_extent().y1 < lowest


def test_a_method_has_one_number_in_all_figures_of_a_data_set():
    table = ranked(MOST_NAMES + 1, ("resnet", "shufflenet"))
    # on the second architecture the ranks are the other way round, and there is one method more
    second = table["architecture"] == "shufflenet"
    table = pd.concat([table[~second], table[second][::-1].replace("teacher", "alone")], ignore_index=True)
    ranks = [*range(1, MOST_NAMES + 2)]
    table.loc[table["architecture"] == "shufflenet", ["rank", "role"]] = [
        (i, "student") for i in [*ranks, len(ranks) + 1]
    ]

    key = [text.get_text() for text in plot_tradeoff(table, "cifar10s").legends[1].get_texts()]
    figure = plot_cells(cells(table), methods=table, dataset="cifar10s", architecture="shufflenet")
    assert cut_texts(figure) == []

    assert key == [*(f"{i}  a_method_{i}" for i in ranks), f"{len(ranks) + 1}  alone"]
    rows = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert rows == [*(f"a_method_{i}  {i}" for i in ranks[::-1]), f"alone  {len(ranks) + 1}"]


def test_what_is_not_in_the_tables_is_one_line():
    table = ranked(2)
    with pytest.raises(UserError, match=r"^no methods on 'utkface' to draw; the table has cifar10s$"):
        plot_tradeoff(table, "utkface")
    with pytest.raises(UserError, match=r"^no methods of shufflenet on cifar10s to draw; make both tables from"):
        plot_cells(cells(table), methods=table, dataset="cifar10s", architecture="shufflenet")


@pytest.fixture
def histories(tmp_path):
    """Of two methods with two seeds, and of one that trains nothing."""
    files = []
    for method in ("erm", "kd", "hardt"):
        for seed in range(2):
            path = tmp_path / f"{method}{seed}.csv"
            epochs = np.arange(1, 5)
            test = np.where(epochs % 2, np.nan, 0.5 + 0.01 * epochs)
            history = {
                "epoch": epochs,
                "loss": 1 / epochs,
                "train_accuracy": 0.6 + 0.05 * epochs,
                "test_accuracy": test,
            }
            # as a training without epochs leaves it
            pd.DataFrame({"epoch": []} if method == "hardt" else history).to_csv(path, index=False)
            files.append(("resnet", method, path))
    return files


def test_training_curves_have_a_line_per_training_and_the_epochs_that_were_evaluated(histories):
    figure = plot_training_curves(read_histories(histories), dataset="cifar10s")
    assert cut_texts(figure) == []

    accuracies, losses = figure.axes[:2], figure.axes[2:]
    assert [ax.get_title() for ax in accuracies] == ["erm", "kd"]
    for ax in accuracies:
        assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2, 3, 4], [2, 4]] * 2
        assert ax.lines[1].get_ydata() == pytest.approx([0.52, 0.54])
        low, high = ax.get_ylim()
        assert sum(low <= tick <= high for tick in ax.get_yticks()) >= 3
    for ax in losses:
        assert [line.get_ydata().tolist() for line in ax.lines] == [pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])] * 2


RANGES = [
    *[(0.001, 1), (1e-8, 2), (1e-5, 1e3), (1.2, 98), (0.09, 11), (3, 40), (0.24, 6)],
    # no power of ten, no 1, 2 or 5, and hardly any width
    *[(11, 35), (2.1, 2.9), (4.5, 9.5), (99, 101), (0.995, 1.005), (2e5, 9e5), (7, 7)],
    # with losses below zero
    *[(-0.5, 1.5), (-30, 400), (-4, -3), (0, 1e-7)],
]


def test_each_panel_of_losses_has_two_labels_or_more_that_do_not_lie_on_each_other():
    epoch = np.arange(1, 6)
    history = pd.DataFrame({"epoch": epoch, "train_accuracy": 0.5, "architecture": "resnet"})
    histories = [
        history.assign(method=f"m{i}", training=str(i), loss=np.linspace(*ends, 5)) for i, ends in enumerate(RANGES * 2)
    ]
    figure = plot_training_curves(pd.concat(histories, ignore_index=True), dataset="cifar10s")
    assert cut_texts(figure) == []

    losses = [ax for ax in figure.axes if ax.get_visible() and any(line.get_color() == "black" for line in ax.lines)]
    assert len(losses) == 2 * len(RANGES)
    for ax in losses:
        low, high = ax.get_ylim()
        shown = [label for label in ax.get_yticklabels() if low <= label.get_position()[1] <= high]
        boxes = [label.get_window_extent() for label in [*shown, *ax.get_yticklabels(minor=True)] if label.get_text()]
        assert len(boxes) >= 2, ax.get_ylim()
        assert [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])] == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "no such file; train that model first"),
        ("", r"not readable as CSV \(No columns to parse from file\); make it with scripts.train_model"),
        ("epoch,loss\n1,2\n", "column 'train_accuracy' is missing; make it with scripts.train_model"),
    ],
)
def test_a_damaged_history_is_one_line(tmp_path, content, what):
    path = tmp_path / "history.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=rf"^{path}: {what}$"):
        read_histories([("resnet", "erm", path)])


def test_histories_without_epochs_have_no_curves(histories):
    with pytest.raises(UserError, match=r"^no history has an epoch; name models that are trained$"):
        read_histories(histories[4:])
