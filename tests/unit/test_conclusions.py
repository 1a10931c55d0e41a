"""The verdicts on the paper's sentences and numbers: each rule of docs/statistics.md on numbers made up for it."""

import numpy as np
import pandas as pd
import pytest

from fairdistill.reporting.pairs import PAIRED
from fairdistill.reporting.paper import comparison as paper
from fairdistill.reporting.paper.conclusions import CONCLUSIONS, Conclusion, conclusions_markdown, judge

UTKFACE, CIFAR = ("utkface", "resnet"), ("cifar10s", "resnet")


def gap(place=UTKFACE, metric="accuracy", difference=-0.05, half=0.02, trainings=4):
    """A row of paired.csv whose interval reaches `half` to either side."""
    row = dict.fromkeys(PAIRED, np.nan) | {"dataset": place[0], "architecture": place[1], "method": "mfd"}
    row |= {"base_architecture": place[1], "base_method": "teacher", "at_chance": False}
    row |= {"metric": metric, "difference": difference, "corrected": difference, "n": 4, "trainings": trainings}
    row |= {"low": difference - half, "high": difference + half, "images": half, "between": 0.0, "run": half}
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


def test_the_interval_of_one_gap_is_its_own_about_the_corrected_value():
    row = judged(claim(), gap() | {"corrected": -0.03, "low": -0.06, "high": 0.01}).squeeze()

    assert (row["value"], row["low"], row["high"], row["n"]) == pytest.approx((-0.05, -0.06, 0.01, 4))


def test_terms_join_as_independent_estimates():
    row = judged(claim(((0.5, *CIFAR), (-0.5, *UTKFACE))), gap(CIFAR, half=0.03), gap(half=0.04)).squeeze()

    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.0, -0.025, 0.025))


def test_a_relative_gap_is_a_share_of_the_teachers_value():
    shares = {"share": -0.5, "share_low": -0.6, "share_corrected": -0.55, "share_high": -0.35}

    row = judged(claim(relative=True), gap() | shares).squeeze()

    assert (row["value"], row["low"], row["high"]) == pytest.approx((-0.5, -0.6, -0.35))
    # two of them join about the difference of the corrected ones, which is 0
    twice = claim(((1.0, *UTKFACE), (-1.0, *CIFAR)), relative=True)
    row = judged(twice, gap() | shares, gap(CIFAR) | shares).squeeze()
    half = np.hypot(0.05, 0.2)
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.0, -half, half))
    one = gap() | shares | {"share_corrected": -0.5}
    row = judged(twice, one, gap(CIFAR) | shares).squeeze()
    low, high = 0.05 - np.hypot(0.1, 0.2), 0.05 + np.hypot(0.15, 0.05)
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.0, low, high))


def test_a_share_of_nothing_is_not_judged():
    row = judged(claim(relative=True), gap()).squeeze()

    assert (row["verdict"], row["n"]) == ("", 4)
    assert row[["value", "low", "high"]].isna().all()


def test_the_interval_of_one_training_is_marked():
    assert "‡ one training" in conclusions_markdown(judged(claim(), gap(trainings=1)))
    assert "‡" not in conclusions_markdown(judged(claim(), gap()))


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


def test_deo_is_judged_twice_and_what_the_study_lacks_not_at_all():
    rows = judged(claim(metric="deo"), gap(metric="deo_a"), gap(CIFAR, metric="deo_m"))

    assert rows["measure"].tolist() == ["deo_a", "deo_m"]
    assert rows["verdict"].tolist() == ["reproduced", ""]
    assert rows["n"].tolist() == [4, 0]
    assert rows.loc[1, ["value", "low", "high"]].isna().all()


def test_the_papers_sentences_ask_for_models_of_its_grid():
    places = {
        (dataset, architecture) for dataset in ("cifar10s", "utkface") for architecture in ("resnet", "shufflenet")
    }
    gaps = [gap(place, metric) for place in places for metric in ("accuracy", "deo_a", "deo_m")]

    verdicts = judge(pd.DataFrame(gaps, columns=PAIRED), method="mfd")

    assert set(verdicts["n"]) == {4}
    assert len(set(verdicts["sentence"])) == len(CONCLUSIONS)


def verdict(ours, claimed=0.5, **parts):
    """The verdict on one number of the paper, ours of four trainings."""
    row = {"dataset": "utkface", "architecture": "resnet", "role": "teacher", "method": "teacher", "mean": ours}
    row |= {"corrected": ours, "low": ours, "high": ours, "n": 4, "trainings": 4, "at_chance": False}
    row |= {"images": 0.0, "between": 0.0, "run": 0.0, "metric": "accuracy", "seeds": "0", "values": "0.5"} | parts
    said = {"source": "fig", "dataset": "utkface", "architecture": "resnet", "role": "teacher", "metric": "accuracy"}
    values = pd.DataFrame([said | {"value": claimed, "note": ""}])
    found = paper.compare(pd.DataFrame([row]), pd.DataFrame(columns=PAIRED), values).squeeze()
    return found["accuracy_verdict"], found["accuracy_noise"]


@pytest.mark.parametrize(
    ("ours", "expected"),
    [(0.52, "reproduced"), (0.521, "within noise"), (0.459, "within noise"), (0.458, "not reproduced")],
)
def test_a_number_is_judged_by_its_distance(ours, expected):
    # of four trainings on the test set, and of another on another: 0.01^2 + 0.012^2 + 0.03^2 + 4 x 0.012^2 = 0.0415^2
    parts = {"images": 0.01, "between": 0.012, "run": 0.03}

    assert verdict(ours, **parts) == (expected, pytest.approx(0.04147, abs=1e-5))


def test_a_distance_of_just_the_tolerance_is_reproduced_whatever_the_binary_digits():
    assert all(verdict(claimed + 0.02, claimed)[0] == "reproduced" for claimed in (0.73, 0.56, 0.65, 0.28))
