"""docs/reproduction.md and the README say what the tracked tables say."""

from pathlib import Path

import pandas as pd
import pytest

from fairdistill.reporting.labels import printed
from fairdistill.reporting.pairs import read_paired
from fairdistill.reporting.paper.comparison import as_table, compare
from fairdistill.reporting.printing import numbers
from fairdistill.reporting.summaries import read_summary
from fairdistill.settings.paper import read_paper_values
from scripts.near_copies_effect import over_seeds

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "results" / "paper" / "tables"


def rows_of(page):
    """The cells of every table row of a page; an empty cell of the first two is the one above it."""
    found, above = [], ("", "")
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            above = tuple(cell or last for cell, last in zip(cells[:2], above, strict=True))
            found.append((*above, *cells[2:]))
        else:
            above = ("", "")
    return found


@pytest.fixture(scope="module")
def rows():
    """The table rows of docs/reproduction.md."""
    return rows_of("docs/reproduction.md")


@pytest.fixture(scope="module")
def summary():
    """The means over seeds, by data set, architecture, role and metric."""
    return pd.read_csv(TABLES / "summary.csv").set_index(["dataset", "architecture", "role", "metric"])


@pytest.fixture(scope="module")
def paper():
    """The paper's numbers as it prints them, by data set, architecture, role and metric."""
    values = as_table(read_paper_values(ROOT / "config" / "paper_values.csv")).replace(
        {"dataset": {"cifar10": "cifar10s"}}
    )
    return values.set_index(["dataset", "architecture", "role", "metric"])["value"]


def test_every_model_is_there_with_its_numbers(rows, paper, summary):
    def measured(*key):
        row = summary.loc[key]
        return " ± ".join(numbers([row["mean"], row["sd"]], "{:.3f}"))

    for model in {key[:3] for key in summary.index}:
        accuracy, deo_a, deo_m = (measured(*model, metric) for metric in ("accuracy", "deo_a", "deo_m"))
        fair = summary.loc[(*model, "deo_m")]
        assert fair["verdict"] == "above fair baseline"
        claims = [f"{paper[(*model, metric)]:.2f}" for metric in ("accuracy", "deo")]
        baseline = ", ".join(numbers([fair["fair_baseline"], fair["fair_baseline_high"]], "{:.3f}"))
        row = (accuracy, claims[0], deo_m, claims[1], baseline, deo_a)
        assert (*map(printed, model), *row) in rows, model


def test_the_readme_says_how_far_the_gap_falls(summary):
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    paired = read_paired(TABLES / "paired.csv").set_index(["dataset", "architecture", "metric"])
    resnet, shufflenet = (paired.loc[("utkface", name, "deo_m")] for name in ("resnet", "shufflenet"))
    fall, low, high = numbers([-resnet["difference"], -resnet["high"], -resnet["low"]], "{:.2f}")
    assert f"by {fall} with ResNet (95 % interval {low} to {high})" in readme
    (fall,) = numbers([-shufflenet["difference"]], "{:.2f}")
    assert f"by {fall} with ShuffleNet, which cannot be distinguished from noise" in readme
    assert shufflenet["low"] < 0 < shufflenet["high"]
    means = summary["mean"].xs("deo_m", level="metric").loc["cifar10s"]
    shares = [means[name, "student"] / means[name, "teacher"] for name in ("resnet", "shufflenet")]
    assert 0.5 < shares[0] < 0.6
    assert "by almost half with ResNet" in readme
    assert shares[1] == pytest.approx(0.25, abs=0.01)
    assert "by three quarters with ShuffleNet" in readme


def estimate(row, name="difference"):
    return "{} [{}, {}]".format(*numbers([row[name], row["low"], row["high"]], "{:+.3f}"))


@pytest.mark.parametrize(("study", "seeds"), [("paper", "four, CPU"), ("paper_h100", "five, GPU")])
def test_the_gaps_of_both_machines_are_there(rows, study, seeds):
    paired = read_paired(ROOT / "results" / study / "tables" / "paired.csv")
    gaps = paired.set_index(["dataset", "architecture", "metric"])
    for place in {key[:2] for key in gaps.index}:
        row = [estimate(gaps.loc[(*place, metric)]) for metric in ("accuracy", "deo_m", "deo_a")]
        assert (*map(printed, place), seeds, *row) in rows, place


def test_all_means_of_the_gpu_are_within_the_noise_of_those_of_the_cpus():
    table = pd.read_csv(ROOT / "results" / "paper_h100" / "tables" / "published_vs_own.csv")
    assert len(table) == 24
    assert set(table["verdict"]) == {"within the noise"}


def verdict(row, *, below):
    """By docs/utkface_folds.md: whether a difference lies below zero, or above a bound."""
    names = {True: "yes", False: "no"} if below == 0 else {True: "stands", False: "ruled out"}
    return names[True] if row["high"] < 0 else names[False] if row["low"] > below else "open"


def test_the_folds_of_utkface_are_judged_by_the_rule_that_was_fixed():
    rows = rows_of("docs/utkface_folds.md")
    table = pd.read_csv(ROOT / "results" / "utkface_folds" / "tables" / "ablations.csv", keep_default_na=False)
    table = table.astype({"estimate": float, "low": float, "high": float})
    models, pairs = table[table["part"] == "model"], table[table["part"] != "model"]
    values = models.pivot(index=["architecture", "method"], columns="metric", values="estimate")
    assert len(values) == 14
    for (architecture, method), row in values.iterrows():
        assert (printed(architecture), method, *numbers(row[["accuracy", "deo_m", "deo_a"]], "{:.3f}")) in rows
    found = {
        tuple(row[name] for name in ("architecture", "method", "minus", "metric")): row for _, row in pairs.iterrows()
    }
    questions = {"features": "mfd_flat", "length of the epochs": "mfd_long", "both": "mfd_flat_long"}
    for architecture in ("resnet", "shufflenet"):
        for other in ("teacher", "balanced"):
            cells = [found[architecture, "mfd", other, metric] for metric in ("deo_m", "deo_a", "accuracy")]
            deo_m, *others = map(estimate, cells, ["estimate"] * 3)
            answer = verdict(cells[0], below=0)
            assert (printed(architecture), f"mfd - {other}", deo_m, answer, *others) in rows
        for question, method in questions.items():
            cell = found[architecture, method, "mfd", "deo_m"]
            row = (f"{method} - mfd", estimate(cell, "estimate"), verdict(cell, below=-0.05))
            assert (printed(architecture), question, *row) in rows


def test_the_spread_of_each_source_is_there():
    rows = rows_of("docs/statistics.md")
    table = pd.read_csv(ROOT / "results" / "streams" / "tables" / "spread.csv")
    assert len(table) == 5 * 2 * 3
    sources = {"weights": "initial weights", "order": "order of the images, and flips", "all": "all of them"}
    sources |= {"split": "which images are tested", "colour": "colours, and noise of the images"}
    found = table.set_index(["study", "method", "metric"])
    for study, source in sources.items():
        for method in ("teacher", "mfd"):
            cells = [found.loc[(f"streams_{study}", method, metric)] for metric in ("accuracy", "deo_a", "deo_m")]
            texts = ["{} [{}, {}]".format(*numbers(cell[["sd", "sd_low", "sd_high"]], "{:.3f}")) for cell in cells]
            assert (source, method, *texts) in rows


def test_every_gap_is_there_with_its_interval(rows, paper):
    paired = read_paired(TABLES / "paired.csv").set_index(["dataset", "architecture", "metric"])

    def gap(*key):
        return estimate(paired.loc[key])

    for place in {key[:2] for key in paired.index}:
        accuracy, deo_a, deo_m = (gap(*place, metric) for metric in ("accuracy", "deo_a", "deo_m"))
        claims = [
            f"{paper[(*place, 'student', metric)] - paper[(*place, 'teacher', metric)]:+.2f}"
            for metric in ("accuracy", "deo")
        ]
        assert (*map(printed, place), accuracy, claims[0], deo_m, claims[1], deo_a) in rows, place


def test_the_verdicts_are_counted(rows):
    values = as_table(read_paper_values(ROOT / "config" / "paper_values.csv"))
    table = compare(read_summary(TABLES / "summary.csv"), read_paired(TABLES / "paired.csv"), values, method="mfd")
    of_gaps = table["role"] == "gap"

    names = {"accuracy": "accuracy", "deo_m": "DEO, taken as DEO_M", "deo_a": "DEO, taken as DEO_A"}
    for prefix, claims in [("", table[~of_gaps]), ("gap in ", table[of_gaps])]:
        for measure, name in names.items():
            count = claims[f"{measure}_verdict"].value_counts()
            expected = [str(count.get(verdict, 0)) for verdict in ("reproduced", "within noise", "not reproduced")]
            assert (f"{prefix}{name}", *expected) in rows


def test_what_near_copies_change_is_there(rows):
    table = pd.read_csv(TABLES / "near_copies.csv", keep_default_na=False, na_values={"accuracy_on_copies": ""})
    means = over_seeds(table)
    grid = means[means["seeds"] == 4]
    assert len(grid) == 12
    for row in grid.to_dict("records"):
        name = "difference" if row["minus"] else {"teacher": "teacher", "mfd": "student"}[row["method"]]
        on = ["", ""] if row["minus"] else numbers([row["accuracy_on_copies"], row["accuracy_without"]], "{:.3f}")
        moves = numbers([row[f"{metric}_moves"] for metric in ("accuracy", "deo_m", "deo_a")], "{:+.3f}")
        assert (printed(row["dataset"]), printed(row["architecture"]), name, *on, *moves) in rows, row


def test_the_label_noise_is_there(rows):
    table = pd.read_csv(TABLES / "label_noise.csv").set_index(["part", "measure", "families"])
    lines = {
        ("two labellings disagree", "on the age class"): ("disagreement", "class"),
        ("two labellings disagree", "on the group"): ("disagreement", "group"),
        ("two labellings disagree", "on either"): ("disagreement", "cell"),
        ("one labelling is wrong", "in the age class"): ("error", "class"),
        ("one labelling is wrong", "in the group"): ("error", "group"),
        ("a perfect classifier", "accuracy"): ("perfect by labels", "accuracy"),
        ("a perfect classifier", "DEO_M"): ("perfect by labels", "deo_m"),
        ("a fair classifier", "accuracy"): ("fair by labels", "accuracy"),
        ("a fair classifier", "DEO_A"): ("fair by labels", "deo_a"),
        ("a fair classifier", "DEO_M"): ("fair by labels", "deo_m"),
        ("a fair classifier", "DEO_M, 100 images a cell"): ("fair by labels", "deo_m_drawn"),
        ("a gap of 0.4 in one cell", "DEO_M"): ("biased by labels", "deo_m"),
        ("a gap of 0.4 in one cell", "lowest of the twelve cells"): ("biased by labels", "deo_m_lowest"),
        ("a gap of 0.4 in one cell", "highest"): ("biased by labels", "deo_m_highest"),
    }
    overall = table[table["group"].isna()]
    for name, key in lines.items():
        found = [overall.loc[(*key, kind), ["value", "low", "high"]] for kind in ("identical", "near-identical")]
        cells = ["{} [{}, {}]".format(*numbers(estimate, "{:.3f}")) for estimate in found]
        assert (*name, *cells) in rows, name
