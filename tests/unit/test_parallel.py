"""Work in threads: the order of results, errors, and what waits in memory."""

import time
from threading import Barrier, Lock

import pytest

from fairdistill.runtime import parallel
from fairdistill.runtime.parallel import in_threads


def test_results_come_in_the_order_of_the_items():
    def slow_at_first(item):
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert list(in_threads(slow_at_first, range(200))) == [item * item for item in range(200)]


@pytest.mark.parametrize(
    ("cores", "given", "wanted"), [(64, "2", 2), (64, None, 8), (64, "64", 8), (2, "8", 2), (3, "0", 3), (3, "4,2", 3)]
)
def test_a_job_takes_no_more_threads_than_snakemake_gives_it(monkeypatch, cores, given, wanted):
    monkeypatch.setattr(parallel, "usable_cores", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    together, running, most = Barrier(wanted, timeout=20), set(), 0

    def work(item):
        nonlocal most
        running.add(item)
        most = max(most, len(running))
        time.sleep(0.01)
        together.wait()
        running.remove(item)

    assert len(list(in_threads(work, range(3 * wanted)))) == 3 * wanted
    assert most <= wanted


def test_few_results_wait(monkeypatch):
    monkeypatch.setattr(parallel, "threads_of_job", lambda: 2)
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
