"""Measure one training, in a process of its own: images per second, the parts of a step, memory. Prints JSON.

The data are random pixels in the shape of the real data sets: speed does not depend on what they show.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from fairdistill.data import ImageDataset
from fairdistill.methods import Shape, build_method
from fairdistill.methods.mfd import mfd_loss
from fairdistill.models import build_model
from fairdistill.provenance import peak_memory_mb
from fairdistill.training import TrainingSettings, be_deterministic, choose_computing, choose_device, train_epoch

# the shape of a data set: side in pixels, classes, groups
DATASETS = {"cifar10s": (32, 10, 2), "utkface": (64, 3, 4)}
METHODS = {
    "teacher": {"kind": "scratch", "sampling": "plain"},
    "student": {"kind": "mfd", "lambda": 3.0, "sampling": "balanced"},
}
WARM_UP = 2  # steps


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
    """Seconds spent in named parts of a step, waiting for the GPU where there is one."""

    def __init__(self, device: torch.device):
        self.seconds: dict[str, float] = defaultdict(float)
        self.device = device

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def timed(self, part: str, function: Callable) -> Callable:
        def call(*args, **options):
            started = self.now()
            result = function(*args, **options)
            self.seconds[part] += self.now() - started
            return result

        return call

    def timed_batches(self, batches: Callable) -> Callable:
        def iterate(*args) -> Iterator:
            source = iter(batches(*args))
            draw = self.timed("data", lambda: next(source, None))
            while (batch := draw()) is not None:
                yield batch

        return iterate


def measure(engine_name: str, dataset_name: str, kind: str, role: str, *, steps: int, threads: int) -> dict:
    """Train for `steps` steps and return what they cost."""
    settings = TrainingSettings(epochs=1, threads=threads, engine=engine_name)
    be_deterministic(threads)
    engine, device, precision = choose_computing(settings, {"kind": kind})
    size, n_classes, n_groups = DATASETS[dataset_name]
    dataset = pictures(size, n_classes, n_groups, settings.batch_size * (steps + WARM_UP))
    images = engine.Images(dataset, "train", device)

    torch.manual_seed(0)
    architecture = {"kind": kind, "stem": "imagenet"}
    model = build_model(architecture, n_classes)
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(2, 3, size, size)).logits.sum().backward()
    shape = Shape(n_classes, n_groups, model.width, model.width)
    model, objective = engine.prepare(model, build_method(METHODS[role], shape), device)
    teacher, feature_seconds = None, 0.0
    clock = Clock(device)
    if objective.needs_teacher:
        started = clock.now()
        teacher = engine.TeacherOutputs(build_model(architecture, n_classes), images, flip=True)
        feature_seconds = clock.now() - started
    weights = [*model.parameters(), *objective.parameters()]
    optimizer = engine.optimizer(weights, device, learning_rate=settings.learning_rate, weight_decay=0.0)

    stamps = []
    plain_batches = images.batches

    def stamped(*args) -> Iterator:
        for batch in plain_batches(*args):
            stamps.append(clock.now())
            yield batch

    def epoch(batches: Callable) -> None:
        images.batches = batches
        rng = np.random.default_rng(0)
        train_epoch(model, objective, optimizer, images, teacher, settings, precision=precision, epoch=0, rng=rng)

    epoch(stamped)
    seconds = (clock.now() - stamps[WARM_UP]) / steps

    model.forward = clock.timed("forward", model.forward)
    objective.loss = clock.timed("loss", objective.loss)
    optimizer.step = clock.timed("optimiser", optimizer.step)
    teacher = clock.timed("teacher", teacher) if teacher else None
    started = clock.now()
    epoch(clock.timed_batches(plain_batches))
    total = clock.now() - started
    parts = {part: spent / total for part, spent in clock.seconds.items()}
    return {
        "images_per_second": settings.batch_size / seconds,
        "gflop_per_image": counter.get_total_flops() / 2 / 1e9,
        "step_ms": 1e3 * seconds,
        "parts": parts | {"backward": 1 - sum(parts.values())},
        "mfd_loss_ms": _mfd_loss_ms(shape, settings.batch_size, device) if role == "student" else None,
        "feature_seconds_per_image": feature_seconds / len(images),
        "precision": precision,
        "device": str(device),
        "peak_memory_mb": peak_memory_mb(),
    }


def _mfd_loss_ms(shape: Shape, batch: int, device: torch.device, repeats: int = 20) -> float:
    """The vectorised loss alone, forward and backward, on features of one batch."""
    teacher, student = torch.randn(2, batch, shape.student_width, device=device).unbind()
    student.requires_grad_()
    label = torch.arange(batch, device=device) % shape.n_classes
    group = torch.arange(batch, device=device) // shape.n_classes % shape.n_groups
    clock = Clock(device)
    for repeat in range(repeats + 1):
        if repeat == 1:
            started = clock.now()
        mfd_loss(teacher, student, label, group, n_classes=shape.n_classes, n_groups=shape.n_groups).backward()
    return 1e3 * (clock.now() - started) / repeats


def matrix_peak(precision: str, threads: int, size: int = 2048) -> float:
    """The machine's own matrix product, in GFLOP/s."""
    torch.set_num_threads(threads)
    device = choose_device("auto")
    a = torch.randn(size, size, device=device, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[precision])
    clock, times = Clock(device), []
    for _ in range(6):
        started = clock.now()
        a @ a
        times.append(clock.now() - started)
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
