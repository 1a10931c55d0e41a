"""Milliseconds of a training step on a GPU, one kernel after another and recorded as a CUDA graph. Writes a page.

Each data set's shape, architecture, role, precision and memory layout is a case. A step is all of a training's but for
making the batch: forward, loss, backward, optimiser. The layout "channels last" is the fast engine's; "channels first"
is torch's own, with torchvision's channel shuffle. With --profile the page also lists the kernels that take the most
time.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from benchmarks import machine
from benchmarks.cases import BATCH_SIZE, DATASETS, KINDS, METHODS
from benchmarks.training_worker import STAGE, random_images
from fairdistill.methods.base import Task, method_class
from fairdistill.networks import build_network
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import write_text
from fairdistill.runtime.progress import log
from fairdistill.settings.arguments import count_argument
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import read_settings
from fairdistill.settings.training import Training
from fairdistill.training.computing import be_deterministic
from fairdistill.training.engines import fast
from fairdistill.training.engines.graphs import RecordedStep
from fairdistill.training.loop import TakeStep, make_optimizer, make_step

BATCHES = 20  # different batches, which the steps take in turn
WARM_UP = 8  # steps before the timed ones: libraries choose their kernels, and the fourth is recorded
PROFILED = 5  # steps
PRECISIONS = ["bf16", "fp32"]
LAYOUTS = ["channels last", "channels first"]


class Case(NamedTuple):
    """What is measured: the shape of a data set, the network, teacher or student, and how it is computed."""

    dataset: str
    kind: str
    role: str
    precision: str
    layout: str


def build(case: Case, device: torch.device) -> tuple[TakeStep, list[tuple]]:
    """Return a function that makes a step, and batches for it: positions, flips and pixels each."""
    size, n_classes, n_groups, _, _ = DATASETS[case.dataset]
    images = fast.Images(random_images(size, n_classes, n_groups, BATCH_SIZE * BATCHES), "train", device)
    network_settings, method_settings = read_settings(AnyNetwork, {"kind": case.kind}, where="kind"), METHODS[case.role]
    torch.manual_seed(0)
    network, base = (build_network(network_settings, n_classes) for _ in range(2))
    task = Task(n_classes, n_groups, images.label.cpu(), images.group.cpu(), size, network, base)
    method = method_class(method_settings)(method_settings, task)
    bf16 = case.precision == "bf16"
    ask_base = fast.BaseOutputs(base, method, images, flip=True, bf16=bf16) if method.uses_base else None
    channels_last = case.layout == "channels last"
    if channels_last:
        network, method = fast.prepare(network, method, device, size)
    else:
        network, method = network.to(device), method.to(device)
    network.bf16 = case.precision == "bf16"
    network.train()
    method.train()
    optimizers = method.optimizers(STAGE, network, partial(make_optimizer, fast.optimizer, device, Training(epochs=1)))
    order = torch.arange(len(images), device=device)
    flips = torch.rand(len(images), device=device) < 0.5
    batches = [
        (positions, flip, pixels if channels_last else pixels.contiguous())
        for positions, flip, pixels in images.batches(order, flips, BATCH_SIZE)
    ]
    return make_step(network, method, optimizers, images, ask_base, STAGE), batches


def step_ms(step: Callable, batches: list[tuple], steps: int) -> float:
    """Return the milliseconds of a step, the GPU's included, on average over `steps` after the first few."""
    for number in range(WARM_UP):
        step(*batches[number % len(batches)])
    torch.cuda.synchronize()
    started = time.perf_counter()
    for number in range(steps):
        step(*batches[number % len(batches)])
    torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - started) / steps


def measure(case: Case, steps: int) -> dict:
    """Return the case with the milliseconds of its step, not recorded and recorded."""
    step, batches = build(case, torch.device("cuda"))
    row = case._asdict() | {"eager_ms": step_ms(step, batches, steps)}
    return row | {"recorded_ms": step_ms(RecordedStep(step), batches, steps)}


def profile(case: Case) -> pd.DataFrame:
    """Return the kernels of a step that is not recorded, see `kernel_table`."""
    step, batches = build(case, torch.device("cuda"))
    for number in range(WARM_UP):
        step(*batches[number])
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        for number in range(PROFILED):
            step(*batches[number])
        torch.cuda.synchronize()
    return kernel_table(profiler.key_averages(), PROFILED)


def kernel_table(events: list[Any], steps: int) -> pd.DataFrame:
    """Return the kernels of torch.profiler's `events` of so many steps, the slowest first.

    Columns: kernel; per_step, how often a step starts it; us, the microseconds of a step that it takes. What a program
    marked for the profiler, such as an optimiser's step, covers kernels that are there already, and is left out.
    """
    rows = [
        {"kernel": event.key, "per_step": event.count / steps, "us": event.self_device_time_total / steps}
        for event in events
        if event.device_type.name == "CUDA" and not event.is_user_annotation and event.self_device_time_total
    ]
    table = pd.DataFrame(rows, columns=["kernel", "per_step", "us"])
    return table.sort_values("us", ascending=False, kind="stable", ignore_index=True)


def steps_section(rows: pd.DataFrame) -> str:
    """Return the table of `measure`'s rows as Markdown."""
    table = rows[list(Case._fields)].assign(
        **{
            "one by one, ms": rows["eager_ms"].map("{:.2f}".format),
            "recorded, ms": rows["recorded_ms"].map("{:.2f}".format),
            "ratio": (rows["eager_ms"] / rows["recorded_ms"]).map("{:.1f}x".format),
        }
    )
    return markdown(table)


def kernels_section(case: Case, kernels: pd.DataFrame, most: int = 20) -> str:
    """Return the kernels of a case as Markdown, `most` of them, below how many there are and their time together."""
    total = f"{kernels['us'].sum() / 1e3:.2f} ms in {kernels['per_step'].sum():.0f} kernels a step"
    shown = kernels.head(most)
    table = pd.DataFrame(
        {
            "us a step": shown["us"].map("{:.1f}".format),
            "times": shown["per_step"].map("{:.1f}".format),
            # a template's arguments fill a screen
            "kernel": "`" + shown["kernel"].str.slice(0, 100) + "`",
        }
    )
    return f"## {', '.join(case)}\n\n{total}\n\n{markdown(table)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--roles", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=LAYOUTS)
    parser.add_argument("--steps", type=count_argument, default=100, help="timed steps of each case")
    parser.add_argument("--profile", action="store_true", help="list the kernels of each case, too")
    parser.add_argument("--output", type=Path, default=machine.folder() / "gpu_steps.md", help="the page")
    args = parser.parse_args()
    if not machine.has_gpu():
        raise UserError("benchmarks.gpu_steps measures a GPU, and torch sees none")
    machine.prepare(args.output.parent)
    be_deterministic(threads=1)
    rows, sections = [], []
    for values in product(args.datasets, args.kinds, args.roles, args.precisions, args.layouts):
        case = Case(*values)
        rows.append(measure(case, args.steps))
        log(f"{', '.join(case)}: {rows[-1]['eager_ms']:.2f} ms, recorded {rows[-1]['recorded_ms']:.2f} ms")
        if args.profile:
            sections.append(kernels_section(case, profile(case)))
    sections.insert(0, steps_section(pd.DataFrame(rows)))
    text = "\n\n".join([f"# A training step on a GPU\n\n{machine.describe(machine.provenance())}", *sections]) + "\n"
    write_text(args.output, text)
    print(text)


if __name__ == "__main__":
    run_script(main)
