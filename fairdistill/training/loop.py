"""The training loop: device, precision, augmentation, schedule, history. It knows nothing of any one method."""

import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fairdistill.data import ImageDataset
from fairdistill.data.sampling import epoch_order
from fairdistill.methods import Shape, build_method
from fairdistill.methods.base import Batch, Method
from fairdistill.networks import Classifier, Output, build_model
from fairdistill.runtime.errors import UserError, check_type
from fairdistill.runtime.progress import EpochProgress, describe, log
from fairdistill.training.engines import ENGINES, load_engine
from fairdistill.training.engines.base import INFERENCE_BATCH, Images
from fairdistill.training.resume import ResumeState


@dataclass(frozen=True)
class TrainingSettings:
    """How to train, whatever the method; each field is described under `training` in config/README.md."""

    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    weight_decay: float = 0.0
    flip: bool = True
    precision: str = "auto"
    device: str = "auto"
    threads: int = 1
    evaluate_every: int = 5
    engine: str = "fast"

    def __post_init__(self) -> None:
        for field in fields(self):
            check_type("training", field.name, getattr(self, field.name), field.type)
        allowed = {
            "schedule": ("cosine", "linear", "constant"),
            "precision": ("auto", "fp32", "bf16"),
            "device": ("auto", "cpu", "cuda"),
            "engine": tuple(ENGINES),
        }
        for key, values in allowed.items():
            if getattr(self, key) not in values:
                raise UserError(f"training: {key} is {getattr(self, key)!r}; choose one of {', '.join(values)}")
        for key in ("epochs", "batch_size", "learning_rate", "threads"):
            if not 0 < getattr(self, key) < math.inf:
                raise UserError(f"training: {key} is {getattr(self, key)}; it must be a number above 0")
        # a batch norm on maps of one pixel needs two pictures
        if self.batch_size < 2:
            raise UserError(f"training: batch_size is {self.batch_size}; it must be at least 2")
        for key in ("weight_decay", "evaluate_every"):
            if not 0 <= getattr(self, key) < math.inf:
                raise UserError(f"training: {key} is {getattr(self, key)}; it must be a number of at least 0")

    @classmethod
    def from_mapping(cls, settings: Mapping) -> "TrainingSettings":
        known = {field.name for field in fields(cls)}
        for key in settings:
            if key not in known:
                raise UserError(f"training: unknown setting {key!r}; known are {', '.join(sorted(known))}")
        return cls(**settings)


@dataclass
class TrainedModel:
    """What a training yields: the network after its last epoch, its test probabilities, and how it got there."""

    model: Classifier
    probabilities: np.ndarray  # (test samples, classes), float32
    history: pd.DataFrame  # one row per epoch


class Computing(NamedTuple):
    """How a training is computed, once the machine is known."""

    engine: ModuleType
    device: torch.device
    precision: str  # "fp32" or "bf16"


def choose_device(device: str) -> torch.device:
    """`auto` takes a GPU where there is one."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("training: device is cuda, but torch sees no GPU; use device: auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def choose_computing(settings: TrainingSettings, architecture: Mapping) -> Computing:
    """What `settings` come to on this machine for a network of `architecture`."""
    engine, device = load_engine(settings.engine), choose_device(settings.device)
    return Computing(
        engine, device, choose_precision(settings.precision, device, engine.BF16_PAYS, architecture["kind"])
    )


def choose_precision(precision: str, device: torch.device, pays: Collection[tuple[str, str]], kind: str) -> str:
    """`auto` takes bfloat16 where `pays` holds (type of device, kind of architecture) and the hardware has it."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native and (device.type, kind) in pays else "fp32"


def learning_rate_factor(schedule: str, progress: float) -> float:
    """Share of the learning rate at `progress` in [0, 1) of the training; `cosine` and `linear` end at zero."""
    return {
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
        "linear": 1 - progress,
        "constant": 1.0,
    }[schedule]


def be_deterministic(threads: int) -> None:
    """Make torch repeat itself to the bit: the same seed, machine and thread count give the same weights."""
    # read by cuBLAS when it starts
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")
    # nothing here reads memory that it has not written
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(threads)


@torch.no_grad()
def infer(model: Classifier, images: Images) -> Iterator[Output]:
    """Features and logits of `images` in order, batch by batch, in float32 and evaluation mode."""
    model.eval()
    order = torch.arange(len(images), device=images.device)
    for _, _, batch in images.batches(order, None, INFERENCE_BATCH):
        yield model(batch)


def train(
    dataset: ImageDataset,
    architecture: Mapping,
    method: Mapping,
    settings: TrainingSettings,
    *,
    role: str,
    seed: int,
    teacher: Classifier | None = None,
    resume: ResumeState | None = None,
) -> TrainedModel:
    """Train one network for `settings.epochs` epochs and return it as the last epoch leaves it.

    Nothing is chosen by looking at the test set: its accuracy is recorded in the history and goes nowhere else.

    Parameters
    ----------
    architecture, method
        See `fairdistill.networks.build_model` and `fairdistill.methods.build_method`.
    role, seed
        "teacher" or "student"; together they decide the initial weights, the order of the samples and the flips,
        so that a student does not start from its teacher's weights.
    teacher
        The trained teacher, where the method needs one.
    resume
        Where to keep the state after each epoch; a training that finds state there goes on from it.

    Raises
    ------
    UserError
        The loss is not finite, or the method needs a teacher and there is none.
    """
    be_deterministic(settings.threads)
    engine, device, precision = choose_computing(settings, architecture)
    train_images, test_images = (engine.Images(dataset, split, device) for split in ("train", "test"))

    stream = ("teacher", "student").index(role)
    torch.manual_seed(2 * seed + stream)
    n_classes, n_groups = len(dataset.classes), len(dataset.groups)
    model = build_model(architecture, n_classes)
    shape = Shape(n_classes, n_groups, model.width, teacher.width if teacher is not None else None)
    objective = build_method(method, shape)
    if objective.needs_teacher and teacher is None:
        raise UserError(f"method {method['kind']} needs a teacher and none was given")
    teacher_outputs = None
    if objective.needs_teacher:
        teacher_outputs = engine.TeacherOutputs(teacher, train_images, flip=settings.flip)
    model, objective = engine.prepare(model, objective, device)

    weights = [*model.parameters(), *objective.parameters()]
    optimizer = engine.optimizer(
        weights, device, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
    )
    parts = {"model": model, "method": objective, "optimizer": optimizer}
    history = resume.restore(parts) if resume else []
    if history:
        log(f"resuming after epoch {len(history)}")

    for epoch in range(len(history), settings.epochs):
        row = {
            "epoch": epoch + 1,
            **train_epoch(
                model,
                objective,
                optimizer,
                train_images,
                teacher_outputs,
                settings,
                precision=precision,
                epoch=epoch,
                rng=np.random.default_rng([seed, stream, epoch]),
            ),
        }
        last = epoch + 1 == settings.epochs
        if last or (settings.evaluate_every and (epoch + 1) % settings.evaluate_every == 0):
            logits = torch.cat([output.logits for output in infer(model, test_images)])
            row["test_accuracy"] = (logits.argmax(1) == test_images.label).float().mean().item()
        history.append(row)
        log(describe(row, settings.epochs))
        if resume and not last:
            resume.save(parts, history)

    probabilities = logits.softmax(1).cpu().numpy()
    if not np.isfinite(probabilities).all():
        raise _diverged(settings.epochs, "weights", "not finite")
    return TrainedModel(model, probabilities, pd.DataFrame(history))


def train_epoch(
    model: Classifier,
    objective: Method,
    optimizer: torch.optim.Optimizer,
    images: Images,
    teacher: Callable[..., Output] | None,
    settings: TrainingSettings,
    *,
    precision: str,
    epoch: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """One pass; returns the mean of each loss term, the training accuracy and the speed."""
    model.train()
    started = time.perf_counter()
    order = epoch_order(objective.sampling, images.label.cpu().numpy(), images.group.cpu().numpy(), rng)
    flips = torch.from_numpy(rng.random(len(order)) < 0.5).to(images.device) if settings.flip else None
    order = torch.from_numpy(order).to(images.device)
    batch_size = min(settings.batch_size, len(order))
    steps = len(order) // batch_size  # the incomplete batch is left to another epoch's shuffle
    order, flips = order[: steps * batch_size], flips[: steps * batch_size] if flips is not None else None
    totals: dict[str, Tensor] = {}
    progress = EpochProgress(epoch + 1, settings.epochs, steps, batch_size)
    for step, (positions, flip, pictures) in enumerate(images.batches(order, flips, batch_size)):
        factor = learning_rate_factor(settings.schedule, (epoch + step / steps) / settings.epochs)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * factor
        with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
            output = model(pictures)
        output = Output(output.features.float(), output.logits.float())
        label = images.label[positions]
        batch = Batch(label, images.group[positions])
        terms = objective.loss(batch, output, teacher(positions, flip, pictures) if teacher else None)
        loss = sum(terms.values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        terms = {"loss": loss, **terms, "correct": (output.logits.argmax(1) == label).float().mean()}
        for name, value in terms.items():
            totals[name] = totals.get(name, 0) + value.detach()
        progress.step(step + 1, totals["loss"])
    means = {name: total.item() / steps for name, total in totals.items()}
    if not math.isfinite(means["loss"]):
        raise _diverged(epoch + 1, "loss", means["loss"])
    seconds = time.perf_counter() - started
    means["train_accuracy"] = means.pop("correct")
    return {**means, "seconds": seconds, "images_per_second": steps * batch_size / seconds}


def _diverged(epoch: int, what: str, value: object) -> UserError:
    return UserError(
        f"training: the {what} became {value} in epoch {epoch}; lower training.learning_rate or the method's lambda"
    )
