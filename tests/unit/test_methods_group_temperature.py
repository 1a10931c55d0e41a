"""Temperature scaling per group, compared with scikit-learn's and with a plain search."""

import numpy as np
import pytest
import torch
from method_trainings import differing, fit, method_settings, network_settings, with_validation
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from fairdistill.methods.base import Task, method_class
from fairdistill.methods.group_temperature import COLDEST, best_temperature
from fairdistill.networks import Output, build_network


def overconfident(seed, n=400, n_classes=4, temperature=3.0):
    """Logits, and labels that are drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = 4 * rng.normal(size=(n, n_classes))
    p = np.exp(logits / temperature)
    p /= p.sum(1, keepdims=True)
    return logits, np.array([rng.choice(n_classes, p=row) for row in p])


def loss(logits, label, temperature):
    """The mean negative log-likelihood, image by image."""
    total = 0.0
    for z, y in zip(logits / temperature, label, strict=True):
        total -= z[y] - z.max() - np.log(sum(np.exp(one - z.max()) for one in z))
    return total / len(label)


class Fixed(ClassifierMixin, BaseEstimator):
    """A classifier whose decision function is its input."""

    def __init__(self, n_classes=4):
        self.n_classes = n_classes

    def fit(self, X, y):
        self.classes_ = np.arange(self.n_classes)
        return self

    def decision_function(self, X):
        return X

    def predict(self, X):
        return X.argmax(1)


@pytest.mark.parametrize("seed", range(3))
def test_the_temperature_is_scikit_learns(seed):
    logits, label = overconfident(seed)
    frozen = FrozenEstimator(Fixed().fit(logits, label))
    theirs = CalibratedClassifierCV(frozen, method="temperature").fit(logits, label).predict_proba(logits)
    z = logits / best_temperature(logits, label)
    ours = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert np.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_no_other_temperature_has_a_smaller_loss(temperature):
    logits, label = overconfident(0, n=2000, temperature=temperature)
    found = best_temperature(logits, label)
    assert found == pytest.approx(temperature, rel=0.15)
    at_best = loss(logits, label, found)
    assert all(at_best < loss(logits, label, found * factor) for factor in (0.5, 0.99, 1.01, 2))


def test_where_no_label_contradicts_the_model_the_coldest_is_taken():
    logits = np.array([[3.0, 1.0], [0.0, 1.0]])
    assert best_temperature(logits, np.array([0, 1])) == pytest.approx(COLDEST, rel=1e-3)


def test_each_group_has_its_own_temperature():
    network = build_network(network_settings(), 4)
    settings = method_settings(kind="group_temperature")
    label = torch.arange(8) % 4
    method = method_class(settings)(settings, Task(4, 2, label, label % 2, 8, network, network))
    cold, warm = overconfident(0, temperature=0.5), overconfident(1, temperature=4.0)
    # mixed, and in two batches
    logits = torch.from_numpy(np.stack([cold[0], warm[0]], axis=1).reshape(-1, 4)).float()
    label = torch.from_numpy(np.stack([cold[1], warm[1]], axis=1).ravel())
    group = torch.arange(800) % 2
    method.calibrate(
        (Output(None, logits[part], {}), label[part], group[part]) for part in ([*range(300)], slice(300, 800))
    )
    wanted = [best_temperature(one[0].astype("float32").astype(float), one[1]) for one in (cold, warm)]
    assert method.temperature.tolist() == pytest.approx(wanted)
    assert wanted[1] > 4 * wanted[0]
    found = method.predict(Output(None, logits, {}), group).numpy()
    z = logits.numpy() / np.array(wanted)[group.numpy(), None]
    assert np.allclose(found, np.exp(z) / np.exp(z).sum(1, keepdims=True), atol=1e-5)


def test_it_changes_no_answer_and_the_validation_loss_for_the_better(tiny):
    dataset = with_validation(tiny, every=3)
    base = fit(tiny, {"kind": "erm"}, role="teacher", epochs=3, batch_size=16).network
    plain, scaled, again = (
        fit(dataset, method, base=base)
        for method in ({"kind": "kd", "alpha": 0.5}, {"kind": "group_temperature"}, {"kind": "group_temperature"})
    )
    assert differing(scaled.method, again.method) == []
    assert differing(base, scaled.network) == []
    assert scaled.drawn == {} == plain.drawn
    assert set(scaled.method.prediction_state()) == {"temperature"}
    rows, label, _ = dataset.split("validation")
    images = torch.from_numpy((dataset.images[rows] / 255 - dataset.mean) / dataset.std).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        before = base.eval()(images).logits.softmax(1).numpy()
    after = scaled.probabilities["validation"]
    assert (before.argmax(1) == after.argmax(1)).all()
    losses = [-np.log(p[np.arange(len(label)), label]).mean() for p in (before, after)]
    assert losses[1] < losses[0]
