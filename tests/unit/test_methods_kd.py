"""Knowledge distillation, compared with scipy's softmax and relative entropy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_trainings import KINDS, assert_same_bits, fit, method_settings, network_settings
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from torchdistill.losses.mid_level import KDLoss

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.methods.kd import distillation_loss
from fairdistill.networks import Output, build_network, freeze
from fairdistill.training.engines import load_engine

B, C = 9, 4


def logits_of(seed, n=B, scale=3.0):
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=(n, C)), scale * rng.normal(size=(n, C))


def loss(base, logits, temperature):
    return distillation_loss(torch.from_numpy(base), torch.from_numpy(logits), temperature=temperature).item()


@given(seed=st.integers(0, 10_000), n=st.integers(1, 12), temperature=st.sampled_from([0.5, 1.0, 4.0, 20.0]))
@settings(max_examples=30)
def test_equals_scipys_relative_entropy(seed, n, temperature):
    base, logits = logits_of(seed, n)
    p, q = (softmax(values / temperature, axis=1) for values in (base, logits))
    assert loss(base, logits, temperature) == pytest.approx(temperature**2 * entropy(p, q, axis=1).mean(), rel=1e-9)


def test_is_hintons_cross_entropy_less_the_entropy_of_the_targets():
    base, logits = logits_of(1)
    p = softmax(base / 4, axis=1)
    cross_entropy = -(p * log_softmax(logits / 4, axis=1)).sum(1).mean()
    assert loss(base, logits, 4.0) == pytest.approx(16 * (cross_entropy - entropy(p, axis=1).mean()))


def test_equal_probabilities_give_zero():
    base, _ = logits_of(2)
    assert loss(base, base, 4.0) == pytest.approx(0, abs=1e-14)
    # a constant added to the logits of an image changes no probability
    assert loss(base, base + np.arange(B)[:, None], 4.0) == pytest.approx(0, abs=1e-12)
    assert loss(base, base[:, ::-1].copy(), 4.0) > 0.1


def test_certain_probabilities_stay_finite():
    """log_target: where a probability underflows, its logarithm does not."""
    base = np.array([[1e4, 0.0, -1e4, 0.0]])
    assert loss(base, -base, 1.0) == pytest.approx(2e4)
    assert loss(base, base, 1.0) == 0


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_gradient(temperature):
    base, logits = (torch.from_numpy(values) for values in logits_of(3))
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: distillation_loss(base, z, temperature=temperature), logits)
    distillation_loss(base, logits, temperature=temperature).backward()
    p, q = (softmax(values.detach().numpy() / temperature, axis=1) for values in (base, logits))
    assert np.allclose(logits.grad, temperature * (q - p) / B)


@pytest.mark.parametrize("temperature", [1e3, 1e4])
def test_the_factor_keeps_the_gradient_as_the_temperature_grows(temperature):
    """Hinton et al., section 2.1: at a high temperature it is (z - v) / C for logits of zero mean."""
    v, z = (values - values.mean(1, keepdims=True) for values in logits_of(4))
    logits = torch.from_numpy(z).requires_grad_()
    distillation_loss(torch.from_numpy(v), logits, temperature=temperature).backward()
    assert np.allclose(logits.grad, (z - v) / C / B, rtol=0.05, atol=1e-3)


def test_no_gradient_reaches_the_base():
    base, logits = (torch.from_numpy(values).requires_grad_() for values in logits_of(5))
    distillation_loss(base, logits, temperature=4.0).backward()
    assert base.grad is None
    assert logits.grad.abs().sum() > 0


def method_of(**values):
    network, base = build_network(network_settings(), C), freeze(build_network(network_settings(), C))
    label = torch.zeros(B, dtype=torch.long)
    chosen = method_settings(kind="kd", **values)
    return method_class(chosen)(chosen, Task(C, 2, label, label, 8, network, base))


@pytest.mark.parametrize(("alpha", "temperature"), [(0.9, 4.0), (0.0, 2.0), (1.0, 3.0)])
def test_the_terms_are_weighted_as_the_authors_of_attention_transfer_do(alpha, temperature):
    """utils.distillation of github.com/szagoruyko/attention-transfer, in numpy."""
    method = method_of(alpha=alpha, temperature=temperature)
    base, logits = logits_of(6)
    label = np.arange(B) % C
    asked = method.read_base(Output(torch.zeros(B, 5), torch.from_numpy(base), {}))
    batch = Batch(torch.zeros(B, 3, 8, 8), torch.from_numpy(label), torch.from_numpy(label % 2), torch.arange(B), asked)
    terms = method.loss(batch, Output(torch.zeros(B, 5), torch.from_numpy(logits), {}), "train")
    p, q = (softmax(values / temperature, axis=1) for values in (base, logits))
    l_kl = (p * (np.log(p) - np.log(q))).sum() * temperature**2 / B
    l_ce = -log_softmax(logits, axis=1)[np.arange(B), label].mean()
    assert terms["distillation"].item() == pytest.approx(alpha * l_kl)
    assert terms["cross_entropy"].item() == pytest.approx((1 - alpha) * l_ce)


def test_equals_torchdistills_loss():
    """Their alpha is the weight of the labels."""
    method = method_of(alpha=0.9, temperature=4.0)
    base, logits = (torch.from_numpy(values) for values in logits_of(7))
    label = torch.arange(B) % C
    batch = Batch(torch.zeros(B, 3, 8, 8), label, label % 2, torch.arange(B), {"logits": base})
    terms = method.loss(batch, Output(torch.zeros(B, 5), logits, {}), "train")
    theirs = KDLoss("head", "output", "head", "output", temperature=4.0, alpha=0.1)
    found = theirs({"head": {"output": logits}}, {"head": {"output": base}}, targets=label)
    assert sum(terms.values()).item() == pytest.approx(found.item(), rel=1e-12)


def test_the_defaults_are_those_of_the_authors_of_attention_transfer():
    chosen = method_settings(kind="kd")
    assert (chosen.temperature, chosen.alpha, chosen.sampling, chosen.base.method) == (4.0, 0.9, "plain", "teacher")


# the smallest of them hardly learns in as few steps
NETWORK = network_settings(KINDS[1])


@pytest.fixture(scope="module")
def teacher(tiny):
    return fit(tiny, {"kind": "erm"}, network=NETWORK, role="teacher", epochs=10, batch_size=16).network


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_student_comes_closer_to_its_base(tiny, teacher, monkeypatch, engine):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    options = {"network": NETWORK, "base": teacher, "epochs": 8, "batch_size": 16}
    history = fit(tiny, {"kind": "kd"}, engine=engine, **options).history
    assert history["distillation"].iloc[-1] < history["distillation"].iloc[0] / 2
    assert history["cross_entropy"].iloc[-1] < history["cross_entropy"].iloc[0]
    assert np.allclose(history["loss"], history["distillation"] + history["cross_entropy"])


def test_the_base_may_be_of_another_architecture_and_stays_as_it_is(tiny):
    torch.manual_seed(0)
    base = build_network(network_settings(KINDS[0]), 3)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    fit(tiny, {"kind": "kd"}, base=base, epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())


def test_with_alpha_zero_it_is_cross_entropy(tiny, teacher):
    plain, zero = fit(tiny, {"kind": "erm"}), fit(tiny, {"kind": "kd", "alpha": 0.0}, base=teacher)
    assert_same_bits(plain, zero, apart_from=["distillation"])
