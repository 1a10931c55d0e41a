"""Which algorithm computes each pass of a convolution fastest: as it was measured, for its shape and the processor.

Beside this module is a table for each kind of processor that was measured, such as ways.avx512.csv, which
`python -m benchmarks.convolutions` makes. Kinds are told apart by what torch says of the processor and by nothing that
differs from one run to the next, so that a machine always gives the same bits. A kind without a table takes that of
the nearest; the record of a training has both kinds. The tables count as code: where one changes, models are
trained anew.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch

from fairdistill.runtime.errors import UserError

TABLES = Path(__file__).parent
MAKE = "take that of the repository, or make it with python -m benchmarks.convolutions"
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


# of a table
COLUMNS = [*Shape._fields, "precision", "algorithm", *Way._fields]
# of what an error says of a table, in characters
LONGEST = 120
# for all passes, as their matrix is made once
WHOLE = Way("whole", "whole", "whole")


def processor() -> str:
    """The kind of this processor."""
    if torch.cpu._is_amx_tile_supported():
        return "amx"
    if has_bfloat16():
        return "avx512_bf16"
    name = torch.backends.cpu.get_cpu_capability().lower()
    return name if name in PROCESSORS else "other"


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16, which torch imitates otherwise, twenty times slower."""
    return torch.cpu._is_avx512_bf16_supported()


def table_of(kind: str) -> Path:
    """Where the table of a kind of processor is, or would be."""
    return TABLES / f"ways.{kind}.csv"


@cache
def measured(kind: str, precision: Precision) -> str:
    """The kind, or if that was not measured the nearest that was; of two as near, the one that can do less.

    In bfloat16 not all were measured, as not all have it.
    """
    place = PROCESSORS.index(kind)
    known = [name for name in PROCESSORS if any(measured_in == precision for _, measured_in in _times(name))]
    if not known:
        raise UserError(f"{TABLES}: no table of ways has times in {precision}; {MAKE}")
    return min(known, key=lambda name: abs(PROCESSORS.index(name) - place))


@cache
def fastest_way(shape: Shape, precision: Precision, kind: str) -> Way | None:
    """The fastest way for a shape, by the nearest that was measured; None where no kernel and stride like its were.

    `WHOLE` may come out for maps that are too large for it, if the nearest that were measured are not.
    """
    times = _times(measured(kind, precision))
    alike = [known for known, measured_in in times if measured_in == precision and _kind_of(known) == _kind_of(shape)]
    if not alike:
        return None
    by_algorithm = times[min(alike, key=lambda known: _distance(known, shape)), precision]
    # the forward pass of "float32" is oneDNN's, as the weights and images are in bfloat16
    not_apart: list[set[Algorithm]] = [{"whole", "float32"}, {"whole"}, {"whole"}]
    passes = [
        {name: row[number] for name, row in by_algorithm.items() if name not in excluded}
        for number, excluded in enumerate(not_apart)
    ]
    if "whole" in by_algorithm and sum(by_algorithm["whole"]) < sum(min(each.values()) for each in passes):
        return WHOLE
    return Way(*(min(each, key=each.__getitem__) for each in passes))


def bf16_pays(kind: str) -> bool:
    """Whether the fastest ways of all shapes that were measured take less time in bfloat16 than in float32."""
    total = {"fp32": 0.0, "bf16": 0.0}
    for (_, precision), by_algorithm in _times(measured(kind, "bf16")).items():
        total[precision] += sum(min(row[number] for row in by_algorithm.values()) for number in range(3))
    return total["bf16"] < total["fp32"]


def forget() -> None:
    """Read the tables anew when they are asked for next."""
    for function in (measured, fastest_way, _times):
        function.cache_clear()


def _kind_of(shape: Shape) -> tuple[bool, int, int]:
    return shape.depthwise, shape.kernel, shape.stride


def _distance(known: Shape, shape: Shape) -> float:
    pairs = (known.size, shape.size), (known.into, shape.into), (known.out, shape.out)
    return sum(abs(math.log2(a / b)) for a, b in pairs)


@cache
def _times(kind: str) -> dict[tuple[Shape, Precision], dict[Algorithm, list[float]]]:
    """Milliseconds of the three passes by shape, precision and algorithm; none of a kind without a table.

    Raises
    ------
    UserError
        One line that names the file, if it is no such table.
    """
    path = table_of(kind)
    found: dict = {}
    if not path.exists():
        return found
    try:
        with open(path, newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            columns = table.fieldnames or []
            if missing := [name for name in COLUMNS if name not in columns]:
                raise ValueError(f"it lacks the column {missing[0]}")
            rows = [_read(row) for row in table]
    except (csv.Error, OSError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not readable as a table of ways ({_short(error)}); {MAKE}") from None
    if not rows:
        raise UserError(f"{path}: not readable as a table of ways (it has no rows); {MAKE}")
    for case, algorithm, times in rows:
        found.setdefault(case, {})[algorithm] = times
    if lacking := [shape for (shape, _), times in found.items() if "onednn" not in times]:
        raise UserError(f"{path}: has no times of onednn for {lacking[0]}; {MAKE}")
    return found


def _read(row: Mapping[str, str]) -> tuple[tuple[Shape, Precision], Algorithm, list[float]]:
    depthwise, precision, algorithm = (
        _one_of(row[name], choices)
        for name, choices in (
            ("depthwise", ("True", "False")),
            ("precision", get_args(Precision)),
            ("algorithm", get_args(Algorithm)),
        )
    )
    edges = [int(row[name]) for name in Shape._fields[1:]]
    times = [float(row[name]) for name in Way._fields]
    if min(edges) < 1 or not all(0 < time < math.inf for time in times):
        raise ValueError(f"not above zero: {edges + times}")
    return (Shape(depthwise == "True", *edges), precision), algorithm, times


def _short(error: Exception) -> str:
    """What an error says, as far as it is a line that can be read."""
    said = " ".join(str(error).split())
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


def _one_of(value: str, choices: Sequence[str]) -> Any:
    if value not in choices:
        raise ValueError(f"{value!r} is none of {', '.join(choices)}")
    return value
