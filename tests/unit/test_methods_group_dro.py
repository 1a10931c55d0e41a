"""Group DRO, compared with loops in float64 that multiply the weights as Algorithm 1 does, and resumed to the bit."""

import numpy as np
import pytest
import torch
from method_trainings import assert_same_bits, fit, interrupted, method_settings, network_settings, with_validation
from scipy.special import log_softmax
from torch import nn

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.networks import Classifier, Output, build_network
from fairdistill.runtime.errors import UserError
from fairdistill.training.engines import load_engine
from fairdistill.training.resume import ResumeState

METHOD = {"kind": "group_dro"}
# of three classes and two groups
SIZES = np.array([[40, 10], [7, 30], [9, 2]])
C, G = SIZES.shape


def method_for(sizes=SIZES, **values):
    label, group = (torch.from_numpy(np.repeat(index.ravel(), sizes.ravel())) for index in np.indices(sizes.shape))
    chosen = method_settings(**METHOD, **values)
    network = build_network(network_settings(), len(sizes))
    return method_class(chosen)(chosen, Task(*sizes.shape, label, group, 8, network, None)).double()


def batches(n, count, seed=0):
    """Logits of random batches, with their labels and groups."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield 3 * rng.normal(size=(n, C)), rng.integers(C, size=n), rng.integers(G, size=n)


def step(method, logits, label, group):
    batch = Batch(torch.zeros(len(label), 3, 8, 8), *map(torch.from_numpy, (label, group, np.arange(len(label)))), {})
    output = Output(torch.zeros(len(label), 5), torch.as_tensor(logits), {})
    terms = method.loss(batch, output, "train")
    assert terms.keys() == {"weighted_cross_entropy"}
    return terms["weighted_cross_entropy"]


@pytest.mark.parametrize("over", ["cells", "groups"])
@pytest.mark.parametrize(("step_size", "adjustment"), [(0.01, 0.0), (0.5, 0.0), (0.3, 4.0)])
@pytest.mark.parametrize("n", [3, 40])
def test_the_weights_and_the_loss_are_those_of_the_algorithm(over, step_size, adjustment, n):
    """Over several batches; those of three images lack cells."""
    method = method_for(over=over, step_size=step_size, adjustment=adjustment)
    members = [(y, a) for y in range(C) for a in range(G)] if over == "cells" else [(None, a) for a in range(G)]
    sizes = [SIZES[y, a] if over == "cells" else SIZES[:, a].sum() for y, a in members]
    q = np.full(len(members), 1 / len(members))
    for logits, label, group in batches(n, 6):
        losses = -log_softmax(logits, axis=1)[np.arange(n), label]
        means = np.zeros(len(members))
        for g, (y, a) in enumerate(members):
            of_g = (group == a) & ((label == y) if over == "cells" else True)
            if of_g.any():
                means[g] = losses[of_g].mean()
                q[g] *= np.exp(step_size * (means[g] + adjustment / np.sqrt(sizes[g])))
        q /= q.sum()
        found = step(method, logits, label, group)
        assert found.item() == pytest.approx((q * means).sum(), rel=1e-6)
        assert np.allclose(method.log_weights.exp(), q, rtol=1e-6)
    assert q.max() > 1.01 * q.min()


def test_the_loss_of_a_sure_and_right_answer_is_zero():
    (_, label, group), *_ = batches(40, 1)
    assert step(method_for(), 1e3 * np.eye(C)[label], label, group).item() == 0


def test_equal_losses_leave_equal_weights():
    label, group = (index.ravel() for index in np.indices((C, G)))
    method = method_for(step_size=1.0)
    found = step(method, np.zeros((C * G, C)), label, group)
    assert np.allclose(method.log_weights.exp(), 1 / (C * G))
    assert found.item() == pytest.approx(np.log(C))
    # with an adjustment it is the smallest cell whose weight grows most
    method = method_for(step_size=1.0, adjustment=5.0)
    step(method, np.zeros((C * G, C)), label, group)
    order = np.argsort(SIZES.ravel())[::-1]
    assert (np.diff(method.log_weights.numpy()[order]) > 0).all()


def test_the_gradient_holds_the_weights_constant():
    ((logits, label, group),) = batches(8, 1)
    method = method_for(step_size=0.5)
    start = method.log_weights.clone()
    given = torch.from_numpy(logits).requires_grad_()
    (gradient,) = torch.autograd.grad(step(method, given, label, group), given)
    q = method.log_weights.exp().numpy()
    assert not np.allclose(start.exp(), q)
    cell = label * G + group
    per_image = q[cell] / np.bincount(cell, minlength=C * G)[cell]
    probabilities = np.exp(log_softmax(logits, axis=1))
    assert np.allclose(gradient, per_image[:, None] * (probabilities - np.eye(C)[label]))


def test_large_losses_overflow_nothing():
    """The weights as they are printed would become infinite, and then not a number."""
    method = method_for(step_size=10.0).float()
    logits = np.zeros((6, C), dtype=np.float32)
    label, group = (index.ravel() for index in np.indices((C, G)))
    logits[0, 1] = 1000
    for _ in range(3):
        assert step(method, logits, label, group).item() == pytest.approx(1000, rel=1e-3)
    assert method.log_weights.isfinite().all()


def worst_loss(kind):
    """Train a linear network that has to choose between two cells; return the worst cell's loss.

    Of each class one cell is large and another small, and the small cells' input is turned round.
    """
    rng = np.random.default_rng(0)
    label, group = np.repeat([0, 0, 1, 1], [90, 10, 90, 10]), np.repeat([0, 1, 0, 1], [90, 10, 90, 10])
    x = (2 * label - 1) * (1 - 2 * group) + 0.1 * rng.normal(size=200)
    images = torch.from_numpy(np.stack([x, np.ones(200)], axis=1)).float()[:, :, None, None]
    y, a = torch.from_numpy(label), torch.from_numpy(group)
    torch.manual_seed(0)
    network = Classifier(nn.Flatten(), nn.Linear(2, 2))
    chosen = method_settings(**kind)
    method = method_class(chosen)(chosen, Task(2, 2, y, a, 1, network, None))
    optimizers = {"sgd": torch.optim.SGD(network.parameters(), lr=0.1)}
    for _ in range(400):
        last = method.update(network, Batch(images, y, a, torch.arange(200), {}), optimizers, "train")
    losses = nn.functional.cross_entropy(last.output.logits, y, reduction="none").detach().numpy()
    return max(losses[(label == c) & (group == g)].mean() for c in range(2) for g in range(2))


def test_the_worst_cell_is_better_off_than_by_the_mean():
    worst, by_mean = worst_loss(METHOD | {"step_size": 0.1}), worst_loss({"kind": "erm"})
    # no line can serve both, so that the best for the worst is to say nothing
    assert worst == pytest.approx(np.log(2), abs=0.1)
    assert by_mean > 1.5


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"step_size": 0}, "method: step_size is 0; it must be above 0"),
        ({"adjustment": -1}, "method: adjustment is -1; it must be at least 0"),
        ({"over": "classes"}, 'method: over is "classes"; choose one of cells, groups'),
    ],
)
def test_bad_settings_are_named(values, words):
    with pytest.raises(UserError) as error:
        method_settings(**METHOD, **values)
    assert str(error.value) == words


OPTIONS = {"epochs": 3, "learning_rate": 0.003}


@pytest.mark.parametrize("over", ["cells", "groups"])
def test_an_interrupted_training_ends_with_the_same_bits(tiny, tmp_path, over):
    """The running weights too."""
    method = METHOD | {"over": over, "step_size": 0.1}
    whole = fit(tiny, method, **OPTIONS)
    state = ResumeState(tmp_path / "state", {})
    interrupted(tiny, method, before=2, resume=state, **OPTIONS)
    kept = state.restore()["method"]["log_weights"]
    assert kept.exp().sum().item() == pytest.approx(1, rel=1e-5)
    assert not torch.equal(kept, whole.method.log_weights)
    assert_same_bits(whole, fit(tiny, method, resume=state, **OPTIONS))


def test_the_weights_go_back_to_the_best_epoch_with_the_network(tiny):
    """A training of so many epochs as the one that is kept ends with the same weights."""
    dataset = with_validation(tiny)
    options = {"schedule": "constant", "learning_rate": 0.05, "batch_size": 24}
    best = fit(dataset, METHOD, keep="best", epochs=4, **options)
    shorter = fit(dataset, METHOD, epochs=best.kept_epoch, **options)
    assert torch.equal(best.method.log_weights, shorter.method.log_weights)


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_it_trains_with_both_engines(tiny, monkeypatch, engine):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    history = fit(tiny, METHOD, epochs=5, batch_size=16, engine=engine).history
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] / 1.5
