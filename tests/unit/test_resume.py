"""Trainings that are killed, at any moment and more than once, end with the bits of one that was not."""

import errno
import hashlib
import io
import json
import multiprocessing
import os
import random
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file
from small_network import Small
from torch import nn

from fairdistill.runtime import files
from fairdistill.runtime.locks import WriterLock
from fairdistill.training import computing, job, publish, resume
from fairdistill.training.resume import ResumeState
from scripts import train_model

EPOCHS = 40
KILLS = 8  # of each of three trainings
DAMAGES = ("truncated", "flipped bit", "zeros")
OUTPUTS = ["history.csv", "predictions.parquet", "training.json", "weights.safetensors"]


def train(folder, output, epochs=EPOCHS, die=None, robbed=False, **training):
    """Train, as a process of its own does.

    `die` is (n, when), to be killed before or after the n-th renaming; `robbed` is to lose the lock after training.
    """
    log = open(f"{output}.log", "a", encoding="utf-8", buffering=1)  # noqa: SIM115
    sys.stderr = log
    if die:
        _die_at_a_renaming(*die)
    if robbed:
        _lose_the_lock(Path(f"{output}.lock"))
    training = {"epochs": epochs, "batch_size": 24, "device": "cpu", "precision": "fp32", **training}
    options = ["--data", folder, "--output", output, "--training", json.dumps(training), "--code", "0123456789ab"]
    # of the tests alone, so that the command line does not know its kind
    job.run_training(replace(train_model.read_job([*map(str, options)]), network=Small()))


def _die_at_a_renaming(n, when):
    replace, count = os.replace, 0

    def dying(*paths):
        nonlocal count
        count += 1
        if count == n and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)
        if count == n:
            os.kill(os.getpid(), signal.SIGKILL)

    files.os.replace = dying


def _lose_the_lock(path):
    plain = publish.train

    def train_and_lose(*args, **options):
        trained = plain(*args, **options)
        path.write_text("process 7 on another node")
        return trained

    publish.train = train_and_lose


def some_of(values, n):
    """Parameters of which all but the first `n` are left to the long tests."""
    return [value if number < n else pytest.param(value, marks=pytest.mark.long) for number, value in enumerate(values)]


@pytest.fixture(scope="module")
def start(tiny_folder):
    """A function that starts a training; the processes are copies of one that has loaded torch."""
    context = multiprocessing.get_context("forkserver")
    # the last is what torchvision loads, in a second and a half
    context.set_forkserver_preload([__name__, publish.__name__, "torch._inductor"])

    def start(*args, folder=tiny_folder, **options):
        process = context.Process(target=train, args=(folder, *args), kwargs=options)
        process.start()
        return process

    with pytest.MonkeyPatch.context() as patch:
        # what the process that is copied finds, as it does not get sys.path
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield start


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """The outputs of a training that nothing interrupts."""
    output = tmp_path_factory.mktemp("whole") / "seed0"
    start(output).join()
    return output


def damage(path, kind, rng):
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    if kind == "truncated":
        del content[place:]
    elif kind == "flipped bit":
        content[place] ^= 1 << rng.randrange(8)
    elif kind == "zeros":
        content[place:] = bytes(len(content) - place)
    path.write_bytes(content)


def assert_same(output, whole):
    assert sorted(path.name for path in output.iterdir()) == OUTPUTS
    assert sorted(path.name for path in output.parent.iterdir()) == ["seed0", "seed0.log"]
    ours, theirs = (load_file(folder / "weights.safetensors") for folder in (output, whole))
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)
    assert (output / "predictions.parquet").read_bytes() == (whole / "predictions.parquet").read_bytes()
    ours, theirs = (pd.read_csv(folder / "history.csv") for folder in (output, whole))
    speed = ["seconds", "cpu_seconds", "images_per_second"]
    pd.testing.assert_frame_equal(ours.drop(columns=speed), theirs.drop(columns=speed))


@pytest.mark.parametrize("seed", some_of(range(3), 1))
def test_kills_at_random_moments_change_no_bit(start, whole, tmp_path, seed):
    output, log = tmp_path / "seed0", tmp_path / "seed0.log"
    epoch = pd.read_csv(whole / "history.csv")["seconds"].median()
    rng = random.Random(seed)
    damages = [*DAMAGES, *[None] * (KILLS - len(DAMAGES))]
    rng.shuffle(damages)
    for kind in damages:
        process = start(output)
        kill_after(process, log, rng.randrange(2, 5), rng.uniform(0, 4 * epoch))
        if kind:
            damage(tmp_path / "seed0.resume", kind, rng)
    start(output).join()
    assert_same(output, whole)
    text = log.read_text()
    assert text.count("resuming after epoch") == KILLS - len(DAMAGES)
    assert text.count("is damaged, or of an older version; starting anew") == len(DAMAGES)


def kill_after(process, log, epochs, seconds):
    """Kill a training some time after so many more epochs."""
    before = epochs_in(log)
    while epochs_in(log) < before + epochs:
        assert process.is_alive()
        time.sleep(0.001)
    time.sleep(seconds)
    process.kill()
    process.join()


def epochs_in(log):
    return log.read_text().count("\nepoch ") if log.exists() else 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("n", some_of(range(6, 0, -1), 1))
def test_a_kill_between_any_two_writes_changes_no_bit(start, tmp_path, short, n, when):
    """Three epochs save two states and publish four files; those of another training are there already."""
    output = tmp_path / "seed0"
    start(output, epochs=2).join()
    process = start(output, epochs=3, die=(n, when))
    process.join()
    assert process.exitcode == -signal.SIGKILL
    start(output, epochs=3).join()
    assert_same(output, short)


@pytest.fixture(scope="module")
def short(start, tmp_path_factory):
    output = tmp_path_factory.mktemp("short") / "seed0"
    start(output, epochs=3).join()
    return output


# the second of the five epochs is the best
KEEP_BEST = {
    "epochs": 5,
    "keep": "best",
    "schedule": "constant",
    "learning_rate": 0.1,
    "batch_size": 12,
}


@pytest.fixture(scope="module")
def best(start, tmp_path_factory, tiny_with_validation_folder):
    output = tmp_path_factory.mktemp("best") / "seed0"
    start(output, folder=tiny_with_validation_folder, **KEEP_BEST).join()
    assert pd.read_csv(output / "history.csv")["validation_accuracy"].argmax() == 1
    return output


@pytest.mark.parametrize("n", some_of(range(1, 5), 1))
def test_a_kill_before_or_after_the_best_epoch_changes_no_bit(start, tmp_path, best, tiny_with_validation_folder, n):
    """The training is killed once it has saved the state of the n-th epoch."""
    output = tmp_path / "seed0"
    options = {"folder": tiny_with_validation_folder, **KEEP_BEST}
    process = start(output, **options, die=(n, "after"))
    process.join()
    assert process.exitcode == -signal.SIGKILL
    start(output, **options).join()
    assert_same(output, best)
    log = Path(f"{output}.log").read_text()
    assert f"resuming after epoch {n}\n" in log
    assert "keeping epoch 2, the best on the validation split" in log


def test_of_state_of_another_training_the_log_says_what_differs(start, tmp_path, short):
    output = tmp_path / "seed0"
    start(output, epochs=4, die=(3, "after")).join()
    assert (tmp_path / "seed0.resume").exists()
    start(output, epochs=3).join()
    assert_same(output, short)
    log = Path(f"{output}.log").read_text()
    assert "seed0.resume, the state of an interrupted training, is of another training: " in log
    assert "parameters.training.epochs was 4 and is now 3; starting anew" in log


def test_a_training_goes_on_in_the_precision_that_it_began_with(tiny_folder, tmp_path, capsys, monkeypatch):
    """On a machine that would take another by itself."""
    training = {"epochs": 2, "batch_size": 24, "device": "cpu"}
    options = ["--data", tiny_folder, "--output", tmp_path / "seed0", "--training", json.dumps(training)]
    small = replace(train_model.read_job([*map(str, options), "--code", "0123456789ab"]), network=Small())
    save = ResumeState.save

    def save_and_end(*args):
        save(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(ResumeState, "save", save_and_end)
    monkeypatch.setattr(computing, "choose_precision", lambda *_: "fp32")
    with pytest.raises(KeyboardInterrupt):
        job.run_training(small)
    monkeypatch.setattr(ResumeState, "save", save)
    monkeypatch.setattr(computing, "choose_precision", lambda *_: "bf16")
    job.run_training(small)
    assert json.loads((tmp_path / "seed0" / "training.json").read_text())["precision"] == "fp32"
    log = capsys.readouterr().err
    assert "on the CPU, in fp32, with 1 thread\n" in log
    assert "going on in fp32, in which the training began; this machine would take bf16\n" in log
    assert "resuming after epoch 1\n" in log


def test_two_at_once_train_the_model_once(start, tmp_path, whole):
    output = tmp_path / "seed0"
    processes = [start(output), start(output)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert_same(output, whole)
    log = Path(f"{output}.log").read_text()
    assert log.count(f"epoch {EPOCHS}/{EPOCHS}") == 1
    assert "waiting for process" in log
    assert "holds this very training already" in log


def test_a_training_that_comes_second_waits_and_then_trains(start, tmp_path, short):
    output = tmp_path / "seed0"
    with WriterLock(tmp_path / "seed0.lock"):
        process = start(output, epochs=3)
        process.join(1)
        assert process.exitcode is None
    process.join()
    assert_same(output, short)


def test_a_training_that_lost_its_lock_saves_no_more_state(start, tmp_path):
    """As when its node was cut off, and another process has the model by now."""
    output, log = tmp_path / "seed0", tmp_path / "seed0.log"
    process = start(output)
    while epochs_in(log) < 1:
        assert process.is_alive()
        time.sleep(0.001)
    (tmp_path / "seed0.lock").write_text("process 7 on another node")
    process.join()
    assert process.exitcode == 1
    assert epochs_in(log) < EPOCHS
    assert not output.exists()


def test_a_training_that_lost_its_lock_publishes_nothing(start, tmp_path):
    """One epoch keeps no state on the way."""
    output = tmp_path / "seed0"
    process = start(output, epochs=1, robbed=True)
    process.join()
    assert process.exitcode == 1
    assert epochs_in(tmp_path / "seed0.log") == 1
    assert not output.exists()
    assert (tmp_path / "seed0.lock").read_text() == "process 7 on another node"


def test_a_finished_training_is_not_repeated_unless_an_output_is_damaged(start, tmp_path, short):
    output, log = tmp_path / "seed0", tmp_path / "seed0.log"
    start(output, epochs=3).join()
    before = [(output / name).stat().st_mtime_ns for name in OUTPUTS]
    start(output, epochs=3).join()
    assert log.read_text().count("epoch 3/3") == 1
    assert "holds this very training already" in log.read_text()
    assert_same(output, short)
    # newer than whatever made Snakemake ask for them
    assert all((output / name).stat().st_mtime_ns > old for name, old in zip(OUTPUTS, before, strict=True))
    damage(output / "predictions.parquet", "flipped bit", random.Random(0))
    start(output, epochs=3).join()
    assert log.read_text().count("epoch 3/3") == 2
    assert_same(output, short)


def test_the_record_tells_the_files_beside_it_and_the_code(start, tmp_path):
    output = tmp_path / "seed0"
    start(output, epochs=2).join()
    record = json.loads((output / "training.json").read_text())
    assert record["outputs"] == {
        name: hashlib.sha256((output / name).read_bytes()).hexdigest() for name in OUTPUTS if name != "training.json"
    }
    assert re.fullmatch(r"[0-9a-f]{40}(-modified)?", record["commit"] or "0" * 40)
    assert record["packages"]["torch"] == record["versions"]["torch"]
    assert len(record["packages"]) > len(record["versions"])


def test_a_full_disk_is_named_and_leaves_the_earlier_state(tmp_path, monkeypatch):
    state = ResumeState(tmp_path / "seed0.resume", {})
    parts = {"network": nn.Linear(200, 200)}
    state.save(parts, [{"epoch": 1}])
    before = state.path.read_bytes()
    monkeypatch.setattr(resume, "open", lambda path, mode: FullDisk(path, mode), raising=False)
    with pytest.raises(OSError, match=r"No space left on device: .*seed0\.resume"):
        state.save(parts, [{"epoch": 1}, {"epoch": 2}])
    assert state.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["seed0.resume"]
    assert state.restore()["history"] == [{"epoch": 1}]


class FullDisk(io.FileIO):
    """A file on a disk with room for 10,000 bytes."""

    def write(self, content):
        if self.tell() + len(content) > 10_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(content)
