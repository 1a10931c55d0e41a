"""The machine's true peak: the fastest of many matrix products and convolutions, in a process of its own. Prints JSON.

A single product is no bound: torch hands products and convolutions to several libraries, of which now one and now
another is faster, so that a training can come out above the speed of one product of 2048 x 2048. The shapes here are
large enough to fill a core, and small enough to stay in its caches, and those of the networks that are trained.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial

import torch
from torch.nn.functional import conv2d

from benchmarks.processes import run_at_once
from benchmarks.training_worker import Clock
from fairdistill.settings.arguments import count_argument
from fairdistill.training.computing import choose_device

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
# rows, inner and columns of a product
PRODUCTS = [(512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (4096, 1024, 1024), (2048, 4608, 512)]
PRODUCTS += [(8192, 576, 64), (2048, 1152, 256), (1024, 2304, 256), (512, 4608, 512)]
# images, channels in and out, edges of the kernel and of the map
CONVOLUTIONS = [(64, 64, 64, 3, 16), (64, 128, 128, 3, 16), (64, 256, 256, 3, 8), (32, 256, 256, 3, 16)]
CONVOLUTIONS += [(32, 512, 512, 3, 8), (64, 256, 256, 1, 16), (32, 512, 512, 1, 16)]
REPEATS = 4


def gflops(operation: Callable[[], object], operations: float, clock: Clock) -> float:
    """The speed of the fastest repeat, the first not counted."""
    return operations / min(clock.repeats(operation, 1 + REPEATS)[1:]) / 1e9


@torch.no_grad()
def peak(precision: str, device: torch.device) -> float:
    """The fastest of all shapes, in GFLOP/s."""

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=PRECISIONS[precision], device=device)

    clock, found = Clock(device), []
    for rows, inner, columns in PRODUCTS:
        product = partial(torch.mm, numbers(rows, inner), numbers(inner, columns))
        found.append(gflops(product, 2 * rows * inner * columns, clock))
    for images, channels, out, edge, size in CONVOLUTIONS:
        pixels = numbers(images, channels, size, size).to(memory_format=torch.channels_last)
        kernel = numbers(out, channels, edge, edge).to(memory_format=torch.channels_last)
        # taps that meet padding are no operations, so nothing is padded
        operations = 2 * images * (size - edge + 1) ** 2 * channels * out * edge**2
        found.append(gflops(partial(conv2d, pixels, kernel), operations, clock))
    return max(found)


def measure(processes: int, threads: int) -> dict[str, float]:
    """The peak of the whole machine by precision: the sum of so many processes at once, of so many threads each."""
    found = run_at_once(["benchmarks.peak"], processes=processes, threads=threads)
    return {name: sum(one[name] for one in found) for name in PRECISIONS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=count_argument, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = choose_device("auto")
    print(json.dumps({name: peak(name, device) for name in PRECISIONS}))


if __name__ == "__main__":
    main()
