"""Adversarial debiasing, compared with numpy, scipy and fairlearn, and resumed to the bit."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairlearn.adversarial import _pytorch_engine as fairlearn_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from method_trainings import assert_same_bits, fit, interrupted, method_settings
from scipy.special import expit, log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import one_hot

from fairdistill.methods.adversarial import Adversary, debiased_gradient
from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.networks import Classifier
from fairdistill.training.engines import load_engine
from fairdistill.training.resume import ResumeState


def vectors(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [[torch.from_numpy(rng.normal(size=shape)) for shape in shapes] for _ in range(2)]


def flat(tensors):
    return np.concatenate([tensor.numpy().ravel() for tensor in tensors])


@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([0.0, 0.5, 1.0, 7.0]))
@settings(max_examples=30)
def test_the_gradient_is_that_of_equation_1_over_all_weights(seed, alpha):
    own, adversary = vectors(seed, (3, 2), (4,), ())
    g, h = flat(own), flat(adversary)
    found = debiased_gradient(own, adversary, alpha=alpha)
    assert [f.shape for f in found] == [o.shape for o in own]
    assert np.allclose(flat(found), g - (g @ h) / (h @ h) * h - alpha * h)


def test_the_projection_is_orthogonal_to_the_adversarys_gradient():
    own, adversary = vectors(1, (5, 3), (7,))
    h = flat(adversary)
    projected = flat(debiased_gradient(own, adversary, alpha=0.0))
    assert projected @ h == pytest.approx(0, abs=1e-12)
    # what is orthogonal already stays
    again = debiased_gradient([torch.from_numpy(projected)], [torch.from_numpy(h)], alpha=0.0)
    assert np.allclose(flat(again), projected)
    # and alpha works along h alone
    assert flat(debiased_gradient(own, adversary, alpha=2.0)) @ h == pytest.approx(-2 * h @ h)


def test_gradients_along_the_adversarys_vanish():
    own, _ = vectors(2, (4, 2))
    assert np.allclose(flat(debiased_gradient(own, [3 * own[0]], alpha=0.0)), 0, atol=1e-14)


def test_an_adversary_without_a_gradient_changes_nothing():
    own, adversary = vectors(3, (4, 2), (3,))
    zero = [torch.zeros_like(tensor) for tensor in adversary]
    assert np.array_equal(flat(debiased_gradient(own, zero, alpha=5.0)), flat(own))


def test_the_adversarys_input_for_two_classes_holds_the_papers():
    """[s, s y, s (1 - y)] is a linear map of the input of `linear`, which holds nothing else but the label itself."""
    rng = np.random.default_rng(0)
    logits, label = 3 * rng.normal(size=(200, 2)), rng.integers(2, size=200)
    adversary = Adversary(2, 2).double()
    with torch.no_grad():
        adversary.c.fill_(-0.7)
    seen = []
    adversary.linear.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().numpy()))
    adversary(torch.from_numpy(logits), torch.from_numpy(label))
    s = expit(1.7 * (logits[:, 1] - logits[:, 0]))
    papers = np.stack([s, s * label, s * (1 - label)], axis=1)
    mapped = seen[0] @ np.linalg.lstsq(seen[0], papers, rcond=None)[0]
    assert np.allclose(mapped, papers)
    # of the logistic regression, with its intercept: one dimension more, and that is the label's
    ours, with_intercept = (np.column_stack([x, np.ones(200)]) for x in (seen[0], papers))
    with_label = np.column_stack([with_intercept, label])
    ranks = [np.linalg.matrix_rank(x) for x in (ours, with_intercept, with_label, np.column_stack([ours, with_label]))]
    assert ranks == [4, 3, 4, 4]


def adversary_by_numpy(logits, label, c, weight, bias):
    n_classes = logits.shape[1]
    s = softmax((1 + abs(c)) * logits, axis=1)
    products = [s[:, [i]] * np.eye(n_classes)[label] for i in range(n_classes)]
    return np.concatenate([s, *products], axis=1) @ weight.T + bias


def test_the_adversary_equals_numpys_for_more_classes_and_groups():
    rng = np.random.default_rng(1)
    logits, label = rng.normal(size=(10, 3)), rng.integers(3, size=10)
    torch.manual_seed(0)
    adversary = Adversary(3, 4).double()
    found = adversary(torch.from_numpy(logits), torch.from_numpy(label)).detach().numpy()
    weight, bias = (p.detach().numpy() for p in (adversary.linear.weight, adversary.linear.bias))
    assert found.shape == (10, 4)
    assert np.allclose(found, adversary_by_numpy(logits, label, adversary.c.item(), weight, bias))


def test_gradient_of_the_adversary():
    torch.manual_seed(0)
    adversary = Adversary(3, 2).double()
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    label = torch.arange(5) % 3
    assert torch.autograd.gradcheck(lambda z: adversary(z, label), logits)


def linear_problem(n_features=4, n_classes=3, n_groups=2, n=40, seed=0, **values):
    """A classifier of one weight tensor, its method, a batch, and an optimiser for each."""
    torch.manual_seed(seed)
    network = Classifier(nn.Flatten(), nn.Linear(n_features, n_classes, bias=False))
    label, group = torch.randint(n_classes, (n,)), torch.randint(n_groups, (n,))
    chosen = method_settings(kind="adversarial", **values)
    method = method_class(chosen)(chosen, Task(n_classes, n_groups, label, group, 8, network, None))
    batch = Batch(torch.randn(n, n_features, 1, 1), label, group, torch.arange(n), {})
    optimizers = {
        "network": torch.optim.SGD(network.parameters(), lr=0.5),
        "adversary": torch.optim.SGD(method.parameters(), lr=0.3),
    }
    return network, method, batch, optimizers


class OneLogit(nn.Module):
    """A head without weights: the logits of two classes are 0 and the only feature, as in logistic regression."""

    in_features = 1

    def forward(self, features):
        return torch.cat([torch.zeros_like(features), features], dim=1)


class OnLabelsToo(nn.Module):
    """fairlearn gives its adversary the prediction and the one-hot label side by side."""

    def __init__(self, adversary):
        super().__init__()
        self.adversary = adversary

    def forward(self, both):
        logits, label = both.chunk(2, dim=1)
        return self.adversary(logits, label.argmax(1))


@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
def test_an_update_is_fairlearns_where_the_network_has_one_weight_tensor(alpha, monkeypatch):
    """A tensor of one row: of more rows fairlearn's torch engine adds up the inner products of each with each.

    https://github.com/fairlearn/fairlearn/issues/1234; its TensorFlow engine has the sum over elements.
    """
    _, method, batch, optimizers = linear_problem(n_classes=2, alpha=alpha)
    body = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    network = Classifier(body, OneLogit())
    optimizers["network"] = torch.optim.SGD(network.parameters(), lr=0.5)
    theirs = SimpleNamespace(
        predictor_model=nn.Sequential(copy.deepcopy(body), OneLogit()),
        adversary_model=OnLabelsToo(copy.deepcopy(method.adversary)),
        predictor_loss=nn.CrossEntropyLoss(),
        adversary_loss=nn.CrossEntropyLoss(),
        base=SimpleNamespace(pass_y_=True, alpha=alpha),
    )
    theirs.predictor_optimizer = torch.optim.SGD(theirs.predictor_model.parameters(), lr=0.5)
    theirs.adversary_optimizer = torch.optim.SGD(theirs.adversary_model.parameters(), lr=0.3)
    # fairlearn imports torch when an engine is made
    monkeypatch.setattr(fairlearn_engine, "torch", torch)
    before = body[1].weight.detach().clone()
    for _ in range(3):
        step = method.update(network, batch, optimizers, "train")
        losses = fairlearn_engine.PytorchEngine.train_step(
            theirs, batch.images, one_hot(batch.label, 2).float(), one_hot(batch.group, 2).float()
        )
        assert losses == pytest.approx([step.terms["cross_entropy"].item(), step.terms["adversary"].item()], rel=1e-5)
    assert not torch.allclose(body[1].weight, before, atol=1e-2)
    torch.testing.assert_close(network.state_dict()["body.1.weight"], theirs.predictor_model[0][1].weight.detach())
    for weights in zip(method.adversary.parameters(), theirs.adversary_model.parameters(), strict=True):
        torch.testing.assert_close(*weights)


def test_an_update_is_the_papers_by_numpy():
    network, method, batch, optimizers = linear_problem(alpha=2.0, n_classes=2)
    weight = network.head.weight.detach().double().numpy().copy()
    parts = [p.detach().double().numpy().copy() for p in method.parameters()]
    method.update(network, batch, optimizers, "train")
    x, label, group = batch.images.double().numpy()[:, :, 0, 0], batch.label.numpy(), batch.group.numpy()

    def losses(weight):
        logits = x @ weight.T
        guess = adversary_by_numpy(logits, label, parts[0], *parts[1:])
        rows = np.arange(len(x))
        return np.array(
            [-log_softmax(logits, axis=1)[rows, label].mean(), -log_softmax(guess, axis=1)[rows, group].mean()]
        )

    g, h = np.zeros((2, *weight.shape))
    for index in np.ndindex(weight.shape):
        step = np.zeros_like(weight)
        step[index] = 1e-5
        g[index], h[index] = (losses(weight + step) - losses(weight - step)) / 2e-5
    expected = weight - 0.5 * (g - (g * h).sum() / (h**2).sum() * h - 2 * h)
    assert np.allclose(network.head.weight.detach().numpy(), expected, atol=1e-6)


def test_all_of_the_adversary_is_learned():
    """c too: it would stay at zero, where |c| has no slope, if it started there."""
    network, method, batch, optimizers = linear_problem()
    before = [weight.detach().clone() for weight in method.parameters()]
    method.update(network, batch, optimizers, "train")
    names = [name for name, _ in method.named_parameters()]
    moved = [not torch.equal(*pair) for pair in zip(before, method.parameters(), strict=True)]
    assert dict(zip(names, moved, strict=True)) == {
        "adversary.c": True,
        "adversary.linear.weight": True,
        "adversary.linear.bias": True,
    }


def test_the_adversary_has_an_optimiser_and_a_learning_rate_of_its_own():
    network, method, _, _ = linear_problem(adversary_learning_rate=0.25)

    def make(weights, *, learning_rate=0.001):
        return torch.optim.SGD(weights, lr=learning_rate)

    optimizers = method.optimizers("train", network, make)
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}
    assert rates == {"network": 0.001, "adversary": 0.25}
    owned = [{id(w) for w in optimizer.param_groups[0]["params"]} for optimizer in optimizers.values()]
    assert owned == [{id(w) for w in network.parameters()}, {id(w) for w in method.parameters()}]


def biased(n=2000, seed=0):
    """Two classes that a first feature tells badly; the second is the group, which goes with the class in 90 %."""
    rng = np.random.default_rng(seed)
    label = rng.integers(2, size=n)
    group = np.where(rng.random(n) < 0.9, label, 1 - label)
    features = np.stack([label + rng.normal(size=n), group + 0.1 * rng.normal(size=n), np.ones(n)], axis=1)
    return torch.from_numpy(features).float()[:, :, None, None], torch.from_numpy(label), torch.from_numpy(group)


def what_the_prediction_tells_of_the_group(alpha):
    """Train on a biased set; return the accuracy, and how much better the group is guessed with the prediction.

    The guess is sklearn's logistic regression on the label, with and without the prediction; its score the mean log
    likelihood.
    """
    images, label, group = biased()
    network, method, _, _ = linear_problem(3, 2, alpha=alpha)
    optimizers = {
        "network": torch.optim.Adam(network.parameters(), lr=0.01),
        "adversary": torch.optim.Adam(method.parameters(), lr=0.05),
    }
    batch = Batch(images, label, group, torch.arange(len(label)), {})
    for _ in range(600):
        step = method.update(network, batch, optimizers, "train")
    s = method.predict(step.output, group).detach().numpy()[:, 1]
    y, a = label.numpy(), group.numpy()
    scores = []
    for features in (np.stack([y], axis=1), np.stack([y, s, s * y], axis=1)):
        guess = LogisticRegression(C=1e4, max_iter=1000).fit(features, a).predict_proba(features)
        scores.append(np.log(guess[np.arange(len(a)), a]).mean())
    return ((s > 0.5) == y).mean(), scores[1] - scores[0]


def test_the_prediction_tells_less_of_the_group_than_without_the_step_against_the_adversary():
    (_, without), (accuracy, debiased) = (what_the_prediction_tells_of_the_group(alpha) for alpha in (0.0, 1.0))
    assert without > 0.02
    assert debiased < without / 10
    # the first feature alone can tell the classes in 69 %
    assert accuracy > 0.65


OPTIONS = {"epochs": 3, "learning_rate": 0.003}
METHOD = {"kind": "adversarial", "alpha": 0.5, "adversary_learning_rate": 0.01}


def test_an_interrupted_training_ends_with_the_same_bits(tiny, tmp_path):
    """The network's and the adversary's weights, and the states of both optimisers."""
    whole = fit(tiny, METHOD, **OPTIONS)
    once, twice = (ResumeState(tmp_path / name, {}) for name in ("once", "twice"))
    interrupted(tiny, METHOD, before=2, resume=once, **OPTIONS)
    interrupted(tiny, METHOD, before=1, resume=twice, **OPTIONS)
    interrupted(tiny, METHOD, before=2, resume=twice, **OPTIONS)
    states = [resume.restore() for resume in (once, twice)]
    assert {"optimizer network", "optimizer adversary", "method"} <= states[0].keys()
    for name in ("optimizer network", "optimizer adversary"):
        a, b = (state[name]["state"] for state in states)
        assert a.keys() == b.keys() != set()
        assert all(torch.equal(a[i][key], b[i][key]) for i in a for key in a[i])
        assert any(a[i]["exp_avg"].any() for i in a)
    for resume in (once, twice):
        resumed = fit(tiny, METHOD, resume=resume, **OPTIONS)
        assert_same_bits(whole, resumed)


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_it_trains_with_both_engines(tiny, monkeypatch, engine):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    trained = fit(tiny, METHOD | {"alpha": 0.0}, epochs=5, batch_size=16, engine=engine)
    history = trained.history
    assert history["cross_entropy"].iloc[-1] < history["cross_entropy"].iloc[0] / 1.5
    # what the step minimises is the network's own loss
    assert np.allclose(history["loss"], history["cross_entropy"])
    assert trained.method.prediction_state() == {}
