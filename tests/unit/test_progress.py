"""What a training and a run of Snakemake log of their progress, and how scripts.watch_trainings shows it."""

import os
import time

import pytest
from rich.console import Console

from fairdistill.runtime import progress
from fairdistill.runtime.errors import UserError
from scripts import watch_trainings


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when they are told to."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


class Loss:
    """A loss on a GPU, where reading it waits for the GPU."""

    reads = 0

    def __float__(self):
        Loss.reads += 1
        return 30.0


def test_a_long_epoch_says_how_far_it_is_now_and_then(clock, capsys):
    epoch = progress.EpochProgress(2, 5, 100, 128)
    for step in range(1, 101):
        clock[0] += 1
        epoch.step(step, Loss())
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "epoch 2/5, step 20/100  loss 1.5000  128 images/s  6 min left"
    assert len(said) == Loss.reads == 4


def test_what_is_done_of_many_things_is_said_now_and_then(clock, capsys):
    images = progress.Progress("reading images", 100)
    for done in range(1, 101):
        clock[0] += 0.25
        images.step(done)
    assert capsys.readouterr().err.splitlines() == [
        "reading images: 40 of 100, 15 s left",
        "reading images: 80 of 100, 5 s left",
    ]


def test_a_short_epoch_says_nothing_within(clock, capsys):
    epoch = progress.EpochProgress(1, 5, 10, 128)
    for step in range(1, 11):
        clock[0] += 1
        epoch.step(step, Loss())
    assert capsys.readouterr().err == ""


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """A run of Snakemake that began ten minutes ago and planned three trainings."""
    monkeypatch.chdir(tmp_path)
    run = str(time.time_ns() - 600 * 10**9)
    monkeypatch.setenv("FAIRDISTILL_RUN", run)
    logs = [f"logs/s/train_model/d.a.m.seed{seed}.log" for seed in range(3)]
    progress.plan_trainings(run, logs)
    for log in logs:
        (tmp_path / log).parent.mkdir(parents=True, exist_ok=True)
    return logs


def test_the_grid_is_counted_once_for_each_training(grid, capsys):
    for name in ("a", "b", "a"):
        progress.count_training(name)
    assert capsys.readouterr().err.splitlines() == [
        "1 of 3 trainings done, about 20 min left",
        "2 of 3 trainings done, about 5 min left",
        "2 of 3 trainings done, about 5 min left",
    ]


def test_what_runs_of_long_ago_planned_is_removed(grid):
    earlier = progress.TRAININGS / "1.planned"
    earlier.touch()
    os.utime(earlier, (0, 0))
    progress.plan_trainings("2", ["logs/one.log"])
    assert not earlier.exists()
    assert len(list(progress.TRAININGS.iterdir())) == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3540, "59 min"), (3600, "1 h 0 min"), (7530, "2 h 6 min")],
)
def test_a_duration_is_rounded_to_what_a_person_wants_to_know(seconds, words):
    assert progress.duration(seconds) == words


def test_outside_a_run_nothing_is_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAIRDISTILL_RUN", raising=False)
    progress.count_training("a")
    assert capsys.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


def test_each_running_training_has_a_line(grid, tmp_path):
    done, halfway, distilling = (tmp_path / log for log in grid)
    done.write_text("epoch 4/4  loss 0.1  9 images/s  0 s left\n1 of 3 trainings done, about 20 min left\n")
    halfway.write_text(
        "teacher m on d\nepoch 2/4, step 5/10  loss 0.5000  cross_entropy 0.5  320 images/s  1 h 2 min left\n"
    )
    distilling.write_text("computing the teacher's features of the training images\n")
    console = Console(width=140)
    with console.capture() as capture:
        console.print(watch_trainings.table(grid, os.environ["FAIRDISTILL_RUN"]))
    lines = [line.split() for line in capture.get().splitlines()]
    assert lines[0][0] == "d.a.m.seed1"
    assert lines[0][2:] == ["38%", "loss", "0.5000", "320", "images/s", "1", "h", "2", "min", "left"]
    assert lines[1][0] == "d.a.m.seed2"
    assert lines[1][-8:] == ["computing", "the", "teacher's", "features", "of", "the", "training", "images"]
    assert lines[2] == ["0", "of", "3", "trainings", "done"]


def test_a_log_that_is_silent_or_of_an_earlier_run_is_not_shown(grid, tmp_path):
    log = tmp_path / grid[0]
    log.write_text("epoch 1/4  loss 0.1  9 images/s  0 s left\n")
    now = time.time()
    assert list(watch_trainings.running(grid, now - 600, now)) == ["d.a.m.seed0"]
    assert watch_trainings.running(grid, now - 600, now + 301) == {}
    assert watch_trainings.running(grid, now + 1, now) == {}


def test_where_nothing_was_planned_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["watch_trainings"])
    with pytest.raises(UserError, match="no run of Snakemake has planned trainings in this folder"):
        watch_trainings.main()


def test_it_ends_with_the_grid(grid, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["watch_trainings"])
    for name in "abc":
        progress.count_training(name)
    watch_trainings.main()
    assert "3 of 3 trainings done" in capsys.readouterr().out


def test_a_row_of_the_history_is_a_line_with_the_accuracy_on_each_split_that_has_one():
    row = {"epoch": 2, "loss": 1.5, "mfd": 0.25, "seconds": 30.0, "images_per_second": 1234.5, "train_accuracy": 0.5}
    assert progress.describe(row, 4) == "epoch 2/4  loss 1.5000  mfd 0.2500  train 0.500  1234 images/s  1 min left"
    row |= {"validation_accuracy": 0.45, "test_accuracy": 0.4}
    assert "  train 0.500  validation 0.450  test 0.400  " in progress.describe(row, 4)
