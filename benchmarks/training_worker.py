"""Measure one training, in a process of its own: images per second, the parts of a step, memory. Prints JSON.

The data are random pixels in the shape of the real data sets: speed does not depend on what they show.
"""

import argparse
import json
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cases import BATCH_SIZE, DATASETS, METHODS, PARTS
from fairdistill.data import ImageDataset
from fairdistill.methods import Shape, build_method
from fairdistill.methods.base import Batch, Method
from fairdistill.networks import Classifier, build_model
from fairdistill.runtime.provenance import peak_memory_mb
from fairdistill.training.engines.base import Images
from fairdistill.training.loop import TrainingSettings, be_deterministic, choose_computing, choose_device, train_epoch

# steps before the timed ones and after them: a DataLoader works ahead at first and rests at the end
WARM_UP, COOL_DOWN = 2, 4


def pictures(size: int, n_classes: int, n_groups: int, n: int) -> ImageDataset:
    """`n` random pictures, all of them for training."""
    rng = np.random.default_rng(0)
    samples = pd.DataFrame({"split": "train", "label": rng.integers(0, n_classes, n), "group": np.arange(n) % n_groups})
    return ImageDataset(
        images=rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8),
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


def measure(engine_name: str, dataset_name: str, kind: str, role: str, *, steps: int, threads: int) -> dict:
    """Train for `steps` steps and return what they cost."""
    settings = TrainingSettings(epochs=1, batch_size=BATCH_SIZE, threads=threads, engine=engine_name)
    be_deterministic(threads)
    engine, device, precision = choose_computing(settings, {"kind": kind})
    size, n_classes, n_groups, n_train, _ = DATASETS[dataset_name]
    dataset = pictures(size, n_classes, n_groups, BATCH_SIZE * (WARM_UP + steps + COOL_DOWN))
    images = engine.Images(dataset, "train", device)
    clock = Clock(device)

    torch.manual_seed(0)
    architecture = {"kind": kind, "stem": "imagenet"}
    model = build_model(architecture, n_classes)
    shape = Shape(n_classes, n_groups, model.width, model.width)
    objective = build_method(METHODS[role], shape)
    teacher, feature_seconds = None, 0.0
    if objective.needs_teacher:
        network = build_model(architecture, n_classes)
        clock.start()
        teacher = engine.TeacherOutputs(network, images, flip=True)
        clock.stop()
        feature_seconds = clock.seconds
    # what grows with the data set, of which there is only a part here; pictures on a disk are mapped, not held
    held = sum(bytes_held(each) for each in ([teacher, images] if device.type == "cuda" else [teacher])) / len(images)
    model, objective = engine.prepare(model, objective, device)
    weights = [*model.parameters(), *objective.parameters()]
    optimizer = engine.optimizer(weights, device, learning_rate=settings.learning_rate, weight_decay=0.0)
    flops = flops_of_step(model, objective, images, teacher)

    plain_batches = images.batches
    workers = []

    def epoch(batches: Callable, teacher: Callable | None) -> None:
        def end() -> None:
            clock.stop()
            workers.append(workers_memory_mb())

        images.batches = window(batches, steps, clock.start, end)
        rng = np.random.default_rng(0)
        train_epoch(model, objective, optimizer, images, teacher, settings, precision=precision, epoch=0, rng=rng)

    seconds = None
    if device.type == "cuda":
        # where each part is waited for, the whole takes longer
        epoch(plain_batches, teacher)
        seconds = clock.seconds / steps
    model.forward = clock.timed("forward", model.forward)
    objective.loss = clock.timed("loss", objective.loss)
    optimizer.step = clock.timed("optimiser", optimizer.step)
    epoch(clock.timed_batches(plain_batches), clock.timed("teacher", teacher) if teacher else None)
    seconds = seconds or clock.seconds / steps
    shares = {part: spent / clock.seconds for part, spent in clock.stopped.items()}
    shares["backward"] = 1 - sum(shares.values())
    on_gpu = device.type == "cuda"
    of_all_images = held * (n_train - len(images)) / 2**20
    return {
        "step_ms": 1e3 * seconds,
        "parts_ms": {part: 1e3 * seconds * shares.get(part, 0.0) for part in PARTS},
        "feature_ms_per_image": 1e3 * feature_seconds / len(images) if engine_name == "fast" else 0.0,
        "gflop_per_step": flops / 1e9,
        "precision": precision,
        "device": device.type,
        "memory_mb": peak_memory_mb() + max(workers) + (0 if on_gpu else of_all_images),
        "gpu_memory_mb": torch.cuda.max_memory_allocated() / 2**20 + of_all_images if on_gpu else None,
        "mfd_loss_ms": mfd_loss_ms(objective.discrepancy, shape, device) if role == "student" else None,
    }


def bytes_held(owner: object) -> int:
    """Bytes of the tensors that `owner` has as attributes."""
    if owner is None:
        return 0
    return sum(value.nbytes for value in vars(owner).values() if isinstance(value, torch.Tensor))


def workers_memory_mb() -> float:
    """MiB that loading processes have for themselves; what they share with this one counts here. 0 but on Linux."""
    total = 0
    for process in multiprocessing.active_children():
        path = Path(f"/proc/{process.pid}/smaps_rollup")
        if path.exists():
            lines = (line.split() for line in path.read_text().splitlines())
            total += sum(int(line[1]) for line in lines if line[0].startswith("Private_"))
    return total / 1024


def flops_of_step(model: Classifier, objective: Method, images: Images, teacher: Callable | None) -> int:
    """Operations of the matrix products and convolutions of a step as this engine does it, teacher included.

    A tap that meets padding counts where the engine multiplies by it. Elementwise work does not count.
    """
    order = torch.arange(BATCH_SIZE, device=images.device)
    positions, flip, batch = next(iter(images.batches(order, torch.zeros_like(order, dtype=torch.bool), BATCH_SIZE)))
    annotations = Batch(images.label[positions], images.group[positions])
    with FlopCounterMode(display=False) as counter:
        output = model(batch)
        terms = objective.loss(annotations, output, teacher(positions, flip, batch) if teacher else None)
        sum(terms.values()).backward()
    return counter.get_total_flops()


def mfd_loss_ms(loss: Callable, shape: Shape, device: torch.device, repeats: int = 20) -> float:
    """The MFD loss alone, forward and backward, on features of one batch."""
    teacher, student = torch.randn(2, BATCH_SIZE, shape.student_width, device=device).unbind()
    student.requires_grad_()
    sample = torch.arange(BATCH_SIZE, device=device)
    label, group = sample % shape.n_classes, sample // shape.n_classes % shape.n_groups
    clock = Clock(device)
    for repeat in range(repeats + 1):
        if repeat == 1:
            clock.start()
        loss(teacher, student, label, group, n_classes=shape.n_classes, n_groups=shape.n_groups).backward()
    clock.stop()
    return 1e3 * clock.seconds / repeats


def matrix_peak(precision: str, threads: int, size: int = 2048) -> float:
    """The machine's own matrix product, in GFLOP/s."""
    torch.set_num_threads(threads)
    device = choose_device("auto")
    a = torch.randn(size, size, device=device, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[precision])
    clock, times = Clock(device), []
    for _ in range(6):
        clock.start()
        a @ a
        clock.stop()
        times.append(clock.seconds)
    return 2 * size**3 / min(times) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--dataset", choices=DATASETS, required=True)
    parser.add_argument("--kind", required=True)
    parser.add_argument("--role", choices=METHODS, required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    result = measure(args.engine, args.dataset, args.kind, args.role, steps=args.steps, threads=args.threads)
    result["peak_gflops"] = matrix_peak(result["precision"], args.threads)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
