"""The figure of paired slopes: each line leads from a base to its student."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from figure_texts import cut_texts
from studies_with_pages import run
from synthetic_results import make_study, pattern

from fairdistill.reporting import slopes
from fairdistill.reporting.models import read_models
from fairdistill.reporting.notes import AT_CHANCE_NOTE, CHANCE_MARK, GROUP_NOTE, ONE_TRAINING_NOTE
from fairdistill.reporting.pairs import pair_with_bases
from fairdistill.reporting.slopes import BETTER, HEIGHT, MOST_PANELS, NEITHER, WIDTH, WORSE, plot_slopes
from fairdistill.reporting.summaries import summarise
from fairdistill.runtime.errors import UserError
from scripts import plot_slopes as script

pytestmark = pytest.mark.usefixtures("rough_intervals")


@pytest.fixture(scope="module")
def tables(tmp_path_factory, rough_intervals):
    folder = tmp_path_factory.mktemp("slopes")
    grid = {
        "dataset": ["utkface"],
        "architecture": ["resnet", "shufflenet"],
        "method": ["teacher", "balanced", "mfd"],
        "seed": [0, 1, 2],
    }
    make_study(folder, datasets=("utkface",), methods=("balanced", "mfd"), seeds=(0, 1, 2))
    models = read_models(pattern(folder), [grid])
    return pair_with_bases(models.runs, models.trainings), summarise(models.runs, models.trainings)


def lines_of(ax):
    return [(*line.get_ydata(), line.get_linewidth()) for line in ax.lines]


def test_a_line_for_each_seed_and_a_thick_one_for_the_means(tables):
    paired, summary = tables
    figure = plot_slopes(paired, summary, "utkface")
    values = summary.set_index(["architecture", "method", "metric"])["values"].str.split()
    shown = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    assert list(shown) == ["ResNet\nbalanced", "ResNet\nmfd", "ShuffleNet\nbalanced", "ShuffleNet\nmfd"]
    *seeds, means = lines_of(shown["ShuffleNet\nmfd"])
    bases, own = (list(map(float, values["shufflenet", name, "deo_a"])) for name in ("teacher", "mfd"))
    assert [line[0] for line in seeds] == pytest.approx(bases)
    assert [line[1] for line in seeds] == pytest.approx(own)
    assert means[:2] == pytest.approx((sum(bases) / 3, sum(own) / 3))
    assert means[2] > max(line[2] for line in seeds)


def test_all_panels_of_a_metric_have_one_scale_that_holds_all_lines(tables):
    figure = plot_slopes(*tables, "utkface")
    for row in (0, 1):
        axes = figure.axes[4 * row : 4 * row + 4]
        assert len({ax.get_ylim() for ax in axes}) == 1
        low, high = axes[0].get_ylim()
        assert all(low < y < high for ax in axes for line in ax.lines for y in line.get_ydata())
    assert figure.axes[0].get_ylim()[0] == 0


@pytest.mark.parametrize(
    ("base", "own", "metric", "colour"),
    [
        (0.2, 0.1, "deo_a", BETTER),
        (0.1, 0.2, "deo_a", WORSE),
        (0.8, 0.9, "accuracy", BETTER),
        (0.9, 0.8, "accuracy", WORSE),
        (0.2, 0.2, "deo_a", NEITHER),
        (0.8, 0.8, "accuracy", NEITHER),
    ],
)
def test_colours_tell_better_from_worse(base, own, metric, colour):
    assert slopes._colour({"at_chance": False}, (base, own), metric) == colour


@pytest.mark.parametrize("number", [4, 20])
def test_the_legend_says_that_colours_are_of_observed_values_and_which_line_is_the_mean(tables, number):
    figure = plot_slopes(*students(tables, number), "utkface")
    (legend,) = figure.legends
    lines = {text.get_text(): line for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)}
    assert lines["lower DEO$_A$ or higher accuracy (observed)"].get_color() == BETTER
    assert lines["the opposite"].get_color() == WORSE
    seed, *_, mean = sorted(figure.axes[0].lines, key=lambda line: line.get_linewidth())
    for name, drawn in (("mean over seeds", mean), ("one seed", seed)):
        assert lines[name].get_linewidth() == drawn.get_linewidth()


@pytest.mark.parametrize("number", [4, 20])
def test_a_mark_at_zero_is_whole(tables, number):
    figure = plot_slopes(*students(tables, number), "utkface")
    assert not any(line.get_clip_on() for ax in figure.axes for line in ax.lines)


def students(tables, number):
    """The tables with the student mfd under other names, of both architectures in turn."""
    of_mfd, own = (table[table["method"] == "mfd"] for table in tables)
    names = [f"copy{i}" for i in range(number // 2)]
    return (
        pd.concat([of_mfd.assign(method=name) for name in names], ignore_index=True),
        pd.concat([tables[1], *(own.assign(method=name) for name in names)], ignore_index=True),
    )


@pytest.mark.parametrize("number", [4, 20])
def test_the_deo_of_a_pair_at_chance_is_neither_better_nor_worse_and_is_marked(tables, number):
    paired, summary = students(tables, number)
    plain = plot_slopes(paired, summary, "utkface")
    chance = (paired["architecture"] == "resnet") & (paired["method"] == "copy1")
    figure = plot_slopes(paired.assign(at_chance=chance), summary, "utkface")

    def texts(figure):
        names = [ax.get_title() for ax in figure.axes] + [t.get_text() for t in figure.axes[0].get_yticklabels()]
        return [name for name in names if name.endswith(CHANCE_MARK)]

    def colours(figure):
        """Those of the pair, of DEO and of accuracy."""
        if number == 4:
            # the axes of a block are a row of DEO and a row of accuracy, and the pair is the second column of four
            return [{line.get_color() for line in figure.axes[i].lines} for i in (place, place + 4)]
        inside = [[line for line in ax.lines if round(line.get_ydata()[0]) == row] for ax in figure.axes]
        return [{line.get_color() for line in lines} for lines in inside]

    drawn = paired[paired["metric"] == "deo_a"].reset_index(drop=True)
    place = row = int(((drawn["architecture"] == "resnet") & (drawn["method"] == "copy1")).to_numpy().argmax())
    assert texts(plain) == []
    assert texts(figure) == [f"ResNet\ncopy1 {CHANCE_MARK}" if number == 4 else f"ResNet copy1 {CHANCE_MARK}"]
    assert colours(figure)[0] == {NEITHER}
    assert colours(plain)[0] != {NEITHER}
    assert colours(figure)[1] == colours(plain)[1]
    assert [figure.legends[0].get_title().get_text().replace("\n", " ") for figure in (plain, figure)] == [
        "",
        AT_CHANCE_NOTE,
    ]
    assert cut_texts(figure) == []


@pytest.mark.parametrize("number", [16, 40, 90])
def test_more_students_than_have_panels_have_a_row_each_on_one_page(tables, number):
    paired, summary = students(tables, number)
    figure = plot_slopes(paired, summary, "utkface")
    width, height = figure.get_size_inches()
    assert number > MOST_PANELS
    assert (width <= WIDTH, height <= HEIGHT) == (True, True)
    assert cut_texts(figure) == []
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels][:2] == ["ResNet copy0", "ShuffleNet copy0"]
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
    assert len(boxes) == number
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))


def test_a_row_leads_from_the_bases_values_to_the_students(tables):
    paired, summary = students(tables, 20)
    figure = plot_slopes(paired, summary, "utkface")
    values = summary.set_index(["architecture", "method", "metric"])["values"].str.split()
    for ax, metric in zip(figure.axes, ("deo_a", "accuracy"), strict=True):
        bases, own = (list(map(float, values["resnet", name, metric])) for name in ("teacher", "copy0"))
        *seeds, means, base = (line.get_xdata() for line in ax.lines[:5])
        assert [line[0] for line in seeds] == pytest.approx(bases)
        assert [line[1] for line in seeds] == pytest.approx(own)
        assert means == pytest.approx([sum(bases) / 3, sum(own) / 3])
        assert base == pytest.approx([sum(bases) / 3])
        low, high = ax.get_xlim()
        assert all(low <= x <= high for line in ax.lines for x in line.get_xdata())


def test_a_row_names_a_base_that_is_not_the_teacher_of_the_architecture():
    def name(alone, **base):
        student = {"architecture": "resnet", "name": "mfd §", "base_name": base["base_method"] + " §"}
        return slopes._name(student | base, alone=alone)

    assert name(True, base_architecture="resnet", base_method="teacher") == "mfd §"
    assert name(False, base_architecture="resnet", base_method="teacher") == "ResNet mfd §"
    assert name(True, base_architecture="resnet", base_method="hardt") == "mfd §\nfrom hardt §"
    assert name(False, base_architecture="shufflenet", base_method="x") == "ResNet mfd §\nfrom ShuffleNet x §"


@pytest.mark.parametrize("number", [4, 20])
def test_names_say_what_needs_the_group_and_what_has_one_training(tables, number):
    paired, summary = students(tables, number)
    one = paired["method"] == "copy1"
    paired = paired.assign(needs_group=paired["method"] == "copy0", trainings=paired["trainings"].mask(one, 1))
    figure = plot_slopes(paired, summary, "utkface")
    names = [ax.get_title() for ax in figure.axes] + [text.get_text() for text in figure.axes[0].get_yticklabels()]
    found = [name.split()[-2:] for name in names if set(name) & {"§", "‡"}]
    assert found == [["copy0", "§"]] * 2 + [["copy1", "‡"]] * 2
    notes = [GROUP_NOTE, ONE_TRAINING_NOTE]
    assert figure.legends[0].get_title().get_text().replace("\n", " ") == " ".join(notes)
    assert cut_texts(figure) == []


@pytest.mark.parametrize("number", [8, 20])
@pytest.mark.parametrize(("metric", "value", "arrow"), [("accuracy", 0.01, "v<"), ("deo_a", 0.99, "^>")])
def test_what_is_far_off_is_an_arrow_at_the_end_of_the_axis_with_its_value(tables, number, metric, value, arrow):
    paired, summary = students(tables, number)
    far = (summary["method"] == "copy1") & (summary["architecture"] == "resnet") & (summary["metric"] == metric)
    moved = summary.assign(values=summary["values"].mask(far, f"{value} {value} {value}"))
    in_rows = number > MOST_PANELS

    plain, figure = plot_slopes(paired, summary, "utkface"), plot_slopes(paired, moved, "utkface")

    assert cut_texts(figure) == []
    lines = [(line, ax) for ax in figure.axes for line in ax.lines if line.get_marker() == arrow[in_rows]]
    # three seeds and their mean
    assert len(lines) == 4
    for line, ax in lines:
        end = {0.01: min, 0.99: max}[value](ax.get_xlim() if in_rows else ax.get_ylim())
        assert (line.get_xdata() if in_rows else line.get_ydata())[0] == pytest.approx(end)
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == [f"{value:.2f}"]
    # no axis is longer for it
    for before, after in zip(plain.axes, figure.axes, strict=True):
        assert np.ptp(after.get_xlim() if in_rows else after.get_ylim()) <= 1.01 * np.ptp(
            before.get_xlim() if in_rows else before.get_ylim()
        )
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert (legend[-1], len(legend)) == ("beyond the axis, means with their values", 6)
    assert len(plain.legends[0].get_texts()) == 5


def test_few_students_are_all_on_the_axis(tables):
    paired, summary = students(tables, 4)
    far = (summary["method"] == "copy1") & (summary["metric"] == "accuracy")
    figure = plot_slopes(paired, summary.assign(values=summary["values"].mask(far, "0.01 0.01 0.01")), "utkface")
    assert min(ax.get_ylim()[0] for ax in figure.axes) < 0.01
    assert [text for ax in figure.axes for text in ax.texts] == []


def test_the_base_of_several_students_is_on_the_axis_and_that_of_one_may_lie_beyond(tables):
    paired, summary = students(tables, 20)
    teachers = (summary["method"] == "teacher") & (summary["metric"] == "accuracy")
    far = summary.assign(values=summary["values"].mask(teachers, "0.01 0.01 0.01"))
    assert plot_slopes(paired, far, "utkface").axes[1].get_xlim()[0] < 0.01

    other = far[far["method"] == "teacher"].assign(method="other")
    paired = paired.assign(base_method=paired["base_method"].mask(paired["method"] == "copy3", "other"))
    paired = paired[(paired["method"] != "copy3") | (paired["architecture"] == "resnet")]
    figure = plot_slopes(paired, pd.concat([summary, other]), "utkface")
    assert [text.get_text() for text in figure.axes[1].texts] == ["0.01"]
    (hollow,) = (line for line in figure.axes[1].lines if line.get_marker() == "<" and line.get_mfc() == "white")
    assert hollow.get_xdata()[0] == pytest.approx(figure.axes[1].get_xlim()[0])
    assert cut_texts(figure) == []


def test_only_the_seeds_that_both_have_are_drawn(tables):
    paired, summary = tables
    teacher = (summary["method"] == "teacher") & (summary["metric"] == "deo_a") & (summary["architecture"] == "resnet")
    fewer = summary.assign(
        seeds=summary["seeds"].mask(teacher, "1 2"),
        values=summary["values"].mask(teacher, summary["values"].str.split(n=1).str[1]),
    )
    figure = plot_slopes(paired, fewer, "utkface")
    assert len(figure.axes[0].lines) == 2 + 1
    assert len(figure.axes[2].lines) == 3 + 1


def test_many_students_go_on_in_further_rows(tables):
    paired, summary = tables
    copies = [f"copy{i}" for i in range(7)]
    of_mfd, own = paired[paired["method"] == "mfd"], summary[summary["method"] == "mfd"]
    many = pd.concat([of_mfd.assign(method=name) for name in copies])
    figure = plot_slopes(many, pd.concat([tables[1], *(own.assign(method=name) for name in copies)]), "utkface")
    assert sum(bool(ax.get_title()) for ax in figure.axes) == 2 * 7
    width, height = figure.get_size_inches()
    assert (width, height > width) == (7, True)


def test_what_cannot_be_drawn_is_said(tables):
    paired, summary = tables
    with pytest.raises(UserError, match="no students on 'cifar10s' to draw"):
        plot_slopes(paired, summary, "cifar10s")
    with pytest.raises(UserError, match=r"summary.csv has no utkface resnet teacher deo_a, which paired.csv names"):
        plot_slopes(paired, summary[summary["method"] != "teacher"], "utkface")


def test_the_script_writes_the_figure(tables, tmp_path):
    for name, table in zip(("paired", "summary"), tables, strict=True):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    files = {name: tmp_path / f"{name}.csv" for name in ("paired", "summary")}
    run(script, **files, dataset="utkface", pdf=tmp_path / "x.pdf", png=tmp_path / "x.png")
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
