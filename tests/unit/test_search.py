"""Choosing the settings of a method on the validation split: the rules, and that nothing else is read."""

import json
from itertools import product

import pandas as pd
import pytest
from synthetic_results import CLASSES, GROUPS, make_predictions, make_record, pattern

from fairdistill.evaluation.metrics import evaluate
from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.models import read_models
from fairdistill.reporting.runs import read_validation, with_settings
from fairdistill.reporting.search import SEARCH, choose, judge, read_search, search_markdown
from fairdistill.reporting.summaries import summarise
from fairdistill.runtime.errors import UserError
from fairdistill.settings.sweeps import Candidates, Search
from scripts import choose_settings, report_search

METHODS = ["mfd-lambda0", "mfd-lambda1"]
ALL_AT_CHANCE = "most accurate; all are at chance"
GRID = {"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", *METHODS], "seed": [0, 1]}


def candidate(of_cells, deo_a=0.3, **other):
    row = {"mean_cell_accuracy": of_cells, "deo_a": deo_a, "deo_m": deo_a, "worst_group_accuracy": of_cells - deo_a / 2}
    # over images all are as good as the base, and one that is less so is named by a test
    return row | {"base_mean_cell_accuracy": 0.8, "accuracy": 0.9, "base_accuracy": 0.9, "at_chance": False} | other


@pytest.mark.parametrize(
    ("rule", "candidates", "chosen", "why"),
    [
        (
            {},
            [candidate(0.85, 0.3), candidate(0.795, 0.1), candidate(0.7, 0.01)],
            1,
            "smallest DEO_A of the 2 at most 0.01 below the base's accuracy",
        ),
        # at the margin, which binary fractions would miss
        (
            {},
            [candidate(0.85, 0.3), candidate(0.79, 0.1)],
            1,
            "smallest DEO_A of the 2 at most 0.01 below the base's accuracy",
        ),
        (
            {"margin": 0},
            [candidate(0.85, 0.3), candidate(0.795, 0.1)],
            0,
            "smallest DEO_A of the 1 at most 0 below the base's accuracy",
        ),
        (
            {"metric": "deo_m"},
            [candidate(0.8, 0.1, deo_m=0.4), candidate(0.8, 0.2, deo_m=0.3)],
            1,
            "smallest DEO_M of the 2 at most 0.01 below the base's accuracy",
        ),
        (
            {},
            [candidate(0.8, 0.1), candidate(0.81, 0.1), candidate(0.81, 0.1)],
            1,
            "smallest DEO_A of the 3 at most 0.01 below the base's accuracy",
        ),
        (
            {},
            [candidate(0.6, 0.1), candidate(0.7, 0.2)],
            1,
            "most accurate, as none is at most 0.01 below the base's accuracy",
        ),
        (
            {},
            [candidate(0.8, 0.2), candidate(0.8, 0.0, at_chance=True)],
            0,
            "smallest DEO_A of the 1 at most 0.01 below the base's accuracy and not at chance",
        ),
        (
            {},
            [candidate(0.8, 0.0, at_chance=True), candidate(0.6, 0.1), candidate(0.7, 0.2)],
            2,
            "most accurate of those not at chance, as none of these is at most 0.01 below the base's accuracy",
        ),
        ({}, [candidate(0.8, 0.0, at_chance=True), candidate(0.81, 0.1, at_chance=True)], 1, ALL_AT_CHANCE),
        ({}, [candidate(0.3, 0.0, at_chance=True), candidate(0.31, 0.1, at_chance=True)], 1, ALL_AT_CHANCE),
        (
            {"rule": "most_accurate"},
            [candidate(0.9, 0.0, at_chance=True), candidate(0.7, 0.5)],
            1,
            "most accurate of those not at chance",
        ),
        (
            {"rule": "best_worst_group"},
            [candidate(0.9, 0.0, at_chance=True), candidate(0.7, 0.5), candidate(0.7, 0.4)],
            2,
            "best accuracy of the worst group of those not at chance",
        ),
        (
            {"rule": "best_worst_group"},
            [candidate(0.7, 0.5, at_chance=True), candidate(0.7, 0.4, at_chance=True)],
            1,
            "best accuracy of the worst group; all are at chance",
        ),
        (
            {"accuracy": "images"},
            [candidate(0.85, 0.3), candidate(0.85, 0.1, accuracy=0.8), candidate(0.7, 0.2)],
            2,
            "smallest DEO_A of the 2 at most 0.01 below the base's accuracy",
        ),
        ({"rule": "most_accurate"}, [candidate(0.7, 0.0), candidate(0.9, 0.5)], 1, "most accurate"),
        (
            {"rule": "best_worst_group"},
            [candidate(0.9, 0.5), candidate(0.8, 0.1)],
            1,
            "best accuracy of the worst group",
        ),
    ],
)
def test_a_rule_chooses_one_and_says_why(rule, candidates, chosen, why):
    judged = judge(candidates, Search(**rule))
    assert [row["chosen"] for row in judged] == [i == chosen for i in range(len(candidates))]
    assert judged[chosen]["why"] == why
    assert [row["why"] for i, row in enumerate(judged) if i != chosen] == [""] * (len(candidates) - 1)


def make_models(folder, *, validation, test):
    """Write metrics files of a sweep, whose bias on each split is given by method."""
    for method, seed in product(GRID["method"], GRID["seed"]):
        base = None if method == "teacher" else ("resnet", "teacher")
        record = make_record(method=method, seed=seed, base=base, bias=test[method])
        scored = make_predictions(seed=10 + seed, bias=validation[method])
        record["validation"] = evaluate(scored, classes=CLASSES, groups=GROUPS, resamples=50)
        record["parameters"]["method"] = {"kind": "mfd", "sampling": "balanced", "lambda": float(method[-1:] == "1")}
        path = folder.joinpath(pattern(folder).format(**record["run"], fold=""))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))
    return read_models(pattern(folder), [GRID])


BIAS = {"teacher": 0.4, "mfd-lambda0": 0.3, "mfd-lambda1": 0.05}
SEARCHED = Candidates(
    sweep="mfd", rule=Search(margin=0.05), models={name: {"lambda": float(i)} for i, name in enumerate(METHODS)}
)


def chosen_of(validation):
    return choose(validation, [SEARCHED], architectures=GRID["architecture"])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp("models"), validation=BIAS, test=BIAS)


def test_the_table_has_every_candidates_means_over_trainings(models):
    table = chosen_of(models.validation)
    assert table.columns.tolist() == [*SEARCH, "lambda"]
    assert table["method"].tolist() == METHODS
    assert table["lambda"].tolist() == ["0", "1"]
    assert table["chosen"].tolist() == [False, True]
    of_each = models.validation.set_index("method")
    for row in table.to_dict("records"):
        assert row["deo_m"] == pytest.approx(of_each.loc[row["method"], "deo_m"].mean())
        assert row["accuracy_sd"] == pytest.approx(of_each.loc[row["method"], "accuracy"].std())
        # here all cells have the same size
        assert row["mean_cell_accuracy"] == pytest.approx(row["accuracy"])
        assert row["deo_m_fair_baseline"] == pytest.approx(of_each.loc[row["method"], "deo_m_fair_baseline"].mean())
        assert row["base_deo_a"] == pytest.approx(of_each.loc["teacher", "deo_a"].mean())
        assert (row["trainings"], row["base_architecture"], row["base_method"]) == (2, "resnet", "teacher")
        assert row["smallest_cell"] == 40


def test_the_test_split_never_changes_the_choice(models, tmp_path):
    # on the test split the order is the other way round
    turned = {"teacher": 0.05, "mfd-lambda0": 0.0, "mfd-lambda1": 0.5}
    other = make_models(tmp_path, validation=BIAS, test=turned)
    means = other.runs.groupby("method")["deo_a"].mean()
    assert means["mfd-lambda1"] > means["mfd-lambda0"]
    assert chosen_of(other.runs.assign(mean_cell_accuracy=other.runs["accuracy"], smallest_cell=40))[
        "chosen"
    ].tolist() == [True, False]
    pd.testing.assert_frame_equal(chosen_of(other.validation), chosen_of(models.validation))


def test_a_model_that_stands_on_none_is_compared_with_the_teacher(models):
    alone = models.validation.assign(base_architecture="", base_method="")
    table = chosen_of(alone)
    assert set(table["base_method"]) == {"teacher"}
    assert table["base_accuracy"].tolist() == chosen_of(models.validation)["base_accuracy"].tolist()


def test_a_base_may_have_an_architecture_of_its_own(models):
    is_base = models.validation["method"] == "teacher"
    validation = models.validation.copy()
    validation.loc[is_base, "architecture"] = validation.loc[~is_base, "base_architecture"] = "resnet34"
    table = chosen_of(validation)
    assert table[["architecture", "base_architecture"]].drop_duplicates().to_numpy().tolist() == [
        ["resnet", "resnet34"]
    ]
    assert table["chosen"].tolist() == [False, True]
    with pytest.raises(
        UserError, match=r"^no model of mfd has scores on the validation split; train and evaluate them"
    ):
        chosen_of(validation[is_base])


def test_on_an_architecture_that_has_a_candidate_as_a_base_alone_nothing_is_chosen(models):
    one = models.validation.query("method == 'mfd-lambda1'")
    validation = pd.concat([models.validation, one.assign(architecture="resnet34")], ignore_index=True)
    pd.testing.assert_frame_equal(chosen_of(validation), chosen_of(models.validation))


@pytest.mark.parametrize("lacking", ["teacher", "mfd-lambda1"])
def test_a_model_without_scores_is_named(models, lacking):
    validation = models.validation.query("method != @lacking")
    with pytest.raises(UserError, match=f"^utkface resnet {lacking} has no scores on the validation split; train and"):
        chosen_of(validation)


def test_a_model_at_chance_is_not_the_fairest(models):
    one = (models.validation["method"] == "mfd-lambda0") & (models.validation["seed"] == 1)
    validation = models.validation.copy()
    validation.loc[one, ["deo_a_verdict", "deo_m_verdict"]] = AT_CHANCE
    validation.loc[validation["method"] == "mfd-lambda0", ["deo_a", "deo_m"]] = 0.0
    table = chosen_of(validation)
    assert (table["at_chance"].tolist(), table["chosen"].tolist()) == ([True, False], [False, True])
    page = search_markdown(table, summarise(models.runs, models.trainings))
    assert page.count("† at chance:") == 1


@pytest.mark.parametrize(
    ("rule", "deo_a", "said"),
    [
        (Search(margin=0.05), 0.01, True),
        (Search(margin=0.05), 0.3, False),
        (Search(rule="most_accurate"), 0.01, False),
    ],
)
def test_a_choice_by_a_deo_that_a_fair_classifier_would_have_says_so(models, rule, deo_a, said):
    search = SEARCHED.model_copy(update={"rule": rule})
    table = choose(models.validation, [search], architectures=GRID["architecture"])
    chosen = table["chosen"]
    table = table.assign(deo_a=deo_a, deo_a_fair_baseline=0.02)
    page = search_markdown(table, summarise(models.runs, models.trainings))
    note = "; its DEO_A is no higher than a fair classifier's, so the choice may be due to chance |"
    (row,) = [line for line in page.splitlines() if f"| {table.loc[chosen, 'why'].iloc[0]}" in line]
    assert (note in row, page.count(note)) == (said, said)
    assert "| DEO_A 0.020 |" in row


def test_the_scripts_write_the_choice_and_then_what_it_does_in_test(models, tmp_path, monkeypatch):
    write_csv(tmp_path / "validation.csv", with_settings(models.validation, models.settings))
    write_csv(tmp_path / "summary.csv", summarise(models.runs, models.trainings))

    def run(script, **options):
        words = [f"--{name}={value}" for name, value in options.items()]
        monkeypatch.setattr("sys.argv", [script.__name__, *words])
        script.main()

    table, page = tmp_path / "search.csv", tmp_path / "search.md"
    given = {"validation": tmp_path / "validation.csv", "architectures": "resnet", "csv": table}
    run(choose_settings, searches=json.dumps([SEARCHED.to_json()]), **given)
    pd.testing.assert_frame_equal(
        read_search(table)[SEARCH],
        chosen_of(read_validation(tmp_path / "validation.csv"))[SEARCH],
        check_dtype=False,
        rtol=1e-8,
    )
    run(report_search, search=table, summary=tmp_path / "summary.csv", markdown=page)
    text = page.read_text()
    curve, test = text.split("## The chosen models on the test split")
    assert [line.count("mfd-lambda") for line in curve.splitlines() if "mfd-lambda" in line] == [1, 1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in test.splitlines() if "ResNet" in line]
    assert [(row[1], row[4]) for row in rows] == [("chosen", "mfd-lambda1"), ("base", "teacher")]
    mean = models.runs.query("method == 'mfd-lambda1'")["deo_m"].mean()
    assert float(rows[0][-1].split(" [")[0]) == pytest.approx(mean, abs=0.00051)
    with pytest.raises(UserError, match="--searches: not readable as JSON"):
        run(choose_settings, searches="[", **given)


def test_a_page_of_models_that_the_summary_lacks_is_refused(models):
    summary = summarise(models.runs, models.trainings).query("method != 'mfd-lambda1'")
    with pytest.raises(
        UserError, match="the summary lacks utkface resnet mfd-lambda1 accuracy, which the search names"
    ):
        search_markdown(chosen_of(models.validation), summary)
