"""Empirical risk minimisation: the cross-entropy, and what every other method takes over from it."""

import numpy as np
import pytest
import torch
from method_trainings import SHORT, fit, method_settings, network_settings
from scipy.special import log_softmax, softmax

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.networks import Output, build_network
from fairdistill.training.engines import load_engine

C, G = 3, 2


@pytest.fixture
def method():
    network = build_network(network_settings(), C)
    label = group = torch.zeros(4, dtype=torch.long)
    settings = method_settings(kind="erm")
    return method_class(settings)(settings, Task(C, G, label, group, 8, network, None))


def outputs(n=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, C)) * 3, rng.integers(C, size=n)


def batch_of(label):
    label = torch.from_numpy(label)
    return Batch(torch.zeros(len(label), 3, 8, 8), label, label % G, torch.arange(len(label)), {})


def output_of(logits):
    return Output(torch.zeros(len(logits), 5), logits, {})


def test_the_loss_is_the_mean_negative_log_likelihood(method):
    logits, label = outputs()
    terms = method.loss(batch_of(label), output_of(torch.from_numpy(logits)), "train")
    assert terms.keys() == {"cross_entropy"}
    assert terms["cross_entropy"].item() == pytest.approx(-log_softmax(logits, axis=1)[np.arange(20), label].mean())


def test_the_loss_of_a_sure_and_right_answer_is_zero(method):
    _, label = outputs()
    terms = method.loss(batch_of(label), output_of(torch.from_numpy(1e3 * np.eye(C)[label])), "train")
    assert terms["cross_entropy"].item() == 0


def test_its_gradient_is_probabilities_minus_labels(method):
    logits, label = outputs(7)
    given = torch.from_numpy(logits).requires_grad_()
    method.loss(batch_of(label), output_of(given), "train")["cross_entropy"].backward()
    assert np.allclose(given.grad, (softmax(logits, axis=1) - np.eye(C)[label]) / 7)


def test_it_predicts_the_softmax_whatever_the_group(method):
    logits, _ = outputs(6)
    for group in (torch.zeros(6, dtype=torch.long), torch.ones(6, dtype=torch.long)):
        found = method.predict(output_of(torch.from_numpy(logits)), group)
        assert np.allclose(found, softmax(logits, axis=1))


def test_it_has_nothing_of_its_own(method):
    assert not method.uses_base
    assert not method.needs_group
    assert method.state_dict() == method.prediction_state() == {}
    assert method.n_outputs(method.settings, C, G) == C
    assert [tuple(stage) for stage in method.stages(5)] == [("train", 5)]


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_the_first_step_of_a_training_has_the_loss_of_the_initial_network(tiny, monkeypatch, engine):
    """All 96 images in one step: the loss that the history has is that of the weights before the step."""
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    history = fit(tiny, {"kind": "erm"}, epochs=1, batch_size=96, flip=False, engine=engine, seed=3).history
    torch.manual_seed(2 * 3 + 1)
    network = build_network(SHORT, C).train()
    rows, label, _ = tiny.split("train")
    images = (tiny.images[rows] / 255 - tiny.mean) / tiny.std
    logits = network(torch.from_numpy(images).float().permute(0, 3, 1, 2)).logits.detach().double().numpy()
    assert history["loss"][0] == pytest.approx(-log_softmax(logits, axis=1)[np.arange(96), label].mean(), rel=1e-4)


def test_the_initial_weights_follow_from_seed_and_role(tiny):
    """Steps of 1e-30 move no weight further than that; those of zero, such as the biases of a batch norm, do move."""
    trained = fit(tiny, {"kind": "erm"}, epochs=1, learning_rate=1e-30, seed=4)
    torch.manual_seed(2 * 4 + 1)
    state = trained.network.state_dict()
    for name, weight in build_network(SHORT, C).named_parameters():
        assert (state[name] - weight).abs().max() < 1e-28
