"""Which algorithm computes each pass of a convolution fastest: as it was measured, for its shape and the processor.

The folder convolution_times has a table for each kind of processor that was measured, which
`python -m benchmarks.convolutions` makes. Kinds are told apart by what torch says of the processor and by nothing that
differs from one run to the next, so that a machine always gives the same bits. A kind without a table takes that of
the nearest; which it was is in the record of a training.
"""

import csv
import math
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch

TABLES = Path(__file__).with_name("convolution_times")
# in the order of what they can do, so that neighbours are alike
PROCESSORS = ["other", "avx2", "avx512", "avx512_bf16", "amx"]

Precision = Literal["fp32", "bf16"]
# oneDNN's kernels; products of matrices whose rows are what the pixels of an output see; the product with one matrix
# that maps the whole of an image's map; and oneDNN's kernels in float32 where all else is in bfloat16
Algorithm = Literal["onednn", "taps", "whole", "float32"]


class Shape(NamedTuple):
    """A convolution with a square kernel, on square maps: all edges are in pixels, and `size` is that of an output."""

    depthwise: bool
    kernel: int
    stride: int
    size: int
    into: int
    out: int


class Way(NamedTuple):
    """The algorithm of the forward pass, and of the gradients with regard to images and weight."""

    forward: Algorithm = "onednn"
    of_images: Algorithm = "onednn"
    of_weight: Algorithm = "onednn"


# for all passes, as their matrix is made once
WHOLE = Way("whole", "whole", "whole")


def processor() -> str:
    """The kind of this processor."""
    if torch.cpu._is_amx_tile_supported():
        return "amx"
    if torch.cpu._is_avx512_bf16_supported():
        return "avx512_bf16"
    name = torch.backends.cpu.get_cpu_capability().lower()
    return name if name in PROCESSORS else "other"


@cache
def measured(kind: str) -> str:
    """The kind, or if that was not measured the nearest that was; of two as near, the one that can do less."""
    place = PROCESSORS.index(kind)
    known = [name for name in PROCESSORS if (TABLES / f"{name}.csv").exists()]
    return min(known, key=lambda name: abs(PROCESSORS.index(name) - place))


@cache
def way(shape: Shape, precision: Precision, kind: str) -> Way | None:
    """The fastest way for a shape, by the nearest that was measured; None where no kernel and stride like its were.

    `WHOLE` may come out for shapes that are too large for it, and for others with a map as small.
    """
    tables = _times(measured(kind))
    alike = [known for known in tables if known[1] == precision and known[0][:3] == shape[:3]]
    if not alike:
        return None
    times = tables[min(alike, key=lambda known: _distance(known[0], shape))]
    # the forward pass has no other algorithm in float32
    others = [{"whole", "float32"}, {"whole"}, {"whole"}]
    passes = [
        {name: row[number] for name, row in times.items() if name not in other} for number, other in enumerate(others)
    ]
    if "whole" in times and sum(times["whole"]) < sum(min(row.values()) for row in passes):
        return WHOLE
    return Way(*(min(row, key=row.__getitem__) for row in passes))


def bf16_pays(kind: str) -> bool:
    """Whether the fastest ways of all shapes that were measured take less time in bfloat16 than in float32."""
    total = {"fp32": 0.0, "bf16": 0.0}
    for (_, precision), times in _times(measured(kind)).items():
        total[precision] += sum(min(row[number] for row in times.values()) for number in range(3))
    return total["bf16"] < total["fp32"]


def _distance(known: Shape, shape: Shape) -> float:
    return sum(abs(math.log2(a / b)) for a, b in zip(known[3:], shape[3:], strict=True))


@cache
def _times(kind: str) -> dict[tuple[Shape, Precision], dict[Algorithm, list[float]]]:
    """Milliseconds of the three passes by shape, precision and algorithm."""
    found: dict = {}
    with open(TABLES / f"{kind}.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            shape = Shape(row["depthwise"] == "True", *(int(row[name]) for name in Shape._fields[1:]))
            assert row["precision"] in get_args(Precision)
            assert row["algorithm"] in get_args(Algorithm)
            times = found.setdefault((shape, row["precision"]), {})
            times[row["algorithm"]] = [float(row[name]) for name in Way._fields]
    return found
