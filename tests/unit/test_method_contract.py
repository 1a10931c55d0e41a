"""What a method can be: toy methods that each ask the contract for something else, trained by the loop as it is."""

import ast
import csv
import io
import json
import re
import tokenize
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, get_args

import numpy as np
import pandas as pd
import pytest
import torch
from method_trainings import (
    KINDS,
    SHORT,
    assert_same_bits,
    differing,
    fit,
    interrupted,
    method_settings,
    network_settings,
    with_validation,
)
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from fairdistill.methods.base import Method, Stage, Step, Task, method_class
from fairdistill.networks import build_network, freeze, load_method, load_network
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.locks import WriterLock
from fairdistill.settings.methods import AnyMethod, Distillation
from fairdistill.settings.methods import Method as Settings
from fairdistill.training.engines import load_engine
from fairdistill.training.loop import learning_rate_factor
from fairdistill.training.publish import train_and_publish
from fairdistill.training.resume import ResumeState
from scripts import train_model

ROOT = Path(__file__).parents[2]
ENGINES = ["fast", "reference"]


@pytest.fixture(autouse=True)
def without_workers(monkeypatch):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)


@pytest.fixture(scope="module")
def base(tiny):
    return fit(tiny, {"kind": "erm"}, role="teacher", epochs=4, batch_size=16, learning_rate=0.003).network


def a_kind(name, parent=Settings, **more):
    """Settings of a toy method, whose class is `name` in this module."""
    members = {"implementation": f"{__name__}:{name}", "__annotations__": {"implementation": ClassVar[str]}}
    if more.get("needs_validation"):
        members |= more
        members["__annotations__"] |= {"needs_validation": ClassVar[bool]}
    return type(f"{name}Settings", (parent,), {"__module__": __name__} | members)(kind=name.lower())


def resumed_at_every_epoch(dataset, method, folder, *, epochs, **options):
    """The training without an interruption; one that is interrupted before each epoch but the first ends like it."""
    whole = fit(dataset, method, epochs=epochs, **options)
    state = ResumeState(folder / "state", {})
    for before in range(1, epochs):
        interrupted(dataset, method, before=before, epochs=epochs, resume=state, **options)
    assert_same_bits(whole, fit(dataset, method, epochs=epochs, resume=state, **options))
    return whole


# a sampler of its own


class Oversampling(Method):
    """Draws with replacement, more images than there are, those of group 1 alone."""

    def __init__(self, settings, task):
        super().__init__(settings, task)
        self.seen = []

    def order(self, label, group, rng):
        return rng.choice(np.flatnonzero(group == 1), size=150)

    def loss(self, batch, output, stage):
        assert (batch.group == 1).all()
        self.seen += batch.position.tolist()
        return {"cross_entropy": cross_entropy(output.logits, batch.label)}


def test_a_sampler_of_its_own_may_draw_more_images_than_there_are(tiny):
    runs = [fit(tiny, a_kind("Oversampling"), engine=engine, seed=5) for engine in ENGINES]
    assert [len(run.method.seen) for run in runs] == [2 * (150 // 32) * 32] * 2
    assert runs[0].method.seen == runs[1].method.seen
    # each epoch's draws follow from the seed, the stream of students and the epoch
    group = tiny.split("train")[2]
    wanted = [Oversampling.order(None, None, group, np.random.default_rng([5, 1, epoch])) for epoch in range(2)]
    assert runs[0].method.seen == [*wanted[0][:128], *wanted[1][:128]]


class Empty(Oversampling):
    """Draws no image at all."""

    def order(self, label, group, rng):
        return np.array([], dtype=np.int64)


class Misnamed(Method):
    """A term that is called like a column of the history."""

    def loss(self, batch, output, stage):
        return {"seconds": cross_entropy(output.logits, batch.label)}


def test_a_slip_in_a_method_is_named(tiny):
    with pytest.raises(UserError, match="the order of epoch 1, which the method gives, has no image"):
        fit(tiny, a_kind("Empty"))
    with pytest.raises(ValueError, match="Misnamed: a term of the loss is called 'seconds'; rename it"):
        fit(tiny, a_kind("Misnamed"))


# weights of single samples


class Reweighing(Method):
    """Weights P(y) P(a) / P(y, a), one for each training image (Kamiran and Calders, 2012)."""

    def __init__(self, settings, task):
        super().__init__(settings, task)
        pairs = pd.DataFrame({"y": task.label.numpy(), "a": task.group.numpy()})
        sizes = [pairs.groupby(names)["y"].transform("size") for names in ("y", "a", ["y", "a"])]
        weight = sizes[0] * sizes[1] / sizes[2] / len(pairs)
        self.register_buffer("weight", torch.tensor(weight.to_numpy(), dtype=torch.float32))

    def loss(self, batch, output, stage):
        losses = cross_entropy(output.logits, batch.label, reduction="none")
        return {"cross_entropy": (self.weight[batch.position] * losses).mean()}


def unbalanced(dataset):
    """Without most of the images of (class 0, group 1)."""
    rows, label, group = dataset.split("train")
    samples = dataset.samples.copy()
    samples.loc[rows[(label == 0) & (group == 1)][:-2], "split"] = "left out"
    return type(dataset)(**(vars(dataset) | {"samples": samples}))


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_of_single_samples_follow_their_index(tiny, engine):
    dataset = unbalanced(tiny)
    rows, label, group = dataset.split("train")
    options = {"epochs": 1, "batch_size": len(rows), "flip": False, "engine": engine}
    trained = fit(dataset, a_kind("Reweighing"), **options)
    weight = [
        (label == y).mean() * (group == a).mean() / ((label == y) & (group == a)).mean()
        for y, a in zip(label, group, strict=True)
    ]
    assert np.allclose(trained.method.weight, weight)
    assert max(weight) > 3 * min(weight)
    # one step of all images, whatever their order: its loss is the weighted mean over the initial network
    torch.manual_seed(1)
    network = build_network(SHORT, 3).train()
    images = torch.from_numpy((dataset.images[rows] / 255 - dataset.mean) / dataset.std).float().permute(0, 3, 1, 2)
    losses = -network(images).logits.log_softmax(1).detach().numpy()[np.arange(len(rows)), label]
    assert trained.history["loss"][0] == pytest.approx((weight * losses).mean(), rel=1e-4)


# the images, and a network of its own beside the classifier


class Autoencoder(Method):
    """Cross-entropy, and the images decoded from the features; the decoder is the method's own."""

    def __init__(self, settings, task):
        super().__init__(settings, task)
        self.decoder = nn.Linear(task.network.width, 3 * 8 * 8)

    def loss(self, batch, output, stage):
        return {
            "cross_entropy": cross_entropy(output.logits, batch.label),
            "reconstruction": mse_loss(self.decoder(output.features), batch.images.flatten(1)),
        }


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loss_can_read_the_images_and_train_a_network_of_its_own(tiny, engine):
    history = fit(tiny, a_kind("Autoencoder"), epochs=4, batch_size=16, engine=engine).history
    assert history["reconstruction"].iloc[-1] < 0.7 * history["reconstruction"].iloc[0]
    assert np.allclose(history["loss"], history["reconstruction"] + history["cross_entropy"])


def test_a_network_of_its_own_is_resumed_with_its_optimiser(tiny, tmp_path):
    whole = resumed_at_every_epoch(tiny, a_kind("Autoencoder"), tmp_path, epochs=3)
    assert whole.method.state_dict().keys() == {"decoder.weight", "decoder.bias"}


# a head for each group, and a prediction that needs the group


class GroupHeads(Method):
    """Each group has a head; the head of the image's group predicts."""

    needs_group = True

    @staticmethod
    def n_outputs(settings, n_classes, n_groups):
        return n_classes * n_groups

    def of_group(self, logits, group):
        heads = logits.unflatten(1, (self.n_groups, self.n_classes))
        return heads[torch.arange(len(group), device=group.device), group]

    def loss(self, batch, output, stage):
        return {"cross_entropy": cross_entropy(self.of_group(output.logits, batch.group), batch.label)}

    def predict(self, output, group):
        return self.of_group(output.logits, group).softmax(1)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_group_can_have_a_head_of_its_own(tiny, engine):
    network = network_settings(KINDS[1])
    trained = fit(tiny, a_kind("GroupHeads"), network=network, epochs=6, batch_size=16, engine=engine)
    assert trained.network.head.out_features == 6
    assert trained.history["train_accuracy"].iloc[-1] > 0.7
    rows, _, group = tiny.split("test")
    images = torch.from_numpy((tiny.images[rows] / 255 - tiny.mean) / tiny.std).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = trained.network.eval()(images).logits.numpy().reshape(len(rows), 2, 3)
    chosen = np.exp(logits[np.arange(len(rows)), group])
    assert np.allclose(trained.probabilities["test"], chosen / chosen.sum(1, keepdims=True), atol=1e-4)


# stages


class Hints(Method):
    """FitNets (Romero et al., 2015): first the body up to a hint layer towards the base's, then the whole network."""

    uses_base = True
    layers = ("stage3",)
    base_layers = ("stage3",)
    body_before_the_hint = ("conv1", "stage2", "stage3")

    def __init__(self, settings, task):
        super().__init__(settings, task)
        self.regressor = nn.Conv2d(96, 96, kernel_size=1)
        self.rates = []

    def stages(self, epochs):
        return [Stage("hint", epochs // 2), Stage("train", epochs - epochs // 2)]

    def optimizers(self, stage, network, make):
        if stage == "train":
            return {"all": make([*network.parameters()])}
        hinted = [
            weight for name in self.body_before_the_hint for weight in network.body.get_submodule(name).parameters()
        ]
        return {"hint": make([*hinted, *self.parameters()])}

    def read_base(self, output):
        return {"hint": output.maps["stage3"]}

    def loss(self, batch, output, stage):
        if stage == "hint":
            return {"hint": mse_loss(self.regressor(output.maps["stage3"]), batch.base["hint"])}
        return {"cross_entropy": cross_entropy(output.logits, batch.label)}

    def update(self, network, batch, optimizers, stage):
        (optimizer,) = optimizers.values()
        self.rates.append((stage, optimizer.param_groups[0]["lr"]))
        return super().update(network, batch, optimizers, stage)


def late(network):
    return {
        name: value.clone()
        for name, value in network.state_dict().items()
        if name.startswith(("head.", "body.stage4", "body.conv5"))
        and "running" not in name
        and "num_batches" not in name
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stage_can_train_a_part_of_the_network(tiny, base, engine):
    options = {"base": base, "learning_rate": 0.01, "engine": engine, "batch_size": 48}
    trained = fit(tiny, a_kind("Hints"), epochs=6, **options)
    torch.manual_seed(1)
    initial = build_network(SHORT, 3)
    hints = trained.history["hint"].to_numpy()
    assert hints[2] < 0.8 * hints[0]
    assert np.isnan(hints[3:]).all()
    assert trained.history["cross_entropy"].isna().tolist() == [True] * 3 + [False] * 3
    # the schedule starts anew in each stage, over two steps an epoch
    wanted = [("hint", 0.01 * learning_rate_factor("cosine", step / 6)) for step in range(6)]
    wanted += [("train", rate) for _, rate in wanted]
    found = trained.method.rates
    assert [stage for stage, _ in found] == [stage for stage, _ in wanted]
    assert np.allclose([rate for _, rate in found], [rate for _, rate in wanted])
    assert len(differing(late(initial), late(trained.network))) > 10


def test_what_a_stage_leaves_out_stays_as_it_was(tiny, base, tmp_path):
    state = ResumeState(tmp_path / "state", {})
    interrupted(tiny, a_kind("Hints"), before=2, epochs=4, base=base, resume=state)
    torch.manual_seed(1)
    initial = build_network(SHORT, 3)
    after_hints = build_network(SHORT, 3)
    after_hints.load_state_dict(state.restore()["network"])
    assert differing(late(initial), late(after_hints)) == []
    changed = differing(initial, after_hints)
    assert {"body.conv1.0.weight", "body.stage2.0.branch2.0.weight", "body.stage3.0.branch2.0.weight"} <= {*changed}


def test_stages_are_resumed_within_each_and_between_them(tiny, base, tmp_path):
    """Four epochs of two stages, interrupted before each: within the first, at the border, and within the second."""
    resumed_at_every_epoch(tiny, a_kind("Hints"), tmp_path, epochs=4, base=base)


# steps that can be recorded


class FixedHints(Hints):
    """The same without counting anything beside torch, so that its steps can be recorded."""

    fixed_step = True
    update = Method.update


@pytest.fixture
def recorded(monkeypatch):
    """For each step that the fast engine was given to record, how often it was made then."""
    made = []

    def record(step, device):
        number = len(made)
        made.append(0)

        def counted(*batch):
            made[number] += 1
            return step(*batch)

        return counted

    monkeypatch.setattr(load_engine("fast"), "record", record)
    return made


def test_a_step_that_may_change_is_not_recorded(tiny, base, recorded):
    fit(tiny, a_kind("Hints"), epochs=4, base=base, batch_size=48)
    assert recorded == []


def test_a_subclass_does_not_inherit_the_promise_of_a_fixed_step():
    """What it counts beside torch would be counted in the first steps alone."""

    class Counting(FixedHints):
        pass

    assert FixedHints.fixed_step
    assert not Counting.fixed_step


def test_a_fixed_step_is_recorded_once_in_each_stage(tiny, base, recorded):
    """Of two epochs each, two steps an epoch."""
    fit(tiny, a_kind("FixedHints"), epochs=4, base=base, batch_size=48)
    assert recorded == [4, 4]


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        (1, [2, 2, 4]),  # within the first stage
        (2, [4, 0, 4]),  # the second stage was begun and no step of it made
        (3, [4, 2, 2]),
    ],
)
def test_a_fixed_step_is_recorded_again_where_a_training_is_resumed(tiny, base, tmp_path, recorded, before, wanted):
    options = {"epochs": 4, "base": base, "batch_size": 48, "resume": ResumeState(tmp_path / "state", {})}
    interrupted(tiny, a_kind("FixedHints"), before=before, **options)
    fit(tiny, a_kind("FixedHints"), **options)
    assert recorded == wanted


# state that lives over batches


class GroupDRO(Method):
    """Weights of the groups that grow with their losses (Sagawa et al., 2020)."""

    def __init__(self, settings, task):
        super().__init__(settings, task)
        self.register_buffer("q", torch.full((task.n_groups,), 1 / task.n_groups))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def loss(self, batch, output, stage):
        losses = cross_entropy(output.logits, batch.label, reduction="none")
        of_group = torch.stack([losses[batch.group == a].mean() for a in range(self.n_groups)])
        with torch.no_grad():
            self.q.mul_((0.1 * of_group).exp())
            self.q.div_(self.q.sum())
            self.steps.add_(1)
        return {f"group{a}": term for a, term in enumerate(self.q * of_group)}


def test_state_over_batches_is_resumed_to_the_bit(tiny, tmp_path):
    whole = resumed_at_every_epoch(tiny, a_kind("GroupDRO"), tmp_path, epochs=3)
    assert whole.method.steps == 9
    assert whole.method.q.sum().item() == pytest.approx(1)
    assert whole.method.q[0].item() != 0.5
    assert np.allclose(whole.history["loss"], whole.history["group0"] + whole.history["group1"])


def test_state_over_batches_goes_back_to_the_best_epoch_with_the_network(tiny, tmp_path):
    dataset = with_validation(tiny)
    options = {"keep": "best", "learning_rate": 0.05, "schedule": "constant", "batch_size": 24}
    trained = resumed_at_every_epoch(dataset, a_kind("GroupDRO"), tmp_path, epochs=4, **options)
    best = trained.history["validation_accuracy"].idxmax() + 1
    assert trained.method.steps == 3 * best
    accuracy = (trained.probabilities["validation"].argmax(1) == dataset.split("validation")[1]).mean()
    assert accuracy == pytest.approx(trained.history["validation_accuracy"].max())


# random numbers


class Noise(Method):
    """Cross-entropy on noisy features, which pass through the head once more; and dropout."""

    def __init__(self, settings, task):
        super().__init__(settings, task)
        self.classify = nn.Sequential(nn.Dropout(0.5), nn.Linear(task.network.width, task.n_classes))

    def loss(self, batch, output, stage):
        noisy = output.features + 0.1 * torch.randn_like(output.features)
        return {
            "cross_entropy": cross_entropy(output.logits, batch.label),
            "noisy": cross_entropy(self.classify(noisy), batch.label),
        }


def test_random_numbers_are_the_same_after_an_interruption(tiny, tmp_path):
    whole = resumed_at_every_epoch(tiny, a_kind("Noise"), tmp_path, epochs=3)
    assert not np.allclose(whole.history["noisy"], fit(tiny, a_kind("Noise"), epochs=3, seed=1).history["noisy"])


# optimisers


class TwoOptimizers(Method):
    """The head by an optimiser that is not the engine's, with its own learning rate; the body by the engine's."""

    def __init__(self, settings, task):
        super().__init__(settings, task)
        self.rates = []

    def optimizers(self, stage, network, make):
        return {
            "body": make([*network.body.parameters()], learning_rate=0.002),
            "head": torch.optim.SGD(network.head.parameters(), lr=0.1, momentum=0.9),
        }

    def loss(self, batch, output, stage):
        return {"cross_entropy": cross_entropy(output.logits, batch.label)}

    def update(self, network, batch, optimizers, stage):
        self.rates.append([optimizer.param_groups[0]["lr"] for optimizer in optimizers.values()])
        return super().update(network, batch, optimizers, stage)


@pytest.mark.parametrize("engine", ENGINES)
def test_optimisers_of_its_own_follow_the_schedule(tiny, engine):
    trained = fit(tiny, a_kind("TwoOptimizers"), schedule="linear", engine=engine)
    wanted = [[0.002 * (1 - step / 6), 0.1 * (1 - step / 6)] for step in range(6)]
    assert np.allclose(trained.method.rates, wanted)
    torch.manual_seed(1)
    assert "head.weight" in differing(build_network(SHORT, 3), trained.network)


def test_optimisers_of_its_own_are_resumed_to_the_bit(tiny, tmp_path):
    resumed_at_every_epoch(tiny, a_kind("TwoOptimizers"), tmp_path, epochs=3)


class TwoPasses(Method):
    """Sharpness-aware: the gradient at perturbed weights, by a step of its own (Foret et al., 2021)."""

    def loss(self, batch, output, stage):
        return {"cross_entropy": cross_entropy(output.logits, batch.label)}

    def update(self, network, batch, optimizers, stage):
        first = self.loss(batch, network(batch.images), stage)["cross_entropy"]
        weights = [*network.parameters()]
        gradients = torch.autograd.grad(first, weights)
        with torch.no_grad():
            norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
            steps = [0.05 * g / norm for g in gradients]
            for weight, step in zip(weights, steps, strict=True):
                weight.add_(step)
        output = network(batch.images)
        terms = self.loss(batch, output, stage)
        gradients = torch.autograd.grad(terms["cross_entropy"], weights)
        with torch.no_grad():
            for weight, step, gradient in zip(weights, steps, gradients, strict=True):
                weight.sub_(step)
                weight.grad = gradient
        optimizers["adam"].step()
        return Step(output, terms["cross_entropy"], {**terms, "sharpness": terms["cross_entropy"] - first})


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_can_be_of_its_own(tiny, engine):
    history = fit(tiny, a_kind("TwoPasses"), epochs=5, batch_size=16, engine=engine).history
    assert history["cross_entropy"].iloc[-1] < history["cross_entropy"].iloc[0]
    assert (history["sharpness"] > 0).any()


# no training at all


class PerGroupPriors(Method):
    """Post-processing: the base's network as it is; its classes are weighted for each group, fitted on validation."""

    needs_group = True
    fitted_on: ClassVar[list] = []

    def __init__(self, settings, task):
        super().__init__(settings, task)
        self.register_buffer("log_weight", torch.zeros(task.n_groups, task.n_classes))

    def stages(self, epochs):
        return []

    def initialise(self, network, base):
        network.load_state_dict(base.state_dict())

    def calibrate(self, outputs):
        parts = [*outputs]
        logits = torch.cat([output.logits for output, _, _ in parts])
        label, group = (torch.cat([part[i] for part in parts]) for i in (1, 2))
        self.fitted_on.append((logits, label, group))
        for a in range(self.n_groups):
            found = logits[group == a].softmax(1).mean(0)
            wanted = torch.bincount(label[group == a], minlength=self.n_classes) / (group == a).sum()
            self.log_weight[a] = (wanted / found).log()

    def predict(self, output, group):
        return (output.logits + self.log_weight[group]).softmax(1)

    def prediction_state(self):
        return {"log_weight": self.log_weight}

    def loss(self, batch, output, stage):
        raise AssertionError("there is nothing to train")


def post_processing():
    return a_kind("PerGroupPriors", Distillation, needs_validation=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_method_may_train_nothing_and_fit_its_prediction_on_the_validation_split(tiny, base, engine):
    dataset = with_validation(tiny)
    PerGroupPriors.fitted_on.clear()
    trained = fit(dataset, post_processing(), base=base, engine=engine)
    assert differing(base, trained.network) == []
    assert list(trained.history.columns) == ["epoch"]
    ((logits, label, group),) = PerGroupPriors.fitted_on
    assert (label.tolist(), group.tolist()) == tuple(values.tolist() for values in dataset.split("validation")[1:])
    for a in range(2):
        rows = (dataset.split("validation")[2] == a).nonzero()[0]
        p = np.exp(logits[rows].double().numpy())
        p /= p.sum(1, keepdims=True)
        share = np.bincount(label[rows], minlength=3) / len(rows)
        assert np.allclose(trained.method.log_weight[a].exp(), share / p.mean(0), rtol=1e-4)
        weighted = p * share / p.mean(0)
        found = trained.probabilities["validation"][rows]
        assert np.allclose(found, weighted / weighted.sum(1, keepdims=True), atol=1e-4)


def test_neither_training_nor_test_images_decide_what_is_fitted(tiny, base):
    dataset = with_validation(tiny)
    before = fit(dataset, post_processing(), base=base).method.log_weight
    changed = type(dataset)(**(vars(dataset) | {"images": tiny.images.copy(), "samples": dataset.samples.copy()}))
    rows = np.concatenate([dataset.split("train")[0], dataset.split("test")[0]])
    changed.images[rows] = 255 - changed.images[rows]
    changed.samples.loc[rows, "label"] = 2 - changed.samples.loc[rows, "label"]
    assert torch.equal(before, fit(changed, post_processing(), base=base).method.log_weight)
    rows = dataset.split("validation")[0]
    changed.samples.loc[rows, "label"] = 0
    assert not torch.equal(before, fit(changed, post_processing(), base=base).method.log_weight)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        (post_processing(), {}, "method pergrouppriors is fitted on it, but the data set has no validation split"),
        (method_settings(kind="erm"), {"keep": "best"}, "keep is best, but the data set has no validation split"),
    ],
)
def test_what_needs_a_validation_split_is_refused_without_one(tiny, base, method, options, words):
    with pytest.raises(UserError, match=words):
        fit(tiny, method, base=base, **options)


def publish(folder, method, output, *options, base=None):
    """The files of a training, as scripts.train_model writes them."""
    command = ["--data", str(folder), "--output", str(output), "--network", json.dumps(network_settings().to_json())]
    command += ["--training", '{"epochs": 1, "batch_size": 32, "device": "cpu"}', *options]
    told = train_model.read_job(command + (["--base", str(base)] if base else []))
    with WriterLock(output.with_name(f"{output.name}.lock")) as lock:
        train_and_publish(replace(told, method=method), lock=lock)
    return json.loads((output / "training.json").read_text())


def test_what_a_prediction_needs_is_saved_with_the_network(tiny_folder, tiny, tmp_path, monkeypatch):
    from fairdistill.networks import save_network
    from fairdistill.training import publish as publishing

    monkeypatch.setattr(publishing, "load_dataset", lambda folder, fold: with_validation(tiny))
    path = tmp_path / "base.safetensors"
    base = build_network(network_settings(), 3)
    save_network(path, base, network_settings())
    record = publish(tiny_folder, post_processing(), tmp_path / "model", base=path)
    weights = tmp_path / "model" / "weights.safetensors"
    assert record["needs_group"] is True
    # the network is read without what the method adds, and what it adds without the network
    assert differing(base, load_network(weights, settings=network_settings())) == []
    state = load_method(weights)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {"log_weight": (2, 3)}
    assert load_method(path) == {}
    predictions = pd.read_parquet(tmp_path / "model" / "predictions.parquet")
    assert set(predictions["split"]) == {"validation", "test"}
    # the saved state gives the saved predictions
    rows = tiny.split("test")[0]
    images = torch.from_numpy((tiny.images[rows] / 255 - tiny.mean) / tiny.std).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = load_network(weights).eval()(images).logits + state["log_weight"][tiny.split("test")[2]]
    found = predictions[predictions["split"] == "test"][["p0", "p1", "p2"]]
    assert np.allclose(found, logits.softmax(1), atol=1e-4)
    # a table without rows has a header nevertheless
    with open(tmp_path / "model" / "history.csv", encoding="utf-8") as file:
        assert [*csv.reader(file)] == [["epoch"]]


def test_a_network_of_group_heads_is_saved_with_all_its_outputs(tiny_folder, tmp_path):
    record = publish(tiny_folder, a_kind("GroupHeads"), tmp_path / "model")
    assert record["needs_group"] is True
    assert load_network(tmp_path / "model" / "weights.safetensors").head.out_features == 6
    predictions = pd.read_parquet(tmp_path / "model" / "predictions.parquet")
    assert [name for name in predictions if re.fullmatch(r"p\d+", name)] == ["p0", "p1", "p2"]
    assert publish(tiny_folder, a_kind("Oversampling"), tmp_path / "other")["needs_group"] is False


# what a base is asked


class OwnBuffers(Method):
    """Reads the base through a random projection of its own."""

    uses_base = True

    def __init__(self, settings, task):
        super().__init__(settings, task)
        self.register_buffer("projection", torch.randn(task.base.width, 4))

    def initialise(self, network, base):
        network.load_state_dict(base.state_dict())

    def read_base(self, output):
        return {"projected": output.features @ self.projection}

    def loss(self, batch, output, stage):
        return {"match": mse_loss(output.features @ self.projection, batch.base["projected"])}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_student_can_start_from_its_base_and_read_it_through_its_own_buffers(tiny, base, engine):
    """From the base's weights the first step differs from the base by the batch norm's mode alone."""
    trained = fit(tiny, a_kind("OwnBuffers", Distillation), base=base, epochs=1, learning_rate=1e-30, engine=engine)
    before, after = base.state_dict(), trained.network.state_dict()
    close = {name: (after[name] - before[name]).abs().max() for name, _ in base.named_parameters()}
    assert max(close.values()) < 1e-28


@pytest.mark.parametrize("engine", ENGINES)
def test_maps_of_the_base_can_be_read_where_its_outputs_do_not_fit_into_memory(tiny, base, engine, monkeypatch):
    kept = fit(tiny, a_kind("Hints"), base=base)
    monkeypatch.setattr(load_engine("fast").BaseOutputs, "CACHE", 0)
    asked_anew = fit(tiny, a_kind("Hints"), base=base)
    assert np.allclose(kept.history["hint"], asked_anew.history["hint"], rtol=1e-3, equal_nan=True)


# the engines compute every method alike


def steps_loss(dataset, method, engine, **options):
    history = fit(dataset, method, epochs=1, batch_size=96, engine=engine, **options).history
    return history.drop(
        columns=["epoch", "seconds", "cpu_seconds", "images_per_second", "test_accuracy", "train_accuracy"]
    )


@pytest.mark.parametrize(
    "method",
    [
        *({"kind": kind} for kind in ("erm", "mfd", "kd", "at", "fitnets", "nst", "pkt", "adversarial")),
        {"kind": "mfd", "features": "flattened", "sampling": "oversampled"},
        *({"kind": kind} for kind in ("reweighing", "group_mmd", "group_dro")),
        *({"kind": kind} for kind in ("domain_independent", "domain_discriminative")),
        *({"kind": kind} for kind in ("vfae", "ffvae")),
        {"kind": "mfd", "layers": ["stage2", "stage4"], "kd_weight": 2.0},
        *({"kind": "nst", "kernel": kernel} for kernel in ("rbf", "linear")),
        *(a_kind(name) for name in ("Reweighing", "Autoencoder", "GroupHeads", "GroupDRO", "Noise", "TwoOptimizers")),
    ],
    ids=str,
)
def test_the_first_step_has_the_same_losses_in_both_engines(tiny, base, method):
    """All images in one step, in fp32, from the same weights: the terms of the loss agree to 1e-3."""
    fast, plain = (steps_loss(tiny, method, engine, base=base) for engine in ENGINES)
    assert list(fast.columns) == list(plain.columns)
    assert np.allclose(fast, plain, rtol=1e-3, atol=1e-5)


# no name of a method outside its own files


CLASSES = list(get_args(get_args(AnyMethod)[0]))
# and the earlier name of a kind
NAMES = {name for kind in CLASSES for name in get_args(kind.model_fields["kind"].annotation)} | {"scratch"}
FILES = {kind.implementation.split(":")[0] for kind in CLASSES}
PARTS = ("training", "networks", "data", "evaluation")
SOURCES = sorted(path for part in PARTS for path in (ROOT / "fairdistill" / part).rglob("*.py"))
RULES = sorted([ROOT / "Snakefile", ROOT / "workflow" / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")])


def test_the_names_that_are_looked_for_are_there():
    assert {"erm", "mfd", "kd", "at", "adversarial", "hardt", "group_temperature", "scratch"} <= NAMES
    assert {"fairdistill.methods.erm", "fairdistill.methods.at"} <= FILES
    assert len(SOURCES) > 20
    assert len(RULES) > 4


def mentions(source):
    """The kinds of methods, their classes and their modules that the code of a module names."""
    classes = {kind.__name__ for kind in CLASSES} | {kind.implementation.split(":")[1] for kind in CLASSES}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES | FILES:
            yield node.value
        elif isinstance(node, ast.Attribute) and node.attr in classes:
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from {node.module} & FILES
            yield from {f"{node.module}.{alias.name}" for alias in node.names} & FILES
            yield from {alias.name for alias in node.names} & classes
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & FILES


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('if settings.kind == "mfd": pass', ["mfd"]),
        ("match kind:\n    case 'kd': pass", ["kd"]),
        ("from fairdistill.methods.mfd import mfd_loss", ["fairdistill.methods.mfd"]),
        ("from fairdistill.methods import at", ["fairdistill.methods.at"]),
        ("isinstance(settings, methods.Adversarial)", ["Adversarial"]),
        ("from fairdistill.settings.methods import Erm", ["Erm"]),
        ("'''looks at the mfd term'''  # mfd", []),
        ("from fairdistill.methods.base import Method", []),
        ("table.at[0]", []),
    ],
)
def test_a_mention_is_found(source, found):
    assert sorted(mentions(source)) == found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_outside_the_methods_names_one(path):
    assert [*mentions(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("path", RULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_rule_names_a_method(path):
    """Snakemake's language has Python's tokens; a text with a placeholder is looked through word by word."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.STRING and not token.string.endswith('"""'):
            quoted = re.fullmatch(r"[a-zA-Z]*(['\"])(.*)\1", token.string, re.DOTALL)
            assert quoted is None or quoted[2] not in NAMES, token.line


# the classes of methods, and their settings


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("architecture", KINDS)
def test_a_method_is_consistent_with_its_settings(kind, architecture):
    settings = method_settings(kind=get_args(kind.model_fields["kind"].annotation)[0])
    assert settings.__class__ is kind
    torch.manual_seed(0)
    outputs = method_class(settings).n_outputs(settings, 3, 2)
    assert (kind.own_outputs is not None) == (outputs != 3)
    network, other = (
        build_network(network_settings(KINDS[0]), outputs),
        build_network(network_settings(architecture), 3),
    )
    # every class in both groups
    label, group = torch.arange(8) % 3, torch.arange(8) // 3 % 2
    stands = "base" in kind.model_fields
    task = Task(3, 2, label, group, 32, network, freeze(other) if stands else None)
    method = method_class(settings)(settings, task)
    assert (settings.stands_on is not None) == stands
    # a base is read where the settings name one, and nowhere else
    assert not method.uses_base or stands
    assert bool(method.base_layers) <= method.uses_base
    assert (type(method).read_base is not Method.read_base) == method.uses_base
    # what stands on a base asks it in training, or starts from it
    assert method.uses_base or not stands or type(method).initialise is not Method.initialise
    assert settings.needs_validation == (type(method).calibrate is not Method.calibrate)
    assert {*method.layers} <= {*network.layers}
    assert {*method.base_layers} <= {*other.layers}
    # the networks are not part of the method, and settings are not either
    assert not any(module is network or module is other for module in method.modules())
    output = network.eval()(torch.randn(8, 3, 32, 32), method.layers)
    predictions = [method.predict(output, torch.full((8,), a)) for a in range(2)]
    assert torch.equal(*predictions) or method.needs_group
    assert predictions[0].shape == (8, 3)
    assert torch.allclose(predictions[0].sum(1), torch.ones(8))


# what makes a state of the method's own: two stages, a correction that is fitted, regressors
WITH_MORE_STATE = {
    "fitnets": {"hint_share": 0.5},
    "ffvae": {"representation_share": 0.5},
    "domain_independent": {"prior_shift": True},
    "mfd": {"layers": ["stage2", "stage4"], "kd_weight": 2.0},
}
TRAINED = [kind for kind in CLASSES if kind.family != "post-processing" and not kind.needs_checkpoint]


@pytest.mark.parametrize("kind", TRAINED, ids=lambda kind: kind.__name__)
def test_an_interrupted_training_ends_with_the_same_bits(tiny, tmp_path, kind):
    """Before every epoch but the first: within a stage, between two, and more than once."""
    name = get_args(kind.model_fields["kind"].annotation)[0]
    torch.manual_seed(5)
    base = build_network(SHORT, 3) if "base" in kind.model_fields else None
    method = {"kind": name} | WITH_MORE_STATE.get(name, {})
    # two epochs of each stage where there are two
    epochs = 4 if "representation_share" in method or "hint_share" in method else 3
    resumed_at_every_epoch(tiny, method, tmp_path, epochs=epochs, base=base, learning_rate=0.003)
