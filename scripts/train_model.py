"""Train one model on a prepared data set: a teacher, or a student by any method, with its base if it has one.

Writes weights.safetensors, predictions.parquet (validation and test split), history.csv and training.json to the output
folder. An interrupted training resumes from its last finished epoch.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import parse_json
from fairdistill.runtime.study_files import OF_A_TRAINING
from fairdistill.settings.arguments import dataset_folder, output_folder, parse_options, seed_argument
from fairdistill.settings.base import Settings
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.names import Names
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import LONGEST, read_settings
from fairdistill.settings.study import Study
from fairdistill.settings.training import Training
from fairdistill.settings.training_record import Code
from fairdistill.training.job import run_training
from fairdistill.training.spec import Job


def json_argument(text: str) -> dict:
    """A mapping given on the command line: JSON, or a bare name for `{"kind": name}`."""
    if not text.startswith(("{", "[")):
        return {"kind": text}
    try:
        return parse_json(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON ({error}): {text[:LONGEST]}") from error


def settings_argument(kind: Any, where: str) -> Callable[[str], Settings]:
    """Settings given on the command line like `json_argument`, checked; what is wrong is a UserError, without usage."""

    def read(text: str) -> Settings:
        return read_settings(kind, json_argument(text), where=where)

    return read


def fold_argument(text: str) -> int:
    """A fold: a whole number; whether the data set has it, only the data set says."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on: {text}")
    return int(text)


def code_argument(text: str) -> str:
    """A version as the record of a training holds it, so that what reads the record does not refuse it."""
    return read_settings(Code, text, where="--code")


def parser() -> argparse.ArgumentParser:
    """The options, each of which is a field of `Job`."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    network = settings_argument(AnyNetwork, "network")
    add = p.add_argument
    add("--data", type=dataset_folder, required=True, help="folder of a prepared data set")
    add("--output", type=output_folder(*OF_A_TRAINING), required=True, help="folder for the model and its predictions")
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
    add(
        "--base-record",
        type=Path,
        help="training.json of the base; its weights are unchecked where left out",
    )
    add("--base-network", type=network, metavar="JSON", help="what the base must be; unchecked where left out")
    add(
        "--checkpoint",
        type=Path,
        help="file with the weights to start from, or with the model where the method is `imported`",
    )
    add(
        "--training",
        type=settings_argument(Training, "training"),
        default="{}",
        metavar="JSON",
        help="epochs, batch_size, device, ...",
    )
    add("--seed", type=seed_argument, default=0, help="decides initial weights, order and flips")
    add("--fold", type=fold_argument, default=0, help="the fold of the data set to test on, where it was divided")
    add(
        "--names",
        type=settings_argument(Names, "names"),
        default="{}",
        metavar="JSON",
        help="names to record: study, dataset, architecture, method, role and base; the role also decides the weights "
        "that training starts from",
    )
    add("--code", type=code_argument, default="", help="version of the code, to record and to guard resume state with")
    return p


def read_job(options: Sequence[str] | None = None) -> Job:
    """Return the job that the command line, or other options, describe."""
    return Job(**vars(parse_options(parser(), options)))


def main() -> None:
    run_training(read_job())


if __name__ == "__main__":
    run_script(main)
