"""Figures 1 to 5: what is drawn where, nothing clipped or overlapping, and the same bytes each time."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from synthetic_results import make_study

from fairdistill.reporting import figures as plotting
from fairdistill.reporting.paper import diagram as architecture_diagram
from fairdistill.reporting.paper.comparison import read_paper_values
from fairdistill.reporting.runs import read_metrics, write_csv
from fairdistill.runtime.errors import UserError
from scripts import plot_architecture, plot_comparison

PAPER_VALUES = Path(__file__).parents[2] / "config" / "paper_values.csv"
LONG = "a_rather_long_data_set_name"
GRIDS = {
    "paper": {},
    "five seeds": {"seeds": range(5)},
    "one data set": {"datasets": ("digits_s",), "seeds": range(3)},
    "many": {"datasets": ("cifar10s", "utkface", LONG), "methods": ("mfd", "mfd_plain", "scratch_balanced")},
}


@pytest.fixture(params=GRIDS, ids=str)
def runs(request, tmp_path):
    return read_metrics(make_study(tmp_path / "metrics", **GRIDS[request.param]))


def draw(runs, metric, **options):
    values = read_paper_values(PAPER_VALUES)
    return plotting.plot_comparison(
        runs, architecture="resnet", metric=metric, **{"paper_values": values, "method": "mfd"} | options
    )


def marked(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


@pytest.mark.parametrize("metric", ["accuracy", "deo"])
def test_bars_are_means_with_sd_and_seeds(runs, metric):
    resnet = runs[runs["architecture"] == "resnet"]
    seeds = resnet["seed"].nunique()

    figure = draw(runs, metric)

    assert len(figure.axes) == len(plotting.MEASURES[metric])
    for ax, measure in zip(figure.axes, plotting.MEASURES[metric], strict=True):
        assert ax.get_ylim()[0] == 0
        expected = resnet.groupby(["dataset", "method"])[measure].mean()
        assert sorted(bar.get_height() for bar in ax.patches) == pytest.approx(sorted(expected))
        whiskers = [part for part in ax.containers if isinstance(part, ErrorbarContainer)]
        assert len(whiskers) == (len(expected) if seeds > 1 else 0)
        dots = [y for line in marked(ax, "one seed") for y in line.get_ydata()]
        assert sorted(dots) == (sorted(resnet[measure]) if seeds > 1 else [])


@pytest.mark.parametrize("metric", ["accuracy", "deo"])
def test_nothing_is_clipped_and_no_text_overlaps(runs, metric):
    figure = draw(runs, metric)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()

    texts = [*figure.legends[0].get_texts()]
    for ax in figure.axes:
        texts += [ax.title, ax.yaxis.label, *ax.get_xticklabels(), *ax.get_yticklabels()]
    boxes = [text.get_window_extent() for text in texts if text.get_visible() and text.get_text()]
    assert 3.5 <= figure.get_figwidth() <= 7
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert min(text.get_fontsize() for text in texts) >= 8


def test_the_papers_values_are_marked_on_their_bars(tmp_path):
    runs = read_metrics(make_study(tmp_path, methods=("mfd", "other")))

    for ax in draw(runs, "deo").axes:
        found = {}
        for mark in marked(ax, "paper"):
            x, value = mark.get_xdata()[0], mark.get_ydata()[0]
            (bar,) = (bar for bar in ax.containers if any(abs(b.get_center()[0] - x) < 0.14 for b in bar))
            found[ax.get_xticklabels()[round(x)].get_text(), bar.get_label()] = value
        assert found == {
            ("CIFAR-10S", "teacher"): 0.27,
            ("CIFAR-10S", "student (mfd)"): 0.15,
            ("UTKFace", "teacher"): 0.45,
            ("UTKFace", "student (mfd)"): 0.18,
        }
    assert not marked(draw(runs, "deo", paper_values=None).axes[0], "paper")
    assert len(marked(draw(runs, "deo", method=None).axes[0], "paper")) == 2
    renamed = runs.replace({"method": {"mfd": "mine"}})
    assert len(marked(draw(renamed, "deo", method="mine").axes[0], "paper")) == 4


def test_each_bar_of_a_deo_has_the_fair_baseline_of_its_model(runs):
    resnet = runs[runs["architecture"] == "resnet"]

    for ax, deo in zip(draw(runs, "deo").axes, ["deo_a", "deo_m"], strict=True):
        bands = [band.get_paths()[0].get_extents() for band in ax.collections if band.get_label() == "fair classifier"]
        expected = resnet.groupby(["dataset", "method"])[
            [f"{deo}_fair_baseline_low", f"{deo}_fair_baseline_high"]
        ].mean()
        np.testing.assert_allclose(sorted((box.y0, box.y1) for box in bands), sorted(map(tuple, expected.to_numpy())))
    assert not [part for part in draw(runs, "accuracy").axes[0].collections if part.get_label() == "fair classifier"]


def test_methods_differ_in_hatch_and_in_lightness():
    styles = list(plotting._styles(["mfd", "b", "c"]).values())

    assert len({style["hatch"] for style in styles}) == len(styles)
    assert [style["label"] for style in styles] == ["teacher", "student (mfd)", "student (b)", "student (c)"]
    teacher, student = (np.dot(style["color"], (0.299, 0.587, 0.114)) for style in styles[:2])
    assert teacher - student > 0.2


def test_an_architecture_that_the_grid_lacks_is_named(tmp_path):
    runs = read_metrics(make_study(tmp_path, architectures=("shufflenet",)))

    with pytest.raises(UserError, match=r"no run of architecture 'resnet' to draw; .* has shufflenet"):
        draw(runs, "deo")


def test_drawn_again_a_figure_has_the_same_bytes(tmp_path, monkeypatch):
    write_csv(tmp_path / "runs.csv", read_metrics(make_study(tmp_path / "metrics", seeds=(0, 1))))
    comparison = ["--runs", tmp_path / "runs.csv", "--architecture", "resnet", "--metric", "deo"]
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


def test_no_text_of_the_diagram_is_clipped_or_overlaps():
    figure = architecture_diagram.draw()
    FigureCanvasAgg(figure).draw()

    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]

    assert len(boxes) > 15
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
