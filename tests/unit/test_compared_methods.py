"""docs/methods.md says of each method that it tabulates what results/*/tables/methods.csv says."""

import re
from pathlib import Path

import pandas as pd
import pytest

from fairdistill.reporting.printing import numbers
from fairdistill.settings.methods import TEACHER

ROOT = Path(__file__).parents[2]
STUDIES = {"Digits-S": "methods_digits", "CIFAR-10S": "methods", "UTKFace": "methods_utkface"}
METRICS = {"deo_a": "DEO_A", "deo_m": "DEO_M", "accuracy": ""}


def methods_of(study):
    """The table that ranks a study's methods."""
    return pd.read_csv(ROOT / "results" / study / "tables" / "methods.csv").set_index("method")


@pytest.fixture(scope="module")
def sections():
    """The text of each section of the page, by its heading."""
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))


def rows_of(section):
    """The rows of its table, without head."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def name_of(method, row):
    """How the first cell of a row begins."""
    return "the teacher" if method == TEACHER else f"`{method}` §" if row["needs_group"] else f"`{method}`"


def verdicts(row, reference):
    """What a cell says of a method against another."""
    found = {metric: row[f"{metric}_minus_{reference}_verdict"] for metric in METRICS}
    if any(pd.isna(verdict) for verdict in found.values()):
        return ""
    decided = {
        verdict: ", ".join(name for metric, name in METRICS.items() if name and found[metric] == verdict)
        for verdict in found.values()
        if verdict not in ("undecided", "not tested")
    }
    words = [f"{verdict} ({of})" if of else verdict for verdict, of in decided.items()]
    return ", ".join(words) or found["deo_a"]


@pytest.mark.parametrize(("dataset", "study"), STUDIES.items(), ids=[*STUDIES])
def test_each_row_has_the_means_and_verdicts_of_the_table(sections, dataset, study):
    table = methods_of(study)
    rows = rows_of(sections[f"What was found on {dataset}"])
    assert len(rows) > 5
    names = {name_of(method, row): method for method, row in table.iterrows()}
    found = [names[first.split(":")[0]] for first, *_ in rows]
    assert found == sorted(found, key=lambda method: table.loc[method, "deo_a"])
    for method, cells in zip(found, rows, strict=True):
        row = table.loc[method]
        means = [
            "{} [{}, {}]".format(*numbers(row[[metric, f"{metric}_low", f"{metric}_high"]], "{:.3f}"))
            for metric in ("accuracy", "deo_a", "deo_m")
        ]
        assert cells[1:] == [*means, verdicts(row, "erm"), verdicts(row, "mfd")], method


def test_the_page_has_each_method_on_cifar10s_and_counts_their_trainings(sections):
    students = methods_of("methods").query("role == 'student'")
    section = sections["What was found on CIFAR-10S"]
    named = {re.match(r"`(\w+)`", first)[1] for first, *_ in rows_of(section) if first != "the teacher"}
    assert named == {*students.index}
    assert {*students["trainings"]} == {2}
    assert f"Each of the {len(students)} methods was trained twice" in " ".join(section.split())
