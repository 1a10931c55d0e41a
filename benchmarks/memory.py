"""The memory of whole trainings: a ResNet-18 student in the shape of each data set. Writes memory.csv and memory.md.

The steps that `benchmarks.training` measures are not all that a training needs memory for. Here it is trained as a job
of the workflow is, by `scripts.train_model` on a prepared data set with as many images as the real one, for as many
epochs as it takes to evaluate it, to save the state from which it would resume, and to go on after that. The images are
random pixels, and the base is a network as it is drawn: neither changes what memory is needed. On the CPU.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks import machine
from benchmarks.cases import DATASETS, METHODS, Dataset
from fairdistill.data.preparing import Prepared, write_dataset
from fairdistill.networks import build_network, save_network
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import folder_argument
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import read_settings

KIND = "resnet18"
# the state is saved after each epoch but the last
TRAINING = {"epochs": 2, "evaluate_every": 1, "device": "cpu"}


def prepare(folder: Path, shape: Dataset) -> None:
    """Write a data set of random images to a folder, and the base of the student beside it.

    One image at a time is in memory: Linux counts what this process has as that of a process that it starts.
    """
    rng = np.random.default_rng(0)
    size, n_classes, n_groups, n_train, n_test = shape
    row = np.arange(n_train + n_test)
    samples = pd.DataFrame({"image_id": row, "split": np.where(row < n_train, "train", "test")})
    samples = samples.assign(label=row % n_classes, group=row // n_classes % n_groups)
    images = (rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in row)
    names = [f"class{y}" for y in range(n_classes)], [f"group{a}" for a in range(n_groups)]
    write_dataset(folder / "data", Prepared(samples, images, size, *names, source={}), {"kind": "random"})
    network = read_settings(AnyNetwork, {"kind": KIND}, where="kind")
    save_network(folder / "base.safetensors", build_network(network, n_classes), network)


def begin(folder: Path) -> subprocess.Popen:
    """Start the training of a student on what `prepare` wrote to a folder; its files go to `model` in it."""
    command = [sys.executable, "-m", "scripts.train_model", "--data", str(folder / "data"), "--network", KIND]
    command += ["--method", json.dumps(METHODS["student"].to_json()), "--base", str(folder / "base.safetensors")]
    command += ["--training", json.dumps(TRAINING), "--output", str(folder / "model")]
    # as Snakemake sets it for a job of one thread
    return subprocess.Popen(command, cwd=machine.ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})


def measure(datasets: Iterable[str]) -> pd.DataFrame:
    """Train a student in the shape of each data set, all at once, and return what their records say."""
    with TemporaryDirectory() as name:
        folders = {dataset: Path(name) / dataset for dataset in datasets}
        for dataset, folder in folders.items():
            folder.mkdir()
            prepare(folder, DATASETS[dataset])
        running = [begin(folder) for folder in folders.values()]
        statuses = [process.wait() for process in running]
        if any(statuses):
            sys.exit("error: benchmark: a training failed; its last lines above say why")
        records = {
            dataset: json.loads((folder / "model/training.json").read_text()) for dataset, folder in folders.items()
        }
    return pd.DataFrame(
        [
            {"dataset": dataset, "kind": KIND, "precision": record["precision"], "memory_mb": record["peak_memory_mb"]}
            for dataset, record in records.items()
        ]
    )


def to_markdown(table: pd.DataFrame, measured_on: str) -> str:
    """The table as a page."""
    headings = {"dataset": "data set", "kind": "architecture", "memory_mb": "peak memory, MiB"}
    how = (
        f"The peak of the resident memory of a training of an MFD student of {TRAINING['epochs']} epochs, from start "
        "to end, by `scripts.train_model` on a CPU: with random images in the shape and number of the data set, the "
        "base's outputs for all of them, an evaluation after each epoch, and the state saved from which it would "
        "resume. It is `peak_memory_mb` of its record. Trainings of more epochs and by other methods may take more."
    )
    return (
        "\n\n".join(["# The memory of a training", measured_on, how, markdown(table.rename(columns=headings))]) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=folder_argument, default=machine.folder(), help="folder for the tables")
    args = parser.parse_args()
    machine.prepare(args.output)
    table = measure(DATASETS)
    machine.write_measured(args.output, "memory", table, partial(to_markdown, table), digits=6)


if __name__ == "__main__":
    run_script(main)
