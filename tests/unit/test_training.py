"""The training loop on a tiny data set."""

import copy
import errno
import json
import re
import shutil
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_network import Small
from synthetic_results import make_training

from fairdistill.data.reading import DESCRIPTION, description_digest
from fairdistill.methods.base import Stage, Task, method_class
from fairdistill.methods.post_processing import PostProcessing
from fairdistill.networks import build_network, load_network, save_network
from fairdistill.runtime import files
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import sha256
from fairdistill.settings.methods import At, Erm, FitNets, GroupTemperature, Kd, Mfd, Nst, Pkt
from fairdistill.settings.networks import ResNet18, ShuffleNetV2
from fairdistill.settings.reading import read_settings
from fairdistill.settings.training import Training
from fairdistill.training import job, loop, publish
from fairdistill.training.best import BestEpoch
from fairdistill.training.engines import fast, reference, ways
from fairdistill.training.engines.convolution import CroppedConv2d
from fairdistill.training.engines.fast import BaseOutputs, Images
from fairdistill.training.loop import infer, learning_rate_factor, make_optimizer, predict, train
from fairdistill.training.resume import ResumeState
from scripts import train_model

NETWORK = ShuffleNetV2(kind="shufflenet_v2_x1_0", stem="cifar")
ERM, MFD = Erm(kind="erm"), Mfd(kind="mfd")
BALANCED = Erm(kind="erm", sampling="balanced")
MFD_OFF = read_settings(Mfd, {"kind": "mfd", "lambda": 0.0}, where="method")
SETTINGS = Training(epochs=3, batch_size=32, precision="fp32", device="cpu", evaluate_every=1)
CPU = torch.device("cpu")


def run(tiny, method=ERM, *, network=NETWORK, role="student", seed=0, settings=SETTINGS, **options):
    return train(tiny, network, method, settings, role=role, seed=seed, **options)


def with_(settings, **changes):
    return read_settings(type(settings), settings.to_json() | changes, where="settings")


def weights(trained):
    return trained.network.state_dict()


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def teacher(tiny):
    return run(tiny, role="teacher")


def test_the_same_seed_gives_the_same_bits(tiny, teacher):
    again = run(tiny, role="teacher")
    assert same(weights(teacher), weights(again))
    assert (teacher.probabilities["test"] == again.probabilities["test"]).all()
    assert not same(weights(teacher), weights(run(tiny, role="teacher", seed=1)))
    assert not same(weights(teacher), weights(run(tiny, role="student")))


@pytest.fixture
def starts(tiny, monkeypatch):
    """A function that gives, for two epochs, the weights they would start from and the first random numbers."""

    def of(**options):
        found = []

        def look(network, method, *args, **epoch):
            state = {name: value.clone() for name, value in network.state_dict().items()}
            found.append((state, epoch["rng"].random(5).tolist()))
            return {"epoch": epoch["epoch"] + 1, "loss": 0.0, "train_accuracy": 0.0} | SPEED

        with monkeypatch.context() as patch:
            patch.setattr(loop, "train_epoch", look)
            run(tiny, settings=with_(SETTINGS, epochs=2), **options)
        return found

    return of


SPEED = {"seconds": 1.0, "cpu_seconds": 1.0, "images_per_second": 1.0}


def test_a_teacher_and_a_student_of_one_seed_share_neither_weights_nor_order_nor_flips(starts):
    (teacher, teachers_order), (_, teachers_second) = starts(role="teacher")
    (student, students_order), (_, students_second) = starts(role="student")
    convolution = "body.conv1.0.weight"
    assert not torch.equal(teacher[convolution], student[convolution])
    orders = [teachers_order, teachers_second, students_order, students_second]
    assert len({tuple(order) for order in orders}) == 4


def test_all_students_of_one_seed_start_alike_and_those_of_another_do_not(starts, teacher):
    erm, mfd, other = starts(), starts(method=MFD, base=teacher.network), starts(seed=1)
    assert same(erm[0][0], mfd[0][0])
    assert [order for _, order in erm] == [order for _, order in mfd]
    assert not same(erm[0][0], other[0][0])
    assert erm[0][1] != other[0][1]


def test_it_learns(tiny):
    history = run(tiny, settings=Training(epochs=8, batch_size=16, device="cpu")).history
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] / 2
    assert history["train_accuracy"].iloc[-1] > 0.8


def test_the_history_has_a_row_per_epoch_and_every_part_of_the_loss(tiny, teacher):
    trained = run(tiny, read_settings(Mfd, {"kind": "mfd", "lambda": 2.0}, where="method"), base=teacher.network)
    history = trained.history
    assert history["epoch"].tolist() == [1, 2, 3]
    assert np.allclose(history["loss"], history["cross_entropy"] + history["mfd"])
    assert (history["mfd"] > 0).all()
    test_accuracy = (trained.probabilities["test"].argmax(1) == tiny.split("test")[1]).mean()
    assert history["test_accuracy"].iloc[-1] == pytest.approx(test_accuracy)
    # there is no such split
    assert "validation_accuracy" not in history


def test_the_time_of_a_training_has_what_is_read_of_the_base_and_what_is_fitted(
    tiny_with_validation, teacher, monkeypatch
):
    clock = {"seconds": 0, "cpu": 0}
    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock["seconds"])
    monkeypatch.setattr(loop.time, "process_time", lambda: clock["cpu"])

    def taking(seconds, cpu, result=None):
        def work(*args, **options):
            clock["seconds"] += seconds
            clock["cpu"] += cpu
            return result

        return work

    monkeypatch.setattr(loop, "train_epoch", taking(0, 0, {"epoch": 1, "loss": 0.0, "train_accuracy": 0.0} | SPEED))
    monkeypatch.setattr(fast, "BaseOutputs", taking(100, 10))
    student = run(tiny_with_validation, MFD, settings=with_(SETTINGS, epochs=2), base=teacher.network)
    assert (student.seconds, student.cpu_seconds) == (102, 12)
    monkeypatch.setattr(PostProcessing, "calibrate", taking(1000, 30))
    fitted = run(tiny_with_validation, GroupTemperature(kind="group_temperature"), base=teacher.network)
    assert (fitted.seconds, fitted.cpu_seconds) == (1000, 30)


def test_an_epoch_is_the_mean_of_its_steps_and_has_its_time_and_speed(tiny, monkeypatch):
    """Of two steps of 40 of the 96 images, each of which takes three seconds by the clock, and five of the cores.

    The learning rate takes its course in each of two stages, of one epoch and of two.
    """
    clock = {"seconds": 100.0, "cpu": 10.0}
    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock["seconds"])
    monkeypatch.setattr(loop.time, "process_time", lambda: clock["cpu"])
    monkeypatch.setattr(
        method_class(ERM), "stages", lambda self, epochs: [Stage("short", 1), Stage("long", epochs - 1)]
    )
    steps, rates, said = [], [], []

    def make_step(network, method, optimizers, *_):
        def take_step(*_):
            steps.append(len(steps) + 1)
            rates.append(optimizers["adam"].param_groups[0]["lr"])
            clock["seconds"] += 3
            clock["cpu"] += 5
            return {"loss": torch.tensor(float(steps[-1])), "correct": torch.tensor(1 / steps[-1])}

        return take_step

    class Progress:
        def __init__(self, *planned):
            said.append(planned)

        def step(self, done, total_loss):
            said.append((done, total_loss.item()))

    monkeypatch.setattr(loop, "make_step", make_step)
    monkeypatch.setattr(loop, "EpochProgress", Progress)
    settings = with_(SETTINGS, epochs=3, batch_size=40, learning_rate=0.1, schedule="linear")
    trained = run(tiny, network=Small(), settings=settings)

    history = trained.history[["epoch", "loss", "train_accuracy", "seconds", "cpu_seconds", "images_per_second"]]
    first, second, third = history.to_numpy().tolist()
    assert first == pytest.approx([1, 1.5, 3 / 4, 6, 10, 80 / 6])
    assert second == pytest.approx([2, 3.5, 7 / 24, 6, 10, 80 / 6])
    assert third == pytest.approx([3, 5.5, 11 / 60, 6, 10, 80 / 6])
    assert rates == pytest.approx([0.1, 0.05, 0.1, 0.075, 0.05, 0.025])
    assert said == [(1, 3, 2, 40), (1, 1), (2, 3), (2, 3, 2, 40), (1, 3), (2, 7), (3, 3, 2, 40), (1, 5), (2, 11)]
    assert (trained.seconds, trained.cpu_seconds) == (18, 30)


def test_a_batch_has_no_more_images_than_there_are(tiny, monkeypatch):
    seen = []
    batch = Images.batch
    monkeypatch.setattr(Images, "batch", lambda *args: seen.append(len(args[1])) or batch(*args))
    run(tiny, network=Small(), settings=with_(SETTINGS, epochs=1, batch_size=97))
    assert seen == [96, 24]


def test_a_training_in_bfloat16_is_another_than_one_in_float32(tiny):
    settings = with_(SETTINGS, epochs=1)
    precise, quick = (run(tiny, network=Small(), settings=with_(settings, precision=name)) for name in ("fp32", "bf16"))
    assert (precise.network.bf16, quick.network.bf16) == (False, True)
    assert not same(weights(precise), weights(quick))


def test_lambda_zero_is_exactly_cross_entropy(tiny, teacher):
    plain = run(tiny, BALANCED)
    zero = run(tiny, MFD_OFF, base=teacher.network)
    assert same(weights(plain), weights(zero))
    assert not same(weights(plain), weights(run(tiny, MFD, base=teacher.network)))


def test_lambda_zero_is_exactly_cross_entropy_beside_a_teacher_of_another_width(tiny):
    other_width = build_network(ResNet18(kind="resnet18"), 3)
    settings = Training(epochs=2, batch_size=32, precision="fp32", device="cpu", weight_decay=0.01)
    plain = run(tiny, BALANCED, settings=settings)
    assert plain.network.width != other_width.width
    zero = run(tiny, MFD_OFF, settings=settings, base=other_width)
    assert same(weights(plain), weights(zero))


def test_a_base_computes_afterwards_as_it_did_before(tiny, teacher):
    """In a training in bfloat16 it is read in it, and not otherwise."""
    images = torch.randn(4, 3, 8, 8)
    before = teacher.network.eval()(images).logits
    for engine in ("fast", "reference"):
        settings = Training(epochs=1, batch_size=32, device="cpu", precision="bf16", engine=engine)
        run(tiny, MFD, settings=settings, base=teacher.network)
        assert torch.equal(teacher.network.eval()(images).logits, before)


def test_a_student_may_differ_from_its_teacher_in_architecture(tiny):
    trained = run(tiny, MFD, base=build_network(ResNet18(kind="resnet18"), 3))
    assert trained.network.width == 1024
    assert np.isfinite(trained.history["mfd"]).all()


def base_outputs(settings, base, images, *, flip=True, bf16=False):
    """What the fast engine gives a method of `settings` whose network is like its base."""
    method = method_class(settings)(settings, Task(3, 2, images.label, images.group, images.size, base, base))
    return BaseOutputs(base, method, images, flip=flip, bf16=bf16)


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        (MFD, ["features"]),
        (Mfd(kind="mfd", features="flattened"), ["conv5"]),
        (Mfd(kind="mfd", layers=["stage3", "stage4"], kd_weight=1.0), ["stage3", "stage4", "logits"]),
        (Kd(kind="kd"), ["logits"]),
        # whose last map has one pixel, and is left out
        (At(kind="at"), ["stage2", "stage3"]),
        (FitNets(kind="fitnets"), ["hint", "logits"]),
        (Nst(kind="nst"), ["stage2", "stage3"]),
        (Pkt(kind="pkt"), ["features"]),
    ],
    ids=str,
)
def test_a_base_asked_once_says_what_one_asked_at_every_step_says(tiny, teacher, settings, read, monkeypatch):
    images = Images(tiny, "train", CPU)
    positions, flip = torch.tensor([5, 17, 90]), torch.tensor([True, False, True])
    batch = images.batch(positions, flip)
    kept = base_outputs(settings, teacher.network, images)
    # only what the method reads takes memory: both orientations of every image
    assert list(kept.kept) == read
    assert all(values.shape[:2] == (2, 96) for values in kept.kept.values())
    monkeypatch.setattr(BaseOutputs, "CACHE", sum(values.nbytes for values in kept.kept.values()) - 1)
    anew = base_outputs(settings, teacher.network, images)
    assert not anew.kept
    # the images are not looked at where the outputs are kept
    ours, plain = kept(positions, flip, None), anew(positions, flip, batch)
    assert list(ours) == list(plain) == read
    for name in ours:
        torch.testing.assert_close(ours[name], plain[name], atol=1e-5, rtol=1e-5)
        assert not ours[name].requires_grad
        assert not plain[name].requires_grad


def test_a_method_that_reads_nothing_of_its_base_is_given_nothing(tiny, teacher):
    images = Images(tiny, "train", CPU)
    method = method_class(ERM)(ERM, Task(3, 2, images.label, images.group, images.size, teacher.network, None))
    ask = BaseOutputs(copy.deepcopy(teacher.network), method, images, flip=True)
    assert ask(torch.tensor([5, 17]), torch.tensor([True, False]), None) == {}


def test_in_bfloat16_a_base_computes_in_it_and_its_features_and_logits_are_kept_as_they_are(tiny, teacher):
    images, base = Images(tiny, "train", CPU), copy.deepcopy(teacher.network)
    positions = torch.arange(len(images))
    kept = base_outputs(Mfd(kind="mfd", kd_weight=1.0), base, images, bf16=True)
    assert {values.dtype for values in kept.kept.values()} == {torch.bfloat16}
    found = kept(positions, torch.zeros(len(images), dtype=torch.bool), None)
    # in one batch, as they were computed
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        features = base.body(images.batch(positions))
        logits = base.head(features)
    assert found["features"].dtype == torch.float32
    assert torch.equal(found["features"], features.float())
    assert torch.equal(found["logits"], logits.float())
    # of another training the same base is read in float32
    precise = base_outputs(Mfd(kind="mfd", kd_weight=1.0), base, images)
    assert not torch.equal(precise(positions, None, None)["features"], features.float())


def test_what_is_trained_in_bfloat16_is_evaluated_in_float32(tiny, teacher, monkeypatch):
    """And reads its base in bfloat16."""
    seen = []
    monkeypatch.setattr(
        fast, "BaseOutputs", lambda *args, **options: seen.append(options) or BaseOutputs(*args, **options)
    )
    settings = Training(epochs=1, batch_size=32, precision="bf16", device="cpu")
    trained = run(tiny, MFD, settings=settings, base=copy.deepcopy(teacher.network))
    assert seen == [{"flip": True, "bf16": True}]
    assert (trained.network.bf16, trained.network.bf16_evaluation) == (True, False)


def test_the_outputs_kept_of_a_base_are_its_own(tiny, teacher):
    images = Images(tiny, "train", CPU)
    positions, flip = torch.tensor([5, 17, 90]), torch.tensor([True, False, True])
    with torch.no_grad():
        direct = teacher.network(images.batch(positions, flip))
    features, logits = (base_outputs(settings, teacher.network, images) for settings in (MFD, Kd(kind="kd")))
    assert torch.allclose(features(positions, flip, None)["features"], direct.features, atol=1e-5)
    assert torch.allclose(logits(positions, flip, None)["logits"], direct.logits, atol=1e-5)


def test_where_no_image_is_mirrored_the_outputs_of_the_images_as_they_are_are_kept(tiny, teacher, monkeypatch):
    """Of 96 images the logits of three classes, in float32."""
    monkeypatch.setattr(BaseOutputs, "CACHE", 96 * 3 * 4)
    images, positions = Images(tiny, "train", CPU), torch.tensor([5, 17, 90])
    ask = base_outputs(Kd(kind="kd"), teacher.network, images, flip=False)
    assert ask.kept["logits"].shape == (1, 96, 3)
    with torch.no_grad():
        direct = teacher.network(images.batch(positions)).logits
    assert torch.allclose(ask(positions, None, None)["logits"], direct, atol=1e-5)


def test_images_are_normalised_and_mirrored(tiny):
    images = Images(tiny, "train", CPU)
    batch = images.batch(torch.arange(96))
    assert batch.shape == (96, 3, 8, 8)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(batch.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(batch.std((0, 2, 3)), torch.ones(3), atol=1e-3)
    flip = torch.arange(96) % 2 == 0
    flipped = images.batch(torch.arange(96), flip)
    assert torch.equal(flipped[0], batch[0].flip(-1))
    assert torch.equal(flipped[1], batch[1])


@pytest.mark.parametrize("flip", [True, False])
def test_about_half_of_the_images_are_mirrored_and_others_in_each_epoch(tiny, monkeypatch, flip):
    epochs = []
    batches = Images.batches

    def look(self, order, flips, *rest):
        if len(self) == 96:
            epochs.append((order, flips))
        return batches(self, order, flips, *rest)

    monkeypatch.setattr(Images, "batches", look)
    run(tiny, settings=with_(SETTINGS, epochs=2, flip=flip, batch_size=32))
    (first_order, first), (second_order, second) = epochs
    assert not torch.equal(first_order, second_order)
    assert torch.equal(first_order.sort()[0], torch.arange(96))
    if not flip:
        assert first is second is None
        return
    for mirrored in (first, second):
        # 48 give or take three standard deviations, rounded up
        assert 33 <= mirrored.sum() <= 63
    assert not torch.equal(first, second)


def test_steps_are_made_in_training_mode_and_predictions_in_evaluation_mode(tiny, monkeypatch):
    kind = method_class(ERM)
    modes = {"loss": set(), "predict": set()}
    loss, predict_batch = kind.loss, kind.predict

    def look_at_loss(self, batch, output, stage):
        modes["loss"].add(self.training)
        return loss(self, batch, output, stage)

    def look_at_predict(self, output, group):
        # a step predicts its own batch, in training mode
        if len(group) == 24:
            modes["predict"].add(self.training)
        return predict_batch(self, output, group)

    monkeypatch.setattr(kind, "loss", look_at_loss)
    monkeypatch.setattr(kind, "predict", look_at_predict)
    trained = run(tiny, settings=with_(SETTINGS, epochs=2, batch_size=32))
    assert modes == {"loss": {True}, "predict": {False}}
    assert not trained.network.training


def test_samples_that_do_not_fill_a_batch_are_left_to_another_epoch(tiny, monkeypatch):
    seen = []
    batch = Images.batch

    def look(self, positions, *rest):
        seen.append(len(positions))
        return batch(self, positions, *rest)

    monkeypatch.setattr(Images, "batch", look)
    run(tiny, settings=with_(SETTINGS, epochs=1, batch_size=40))
    # of 96 training images; the last is the test split
    assert seen == [40, 40, 24]


def test_predictions_are_of_the_last_epoch_in_test_order(tiny, teacher):
    logits = torch.cat([output.logits for output, _, _ in infer(teacher.network, Images(tiny, "test", CPU))])
    assert np.allclose(teacher.probabilities["test"], logits.softmax(1).numpy(), atol=1e-6)


@pytest.mark.parametrize("engine", [fast, reference], ids=["fast", "reference"])
def test_the_optimizer_has_the_settings_of_the_training_and_the_methods_own_learning_rate(engine):
    settings = with_(SETTINGS, learning_rate=0.02, weight_decay=0.3)
    for own, rate in ((None, 0.02), (0.5, 0.5)):
        weight = torch.nn.Parameter(torch.ones(2, 2))
        optimizer = make_optimizer(engine.optimizer, CPU, settings, [weight], learning_rate=own)
        weight.grad = torch.zeros(2, 2)
        optimizer.step()
        (group,) = optimizer.param_groups
        assert (group["lr"], group["weight_decay"]) == (rate, 0.3)
        # the gradient is that of the decay alone, and the first step of Adam is of the size of the learning rate
        assert torch.allclose(weight, torch.full((2, 2), 1 - rate))


def test_the_schedule_ends_at_zero():
    assert learning_rate_factor("cosine", 0) == learning_rate_factor("linear", 0) == 1
    assert learning_rate_factor("cosine", 0.5) == pytest.approx(0.5)
    assert learning_rate_factor("cosine", 0.25) == pytest.approx((1 + 0.5**0.5) / 2)
    assert learning_rate_factor("cosine", 0.999) < 1e-5
    assert learning_rate_factor("linear", 0.25) == 0.75
    assert learning_rate_factor("constant", 0.9) == 1


def copy_of(dataset):
    return replace(dataset, images=dataset.images.copy(), samples=dataset.samples.copy())


def with_another_split(dataset, split):
    """`dataset` with other images, labels and groups in one split."""
    changed = copy_of(dataset)
    rows = dataset.split(split)[0]
    changed.images[rows] = 255 - changed.images[rows]
    changed.samples.loc[rows, "label"] = 2 - changed.samples.loc[rows, "label"]
    changed.samples.loc[rows, "group"] = 1 - changed.samples.loc[rows, "group"]
    return changed


def test_nothing_looks_at_the_test_set(tiny, teacher):
    """With other test images, labels and groups the weights are the same."""
    assert same(weights(teacher), weights(run(with_another_split(tiny, "test"), role="teacher")))


# the second epoch is right on the whole validation split, and the three after it are no better
BEST = Training(
    epochs=5,
    batch_size=12,
    learning_rate=0.1,
    schedule="constant",
    precision="fp32",
    device="cpu",
    keep="best",
    evaluate_every=1,
)


def run_best(dataset, **options):
    return run(dataset, network=Small(), settings=with_(BEST, **options.pop("changes", {})), **options)


@pytest.fixture(scope="module")
def chosen(tiny_with_validation):
    """A training with BEST."""
    return run_best(tiny_with_validation)


def best_epoch(trained):
    """The number of the earliest epoch with the highest validation accuracy."""
    return int(trained.history["epoch"][trained.history["validation_accuracy"].argmax()])


def test_the_earliest_best_epoch_on_the_validation_split_is_kept(tiny_with_validation, chosen):
    assert len(chosen.history) == 5
    assert best_epoch(chosen) == chosen.kept_epoch == 2
    assert chosen.history["validation_accuracy"].tolist()[1:] == [1.0] * 4
    # at a constant learning rate a shorter training is the beginning of a longer one
    for epochs in (2, 3, 5):
        last = run_best(tiny_with_validation, changes={"epochs": epochs, "keep": "last"})
        assert same(weights(chosen), weights(last)) == (epochs == 2)
        assert last.kept_epoch == epochs


def test_predictions_are_of_the_best_epoch(tiny_with_validation, chosen):
    second = run_best(tiny_with_validation, changes={"epochs": 2, "keep": "last"})
    for split in ("validation", "test"):
        assert chosen.probabilities[split].shape == (24, 3)
        assert np.array_equal(chosen.probabilities[split], second.probabilities[split])
        anew = predict(chosen.network, chosen.method, Images(tiny_with_validation, split, CPU))
        assert np.array_equal(chosen.probabilities[split], anew.numpy())


def test_the_choice_of_the_best_epoch_does_not_look_at_the_test_set(tiny_with_validation, chosen):
    other = run_best(with_another_split(tiny_with_validation, "test"))
    assert other.history["validation_accuracy"].tolist() == chosen.history["validation_accuracy"].tolist()
    assert other.history["test_accuracy"].tolist() != chosen.history["test_accuracy"].tolist()
    assert same(weights(chosen), weights(other))


def test_the_choice_of_the_best_epoch_looks_at_the_validation_split(tiny_with_validation):
    first = run_best(tiny_with_validation, changes={"epochs": 1})
    changed = copy_of(tiny_with_validation)
    rows = changed.split("validation")[0]
    # now the first epoch is right on all of it
    changed.samples.loc[rows, "label"] = first.probabilities["validation"].argmax(1).astype("int16")
    assert same(weights(first), weights(run_best(changed)))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_without_a_choice_no_weight_depends_on_the_validation_split_or_the_test_split(tiny_with_validation, split):
    data = tiny_with_validation, with_another_split(tiny_with_validation, split)
    plain, other = (run_best(dataset, changes={"keep": "last"}) for dataset in data)
    assert same(weights(plain), weights(other))


def test_of_equally_good_epochs_the_earliest_is_kept():
    network, method = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    best = BestEpoch(network, method)
    assert best.epoch == 0
    for epoch, accuracy in enumerate([0.2, 0.6, 0.6, 0.5], start=1):
        torch.nn.init.constant_(network.weight, epoch)
        torch.nn.init.constant_(method.weight, -epoch)
        best.offer(epoch, accuracy)
    best.restore()
    assert best.epoch == 2
    assert (network.weight.item(), method.weight.item()) == (2, -2)


@pytest.mark.parametrize(
    ("every", "evaluated"), [(0, [False, False, True]), (1, [True, True, True]), (2, [False, True, True])]
)
def test_the_history_has_the_validation_accuracy_where_there_is_such_a_split(tiny_with_validation, every, evaluated):
    trained = run(tiny_with_validation, settings=with_(SETTINGS, evaluate_every=every))
    history = trained.history
    right = trained.probabilities["validation"].argmax(1) == tiny_with_validation.split("validation")[1]
    assert history["validation_accuracy"].iloc[-1] == pytest.approx(right.mean())
    # as often as the test accuracy
    assert history["validation_accuracy"].notna().tolist() == evaluated
    assert history["test_accuracy"].notna().tolist() == evaluated


def test_to_keep_the_best_epoch_without_a_validation_split_is_refused(tiny):
    with pytest.raises(UserError, match=r"keep is best, but the data set has no validation split"):
        run_best(tiny)


@pytest.fixture
def visited(monkeypatch):
    """The numbers of the epochs that are trained, from 0; at the start of the epoch `deadly` the training is killed."""
    original = loop.train_epoch
    visited = Visited()

    def train_epoch(*args, **options):
        if options["epoch"] == visited.deadly:
            raise KeyboardInterrupt
        visited.append(options["epoch"])
        return original(*args, **options)

    monkeypatch.setattr(loop, "train_epoch", train_epoch)
    return visited


class Visited(list):
    deadly: int | None = None


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_interrupted_training_ends_with_the_same_bits(tiny, teacher, tmp_path, visited, precision):
    settings = Training(epochs=3, batch_size=32, precision=precision, device="cpu")
    whole = run(tiny, MFD, settings=settings, base=teacher.network)
    state = ResumeState(tmp_path / "seed0.resume", {})
    visited.deadly = 2
    with pytest.raises(KeyboardInterrupt):
        run(tiny, MFD, settings=settings, base=teacher.network, resume=state)
    visited.deadly = None
    visited.clear()
    resumed = run(tiny, MFD, settings=settings, base=teacher.network, resume=state)
    assert visited == [2]
    assert same(weights(whole), weights(resumed))
    assert resumed.history["epoch"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("deadly", [1, 2, 4])
def test_a_training_interrupted_before_or_after_its_best_epoch_keeps_the_same_one(
    tiny_with_validation, chosen, tmp_path, visited, deadly
):
    """The second epoch is the best; where it was before the interruption, only the saved state still has it."""
    state = ResumeState(tmp_path / "seed0.resume", {})
    visited.deadly = deadly
    with pytest.raises(KeyboardInterrupt):
        run_best(tiny_with_validation, resume=state)
    visited.deadly = None
    visited.clear()
    resumed = run_best(tiny_with_validation, resume=state)
    assert visited == [*range(deadly, 5)]
    assert same(weights(chosen), weights(resumed))
    for split in ("validation", "test"):
        assert np.array_equal(chosen.probabilities[split], resumed.probabilities[split])
    columns = ["epoch", "loss", "train_accuracy", "validation_accuracy", "test_accuracy"]
    pd.testing.assert_frame_equal(resumed.history[columns], chosen.history[columns])


@pytest.mark.parametrize("damage", ["truncate", "garbage", "other"])
def test_state_that_does_not_belong_is_ignored(tmp_path, damage):
    path = tmp_path / "s.resume"
    layer = torch.nn.Linear(2, 2)
    ResumeState(path, {"seed": 1}).save({"layer": layer}, [{"epoch": 1}])
    state = ResumeState(path, {"seed": 1}).restore()
    assert state["history"] == [{"epoch": 1}]
    assert same(state["layer"], layer.state_dict())
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "garbage":
        path.write_bytes(b"not a state")
    assert ResumeState(path, {"seed": 2 if damage == "other" else 1}).restore() is None
    # only what is trained anew takes its place
    assert path.exists()


def test_a_loss_that_is_not_finite_is_reported(tiny):
    with pytest.raises(UserError, match=r"loss became .* in epoch 1.*learning_rate"):
        run(tiny, settings=Training(epochs=1, batch_size=32, learning_rate=1e9, device="cpu"))


def of_the_head(network):
    return network.head.weight


def of_a_tap_on_padding(network):
    """One of a kernel's taps that no image of this size meets, so that no prediction tells."""
    return next(module.whole for module in network.modules() if isinstance(module, CroppedConv2d))[:, :, 0, 0]


@pytest.mark.parametrize("ruined", [of_the_head, of_a_tap_on_padding])
def test_weights_that_the_last_step_ruins_are_reported(tiny, monkeypatch, ruined):
    original = loop.train_epoch

    def ruin(network, *args, **options):
        row = original(network, *args, **options)
        torch.nn.init.constant_(ruined(network), float("nan"))
        return row

    monkeypatch.setattr(loop, "train_epoch", ruin)
    with pytest.raises(UserError, match="weights became not finite in epoch 1"):
        run(tiny, settings=Training(epochs=1, batch_size=32, device="cpu"))


def test_a_missing_base_is_reported(tiny):
    with pytest.raises(UserError, match="mfd needs a base"):
        run(tiny, MFD)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"epoch": 3}, "unknown key 'epoch'; did you mean 'epochs'?"),
        ({"schedule": "step"}, 'schedule is "step"; choose one of cosine, linear, constant'),
        ({"keep": "first"}, 'keep is "first"; choose one of last, best'),
        ({"learning_rate": -1}, "learning_rate is -1"),
    ],
)
def test_bad_training_settings_are_named(settings, words):
    with pytest.raises(UserError, match=re.escape(words)):
        read_settings(Training, settings, where="training")


def job_arguments(folder, output, *more):
    return [
        "--data", str(folder), "--output", str(output), "--network", json.dumps(NETWORK.to_json()),
        "--training", '{"epochs": 1, "batch_size": 32, "device": "cpu"}', *more,
    ]  # fmt: skip


def start_job(folder, output, *more):
    job.run_training(train_model.read_job(job_arguments(folder, output, *more)))


def record_of(output):
    return json.loads((output / "training.json").read_text())


def test_a_job_publishes_everything_and_leaves_no_state(tiny_folder, tiny, tmp_path):
    output = tmp_path / "teacher" / "seed0"
    start_job(tiny_folder, output)
    assert sorted(p.name for p in output.iterdir()) == [
        "history.csv", "predictions.parquet", "training.json", "weights.safetensors",
    ]  # fmt: skip
    assert [p.name for p in output.parent.iterdir()] == ["seed0"]
    predictions = pd.read_parquet(output / "predictions.parquet")
    assert predictions["sample_id"].tolist() == tiny.split("test")[0].tolist()
    assert predictions["split"].eq("test").all()
    assert predictions["label"].tolist() == tiny.split("test")[1].tolist()
    assert np.allclose(predictions[["p0", "p1", "p2"]].sum(axis=1), 1, atol=1e-5)
    record = record_of(output)
    assert record["run"]["role"] == "teacher"
    assert record["run"]["dataset"] == "tiny"
    assert record["parameters"]["training"]["epochs"] == 1
    network = load_network(output / "weights.safetensors", settings=NETWORK)
    network = network.to(memory_format=torch.channels_last)
    logits = torch.cat([output.logits for output, _, _ in infer(network, Images(tiny, "test", CPU))])
    assert np.allclose(predictions[["p0", "p1", "p2"]], logits.softmax(1).numpy(), atol=1e-6)


@pytest.mark.parametrize("at", ["save_network", "_predictions", "hardware"])
def test_an_error_after_training_leaves_the_earlier_model_whole(tiny_folder, tmp_path, monkeypatch, at):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    start_job(tiny_folder, tmp_path / "out")
    earlier = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    monkeypatch.setattr(publish, at, fail)
    with pytest.raises(OSError, match="No space left"):
        start_job(tiny_folder, tmp_path / "out", "--seed", "1")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == earlier
    monkeypatch.undo()
    start_job(tiny_folder, tmp_path / "out", "--seed", "1")
    assert record_of(tmp_path / "out")["run"]["seed"] == 1


def test_of_a_training_that_is_done_the_record_gets_the_settings_of_data_that_are_the_same(tiny_folder, tmp_path):
    """Else the next plan would find other settings in it, and would have the training done again for ever."""
    data = shutil.copytree(tiny_folder, tmp_path / "tiny")
    start_job(data, tmp_path / "out", "--code", "a" * 12)
    earlier = record_of(tmp_path / "out")
    info = json.loads((data / "dataset.json").read_text())
    info["settings"] |= {"on_error": "skip"}
    (data / "dataset.json").write_text(json.dumps(info | {DESCRIPTION: description_digest(info)}))
    start_job(data, tmp_path / "out", "--code", "a" * 12)
    record = record_of(tmp_path / "out")
    assert record["data"]["settings"] == earlier["data"]["settings"] | {"on_error": "skip"}
    assert record | {"data": earlier["data"]} == earlier


def test_without_a_version_of_the_code_a_training_is_repeated(tiny_folder, tmp_path, capsys):
    """By hand, nobody knows whether the code is the one that trained what is there."""
    for _ in range(2):
        start_job(tiny_folder, tmp_path / "out")
    assert capsys.readouterr().err.count("epoch 1/1 ") == 2
    for _ in range(2):
        start_job(tiny_folder, tmp_path / "out", "--code", "a" * 12)
    assert capsys.readouterr().err.count("epoch 1/1 ") == 1


def test_data_that_are_drawn_for_another_seed_are_refused(tiny_folder, tmp_path):
    data = shutil.copytree(tiny_folder, tmp_path / "tiny")
    info = json.loads((data / "dataset.json").read_text()) | {"for_seed": 3}
    (data / "dataset.json").write_text(json.dumps(info | {DESCRIPTION: description_digest(info)}))
    with pytest.raises(UserError, match=r"tiny: is drawn for seed 3, not for 0; prepare one for this seed$"):
        start_job(data, tmp_path / "out")
    start_job(data, tmp_path / "out", "--seed", "3")
    assert record_of(tmp_path / "out")["run"]["seed"] == 3


def test_a_stage_without_an_epoch_is_refused(tiny_folder, tmp_path):
    with pytest.raises(UserError, match=r"^method ffvae leaves the representation without an epoch, as .* is 1;"):
        start_job(tiny_folder, tmp_path / "out", "--method", '{"kind": "ffvae"}')


def test_the_record_has_the_cost_of_the_training(tiny_folder, tmp_path, monkeypatch):
    """Of more than one epoch; times to a hundredth of a second, memory in whole MiB."""
    monkeypatch.setattr(publish, "peak_memory_mb", lambda: 812.7)
    original = publish.train

    def train_and_time(*args, **options):
        return replace(original(*args, **options), seconds=12.3456, cpu_seconds=45.678)

    monkeypatch.setattr(publish, "train", train_and_time)
    for gpu, recorded in ((None, None), (2048.6, 2049)):
        monkeypatch.setattr(publish, "peak_gpu_memory_mb", lambda gpu=gpu: gpu)
        start_job(tiny_folder, tmp_path / "out", "--training", '{"epochs": 2, "batch_size": 32, "device": "cpu"}')
        record = record_of(tmp_path / "out")
        assert (record["seconds"], record["cpu_seconds"]) == (12.35, 45.68)
        assert (record["peak_memory_mb"], record["peak_gpu_memory_mb"]) == (813, recorded)
        assert record["kept_epoch"] == 2


@pytest.fixture
def table_of_avx2(tmp_path, monkeypatch):
    """A table of convolutions for that kind of processor alone."""
    table = next(ways.TABLES.glob("ways.*.csv"))
    monkeypatch.setattr(ways, "TABLES", tmp_path)
    shutil.copy(table, ways.table_of("avx2"))
    ways.forget()
    yield
    ways.forget()


@pytest.mark.parametrize(
    ("kind", "engine", "table"), [("avx2", "fast", "avx2"), ("avx512", "fast", "avx2"), ("avx512", "reference", None)]
)
def test_the_record_tells_a_table_of_the_processors_own_from_that_of_the_nearest(
    tiny_folder, tmp_path, monkeypatch, table_of_avx2, kind, engine, table
):
    monkeypatch.setattr(ways, "processor", lambda: kind)
    settings = {"epochs": 1, "batch_size": 32, "device": "cpu", "precision": "fp32", "engine": engine}
    start_job(tiny_folder, tmp_path / "out", "--training", json.dumps(settings))
    record = record_of(tmp_path / "out")
    assert (record["processor"], record["convolutions"]) == (kind, table)


def test_while_files_of_two_models_are_in_a_folder_there_is_no_record(tiny_folder, tmp_path, monkeypatch):
    """So that a kill between two renames leaves no model that looks whole."""
    out = tmp_path / "out"
    start_job(tiny_folder, out)
    renamed = []
    replace_file = files.os.replace

    def look(source, target):
        if Path(target).parent == out:
            renamed.append((Path(target).name, (out / "training.json").exists()))
        replace_file(source, target)

    monkeypatch.setattr(files.os, "replace", look)
    start_job(tiny_folder, out, "--seed", "1")
    *others, last = renamed
    assert sorted(others) == [(name, False) for name in ("history.csv", "predictions.parquet", "weights.safetensors")]
    assert last == ("training.json", False)


def test_predictions_are_of_the_validation_split_and_the_test_split(
    tiny_with_validation_folder, tiny_with_validation, tmp_path
):
    start_job(tiny_with_validation_folder, tmp_path / "out")
    predictions = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    names = ["sample_id", "image_id", "split", "label", "group"]
    assert list(predictions) == [*names, "p0", "p1", "p2"]
    samples = tiny_with_validation.samples
    expected = samples[samples["split"] != "train"][names]
    pd.testing.assert_frame_equal(predictions[names], expected.reset_index(drop=True))
    history = pd.read_csv(tmp_path / "out" / "history.csv")
    for split in ("validation", "test"):
        part = predictions[predictions["split"] == split]
        assert len(part) == 24
        accuracy = (part[["p0", "p1", "p2"]].to_numpy().argmax(1) == part["label"]).mean()
        assert history[f"{split}_accuracy"].iloc[-1] == pytest.approx(accuracy)


def test_the_record_holds_the_names_of_the_model_and_of_its_base(tiny_folder, tmp_path):
    base = {"architecture": "shufflenet", "method": "teacher"}
    names = {"study": "s", "dataset": "d", "architecture": "shufflenet", "method": "fair", "role": "student"}
    start_job(tiny_folder, tmp_path / "base")
    options = ["--base", str(tmp_path / "base" / "weights.safetensors"), "--method", '{"kind": "mfd", "lambda": 2}']
    names["base"] = base
    start_job(tiny_folder, tmp_path / "out", *options, "--seed", "7", "--names", json.dumps(names))
    record = record_of(tmp_path / "out")
    assert record["run"] == {**names, "seed": 7, "fold": 0}
    assert record["inputs"]["base"] == record_of(tmp_path / "base")["outputs"]["weights.safetensors"]
    method = record["parameters"]["method"]
    assert (method["kind"], method["lambda"]) == ("mfd", 2)
    # which model is the base is in the names
    assert "base" not in method


def test_a_base_that_changes_while_it_is_read_is_refused(tiny_folder, tiny, tmp_path, monkeypatch):
    """Else the record could have the checksum of another file than the one that was read."""
    path = tmp_path / "base.safetensors"
    save_network(path, build_network(NETWORK, len(tiny.classes)), NETWORK)

    def load(path, **options):
        network = load_network(path, **options)
        path.write_bytes(path.read_bytes() + b"\0")
        return network

    monkeypatch.setattr(publish, "load_network", load)
    with pytest.raises(UserError, match=r"base\.safetensors: was changed while it was read; run"):
        start_job(tiny_folder, tmp_path / "out", "--base", str(path), "--method", "mfd")


@pytest.mark.parametrize(("room", "kept"), [(BaseOutputs.CACHE, False), (0, True)])
def test_a_base_that_is_not_asked_again_leaves_the_memory(tiny_folder, tiny, tmp_path, monkeypatch, room, kept):
    path, bases, found = tmp_path / "base.safetensors", [], []
    save_network(path, build_network(NETWORK, len(tiny.classes)), NETWORK)

    def load(path, **options):
        base = load_network(path, **options)
        bases.append(weakref.ref(base))
        return base

    def epoch(*args, **options):
        found.append(bases[0]() is not None)
        return train_epoch(*args, **options)

    train_epoch = loop.train_epoch
    monkeypatch.setattr(BaseOutputs, "CACHE", room)
    monkeypatch.setattr(publish, "load_network", load)
    monkeypatch.setattr(loop, "train_epoch", epoch)
    start_job(tiny_folder, tmp_path / "out", "--base", str(path), "--method", "mfd")
    assert set(found) == {kept}


def test_by_hand_a_training_has_names_too(tiny_folder, tmp_path):
    """As the folder, the kinds and the base say."""
    start_job(tiny_folder, tmp_path / "base")
    start_job(tiny_folder, tmp_path / "out", "--base", str(tmp_path / "base" / "weights.safetensors"), "--method", "kd")
    names = {"study": None, "dataset": "tiny", "architecture": "shufflenet_v2_x1_0", "seed": 0, "fold": 0, "base": None}
    assert record_of(tmp_path / "base")["run"] == {**names, "role": "teacher", "method": "erm"}
    assert record_of(tmp_path / "out")["run"] == {**names, "role": "student", "method": "kd"}


def test_the_role_that_is_given_decides_the_initial_weights(tiny_folder, tmp_path):
    for role in ("teacher", "student"):
        start_job(tiny_folder, tmp_path / role, "--names", json.dumps({"role": role}))
        assert record_of(tmp_path / role)["run"]["role"] == role
    teacher, student = (load_network(tmp_path / role / "weights.safetensors") for role in ("teacher", "student"))
    assert not same(teacher.state_dict(), student.state_dict())


def test_the_same_seed_gives_the_same_bits_in_another_process(tiny_folder, tmp_path):
    start_job(tiny_folder, tmp_path / "here")
    command = [sys.executable, "-m", "scripts.train_model", *job_arguments(tiny_folder, tmp_path / "there")]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    for name in ("weights.safetensors", "predictions.parquet"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--network", '{"stem": "cifar"}', "network lacks the key 'kind'"),
        ("--network", '{"kind": ["resnet18"]}', 'network: kind is ["resnet18"]; did you mean'),
        ("--network", "resnet19", "network: kind is \"resnet19\"; did you mean 'resnet18'?"),
        ("--base-network", '{"kind": "resnet18", "stern": "cifar"}', "network has the unknown key 'stern'"),
        ("--method", "{}", "method lacks the key 'kind'"),
        ("--method", '{"kind": "mfd", "lambda": -1}', "method: lambda is -1; it must be at least 0"),
        ("--method", "{kind: mfd}", "argument --method: not valid JSON"),
        ("--method", "[" * 100_000, "argument --method: not valid JSON (it is nested too deeply"),
        ("--training", "[1]", "training is [1]; it must be a mapping"),
        ("--training", "fast", "training has the unknown key 'kind'"),
        ("--names", '{"role": "pupil"}', 'names: role is "pupil"; choose one of teacher, student'),
        ("--names", '{"seed": 1}', "names has the unknown key 'seed'"),
        ("--seed", "-1", "argument --seed: must be a whole number from 0 to"),
        ("--code", "v1", "--code is no version of the code, which has 12 hexadecimal digits"),
    ],
)
def test_bad_options_of_a_job_are_named(tiny_folder, tmp_path, capsys, option, value, words):
    with pytest.raises((SystemExit, UserError)) as exit_:
        start_job(tiny_folder, tmp_path / "out", option, value)
    assert words in capsys.readouterr().err + str(exit_.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("training_", "words"),
    [
        ('{"epochs": "three"}', 'training: epochs is "three"; it must be a whole number'),
        ('{"epochs": 3.0}', "training: epochs is 3.0; it must be a whole number"),
        ('{"epochs": true}', "training: epochs is true; it must be a whole number"),
        ('{"batch_size": null}', "training: batch_size is null; it must be a whole number"),
        ('{"batch_size": 1}', "training: batch_size is 1; it must be at least 2"),
        ('{"learning_rate": "1e-3.5"}', 'training: learning_rate is "1e-3.5"; it must be a number'),
        ('{"learning_rate": false}', "training: learning_rate is false; it must be a number"),
        ('{"flip": 1}', "training: flip is 1; it must be true or false"),
        ('{"device": ["cpu"]}', "training: device is [\"cpu\"]; did you mean 'cpu'?"),
    ],
)
def test_a_bad_training_setting_is_named_in_one_line(tiny_folder, tmp_path, training_, words):
    with pytest.raises(UserError) as error:
        start_job(tiny_folder, tmp_path / "out", "--training", training_)
    assert str(error.value) == words
    assert not (tmp_path / "out").exists()


def test_the_script_says_what_is_wrong_in_one_line_and_nothing_else(tiny_folder, tmp_path):
    arguments = job_arguments(tiny_folder, tmp_path / "out", "--training", '{"epochs": 0}')
    command = [sys.executable, "-m", "scripts.train_model", *arguments]
    done = subprocess.run(command, check=False, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: training: epochs is 0; it must be at least 1\n"


def test_a_whole_number_passes_for_a_fraction(tiny_folder, tmp_path):
    settings = {"epochs": 1, "batch_size": 32, "device": "cpu", "weight_decay": 0}
    start_job(tiny_folder, tmp_path / "out", "--training", json.dumps(settings))
    assert (tmp_path / "out" / "training.json").exists()


def test_damaged_images_are_not_trained_on(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "damaged")
    content = bytearray((folder / "images.npy").read_bytes())
    content[-1] ^= 1
    (folder / "images.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"images\.npy"):
        start_job(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_base_of_other_classes_is_refused(tiny_folder, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_network(path, build_network(NETWORK, 5), NETWORK)
    with pytest.raises(UserError, match="has 5 outputs, the data set has 3 classes"):
        start_job(tiny_folder, tmp_path / "out", "--method", "mfd", "--base", str(path))
    assert not (tmp_path / "out").exists()


def test_a_base_with_a_changed_byte_is_refused(tiny_folder, tmp_path):
    path, record = tmp_path / "weights.safetensors", tmp_path / "training.json"
    save_network(path, build_network(NETWORK, 3), NETWORK)
    training = make_training()
    training["outputs"][path.name] = sha256(path)
    record.write_text(json.dumps(training))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    options = ["--method", "mfd", "--base", str(path), "--base-record", str(record)]
    with pytest.raises(UserError, match=r"weights\.safetensors: does not belong to .*training\.json; train the model"):
        start_job(tiny_folder, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_a_base_of_another_network_is_refused(tiny_folder, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_network(path, build_network(NETWORK, 3), NETWORK)
    options = ["--method", "mfd", "--base", str(path), "--base-network", "resnet18"]
    with pytest.raises(
        UserError, match=r"weights\.safetensors: the checkpoint holds the network .*shufflenet.*resnet18"
    ):
        start_job(tiny_folder, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("folder", ["tiny_folder", "cropped_folder"])
def test_images_that_the_network_does_not_take_are_refused(request, tmp_path, folder):
    """They are as large as the network sees them: of 8 px, or of 10 px and cropped to 8."""
    said = (
        "network vit_b_16 takes images of 224 px, and those of the data set have 8; choose another network, or prepare "
        "other images"
    )
    with pytest.raises(UserError, match=f"^{said}$"):
        start_job(request.getfixturevalue(folder), tmp_path / "out", "--network", "vit_b_16")
    assert not (tmp_path / "out").exists()
