"""Equalized odds by post-processing, compared with fairlearn and with cases done by hand."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from aif360.algorithms.postprocessing import EqOddsPostprocessing
from aif360.datasets import BinaryLabelDataset
from fairlearn.metrics import equalized_odds_difference
from fairlearn.postprocessing import ThresholdOptimizer
from method_trainings import differing, fit, method_settings, network_settings, with_validation
from sklearn.linear_model import LogisticRegression

from fairdistill.data import load_dataset
from fairdistill.data.preparing import Prepared, write_dataset
from fairdistill.methods.base import Task, method_class
from fairdistill.methods.hardt import derived_predictor
from fairdistill.networks import Output, build_network, load_method, save_network
from fairdistill.runtime.errors import UserError
from fairdistill.training import publish
from fairdistill.training.loop import draw_labels
from scripts import evaluate_model, train_model


def make(n_classes, n_groups):
    network = build_network(network_settings(), n_classes)
    label = torch.arange(12) % n_classes
    settings = method_settings(kind="hardt")
    return method_class(settings)(settings, Task(n_classes, n_groups, label, label % n_groups, 8, network, network))


def fitted(logits, label, group):
    """A method that was calibrated on logits, in batches of 50."""
    method = make(logits.shape[1], group.max() + 1)
    values = [torch.from_numpy(array) for array in (logits, label, group)]
    batches = zip(*(array.split(50) for array in values), strict=True)
    method.calibrate((Output(torch.zeros(len(z), 1), z.float(), {}), y, a) for z, y, a in batches)
    return method


def predicted(method, logits, group):
    return method.predict(Output(None, torch.from_numpy(logits).float(), {}), torch.from_numpy(group)).numpy()


def biased(seed, n=600, n_classes=2, n_groups=2):
    """Logits of a model that is better in some groups than in others."""
    rng = np.random.default_rng(seed)
    label, group = rng.integers(n_classes, size=n), rng.integers(n_groups, size=n)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), label] += 0.5 + group
    logits[:, 0] += 0.7 * group
    return logits.astype("float32").astype(float), label, group


def confusion(probability, label, group):
    """P(new label = k | Y = y, A = a) at [a, y, k], by loops."""
    n_classes = probability.shape[1]
    found = np.zeros((group.max() + 1, n_classes, n_classes))
    for a in range(len(found)):
        for y in range(n_classes):
            found[a, y] = np.mean([p for p, i, b in zip(probability, label, group, strict=True) if (i, b) == (y, a)], 0)
    return found


def error(probability, label):
    return 1 - probability[np.arange(len(label)), label].mean()


# two classes


@pytest.mark.parametrize("n_groups", [2, 3])
def test_two_classes_have_the_probabilities_of_fairlearns_optimizer(n_groups):
    logits, label, group = biased(n_groups, n_groups=n_groups)
    method = fitted(logits, label, group)
    score = (logits[:, 1] - logits[:, 0])[:, None]
    # a model whose decision function is the score
    line = LogisticRegression().fit(score, label)
    line.coef_, line.intercept_ = np.array([[1.0]]), np.array([0.0])
    theirs = ThresholdOptimizer(
        estimator=line, constraints="equalized_odds", prefit=True, predict_method="decision_function"
    ).fit(score, label, sensitive_features=group)
    new, _, of_new = biased(10 + n_groups, n_groups=n_groups)
    wanted = theirs._pmf_predict((new[:, 1] - new[:, 0])[:, None], sensitive_features=of_new)
    assert np.allclose(predicted(method, new, of_new), wanted, atol=1e-6)
    # some labels are drawn
    assert ((wanted[:, 1] > 0) & (wanted[:, 1] < 1)).any()


def test_two_classes_have_equal_odds_on_validation():
    logits, label, group = biased(0)
    before = confusion(np.eye(2)[logits.argmax(1)], label, group)
    after = confusion(predicted(fitted(logits, label, group), logits, group), label, group)
    assert np.ptp(before, axis=0).max() > 0.2
    assert np.ptp(after, axis=0).max() < 1e-6


# more classes: a linear programme


def counts_of(logits, label, group):
    n = logits.shape[1]
    counts = np.zeros((group.max() + 1, n, n))
    for y, j, a in zip(label, logits.argmax(1), group, strict=True):
        counts[a, y, j] += 1
    return counts


@pytest.mark.parametrize(("n_classes", "n_groups"), [(3, 2), (3, 4), (5, 3)])
def test_more_classes_have_equal_confusion_rows_on_validation(n_classes, n_groups):
    logits, label, group = biased(n_classes, n_classes=n_classes, n_groups=n_groups)
    method = fitted(logits, label, group)
    probability = predicted(method, logits, group)
    assert np.allclose(probability.sum(1), 1)
    before, after = (confusion(p, label, group) for p in (np.eye(n_classes)[logits.argmax(1)], probability))
    assert np.ptp(before, axis=0).max() > 0.2
    assert np.ptp(after, axis=0).max() < 1e-5
    # better than any constant label, which satisfies the constraints, too
    assert error(probability, label) < 1 - np.bincount(label).max() / len(label) - 0.05
    # what is predicted depends on the predicted label and the group alone
    for a in range(n_groups):
        for j in range(n_classes):
            of_cell = probability[(group == a) & (logits.argmax(1) == j)]
            assert np.allclose(of_cell, method.transition[a, j])


@pytest.mark.parametrize("seed", range(5))
def test_of_two_classes_the_linear_programme_is_as_good_as_fairlearn_with_hard_scores(seed):
    """fairlearn's grid has 1,000 steps, so that its optimum may be worse by so much."""
    logits, label, group = biased(seed)
    logits = np.eye(2)[logits.argmax(1)]
    theirs = predicted(fitted(logits, label, group), logits, group)
    transition = derived_predictor(counts_of(logits, label, group))
    ours = transition[group, logits.argmax(1)]
    assert np.ptp(confusion(ours, label, group), axis=0).max() < 1e-8
    assert error(ours, label) == pytest.approx(error(theirs, label), abs=2e-3)
    assert error(ours, label) <= error(theirs, label) + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_of_two_classes_and_groups_the_linear_programme_is_aif360s(seed):
    """With as many images in each cell, as its objective counts the cells and ours the images."""
    logits, label, group = biased(seed, n=2000)
    cells = pd.DataFrame({"label": label, "group": group})
    kept = cells.groupby(["label", "group"]).head(300)
    true = BinaryLabelDataset(df=kept, label_names=["label"], protected_attribute_names=["group"])
    answered = true.copy()
    answered.labels = logits[kept.index].argmax(1, keepdims=True).astype(float)
    groups = {"unprivileged_groups": [{"group": 0}], "privileged_groups": [{"group": 1}]}
    # of the privileged group, then of the other: Pr(new label 1 | predicted label 1), then Pr(... | 0)
    of_1_and_0 = EqOddsPostprocessing(**groups).fit(true, answered).model_params.x.reshape(2, 2)

    found = derived_predictor(counts_of(logits[kept.index], label[kept.index], group[kept.index]))
    assert np.allclose(found[:, :, 1], of_1_and_0[::-1, ::-1], atol=1e-9)
    assert ((found > 0.01) & (found < 0.99)).any()


def test_a_fair_model_is_left_as_it_is():
    counts = np.array([[[8, 1, 1], [0, 9, 1], [1, 0, 9]]] * 2) * [[[1]], [[3]]]
    assert np.allclose(derived_predictor(counts), np.eye(3))


def test_a_perfect_group_is_made_as_bad_as_a_useless_one():
    """The predictions of group 1 do not depend on the label; equal rows then cannot either: one class for all."""
    useless = np.array([[5, 3, 2]] * 3)
    counts = np.array([np.diag([20, 10, 10]), useless])
    found = derived_predictor(counts)
    rows = np.einsum("ayj,ajk->ayk", counts / counts.sum(2, keepdims=True), found)
    # of 70 images 30 are of class 0, and no class is more frequent
    assert np.allclose(rows, [[[1, 0, 0]] * 3] * 2, atol=1e-8)


def test_before_it_is_fitted_it_predicts_the_most_probable_class():
    for n_classes in (2, 3):
        logits, _, group = biased(1, n_classes=n_classes)
        found = predicted(make(n_classes, 2), logits, group)
        assert (found == np.eye(n_classes)[logits.argmax(1)]).all()


# the draws


def test_labels_are_drawn_with_their_probabilities():
    probability = np.tile([[0.0, 0.25, 0.75, 0.0], [1.0, 0.0, 0.0, 0.0]], (4000, 1)).astype("float32")
    drawn = draw_labels(probability, np.random.default_rng(0))
    shares = np.bincount(drawn[::2], minlength=4) / 4000
    assert shares[[0, 3]].tolist() == [0, 0]
    assert shares[1] == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 4000))
    assert (drawn[1::2] == 0).all()


# whole trainings


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory):
    """Two classes of different brightness in two groups; the images of one group are noisier."""
    rng = np.random.default_rng(0)
    n = 240
    label, group = np.arange(n) % 2, np.arange(n) // 2 % 2
    noise = rng.normal(0, np.where(group, 60, 20)[:, None, None, None], (n, 8, 8, 3))
    shift = rng.normal(0, np.where(group, 35, 10)[:, None, None, None], (n, 1, 1, 1))
    images = (100 + 50 * label[:, None, None, None] + noise + shift).clip(0, 255)
    samples = pd.DataFrame(
        {
            "image_id": [f"image{i}" for i in range(n)],
            "split": np.repeat(["train", "validation", "test"], [96, 72, 72]),
            "label": label,
            "group": group,
        }
    )
    folder = tmp_path_factory.mktemp("two") / "data"
    prepared = Prepared(samples, images.astype(np.uint8), 8, ["young", "old"], ["g", "h"], {"rng": "0"})
    write_dataset(folder, prepared, {"kind": "tiny", "validation": 0.3})
    return load_dataset(folder)


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_it_trains_nothing_and_is_the_same_every_time(two_classes, engine, monkeypatch):
    from fairdistill.training.engines import load_engine

    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    base = fit(two_classes, {"kind": "erm"}, role="teacher", epochs=3, batch_size=16, learning_rate=0.003).network
    one, other = (fit(two_classes, {"kind": "hardt"}, base=base, engine=engine) for _ in range(2))
    assert differing(base, one.network) == []
    assert (one.kept_epoch, list(one.history.columns)) == (0, ["epoch"])
    assert differing(one.method, other.method) == []
    for split in ("validation", "test"):
        assert (one.drawn[split] == other.drawn[split]).all()
        # no label of probability zero is drawn
        assert one.probabilities[split][np.arange(72), one.drawn[split]].min() > 0
    _, label, group = two_classes.split("validation")
    assert np.ptp(confusion(one.probabilities["validation"], label, group), axis=0).max() < 1e-5
    others = fit(two_classes, {"kind": "hardt"}, base=base, engine=engine, seed=1).drawn["test"]
    mixed = one.probabilities["test"].max(1) < 1
    assert mixed.any()
    assert (one.drawn["test"] != others)[mixed].any()
    assert (one.drawn["test"] == others)[~mixed].all()


def test_the_drawn_labels_are_what_is_scored(tiny_folder, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "load_dataset", lambda folder, fold: with_validation(tiny, every=5))
    network = network_settings()
    base = fit(tiny, {"kind": "erm"}, network=network, role="teacher", epochs=2, batch_size=16).network
    save_network(tmp_path / "base.safetensors", base, network)
    model = tmp_path / "model"
    options = ["--data", tiny_folder, "--output", model, "--network", json.dumps(network.to_json())]
    options += ["--method", "hardt", "--base", tmp_path / "base.safetensors", "--training", '{"device": "cpu"}']
    monkeypatch.setattr("sys.argv", ["train_model", *map(str, options)])
    train_model.main()
    predictions = pd.read_parquet(model / "predictions.parquet")
    p = predictions[["p0", "p1", "p2"]].to_numpy()
    assert (p[np.arange(len(p)), predictions["prediction"]] > 0).all()
    assert set(load_method(model / "weights.safetensors")) == {"transition"}
    files = {"predictions": model / "predictions.parquet", "training": model / "training.json"}
    files |= {"output": tmp_path / "metrics.json", "probabilities": tmp_path / "metrics.parquet"}
    options = [text for name, path in files.items() for text in (f"--{name}", str(path))]
    monkeypatch.setattr("sys.argv", ["evaluate_model", *options])
    evaluate_model.main()
    record = pd.read_json(tmp_path / "metrics.json", typ="series")
    assert (record["needs_group"], record["randomised"]) == (True, True)
    test = predictions[predictions["split"] == "test"]
    assert record["metrics"]["accuracy"] == pytest.approx((test["prediction"] == test["label"]).mean())


def test_another_network_than_the_bases_is_refused(tiny, tiny_with_validation):
    base = fit(tiny, {"kind": "erm"}, role="teacher", epochs=1, network=network_settings("resnet18")).network
    with pytest.raises(UserError, match="method hardt changes the predictions of its base, which is another network"):
        fit(tiny_with_validation, {"kind": "hardt"}, base=base)


def test_after_the_draws_the_odds_are_equal_but_for_chance():
    """fairlearn's own measure, on many images of the validation split that it was fitted on."""
    logits, label, group = biased(3, n=40_000)
    probability = predicted(fitted(logits, label, group), logits, group)
    drawn = draw_labels(probability, np.random.default_rng(0))
    before, after = (
        equalized_odds_difference(label, prediction, sensitive_features=group)
        for prediction in (logits.argmax(1), drawn)
    )
    assert before > 0.2
    # four standard deviations of a difference of two shares of 10,000 images
    assert after < 4 * np.sqrt(0.5 / 10_000)


def test_labels_are_drawn_by_shares_where_probabilities_do_not_add_up_to_one():
    """In float32 they miss it by a rounding; here by far more."""
    share = np.array([[0.25, 0.5, 0.25]] * 200)

    for total in (1, 0.5, 4):
        drawn = draw_labels(total * share, np.random.default_rng(0))
        assert np.array_equal(drawn, np.digitize(np.random.default_rng(0).random(200), [0.25, 0.75]))
