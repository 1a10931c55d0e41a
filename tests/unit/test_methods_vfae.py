"""The variational fair autoencoder, compared with numpy in float64."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_trainings import fit, method_settings, network_settings, skewed
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from small_network import Small

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.methods.vfae import marginal_mmd
from fairdistill.networks import Output, build_network, load_method, load_network
from scripts import train_model

METHOD = {"kind": "vfae", "latent_size": 4}


def mmd_by_loops(z, group, n_groups):
    """The discrepancies of the printed pairs, with scikit-learn's kernel."""
    k = rbf_kernel(z, gamma=1 / (2 * z.shape[1]))

    def squared(one, other):
        return sum(k[np.ix_(own, own)].mean() for own in (one, other)) - 2 * k[np.ix_(one, other)].mean()

    members = [np.flatnonzero(group == a) for a in range(n_groups)]
    if n_groups == 2:
        return squared(*members) if all(map(len, members)) else 0.0
    return sum(squared(own, np.arange(len(z))) for own in members if len(own))


@given(seed=st.integers(0, 10_000), n=st.integers(1, 20), n_groups=st.integers(2, 4))
@settings(max_examples=40)
def test_the_penalty_is_the_discrepancy_between_the_groups(seed, n, n_groups):
    """In batches of any size, so that groups are missing."""
    rng = np.random.default_rng(seed)
    group = rng.integers(n_groups, size=n)
    z = rng.normal(size=(n, 3)) + group[:, None]
    found = marginal_mmd(torch.from_numpy(z), torch.from_numpy(group), n_groups=n_groups)
    assert found.item() == pytest.approx(mmd_by_loops(z, group, n_groups), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n_groups", [2, 3])
def test_the_penalty_is_zero_where_the_groups_have_the_same_codes(n_groups):
    z = torch.randn(5, 3, dtype=torch.float64).repeat(n_groups, 1)
    group = torch.arange(n_groups).repeat_interleave(5)
    assert marginal_mmd(z, group, n_groups=n_groups).item() == pytest.approx(0, abs=1e-14)


def test_the_papers_random_features_estimate_the_penalty():
    """psi(z) = sqrt(2 / D) cos(sqrt(2 / gamma) z W + b), with gamma twice the number of dimensions."""
    rng = np.random.default_rng(0)
    group = np.arange(40) % 2
    z = rng.normal(size=(40, 5)) + group[:, None]
    w, b = rng.normal(size=(5, 100_000)), rng.uniform(0, 2 * np.pi, size=100_000)
    psi = np.sqrt(2 / 100_000) * np.cos(np.sqrt(2 / 10) * z @ w + b)
    estimate = np.square(psi[group == 0].mean(0) - psi[group == 1].mean(0)).sum()
    assert marginal_mmd(*map(torch.from_numpy, (z, group)), n_groups=2).item() == pytest.approx(estimate, rel=0.03)


def made(n_groups=2, n=6, seed=0, **values):
    """A method in float64 for three classes, a batch, and an output of its network."""
    torch.manual_seed(seed)
    chosen = method_settings(**METHOD, **values)
    kind = method_class(chosen)
    label, group = torch.arange(n) % 3, torch.arange(n) % n_groups
    network = build_network(Small(), kind.n_outputs(chosen, 3, n_groups))
    method = kind(chosen, Task(3, n_groups, label, group, 8, network, None)).double()
    batch = Batch(torch.randn(n, 3, 8, 8).double(), label, group, torch.arange(n), {})
    return method, batch, Output(torch.zeros(n, 8), torch.randn(n, 8).double(), {})


def by_numpy(method, batch, output):
    """The terms of the loss; the samples, and what the decoder makes of a code, are torch's."""
    state = {name: tensor.numpy() for name, tensor in method.state_dict().items()}
    y, s = np.eye(3)[batch.label], np.eye(method.n_groups)[batch.group]
    noise = [torch.empty(len(y), 4).double().normal_().numpy() for _ in range(2)]

    def split(values):
        return values[:, :4], np.exp(values[:, 4:])

    def network(name, inputs):
        hidden = np.log1p(np.exp(inputs @ state[f"{name}.0.weight"].T + state[f"{name}.0.bias"]))
        return split(hidden @ state[f"{name}.2.weight"].T + state[f"{name}.2.bias"])

    def kl(q, p):
        return (np.log(p[1] / q[1]) + (q[1] + (q[0] - p[0]) ** 2) / p[1] - 1).sum(1).mean() / 2

    seen = output.logits.numpy()
    if method.needs_group:
        seen = seen + s @ state["group_effect.weight"].T
    q1 = split(seen)
    z1 = q1[0] + np.sqrt(q1[1]) * noise[0]
    q2 = network("encoder_z2", np.concatenate([z1, y], axis=1))
    z2 = q2[0] + np.sqrt(q2[1]) * noise[1]
    p1 = network("decoder_z1", np.concatenate([z2, y], axis=1))
    with torch.no_grad():
        decoded = method.decoder(torch.from_numpy(np.concatenate([z1, s], axis=1))).numpy()
    scores = z1 @ state["classifier.weight"].T + state["classifier.bias"]
    return {
        "reconstruction": ((batch.images.numpy() - decoded) ** 2).sum((1, 2, 3)).mean() / 2,
        "kl_z1": kl(q1, p1),
        "kl_z2": kl(q2, (np.zeros_like(z2), np.ones_like(z2))),
        "cross_entropy": -method.settings.alpha * (log_softmax(scores, axis=1) * y).sum(1).mean(),
        "mmd": method.settings.beta * mmd_by_loops(z1, batch.group.numpy(), method.n_groups),
    }


@pytest.mark.parametrize("n_groups", [2, 3])
@pytest.mark.parametrize("group_in_encoder", [True, False])
def test_the_terms_of_the_loss(n_groups, group_in_encoder):
    method, batch, output = made(n_groups, group_in_encoder=group_in_encoder, alpha=3.0, beta=7.0)
    torch.manual_seed(5)
    terms = {name: value.item() for name, value in method.loss(batch, output, "train").items()}
    torch.manual_seed(5)
    assert terms == pytest.approx(by_numpy(method, batch, output))


def test_terms_without_a_weight_are_zero():
    method, batch, output = made(alpha=0.0, beta=0.0)
    terms = method.loss(batch, output, "train")
    assert terms["cross_entropy"].item() == terms["mmd"].item() == 0
    assert min(terms[name].item() for name in ("reconstruction", "kl_z1", "kl_z2")) > 0


def test_gradient_of_the_loss():
    method, batch, output = made(alpha=2.0, beta=3.0)

    def loss(logits):
        torch.manual_seed(1)
        return torch.stack([*method.loss(batch, output._replace(logits=logits), "train").values()]).sum()

    assert torch.autograd.gradcheck(loss, output.logits.requires_grad_())


@pytest.mark.parametrize("group_in_encoder", [True, False])
def test_the_prediction_is_the_classifiers_at_the_mean_of_the_code(group_in_encoder):
    method, batch, output = made(group_in_encoder=group_in_encoder)
    state = {name: tensor.numpy() for name, tensor in method.prediction_state().items()}
    mean = output.logits.numpy()[:, :4]
    if group_in_encoder:
        mean = mean + state["group_effect.weight"].T[batch.group][:, :4]
    scores = mean @ state["classifier.weight"].T + state["classifier.bias"]
    with torch.no_grad():
        assert np.allclose(method.predict(output, batch.group), softmax(scores, axis=1))
        same = torch.equal(method.predict(output, batch.group), method.predict(output, 1 - batch.group))
    assert same == (not method.needs_group)
    assert method.needs_group == group_in_encoder


OPTIONS = {"network": Small(), "batch_size": 16, "learning_rate": 0.01}


def told_by_the_codes(dataset, trained):
    """How often a logistic regression on samples of z1 finds the group of a training image, 1/2 by chance."""
    rows, _, group = dataset.split("train")
    images = torch.from_numpy((dataset.images[rows] / 255 - dataset.mean) / dataset.std).float().permute(0, 3, 1, 2)
    torch.manual_seed(0)
    with torch.no_grad():
        z = trained.method.encode(trained.network.eval()(images), torch.from_numpy(group)).sample((20,)).flatten(0, 1)
    group = np.tile(group, 20)
    return LogisticRegression().fit(z, group).score(z, group)


def test_it_learns_the_classes_and_its_code_tells_the_group_less_with_the_penalty(tiny):
    with_it, without = (fit(tiny, METHOD | {"beta": beta}, epochs=20, **OPTIONS) for beta in (200.0, 0.0))
    for trained in (with_it, without):
        assert (trained.probabilities["test"].argmax(1) == tiny.split("test")[1]).mean() > 0.9
        assert trained.history["reconstruction"].iloc[-1] < trained.history["reconstruction"].iloc[0] / 3
    assert told_by_the_codes(tiny, with_it) < 0.58
    assert told_by_the_codes(tiny, without) > 0.65


def test_on_skewed_images_the_code_tells_the_group_less_with_the_penalty(tiny):
    """The codes are of all images, in which the groups are balanced."""
    with_it, without = (fit(skewed(tiny), METHOD | {"beta": beta}, epochs=20, **OPTIONS) for beta in (200.0, 0.0))
    assert told_by_the_codes(tiny, with_it) < told_by_the_codes(tiny, without) - 0.1


def test_a_saved_model_predicts_again(tiny_folder, tiny, tmp_path):
    output = tmp_path / "model"
    command = ["--data", str(tiny_folder), "--output", str(output), "--method", json.dumps(METHOD)]
    command += ["--network", json.dumps(network_settings().to_json())]
    command += ["--training", '{"epochs": 1, "batch_size": 32, "device": "cpu"}']
    train_model.run_training(train_model.read_job(command))
    assert json.loads((output / "training.json").read_text())["needs_group"] is True
    network, state = (load(output / "weights.safetensors") for load in (load_network, load_method))
    rows, _, group = tiny.split("test")
    images = torch.from_numpy((tiny.images[rows] / 255 - tiny.mean) / tiny.std).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        parameters = network.eval()(images).logits + state["group_effect.weight"].T[group]
    scores = parameters[:, :4] @ state["classifier.weight"].T + state["classifier.bias"]
    predictions = pd.read_parquet(output / "predictions.parquet")
    assert np.allclose(
        predictions.loc[predictions["split"] == "test", ["p0", "p1", "p2"]], scores.softmax(1), atol=1e-4
    )
