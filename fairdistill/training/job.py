"""One training as a job: its options, the right to write the model, and a GPU."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairdistill.runtime.devices import take_gpu
from fairdistill.runtime.locks import WriterLock
from fairdistill.settings.base import Settings
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import read_settings
from fairdistill.settings.run import Run
from fairdistill.settings.study import Study
from fairdistill.settings.training import Training

MAX_SEED = 2**62 - 1


def json_argument(text: str) -> dict:
    """A mapping given on the command line: JSON, or a bare name for `{"kind": name}`."""
    if not text.startswith(("{", "[")):
        return {"kind": text}
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON ({error}): {text}") from error


def settings_argument(kind: Any, where: str) -> Callable[[str], Settings]:
    """Settings given on the command line like `json_argument`, checked; what is wrong is a UserError, without usage."""

    def read(text: str) -> Settings:
        return read_settings(kind, json_argument(text), where=where)

    return read


def seed_argument(text: str) -> int:
    """A seed: a whole number that leaves torch's generator room for the streams made of it."""
    if not text.isdecimal() or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {MAX_SEED}: {text}")
    return int(text)


def parser(description: str) -> argparse.ArgumentParser:
    """The options of a training."""
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    network = settings_argument(AnyNetwork, "network")
    add = p.add_argument
    add("--data", type=Path, required=True, help="folder of a prepared data set")
    add("--output", type=Path, required=True, help="folder for the model and its predictions")
    add("--network", type=network, default="resnet18", metavar="JSON", help="kind and stem")
    add(
        "--method",
        type=settings_argument(AnyMethod, "method"),
        # how a teacher is trained
        default=json.dumps(Study().teacher.to_json()),
        metavar="JSON",
        help="kind and settings of the method",
    )
    add("--base", type=Path, help="weights.safetensors of the model that the method stands on, if it stands on one")
    add("--base-network", type=network, metavar="JSON", help="what the base must be; unchecked where left out")
    add(
        "--training",
        type=settings_argument(Training, "training"),
        default="{}",
        metavar="JSON",
        help="epochs, batch_size, device, ...",
    )
    add("--seed", type=seed_argument, default=0, help="decides initial weights, order and flips")
    add(
        "--run",
        type=settings_argument(Run, "run"),
        default="{}",
        metavar="JSON",
        help="names to record: study, dataset, architecture, method, role and base",
    )
    add("--code", default="", help="version of the code, to record and to guard resume state with")
    return p


def run_training(args: argparse.Namespace) -> None:
    """Train what `args` (of `parser`) describe, on a GPU of its own where there are GPUs.

    The environment variable FAIRDISTILL_GPU_SLOTS allows more than one training on a GPU.
    """
    with WriterLock(args.output.with_name(f"{args.output.name}.lock")) as lock:
        if args.training.device != "cpu":
            take_gpu(int(os.environ.get("FAIRDISTILL_GPU_SLOTS", "1")))
        # loads torch, which must not see the GPUs of others
        from fairdistill.training.publish import train_and_publish

        train_and_publish(args, lock=lock)
