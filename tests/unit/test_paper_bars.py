"""Figures 2 to 5 in the paper's form."""

import pandas as pd
import pytest
from figure_texts import cut_texts
from studies_with_pages import run

from fairdistill.reporting.paper.bars import plot_paper_bars
from fairdistill.runtime.errors import UserError
from scripts import plot_paper_bars as script


@pytest.fixture
def summary():
    values = {
        ("cifar10s", "teacher"): (0.28, 0.76),
        ("cifar10s", "mfd"): (0.15, 0.77),
        ("utkface", "teacher"): (0.42, 0.81),
        ("utkface", "mfd"): (0.36, 0.82),
        ("utkface", "balanced"): (0.5, 0.5),
    }
    rows = [
        (*names, "resnet", metric, mean)
        for names, of in values.items()
        for metric, mean in zip(("deo_m", "accuracy"), of, strict=True)
    ]
    return pd.DataFrame(rows, columns=["dataset", "method", "architecture", "metric", "mean"])


@pytest.mark.parametrize(
    ("metric", "teacher", "student"),
    [("deo", ["0.42", "0.28"], ["0.36", "0.15"]), ("accuracy", ["0.81", "0.76"], ["0.82", "0.77"])],
)
def test_the_data_sets_are_in_the_papers_order_with_their_values(summary, metric, teacher, student):
    figure = plot_paper_bars(summary, architecture="resnet", metric=metric, method="mfd")
    assert cut_texts(figure) == []
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["UTKFace", "CIFAR-10S"]
    heights = [[f"{bar.get_height():.2f}" for bar in bars] for bars in ax.containers]
    assert heights == [teacher, student]
    assert [text.get_text() for text in ax.texts] == teacher + student
    assert ax.get_title().startswith("ResNet Teacher vs. Student:\n")


def test_a_data_set_that_lacks_a_model_is_left_out_and_without_any_it_is_said(summary):
    fewer = summary[(summary["dataset"] != "utkface") | (summary["method"] != "teacher")]
    (ax,) = plot_paper_bars(fewer, architecture="resnet", metric="deo", method="mfd").axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["CIFAR-10S"]
    with pytest.raises(UserError, match="no data set has a teacher and a student 'kd' of resnet to draw"):
        plot_paper_bars(summary, architecture="resnet", metric="deo", method="kd")
    with pytest.raises(UserError, match="no data set has a teacher and a student 'mfd' of shufflenet to draw"):
        plot_paper_bars(summary, architecture="shufflenet", metric="deo", method="mfd")


def test_the_script_draws_a_published_study(tmp_path):
    given = {
        "summary": "results/paper/tables/summary.csv",
        "architecture": "shufflenet",
        "metric": "deo",
        "method": "mfd",
    }
    run(script, **given, pdf=tmp_path / "x.pdf", png=tmp_path / "x.png")
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")
