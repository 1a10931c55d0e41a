"""Measure which algorithm computes each pass of a convolution fastest, and write the table of this kind of processor.

The table is what `fairdistill.training.engines.ways` reads, so that trainings on such processors take other ways from
then on, and give other bits. The machine has to be idle. Shapes are those of batches of 128 images of 32 and 64 px in
the networks that are trained. One thread computes, as in the workflow's trainings. Writes convolutions.md, which says
what is fastest where, to the folder of this machine's tables.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import get_args

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks import machine
from benchmarks.cases import BATCH_SIZE
from benchmarks.training_worker import Clock
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.runtime.progress import log
from fairdistill.settings.arguments import count_argument, folder_argument
from fairdistill.training.computing import be_deterministic
from fairdistill.training.engines import ways
from fairdistill.training.engines.convolution import FastConv2d, use_fast_convolutions
from fairdistill.training.engines.memory import keep_freed_memory
from fairdistill.training.engines.ways import Algorithm, Precision, Shape, Way

SIZES, CHANNELS = (1, 2, 4, 8, 16, 32), (64, 128, 256, 512)
# of size times channels: the largest maps of a network have its fewest channels
LARGEST = 2048
WARM_UP = 2
LEGEND = f"""\
For batches of {BATCH_SIZE} images on one thread; `precision: fp32` or `bf16` is that of the training.

- depthwise: whether each channel has a kernel of its own (True), or sees all channels (False);
- kernel, stride: the kernel's edge and its step, in pixels;
- size: the edge of the maps that come out, in pixels; those that come in are `stride` times as large;
- into, out: channels that come in and go out;
- forward, of_images, of_weight: the fastest algorithm of the forward pass, and of the backward pass, for the gradients
  with regard to the images (the maps that come in) and to the weight;
- ms: the sum of the three passes by these algorithms, in milliseconds; onednn, ms: the same all by `onednn`.

Algorithms: `onednn` is that library's convolution; `taps` is a product of matrices, in one of which a row is an output
pixel and holds what each place (tap) of the kernel sees there; `whole` is a product with one matrix that maps the whole
of an image's map, for all three passes or none; `float32` is `onednn` in float32 where the training is in bfloat16,
measured for the gradients of depthwise convolutions alone."""


def shapes() -> Iterator[Shape]:
    """The shapes that are measured; others take the way of the nearest."""
    for depthwise, kernel in ((False, 1), (False, 3), (True, 3), (True, 5)):
        for stride in (1, 2):
            for size in SIZES:
                for into in CHANNELS:
                    out = into if depthwise or stride == 1 else 2 * into
                    if kernel == size * stride or (depthwise and into in (128, 512)):
                        # there is nothing to choose where the kernel is the map; depthwise ones vary little
                        continue
                    if size * stride * into <= LARGEST:
                        yield Shape(depthwise, kernel, stride, size, into, out)


def algorithms(shape: Shape, precision: Precision) -> list[Algorithm]:
    """Those that could compute a shape."""
    found: list[Algorithm] = ["onednn"]
    if not shape.depthwise:
        found.append("taps")
    elif precision == "bf16":
        found.append("float32")
    if layer(shape)._windows(*[edge(shape)] * 2):
        found.append("whole")
    return found


def edge(shape: Shape) -> int:
    """The edge of the maps that come in."""
    return shape.size * shape.stride


def layer(shape: Shape) -> FastConv2d:
    """A convolution of a shape, padded so that each pixel is seen."""
    groups = shape.into if shape.depthwise else 1
    made = torch.nn.Conv2d(
        shape.into, shape.out, shape.kernel, shape.stride, shape.kernel // 2, groups=groups, bias=False
    )
    use_fast_convolutions(made)
    assert isinstance(made, FastConv2d)
    return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def milliseconds(function: Callable[[], object], repeats: int) -> float:
    """The median of the repeats."""
    return 1e3 * median(Clock(torch.device("cpu")).repeats(function, WARM_UP + repeats)[WARM_UP:])


def measure(shape: Shape, precision: Precision, algorithm: Algorithm, repeats: int) -> dict[str, float]:
    """The time of each pass by an algorithm."""
    module = layer(shape)
    forced = Way("onednn", "float32", "float32") if algorithm == "float32" else Way(*[algorithm] * 3)
    module._way = lambda *size, in_bf16: forced  # type: ignore[method-assign]
    images = torch.randn(BATCH_SIZE, shape.into, edge(shape), edge(shape)).to(memory_format=torch.channels_last)
    if precision == "bf16":
        images = images.bfloat16()

    def forward() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return module(images)

    found = {}
    for name, leaf in (("of_images", images), ("of_weight", module.weight)):
        # what needs a gradient is given one, be it asked for or not
        images.requires_grad_(leaf is images)
        module.weight.requires_grad_(leaf is not images)
        out = forward()
        backward = partial(torch.autograd.grad, out, [leaf], torch.randn_like(out), retain_graph=True)
        found[name] = milliseconds(backward, repeats)
    return {"forward": milliseconds(forward, repeats)} | found


def summary(kind: str) -> pd.DataFrame:
    """What is fastest for each shape, and how much faster than oneDNN all three passes are."""
    rows = []
    for (shape, precision), times in ways._times(kind).items():
        chosen = ways.fastest_way(shape, precision, kind)
        assert chosen is not None
        total = sum(times[algorithm][number] for number, algorithm in enumerate(chosen))
        of_onednn = {"ms": f"{total:.2f}", "onednn, ms": f"{sum(times['onednn']):.2f}"}
        rows.append(shape._asdict() | {"precision": precision} | chosen._asdict() | of_onednn)
    return pd.DataFrame(rows)


def to_markdown(table: pd.DataFrame, measured_on: str) -> str:
    """The `summary` as a page."""
    return "\n\n".join(["# The fastest way of each convolution", measured_on, LEGEND, markdown(table)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=folder_argument, default=machine.folder(), help="folder for the page")
    parser.add_argument("--tables", type=folder_argument, default=ways.TABLES, help="folder for the table")
    parser.add_argument("--repeats", type=count_argument, default=7, help="of each pass; their median counts")
    args = parser.parse_args()
    machine.prepare(args.output, args.tables)
    # the new table is code, too, and not yet there
    measured = machine.describe(machine.provenance())
    be_deterministic(1)
    keep_freed_memory()
    precisions = [name for name in get_args(Precision) if name == "fp32" or ways.has_bfloat16()]
    cases = [(shape, precision) for shape in shapes() for precision in precisions]
    rows = [
        shape._asdict()
        | {"precision": precision, "algorithm": algorithm}
        | measure(shape, precision, algorithm, args.repeats)
        for shape, precision in tqdm(cases, desc="convolutions", unit="shape")
        for algorithm in algorithms(shape, precision)
    ]
    kind, table = ways.processor(), pd.DataFrame(rows)
    ways.TABLES, page = args.tables, args.output / "convolutions.md"
    write_text(ways.table_of(kind), table.to_csv(index=False, float_format="%.3g"))
    ways.forget()
    write_text(page, to_markdown(summary(kind), measured))
    log(f"Written: {ways.table_of(kind)}, {page}")


if __name__ == "__main__":
    run_script(main)
