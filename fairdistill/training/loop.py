"""The training loop: stages, steps, augmentation, schedule, history. It knows nothing of any one method."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from fairdistill.data import ImageDataset
from fairdistill.methods.base import Batch, Method, Stage, Task, method_class
from fairdistill.networks import Classifier, Output, build_network, freeze
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.progress import NO_LOSSES, EpochProgress, describe, log
from fairdistill.settings.methods import Method as MethodSettings
from fairdistill.settings.networks import Network
from fairdistill.settings.training import Training
from fairdistill.training.best import BestEpoch
from fairdistill.training.computing import Computing, be_deterministic, choose_computing
from fairdistill.training.engines.base import Images
from fairdistill.training.resume import ResumeState
from fairdistill.training.streams import Streams

SPLITS = ("validation", "test")
TakeStep = Callable[[Tensor, Tensor | None, Tensor], dict[str, Tensor]]
# columns of the history, which no term of a loss may be called
COLUMNS = {"loss", "correct", *NO_LOSSES}


@dataclass
class TrainedModel:
    """What a training yields.

    Attributes
    ----------
    network
        With the weights of the last epoch, or of the best one; fitted to the size of the training's images by the
        engine, unlike its state dict.
    method
        What the network was trained with; it makes the predictions.
    probabilities
        (images, classes), float32, of the validation and of the test split, by its name.
    drawn
        (images,) int64, the labels that were drawn from them, by the name of the split; empty where the prediction is
        the most probable class.
    history
        One row per epoch.
    kept_epoch
        The number of the epoch, from 1, whose weights the network has; 0 where nothing was trained.
    seconds, cpu_seconds
        What the training took: all epochs, those before an interruption included, what is read of the base's outputs
        beforehand, and what is fitted afterwards. By the clock; and the time that processor cores worked, which other
        programs hardly change.
    """

    network: Classifier
    method: Method
    probabilities: dict[str, np.ndarray]
    drawn: dict[str, np.ndarray]
    history: pd.DataFrame
    kept_epoch: int
    seconds: float
    cpu_seconds: float


@dataclass
class Stopwatch:
    """The time that some parts of a training take together: by the clock, and of processor cores."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time that the block takes."""
        started, cpu_started = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - started
        self.cpu_seconds += time.process_time() - cpu_started


def learning_rate_factor(schedule: str, progress: float) -> float:
    """Share of the learning rate at `progress` in [0, 1) of a stage; `cosine` and `linear` end at zero."""
    return {
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
        "linear": 1 - progress,
        "constant": 1.0,
    }[schedule]


@torch.no_grad()
def infer(network: Classifier, images: Images) -> Iterator[tuple[Output, Tensor, Tensor]]:
    """Output, label and group of `images` in order, batch by batch, in float32 and evaluation mode."""
    network.eval()
    order = torch.arange(len(images), device=images.device)
    for positions, _, batch in images.batches(order, None, images.inference_batch):
        yield network(batch), images.label[positions], images.group[positions]


@torch.no_grad()
def predict(network: Classifier, method: Method, images: Images) -> Tensor:
    """Probabilities (images, classes) of `images` in order."""
    method.eval()
    parts = [method.predict(output, group) for output, _, group in infer(network, images)]
    return torch.cat(parts) if parts else torch.empty(0, method.n_classes, device=images.device)


def train(
    dataset: ImageDataset,
    network_settings: Network,
    method_settings: MethodSettings,
    settings: Training,
    *,
    role: str,
    seed: int,
    fold: int = 0,
    base: Classifier | None = None,
    start: Callable[[Classifier], None] | None = None,
    computing: Computing | None = None,
    resume: ResumeState | None = None,
) -> TrainedModel:
    """Train one network and return it as the last epoch, or the best one, leaves it.

    Nothing is chosen by looking at the test split: its accuracy is recorded in the history and goes nowhere else.

    Parameters
    ----------
    role, seed, fold
        What decides the initial weights, the order of the images and the flips, see `Streams.of`. `dataset` has to be
        that fold.
    base
        The trained model that the method stands on, where it stands on one.
    start
        Gives the new network other weights than those that were drawn.
    computing
        On what it is computed; by default what the settings come to on this machine.
    resume
        Where to keep the state after each epoch; a training that finds state there goes on from it.

    Raises
    ------
    UserError
        The loss, a weight or a prediction is not finite, the method needs a base or the training a validation split
        and there is none, or the device is not there.
    """
    if method_settings.stands_on is not None and base is None:
        raise UserError(f"method {method_settings.kind} needs a base, and none was given; name one with --base")
    be_deterministic(settings.threads)
    engine, device, precision = computing or choose_computing(settings, network_settings)
    images = {split: engine.Images(dataset, split, device) for split in ("train", *SPLITS)}
    if not len(images["validation"]) and (settings.keep == "best" or method_settings.needs_validation):
        reason = "keep is best" if settings.keep == "best" else f"method {method_settings.kind} is fitted on it"
        raise UserError(
            f"training: {reason}, but the data set has no validation split; prepare it with `validation` above 0"
        )

    streams = Streams.of(seed, settings, role=role, fold=fold)
    torch.manual_seed(streams.weights)
    n_classes, n_groups = len(dataset.classes), len(dataset.groups)
    kind = method_class(method_settings)
    network = build_network(network_settings, kind.n_outputs(method_settings, n_classes, n_groups))
    if start:
        start(network)
    base = freeze(base) if base is not None else None
    label, group = (values.cpu() for values in (images["train"].label, images["train"].group))
    method = kind(method_settings, Task(n_classes, n_groups, label, group, images["train"].size, network, base))
    method.initialise(network, base)
    network, method = engine.prepare(network, method, device, images["train"].size)
    network.bf16 = precision == "bf16"
    # after `prepare`: `read_base` may use buffers of the method, which are on the device by now
    beside_epochs, ask_base = Stopwatch(), None
    if method.uses_base:
        with beside_epochs.running():
            ask_base = engine.BaseOutputs(base, method, images["train"], flip=settings.flip, bf16=network.bf16)
    # where its outputs were computed once for all epochs, nothing else keeps the base in memory
    base = None

    best = BestEpoch(network, method)
    whole = {"network": network, "method": method, "best": best}
    state = resume.restore() if resume else None
    history: list[dict] = state["history"] if state else []
    if state:
        log(f"resuming after epoch {len(history)}")
        for name, part in whole.items():
            part.load_state_dict(state[name])

    make = partial(make_optimizer, engine.optimizer, device, settings)
    plan = plan_epochs(method.stages(settings.epochs))
    optimizers: dict[str, torch.optim.Optimizer] = {}
    take_step: TakeStep
    probabilities: dict[str, Tensor] = {}
    done = len(history)
    for epoch in range(done, len(plan)):
        stage, span = plan[epoch]
        if epoch == span.start or not optimizers:
            optimizers = method.optimizers(stage, network, make)
            take_step = make_step(network, method, optimizers, images["train"], ask_base, stage)
            if method.fixed_step:
                take_step = engine.record(take_step, device)
        if state and epoch == done > span.start:
            # interrupted within a stage, whose optimisers go on
            for name, optimizer in optimizers.items():
                optimizer.load_state_dict(state[f"optimizer {name}"])
        row = train_epoch(
            network,
            method,
            optimizers,
            images["train"],
            take_step,
            settings,
            span=span,
            epoch=epoch,
            epochs=len(plan),
            rng=streams.epoch(epoch),
        )
        last = epoch + 1 == len(plan)
        if last or settings.keep == "best" or _is_due(epoch, settings.evaluate_every):
            probabilities = {split: predict(network, method, images[split]) for split in SPLITS}
            row |= _accuracies(probabilities, images)
        if settings.keep == "best":
            best.offer(epoch + 1, row["validation_accuracy"])
        history.append(row)
        log(describe(row, len(plan)))
        if resume and not last:
            resume.save(whole | {f"optimizer {name}": each for name, each in optimizers.items()}, history)

    if settings.keep == "best" and best.epoch != len(history):
        best.restore()
        log(f"keeping epoch {best.epoch}, the best on the validation split")
        probabilities = {}
    if method_settings.needs_validation:
        with beside_epochs.running():
            method.calibrate(infer(network, images["validation"]))
        probabilities = {}
    probabilities = probabilities or {split: predict(network, method, images[split]) for split in SPLITS}
    found = {split: values.cpu().numpy() for split, values in probabilities.items()}
    _require_finite(network, found, len(plan))
    # the generator of an epoch after the last
    rng = streams.epoch(len(plan))
    drawn = {split: draw_labels(values, rng) for split, values in found.items()} if method.randomised else {}
    # a method without any training leaves a table without rows, which still has a header
    table = pd.DataFrame(history or {"epoch": []})
    return TrainedModel(
        network=network,
        method=method,
        probabilities=found,
        drawn=drawn,
        history=table,
        kept_epoch=best.epoch if settings.keep == "best" else len(history),
        seconds=beside_epochs.seconds + sum(row["seconds"] for row in history),
        cpu_seconds=beside_epochs.cpu_seconds + sum(row["cpu_seconds"] for row in history),
    )


def draw_labels(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a label (n,) int64 of each image, drawn from the probabilities (n, classes) of the classes."""
    below = probabilities.astype(np.float64).cumsum(axis=1)
    below /= below[:, -1:]
    return (rng.random((len(below), 1)) >= below[:, :-1]).sum(axis=1)


def plan_epochs(stages: Sequence[Stage]) -> list[tuple[str, range]]:
    """Return, for each epoch of a training, the name of its stage and the epochs, counted from 0, of that stage."""
    plan: list[tuple[str, range]] = []
    for stage in stages:
        span = range(len(plan), len(plan) + stage.epochs)
        plan += [(stage.name, span)] * stage.epochs
    return plan


def make_step(
    network: Classifier,
    method: Method,
    optimizers: dict[str, torch.optim.Optimizer],
    images: Images,
    ask_base: Callable[..., dict[str, Tensor]] | None,
    stage: str,
) -> TakeStep:
    """Return a function of a batch of `images`: its positions, flips and pixels, as `Images.batches` has them.

    It makes one step, and returns the loss, its terms and the share of the batch that was predicted correctly, each a
    scalar, by name.
    """

    def take_step(positions: Tensor, flip: Tensor | None, pixels: Tensor) -> dict[str, Tensor]:
        label, group = images.label[positions], images.group[positions]
        base = ask_base(positions, flip, pixels) if ask_base else {}
        step = method.update(network, Batch(pixels, label, group, positions, base), optimizers, stage)
        if taken := COLUMNS & step.terms.keys():
            raise ValueError(f"{type(method).__name__}: a term of the loss is called {min(taken)!r}; rename it")
        with torch.no_grad():
            correct = (method.predict(step.output, group).argmax(1) == label).float().mean()
        return {name: value.detach() for name, value in {"loss": step.loss, **step.terms, "correct": correct}.items()}

    return take_step


def train_epoch(
    network: Classifier,
    method: Method,
    optimizers: dict[str, torch.optim.Optimizer],
    images: Images,
    take_step: TakeStep,
    settings: Training,
    *,
    span: range,
    epoch: int,
    epochs: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Make one pass; return its number, the mean of each loss term, the training accuracy and the speed.

    Parameters
    ----------
    take_step
        Makes a step with `optimizers`, see `make_step`.
    span
        The epochs of the stage, over which the learning rate takes its course.
    epoch, epochs
        The number of the epoch, from 0, and of all epochs.
    """
    network.train()
    method.train()
    started, cpu_started = time.perf_counter(), time.process_time()
    order = method.order(images.label.cpu().numpy(), images.group.cpu().numpy(), rng)
    if not len(order):
        raise UserError(f"training: the order of epoch {epoch + 1}, which the method gives, has no image")
    flips = rng.random(len(order)) < 0.5 if settings.flip else None
    offsets = rng.integers(images.margin, endpoint=True, size=(len(order), 2)) if images.margin else None
    # what the method draws in this epoch is the same whether or not the training was interrupted before it
    torch.manual_seed(int(rng.integers(2**63)))
    batch_size = min(settings.batch_size, len(order))
    steps = len(order) // batch_size  # the incomplete batch is left to another epoch's shuffle

    def on_device(values: NDArray) -> Tensor:
        return torch.from_numpy(values[: steps * batch_size]).to(images.device)

    mirrored = None if flips is None else on_device(flips)
    corners = None if offsets is None else on_device(offsets)
    totals: dict[str, Tensor] = {}
    progress = EpochProgress(epoch + 1, epochs, steps, batch_size)
    for number, batch in enumerate(images.batches(on_device(order), mirrored, batch_size, corners)):
        factor = learning_rate_factor(settings.schedule, (epoch - span.start + number / steps) / len(span))
        for optimizer in optimizers.values():
            _scale_learning_rate(optimizer, factor)
        for name, value in take_step(*batch).items():
            totals[name] = totals.get(name, 0) + value
        progress.step(number + 1, totals["loss"])
    means = {name: total.item() / steps for name, total in totals.items()}
    if not math.isfinite(means["loss"]):
        raise _diverged(epoch + 1, "loss", means["loss"])
    seconds = time.perf_counter() - started
    means["train_accuracy"] = means.pop("correct")
    speed = {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu_started,
        "images_per_second": steps * batch_size / seconds,
    }
    return {"epoch": epoch + 1, **means, **speed}


def _scale_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        # what the schedule starts from is kept beside it, and resumed with it; to read it waits for a GPU, so just once
        if "full_lr" not in group:
            group["full_lr"] = float(group["lr"])
        rate = group["full_lr"] * factor
        if isinstance(group["lr"], Tensor):
            # a recorded step reads it from where it is
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def make_optimizer(
    engine_optimizer: Callable[..., torch.optim.Optimizer],
    device: torch.device,
    settings: Training,
    weights: Sequence[Tensor],
    *,
    learning_rate: float | None = None,
) -> torch.optim.Optimizer:
    """The engine's optimiser, with the training's learning rate unless the method names its own."""
    rate = settings.learning_rate if learning_rate is None else learning_rate
    return engine_optimizer(weights, device, learning_rate=rate, weight_decay=settings.weight_decay)


def _is_due(epoch: int, every: int) -> bool:
    return every > 0 and (epoch + 1) % every == 0


def _accuracies(probabilities: dict[str, Tensor], images: dict[str, Images]) -> dict[str, float]:
    """The accuracy on each split that has images."""
    return {
        f"{split}_accuracy": (values.argmax(1) == images[split].label).float().mean().item()
        for split, values in probabilities.items()
        if len(values)
    }


def _require_finite(network: Classifier, predictions: dict[str, np.ndarray], epochs: int) -> None:
    """Raise a UserError where a weight or a prediction is no finite number, after some epochs or none."""
    # some weights may have no part in the predictions for images of this size
    if epochs and not all(weights.isfinite().all() for weights in network.state_dict().values()):
        raise _diverged(epochs, "weights", "not finite")
    if all(np.isfinite(values).all() for values in predictions.values()):
        return
    if epochs:
        raise _diverged(epochs, "predictions", "not finite")
    raise UserError(
        "predictions of the model, which is not trained here, are not finite; look at its weights, and at how it "
        "expects its images (preprocess)"
    )


def _diverged(epoch: int, what: str, value: object) -> UserError:
    return UserError(
        f"training: the {what} became {value} in epoch {epoch}; lower training.learning_rate or the weight of the "
        "method's terms"
    )
