"""Probabilistic knowledge transfer, compared with loops in float64 and with torchdistill."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_trainings import KINDS, assert_same_bits, fit, method_settings, network_settings
from torchdistill.losses.mid_level import PKTLoss

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.methods.pkt import EPSILON, conditional_probabilities, pkt_loss
from fairdistill.networks import Output, build_network, freeze
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.reading import read_settings
from fairdistill.training.engines import load_engine


def features_of(seed, n=7, widths=(5, 3)):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, width)) for width in widths]


def probabilities(features):
    """The conditional probabilities, with the pairs of an image with itself, one after another."""
    n = len(features)
    found = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            cosine = features[i] @ features[j] / np.linalg.norm(features[i]) / np.linalg.norm(features[j])
            found[i, j] = (cosine + 1) / 2
        found[i] /= found[i].sum()
    return found


def by_loops(base, student):
    p, q = probabilities(base), probabilities(student)
    n = len(p)
    return sum(p[i, j] * np.log(p[i, j] / q[i, j]) for i in range(n) for j in range(n)) / n**2


def loss(base, student):
    return pkt_loss(torch.from_numpy(base), torch.from_numpy(student)).item()


@given(seed=st.integers(0, 10_000), n=st.integers(2, 12), widths=st.tuples(st.integers(2, 9), st.integers(2, 9)))
@settings(max_examples=30)
def test_equals_the_formula_for_any_widths(seed, n, widths):
    base, student = features_of(seed, n, widths)
    # of positive features, as those of a ReLU are, no probability is of the size of the epsilon
    base, student = abs(base), abs(student)
    assert loss(base, student) == pytest.approx(by_loops(base, student), rel=1e-4, abs=1e-9)


def test_equals_torchdistills_loss():
    base, student = (torch.from_numpy(values) for values in features_of(1, 20))
    theirs = PKTLoss("features", "output", "features", "output", eps=EPSILON)
    found = theirs({"features": {"output": student.clone()}}, {"features": {"output": base.clone()}})
    assert pkt_loss(base, student).item() == pytest.approx(found.item(), rel=1e-12)


def test_without_an_images_own_pair_it_is_the_papers_up_to_a_factor():
    """The paper's sum over i of KL(p_i || q_i) differs by the diagonal alone, of 1 in B neighbours."""
    base, student = (abs(values) for values in features_of(2, 200))
    p, q = (probabilities(values) for values in (base, student))
    for matrix in (p, q):
        np.fill_diagonal(matrix, 0)
        matrix /= matrix.sum(1, keepdims=True)
    off = ~np.eye(200, dtype=bool)
    papers = (p[off] * np.log(p[off] / q[off])).sum()
    assert loss(base, student) * 200**2 == pytest.approx(papers, rel=0.02)


def test_rows_are_probabilities_of_neighbours():
    found = conditional_probabilities(torch.from_numpy(features_of(3)[0])).numpy()
    assert np.allclose(found.sum(1), 1)
    assert np.allclose(found, probabilities(features_of(3)[0]), atol=1e-6)
    # at the batch's other end: exactly opposite features are never neighbours
    assert conditional_probabilities(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))[0, 1].item() == pytest.approx(0, abs=1e-6)


def test_is_zero_where_it_has_to_be():
    base, student = features_of(4)
    assert loss(base, base) == 0
    # lengths do not count, nor do rotations, nor columns of zeros
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(5, 5)))[0]
    scaled = np.arange(1, 8)[:, None] * base @ rotation
    assert loss(base, np.hstack([scaled, np.zeros((7, 4))])) == pytest.approx(0, abs=1e-9)
    assert loss(base, student) > 1e-4


def test_gradient():
    base, student = (torch.from_numpy(values) for values in features_of(6))
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda values: pkt_loss(base, values), student)


def test_no_gradient_reaches_the_base_and_features_of_zeros_give_no_nan():
    base, student = (torch.from_numpy(values) for values in features_of(7))
    student[0] = 0
    base.requires_grad_()
    student.requires_grad_()
    pkt_loss(base, student).backward()
    assert base.grad is None
    assert torch.isfinite(student.grad).all()
    assert student.grad.abs().sum() > 0


def test_the_term_is_weighted():
    chosen = method_settings(kind="pkt", beta=7.0)
    network, base = build_network(network_settings(), 3), freeze(build_network(network_settings(KINDS[0]), 3))
    label = torch.arange(7) % 3
    method = method_class(chosen)(chosen, Task(3, 2, label, label % 2, 8, network, base))
    of_base, of_student = (torch.from_numpy(values) for values in features_of(8))
    logits = torch.zeros(7, 3)
    batch = Batch(torch.zeros(7, 3, 8, 8), label, label % 2, label, method.read_base(Output(of_base, logits, {})))
    terms = method.loss(batch, Output(of_student, logits, {}), "train")
    assert terms["transfer"].item() == pytest.approx(7 * pkt_loss(of_base, of_student).item())
    assert terms["cross_entropy"].item() == pytest.approx(np.log(3))
    assert not [*method.parameters()]


def test_the_default_weight_is_that_of_the_comparison_of_tian_et_al():
    chosen = method_settings(kind="pkt")
    assert (chosen.beta, chosen.sampling, chosen.base.method) == (30000.0, "plain", "teacher")
    with pytest.raises(UserError, match="method: beta is -1; it must be at least 0"):
        read_settings(AnyMethod, {"kind": "pkt", "beta": -1}, where="method")


@pytest.fixture(scope="module")
def teacher(tiny):
    return fit(
        tiny, {"kind": "erm"}, role="teacher", epochs=6, batch_size=16, network=network_settings(KINDS[0])
    ).network


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_students_neighbours_become_its_bases(tiny, teacher, monkeypatch, engine):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    history = fit(tiny, {"kind": "pkt"}, base=teacher, epochs=5, batch_size=16, engine=engine).history
    assert history["transfer"].iloc[-1] < history["transfer"].iloc[0]
    assert np.allclose(history["loss"], history["transfer"] + history["cross_entropy"])


def test_with_beta_zero_it_is_cross_entropy(tiny, teacher):
    plain, zero = fit(tiny, {"kind": "erm"}), fit(tiny, {"kind": "pkt", "beta": 0.0}, base=teacher)
    assert_same_bits(plain, zero, apart_from=["transfer"])
