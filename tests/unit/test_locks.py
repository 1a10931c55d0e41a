"""Two processes never write the same model."""

import multiprocessing
import os
import signal
import time

import pytest

from fairdistill.runtime import locks
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.locks import WriterLock

spawn = multiprocessing.get_context("spawn")


@pytest.fixture(autouse=True)
def short_pause(monkeypatch):
    monkeypatch.setattr(locks, "PAUSE", 0.01)


def hold(path, holding):
    with WriterLock(path):
        holding.set()
        time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    holding = spawn.Event()
    process = spawn.Process(target=hold, args=(tmp_path / "seed0.lock", holding))
    process.start()
    assert holding.wait(60)
    yield process
    process.kill()
    process.join()


def append_alone(path, count):
    locks.PAUSE = 0.001
    for _ in range(count):
        with WriterLock(path.with_suffix(".lock")):
            number = int(path.read_text())
            time.sleep(0.001)
            path.write_text(str(number + 1))


def test_many_at_once_lose_no_write_and_leave_no_lock(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")
    processes = [spawn.Process(target=append_alone, args=(path, 20)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert path.read_text() == "80"
    assert [p.name for p in tmp_path.iterdir()] == ["count"]


def test_the_second_says_for_whom_it_waits_and_goes_on_when_that_one_is_killed(tmp_path, holder, monkeypatch, capsys):
    # what it does while it waits
    monkeypatch.setattr(locks.time, "sleep", lambda _: os.kill(holder.pid, signal.SIGKILL))
    with WriterLock(tmp_path / "seed0.lock") as lock:
        assert lock.waited
        lock.check()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"waiting for process {holder.pid} on ")


def test_who_comes_first_does_not_wait(tmp_path):
    with WriterLock(tmp_path / "seed0.lock") as lock:
        assert not lock.waited


def test_a_process_whose_lock_was_given_away_writes_no_more_and_leaves_the_new_one(tmp_path):
    path = tmp_path / "seed0.lock"
    with WriterLock(path) as lock:
        path.write_text("process 7 on another node")
        with pytest.raises(UserError, match="another process has taken over"):
            lock.check()
    assert path.read_text() == "process 7 on another node"
