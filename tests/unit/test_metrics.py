"""DEO and accuracy against fairlearn and AIF360, and what malformed predictions say."""

import doctest
import hashlib
import json
import warnings
from itertools import combinations

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score
from synthetic_results import CLASSES, GROUPS, make_predictions, make_training

from fairdistill.evaluation import metrics, uncertainty
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.provenance import versions
from scripts import evaluate_model

with warnings.catch_warnings():
    # of aif360's own source, when it is compiled
    warnings.filterwarnings("ignore", "invalid escape sequence")
    from aif360.datasets import BinaryLabelDataset
    from aif360.metrics import ClassificationMetric

# fairlearn and AIF360 take hundredths of a second each time
AGAINST_OTHERS = settings(max_examples=30)


@pytest.fixture(autouse=True, scope="module")
def rough_ends():
    """The ends of intervals, which test_uncertainty checks, are not looked for to the last digit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uncertainty, "HALVINGS", 1)
        yield


@st.composite
def classifications(draw, max_classes=4, max_groups=4):
    """Draw labels, groups and predictions with at least one sample in every (class, group) cell."""
    n_classes, n_groups = draw(st.integers(2, max_classes)), draw(st.integers(2, max_groups))
    codes = st.tuples(st.integers(0, n_classes - 1), st.integers(0, n_groups - 1), st.integers(0, n_classes - 1))
    every_cell = [(y, a, draw(st.integers(0, n_classes - 1))) for y in range(n_classes) for a in range(n_groups)]
    label, group, prediction = np.array(every_cell + draw(st.lists(codes, max_size=60))).T
    return {
        "label": label,
        "group": group,
        "prediction": prediction,
        "n_classes": n_classes,
        "n_groups": n_groups,
    }


def as_table(case):
    """Return the case as predictions with names, probability 1 on the predicted class."""
    probability = np.eye(case["n_classes"])[case["prediction"]]
    table = {"image_id": [str(i) for i in range(len(case["label"]))], "label": case["label"], "group": case["group"]}
    table |= {f"p{y}": probability[:, y] for y in range(case["n_classes"])}
    names = {
        "classes": [f"class {y}" for y in range(case["n_classes"])],
        "groups": [f"group {a}" for a in range(case["n_groups"])],
    }
    return pd.DataFrame(table), names


def scored(case):
    table, names = as_table(case)
    return metrics.evaluate(table, **names, resamples=10)


def deo(case):
    result = scored(case)
    return result["deo_a"], result["deo_m"]


@AGAINST_OTHERS
@given(classifications())
def test_each_gap_is_fairlearns_true_positive_rate_difference_of_one_class_against_the_rest(case):
    expected = [
        fairlearn.metrics.true_positive_rate_difference(
            case["label"] == y, case["prediction"] == y, sensitive_features=case["group"]
        )
        for y in range(case["n_classes"])
    ]

    result = scored(case)
    np.testing.assert_allclose(list(result["deo_per_class"].values()), expected, atol=1e-12)
    np.testing.assert_allclose((result["deo_a"], result["deo_m"]), (np.mean(expected), np.max(expected)), atol=1e-12)


@AGAINST_OTHERS
@given(classifications(max_classes=2))
def test_with_two_classes_deo_is_fairlearns_equalized_odds_difference(case):
    truth = (case["label"], case["prediction"])
    difference = fairlearn.metrics.equalized_odds_difference
    deo_a, deo_m = deo(case)

    assert deo_m == pytest.approx(difference(*truth, sensitive_features=case["group"]), abs=1e-12)
    assert deo_a == pytest.approx(difference(*truth, sensitive_features=case["group"], agg="mean"), abs=1e-12)


def aif360(case, positive, groups):
    """AIF360's view of one class against the rest, and of one group (`groups[0]`) against another."""

    def dataset(values):
        table = pd.DataFrame({"label": (values == positive).astype(float), "group": case["group"].astype(float)})
        names = {"label_names": ["label"], "protected_attribute_names": ["group"]}
        return BinaryLabelDataset(df=table, favorable_label=1.0, unfavorable_label=0.0, **names)

    sides = [[{"group": float(a)}] for a in groups]
    return ClassificationMetric(
        *map(dataset, (case["label"], case["prediction"])), unprivileged_groups=sides[0], privileged_groups=sides[1]
    )


@AGAINST_OTHERS
@given(classifications(max_classes=2, max_groups=2))
def test_with_two_classes_and_groups_deo_is_aif360s_equalized_odds_and_average_odds_difference(case):
    expected = aif360(case, 1, (0, 1))
    deo_a, deo_m = deo(case)

    assert deo_m == pytest.approx(expected.equalized_odds_difference(), abs=1e-12)
    assert deo_a == pytest.approx(expected.average_abs_odds_difference(), abs=1e-12)


@settings(max_examples=5)
@given(classifications(max_classes=3))
def test_each_gap_is_the_largest_of_aif360s_true_positive_rate_differences(case):
    pairs = list(combinations(range(case["n_groups"]), 2))
    expected = [
        max(abs(aif360(case, y, pair).true_positive_rate_difference()) for pair in pairs)
        for y in range(case["n_classes"])
    ]

    np.testing.assert_allclose(list(scored(case)["deo_per_class"].values()), expected, atol=1e-12)


@AGAINST_OTHERS
@given(classifications())
def test_accuracies_are_those_of_fairlearns_metric_frame(case):
    result = scored(case)

    def frame(by):
        return fairlearn.metrics.MetricFrame(
            metrics=accuracy_score, y_true=case["label"], y_pred=case["prediction"], sensitive_features=by
        )

    groups, classes = frame(case["group"]), frame(case["label"])
    cells = frame({"group": case["group"], "class": case["label"]})
    assert result["accuracy"] == pytest.approx(groups.overall)
    assert result["worst_group_accuracy"] == pytest.approx(groups.group_min())
    np.testing.assert_allclose(list(result["accuracy_per_group"].values()), groups.by_group)
    np.testing.assert_allclose(list(result["accuracy_per_class"].values()), classes.by_group)
    ours = [list(row.values()) for row in result["cell_accuracy"].values()]
    np.testing.assert_allclose(np.ravel(ours), cells.by_group)
    assert sum(sum(row.values()) for row in result["cell_count"].values()) == result["n"] == len(case["label"])


@given(classifications(), st.randoms())
def test_deo_does_not_depend_on_the_order_of_samples_or_of_groups(case, random):
    order = random.sample(range(len(case["label"])), len(case["label"]))
    renamed = random.sample(range(case["n_groups"]), case["n_groups"])
    shuffled = case | {name: case[name][order] for name in ("label", "group", "prediction")}

    assert deo(shuffled | {"group": np.array(renamed)[shuffled["group"]]}) == deo(case)


@given(classifications())
def test_a_classifier_that_errs_alike_in_all_groups_has_no_deo(case):
    always_first = case | {"prediction": np.zeros_like(case["label"])}

    assert deo(always_first) == (0.0, 0.0)


def test_the_examples_in_the_docstrings_hold():
    failed, tried = doctest.testmod(metrics)

    assert tried == 4
    assert failed == 0


def test_an_empty_cell_is_named_by_class_and_group():
    predictions = make_predictions().query("not (label == 2 and group == 1)")

    with pytest.raises(UserError, match="no image of class 'old' in group 'Black'"):
        metrics.evaluate(predictions, classes=CLASSES, groups=GROUPS)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda table: table.drop(columns="group"), "column 'group' is missing"),
        (lambda table: table.drop(columns="p1"), "column 'p1' is missing"),
        (lambda table: table.assign(p3=0.0), "more probabilities than the 3 classes"),
        (lambda table: table.assign(p0=np.nan), "probability is not a number in 0..1"),
        (lambda table: table.assign(p0=np.inf), "probability is not a number in 0..1"),
        (lambda table: table.assign(label=3), r"label holds 3..3, outside 0..2"),
        (lambda table: table.assign(group=-1), r"group holds -1..-1, outside 0..1"),
        (lambda table: table.assign(label=0.5), "label holds float64, not integers"),
        (lambda table: table.iloc[:0], "test split: no image of class 'young' in group 'White'"),
        (lambda table: table.drop(columns="split"), "column 'split' is missing"),
        (lambda table: table.assign(split="validation"), "test split: no image of class 'young'"),
        (
            lambda table: pd.concat([table, table.iloc[:3].assign(split="validation")]),
            "validation split: no image of class 'young' in group 'Black'",
        ),
    ],
)
def test_malformed_predictions_are_named_with_their_file(tmp_path, edit, message):
    path = tmp_path / "predictions.parquet"
    edit(make_predictions()).to_parquet(path)

    with pytest.raises(UserError, match=message) as caught:
        metrics.evaluate_file(path, classes=CLASSES, groups=GROUPS)

    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_damaged_predictions_file_is_named(tmp_path):
    path = tmp_path / "predictions.parquet"
    path.write_bytes(b"PAR1 cut off")

    with pytest.raises(UserError, match=str(path)):
        metrics.evaluate_file(path, classes=CLASSES, groups=GROUPS)


def test_each_split_is_scored_by_its_own_rows(tmp_path):
    test, validation = make_predictions(), make_predictions(seed=1, n=60, split="validation")
    train = make_predictions(seed=2, split="train")
    pd.concat([validation, train, test]).to_parquet(tmp_path / "predictions.parquet")

    counts = {group: {name: 10 + 5 * y * a for y, name in enumerate(CLASSES)} for a, group in enumerate(GROUPS)}
    told = {"classes": CLASSES, "groups": GROUPS, "weighting": "cells", "training_images": counts}

    scores = metrics.evaluate_file(tmp_path / "predictions.parquet", **told)

    expected = {"metrics": test, "validation": validation}
    assert scores == {field: metrics.evaluate(rows, **told) for field, rows in expected.items()}
    assert scores["metrics"]["correctness"]["weighting"] == "cells"
    assert "bias_amplification" in scores["metrics"]["criteria"]


@pytest.mark.parametrize(("right", "at_chance"), [(0, True), (1, False)])
def test_a_model_is_at_chance_up_to_the_share_of_the_largest_class(right, at_chance):
    # class 1 has 6 of 10 images and is named for all of them, but for `right` images of class 0
    label, group = np.array([0] * 4 + [1] * 6), np.array([0, 1] * 5)
    prediction = np.where(np.arange(10) < right, 0, 1)
    case = {"label": label, "group": group, "prediction": prediction, "n_classes": 2, "n_groups": 2}

    uncertainty = scored(case)["uncertainty"]

    assert [uncertainty[deo]["verdict"] == "at chance" for deo in ("deo_a", "deo_m")] == [at_chance] * 2


def test_drawn_labels_are_scored_in_the_place_of_the_most_probable_classes():
    """The latter are wrong on every image, the former right in group 0 alone."""
    label, group = np.array([0, 1] * 8), np.array([0] * 8 + [1] * 8)
    table, names = as_table({"label": label, "group": group, "prediction": 1 - label, "n_classes": 2, "n_groups": 2})
    drawn = np.where(group == 0, label, 1 - label)

    result = metrics.evaluate(table.assign(prediction=drawn), **names, resamples=10)

    assert (result["accuracy"], result["deo_a"]) == (0.5, 1)
    assert result["accuracy_per_group"] == {"group 0": 1, "group 1": 0}
    assert metrics.evaluate(table, **names, resamples=10)["accuracy"] == 0


def evaluate(monkeypatch, folder):
    """Run the script on what lies in `folder`; return the path of its output."""
    options = {
        "--predictions": folder / "predictions.parquet",
        "--training": folder / "training.json",
        "--output": folder / "metrics.json",
        "--probabilities": folder / "probabilities.parquet",
        "--code": "abc",
    }
    arguments = [str(part) for option in options.items() for part in option]
    monkeypatch.setattr("sys.argv", ["evaluate_model", *arguments])
    evaluate_model.main()
    return folder / "metrics.json"


def outputs_in(folder):
    """What a training's record says of its predictions."""
    predictions = (folder / "predictions.parquet").read_bytes()
    digest = {"predictions.parquet": hashlib.sha256(predictions).hexdigest()}
    return {"outputs": make_training()["outputs"] | digest}


def test_the_script_adds_metrics_to_the_record_of_the_training(tmp_path, monkeypatch):
    make_predictions().to_parquet(tmp_path / "predictions.parquet")
    training = make_training(dataset="digits", seed=4) | outputs_in(tmp_path)
    (tmp_path / "training.json").write_text(json.dumps(training))

    text = evaluate(monkeypatch, tmp_path).read_text()

    record = json.loads(text)
    expected = metrics.evaluate(make_predictions(), classes=CLASSES, groups=GROUPS)
    probabilities = hashlib.sha256((tmp_path / "probabilities.parquet").read_bytes()).hexdigest()
    added = {"metrics": expected, "probabilities": probabilities}
    added |= {"evaluation_code": "abc", "evaluation_versions": versions()}
    assert record == training | added
    assert text == json.dumps(record, indent=2, sort_keys=True) + "\n"


def test_the_script_adds_the_validation_split_where_there_is_one(tmp_path, monkeypatch):
    splits = [make_predictions(), make_predictions(seed=1, n=60, split="validation")]
    pd.concat(splits).to_parquet(tmp_path / "predictions.parquet")
    (tmp_path / "training.json").write_text(json.dumps(make_training() | outputs_in(tmp_path)))

    record = json.loads(evaluate(monkeypatch, tmp_path).read_text())

    assert [record[field]["n"] for field in ("metrics", "validation")] == [240, 60]


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("mfd", "look at the losses in {}/history.csv"),
        ("imported", "see whether `classes` names"),
        # its history has no epoch
        ("hardt", "it trains nothing and changes the predictions of its base alone: look at that model"),
    ],
)
def test_the_script_warns_of_a_model_at_chance(tmp_path, monkeypatch, capsys, kind, advice):
    """On the test split it is; on the validation split, as in all other tests, it is not."""
    splits = [make_predictions(accuracy=0.1), make_predictions(seed=1, n=60, split="validation")]
    pd.concat(splits).to_parquet(tmp_path / "predictions.parquet")
    training = make_training() | outputs_in(tmp_path)
    training["parameters"]["method"] = {"kind": kind, "sampling": "plain"}
    (tmp_path / "training.json").write_text(json.dumps(training))

    record = json.loads(evaluate(monkeypatch, tmp_path).read_text())

    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    start = f"warning: at chance on the test split: its accuracy, {record['metrics']['accuracy']:.3f}, is no higher"
    assert [line.startswith(start) for line in warnings] == [True]
    assert advice.format(tmp_path) in warnings[0]
    assert ("history.csv" in warnings[0]) == (kind == "mfd")


def test_the_published_probabilities_are_those_of_the_predictions_in_half_precision(tmp_path, monkeypatch):
    predictions = make_predictions()
    rng = np.random.default_rng(0)
    probability = rng.dirichlet([0.3] * len(CLASSES), len(predictions)).astype("float32")
    predictions[[f"p{y}" for y in range(len(CLASSES))]] = probability
    predictions.to_parquet(tmp_path / "predictions.parquet")
    (tmp_path / "training.json").write_text(json.dumps(make_training() | outputs_in(tmp_path)))
    evaluate(monkeypatch, tmp_path)

    compact = pd.read_parquet(tmp_path / "probabilities.parquet")

    assert list(compact) == [name for name in predictions if name != "image_id"]
    same = ["sample_id", "split", "label", "group"]
    pd.testing.assert_frame_equal(compact[same], predictions[same])
    kept = compact[[f"p{y}" for y in range(len(CLASSES))]]
    assert set(kept.dtypes) == {np.dtype("float16")}
    # of eleven bits
    precision = 2.0**-12
    assert np.abs(kept.to_numpy(np.float64) - probability).max() <= precision
    # each answer is the same where the two most probable classes are not that close
    first, second = -np.sort(-probability, axis=1)[:, :2].T
    apart = first - second > 2 * precision
    assert (kept.to_numpy().argmax(1) == probability.argmax(1))[apart].all()
    assert apart.mean() > 0.9


def test_the_script_refuses_predictions_of_another_training(tmp_path, monkeypatch):
    path = tmp_path / "predictions.parquet"
    make_predictions().to_parquet(path)
    (tmp_path / "training.json").write_text(json.dumps(make_training() | outputs_in(tmp_path)))
    evaluate(monkeypatch, tmp_path)

    make_predictions().assign(label=0).to_parquet(path)
    with pytest.raises(UserError, match=r"predictions.parquet: does not belong to .*training.json"):
        evaluate(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("{", ": not readable as JSON"),
        ("[]", ": holds list, not an object"),
        ("{}", " lacks the key 'classes'"),
        (json.dumps(make_training() | {"classes": 5}), ": classes is 5; it must be a list"),
        (json.dumps(make_training() | {"outputs": None}), ": outputs is null; it must be a mapping"),
    ],
)
def test_the_script_names_a_record_it_cannot_use(tmp_path, monkeypatch, training, message):
    make_predictions().to_parquet(tmp_path / "predictions.parquet")
    (tmp_path / "training.json").write_text(training)

    with pytest.raises(UserError, match=f"training.json{message}"):
        evaluate(monkeypatch, tmp_path)
