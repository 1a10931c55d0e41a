"""Work that is done in several threads at once."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 8
AHEAD = 8  # items for each thread that are worked on before the first of their results is taken


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def threads_of_machine() -> int:
    """Return the number of threads that gain: the cores that this process may use, at most `MOST_THREADS`."""
    return min(usable_cores(), MOST_THREADS)


def threads_of_job() -> int:
    """Return the number of threads that this process shall take: those that gain, as far as its job has the cores.

    Snakemake says in OMP_NUM_THREADS how many of its `--cores` a job has, which may be fewer than the machine has.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    return min(threads_of_machine(), int(given) if given.isdecimal() and int(given) else MOST_THREADS)


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yield `function` of each item, in the order of the items; several are worked on at once.

    It gains where most of the time is spent in libraries that let other threads run meanwhile, as Pillow and NumPy do.
    However many items there are, few results wait in memory. An error of `function` is raised where its result would
    come. Without `threads` there are as many as `threads_of_job` says.
    """
    threads = threads or threads_of_job()
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) == threads * AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
