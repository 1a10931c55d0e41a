"""Measure one training, in a process of its own: images per second, the parts of a step, memory. Prints JSON.

The data are random pixels in the shape of the real data sets: speed does not depend on what they show.
"""

import argparse
import json
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial, reduce
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from benchmarks.cases import BATCH_SIZE, DATASETS, EPOCHS, METHODS, PARTS, Engine
from benchmarks.operations import count_operations
from fairdistill.data import ImageDataset
from fairdistill.methods.base import Batch, Method, Task, method_class
from fairdistill.methods.mfd import MFD
from fairdistill.networks import Classifier, build_network
from fairdistill.runtime.provenance import peak_memory_mb
from fairdistill.settings.arguments import count_argument
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.methods import Method as MethodSettings
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import read_settings
from fairdistill.settings.training import Training
from fairdistill.training.computing import be_deterministic, choose_computing
from fairdistill.training.engines.base import Images
from fairdistill.training.loop import make_optimizer, make_step, train_epoch

STAGE = "train"

# steps before the timed ones and after them: a DataLoader works ahead at first and rests at the end, and a GPU's fourth
# step is recorded
WARM_UP, COOL_DOWN = 6, 4


def random_images(size: int, n_classes: int, n_groups: int, n: int) -> ImageDataset:
    """Return `n` images of random pixels, all of them for training, mapped from a file as those of a data set are."""
    rng = np.random.default_rng(0)
    label, group = rng.integers(0, n_classes, n), np.arange(n) % n_groups
    samples = pd.DataFrame({"split": "train", "label": label, "group": group}).astype(
        {"label": "int16", "group": "int16"}
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8))
        # the file stays as long as it is mapped
        images = np.lib.format.open_memmap(path, mode="c")
    return ImageDataset(
        images=images,
        samples=samples,
        classes=[f"class{y}" for y in range(n_classes)],
        groups=[f"group{a}" for a in range(n_groups)],
        mean=np.full(3, 0.5),
        std=np.full(3, 0.29),
        info={},
    )


class Clock:
    """Seconds between `start` and `stop`, and in named parts, waiting for the GPU where there is one."""

    def __init__(self, device: torch.device):
        self.device = device
        self.start()

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def start(self) -> None:
        self.parts: dict[str, float] = defaultdict(float)
        self.started = self.now()

    def stop(self) -> None:
        self.seconds, self.stopped = self.now() - self.started, dict(self.parts)

    def repeats(self, function: Callable[[], object], number: int) -> list[float]:
        """Call a function so many times, and return the seconds of each call."""
        found = []
        for _ in range(number):
            self.start()
            function()
            self.stop()
            found.append(self.seconds)
        return found

    def timed(self, part: str, function: Callable) -> Callable:
        def call(*args, **options):
            started = self.now()
            result = function(*args, **options)
            self.parts[part] += self.now() - started
            return result

        return call

    def timed_batches(self, batches: Callable) -> Callable:
        def iterate(*args) -> Iterator:
            source = iter(batches(*args))
            draw = self.timed("data", lambda: next(source, None))
            while (batch := draw()) is not None:
                yield batch

        return iterate


def window(batches: Callable, steps: int, begin: Callable, end: Callable) -> Callable:
    """`batches`, with `begin` called before the first of the timed steps and `end` after the last."""

    def iterate(*args) -> Iterator:
        source = iter(batches(*args))
        for number in range(WARM_UP + steps + COOL_DOWN):
            if number == WARM_UP:
                begin()
            if number == WARM_UP + steps:
                end()
            yield next(source)

    return iterate


class Subject(NamedTuple):
    """A training whose steps are timed.

    Attributes
    ----------
    feature_seconds
        What reading the base's outputs for all images took beforehand; 0 where it is read in each step.
    """

    engine: ModuleType
    device: torch.device
    settings: Training
    images: Images
    network: Classifier
    method: Method
    ask_base: Callable[..., dict[str, torch.Tensor]] | None
    feature_seconds: float

    def optimizers(self, stage: str) -> dict[str, torch.optim.Optimizer]:
        make = partial(make_optimizer, self.engine.optimizer, self.device, self.settings)
        return self.method.optimizers(stage, self.network, make)


def set_up(
    engine_name: Engine,
    dataset_name: str,
    kind: str,
    method_settings: MethodSettings,
    *,
    base_kind: str | None = None,
    steps: int,
    threads: int,
) -> Subject:
    """Make everything that the steps of a training need, with as many random images as `window` takes."""
    settings = Training(epochs=1, batch_size=BATCH_SIZE, threads=threads, engine=engine_name)
    network_settings = read_settings(AnyNetwork, {"kind": kind}, where="--kind")
    be_deterministic(threads)
    engine, device, precision = choose_computing(settings, network_settings)
    size, n_classes, n_groups, n_train, _ = DATASETS[dataset_name]
    dataset = random_images(size, n_classes, n_groups, BATCH_SIZE * (WARM_UP + steps + COOL_DOWN))
    images = engine.Images(dataset, "train", device)
    torch.manual_seed(0)
    kind_of_method = method_class(method_settings)
    network = build_network(network_settings, kind_of_method.n_outputs(method_settings, n_classes, n_groups))
    base = None
    if method_settings.stands_on:
        base = build_network(read_settings(AnyNetwork, {"kind": base_kind or kind}, where="--base-kind"), n_classes)
    task = Task(n_classes, n_groups, images.label.cpu(), images.group.cpu(), images.size, network, base)
    method = kind_of_method(method_settings, task)
    network, method = engine.prepare(network, method, device, images.size)
    network.bf16 = precision == "bf16"
    ask_base, clock = None, Clock(device)
    if method.uses_base:
        # as much room for the base's outputs as these few images would have beside all others of the data set
        room = {"CACHE": getattr(engine.BaseOutputs, "CACHE", 0) * len(images) // n_train}
        ask_base = type("BaseOutputs", (engine.BaseOutputs,), room)(base, method, images, flip=True, bf16=network.bf16)
        clock.stop()
    kept = getattr(ask_base, "kept", None)
    return Subject(engine, device, settings, images, network, method, ask_base, clock.seconds if kept else 0.0)


def measure(engine_name: Engine, dataset_name: str, kind: str, role: str, *, steps: int, threads: int) -> dict:
    """Train for `steps` steps and return what they cost."""
    method_settings = METHODS[role]
    subject = set_up(engine_name, dataset_name, kind, method_settings, steps=steps, threads=threads)
    engine, device, settings, images, network, method, ask_base, feature_seconds = subject
    clock = Clock(device)
    n_train = DATASETS[dataset_name].n_train
    # what grows with the data set, of which there is only a part here; images on a disk are mapped, not in memory
    in_memory = [ask_base, images] if device.type == "cuda" else [ask_base]
    bytes_per_image = sum(tensor_bytes(owner) for owner in in_memory) / len(images)
    optimizers = subject.optimizers(STAGE)

    plain_batches = images.batches
    workers = []

    def epoch(batches: Callable, ask_base: Callable | None, *, record: bool) -> None:
        def end() -> None:
            clock.stop()
            workers.append(workers_memory_mb())

        # methods are replaced to time what they do, here and below
        images.batches = window(batches, steps, clock.start, end)  # type: ignore[method-assign]
        take_step = make_step(network, method, optimizers, images, ask_base, STAGE)
        if record:
            take_step = engine.record(take_step, device)
        rng = np.random.default_rng(0)
        train_epoch(network, method, optimizers, images, take_step, settings, span=range(1), epoch=0, epochs=1, rng=rng)

    seconds = None
    if device.type == "cuda":
        # where each part is waited for, nothing can be recorded, and the whole takes longer
        epoch(plain_batches, ask_base, record=method.fixed_step)
        seconds = clock.seconds / steps
    network.forward = clock.timed("forward", network.forward)  # type: ignore[method-assign]
    method.loss = clock.timed("loss", method.loss)  # type: ignore[method-assign]
    for optimizer in optimizers.values():
        optimizer.step = clock.timed("optimiser", optimizer.step)  # type: ignore[method-assign]
    timed_base = clock.timed("teacher", ask_base) if ask_base else None
    epoch(clock.timed_batches(plain_batches), timed_base, record=False)
    seconds = seconds or clock.seconds / steps
    memory_mb = peak_memory_mb() + max(workers)
    gpu_memory_mb = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else None
    shares = {part: spent / clock.seconds for part, spent in clock.stopped.items()}
    shares["backward"] = 1 - sum(shares.values())
    on_gpu = device.type == "cuda"
    of_other_images = bytes_per_image * (n_train - len(images)) / 2**20
    return {
        "step_ms": 1e3 * seconds,
        "parts_ms": {part: 1e3 * seconds * shares.get(part, 0.0) for part in PARTS},
        "feature_ms_per_image": 1e3 * feature_seconds / len(images),
        # only now that memory is known, which counting needs more of than a training
        "gflop_per_step": operations_of_step(network, method, images, ask_base) / 1e9,
        "precision": "bf16" if network.bf16 else "fp32",
        "device": device.type,
        "memory_mb": memory_mb + (0 if on_gpu else of_other_images),
        "gpu_memory_mb": None if gpu_memory_mb is None else gpu_memory_mb + of_other_images,
        "mfd_loss_ms": mfd_loss_ms(method, network.width, device) if isinstance(method, MFD) else None,
    }


def measure_method(
    engine_name: Engine, dataset_name: str, kind: str, method_settings: MethodSettings, *, steps: int, **options
) -> dict:
    """Return the milliseconds of an average step of a whole training by a method, over all of its stages.

    Each stage is timed for `steps` steps, and counts by its share of `EPOCHS` epochs. Reading the base's outputs
    beforehand is spread over the steps of these epochs. `options` are those of `set_up`.
    """
    subject = set_up(engine_name, dataset_name, kind, method_settings, steps=steps, **options)
    engine, device, settings, images, network, method, ask_base, feature_seconds = subject
    clock, plain_batches = Clock(device), images.batches
    spent = 0.0
    stages = [stage for stage in method.stages(EPOCHS) if stage.epochs]
    for stage in stages:
        optimizers = subject.optimizers(stage.name)
        # replaced to time the steps
        images.batches = window(plain_batches, steps, clock.start, clock.stop)  # type: ignore[method-assign]
        take_step = make_step(network, method, optimizers, images, ask_base, stage.name)
        if method.fixed_step:
            take_step = engine.record(take_step, device)
        rng = np.random.default_rng(0)
        train_epoch(network, method, optimizers, images, take_step, settings, span=range(1), epoch=0, epochs=1, rng=rng)
        spent += clock.seconds / steps * stage.epochs / EPOCHS
    base_seconds = feature_seconds / len(images) * BATCH_SIZE / EPOCHS
    return {"step_ms": 1e3 * (spent + base_seconds), "base_ms": 1e3 * base_seconds, "device": device.type}


def tensor_bytes(owner: object) -> int:
    """Return the bytes of the tensors that `owner` has as attributes, alone or in mappings."""
    if owner is None:
        return 0
    values = [
        value for entry in vars(owner).values() for value in (entry.values() if isinstance(entry, dict) else [entry])
    ]
    return sum(value.nbytes for value in values if isinstance(value, torch.Tensor))


def workers_memory_mb() -> float:
    """MiB that loading processes have for themselves; what they share with this one counts here. 0 but on Linux."""
    total = 0
    for process in multiprocessing.active_children():
        path = Path(f"/proc/{process.pid}/smaps_rollup")
        if path.exists():
            lines = (line.split() for line in path.read_text().splitlines())
            total += sum(int(line[1]) for line in lines if line[0].startswith("Private_"))
    return total / 1024


def operations_of_step(network: Classifier, method: Method, images: Images, ask_base: Callable | None) -> int:
    """Return the useful operations of a step, see `count_operations`; the base's, where a step reads it."""
    order = torch.arange(BATCH_SIZE, device=images.device)
    positions, flip, pixels = next(iter(images.batches(order, torch.zeros_like(order, dtype=torch.bool), BATCH_SIZE)))

    def step() -> None:
        base = ask_base(positions, flip, pixels) if ask_base else {}
        batch = Batch(pixels, images.label[positions], images.group[positions], positions, base)
        terms = method.loss(batch, network(pixels, method.layers), STAGE)
        reduce(add, terms.values()).backward()

    return count_operations(step)


def mfd_loss_ms(method: MFD, width: int, device: torch.device, repeats: int = 20) -> float:
    """Return the time of the MFD loss alone, forward and backward, on features (batch, width) of one batch."""
    teacher, student = torch.randn(2, BATCH_SIZE, width, device=device).unbind()
    student.requires_grad_()
    n_classes, n_groups = method.n_classes, method.n_groups
    sample = torch.arange(BATCH_SIZE, device=device)
    label, group = sample % n_classes, sample // n_classes % n_groups
    clock = Clock(device)
    for repeat in range(repeats + 1):
        if repeat == 1:
            clock.start()
        loss = method.discrepancy(
            teacher, student, label, group, n_classes=n_classes, n_groups=n_groups, kernel=method.kernel
        )
        loss.backward()
    clock.stop()
    return 1e3 * clock.seconds / repeats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--dataset", choices=DATASETS, required=True)
    parser.add_argument("--kind", required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--role", choices=METHODS)
    what.add_argument("--method", type=json.loads, help="settings of any method, as JSON")
    parser.add_argument("--base-kind", help="the network of the method's base; without it, that of --kind")
    parser.add_argument("--steps", type=count_argument, default=10)
    parser.add_argument("--threads", type=count_argument, default=1)
    args = parser.parse_args()
    numbers = {"steps": args.steps, "threads": args.threads}
    if args.role:
        result = measure(args.engine, args.dataset, args.kind, args.role, **numbers)
    else:
        method = read_settings(AnyMethod, args.method, where="--method")
        result = measure_method(args.engine, args.dataset, args.kind, method, base_kind=args.base_kind, **numbers)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
