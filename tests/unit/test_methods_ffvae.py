"""The flexibly fair VAE, compared with scipy in float64, and its stages."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from method_trainings import differing, fit, interrupted, method_settings, network_settings, skewed
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression
from small_network import Small
from torch.nn.functional import leaky_relu, linear

from fairdistill.methods import ffvae
from fairdistill.methods.base import Batch, Stage, Task, method_class
from fairdistill.methods.ffvae import discriminator_loss, shuffled
from fairdistill.networks import Output, build_network, load_method, load_network
from fairdistill.training.engines import load_engine
from fairdistill.training.resume import ResumeState
from scripts import train_model

METHOD = {"kind": "ffvae", "latent_size": 4}
TERMS = {"reconstruction", "kl", "group_prediction", "total_correlation", "discriminator"}


def test_the_shuffled_codes_have_each_b_once_and_none_with_its_own_z():
    for n in (2, 5, 8):
        z, b = torch.randn(n, 3), torch.arange(2.0 * n).view(n, 2)
        found = shuffled(z, b)
        assert torch.equal(found[:, :3], z)
        assert torch.equal(found[:, 3:].sort(0).values, b)
        assert (found[:, 3:] != b).all()


def test_the_loss_of_the_discriminator_is_its_cross_entropy():
    rng = np.random.default_rng(0)
    joint, product = rng.normal(size=(2, 7, 1))
    expected = -(np.log(expit(joint)).mean() + np.log(1 - expit(product)).mean()) / 2
    assert discriminator_loss(*map(torch.from_numpy, (joint, product))).item() == pytest.approx(expected)
    assert discriminator_loss(torch.zeros(3, 1), torch.zeros(4, 1)).item() == pytest.approx(np.log(2))


def made(n_groups=2, n=8, seed=0, latent_size=4, **values):
    """A method in float64 for three classes, a batch, and an output of its network."""
    torch.manual_seed(seed)
    chosen = method_settings(**METHOD | {"latent_size": latent_size}, **values)
    kind = method_class(chosen)
    label, group = torch.arange(n) % 3, torch.arange(n) // 3 % n_groups
    outputs = kind.n_outputs(chosen, 3, n_groups)
    assert outputs == 2 * latent_size + n_groups - 1
    network = build_network(Small(), outputs)
    method = kind(chosen, Task(3, n_groups, label, group, 8, network, None)).double()
    batch = Batch(torch.randn(n, 3, 8, 8).double(), label, group, torch.arange(n), {})
    return method, batch, Output(torch.zeros(n, 8), torch.randn(n, outputs).double(), {})


@pytest.mark.parametrize("n_groups", [2, 3])
def test_the_terms_of_the_representation(n_groups):
    method, batch, output = made(n_groups, alpha=3.0, gamma=7.0)
    torch.manual_seed(5)
    found = {name: value.item() for name, value in method.loss(batch, output, "representation").items()}
    torch.manual_seed(5)
    noise = torch.empty(8, 4).double().normal_().numpy()
    mean, log_variance, b = np.split(output.logits.numpy(), [4, 8], axis=1)
    code = torch.from_numpy(np.concatenate([mean + np.exp(log_variance / 2) * noise, b], axis=1))
    others = code.clone()
    others[:, 4:] = code[[4, 5, 6, 7, 0, 1, 2, 3], 4:]
    with torch.no_grad():
        decoded = method.decoder(code).numpy()
        joint, product = (method.discriminator(each).numpy() for each in (code, others))
    if n_groups == 2:
        # as printed, p(a | b) = Bernoulli(sigmoid(b))
        a = batch.group.numpy()
        of_group = a * np.log(expit(b[:, 0])) + (1 - a) * np.log(1 - expit(b[:, 0]))
    else:
        of_group = log_softmax(np.column_stack([np.zeros(8), b]), axis=1)[np.arange(8), batch.group]
    assert found == pytest.approx(
        {
            "reconstruction": ((batch.images.numpy() - decoded) ** 2).sum((1, 2, 3)).mean() / 32,
            "kl": (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(1).mean() / 2,
            "group_prediction": -3 * of_group.mean(),
            "total_correlation": 7 * joint.mean(),
            "discriminator": -(np.log(expit(joint)).mean() + np.log(expit(-product)).mean()) / 2,
        }
    )


def test_terms_without_a_weight_are_zero():
    method, batch, output = made(alpha=0.0, gamma=0.0)
    terms = method.loss(batch, output, "representation")
    assert terms["group_prediction"].item() == terms["total_correlation"].item() == 0
    assert min(terms[name].item() for name in ("reconstruction", "kl", "discriminator")) > 0


def test_gradient_of_the_objective_and_of_the_classifier():
    method, batch, output = made(n=3, latent_size=2, alpha=2.0, gamma=3.0)

    def loss(logits, stage):
        torch.manual_seed(1)
        terms = method.loss(batch, output._replace(logits=logits), stage)
        return torch.stack([value for name, value in terms.items() if name != "discriminator"]).sum()

    logits = output.logits.requires_grad_()
    for stage in ("representation", "classifier"):
        assert torch.autograd.gradcheck(lambda x, stage=stage: loss(x, stage), logits)


def test_the_discriminator_and_the_encoder_get_the_gradient_of_their_own_aim_alone():
    method, batch, output = made()
    output.logits.requires_grad_()
    terms = method.loss(batch, output, "representation")
    weights = [*method.discriminator.parameters()]

    def reached(term, tensors):
        found = torch.autograd.grad(terms[term], tensors, retain_graph=True, allow_unused=True)
        return [gradient is not None and bool(gradient.any()) for gradient in found]

    assert reached("total_correlation", weights) == [False] * len(weights)
    assert reached("total_correlation", [output.logits]) == [True]
    assert reached("discriminator", weights) == [True] * len(weights)
    assert not terms["discriminator"].requires_grad or reached("discriminator", [output.logits]) == [False]


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_the_total_correlation_of_gaussians_is_found(correlation):
    """It is -log(1 - r^2) / 2 nats for z and b with the correlation r."""
    discriminator = made(latent_size=1)[0].discriminator.float()
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.003)
    estimates = []
    for _ in range(120):
        z, noise = torch.randn(2, 256, 1)
        b = correlation * z + (1 - correlation**2) ** 0.5 * noise
        joint = discriminator(torch.cat([z, b], dim=1))
        optimizer.zero_grad()
        discriminator_loss(joint, discriminator(shuffled(z, b))).backward()
        optimizer.step()
        estimates.append(joint.mean().item())
    assert np.mean(estimates[-60:]) == pytest.approx(-np.log(1 - correlation**2) / 2, abs=0.08)


@pytest.mark.parametrize(("epochs", "expected"), [(20, [15, 5]), (2, [1, 1]), (1, [0, 1])])
def test_the_classifier_has_the_rest_of_the_epochs_and_one_at_least(epochs, expected):
    stages = made()[0].stages(epochs)
    assert stages == [Stage(name, n) for name, n in zip(("representation", "classifier"), expected, strict=True)]


OPTIONS = {"network": Small(), "batch_size": 16, "learning_rate": 0.01}


def test_the_representation_stays_as_it_is_while_the_classifier_is_trained(tiny, tmp_path):
    """The means and variances of its batch norm, too."""
    state = ResumeState(tmp_path / "state", {})
    interrupted(tiny, METHOD, before=3, epochs=4, resume=state, **OPTIONS)
    before = state.restore()
    trained = fit(tiny, METHOD, epochs=4, **OPTIONS)
    assert differing(before["network"], trained.network.state_dict()) == []
    changed = differing(before["method"], trained.method.state_dict())
    assert {name.split(".")[0] for name in changed} == {"classifier"}


def test_the_first_steps_have_the_same_losses_in_both_engines(tiny, monkeypatch):
    """One step of all images in each stage, in fp32."""
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    fast, plain = (
        fit(tiny, METHOD, network=Small(), epochs=2, batch_size=96, engine=engine).history[[*TERMS, "cross_entropy"]]
        for engine in ("fast", "reference")
    )
    assert fast["cross_entropy"].notna().tolist() == [False, True]
    assert np.allclose(fast, plain, rtol=1e-3, atol=1e-4, equal_nan=True)


def told_by_the_codes(dataset, trained):
    """How often a logistic regression on samples of z finds the group of a training image, 1/2 by chance."""
    rows, _, group = dataset.split("train")
    images = torch.from_numpy((dataset.images[rows] / 255 - dataset.mean) / dataset.std).float().permute(0, 3, 1, 2)
    torch.manual_seed(0)
    with torch.no_grad():
        z = trained.method.encode(trained.network.eval()(images))[0].sample((20,)).flatten(0, 1)
    group = np.tile(group, 20)
    return LogisticRegression().fit(z, group).score(z, group)


def test_it_learns_the_classes_and_z_tells_the_group_less_where_the_total_correlation_weighs_more(tiny, monkeypatch):
    # images of 8 px then weigh as much as those of 32 px do
    monkeypatch.setattr(ffvae, "VARIANCE", 1.0)
    with_it, without = (fit(tiny, METHOD | {"gamma": gamma}, epochs=24, **OPTIONS) for gamma in (50.0, 0.0))
    for trained in (with_it, without):
        assert (trained.probabilities["test"].argmax(1) == tiny.split("test")[1]).mean() > 0.9
        assert trained.history["group_prediction"].iloc[17] < trained.history["group_prediction"].iloc[0] / 3
    assert told_by_the_codes(tiny, with_it) < 0.68
    assert told_by_the_codes(tiny, without) > 0.78


def test_on_skewed_images_z_tells_the_group_less_with_the_penalty(tiny, monkeypatch):
    """The codes are of all images, in which the groups are balanced."""
    # images of 8 px then weigh as much as those of 32 px do; with less weight z has no need of the group
    monkeypatch.setattr(ffvae, "VARIANCE", 1.0)
    with_it, without = (fit(skewed(tiny), METHOD | {"gamma": gamma}, epochs=24, **OPTIONS) for gamma in (100.0, 0.0))
    assert told_by_the_codes(tiny, with_it) < told_by_the_codes(tiny, without) - 0.05


def test_a_saved_model_predicts_again(tiny_folder, tiny, tmp_path):
    output = tmp_path / "model"
    command = ["--data", str(tiny_folder), "--output", str(output), "--method", json.dumps(METHOD)]
    command += ["--network", json.dumps(network_settings().to_json())]
    command += ["--training", '{"epochs": 2, "batch_size": 32, "device": "cpu"}']
    train_model.run_training(train_model.read_job(command))
    assert json.loads((output / "training.json").read_text())["needs_group"] is False
    network, state = (load(output / "weights.safetensors") for load in (load_network, load_method))
    rows = tiny.split("test")[0]
    images = torch.from_numpy((tiny.images[rows] / 255 - tiny.mean) / tiny.std).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        hidden = network.eval()(images).logits[:, :4]
    for layer in (0, 2, 4):
        hidden = hidden if layer == 0 else leaky_relu(hidden)
        hidden = linear(hidden, state[f"classifier.{layer}.weight"], state[f"classifier.{layer}.bias"])
    predictions = pd.read_parquet(output / "predictions.parquet")
    found = predictions.loc[predictions["split"] == "test", ["p0", "p1", "p2"]]
    assert np.allclose(found, hidden.softmax(1), atol=1e-4)
