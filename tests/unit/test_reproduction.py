"""docs/reproduction.md says what the tracked tables say."""

from pathlib import Path

import pandas as pd
import pytest

from fairdistill.labels import printed
from fairdistill.paper import compare, read_paper_values
from fairdistill.results import reach, read_paired, read_runs

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "results" / "paper" / "tables"


@pytest.fixture(scope="module")
def rows():
    """The cells of every table row of the page."""
    lines = (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8").splitlines()
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("|")]


@pytest.fixture(scope="module")
def paper():
    """The paper's numbers as it prints them, by data set, architecture, role and metric."""
    values = read_paper_values(ROOT / "config" / "paper_values.csv").replace({"dataset": {"cifar10": "cifar10s"}})
    return values.set_index(["dataset", "architecture", "role", "metric"])["value"]


def test_every_model_is_there_with_its_numbers(rows, paper):
    summary = pd.read_csv(TABLES / "summary.csv").set_index(["dataset", "architecture", "role", "metric"])

    def measured(*key):
        row = summary.loc[key]
        return f"{row['mean']:.3f} ± {row['sd']:.3f}"

    for model in {key[:3] for key in summary.index}:
        accuracy, deo_a, deo_m = (measured(*model, metric) for metric in ("accuracy", "deo_a", "deo_m"))
        fair = summary.loc[(*model, "deo_m")]
        assert fair["verdict"] == "above floor"
        claims = [f"{paper[(*model, metric)]:.2f}" for metric in ("accuracy", "deo")]
        row = (accuracy, claims[0], deo_m, claims[1], f"{fair['floor']:.3f}, {fair['floor_high']:.3f}", deo_a)
        assert any(cells[2:] == (model[2], *row) for cells in rows), model


def test_every_gap_is_there_with_its_interval(rows, paper):
    paired = read_paired(TABLES / "paired.csv").set_index(["dataset", "architecture", "metric"])

    def gap(*key):
        row = paired.loc[key]
        down, up = reach(row)
        return f"{row['difference']:+.3f} [{row['difference'] - down:+.3f}, {row['difference'] + up:+.3f}]"

    for place in {key[:2] for key in paired.index}:
        accuracy, deo_a, deo_m = (gap(*place, metric) for metric in ("accuracy", "deo_a", "deo_m"))
        claims = [
            f"{paper[(*place, 'student', metric)] - paper[(*place, 'teacher', metric)]:+.2f}"
            for metric in ("accuracy", "deo")
        ]
        assert (*map(printed, place), accuracy, claims[0], deo_m, claims[1], deo_a) in rows, place


def test_the_verdicts_are_counted(rows):
    values = read_paper_values(ROOT / "config" / "paper_values.csv")
    table = compare(read_runs(TABLES / "runs.csv"), values, method="mfd")

    for name, measure in [("accuracy", "accuracy"), ("DEO, taken as DEO_M", "deo_m"), ("DEO, taken as DEO_A", "deo_a")]:
        count = table[f"{measure}_verdict"].value_counts()
        expected = [str(count.get(verdict, 0)) for verdict in ("reproduced", "within noise", "not reproduced")]
        assert (name, *expected) in rows
