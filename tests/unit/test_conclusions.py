"""The verdicts on the paper's sentences and numbers: each rule of docs/statistics.md on numbers made up for it."""

import numpy as np
import pandas as pd
import pytest

from fairdistill.evaluation.seeds import t_quantile
from fairdistill.reporting.pairs import PAIRED
from fairdistill.reporting.paper import comparison as paper
from fairdistill.reporting.paper.conclusions import CONCLUSIONS, Conclusion, conclusions_markdown, judge

UTKFACE, CIFAR = ("utkface", "resnet"), ("cifar10s", "resnet")


def gap(place=UTKFACE, metric="accuracy", difference=-0.05, teacher=0.5, test=0.02, seeds=None):
    """A row of paired.csv whose intervals reach `test` and `seeds` to either side."""
    row = dict.fromkeys(PAIRED, np.nan) | {"dataset": place[0], "architecture": place[1], "method": "mfd"}
    row |= {"base_architecture": place[1], "base_method": "teacher", "at_chance": False}
    row |= {"metric": metric, "difference": difference, "base": teacher, "n": 1 if seeds is None else 3}
    row |= {"test_low": difference - test, "test_high": difference + test}
    if seeds is not None:
        row |= {"seeds_low": difference - seeds, "seeds_high": difference + seeds}
    return row


def claim(terms=((1.0, *UTKFACE),), metric="accuracy", above=False, **more):
    return Conclusion("source", "sentence", metric, terms, above=above, **more)


def judged(conclusion, *gaps):
    return judge(pd.DataFrame(gaps, columns=PAIRED), method="mfd", conclusions=[conclusion])


@pytest.mark.parametrize(
    ("difference", "below", "above"),
    [
        (-0.021, "reproduced", "not reproduced"),
        (-0.019, "within noise", "within noise"),
        (0.019, "within noise", "within noise"),
        (0.021, "not reproduced", "reproduced"),
    ],
)
def test_a_sentence_is_judged_by_the_side_that_the_whole_interval_lies_on(difference, below, above):
    verdicts = [judged(claim(above=side), gap(difference=difference))["verdict"].item() for side in (False, True)]

    assert verdicts == [below, above]


def test_a_threshold_moves_the_side():
    row = judged(claim(above=True, threshold=-0.02), gap(difference=0.001)).squeeze()

    assert (row["verdict"], row["claim"]) == ("reproduced", "above -0.02")
    assert (row["low"], row["high"]) == pytest.approx((-0.019, 0.021))


def test_noise_of_test_set_and_seeds_add_in_quadrature():
    row = judged(claim(), gap(test=0.03, seeds=0.04)).squeeze()

    assert (row["low"], row["high"], row["n"]) == pytest.approx((-0.10, 0.0, 3))


def test_terms_are_weighed_and_a_negative_weight_exchanges_the_sides():
    first = gap(CIFAR, difference=0.10) | {"test_low": 0.09, "test_high": 0.14}
    second = gap(difference=0.30) | {"test_low": 0.27, "test_high": 0.50}

    row = judged(claim(((0.5, *CIFAR), (-0.5, *UTKFACE))), first, second).squeeze()

    low, high = -0.1 - np.hypot(0.005, 0.10), -0.1 + np.hypot(0.02, 0.015)
    assert (row["value"], row["low"], row["high"]) == pytest.approx((-0.1, low, high))


def test_a_relative_gap_is_a_share_of_the_teachers_value():
    row = judged(claim(relative=True), gap(difference=-0.2, teacher=0.4)).squeeze()

    assert (row["value"], row["low"], row["high"]) == pytest.approx((-0.5, -0.55, -0.45))


def test_a_share_of_nothing_is_not_judged():
    row = judged(claim(relative=True), gap(difference=-0.2, teacher=0.0)).squeeze()

    assert (row["verdict"], row["n"]) == ("", 1)
    assert row[["value", "low", "high"]].isna().all()


def test_the_deo_of_a_model_at_chance_is_not_judged_and_its_accuracy_is():
    gaps = [gap(metric=metric) | {"at_chance": True} for metric in ("accuracy", "deo_a", "deo_m")]

    assert judged(claim(metric="deo"), *gaps)["verdict"].tolist() == ["at chance", "at chance"]
    assert judged(claim(metric="deo", relative=True), *gaps)["verdict"].tolist() == ["at chance", "at chance"]
    assert judged(claim(), *gaps)["verdict"].tolist() == ["reproduced"]
    assert "DEO is `at chance`" in conclusions_markdown(judged(claim(metric="deo"), *gaps))
    assert "at chance" not in conclusions_markdown(judged(claim(), *gaps))


def test_students_that_stand_on_another_student_are_not_the_papers():
    row = judged(claim(), gap() | {"base_method": "kd"}).squeeze()

    assert (row["verdict"], row["n"]) == ("", 0)


def test_an_interval_beside_its_difference_reaches_to_the_difference():
    row = judged(claim(), gap() | {"test_low": -0.04, "test_high": -0.01}).squeeze()

    assert (row["low"], row["high"]) == pytest.approx((-0.05, -0.01))


def test_deo_is_judged_twice_and_what_the_study_lacks_not_at_all():
    rows = judged(claim(metric="deo"), gap(metric="deo_a"), gap(CIFAR, metric="deo_m"))

    assert rows["measure"].tolist() == ["deo_a", "deo_m"]
    assert rows["verdict"].tolist() == ["reproduced", ""]
    assert rows["n"].tolist() == [1, 0]
    assert rows.loc[1, ["value", "low", "high"]].isna().all()


def test_the_papers_sentences_ask_for_models_of_its_grid():
    places = {
        (dataset, architecture) for dataset in ("cifar10s", "utkface") for architecture in ("resnet", "shufflenet")
    }
    gaps = [gap(place, metric) for place in places for metric in ("accuracy", "deo_a", "deo_m")]

    verdicts = judge(pd.DataFrame(gaps, columns=PAIRED), method="mfd")

    assert set(verdicts["n"]) == {1}
    assert len(set(verdicts["sentence"])) == len(CONCLUSIONS)


def verdict(ours, claimed=0.5, half=0.03):
    """The verdict on one number of the paper, ours of several seeds on a test set that allows for `half` either way."""
    models = {"study": "s", "dataset": "utkface", "architecture": "resnet", "role": "teacher", "method": "teacher"}
    models |= {"base_architecture": "", "base_method": "", "deo_a_verdict": "", "deo_m_verdict": ""}
    runs = pd.DataFrame([models | {"seed": seed, "accuracy": value} for seed, value in enumerate(ours)])
    runs = runs.assign(accuracy_low=runs["accuracy"] - half, accuracy_high=runs["accuracy"] + half)
    runs[["deo_a", "deo_m", "worst_group_accuracy"]] = 0.1
    said = {"source": "fig", "dataset": "utkface", "architecture": "resnet", "role": "teacher", "metric": "accuracy"}
    no_pairs = pd.DataFrame(columns=PAIRED)
    row = paper.compare(runs, no_pairs, pd.DataFrame([said | {"value": claimed, "note": ""}])).squeeze()
    return row["accuracy_verdict"], row["accuracy_noise"]


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        # the noise of one seed on two test sets: sqrt(2) 0.03 = 0.0424
        (0.52, "reproduced"),
        (0.521, "within noise"),
        (0.458, "within noise"),
        (0.457, "not reproduced"),
    ],
)
def test_a_number_is_judged_by_its_distance(ours, expected):
    assert verdict([ours]) == (expected, pytest.approx(np.sqrt(2) * 0.03))


def test_the_noise_of_a_number_is_what_separates_one_more_run_from_ours():
    ours = [0.60, 0.64, 0.56]

    found, noise = verdict(ours)

    assert noise == pytest.approx(np.hypot(np.sqrt(2) * 0.03, t_quantile(3) * 0.04 * np.sqrt(1 + 1 / 3)))
    assert found == "within noise"
    assert verdict([0.60, 0.601, 0.599])[0] == "not reproduced"


def test_a_distance_of_just_the_tolerance_is_reproduced_whatever_the_binary_digits():
    assert all(verdict([claimed + 0.02], claimed, half=0)[0] == "reproduced" for claimed in (0.73, 0.56, 0.65, 0.28))
