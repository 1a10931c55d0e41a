"""Tables of a study whose teacher was trained elsewhere: one model for all seeds, of another network than students."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_results import make_record, pattern

from fairdistill.reporting.columns import IDENTITY
from fairdistill.reporting.criteria import criteria_table
from fairdistill.reporting.features import Features, features_table
from fairdistill.reporting.figures import plot_comparison
from fairdistill.reporting.models import read_models
from fairdistill.reporting.pairs import pair_with_bases
from fairdistill.reporting.ranking import cells_table, rank_methods
from fairdistill.reporting.ranking_pages import ranking_markdown
from fairdistill.reporting.summaries import summarise
from fairdistill.reporting.table1 import table1_markdown
from fairdistill.reporting.tradeoff import plot_tradeoff
from fairdistill.reporting.trainings import values_of

SEEDS = [0, 1, 2]
STUDENTS = ["mfd", "scratch"]
GRIDS = [
    {"dataset": ["utkface"], "architecture": ["shufflenet"], "method": STUDENTS, "seed": SEEDS},
    {"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher"], "seed": SEEDS},
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two students of ShuffleNet, one of which stands on an imported ResNet, which is the same for every seed."""
    folder = tmp_path_factory.mktemp("metrics")
    teacher = make_record(architecture="resnet", bias=0.4)
    records = [teacher | {"run": teacher["run"] | {"seed": seed}} for seed in SEEDS]
    records += [
        make_record(architecture="shufflenet", method=method, seed=seed, bias=0.1, base=base)
        for method, base in (("mfd", ("resnet", "teacher")), ("scratch", None))
        for seed in SEEDS
    ]
    for record in records:
        path = Path(pattern(folder).format(**record["run"] | {"fold": ""}))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))
    return read_models(pattern(folder), GRIDS)


@pytest.fixture(scope="module")
def summary(models):
    return summarise(models.runs, models.trainings)


def test_the_teacher_is_one_training_without_a_spread(models, summary):
    teachers, students = (summary[summary["role"] == role] for role in ("teacher", "student"))
    assert teachers["sd"].isna().all()
    assert (teachers["n"] == len(SEEDS)).all()
    measured = teachers["metric"] != "worst_group_accuracy"
    assert (teachers.loc[measured, "trainings"] == 1).all()
    for row in teachers.to_dict("records"):
        assert values_of(row).index.tolist() == ["0", "1", "2"]
        assert values_of(row).nunique() == 1
    alone = summarise(models.runs[models.runs["seed"] == 0], models.trainings)
    of_one = alone[alone["role"] == "teacher"]
    np.testing.assert_array_equal(teachers[["low", "high"]], of_one[["low", "high"]])
    assert students["sd"].notna().all()


def test_differences_vary_as_the_students_do(models):
    paired = pair_with_bases(models.runs, models.trainings)
    # a student that stands on none is compared with the one teacher that there is
    assert set(zip(paired["method"], paired["base_architecture"], paired["base_method"], strict=True)) == {
        ("mfd", "resnet", "teacher"),
        ("scratch", "resnet", "teacher"),
    }
    assert (paired["n"] == len(SEEDS)).all()
    assert (paired["sd"] > 0).all()


def test_table_1_marks_the_teacher_as_one_training(summary):
    text = table1_markdown(summary)
    (line,) = [line for line in text.splitlines() if "Teacher" in line]
    assert "±" not in line
    assert line.count("‡") == 3
    assert "‡ one training" in text


def test_criteria_know_it_too(models):
    table = criteria_table(models.criteria, models.trainings)
    teachers = table[table["role"] == "teacher"]
    assert (teachers["trainings"] == 1).all()
    assert teachers["sd"].isna().all()
    assert (teachers["n"] == len(SEEDS)).all()


def test_what_its_features_tell_is_of_one_training_too(models):
    keys = models.runs[IDENTITY].drop_duplicates()
    consistency = keys.assign(criterion="consistency", group="", value=0.8, low=0.7, corrected=0.8, high=0.9)
    tests = keys.assign(**{"class": "young", "group": "a", "other_group": "b", "mmd2": 0.1, "p_holm": 0.01})
    table = features_table(Features(tests, consistency), models)
    for role, trainings in (("teacher", 1), ("student", len(SEEDS))):
        rows = table[table["role"] == role]
        assert (rows["trainings"] == trainings).all()
        assert (rows["n"] == len(SEEDS)).all()
        assert (rows["seeds"] == "0 1 2").all()
        assert rows["sd"].isna().all() == (role == "teacher")
        assert (rows.loc[rows["measure"] == "mmd2", "rejected"] == trainings).all()


def test_methods_are_compared_with_the_teacher_of_another_network(models):
    students = rank_methods(models, ["teacher"]).query("role == 'student'")
    assert sorted(students["method"]) == STUDENTS
    assert students["deo_a_minus_teacher"].notna().all()


def test_the_teacher_is_ranked_beside_the_students_that_stand_on_it(models, summary):
    table = rank_methods(models, ["teacher"])
    assert set(table["architecture"]) == {"shufflenet"}
    (teacher,) = table[table["role"] == "teacher"].to_dict("records")
    mean = summary.set_index(["role", "metric"])["mean"]
    assert (teacher["method"], teacher["pareto_front"]) == ("resnet teacher", False)
    assert np.isnan(teacher["rank"])
    assert teacher["deo_a"] == mean["teacher", "deo_a"]
    assert np.isnan(teacher["deo_a_minus_teacher"])
    assert f"| {teacher['method']} | " in ranking_markdown(table, ["teacher"])
    cells = cells_table(models)
    assert set(cells.loc[cells["role"] == "teacher", "method"]) == {"resnet teacher"}
    figure = plot_tradeoff(table, "utkface")
    texts = [text.get_text() for text in figure.axes[0].texts]
    # the two students answer alike, and so share a label
    assert sorted(text for text in texts if text) == sorted(["resnet teacher", ", ".join(sorted(STUDENTS))])


def test_a_teacher_that_no_student_stands_on_has_no_row(models):
    runs = models.runs.assign(base_method=models.runs["base_method"].replace("teacher", ""))
    assert "teacher" not in set(rank_methods(replace(models, runs=runs), ["mfd"])["role"])


def test_the_teacher_has_a_bar_beside_the_students(summary):
    figure = plot_comparison(summary, architecture="shufflenet", metric="accuracy")
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[0] == "teacher"
    assert len(figure.axes[0].patches) == 3
