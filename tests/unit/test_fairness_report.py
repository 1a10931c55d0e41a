"""The fairness report of one's own predictions: its numbers, its input, how it is shown, and its script."""

import doctest
import gzip
import importlib
import re
import shlex
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairdistill.evaluation
from fairdistill.evaluation import fairness_report, group_criteria, report, uncertainty
from fairdistill.evaluation.metrics import evaluate
from fairdistill.runtime.errors import UserError
from scripts import fairness_report as script

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "fairness_report.md"
CLASSES, GROUPS = ["middle", "old", "young"], ["a", "b"]


@pytest.fixture
def rough_ends(monkeypatch):
    """The ends of intervals, which test_uncertainty checks, are not looked for to the last digit."""
    monkeypatch.setattr(uncertainty, "HALVINGS", 1)
    monkeypatch.setattr(group_criteria, "FEWER_RESAMPLES", 20)


@pytest.fixture(scope="module")
def codes():
    """label, group, prediction and probabilities of 300 images."""
    rng = np.random.default_rng(0)
    label, group = np.arange(300) % 3, np.arange(300) // 3 % 2
    probabilities = rng.dirichlet([1.0] * 3, 300)
    probabilities[np.arange(300), label] += np.where(group == 0, 1.0, 0.4)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return label, group, probabilities.argmax(axis=1), probabilities


def named(codes):
    label, group, prediction, _ = codes
    return np.array(CLASSES)[label], np.array(CLASSES)[prediction], np.array(GROUPS)[group]


@pytest.mark.usefixtures("rough_ends")
@pytest.mark.parametrize("kind", [np.asarray, list, pd.Series, pd.Categorical])
def test_the_numbers_are_those_of_evaluate_whatever_holds_the_labels(codes, kind):
    label, group, prediction, probabilities = codes
    table = pd.DataFrame(probabilities, columns=["p0", "p1", "p2"])
    table = table.assign(label=label, group=group, prediction=prediction, image_id=np.arange(300).astype(str))
    expected = evaluate(table, classes=CLASSES, groups=GROUPS)

    found = report(*map(kind, named(codes)), probabilities=probabilities)

    assert found.scores == expected
    assert (found.classes, found.groups, found.n) == (tuple(CLASSES), tuple(GROUPS), 300)
    assert found.accuracy == (expected["accuracy"], *expected["uncertainty"]["accuracy"].values())
    assert found.deo_a.value == expected["deo_a"]
    of_deo = expected["uncertainty"]["deo_m"]
    assert found.deo_m.value == expected["deo_m"]
    assert [found.deo_m.low, found.deo_m.corrected, found.deo_m.high] == [of_deo[end] for end in uncertainty.ENDS]
    assert found.deo_m.fair_baseline._asdict() == of_deo["fair_baseline"]
    assert found.deo_m.verdict == of_deo["verdict"]
    assert found.cell_accuracy.T.to_dict() == expected["cell_accuracy"]
    assert found.cell_count.T.to_dict() == expected["cell_count"]
    assert found.accuracy_per_group.to_dict() == expected["accuracy_per_group"]
    assert found.accuracy_per_class.to_dict() == expected["accuracy_per_class"]
    assert found.gaps["value"].to_dict() == expected["deo_per_class"]
    assert found.gaps["value"].max() == found.deo_m.value
    assert found.criteria.query("criterion == 'brier' and group == 'b'")["value"].item() == pytest.approx(
        np.square(probabilities - np.eye(3)[label])[group == 1].sum(axis=1).mean()
    )


@pytest.mark.usefixtures("rough_ends")
def test_without_probabilities_there_is_no_calibration_and_all_else_is_the_same(codes):
    without, with_them = report(*named(codes)), report(*named(codes), probabilities=codes[3])

    calibration = with_them.criteria["criterion"].isin(["ece", "brier"])
    assert calibration.sum() == 2 * (1 + len(GROUPS))
    pd.testing.assert_frame_equal(without.criteria, with_them.criteria[~calibration].reset_index(drop=True))
    assert without.deo_a == with_them.deo_a


@pytest.mark.usefixtures("rough_ends")
def test_classes_may_be_tuples_of_any_lengths(codes):
    label, predicted, group = named(codes)
    as_tuples = {name: tuple(name) for name in set(label)}
    assert len({*map(len, as_tuples.values())}) > 1

    found = report([as_tuples[name] for name in label], [as_tuples[name] for name in predicted], group)

    assert found.deo_a == report(label, predicted, group).deo_a


@pytest.mark.usefixtures("rough_ends")
def test_classes_and_groups_are_sorted_or_in_the_order_that_is_given(codes):
    label, predicted, group = named(codes)
    wanted = ["young", "middle", "old"]

    found = report(label, predicted, pd.Categorical(group, ["b", "a"]), classes=wanted)

    assert (found.classes, found.groups) == (tuple(wanted), ("b", "a"))
    pd.testing.assert_frame_equal(found.cell_accuracy, report(label, predicted, group).cell_accuracy[wanted].iloc[::-1])
    numbers = report([2, 10, 2, 10], [2, 10, 2, 10], [0.5, 0.5, 1.5, 1.5])
    assert (numbers.classes, numbers.groups) == ((2, 10), (0.5, 1.5))


@pytest.mark.usefixtures("rough_ends")
def test_copies_of_an_image_in_every_group_are_drawn_together(codes):
    """Both copies are always predicted alike: no image flips, and resamples have no DEO."""
    label = np.tile(np.arange(100) % 2, 2)
    predicted = np.where(np.arange(200) % 5 == 0, 1 - label, label)
    predicted[100:] = predicted[:100]
    image, group = np.tile(np.arange(100), 2), np.repeat(["colour", "grey"], 100)

    together, apart = report(label, predicted, group, images=image), report(label, predicted, group)

    assert together.criteria.set_index("criterion")["value"]["counterfactual_flip_rate"] == 0
    assert "counterfactual_flip_rate" not in set(apart.criteria["criterion"])
    assert together.deo_m.fair_baseline == (0, 0, 0)
    assert apart.deo_m.fair_baseline.high > 0.05


def with_value(values, value):
    return [*values[:3], value, *values[4:]]


Y, P, G = [0, 1] * 10, [0, 1, 1, 1] * 5, ["a", "a", "b", "b"] * 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Y, P[:-1], G), "y_pred has 19 values and y_true 20; give one for each image"),
        ((Y, P, G[:-1]), "groups has 19 values and y_true 20; give one for each image"),
        ((Y, P, with_value(G, None)), "groups lacks 1 of 20 values, the first at position 3; "),
        ((with_value(Y, np.nan), P, G), "y_true lacks 1 of 20 values, the first at position 3; "),
        ((Y, pd.Series(with_value(P, None), dtype="Int64"), G), "y_pred lacks 1 of 20 values, "),
        ((Y, P, ["a"] * 20), "groups holds 'a' alone; DEO compares at least two groups"),
        (([1] * 20, P, G), "y_true holds 1 alone; DEO compares at least two classes"),
        (([], [], []), "y_true is empty; give one value for each image"),
        ((Y, np.reshape(P, (10, 2)), G), "y_pred has 2 dimensions; give one value for each image"),
        (([[0], [1]], [0, 1], ["a", "b"]), "y_true holds several values for an image"),
        (([[0], [1, 0]], [0, 1], ["a", "b"]), "y_true holds several values for an image"),
        ((Y, P, [{}] * 20), "groups holds several values for an image"),
        (
            (Y, None, G),
            "y_pred is of the type NoneType; give one value for each image, as a list, an array or a Series",
        ),
        ((Y, P, "ab" * 10), "groups is of the type str; give one value for each image, "),
        ((bytes(Y), P, G), "y_true is of the type bytes; "),
        ((dict(enumerate(Y)), P, G), "y_true is of the type dict; "),
        (({*Y}, P, G), "y_true is of the type set; "),
        ((len, P, G), "y_true is of the type builtin_function_or_method; "),
        ((np.array(1), P, G), "y_true has 0 dimensions; give one value for each image"),
        ((pd.DataFrame({"y": Y}), P, G), "y_true has 2 dimensions; give one value for each image"),
        ((np.zeros(20, dtype=[("a", int)]), P, G), "y_true cannot be read as one column ("),
        ((pd.MultiIndex.from_arrays([Y, Y]), P, G), "y_true cannot be read as one column ("),
        ((Y, P, [object() for _ in Y]), "groups holds values that cannot be put in order ("),
        ((np.ma.masked_array(Y, [1] + [0] * 19), P, G), "y_true lacks 1 of 20 values, the first at position 0; "),
        ((pd.Categorical([None, *Y[1:]]), P, G), "y_true lacks 1 of 20 values, the first at position 0; "),
        ((Y, [0.3] * 20, G), "y_pred holds 0.3, which is none of the classes 0, 1; write it as one of them"),
        ((Y, list(map(str, P)), G), "y_pred holds '0', which is none of the classes 0, 1"),
        ((Y, P, ["a", "b"] * 10), "no image of class '1' in group 'a': DEO needs at least one in every"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_line(arguments, message):
    with pytest.raises(UserError, match="^" + re.escape(message)) as caught:
        report(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probabilities": [0.5] * 20}, "probabilities have the shape (20,); 20 images of 2 classes need (20, 2)"),
        ({"probabilities": [[0.5, 0.6]] * 20}, "probabilities are not numbers in 0..1 that add up to 1"),
        ({"probabilities": [[1.5, -0.5]] * 20}, "probabilities are not numbers in 0..1 that add up to 1"),
        ({"probabilities": [[0.5, np.nan]] * 20}, "probabilities are not numbers in 0..1 that add up to 1"),
        ({"probabilities": [["half", "half"]] * 20}, "probabilities are not numbers; "),
        ({"probabilities": [[1.0], [0.5, 0.5]] * 10}, "probabilities are not numbers; "),
        ({"probabilities": {0: [0.5] * 20, 1: [0.5] * 20}}, "probabilities are not numbers; "),
        ({"probabilities": np.full((20, 2), 0.5 + 0.5j)}, "probabilities are not numbers; "),
        (
            {"probabilities": np.ma.masked_array(np.full((20, 2), 0.5), np.eye(20, 2))},
            "probabilities are not numbers; ",
        ),
        (
            {"probabilities": pd.DataFrame({1: [0.4] * 20, 0: [0.6] * 20})},
            "probabilities has columns in the order 1, 0; give them in that of the classes, 0, 1",
        ),
        ({"classes": []}, "classes names none; give at least two, or leave it out"),
        ({"classes": 2}, "classes is of the type int; give each class once, as a list, an array or a Series"),
        ({"classes": {0, 1}}, "classes is of the type set; "),
        ({"classes": "01"}, "classes is of the type str; "),
        ({"classes": [[0], [1]]}, "classes holds a class of several values; give each class once"),
        ({"classes": [0, 1, None]}, "classes names a missing value, which is no class; leave it out"),
        ({"classes": [0, 1, 0]}, "classes names 0 twice; name it once"),
        ({"classes": [0, 2]}, "y_true holds 1, which is none of the classes 0, 2"),
        ({"images": [1, 2, 3]}, "images has 3 values and y_true 20"),
    ],
)
def test_options_that_do_not_fit_are_said_in_one_line(options, message):
    with pytest.raises(UserError, match="^" + re.escape(message)):
        report(Y, P, G, **options)


@pytest.mark.usefixtures("rough_ends")
@pytest.mark.parametrize(
    ("truth", "predicted", "classes"),
    [
        (iter(Y), (p for p in P), (0, 1)),
        (pd.array(Y, dtype="Int8"), list(map(float, P)), (0, 1)),
        (pd.arrays.SparseArray(Y), np.array(P, dtype="uint8"), (0, 1)),
        (pd.Series(Y, index=range(20, 0, -1)), pd.Index(P), (0, 1)),
        ([bool(y) for y in Y], P, (False, True)),
        ([bytes([y]) for y in Y], [bytes([p]) for p in P], (b"\0", b"\1")),
        ([(y, "") for y in Y], [(p, "") for p in P], ((0, ""), (1, ""))),
        (pd.Categorical(Y, [1, 0, 2]), pd.Categorical(P), (1, 0)),
        (pd.cut(Y, [-1, 0, 1]), pd.cut(P, [-1, 0, 1]), (pd.Interval(-1, 0), pd.Interval(0, 1))),
    ],
)
def test_labels_of_many_types_are_taken(truth, predicted, classes):
    found = report(truth, predicted, pd.array(G, dtype="string"))
    assert (found.classes, found.groups, found.n) == (classes, ("a", "b"), 20)
    assert found.accuracy.value == np.mean(np.equal(Y, P))


@pytest.mark.usefixtures("rough_ends")
def test_a_report_cannot_be_changed():
    found = report(Y, P, G)
    before = found.to_frame()

    with pytest.raises(FrozenInstanceError):
        found.scores = {}
    with pytest.raises(AttributeError):
        found.deo_m.value = 0
    cells = found.cell_accuracy
    cells.loc["a", 0] = 7
    pd.testing.assert_frame_equal(found.to_frame(), before)


@pytest.mark.usefixtures("rough_ends")
def test_the_tidy_table_has_every_number_once(codes):
    found = report(*named(codes))
    table = found.to_frame()

    keys = table[["measure", "group", "class"]]
    assert not keys.duplicated().any()
    rows = table.set_index(["measure", "group", "class"])
    assert rows["value"]["accuracy", "b", "old"] == found.cell_accuracy.loc["b", "old"]
    assert rows["value"]["accuracy", "", "old"] == found.accuracy_per_class["old"]
    assert rows["value"]["accuracy", "b", ""] == found.accuracy_per_group["b"]
    assert rows["high"]["accuracy", "", ""] == found.accuracy.high
    assert rows["high"]["gap", "", "young"] == found.gaps.loc["young", "high"]
    assert rows["fair_baseline_high"]["deo_m", "", ""] == found.deo_m.fair_baseline.high
    assert rows["verdict"]["deo_a", "", ""] == found.deo_a.verdict
    cells, measures = len(CLASSES) * len(GROUPS), 3
    assert len(table) == measures + 2 * len(CLASSES) + len(GROUPS) + cells + len(found.criteria)


@pytest.mark.usefixtures("rough_ends")
@pytest.mark.parametrize("names", [["group", "class"], [("a", 1), ("a", 2)], ["<b>", "x|y"], [False, True]])
def test_it_is_printed_and_shown_whatever_the_labels_are(names):
    code = dict(enumerate(names))
    of_class, predicted = ([code[y] for y in values] for values in (Y, P))
    groups = [code[g == "b"] for g in G]

    found = report(of_class, predicted, groups)

    text = str(found)
    assert repr(found) == text
    assert max(map(len, text.split("\n\n")[0].splitlines())) <= 100
    assert text.startswith("20 images, 2 classes, 2 groups. Intervals are at 95 %")
    assert "Caution: a (class, group) cell has only 5 images" in " ".join(text.split())
    for part in [
        "DEO_M",
        f"{found.deo_m.value:.3f}",
        found.deo_m.verdict,
        "all groups",
    ]:
        assert part in text
    shown = found._repr_html_()
    assert shown.count("<table") == len(found.tables()) == 4
    assert "<b>" not in shown
    assert found.cell_accuracy.shape == (2, 2)


@pytest.mark.usefixtures("rough_ends")
def test_a_half_is_rounded_up_as_in_all_tables():
    cell = ["a"] * 13 + ["b"] * 3
    found = report(["a"] * 32 + ["b"] * 32, [*cell, *cell, *cell[::-1], *cell[::-1]], (["g"] * 16 + ["h"] * 16) * 2)

    assert found.accuracy.value == 0.5
    assert found.cell_accuracy.loc["g", "a"] == 0.8125
    table = found.tables()["Accuracy by group and class"].set_index("group")
    assert table["a"].tolist() == ["0.813 of 16", "0.813 of 16", "0.813"]
    assert table["b"].tolist() == ["0.188 of 16", "0.188 of 16", "0.188"]


@pytest.mark.usefixtures("rough_ends")
def test_with_fifty_images_of_each_cell_nothing_is_to_be_cautioned():
    found = report(Y * 10, P * 10, G * 10)

    assert found.caution is None
    assert "Caution" not in str(found)


def test_many_images_are_drawn_a_part_at_a_time_and_score_the_same(codes, monkeypatch):
    monkeypatch.setattr(uncertainty, "HALVINGS", 1)
    monkeypatch.setattr(group_criteria, "FEWER_RESAMPLES", 50)
    whole = report(*named(codes), probabilities=codes[3]).to_frame()
    monkeypatch.setattr(group_criteria, "MOST_AT_ONCE", 700)
    parts = report(*named(codes), probabilities=codes[3]).to_frame()

    pd.testing.assert_frame_equal(parts, whole, rtol=1e-12)


@pytest.mark.usefixtures("rough_ends")
def test_of_many_classes_the_criteria_have_fewer_resamples(codes, monkeypatch):
    size = 2 * 3 * (3 + 2 * 15 + 1)
    assert group_criteria.values_of_a_resample(2, 3) == size
    monkeypatch.setattr(group_criteria, "FEWER_RESAMPLES", 50)
    monkeypatch.setattr(group_criteria, "LEAST_RESAMPLES", 10)

    drawn = []
    for memory in (60, 30, 5):
        monkeypatch.setattr(group_criteria, "MOST_VALUES", memory * size)
        drawn.append(report(*named(codes)).scores["criteria"]["resamples"])
    assert drawn == [50, 30, 10]


def test_more_classes_than_memory_are_refused_before_anything_is_drawn():
    """400 resamples of 250 classes and 4 groups hold 112 million numbers."""
    label = np.tile(np.arange(250), 4)

    message = "the criteria of 250 classes and 4 groups take more memory than most machines have: join classes or "
    with pytest.raises(UserError, match=re.escape(message)):
        report(label, label, np.repeat(list("abcd"), 250))


def test_copies_in_many_groups_count_as_images_of_their_own(monkeypatch):
    """The patterns of right and wrong answers that are counted are 2 to the power of the number of groups."""
    monkeypatch.setattr(uncertainty, "HALVINGS", 1)
    monkeypatch.setattr(group_criteria, "FEWER_RESAMPLES", 20)
    shown = {}
    for n in (12, 13):
        label = np.tile([0, 1], 5 * n)
        found = report(label, label, np.repeat(np.arange(n), 10), images=np.tile(np.arange(10), n))
        shown[n] = "counterfactual_flip_rate" in found.scores["criteria"]
    assert shown == {12: True, 13: False}


def test_the_examples_in_the_docstrings_hold():
    failed, tried = doctest.testmod(fairness_report)

    assert tried == 6
    assert failed == 0


def test_the_examples_of_the_page_hold():
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest("".join(blocks), {}, PAGE.name, str(PAGE), 0)

    failed, tried = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples)

    assert tried >= 14
    assert failed == 0


def test_the_package_loads_the_report_when_it_is_asked_for():
    """Scripts that need one module of the package do not load the others."""
    code = """
import sys
import fairdistill.evaluation
assert "numpy" not in sys.modules
fairdistill.evaluation.report
assert "pandas" in sys.modules
assert not {"torch", "fairlearn", "matplotlib"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert fairdistill.evaluation.report is importlib.import_module("fairdistill.evaluation.fairness_report").report
    with pytest.raises(AttributeError, match=r"module 'fairdistill\.evaluation' has no attribute 'reports'"):
        fairdistill.evaluation.reports  # noqa: B018


def commands():
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [shlex.split(block.replace("\\\n", " ")) for block in blocks]


def write_tables(folder, codes):
    """predictions.csv with everything; predicted/predictions.csv as scripts.predict writes it, and labels.csv."""
    label, predicted, group = named(codes)
    paths = [f"photos/{i}.jpg" for i in range(300)]
    both = pd.DataFrame({"path": paths, "age": label, "predicted": predicted, "group": group})
    both.to_csv(folder / "predictions.csv", index=False)
    written = pd.DataFrame({"path": paths, "prediction": predicted})
    for y, name in enumerate(CLASSES):
        written[f"p_{name}"] = codes[3][:, y].round(6)
    (folder / "predicted").mkdir()
    written.to_csv(folder / "predicted" / "predictions.csv", index=False)
    both[["path", "age", "group"]][::-1].to_csv(folder / "predicted" / "labels.csv", index=False)


def run(monkeypatch, folder, *arguments):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["fairness_report", *arguments])
    script.main()


@pytest.mark.usefixtures("rough_ends")
def test_the_commands_of_the_page_report_on_a_table_and_on_what_predict_writes(tmp_path, monkeypatch, capsys, codes):
    write_tables(tmp_path, codes)
    (first, second), start = commands(), ["python", "-m", "scripts.fairness_report"]
    assert first[:3] == second[:3] == start

    run(monkeypatch, tmp_path, *first[3:])
    expected = report(*named(codes))
    assert capsys.readouterr().out == f"{expected}\n"
    table = pd.read_csv(tmp_path / "report.csv", keep_default_na=False, na_values={"value": ""})
    np.testing.assert_allclose(table["value"], expected.to_frame()["value"], rtol=1e-9)
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert page.startswith("# Fairness of predictions.csv\n\n300 images, 3 classes, 2 groups.")
    assert page.count("\n## ") == 4
    assert f"| DEO_M    | {expected.deo_m.value:.3f} |" in page

    run(monkeypatch, tmp_path / "predicted", *second[3:])
    told = capsys.readouterr()
    assert told.out == f"{report(*named(codes), probabilities=codes[3].round(6))}\n"
    assert told.err == ""


@pytest.mark.usefixtures("rough_ends")
def test_images_without_a_prediction_are_left_out_and_counted(tmp_path, monkeypatch, capsys, codes):
    write_tables(tmp_path, codes)
    path = tmp_path / "predicted" / "predictions.csv"
    pd.read_csv(path)[:-6].to_csv(path, index=False)

    run(monkeypatch, path.parent, *commands()[1][3:])

    told = capsys.readouterr()
    assert told.out.startswith("294 images, ")
    assert told.err == "6 of the 300 images of labels.csv have no prediction and are left out\n"


def test_a_class_that_is_written_in_another_way_is_named(tmp_path, monkeypatch):
    table = pd.DataFrame({"y": [0, 1] * 10, "prediction": [0.0, 1.0] * 10, "group": ["a", "a", "b", "b"] * 5})
    table.to_csv(tmp_path / "table.csv", index=False)

    message = "table.csv: has '0.0' in the column 'prediction', which is none of the true classes, '0', '1'; write each"
    with pytest.raises(UserError, match="^" + re.escape(message)):
        run(monkeypatch, tmp_path, "--predictions", "table.csv", "--target", "y", "--group", "group")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"y": "0", "prediction": "0"},
            "table.csv: has '0' alone in the column 'y', and DEO compares at least two classes; name the column of the "
            "classes, or give a table with images of others",
        ),
        ({"sex": "a"}, "table.csv: has 'a' alone in the column 'sex', and DEO compares at least two groups; name the "),
        (
            {"sex": ["a", "b"] * 10},
            "table.csv: has no image with '0' in the column 'y' and 'b' in 'sex', and DEO needs one at least of every "
            "class in every group; add some, or join classes or groups",
        ),
        *(
            (
                {"p1": [0.5] * 19 + [value]},
                f"table.csv: has '{value}' in the column 'p1', which is no probability; write numbers from 0 to 1, or "
                "leave --probabilities out",
            )
            for value in ("half", "-0.5", "1.01", "inf")
        ),
        ({"p1": 0.25}, "table.csv: probabilities are not numbers in 0..1 that add up to 1 for each image; give those"),
    ],
)
def test_the_script_names_the_column_of_what_cannot_be_scored(tmp_path, monkeypatch, change, message):
    table = pd.DataFrame({"y": Y, "prediction": P, "sex": G, "p0": 0.5, "p1": 0.5}).assign(**change)
    table.to_csv(tmp_path / "table.csv", index=False)
    columns = ["--target", "y", "--group", "sex", "--probabilities", "p"]
    with pytest.raises(UserError, match="^" + re.escape(message)):
        run(monkeypatch, tmp_path, "--predictions", "table.csv", *columns)
    # those of the classes may be in a table of their own
    if "alone" in message:
        table.rename_axis("path").to_csv(tmp_path / "table.csv")
        table[["prediction"]].rename_axis("path").to_csv(tmp_path / "predicted.csv")
        with pytest.raises(UserError, match="^" + re.escape(message)):
            run(monkeypatch, tmp_path, "--predictions", "predicted.csv", "--labels", "table.csv", *columns[:4])


@pytest.mark.usefixtures("rough_ends")
def test_classes_that_are_numbers_are_in_the_order_of_their_size(tmp_path, monkeypatch, capsys):
    table = pd.DataFrame({"y": [2, 10] * 10, "prediction": [2, 10] * 10, "group": [100, 100, 20, 20] * 5})
    table.to_csv(tmp_path / "table.csv", index=False)

    run(monkeypatch, tmp_path, "--predictions", "table.csv", "--target", "y", "--group", "group")

    out = capsys.readouterr().out
    assert re.search(r" group +2 +10 all classes\n +20 .*\n +100 ", out)


def edited(name, old, new):
    def edit(folder):
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            edited("predictions.csv", "prediction,", "predicted,"),
            "predictions.csv: has no column 'prediction'; did you",
        ),
        (edited("predictions.csv", "p_old", "p_odd"), "predictions.csv: has no column 'p_old'; did you mean 'p_odd'"),
        (edited("labels.csv", "age", "years"), "labels.csv: has no column 'age'; "),
        (edited("labels.csv", "/7.jpg,old", "/7.jpg,"), "labels.csv: line 294 has no value in the column 'age'; "),
        (edited("labels.csv", "/7.jpg,old", "/7.jpg"), "labels.csv: line 294 has more or fewer fields than the header"),
        (edited("labels.csv", "/7.jpg", "/70.jpg"), "labels.csv: has two rows of 'photos/70.jpg'; "),
        (edited("predictions.csv", "/7.jpg", "/70.jpg"), "predictions.csv: has two rows of 'photos/70.jpg'; "),
        (
            edited("labels.csv", "/7.jpg", "/7000.jpg"),
            "labels.csv: has no row of 'photos/7.jpg', which predictions.csv",
        ),
        (edited("labels.csv", "/7.jpg,old", "/7.jpg,elder"), "predictions.csv: has no column 'p_elder'; "),
        (
            edited("labels.csv", "/7.jpg,old", "/7.jpg,NA"),
            "labels.csv: line 294 has no value in the column 'age'; give it one, or remove the row ('NA' is taken for",
        ),
        (
            lambda folder: (folder / "predictions.csv").write_bytes(gzip.compress(b"path,prediction")),
            "predictions.csv: is compressed; unpack it",
        ),
    ],
)
def test_the_script_names_the_table_and_what_is_wrong_with_it(tmp_path, monkeypatch, codes, edit, message):
    write_tables(tmp_path, codes)
    edit(tmp_path / "predicted")

    with pytest.raises(UserError, match="^" + re.escape(message)):
        run(monkeypatch, tmp_path / "predicted", *commands()[1][3:])
