"""The criteria beyond accuracy and DEO against fairlearn, scikit-learn and loops; their intervals and their table."""

import json
from itertools import product

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, brier_score_loss, precision_score
from synthetic_results import GROUPS, make_study, pattern

from fairdistill.evaluation.group_criteria import _flip_rate
from fairdistill.evaluation.metrics import evaluate
from fairdistill.reporting.columns import CRITERIA
from fairdistill.reporting.criteria import criteria_table
from fairdistill.reporting.trainings import TrainingsOfModels
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json
from scripts import make_criteria


def predictions(seed, *, n=400, n_classes=3, n_groups=2):
    """Probabilities that know a little of the class, and more of it in the later groups."""
    rng = np.random.default_rng(seed)
    label, group = rng.integers(n_classes, size=n), rng.integers(n_groups, size=n)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), label] += 0.5 + group
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = {"image_id": [f"{i:04}" for i in range(n)], "label": label, "group": group}
    return pd.DataFrame(table | {f"p{y}": p[:, y] for y in range(n_classes)})


def probabilities(table):
    return table[[name for name in table if name.startswith("p") and name[1:].isdigit()]].to_numpy()


def criteria(table, *, resamples=200, **options):
    classes = [f"c{y}" for y in range(probabilities(table).shape[1])]
    groups = [f"g{a}" for a in range(table["group"].max() + 1)]
    return evaluate(table, classes=classes, groups=groups, resamples=resamples, **options)["criteria"]


def value(table, name, **options):
    return criteria(table, **options)[name]["value"]


# values


@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_of_two_classes_they_are_fairlearns(seed, n_groups):
    table = predictions(seed, n_classes=2, n_groups=n_groups)
    prediction = probabilities(table).argmax(1)
    given = (table["label"], prediction)
    found = criteria(table)
    for name, theirs in {
        "statistical_parity_a": fairlearn.metrics.demographic_parity_difference,
        "statistical_parity_m": fairlearn.metrics.demographic_parity_difference,
        "equal_opportunity": fairlearn.metrics.equal_opportunity_difference,
        "equalized_odds_difference": fairlearn.metrics.equalized_odds_difference,
    }.items():
        assert found[name]["value"] == pytest.approx(theirs(*given, sensitive_features=table["group"])), name
    # DEO_M is the same
    whole = evaluate(table, classes=["n", "y"], groups=list(map(str, range(n_groups))), resamples=10)
    assert found["equalized_odds_difference"]["value"] == pytest.approx(whole["deo_m"])


@pytest.mark.parametrize("n", [30, 100])
@pytest.mark.parametrize("right", [(0.9, 0.8, 0.8, 0.9), (1, 1, 0.9, 0.8), (0.9, 0.9, 0.9, 0.9)])
def test_of_two_classes_a_number_that_is_a_gap_or_deo_m_has_its_interval(n, right):
    """Also where groups tie, and where a cell has no error, which intervals of DEO allow for."""
    label, group = np.tile(np.repeat([0, 1], n), 2), np.repeat([0, 1], 2 * n)
    hit = np.concatenate([np.arange(n) < round(share * n) for share in right])
    p1 = np.where(hit, label, 1 - label).astype(float)
    table = pd.DataFrame({"image_id": np.arange(4 * n).astype(str), "label": label, "group": group})
    whole = evaluate(table.assign(p0=1 - p1, p1=p1), classes=["n", "y"], groups=["a", "b"], resamples=3000)
    gaps, deo_m = (whole["uncertainty"][name] for name in ("deo_per_class", "deo_m"))
    found = whole["criteria"]
    for name in ("low", "corrected", "high"):
        assert found["equal_opportunity"][name] == gaps[name][1]
        assert found["equalized_odds_difference"][name] == deo_m[name]
    # a tie of 30 or 100 images does not show that there is no difference
    assert found["equal_opportunity"]["high"] > 0.05


@pytest.mark.parametrize("weighting", ["images", "cells"])
@pytest.mark.parametrize("n_groups", [2, 4])
def test_of_more_classes_they_are_fairlearns_frames(n_groups, weighting):
    table = predictions(0, n_classes=4, n_groups=n_groups)
    prediction, label, group = probabilities(table).argmax(1), table["label"], table["group"]
    weight = np.ones(len(table))
    if weighting == "cells":
        weight = 1 / table.groupby(["label", "group"])["label"].transform("size").to_numpy()
    found = criteria(table, weighting=weighting)

    def gap(metric, true, predicted):
        frame = fairlearn.metrics.MetricFrame(
            metrics=metric,
            y_true=true,
            y_pred=predicted,
            sensitive_features=group,
            sample_params={"sample_weight": weight},
        )
        return frame.difference()

    assert found["overall_accuracy_equality"]["value"] == pytest.approx(gap(accuracy_score, label, prediction))
    by_class = {
        "statistical_parity": [gap(fairlearn.metrics.selection_rate, label == k, prediction == k) for k in range(4)],
        "predictive_parity": [gap(precision_score, label == k, prediction == k) for k in range(4)],
    }
    for name, gaps in by_class.items():
        assert found[f"{name}_a"]["value"] == pytest.approx(np.mean(gaps))
        assert found[f"{name}_m"]["value"] == pytest.approx(np.max(gaps))
    worst = min(
        accuracy_score(label[group == a], prediction[group == a], sample_weight=weight[group == a])
        for a in range(n_groups)
    )
    assert found["worst_group_accuracy"]["value"] == pytest.approx(worst)
    rows = [
        [np.mean(prediction[(label == y) & (group == a)] == k) for a in range(n_groups)]
        for y in range(4)
        for k in range(4)
    ]
    assert found["equalized_odds_difference"]["value"] == pytest.approx(max(max(row) - min(row) for row in rows))
    # no class is favoured
    assert "equal_opportunity" not in found


def ece(p, label, prediction):
    """Guo et al., equation 3, image by image."""
    bins = {}
    for row, y, k in zip(p, label, prediction, strict=True):
        for b in range(15):
            if b / 15 < row[k] <= (b + 1) / 15:
                bins.setdefault(b, []).append((float(y == k), row[k]))
    return sum(abs(sum(right - sure for right, sure in one)) for one in bins.values()) / len(label)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_calibration_is_scikit_learns_and_that_of_plain_loops(n_classes):
    table = predictions(1, n_classes=n_classes)
    p, label, group = probabilities(table), table["label"].to_numpy(), table["group"].to_numpy()
    found = criteria(table)
    everyone = np.ones(len(table), dtype=bool)
    for rows, e, b in [
        (everyone, found["ece"], found["brier"]),
        *((group == a, found["ece_per_group"][f"g{a}"], found["brier_per_group"][f"g{a}"]) for a in range(2)),
    ]:
        assert e["value"] == pytest.approx(ece(p[rows], label[rows], p[rows].argmax(1)))
        theirs = brier_score_loss(label[rows], p[rows], labels=range(n_classes), scale_by_half=False)
        assert b["value"] == pytest.approx(theirs)


def test_bias_amplification_is_that_of_plain_loops():
    table = predictions(2)
    prediction, label, group = probabilities(table).argmax(1), table["label"].to_numpy(), table["group"].to_numpy()
    training = {"g0": {"c0": 10, "c1": 40, "c2": 30}, "g1": {"c0": 30, "c1": 10, "c2": 30}}
    counts = np.array([[10, 40, 30], [30, 10, 30]])
    total = 0
    for a in range(2):
        for k in range(3):
            delta = np.mean(prediction[group == a] == k) - np.mean(label[group == a] == k)
            joint, product = counts[a, k] / 150, counts[a].sum() * counts[:, k].sum() / 150**2
            total += delta if joint > product else -delta
    assert value(table, "bias_amplification", training_images=training) == pytest.approx(total / 6)
    assert "bias_amplification" not in criteria(table)
    # a model that is right never amplifies, and one that follows the training's association does
    right = table.assign(**{f"p{k}": 1.0 * (label == k) for k in range(3)})
    assert value(right, "bias_amplification", training_images=training) == pytest.approx(0)
    follows = table.assign(p0=1.0 * (group == 1), p1=1.0 * (group == 0), p2=0.0)
    assert value(follows, "bias_amplification", training_images=training) > 0.2
    # without association there is nothing to amplify
    even = {name: dict.fromkeys(("c0", "c1", "c2"), 7) for name in training}
    assert value(follows, "bias_amplification", training_images=even) == 0


def test_a_perfect_model_has_no_gap():
    table = predictions(3)
    right = table.assign(**{f"p{k}": 1.0 * (table["label"] == k) for k in range(3)})
    found = criteria(right)
    cell = right.groupby(["group", "label"]).size()
    # the upper end of a gap is that of one image: of a group, of a cell and of those who are predicted to be of a class
    highest = {
        "overall_accuracy_equality": 1 / 200,
        "equalized_odds_difference": (1 / cell).max(),
        "predictive_parity_m": (1 / cell).max(),
        "ece": 0,
        "brier": 0,
    }
    for name, high in highest.items():
        assert [found[name][end] for end in ("value", "low")] == pytest.approx([0, 0], abs=1e-9), name
        assert found[name]["high"] == pytest.approx(high, abs=1e-3), name
    assert found["worst_group_accuracy"] == pytest.approx({"value": 1, "low": 1, "high": 1})


def test_a_class_that_a_group_never_gets_is_left_out_of_predictive_parity():
    table = predictions(4)
    never = table["group"] == 1
    table.loc[never, "p0"] = 0.0
    prediction, label, group = probabilities(table).argmax(1), table["label"], table["group"]
    gaps = [np.ptp([np.mean(label[(group == a) & (prediction == k)] == k) for a in range(2)]) for k in (1, 2)]
    found = criteria(table)
    assert found["predictive_parity_a"]["value"] == pytest.approx(np.mean(gaps))
    constant = table.assign(p0=1.0 * (table["group"] == 0), p1=1.0 * (table["group"] == 1), p2=0.0)
    assert "predictive_parity_a" not in criteria(constant)


def test_labels_that_were_drawn_are_scored_in_place_of_the_most_probable():
    table = predictions(5)
    drawn = (probabilities(table).argmax(1) + 1) % 3
    found = evaluate(table.assign(prediction=drawn), classes=list("abc"), groups=list("gh"), resamples=10)
    assert found["accuracy"] == pytest.approx((drawn == table["label"]).mean())
    p = probabilities(table)
    assert found["criteria"]["ece"]["value"] == pytest.approx(ece(p, table["label"], drawn))


def paired(seed, *, n=150, n_groups=2, flips=0.2):
    """The same images in each group, the rows shuffled; in later groups some of the probabilities are exchanged."""
    rng = np.random.default_rng(seed)
    first = predictions(seed, n=n, n_groups=1)
    columns = ["p0", "p1", "p2"]
    groups = [first]
    for a in range(1, n_groups):
        other, changed = first.assign(group=a), rng.random(n) < flips
        other.loc[changed, columns] = other.loc[changed, ["p1", "p2", "p0"]].to_numpy()
        groups.append(other)
    return pd.concat(groups).sample(frac=1, random_state=seed).reset_index(drop=True)


@pytest.mark.parametrize("n_groups", [2, 3])
def test_flips_are_counted_image_by_image(n_groups):
    table = paired(3, n_groups=n_groups)
    table["k"] = probabilities(table).argmax(1)
    different = [len({*found["k"]}) > 1 for _, found in table.groupby("image_id")]
    found = criteria(table)["counterfactual_flip_rate"]
    assert found["value"] == pytest.approx(np.mean(different))
    theirs = stats.binomtest(sum(different), len(different)).proportion_ci(method="wilson")
    assert (found["low"], found["high"]) == pytest.approx(theirs)
    # the labels that were drawn, where there are any
    drawn = criteria(table.assign(prediction=table["group"]))["counterfactual_flip_rate"]
    assert (drawn["value"], drawn["high"]) == (1, 1)


def test_a_model_that_never_flips_has_an_interval_above_zero():
    found = criteria(paired(4, n=100, flips=0))["counterfactual_flip_rate"]
    assert (found["value"], found["low"]) == (0, 0)
    assert found["high"] == pytest.approx(stats.binomtest(0, 100).proportion_ci(method="wilson").high)


def test_where_classes_count_alike_fewer_images_of_one_count_more():
    table = paired(5, n=300)
    table = table[(table["label"] > 0) | (table["image_id"] < "0060")].reset_index(drop=True)
    table["k"] = probabilities(table).argmax(1)
    flips = table.groupby("image_id")["k"].nunique() > 1
    of_class = flips.groupby(table.groupby("image_id")["label"].first()).mean()
    found, of_images = (
        criteria(table, weighting=weighting)["counterfactual_flip_rate"] for weighting in ("cells", "images")
    )
    assert found["value"] == pytest.approx(of_class.mean())
    assert found["value"] != pytest.approx(of_images["value"])
    assert found["high"] - found["low"] > of_images["high"] - of_images["low"]


@pytest.mark.parametrize("rates", [(0.2, 0.0), (0.5, 0.0), (0.3, 0.05), (0.1, 0.1), (0.0, 0.2)])
def test_where_classes_count_alike_the_interval_covers_whichever_class_flips(rates):
    """The exact coverage, over the numbers of flips in a class of 10 images and in one of 100."""
    images, weight = (10, 100), np.array([0.5, 0.5])
    covered = 0.0
    for flips in product(*(range(m + 1) for m in images)):
        probability = np.prod([stats.binom.pmf(k, m, rate) for k, m, rate in zip(flips, images, rates, strict=True)])
        if probability > 1e-6:
            # in the second group, of so many images of each class
            predicted = [np.array([np.zeros(m), np.arange(m) < k]) for k, m in zip(flips, images, strict=True)]
            found = _flip_rate(predicted, weight)
            covered += probability * (found["low"] <= weight @ rates <= found["high"])
    assert covered > 0.94


def test_without_the_same_images_in_each_group_no_flips_are_counted():
    assert "counterfactual_flip_rate" not in criteria(predictions(0))


# intervals


def test_the_interval_of_a_mean_is_that_of_theory():
    """Half the width of that of a Brier score is 1.96 standard errors of the strata's means."""
    table = predictions(6, n=2000)
    p, label = probabilities(table), table["label"].to_numpy()
    score = pd.Series(np.square(p - np.eye(3)[label]).sum(1))
    cells = score.groupby([table["group"], table["label"]])
    error = np.sqrt((cells.size() * cells.var(ddof=0)).sum()) / len(table)
    found = criteria(table, resamples=2000)["brier"]
    assert (found["high"] - found["low"]) / 2 == pytest.approx(1.96 * error, rel=0.1)


def test_copies_of_an_image_are_drawn_together():
    """In both groups the same images and answers: no resample tells the groups apart, and none is worth two."""
    one = predictions(7, n=300, n_groups=1)
    # the rows of the copies are in another order
    both = pd.concat([one, one.assign(group=1).iloc[::-1]], ignore_index=True)
    found = criteria(both, resamples=2000)
    # but for one image, as gaps are of whole images
    assert found["statistical_parity_m"]["high"] == pytest.approx(1 / 300, abs=1e-4)
    assert found["overall_accuracy_equality"]["high"] == pytest.approx(1 / 300, abs=1e-4)
    apart = criteria(both.assign(image_id=range(600)).astype({"image_id": str}), resamples=2000)
    width, narrower = (each["brier"]["high"] - each["brier"]["low"] for each in (found, apart))
    # 2,000 resamples know the width of an interval to 2 %
    assert width / narrower == pytest.approx(np.sqrt(2), rel=0.13)


@pytest.mark.long
def test_intervals_hold_what_they_should_in_most_of_many_draws():
    """Models whose truth is known: calibrated, and with groups of accuracy 0.6 and 0.75."""
    rng = np.random.default_rng(8)
    n, held = 600, {"ece": 0, "overall_accuracy_equality": 0, "worst_group_accuracy": 0}
    truth = {"ece": 0.0, "overall_accuracy_equality": 0.15, "worst_group_accuracy": 0.6}
    studies = 60
    for _ in range(studies):
        label, group = np.arange(n) % 2, np.arange(n) // 2 % 2
        sure = np.where(group, 0.75, 0.6)
        prediction = np.where(rng.random(n) < sure, label, 1 - label)
        p1 = np.where(prediction, sure, 1 - sure)
        table = pd.DataFrame(
            {"image_id": np.arange(n).astype(str), "label": label, "group": group, "p0": 1 - p1, "p1": p1}
        )
        found = criteria(table, resamples=400)
        for name in held:
            held[name] += found[name]["low"] - 1e-9 <= truth[name] <= found[name]["high"] + 1e-9
    # at 95 %, fewer than 52 of 60 have a probability below 1 %
    assert min(held.values()) >= stats.binom.ppf(0.01, studies, 0.95), held


def test_the_worst_groups_interval_allows_for_groups_that_tie():
    table = predictions(9, n_groups=4, n=800)
    found = criteria(table, resamples=2000)["worst_group_accuracy"]
    prediction = probabilities(table).argmax(1)
    of_groups = (prediction == table["label"]).groupby(table["group"]).mean()
    assert found["value"] == pytest.approx(of_groups.min())
    assert found["low"] < found["value"] < found["high"]
    error = np.sqrt(of_groups.min() * (1 - of_groups.min()) / (table["group"] == of_groups.idxmin()).sum())
    # by more than the 1.96 standard errors of one group alone
    assert found["value"] - found["low"] > 2.1 * error


# the metrics file and the table


def of_models(*models):
    rows = [
        {
            "study": "s",
            **dict.fromkeys(("dataset", "architecture", "role", "method"), "x"),
            "needs_group": False,
            "criterion": "ece",
            "group": "",
        }
        | dict(zip(("seed", "fold", "value", "low", "corrected", "high"), model, strict=True))
        for model in models
    ]
    return pd.DataFrame(rows, columns=CRITERIA)


def test_of_one_training_the_interval_is_its_own():
    (row,) = criteria_table(of_models((3, 0, 0.2, 0.1, 0.18, 0.3)), TrainingsOfModels({})).to_dict("records")
    assert (row["mean"], row["n"], row["trainings"], row["seeds"], row["values"]) == (0.2, 1, 1, "3", "0.2")
    assert np.isnan(row["sd"])
    assert (row["low"], row["corrected"], row["high"]) == pytest.approx((0.1, 0.18, 0.3))


def test_over_seeds_the_interval_has_the_images_part_and_the_trainings():
    (row,) = criteria_table(
        of_models((0, 0, 0.2, 0.1, 0.18, 0.3), (1, 0, 0.3, 0.2, 0.28, 0.4)), TrainingsOfModels({})
    ).to_dict("records")
    between = stats.t.ppf(0.975, 1) * np.std([0.2, 0.3], ddof=1) / np.sqrt(2)
    assert (row["mean"], row["sd"], row["corrected"]) == pytest.approx((0.25, np.std([0.2, 0.3], ddof=1), 0.23))
    assert row["low"] == 0
    assert row["high"] == pytest.approx(0.23 + np.hypot(0.12, between))


def test_of_folds_the_parts_of_the_images_are_independent():
    models = [(0, fold, 0.2, 0.1, None, 0.3) for fold in range(4)]
    (row,) = criteria_table(of_models(*models), TrainingsOfModels({})).to_dict("records")
    assert (row["n"], row["trainings"], row["values"]) == (1, 4, "0.2")
    assert (row["low"], row["high"]) == pytest.approx((0.2 - 0.1 / 2, 0.2 + 0.1 / 2))


def written(folder, monkeypatch, **grid):
    given = {"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", "mfd"], "seed": [0, 1]} | grid
    options = {"metrics": pattern(folder), "grids": json.dumps([given]), "csv": folder / "criteria.csv"}
    monkeypatch.setattr("sys.argv", ["make_criteria", *(f"--{name}={value}" for name, value in options.items())])
    make_criteria.main()
    return pd.read_csv(folder / "criteria.csv", keep_default_na=False)


def test_the_table_has_every_criterion_of_every_model(tmp_path, monkeypatch):
    make_study(tmp_path, datasets=["utkface"], architectures=["resnet"], seeds=(0, 1))
    table = written(tmp_path, monkeypatch)
    assert table["method"].unique().tolist() == ["teacher", "mfd"]
    names = set(table["criterion"])
    assert names >= {"overall_accuracy_equality", "statistical_parity_a", "predictive_parity_m", "ece", "brier"}
    assert set(table.loc[table["criterion"] == "ece", "group"]) == {"", *GROUPS}
    record = read_json(tmp_path / "utkface" / "resnet" / "mfd" / "seed0.json")["metrics"]["criteria"]
    row = table.query("method == 'mfd' and criterion == 'brier' and group == 'Black'").iloc[0]
    assert float(row["values"].split()[0]) == pytest.approx(record["brier_per_group"]["Black"]["value"])
    # worse in one group: the teachers are more biased than the students
    by_method = table.query("criterion == 'overall_accuracy_equality'").set_index("method")["mean"]
    assert by_method["mfd"] < by_method["teacher"]


def test_metrics_of_before_there_were_criteria_are_named(tmp_path, monkeypatch):
    paths = make_study(tmp_path, datasets=["utkface"], architectures=["resnet"], seeds=(0, 1))
    record = read_json(paths[0])
    del record["metrics"]["criteria"]
    paths[0].write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"^--metrics: a metrics file has no criteria; evaluate the models again$"):
        written(tmp_path, monkeypatch)


# at the edges


def test_a_bin_has_its_upper_end_and_the_first_and_last_have_0_and_1():
    """One image after the other: its confidence, and whether it is right."""
    rows = [
        *((0.0, 1), (1 / 15, 0)),
        (0.1, 0),
        (3 / 15, 1),
        (0.21, 0),
        *((0.9, 1), (14 / 15, 1)),
        *((0.95, 1), (1.0, 0)),
    ]
    sure, right = np.array(rows * 4).T
    n = len(sure)
    label, group = np.arange(n) // len(rows) % 2, np.arange(n) // len(rows) // 2
    prediction = np.where(right > 0, label, 1 - label)
    p = np.where(prediction[:, None] == np.arange(2), sure[:, None], 1 - sure[:, None])
    table = pd.DataFrame({"image_id": np.arange(n).astype(str), "label": label, "group": group})
    table = table.assign(p0=p[:, 0], p1=p[:, 1], prediction=prediction)

    found = criteria(table)

    of_bins = [1 - 1 / 15, 0.1, 0.8, 0.21, 0.1 + 1 / 15, abs(0.05 - 1)]
    for one in (found["ece"], *found["ece_per_group"].values()):
        assert one["value"] == pytest.approx(sum(of_bins) / len(rows))


def answered(*cells):
    """A table of sure predictions, from (label, group, prediction, images)."""
    label, group, prediction = (np.repeat([cell[i] for cell in cells], [cell[3] for cell in cells]) for i in range(3))
    table = pd.DataFrame({"image_id": np.arange(len(label)).astype(str), "label": label, "group": group})
    return table.assign(p0=1.0 * (prediction == 0), p1=1.0 * (prediction == 1))


def test_gaps_that_are_large_have_the_normal_interval():
    """Groups of accuracy 0.6 and 0.85 in both classes, one of which is predicted by a share of 0.5 and of 0.25."""
    table = answered(
        *((0, 0, 0, 600), (0, 0, 1, 400), (1, 0, 1, 600), (1, 0, 0, 400)),
        *((0, 1, 0, 1700), (0, 1, 1, 300), (1, 1, 1, 680), (1, 1, 0, 120)),
    )
    found = criteria(table, resamples=2000)
    error = np.sqrt(0.6 * 0.4 / 2000 + 0.85 * 0.15 / 2800)
    accuracy = found["overall_accuracy_equality"]
    assert accuracy["value"] == pytest.approx(0.25)
    assert accuracy["corrected"] == pytest.approx(0.25, abs=0.1 * error)
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((0.25 - 1.96 * error, 0.25 + 1.96 * error), abs=0.003)
    # both classes are answered as well, so that the error of the rate of predictions is that of the accuracy
    parity, value = found["statistical_parity_m"], (1700 + 120) / 2800 - 0.5
    assert parity["value"] == pytest.approx(value)
    assert (parity["low"], parity["high"]) == pytest.approx((value - 1.96 * error, value + 1.96 * error), abs=0.003)
    # by the delta method, of right and wrong predictions of the first class; those of the second differ less
    variances = [(400**2 * 240 + 600**2 * 240) / 1000**4, (120**2 * 255 + 1700**2 * 102) / 1820**4]
    precision, value, error = found["predictive_parity_m"], 1700 / 1820 - 0.6, np.sqrt(sum(variances))
    assert precision["value"] == pytest.approx(value)
    ends = value - 1.96 * error, value + 1.96 * error
    assert (precision["low"], precision["high"]) == pytest.approx(ends, abs=0.004)
    # of the first group, by both tails of two groups at once
    worst, half = found["worst_group_accuracy"], stats.norm.ppf(1 - 0.025 / 2) * np.sqrt(0.6 * 0.4 / 2000)
    assert (worst["low"], worst["high"]) == pytest.approx((0.6 - half, 0.6 + half), abs=0.004)


def test_a_tie_of_the_groups_counts_as_a_gap_of_one_image():
    """180 of 200 right answers in both groups; with one less in one of them, the intervals are nearly the same."""

    def of(right):
        table = answered(
            *((0, 0, 0, 90), (0, 0, 1, 10), (1, 0, 1, 90), (1, 0, 0, 10)),
            *((0, 1, 0, right), (0, 1, 1, 100 - right), (1, 1, 1, 90), (1, 1, 0, 10)),
        )
        return criteria(table, resamples=2000)

    tie, near = of(90), of(89)
    for name in ("overall_accuracy_equality", "statistical_parity_m", "statistical_parity_a"):
        assert tie[name]["value"] == pytest.approx(0, abs=1e-12)
        assert tie[name]["high"] == pytest.approx(near[name]["high"], abs=0.006), name
        assert tie[name]["high"] > 0.05, name
    # of some hundred predictions of a class
    precision = tie["predictive_parity_m"]["high"]
    assert precision > 0.05
    assert precision == pytest.approx(near["predictive_parity_m"]["high"], abs=0.03)


def redrawn(table, statistic, resamples=2000):
    """The 2.5 % and 97.5 % quantiles of a statistic of the rows, drawn again within each (class, group) cell."""
    rng = np.random.default_rng(20)
    cells = [np.flatnonzero(cell) for cell in by_cell(table)]
    drawn = [statistic(np.concatenate([rng.choice(cell, len(cell)) for cell in cells])) for _ in range(resamples)]
    return tuple(np.quantile(drawn, [0.025, 0.975]))


def by_cell(table):
    return [(table["label"] == y) & (table["group"] == a) for y, a in product(range(3), range(2))]


def test_intervals_of_bias_amplification_and_brier_scores_are_those_of_a_plain_bootstrap():
    table = predictions(21, n=300)
    p, label, group = probabilities(table), table["label"].to_numpy(), table["group"].to_numpy()
    prediction, wrong = p.argmax(1), np.square(p - np.eye(3)[label]).sum(1)
    # in training, the first group has more of the first class, and less of the second
    sign = np.array([[1, -1, 0], [-1, 1, 0]])
    training = {"g0": {"c0": 30, "c1": 10, "c2": 20}, "g1": {"c0": 10, "c1": 30, "c2": 20}}
    found = criteria(table, resamples=2000, training_images=training)

    def amplification(rows):
        follows = sign[group[rows], prediction[rows]] - sign[group[rows], label[rows]]
        return sum(follows[group[rows] == a].mean() for a in range(2)) / 6

    for one, statistic in {
        "bias_amplification": amplification,
        "brier": lambda rows: wrong[rows].mean(),
        "g0": lambda rows: wrong[rows[group[rows] == 0]].mean(),
        "g1": lambda rows: wrong[rows[group[rows] == 1]].mean(),
    }.items():
        ends = found[one] if one in found else found["brier_per_group"][one]
        low, high = redrawn(table, statistic)
        assert (ends["low"], ends["high"]) == pytest.approx((low, high), abs=0.12 * (high - low)), one


def test_the_precision_of_a_class_that_a_resample_never_predicts_is_as_observed():
    """Once in the second group, and rightly: a third of all resamples are without it."""
    always_right = ((1, 0, 1, 50), (1, 1, 1, 1))
    table = answered(*always_right, (0, 0, 0, 50), (0, 1, 0, 50), (1, 1, 0, 49))
    found = criteria(table, resamples=1000)
    # that of the other class: 1 in the first group, 50 of 99 in the second
    assert found["predictive_parity_m"]["value"] == pytest.approx(49 / 99)
    assert found["predictive_parity_a"]["value"] == pytest.approx(49 / 198)
    assert found["predictive_parity_m"]["low"] > 0.45
    assert found["predictive_parity_a"]["low"] > 0.22
