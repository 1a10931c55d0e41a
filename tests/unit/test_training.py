"""The training loop on a tiny data set."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fairdistill.networks import build_model, load_model
from fairdistill.runtime.errors import UserError
from fairdistill.training.engines.fast import Images, TeacherOutputs
from fairdistill.training.loop import TrainingSettings, infer, job, learning_rate_factor, train
from fairdistill.training.loop import loop as training
from fairdistill.training.resume import ResumeState

ARCHITECTURE = {"kind": "shufflenet_v2_x1_0", "stem": "cifar"}
SETTINGS = TrainingSettings(epochs=3, batch_size=32, precision="fp32", device="cpu", evaluate_every=1)
CPU = torch.device("cpu")


def run(tiny, method=None, *, role="student", seed=0, settings=SETTINGS, **options):
    return train(tiny, ARCHITECTURE, method or {"kind": "scratch"}, settings, role=role, seed=seed, **options)


def weights(trained):
    return trained.model.state_dict()


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def teacher(tiny):
    return run(tiny, role="teacher")


def test_the_same_seed_gives_the_same_bits(tiny, teacher):
    again = run(tiny, role="teacher")
    assert same(weights(teacher), weights(again))
    assert (teacher.probabilities == again.probabilities).all()
    assert not same(weights(teacher), weights(run(tiny, role="teacher", seed=1)))
    assert not same(weights(teacher), weights(run(tiny, role="student")))


def test_it_learns(tiny):
    history = run(tiny, settings=TrainingSettings(epochs=8, batch_size=16, device="cpu")).history
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] / 2
    assert history["train_accuracy"].iloc[-1] > 0.8


def test_the_history_has_a_row_per_epoch_and_every_part_of_the_loss(tiny, teacher):
    trained = run(tiny, {"kind": "mfd", "lambda": 2.0}, teacher=teacher.model)
    history = trained.history
    assert history["epoch"].tolist() == [1, 2, 3]
    assert np.allclose(history["loss"], history["cross_entropy"] + history["mfd"])
    assert (history["mfd"] > 0).all()
    test_accuracy = (trained.probabilities.argmax(1) == tiny.split("test")[1]).mean()
    assert history["test_accuracy"].iloc[-1] == pytest.approx(test_accuracy)


def test_lambda_zero_is_exactly_cross_entropy(tiny, teacher):
    plain = run(tiny, {"kind": "scratch", "sampling": "balanced"})
    zero = run(tiny, {"kind": "mfd", "lambda": 0.0}, teacher=teacher.model)
    assert same(weights(plain), weights(zero))
    assert not same(weights(plain), weights(run(tiny, {"kind": "mfd"}, teacher=teacher.model)))


def test_lambda_zero_is_exactly_cross_entropy_beside_a_teacher_of_another_width(tiny):
    wide_teacher = build_model({"kind": "resnet18"}, 3)
    settings = TrainingSettings(epochs=2, batch_size=32, precision="fp32", device="cpu", weight_decay=0.01)
    plain = run(tiny, {"kind": "scratch", "sampling": "balanced"}, settings=settings)
    assert plain.model.width != wide_teacher.width
    zero = run(tiny, {"kind": "mfd", "lambda": 0.0}, settings=settings, teacher=wide_teacher)
    assert same(weights(plain), weights(zero))


def test_a_student_may_differ_from_its_teacher_in_architecture(tiny):
    wide_teacher = build_model({"kind": "resnet18"}, 3)
    trained = run(tiny, {"kind": "mfd"}, teacher=wide_teacher)
    assert trained.model.width == 1024
    assert np.isfinite(trained.history["mfd"]).all()


def test_a_teacher_seen_once_is_a_teacher_seen_every_step(tiny, teacher):
    images = Images(tiny, "train", CPU)
    outputs = TeacherOutputs(teacher.model, images, flip=True)
    positions, flip = torch.tensor([5, 17, 90]), torch.tensor([True, False, True])
    with torch.no_grad():
        direct = teacher.model(images.batch(positions, flip))
    assert torch.allclose(outputs(positions, flip, None).features, direct.features, atol=1e-5)
    assert torch.allclose(outputs(positions, flip, None).logits, direct.logits, atol=1e-5)


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


def test_predictions_are_of_the_last_epoch_in_test_order(tiny, teacher):
    logits = torch.cat([output.logits for output in infer(teacher.model, Images(tiny, "test", CPU))])
    assert np.allclose(teacher.probabilities, logits.softmax(1).numpy(), atol=1e-6)


def test_the_schedule_ends_at_zero():
    assert learning_rate_factor("cosine", 0) == learning_rate_factor("linear", 0) == 1
    assert learning_rate_factor("cosine", 0.5) == pytest.approx(0.5)
    assert learning_rate_factor("cosine", 0.999) < 1e-5
    assert learning_rate_factor("constant", 0.9) == 1


def test_nothing_looks_at_the_test_set(tiny, teacher):
    """With other test images, labels and groups the weights are the same."""
    other = pd.DataFrame(tiny.samples)
    changed = type(tiny)(**{**vars(tiny), "images": tiny.images.copy(), "samples": other.copy()})
    rows = tiny.split("test")[0]
    changed.images[rows] = 255 - changed.images[rows]
    changed.samples.loc[rows, "label"] = 2 - changed.samples.loc[rows, "label"]
    assert same(weights(teacher), weights(run(changed, role="teacher")))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_interrupted_training_ends_with_the_same_bits(tiny, teacher, tmp_path, monkeypatch, precision):
    settings = TrainingSettings(epochs=3, batch_size=32, precision=precision, device="cpu")
    method = {"kind": "mfd"}
    whole = run(tiny, method, settings=settings, teacher=teacher.model)
    state = ResumeState(tmp_path / "seed0.resume", "fingerprint")

    original = training.train_epoch

    def die_in_the_third(*args, **options):
        if options["epoch"] == 2:
            raise KeyboardInterrupt
        return original(*args, **options)

    monkeypatch.setattr(training, "train_epoch", die_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(tiny, method, settings=settings, teacher=teacher.model, resume=state)
    visited = []
    monkeypatch.setattr(training, "train_epoch", lambda *a, **o: visited.append(o["epoch"]) or original(*a, **o))
    resumed = run(tiny, method, settings=settings, teacher=teacher.model, resume=state)
    assert visited == [2]
    assert same(weights(whole), weights(resumed))
    assert resumed.history["epoch"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("damage", ["truncate", "garbage", "other"])
def test_state_that_does_not_belong_is_ignored(tmp_path, damage):
    path = tmp_path / "s.resume"
    layer = torch.nn.Linear(2, 2)
    ResumeState(path, "one").save({"layer": layer}, [{"epoch": 1}])
    assert ResumeState(path, "one").restore({"layer": layer}) == [{"epoch": 1}]
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "garbage":
        path.write_bytes(b"not a state")
    fingerprint = "two" if damage == "other" else "one"
    assert ResumeState(path, fingerprint).restore({"layer": layer}) == []


def test_a_loss_that_is_not_finite_is_reported(tiny):
    with pytest.raises(UserError, match=r"loss became .* in epoch 1.*learning_rate"):
        run(tiny, settings=TrainingSettings(epochs=1, batch_size=32, learning_rate=1e30, device="cpu"))


def test_weights_that_the_last_step_ruins_are_reported(tiny, monkeypatch):
    original = training.train_epoch

    def ruin(model, *args, **options):
        row = original(model, *args, **options)
        torch.nn.init.constant_(model.head.weight, float("nan"))
        return row

    monkeypatch.setattr(training, "train_epoch", ruin)
    with pytest.raises(UserError, match="weights became not finite in epoch 1"):
        run(tiny, settings=TrainingSettings(epochs=1, batch_size=32, device="cpu"))


def test_a_missing_teacher_is_reported(tiny):
    with pytest.raises(UserError, match="mfd needs a teacher"):
        run(tiny, {"kind": "mfd"})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"epoch": 3}, "unknown setting 'epoch'"),
        ({"schedule": "step"}, "schedule is 'step'"),
        ({"learning_rate": -1}, "learning_rate is -1"),
    ],
)
def test_bad_training_settings_are_named(settings, words):
    with pytest.raises(UserError, match=words):
        TrainingSettings.from_mapping(settings)


def job_arguments(folder, output, *more):
    return [
        "--data", str(folder), "--output", str(output), "--architecture", json.dumps(ARCHITECTURE),
        "--training", '{"epochs": 1, "batch_size": 32, "device": "cpu"}', *more,
    ]  # fmt: skip


def test_a_job_publishes_everything_and_leaves_no_state(tiny_folder, tiny, tmp_path):
    output = tmp_path / "teacher" / "seed0"
    start_job(tiny_folder, output)
    assert sorted(p.name for p in output.iterdir()) == [
        "history.csv", "predictions.parquet", "training.json", "weights.safetensors",
    ]  # fmt: skip
    assert [p.name for p in output.parent.iterdir()] == ["seed0"]
    predictions = pd.read_parquet(output / "predictions.parquet")
    assert predictions["sample_id"].tolist() == tiny.split("test")[0].tolist()
    assert predictions["label"].tolist() == tiny.split("test")[1].tolist()
    assert np.allclose(predictions[["p0", "p1", "p2"]].sum(axis=1), 1, atol=1e-5)
    record = json.loads((output / "training.json").read_text())
    assert record["run"]["role"] == "teacher"
    assert record["run"]["dataset"] == "tiny"
    assert record["parameters"]["training"]["epochs"] == 1
    model = load_model(output / "weights.safetensors", architecture=ARCHITECTURE)
    model = model.to(memory_format=torch.channels_last)
    logits = torch.cat([output.logits for output in infer(model, Images(tiny, "test", CPU))])
    assert np.allclose(predictions[["p0", "p1", "p2"]], logits.softmax(1).numpy(), atol=1e-6)


def start_job(folder, output, *more):
    job.run_training(job.parser("", method="scratch").parse_args(job_arguments(folder, output, *more)), role="teacher")


def test_the_same_seed_gives_the_same_bits_in_another_process(tiny_folder, tmp_path):
    start_job(tiny_folder, tmp_path / "here")
    command = [sys.executable, "-m", "scripts.train_teacher", *job_arguments(tiny_folder, tmp_path / "there")]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    for name in ("weights.safetensors", "predictions.parquet"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--architecture", '{"stem": "cifar"}', 'argument --architecture: lacks "kind"'),
        ("--architecture", '{"kind": ["resnet18"]}', 'argument --architecture: lacks "kind"'),
        ("--method", "{}", 'argument --method: lacks "kind"'),
        ("--method", "{kind: mfd}", "argument --method: not valid JSON"),
        ("--training", "[1]", "unknown setting 'kind'"),
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
        ('{"epochs": "3"}', 'training: epochs is "3"; it must be a whole number'),
        ('{"epochs": 3.0}', "training: epochs is 3.0; it must be a whole number"),
        ('{"epochs": true}', "training: epochs is true; it must be a whole number"),
        ('{"batch_size": null}', "training: batch_size is null; it must be a whole number"),
        ('{"learning_rate": "1e-3"}', 'training: learning_rate is "1e-3"; it must be a number'),
        ('{"learning_rate": false}', "training: learning_rate is false; it must be a number"),
        ('{"flip": 1}', "training: flip is 1; it must be true or false"),
        ('{"device": ["cpu"]}', 'training: device is ["cpu"]; it must be text'),
    ],
)
def test_a_training_setting_of_another_type_is_named(tiny_folder, tmp_path, training_, words):
    with pytest.raises(UserError) as error:
        start_job(tiny_folder, tmp_path / "out", "--training", training_)
    assert str(error.value) == words
    assert not (tmp_path / "out").exists()


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


def test_a_teacher_of_other_classes_is_refused(tiny_folder, tmp_path):
    from fairdistill.networks import save_model

    path = tmp_path / "weights.safetensors"
    save_model(path, build_model(ARCHITECTURE, 5), ARCHITECTURE)
    parser = job.parser("", method="mfd")
    args = parser.parse_args(job_arguments(tiny_folder, tmp_path / "out"))
    args.teacher, args.teacher_architecture = path, None
    with pytest.raises(UserError, match="knows 5 classes, the data set has 3"):
        job.run_training(args, role="student")
    assert not (tmp_path / "out").exists()
