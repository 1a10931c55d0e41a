"""Work in threads: the order of results, errors, and what waits in memory."""

import time
from threading import Lock

import pytest

from fairdistill.runtime import parallel
from fairdistill.runtime.parallel import in_threads


def test_results_come_in_the_order_of_the_items():
    def slow_at_first(item):
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert list(in_threads(slow_at_first, range(200))) == [item * item for item in range(200)]


def test_few_results_wait(monkeypatch):
    monkeypatch.setattr(parallel, "usable_cores", lambda: 2)
    started, lock = [], Lock()

    def start(item):
        with lock:
            started.append(item)
        return item

    results = in_threads(start, iter(range(10_000)))
    assert next(results) == 0
    time.sleep(0.02)
    assert len(started) <= 2 * parallel.AHEAD
    assert list(results)[-1] == 9999


def test_an_error_comes_where_its_result_would():
    def fail_at_five(item):
        if item == 5:
            raise ValueError("five")
        return item

    results = in_threads(fail_at_five, range(100))
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(results)


def test_the_number_of_threads_has_a_bound(monkeypatch):
    monkeypatch.setattr(parallel, "usable_cores", lambda: 64)
    running, most, lock = 0, 0, Lock()

    def work(item):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1

    assert len(list(in_threads(work, range(200)))) == 200
    assert 1 < most <= parallel.MOST_THREADS
