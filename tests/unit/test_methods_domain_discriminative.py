"""Domain-discriminative training, compared with loops in float64.

What it shares with domain-independent training is in test_methods_domain_independent.py.
"""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from test_methods_domain_independent import SIZES, C, G, method_for, outputs

from fairdistill.networks import Output

METHOD = {"kind": "domain_discriminative"}


def test_the_loss_is_the_likelihood_of_class_and_group_together():
    scores, output, batch = outputs()
    pairs = zip(scores, batch.label, batch.group, strict=True)
    expected = -np.mean([log_softmax(of_image)[a, y] for of_image, y, a in pairs])
    terms = method_for(**METHOD).loss(batch, output, "train")
    assert {name: value.item() for name, value in terms.items()} == {"cross_entropy": pytest.approx(expected)}


def test_the_loss_is_zero_where_class_and_group_are_sure_and_right():
    scores, output, batch = outputs()
    scores[np.arange(len(scores)), batch.group, batch.label] = 1e3
    output = output._replace(logits=torch.from_numpy(scores.reshape(len(scores), -1)))
    assert method_for(**METHOD).loss(batch, output, "train")["cross_entropy"].item() == 0


def test_the_gradient_of_the_loss():
    _, output, batch = outputs(5)
    method = method_for(**METHOD)

    def loss(logits):
        return method.loss(batch, output._replace(logits=logits), "train")["cross_entropy"]

    assert torch.autograd.gradcheck(loss, output.logits.requires_grad_())


@pytest.mark.parametrize("prior_shift", [False, True])
@pytest.mark.parametrize("inference", ["sum", "max"])
def test_a_class_is_predicted_over_all_groups(inference, prior_shift):
    scores, output, batch = outputs()
    found = method_for(**METHOD, inference=inference, prior_shift=prior_shift).predict(output, batch.group).numpy()
    for image, of_image in enumerate(scores):
        expected = np.zeros(C)
        p = softmax(of_image)
        for y in range(C):
            weighted = [p[a, y] * (1 / (C * G)) / (SIZES[y, a] / SIZES.sum() if prior_shift else 1) for a in range(G)]
            expected[y] = sum(weighted) if inference == "sum" else max(weighted)
        assert np.allclose(found[image], expected / expected.sum(), rtol=1e-5)


def test_the_correction_is_the_authors_at_skew_095():
    """Their weights are 1/5 and 1/95 for ten classes that alternate, of colour first and then of grey images."""
    weights = [1 / 5 if i % 2 == 0 else 1 / 95 for i in range(10)] + [
        1 / 95 if i % 2 == 0 else 1 / 5 for i in range(10)
    ]
    sizes = np.array([[250, 4750] if i % 2 == 0 else [4750, 250] for i in range(10)])
    method = method_for(**METHOD, sizes=sizes)
    logits = 2 * np.random.default_rng(3).normal(size=(40, 20))
    p = softmax(logits, axis=1) * weights
    group = torch.zeros(40, dtype=torch.long)
    found = method.predict(Output(torch.zeros(40, 5), torch.from_numpy(logits), {}), group)
    expected = p[:, :10] + p[:, 10:]
    assert np.allclose(found, expected / expected.sum(1, keepdims=True), rtol=1e-5)


def test_what_a_prediction_needs_is_the_correction():
    state = method_for(**METHOD).prediction_state()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {"correction": (G, C)}
    assert not method_for(**METHOD).needs_group
