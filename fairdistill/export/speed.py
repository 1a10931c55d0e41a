"""How long an exported model takes on this machine."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from fairdistill.export.sessions import ExportedModel

BATCHES = (1, 64)
LEAST_RUNS, LEAST_SECONDS = 10, 1.0


def measure(path: Path, threads: int) -> list[dict[str, float]]:
    """Return the latency of an ONNX file in ms, for each batch size, on one thread and on `threads`.

    Each is the shortest of the runs of one second, or of ten where these take longer: other programs only lengthen a
    run. The images are noise, as no layer's time depends on what is in an image. Reading and resizing files is not part
    of it.
    """
    rng, found = np.random.default_rng(0), []
    for number in sorted({1, threads}):
        model = ExportedModel(path, threads=number)
        size = model.preprocessor.network_sees
        for batch in BATCHES:
            images = rng.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
            group = np.zeros(batch, dtype=np.int64)
            ms = _shortest_ms(partial(model.predict, images, group))
            found.append({"batch": batch, "threads": number, "ms": ms})
    return found


def _shortest_ms(run: Callable[[], object]) -> float:
    # the first run makes what later ones have
    run()
    taken: list[float] = []
    while len(taken) < LEAST_RUNS or sum(taken) < LEAST_SECONDS:
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return round(1000 * min(taken), 4)
