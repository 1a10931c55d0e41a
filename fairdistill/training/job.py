"""One training as a job: its options, the right to write the model, and a GPU."""

import argparse
import json
import os
from pathlib import Path

from fairdistill.runtime.devices import take_gpu
from fairdistill.runtime.locks import WriterLock

MAX_SEED = 2**62 - 1


def settings_argument(text: str) -> dict:
    """A mapping given on the command line: JSON, or a bare name for `{"kind": name}`."""
    if not text.startswith("{"):
        return {"kind": text}
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON ({error}): {text}") from error


def kind_argument(text: str) -> dict:
    """A mapping like `settings_argument`, of one entry at least: `kind`, a name."""
    settings = settings_argument(text)
    if not isinstance(settings.get("kind"), str):
        raise argparse.ArgumentTypeError(f'lacks "kind", the name of one: {text}')
    return settings


def seed_argument(text: str) -> int:
    """A seed: a whole number that leaves torch's generator room for the streams made of it."""
    if not text.isdecimal() or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {MAX_SEED}: {text}")
    return int(text)


def parser(description: str, *, method: str) -> argparse.ArgumentParser:
    """The options that training a teacher and a student share; `method` is the default of `--method`."""
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    settings = {"type": settings_argument, "metavar": "JSON"}
    kind = {"type": kind_argument, "metavar": "JSON"}
    p.add_argument("--data", type=Path, required=True, help="folder of a prepared data set")
    p.add_argument("--output", type=Path, required=True, help="folder for the model and its predictions")
    p.add_argument("--architecture", default="resnet18", help="kind and stem", **kind)
    p.add_argument("--method", default=method, help="kind and settings of the method", **kind)
    p.add_argument("--training", default="{}", help="epochs, batch_size, device, ...", **settings)
    p.add_argument("--seed", type=seed_argument, default=0, help="decides initial weights, order and flips")
    p.add_argument("--run", default="{}", help="names to record: study, dataset, architecture, method", **settings)
    p.add_argument("--code", default="", help="version of the code, to record and to guard resume state with")
    return p


def run_training(args: argparse.Namespace, *, role: str) -> None:
    """Train what `args` (of `parser`) describe, on a GPU of its own where there are GPUs.

    The environment variable FAIRDISTILL_GPU_SLOTS allows more than one training on a GPU.
    """
    with WriterLock(args.output.with_name(f"{args.output.name}.lock")) as lock:
        if args.training.get("device") != "cpu":
            take_gpu(int(os.environ.get("FAIRDISTILL_GPU_SLOTS", "1")))
        # loads torch, which must not see the GPUs of others
        from fairdistill.training.publish import train_and_publish

        train_and_publish(args, role=role, lock=lock)
