"""The figure of paired slopes: each line leads from a base to its student."""

import pandas as pd
import pytest
from studies_with_pages import run
from synthetic_results import make_study, pattern

from fairdistill.reporting import slopes
from fairdistill.reporting.models import read_models
from fairdistill.reporting.pairs import pair_with_bases
from fairdistill.reporting.slopes import BETTER, EQUAL, WORSE, plot_slopes
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
    return pair_with_bases(models.runs, models.answers), summarise(models.runs, models.answers)


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
        (0.2, 0.2, "deo_a", EQUAL),
        (0.8, 0.8, "accuracy", EQUAL),
    ],
)
def test_colours_tell_better_from_worse(base, own, metric, colour):
    assert slopes._colour(base, own, metric) == colour


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
    figure = plot_slopes(many, pd.concat([summary, *(own.assign(method=name) for name in copies)]), "utkface")
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
