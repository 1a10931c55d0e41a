"""Domain-independent training, compared with loops in float64."""

import json

import numpy as np
import pytest
import torch
from method_trainings import KINDS, fit, method_settings, network_settings
from scipy.special import log_softmax, softmax
from torch import nn

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.networks import Classifier, Output, build_network, load_method, load_network
from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete
from fairdistill.training.engines import load_engine
from scripts import train_model

METHOD = {"kind": "domain_independent"}
INFERENCES = ["sum_scores", "sum_probabilities", "max_probability", "own_group"]
# of three classes and two groups
SIZES = np.array([[40, 10], [7, 30], [9, 2]])
C, G = SIZES.shape


def method_for(kind, *, sizes=SIZES, **values):
    """A method for a training set of so many images of every class and group."""
    label, group = (torch.from_numpy(np.repeat(index.ravel(), sizes.ravel())) for index in np.indices(sizes.shape))
    chosen = method_settings(kind=kind, **values)
    kind = method_class(chosen)
    network = build_network(network_settings(), kind.n_outputs(chosen, *sizes.shape))
    return kind(chosen, Task(*sizes.shape, label, group, 8, network, None))


def outputs(n=12, seed=0):
    """Random scores (n, groups, classes), as an output of a network, and a batch of labels and groups."""
    rng = np.random.default_rng(seed)
    scores, label, group = 3 * rng.normal(size=(n, G, C)), rng.integers(C, size=n), rng.integers(G, size=n)
    batch = Batch(torch.zeros(n, 3, 8, 8), *map(torch.from_numpy, (label, group, np.arange(n))), {})
    return scores, Output(torch.zeros(n, 5), torch.from_numpy(scores.reshape(n, -1)), {}), batch


def test_the_loss_is_the_likelihood_under_the_head_of_the_group():
    scores, output, batch = outputs()
    pairs = zip(scores, batch.label, batch.group, strict=True)
    expected = -np.mean([log_softmax(of_image[a])[y] for of_image, y, a in pairs])
    terms = method_for("domain_independent").loss(batch, output, "train")
    assert {name: value.item() for name, value in terms.items()} == {"cross_entropy": pytest.approx(expected)}


def test_the_loss_is_zero_where_the_head_of_the_group_is_sure_and_right_whatever_the_other_says():
    scores, output, batch = outputs()
    scores[np.arange(len(scores)), batch.group] = 1e3 * np.eye(C)[batch.label]
    output = output._replace(logits=torch.from_numpy(scores.reshape(len(scores), -1)))
    assert method_for("domain_independent").loss(batch, output, "train")["cross_entropy"].item() == 0


def test_the_gradient_reaches_the_head_of_the_group_alone():
    scores, output, batch = outputs(5)
    method = method_for("domain_independent")

    def loss(logits):
        return method.loss(batch, output._replace(logits=logits), "train")["cross_entropy"]

    logits = output.logits.requires_grad_()
    assert torch.autograd.gradcheck(loss, logits)
    (gradient,) = torch.autograd.grad(loss(logits), logits)
    gradient = gradient.numpy().reshape(scores.shape)
    for of_image, y, a in zip(range(5), batch.label, batch.group, strict=True):
        assert np.allclose(gradient[of_image, a], (softmax(scores[of_image, a]) - np.eye(C)[y]) / 5)
        assert (gradient[of_image, 1 - a] == 0).all()


def predicted(scores, group, inference, shares=None):
    """The probabilities of one image's classes, by loops, and its class as the paper or the authors' code has it."""
    if shares is not None:
        # the classes' shares in each group, from the images of both
        scores = scores - np.log(shares / shares.sum(1, keepdims=True))
    heads = np.array([softmax(of_head) for of_head in scores])
    found = {
        "sum_scores": (softmax(scores.sum(0) / G), scores.sum(0)),
        "sum_probabilities": (heads.sum(0) / G, heads.sum(0)),
        "max_probability": (heads.max(0) / heads.max(0).sum(), heads.max(0)),
        "own_group": (heads[group], heads[group]),
    }[inference]
    return found[0], found[1].argmax()


@pytest.mark.parametrize("prior_shift", [False, True])
@pytest.mark.parametrize("inference", INFERENCES)
def test_the_heads_predict_together(inference, prior_shift):
    scores, output, batch = outputs()
    method = method_for("domain_independent", inference=inference, prior_shift=prior_shift)
    found = method.predict(output, batch.group).numpy()
    shares = SIZES.T / SIZES.sum() if prior_shift else None
    for image, (of_image, group) in enumerate(zip(scores, batch.group, strict=True)):
        expected, chosen = predicted(of_image, group, inference, shares)
        assert np.allclose(found[image], expected, rtol=1e-5)
        assert found[image].argmax() == chosen
    assert np.allclose(found.sum(1), 1)
    assert method.needs_group == (inference == "own_group")
    # and it is told of the group where it needs it, and nowhere else
    of_others = method.predict(output, 1 - batch.group).numpy()
    assert np.array_equal(found, of_others) != method.needs_group


def test_a_head_that_knows_nothing_but_its_prior_says_nothing_once_that_is_corrected():
    """Scores that are the logarithms of the classes' shares in each group."""
    shares = SIZES / SIZES.sum(0)
    logits = torch.from_numpy(np.log(shares.T).reshape(1, -1))
    output, group = Output(torch.zeros(1, 5), logits, {}), torch.zeros(1, dtype=torch.long)
    for inference in INFERENCES:
        corrected, plain = (
            method_for("domain_independent", inference=inference, prior_shift=flag).predict(output, group)
            for flag in (True, False)
        )
        assert np.allclose(corrected, 1 / C, atol=1e-6)
        assert plain.max() > 0.36


@pytest.mark.parametrize("kind", ["domain_independent", "domain_discriminative"])
def test_the_prior_is_that_of_what_the_sampling_draws(kind):
    def correction(sampling, sizes=SIZES):
        values = method_for(kind, sampling=sampling, prior_shift=True, sizes=sizes).correction.numpy()
        return values - values.max()

    expected = -np.log(SIZES.T) + np.log(SIZES.min())
    assert np.allclose(correction("plain"), expected, atol=1e-6)
    for sampling in ("balanced", "oversampled", "undersampled"):
        assert np.allclose(correction(sampling), 0)
    of_class = SIZES / SIZES.sum(1, keepdims=True)
    assert np.allclose(correction("class_balanced"), -np.log(of_class.T) + np.log(of_class.min()), atol=1e-6)


@pytest.mark.parametrize("kind", ["domain_independent", "domain_discriminative"])
def test_a_prior_of_which_a_cell_is_empty_is_refused(kind):
    sizes = np.array([[5, 4], [3, 0], [2, 2]])
    words = f"method {kind}: prior_shift needs training images of every class and group, but class 1 has none of group"
    with pytest.raises(UserError, match=words):
        method_for(kind, sizes=sizes, prior_shift=True)
    assert method_for(kind, sizes=sizes, prior_shift=False).prediction_state() == {}


@pytest.mark.parametrize("kind", ["domain_independent", "domain_discriminative"])
def test_no_model_can_stand_on_outputs_of_groups(kind):
    students = {"heads": {"kind": kind}, "kd": {"kind": "kd", "base": "heads"}}
    words = "students.kd.base names 'heads', which has outputs for each group; no other model can stand on it"
    with pytest.raises(UserError, match=words):
        complete({"methods": ["kd"], "students": students})
    assert (
        complete({"methods": ["heads"], "students": students | {"kd": {"kind": "kd"}}}).students["heads"].kind == kind
    )


def with_skew(n=600, seed=0):
    """Two classes told by a first input; a second one tells the group, with which the class goes in 95 %.

    Each group's first input is turned round, so that one linear head cannot serve both.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(2, size=n)
    group = np.where(rng.random(n) < 0.95, label, 1 - label)
    x = np.stack([(2 * label - 1) * (2 * group - 1) + 0.5 * rng.normal(size=n), rng.normal(size=n)], axis=1)
    return x, label, group


def test_each_head_learns_its_own_group():
    x, label, group = with_skew()
    y, a, images = torch.from_numpy(label), torch.from_numpy(group), torch.from_numpy(x).float()[:, :, None, None]
    torch.manual_seed(0)
    network = Classifier(nn.Flatten(), nn.Linear(2, 4))
    chosen = method_settings(**METHOD, inference="own_group", prior_shift=True)
    method = method_class(chosen)(chosen, Task(2, 2, y, a, 1, network, None))
    optimizers = {"adam": torch.optim.Adam(network.parameters(), lr=0.05)}
    for _ in range(200):
        step = method.update(network, Batch(images, y, a, torch.arange(len(y)), {}), optimizers, "train")
    weight = network.head.weight.detach().numpy().reshape(2, 2, 2)
    slopes = weight[:, 1, 0] - weight[:, 0, 0]
    assert slopes[0] < -0.5
    assert slopes[1] > 0.5
    # without the prior, the few images of a group's rare class are found as often as the many of its frequent one
    correct = (method.predict(step.output, a).argmax(1) == y).numpy()
    recalls = [correct[(label == c) & (group == g)].mean() for c in range(2) for g in range(2)]
    assert min(recalls) > 0.85


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("kind", ["domain_independent", "domain_discriminative"])
def test_they_train_with_both_engines(tiny, monkeypatch, kind, engine):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    trained = fit(tiny, {"kind": kind}, network=network_settings(KINDS[1]), epochs=5, batch_size=16, engine=engine)
    assert trained.network.head.out_features == 6
    assert trained.history["cross_entropy"].iloc[-1] < trained.history["cross_entropy"].iloc[0] / 1.4
    assert trained.history["train_accuracy"].iloc[-1] > 0.8


@pytest.mark.parametrize(
    ("values", "needs"), [({"inference": "own_group", "prior_shift": True}, True), ({"inference": "sum_scores"}, False)]
)
def test_the_record_says_whether_the_group_is_needed(tiny_folder, tmp_path, values, needs):
    output = tmp_path / "model"
    command = ["--data", str(tiny_folder), "--output", str(output), "--method", json.dumps(METHOD | values)]
    command += ["--network", json.dumps(network_settings().to_json())]
    command += ["--training", '{"epochs": 1, "batch_size": 32, "device": "cpu"}']
    train_model.run_training(train_model.read_job(command))
    assert json.loads((output / "training.json").read_text())["needs_group"] is needs
    assert load_network(output / "weights.safetensors").head.out_features == 6
    state = load_method(output / "weights.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == ({"correction": (2, 3)} if needs else {})
