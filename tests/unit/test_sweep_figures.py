"""Figures of sweeps: where zero stands, what is drawn, and nothing outside of the panels."""

import json
from itertools import pairwise

import pandas as pd
import pytest
from figure_texts import cut_texts
from synthetic_results import make_study

from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.models import read_files
from fairdistill.reporting.summaries import summarise
from fairdistill.reporting.sweep_figures import Axis, plot_sweep
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import BaseChoice
from fairdistill.settings.sweeps import Line
from scripts import plot_sweep as script

pytestmark = pytest.mark.usefixtures("rough_intervals")

NUMBERS = {"a0": 0.0, "a1": 1.0, "a10": 10.0}
NAMES = {"b1": "layer1", "b2": "layer2", "b3": "layer1 layer2 layer3"}
OTHERS = ["a1", "a10", *NAMES, "c0", "c10"]
TEACHER = BaseChoice()
LINES = [Line(label="a", values=NUMBERS, base=TEACHER), Line(label="c", values={"c10": 10.0, "c0": 0.0}, base=TEACHER)]


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    """A teacher and a student of two seeds, and the student again under other names, each with other scores."""
    paths = make_study(
        tmp_path_factory.mktemp("metrics"),
        datasets=("utkface",),
        architectures=("resnet",),
        methods=("a0",),
        seeds=(0, 1),
    )
    models = read_files(paths)
    summary = summarise(models.runs, models.trainings)
    student = summary[summary["method"] == "a0"]
    others = [moved(student, 0.01 * i).assign(method=name) for i, name in enumerate(OTHERS, start=1)]
    others[OTHERS.index("a10")]["at_chance"] = True
    return pd.concat([summary, *others], ignore_index=True)


def moved(student, by):
    """The rows of a model with all scores larger by some amount."""
    values = [" ".join(str(float(value) + by) for value in text.split()) for text in student["values"]]
    return student.assign(values=values, **{name: student[name] + by for name in ("mean", "low", "high")})


def plot(summary, **options):
    return plot_sweep(summary, architectures=["resnet"], **options)


def lines_named(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


@pytest.mark.parametrize(
    ("values", "labels", "gap"),
    [
        ([30.0, 0.0, 1.0, 3.0, 10.0], ["0", "1", "3", "10", "30"], True),
        ([0.1, 1.0, 10.0], ["0.1", "1", "10"], False),
        ([0.0, 0.5, 1.0], ["0", "0.5", "1"], False),
        (["rbf", "polynomial"], ["rbf", "polynomial"], False),
        ([10.0, "null"], ["10", "null"], False),
    ],
)
def test_values_stand_in_order_and_zero_beside_a_break(values, labels, gap):
    axis = Axis(values)
    assert [*axis.ticks.values()] == labels
    assert all(left < right for left, right in pairwise(axis.ticks))
    assert bool(axis.gap) == gap
    if gap:
        zero, first = axis.gap
        assert (zero, first) == (axis.at(0.0), axis.at(1.0))
        # the same factor is the same distance; zero is as far off as the others are from each other
        assert axis.at(30.0) - axis.at(10.0) == pytest.approx(axis.at(3.0) - axis.at(1.0))
        assert first - zero == pytest.approx((axis.at(30.0) - axis.at(1.0)) / 3)


def test_equal_distances_of_a_short_axis_are_equal():
    axis = Axis([0.0, 0.5, 1.0])
    assert axis.at(1.0) - axis.at(0.5) == axis.at(0.5) - axis.at(0.0)


def test_marks_are_the_means_and_the_line_is_that_of_the_base(summary):
    figure = plot(summary, setting="lambda", lines=LINES)
    scores = summary.set_index(["metric", "method"])["mean"]
    for ax, metric in zip(figure.axes, ("accuracy", "deo_a", "deo_m"), strict=True):
        for line in LINES:
            drawn = sorted((mark.get_xdata()[0], mark.get_ydata()[0]) for mark in lines_named(ax, line.label))
            in_order = sorted(line.values, key=line.values.get)
            assert [y for _, y in drawn] == pytest.approx([scores[metric, name] for name in in_order])
        (base,) = lines_named(ax, "teacher")
        assert set(base.get_ydata()) == {scores[metric, "teacher"]}
        assert len(lines_named(ax, "one seed")) == 2 * 5
        (chance,) = lines_named(ax, "at chance")
        assert chance.get_ydata()[0] == scores[metric, "a10"]


def test_a_ring_is_around_the_model_that_was_chosen_on_validation(summary):
    # the others were not chosen, or are of another sweep
    search = pd.DataFrame({"dataset": "utkface", "architecture": "resnet", "method": ["a0", "a1", "a10", "b1"]})
    search["chosen"] = [False, True, False, True]
    figure = plot(summary, setting="lambda", lines=LINES, search=search)
    scores = summary.set_index(["metric", "method"])["mean"]
    for ax, metric in zip(figure.axes, ("accuracy", "deo_a", "deo_m"), strict=True):
        (ring,) = lines_named(ax, "chosen on validation")
        assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (Axis([*NUMBERS.values()]).at(1.0), scores[metric, "a1"])
    (legend,) = figure.legends
    assert "chosen on validation" in [text.get_text() for text in legend.get_texts()]
    without = plot(summary, setting="lambda", lines=LINES)
    assert not any(lines_named(ax, "chosen on validation") for ax in without.axes)


@pytest.mark.parametrize("values", [NUMBERS, NAMES], ids=["numbers", "names"])
def test_nothing_that_is_measured_is_outside_of_its_panel(summary, values):
    figure = plot(summary, setting="setting", lines=[Line(label="a", values=values, base=TEACHER)])
    for ax, metric in zip(figure.axes, ("accuracy", "deo_a", "deo_m"), strict=True):
        low, high = ax.get_ylim()
        rows = summary[(summary["metric"] == metric) & summary["method"].isin([*values, "teacher"])]
        assert low <= rows["low"].min()
        assert high >= max(rows["high"].max(), rows["values"].str.split().explode().astype(float).max())
        left, right = ax.get_xlim()
        assert left < min(ax.get_xticks()) < max(ax.get_xticks()) < right
    assert cut_texts(figure) == []


def test_lines_that_stand_on_other_models_have_other_references(summary):
    lines = [LINES[0], Line(label="c", values=LINES[1].values, base=BaseChoice(method="b1"))]
    figure = plot(summary, setting="lambda", lines=lines)
    colours = [lines_named(figure.axes[0], name)[0].get_color() for name in ("teacher", "b1")]
    assert colours == [lines_named(figure.axes[0], name)[0].get_color() for name in ("a", "c")]


def test_a_model_that_the_summary_lacks_is_named(summary):
    line = Line(label="a", values={"a0": 0.0, "a7": 7.0}, base=TEACHER)
    with pytest.raises(UserError, match="the summary lacks utkface resnet a7, which is to be drawn"):
        plot(summary, setting="lambda", lines=[line])


def test_an_architecture_that_has_a_model_of_a_line_as_a_base_alone_has_no_panels(summary):
    base = summary[summary["method"] == "a1"].assign(architecture="resnet34")
    figure = plot(pd.concat([summary, base]), setting="lambda", lines=LINES)
    assert [ax.get_ylabel() for ax in figure.axes[::3]] == ["UTKFace\nResNet"]


def test_the_script_writes_both_files(summary, tmp_path, monkeypatch):
    write_csv(tmp_path / "summary.csv", summary)

    def run(lines):
        given = {"summary": tmp_path / "summary.csv", "setting": "lambda", "lines": lines, "architectures": "resnet"}
        given |= {end: tmp_path / f"figure.{end}" for end in ("pdf", "png")}
        monkeypatch.setattr("sys.argv", ["plot_sweep", *(f"--{name}={value}" for name, value in given.items())])
        script.main()

    with pytest.raises(UserError, match="--lines: not readable as JSON"):
        run("[")
    run(json.dumps([LINES[0].to_json()]))
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
