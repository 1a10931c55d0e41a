"""Table I in the paper's form, and the paper's numbers beside ours."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_results import make_constant, make_study

from fairdistill.reporting import notes, printing
from fairdistill.reporting import table1 as table_1
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.models import read_files
from fairdistill.reporting.pairs import PAIRED, pair_with_bases
from fairdistill.reporting.paper import comparison as paper
from fairdistill.reporting.paper import conclusions
from fairdistill.reporting.summaries import average_datasets, summarise
from fairdistill.reporting.verdicts import noise_of_another_run
from fairdistill.runtime.errors import UserError
from fairdistill.settings.paper import read_paper_values
from scripts import compare_with_paper, make_table

pytestmark = pytest.mark.usefixtures("rough_intervals")

PAPER_VALUES = Path(__file__).parents[2] / "config" / "paper_values.csv"
NO_PAIRS = pd.DataFrame(columns=PAIRED)


def read_metrics(paths):
    models = read_files(paths)
    return summarise(models.runs, models.trainings)


def paper_values():
    return paper.as_table(read_paper_values(PAPER_VALUES))


@pytest.fixture
def summary(tmp_path):
    return read_metrics(make_study(tmp_path / "metrics"))


def from_paper(values: pd.DataFrame) -> pd.DataFrame:
    """Return a summary whose accuracy and DEO are the paper's bars, so that Table I must be the paper's."""
    bars = values[values["source"] != "table1"].replace({"dataset": {"cifar10": "cifar10s"}})
    both = (
        bars.replace({"metric": {"deo": "deo_a"}}),
        bars[bars["metric"] == "deo"].replace({"metric": {"deo": "deo_m"}}),
    )
    rows = pd.concat(both).rename(columns={"value": "mean"})
    known = {"low": rows["mean"], "corrected": rows["mean"], "high": rows["mean"], "n": 1, "trainings": 1, "seeds": "0"}
    known |= {"images": 0.0, "between": 0.0, "run": 0.0, "at_chance": False, "needs_group": False}
    known |= {"values": rows["mean"].astype(str)}
    return rows.assign(method=rows["role"].replace({"student": "mfd"}), **known)


def test_the_mark_of_a_method_that_needs_the_group_follows_it_behind_an_architecture():
    rows = pd.DataFrame({"method": ["hardt", "hardt", "mfd"], "needs_group": [False, True, False]})
    names = ["hardt", "resnet hardt", "mfd", "hardt mfd", ""]
    assert notes.with_group_marks(names, rows) == ["hardt §", "resnet hardt §", "mfd", "hardt mfd", ""]


def test_an_average_over_models_of_one_and_of_several_trainings_is_marked_as_what_it_is():
    summary = from_paper(paper_values())
    summary["trainings"] = np.where(summary["dataset"] == "utkface", 4, 1)

    page = table_1.table1_markdown(summary)

    assert [line.count("‡") for line in page.splitlines() if "Teacher" in line] == [3, 3]
    assert "‡ one training, or an average that includes a model trained once: for that model only" in page
    assert "‡" not in table_1.table1_markdown(summary.assign(trainings=4))


def test_the_papers_bars_give_the_papers_table():
    table = table_1.table1(from_paper(paper_values()))

    assert table["#"].tolist() == [1, 2, 3, 4]
    assert table["Model"].tolist() == ["ResNet", "ResNet", "ShuffleNet", "ShuffleNet"]
    assert table["Model Type"].tolist() == ["Student", "Teacher", "Student", "Teacher"]
    assert table["Accuracy"].tolist() == [73.5, 72.5, 62.0, 67.5]
    # the paper's text rounds two bars of ShuffleNet on UTKFace down by 0.01 (see their notes)
    assert table["DEO_A"].tolist() == pytest.approx([0.165, 0.360, 0.175, 0.385])
    assert table["Seeds"].tolist() == [1] * 4


def test_table1_is_the_mean_sd_and_interval_of_the_average_over_data_sets(tmp_path):
    models = read_files(make_study(tmp_path, datasets=("a", "b", "c"), seeds=range(3)))
    summary = summarise(models.runs, models.trainings)

    table = table_1.table1(summary)

    seeds = models.runs.query("architecture == 'resnet' and method == 'mfd'").groupby("seed")["accuracy"].mean()
    row = average_datasets(summary, ["a", "b", "c"]).loc[("resnet", "student", "mfd", "deo_m")]
    ends = round(row["low"], 3), round(row["high"], 3)
    assert (table.loc[0, "DEO_M low"], table.loc[0, "DEO_M high"]) == ends
    assert table.loc[0, "Accuracy"] == round(100 * seeds.mean(), 1)
    assert table.loc[0, "Accuracy sd"] == round(100 * seeds.std(), 1)
    assert table.loc[0, "Seeds"] == 3


def test_markdown_is_the_papers_table_with_both_deos(summary):
    header, rule, *rows, blank, caption = table_1.table1_markdown(summary).splitlines()

    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (header, *rows)]
    assert cells[0] == ["#", "Model", "Model Type", "Accuracy", "DEO_A", "DEO_M"]
    assert [row[:3] for row in cells[1:3]] == [["1", "ResNet", "Student"], ["2", "ResNet", "Teacher"]]
    table = table_1.table1(summary)
    ends = table.loc[0, ["DEO_M low", "DEO_M high"]]
    assert cells[1][3].startswith(f"{table['Accuracy'][0]:.1f}% [")
    assert cells[1][5] == "{:.3f} [{:.3f}, {:.3f}] ‡".format(table["DEO_M"][0], *ends)
    assert {len(line) for line in (header, rule, *rows)} == {len(header)}
    assert set(rule) == set("|- ")
    assert blank == ""
    assert caption.startswith(
        "ResNet vs. ShuffleNet on CIFAR-10S and UTKFace, averaged. One seed, and 95 % interval. Intervals"
    )
    assert "The interval of a DEO is about its value corrected for noise" in caption
    assert "An average over data sets" in caption
    assert "‡ one training" in caption


def test_several_seeds_show_mean_and_sd(tmp_path):
    summary = read_metrics(make_study(tmp_path, datasets=("digits_s",), architectures=("resnet",), seeds=range(3)))

    page = table_1.table1_markdown(summary)

    table = table_1.table1(summary)
    assert f"{table['Accuracy'][0]:.1f} ± {table['Accuracy sd'][0]:.1f}%" in page
    assert "ResNet on Digits-S. Mean ± sd over 3 seeds, and 95 % interval." in page
    assert "‡" not in page
    assert "An average over" not in page


def test_models_may_have_different_numbers_of_seeds_if_each_has_its_own_everywhere(tmp_path):
    summary = read_metrics(make_study(tmp_path / "all", seeds=range(3)))
    few = read_metrics(make_study(tmp_path / "few", seeds=range(1)))
    is_student = summary["role"] == "student"
    mixed = pd.concat([summary[~is_student], few[few["role"] == "student"]])

    table = table_1.table1(mixed)

    assert table.groupby("Model Type")["Seeds"].unique().map(list).to_dict() == {"Student": [1], "Teacher": [3]}
    page = table_1.table1_markdown(mixed)
    assert "averaged. Mean ± sd over 1 to 3 seeds, and 95 % interval." in page
    assert "‡ one training" in page


def test_several_student_methods_are_told_apart(tmp_path):
    summary = read_metrics(make_study(tmp_path, architectures=("resnet",), methods=("mfd", "kd_50%")))

    assert table_1.table1(summary)["Model Type"].tolist() == ["Student (mfd)", "Student (kd_50%)", "Teacher"]


def test_latex_escapes_what_has_a_meaning_there(tmp_path):
    summary = read_metrics(make_study(tmp_path, datasets=("a_b", "c&d"), methods=("mfd", "kd_50%"), seeds=(0, 1)))

    text = table_1.table1_latex(summary)

    assert r"\toprule" in text
    assert r"Student (kd\_50\%)" in text
    assert r"a\_b and c\&d" in text
    assert r"DEO$_A$ & DEO$_M$ \\" in text
    assert r"$\pm$" in text
    body = text[text.index(r"\begin{sidewaystable}") :]
    assert not set("%&#") & set(re.sub(r"\\[%&#]| & ", "", body))
    assert "±" not in body
    assert body.count("{") == body.count("}")
    assert body.isascii()


@pytest.mark.parametrize(("rows", "pages"), [(0, 1), (32, 1), (33, 2), (97, 4)])
def test_a_long_latex_table_goes_on_on_further_pages(rows, pages):
    table = pd.DataFrame({"model": [f"m{row}" for row in range(rows)], "accuracy": "0.9"})

    text = printing.latex(table, caption="Of many models.", label="tab:many")

    first, *others = text.split(r"\begin{sidewaystable}")[1:]
    assert len(others) == pages - 1
    assert r"\caption{Of many models.}" in first
    assert r"\label{tab:many}" in first
    assert all(r"Table~\ref{tab:many}, continued" in page for page in others)
    assert text.count(r"\caption") == text.count(r"\label") == 1
    assert all(page.count(r"model & accuracy \\") == 1 for page in [first, *others])
    assert re.findall(r"m\d+", text) == table["model"].tolist()
    assert all(len(re.findall(r"m\d+", page)) <= 32 for page in [first, *others])


def test_a_grid_with_a_hole_has_no_table1(summary):
    lacking = summary.query("not (dataset == 'utkface' and method == 'mfd' and architecture == 'resnet')")

    with pytest.raises(UserError, match="resnet mfd has no run on utkface with seed 0"):
        table_1.table1(lacking)


def test_every_number_of_the_paper_stands_beside_ours(summary):
    values = paper_values()

    comparison = paper.compare(summary, NO_PAIRS, values, method="mfd")

    numbers = comparison[comparison["role"] != "gap"]
    assert numbers[paper.CLAIM].equals(values[paper.CLAIM])
    assert numbers["paper"].equals(values["value"])
    assert set(numbers["n"]) == {1}
    ours = summary.query("dataset == 'cifar10s' and architecture == 'shufflenet' and method == 'mfd'")
    ours = ours.set_index("metric")["mean"]
    claim = "dataset == 'cifar10' and architecture == 'shufflenet' and role == 'student' and metric == "
    deo, accuracy = comparison.query(claim + "'deo'").squeeze(), comparison.query(claim + "'accuracy'").squeeze()
    assert (deo["deo_a"], deo["deo_m"]) == (ours["deo_a"], ours["deo_m"])
    assert deo["deo_a_difference"] == ours["deo_a"] - 0.07
    assert deo[["accuracy", "accuracy_sd", "deo_a_sd"]].isna().all()
    assert accuracy["accuracy"] == ours["accuracy"]
    assert accuracy[["deo_a", "deo_m"]].isna().all()


def test_the_papers_table_is_compared_with_our_average_over_its_two_data_sets(tmp_path):
    models = read_files(make_study(tmp_path, datasets=("cifar10s", "digits_s", "utkface"), seeds=(0, 1)))
    runs = models.runs

    row = paper.compare(summarise(runs, models.trainings), NO_PAIRS, paper_values(), method="mfd").loc[0]

    ours = runs.query("architecture == 'resnet' and method == 'mfd' and dataset != 'digits_s'")
    seeds = ours.groupby("seed")["accuracy"].mean()
    assert (row["accuracy"], row["accuracy_sd"], row["n"]) == pytest.approx((seeds.mean(), seeds.std(), 2))


def test_every_gap_of_the_paper_stands_beside_ours_with_the_noise_of_the_gap(tmp_path):
    models = read_files(make_study(tmp_path, seeds=range(3)))
    runs = models.runs
    paired = pair_with_bases(runs, models.trainings)

    comparison = paper.compare(summarise(runs, models.trainings), paired, paper_values(), method="mfd")

    gaps = comparison[comparison["role"] == "gap"].set_index(["dataset", "architecture", "metric"])
    assert len(gaps) == 12
    assert gaps["paper"]["cifar10", "shufflenet", "deo"] == pytest.approx(0.07 - 0.27)
    ours, row = gaps.loc["utkface", "resnet", "deo"], paired.set_index(["dataset", "architecture", "metric"])
    row = row.loc["utkface", "resnet", "deo_m"].to_dict()
    assert (ours["deo_m"], ours["deo_m_sd"], ours["n"]) == pytest.approx((row["difference"], row["sd"], 3))
    another = np.hypot(row["run"], np.sqrt(3) * row["between"])
    assert ours["deo_m_noise"] == pytest.approx(noise_of_another_run(row | {"another": another}))
    both = runs.query("architecture == 'resnet'").groupby(["seed", "method"])["accuracy"].mean().unstack()
    assert gaps["accuracy"]["mean_of_both", "resnet", "accuracy"] == pytest.approx(
        (both["mfd"] - both["teacher"]).mean()
    )


@pytest.mark.parametrize(
    ("grid", "missing"),
    [
        ({"datasets": ("digits_s",)}, "source != ''"),
        ({"datasets": ("utkface",)}, "dataset != 'utkface'"),
        ({"architectures": ("resnet",)}, "architecture == 'shufflenet'"),
        ({"methods": ("other",)}, "role != 'teacher'"),
    ],
)
def test_what_the_grid_lacks_is_left_empty(tmp_path, grid, missing):
    values = paper_values()

    comparison = paper.compare(read_metrics(make_study(tmp_path, **grid)), NO_PAIRS, values, method="mfd")

    lacking = comparison.query(missing)
    assert set(lacking["n"]) == {0}
    assert lacking[["accuracy", "deo_a", "deo_m"]].isna().all(axis=None)
    assert set(comparison.drop(lacking.index).query("role != 'gap'")["n"]) <= {1}
    assert "n = 0" in paper.comparison_markdown(
        comparison, conclusions.judge(pd.DataFrame(columns=PAIRED), method="mfd")
    )


def test_without_a_method_the_teachers_stand_alone(tmp_path):
    values = paper_values()

    comparison = paper.compare(read_metrics(make_study(tmp_path)), NO_PAIRS, values)

    assert set(comparison.query("n > 0")["role"]) == {"teacher"}
    verdicts = conclusions.judge(pd.DataFrame(columns=PAIRED), method=None)
    assert "no student is compared with the paper's" in paper.comparison_markdown(comparison, verdicts)


def test_the_scripts_write_each_form(summary, tmp_path, monkeypatch):
    write_csv(tmp_path / "summary.csv", summary)
    models = read_files((tmp_path / "metrics").rglob("*.json"))
    write_csv(tmp_path / "paired.csv", pair_with_bases(models.runs, models.trainings))

    def call(script, **options):
        arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        monkeypatch.setattr("sys.argv", [script.__name__, *arguments])
        script.main()

    table = {"csv": tmp_path / "t.csv", "markdown": tmp_path / "t.md", "tex": tmp_path / "t.tex"}
    call(make_table, summary=tmp_path / "summary.csv", **table)
    comparison = {name: tmp_path / f"p.{name}" for name in ("csv", "markdown", "conclusions")}
    sources = {"summary": tmp_path / "summary.csv", "paired": tmp_path / "paired.csv", "paper-values": PAPER_VALUES}
    call(compare_with_paper, **sources, **comparison)

    assert pd.read_csv(tmp_path / "t.csv")["Accuracy"].tolist() == table_1.table1(summary)["Accuracy"].tolist()
    assert (tmp_path / "t.md").read_text() == table_1.table1_markdown(summary)
    assert (tmp_path / "t.tex").read_text() == table_1.table1_latex(summary)
    assert len(pd.read_csv(tmp_path / "p.csv")) == 24 + 12
    page = (tmp_path / "p.markdown").read_text()
    assert "| Fig. 2  | CIFAR-10     | ResNet " in page
    assert [line for line in page.splitlines() if line.startswith("## ")][:3] == ["## Accuracy", "## DEO_A", "## DEO_M"]
    assert "## The paper's conclusions" in page
    assert (
        "- Fig. 4, UTKFace, ShuffleNet, teacher, DEO: text says approximately; the bar reads 0.51, and only 0.51"
        in page
    )


def test_without_the_option_the_conclusions_are_left_out(summary, tmp_path, monkeypatch):
    write_csv(tmp_path / "summary.csv", summary)
    write_csv(tmp_path / "paired.csv", NO_PAIRS)
    files = {"csv": tmp_path / "p.csv", "markdown": tmp_path / "p.md"}
    options = {
        "summary": tmp_path / "summary.csv",
        "paired": tmp_path / "paired.csv",
        "paper-values": PAPER_VALUES,
    } | files
    monkeypatch.setattr("sys.argv", ["compare_with_paper", *(f"--{name}={value}" for name, value in options.items())])

    compare_with_paper.main()

    assert "conclusions" not in files["markdown"].read_text()


def test_the_deo_of_a_model_at_chance_is_neither_reproduced_nor_not(tmp_path):
    paths = make_study(tmp_path, seeds=(0, 1))
    for path in paths:
        if path.parts[-4:] == ("utkface", "resnet", "mfd", "seed1.json"):
            path.write_text(json.dumps(make_constant(json.loads(path.read_text()))))
    models = read_files(paths)
    paired = pair_with_bases(models.runs, models.trainings)
    summary = summarise(models.runs, models.trainings)

    comparison = paper.compare(summary, paired, paper_values(), method="mfd")

    # the average of both data sets has the model in it, and so has the gap to its teacher
    touched = comparison["dataset"].isin(["utkface", "mean_of_both"]) & (comparison["architecture"] == "resnet")
    touched &= comparison["role"].isin(["student", "gap"])
    deo = comparison["metric"] == "deo"
    for measure in ("deo_a", "deo_m"):
        assert ((comparison[f"{measure}_verdict"] == "at chance") == (touched & deo)).all()
    assert not comparison["accuracy_verdict"].isin(["at chance"]).any()
    assert "The verdict on a DEO is `at chance` if" in paper.comparison_markdown(comparison)
    # in Table I the average over data sets and seeds is marked
    page = table_1.table1_markdown(summary).splitlines()
    assert [line.count("†") for line in page if line.startswith(("| 1 ", "| 2 "))] == [2, 0]
    assert "† at chance" in page[-1]
    assert table_1.table1(summary)["At chance"].tolist() == [True, False, False, False]
    assert r"$\dagger$" in table_1.table1_latex(summary)


def test_a_paper_may_have_values_of_one_metric_alone(summary):
    values = paper_values().query("metric == 'accuracy'").reset_index(drop=True)

    comparison = paper.compare(summary, NO_PAIRS, values, method="mfd")

    assert set(comparison["accuracy_verdict"]) - {""}
    assert set(comparison["deo_a_verdict"]) == {""}


def test_the_papers_student_has_gaps_to_a_teacher_alone(tmp_path):
    models = read_files(make_study(tmp_path, methods=("mfd", "kd"), bases={"mfd": ("resnet", "kd")}))
    paired = pair_with_bases(models.runs, models.trainings)
    summary = summarise(models.runs, models.trainings)

    comparison = paper.compare(summary, paired, paper_values(), method="mfd")

    assert set(comparison.query("role == 'gap'")["n"]) == {0}
    assert set(comparison.query("role == 'student'")["n"]) == {1}


def test_a_half_is_rounded_away_from_zero_whatever_summation_left_of_it():
    mean = float(np.mean([0.276, 0.267, 0.282, 0.285]))
    assert mean < 0.2775
    assert f"{0.1495:.3f}" == "0.149"
    assert printing.numbers(pd.Series([mean, 0.1495, np.nan]), "{:.3f}") == ["0.278", "0.150", ""]
    assert printing.numbers(pd.Series([-0.0575, 0.0, 0.1494]), "{:+.3f}") == ["-0.058", "0.000", "+0.149"]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("{:+.3f}", ["0.000", "0.000", "0.000", "-0.001", "-10.000", "+0.100"]),
        ("{:.3f}", ["0.000", "0.000", "0.000", "-0.001", "-10.000", "0.100"]),
        ("{:+.0f}", ["0", "0", "0", "0", "-10", "0"]),
        (" ± {:.1f}", [" ± 0.0", " ± 0.0", " ± 0.0", " ± 0.0", " ± -10.0", " ± 0.1"]),
    ],
)
def test_what_rounds_to_zero_has_no_sign(form, expected):
    assert printing.numbers([-0.0004, 0.0004, -0.0, -0.0005, -10, 0.1], form) == expected


def test_an_end_of_an_interval_that_rounds_to_zero_has_no_sign():
    low, high = pd.Series([-0.0002, 0.0002, np.nan]), pd.Series([0.01, 0.02, np.nan])
    assert printing.ranges(-high, low) == ["-0.010 to 0.000", "-0.020 to 0.000", ""]
    assert printing.ranges(low, high) == ["0.000 to +0.010", "0.000 to +0.020", ""]
