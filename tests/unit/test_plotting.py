"""Figures 1 to 5: what is drawn where, nothing clipped or overlapping, and the same bytes each time."""

import json
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from figure_texts import cut_texts
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer, ErrorbarContainer
from synthetic_results import make_constant, make_study

from fairdistill.reporting import figures as plotting
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.models import read_files
from fairdistill.reporting.notes import GROUP_NOTE
from fairdistill.reporting.paper import diagram as architecture_diagram
from fairdistill.reporting.paper.comparison import as_table
from fairdistill.reporting.summaries import summarise
from fairdistill.reporting.trainings import values_of
from fairdistill.runtime.errors import UserError
from fairdistill.settings.paper import read_paper_values
from scripts import plot_architecture, plot_comparison

pytestmark = pytest.mark.usefixtures("rough_intervals")

PAPER_VALUES = Path(__file__).parents[2] / "config" / "paper_values.csv"
# of a user's matplotlibrc
USERS_OWN = {
    "text.usetex": True,
    "font.family": "monospace",
    "axes.facecolor": "black",
    "savefig.facecolor": "black",
    "savefig.bbox": "tight",
    "lines.linewidth": 9,
}
LONG = "a_rather_long_data_set_name"
GRIDS = {
    "paper": {},
    "five seeds": {"seeds": range(5)},
    "one data set": {"datasets": ("digits_s",), "seeds": range(3)},
    "many": {"datasets": ("cifar10s", "utkface", LONG), "methods": ("mfd", "mfd_plain", "balanced_without_loss")},
    "twenty methods": {"methods": tuple(f"method{i}" for i in range(20))},
}


def read_metrics(paths):
    models = read_files(paths)
    return summarise(models.runs, models.trainings)


@pytest.fixture(scope="module", params=GRIDS, ids=str)
def summary(request, tmp_path_factory):
    return read_metrics(make_study(tmp_path_factory.mktemp("metrics"), **GRIDS[request.param]))


def draw(summary, metric, **options):
    values = as_table(read_paper_values(PAPER_VALUES))
    return plotting.plot_comparison(
        summary, architecture="resnet", metric=metric, **{"paper_values": values, "method": "mfd"} | options
    )


def marked(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


def bars_of(ax):
    return [part for part in ax.containers if isinstance(part, BarContainer)]


def is_lying(figure):
    return "\n" in figure.axes[0].get_title()


def axes_of(figure, metric):
    """The axes of each measure, from above; those of bars that lie are beside each other."""
    measures = plotting.PAPER_METRICS[metric]
    if is_lying(figure):
        return {measure: figure.axes[i :: len(measures)] for i, measure in enumerate(measures)}
    return dict(zip(measures, np.array_split(figure.axes, len(measures)), strict=True))


@pytest.mark.parametrize("metric", ["accuracy", "deo"])
def test_bars_are_means_with_whiskers_and_seeds(summary, metric):
    resnet = summary[summary["architecture"] == "resnet"]
    alone = resnet["n"].max() == 1

    figure = draw(summary, metric)
    lying = is_lying(figure)

    assert lying == (resnet["method"].nunique() > 11)
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    intervals = {label for label in legend if label.startswith("95 %")}
    assert intervals == {"95 % interval, test images alone" if alone else "95 % interval"}
    for measure, axes in axes_of(figure, metric).items():
        rows = resnet[resnet["metric"] == measure]
        assert all((ax.get_xlim() if lying else ax.get_ylim())[0] == 0 for ax in axes)
        bars = [bar.get_width() if lying else bar.get_height() for ax in axes for bar in ax.patches]
        assert sorted(bars) == pytest.approx(sorted(rows["mean"]))
        whiskers = [part for ax in axes for part in ax.containers if isinstance(part, ErrorbarContainer)]
        ends = [whisker.lines[2][0].get_segments()[0][:, 0 if lying else 1] for whisker in whiskers]
        expected = sorted(zip(rows["low"], rows["high"], strict=True))
        np.testing.assert_allclose(sorted(map(tuple, ends)), expected, atol=1e-9)
        shown = [line.get_xdata() if lying else line.get_ydata() for ax in axes for line in marked(ax, "one seed")]
        dots = [value for values in shown for value in values]
        seeds = [value for row in rows.to_dict("records") for value in values_of(row)]
        assert sorted(dots) == ([] if alone else sorted(seeds))


def test_one_seed_of_several_folds_has_no_dot(tmp_path):
    summary = read_metrics(make_study(tmp_path, architectures=("resnet",))).assign(trainings=4)

    figure = draw(summary, "accuracy")

    assert not any(marked(ax, "one seed") for ax in figure.axes)
    assert "95 % interval" in {text.get_text() for text in figure.legends[0].get_texts()}


@pytest.mark.parametrize("metric", ["accuracy", "deo"])
def test_nothing_is_clipped_and_no_text_overlaps(summary, metric):
    check_texts(draw(summary, metric))


def check_texts(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()

    texts = [*figure.legends[0].get_texts()]
    for ax in figure.axes:
        low, high = ax.get_xlim()
        # those of ticks beyond the axis are not drawn
        below = [label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label, *below, *ax.get_yticklabels()]
    boxes = [text.get_window_extent() for text in texts if text.get_visible() and text.get_text()]
    assert 2.6 <= figure.get_figwidth() <= 7
    assert cut_texts(figure) == []
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert min(text.get_fontsize() for text in texts) >= 8


def test_the_papers_values_are_marked_on_their_bars(tmp_path):
    summary = read_metrics(make_study(tmp_path, methods=("mfd", "other")))

    for ax in draw(summary, "deo").axes:
        found = {}
        for mark in marked(ax, "paper"):
            x, value = mark.get_xdata()[0], mark.get_ydata()[0]
            (bar,) = (bar for bar in bars_of(ax) if abs(bar[0].get_center()[0] - x) < 0.14)
            found[ax.get_xticklabels()[round(x)].get_text(), bar.get_label()] = value
        assert found == {
            ("CIFAR-10S", "teacher"): 0.27,
            ("CIFAR-10S", "student (mfd)"): 0.15,
            ("UTKFace", "teacher"): 0.45,
            ("UTKFace", "student (mfd)"): 0.18,
        }
    assert not marked(draw(summary, "deo", paper_values=None).axes[0], "paper")
    assert len(marked(draw(summary, "deo", method=None).axes[0], "paper")) == 2
    renamed = summary.replace({"method": {"mfd": "mine"}})
    assert len(marked(draw(renamed, "deo", method="mine").axes[0], "paper")) == 4


def test_each_bar_of_a_deo_has_the_fair_baseline_of_its_model(summary):
    resnet = summary[summary["architecture"] == "resnet"]
    label = "fair classifier: mean and 95 % range"

    figure = draw(summary, "deo")

    for deo, axes in axes_of(figure, "deo").items():
        bands = [band for ax in axes for band in ax.collections if band.get_label() == label]
        axis = 0 if is_lying(figure) else 1
        ranges = [tuple(band.get_paths()[0].get_extents().get_points()[:, axis]) for band in bands]
        expected = resnet.loc[resnet["metric"] == deo, ["fair_baseline_low", "fair_baseline_high"]]
        np.testing.assert_allclose(sorted(ranges), sorted(map(tuple, expected.to_numpy())))
    assert label in [text.get_text() for text in figure.legends[0].get_texts()]
    assert not [part for part in draw(summary, "accuracy").axes[0].collections if part.get_label() == label]


def look(style):
    return style["color"], style["hatch"]


def test_methods_beside_each_other_differ_in_hatch_and_in_lightness():
    styles = list(plotting._styles(["mfd", "b", "c"]).values())

    assert len({style["hatch"] for style in styles}) == len(styles)
    assert [style["label"] for style in styles] == ["teacher", "student (mfd)", "student (b)", "student (c)"]
    teacher, student = (np.dot(style["color"], (0.299, 0.587, 0.114)) for style in styles[:2])
    assert teacher - student > 0.2


def test_the_methods_of_upright_bars_are_told_apart_and_none_is_like_the_teacher():
    teacher, *students = plotting._styles([f"method{i}" for i in range(plotting.MOST_UPRIGHT)]).values()

    assert len({look(style) for style in students}) == 10
    assert teacher["color"] not in {style["color"] for style in students}
    assert teacher["hatch"] not in {style["hatch"] for style in students}


def test_many_bars_lie_below_each_other_with_their_names_and_what_needs_the_group_is_marked(tmp_path):
    methods = tuple(f"method{i}" for i in range(30))
    summary = read_metrics(make_study(tmp_path, architectures=("resnet",), methods=methods, seeds=(0, 1)))
    # a data set may lack a method
    gone = (summary["dataset"] == "utkface") & (summary["method"] == "method1")
    summary = summary[~gone].assign(
        needs_group=summary["method"] == "method2", at_chance=summary["method"] == "method3"
    )

    figure = draw(summary, "deo", method="method0")

    check_texts(figure)
    names = ["teacher", "method0", "method1", "method2 §", *methods[3:]]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == names
    assert figure.get_supxlabel() == GROUP_NOTE
    models = ["teacher", "student"]
    assert [text.get_text() for text in figure.legends[0].get_texts()][:3] == [*models, "one seed"]
    titles = [ax.get_title().split("\n") for ax in figure.axes]
    assert [title[0] for title in titles] == ["ResNet, CIFAR-10S:"] * 2 + ["ResNet, UTKFace:"] * 2
    for ax, dataset, measure in zip(
        figure.axes, ["cifar10s"] * 2 + ["utkface"] * 2, ["deo_a", "deo_m"] * 2, strict=True
    ):
        rows = summary[(summary["dataset"] == dataset) & (summary["metric"] == measure)].set_index("method")
        found = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}
        expected = {i: rows["mean"].get(name.split()[0]) for i, name in enumerate(names)}
        assert found == pytest.approx({i: mean for i, mean in expected.items() if mean is not None})
        (cross,) = marked(ax, "at chance")
        assert round(cross.get_ydata()[0]) == 4
        assert {round(paper.get_ydata()[0]) for paper in marked(ax, "paper")} == {0, 1}
        # wholly to the right of the names, whatever the length of the bar
        x, _ = cross.get_transform().transform((cross.get_xdata()[0], cross.get_ydata()[0]))
        assert x - cross.get_markersize() / 2 * figure.dpi / 72 > ax.bbox.x0


def test_one_panel_for_each_data_set_and_none_that_is_empty(tmp_path):
    methods = tuple(f"method{i}" for i in range(11))
    datasets = ("cifar10s", "utkface", "digits_s")
    summary = read_metrics(make_study(tmp_path, datasets=datasets, architectures=("resnet",), methods=methods))

    figure = draw(summary, "accuracy")

    check_texts(figure)
    assert [bool(ax.axison) for ax in figure.axes] == [True, True, True, False]
    assert [ax.get_xlim() for ax in figure.axes[:3]] == [(0, 1)] * 3
    assert figure.get_supxlabel() == ""


def test_more_students_than_a_page_holds_are_refused(tmp_path):
    summary = read_metrics(make_study(tmp_path, datasets=("utkface",), architectures=("resnet",)))
    student = summary[summary["role"] == "student"]
    many = pd.concat([summary, *(student.assign(method=f"method{i}") for i in range(42))], ignore_index=True)

    with pytest.raises(UserError, match="43 students of resnet to draw; a page holds 42, so take fewer"):
        draw(many, "deo")


def test_data_sets_and_methods_are_in_the_order_of_the_runs(tmp_path):
    study = make_study(tmp_path, datasets=("utkface", "cifar10s"), architectures=("resnet",), methods=("mfd", "a"))

    figure = draw(read_metrics(study), "accuracy")

    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["UTKFace", "CIFAR-10S"]
    methods = ["teacher", "student (mfd)", "student (a)"]
    assert [text.get_text() for text in figure.legends[0].get_texts()][:3] == methods
    bars = sorted(bars_of(ax), key=lambda bar: bar[0].get_x())
    assert [bar.get_label() for bar in bars] == methods * 2


@pytest.mark.parametrize("metric", ["accuracy", "deo"])
def test_bars_of_models_at_chance_are_marked(tmp_path, metric):
    paths = make_study(tmp_path, architectures=("resnet",), methods=("mfd", "kd"), seeds=(0, 1))
    for path in paths:
        # one seed of two
        if path.parts[-4:] == ("utkface", "resnet", "kd", "seed1.json"):
            path.write_text(json.dumps(make_constant(json.loads(path.read_text()))))

    figure = draw(read_metrics(paths), metric)

    for ax in figure.axes:
        (mark,) = marked(ax, "at chance")
        (bar,) = (bar for bar in ax.patches if bar.get_x() < mark.get_xdata()[0] < bar.get_x() + bar.get_width())
        assert bar is ax.patches[5]
        # wholly above the label, whatever the height of the bar
        FigureCanvasAgg(figure).draw()
        _, y = mark.get_transform().transform((mark.get_xdata()[0], mark.get_ydata()[0]))
        assert y - mark.get_markersize() / 2 * figure.dpi / 72 > ax.bbox.y0
    assert "at chance" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_figure_of_one_data_set_is_no_wider_than_its_bars_need(tmp_path):
    one = read_metrics(make_study(tmp_path / "one", datasets=("digits_s",)))
    two = read_metrics(make_study(tmp_path / "two"))

    narrow, wide = draw(one, "accuracy"), draw(two, "accuracy")

    assert narrow.get_figwidth() < wide.get_figwidth() == 3.5
    bars = narrow.axes[0].patches
    shown = bars[-1].get_x() + bars[-1].get_width() - bars[0].get_x()
    assert shown / np.ptp(narrow.axes[0].get_xlim()) == pytest.approx(0.8)


def test_an_architecture_that_the_grid_lacks_is_named(tmp_path):
    summary = read_metrics(make_study(tmp_path, architectures=("shufflenet",)))

    with pytest.raises(UserError, match=r"no model of architecture 'resnet' to draw; .* has shufflenet"):
        draw(summary, "deo")


def test_drawn_again_a_figure_has_the_same_bytes(tmp_path, monkeypatch):
    write_csv(tmp_path / "summary.csv", read_metrics(make_study(tmp_path / "metrics", seeds=(0, 1))))
    comparison = ["--summary", tmp_path / "summary.csv", "--architecture", "resnet", "--metric", "deo"]
    comparison += ["--paper-values", PAPER_VALUES]

    def call(script, name, *arguments):
        outputs = [tmp_path / f"{name}.pdf", tmp_path / f"{name}.png"]
        arguments = [*arguments, "--pdf", outputs[0], "--png", outputs[1]]
        monkeypatch.setattr("sys.argv", [script.__name__, *map(str, arguments)])
        script.main()
        return [path.read_bytes() for path in outputs]

    for script, arguments in [(plot_comparison, comparison), (plot_architecture, [])]:
        pdf, png = call(script, "once", *arguments)
        assert pdf.startswith(b"%PDF")
        assert png.startswith(b"\x89PNG")
        assert b"CreationDate" not in pdf
        assert call(script, "twice", *arguments) == [pdf, png]
        with mpl.rc_context(USERS_OWN):
            assert call(script, "theirs", *arguments) == [pdf, png]


def test_no_text_of_the_diagram_is_clipped_or_overlaps():
    figure = architecture_diagram.draw()
    FigureCanvasAgg(figure).draw()

    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]

    assert len(boxes) > 15
    assert cut_texts(figure) == []
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
