"""What a folder of own images costs: the data set, one epoch of a teacher and of a student, and their export.

The images are made up: smooth noise, as JPEGs of the size of CelebA's. Writes own_images.csv and own_images.md.
"""

import argparse
import itertools
import json
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks import machine
from benchmarks.workflow import cost_of
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.parallel import in_threads
from fairdistill.settings.arguments import count_argument, folder_argument

PIXELS = (178, 218)  # width and height
NETWORKS = {"resnet": "resnet18", "shufflenet": "shufflenet_v2_x1_0"}
MODEL = "results/own/models/own/{network}/{method}/seed0/weights.safetensors"
CARD = "results/own/export/own/{network}/{method}/seed0/README.md"
STEPS = {
    "data set": "results/own/data/own/dataset.json",
    **{f"{network} teacher, one epoch": MODEL.format(network=network, method="teacher") for network in NETWORKS},
    **{f"{network} student, one epoch": MODEL.format(network=network, method="mfd") for network in NETWORKS},
    **{f"{network} student, exported": CARD.format(network=network, method="mfd") for network in NETWORKS},
}


def make(folder: Path, images: int, classes: int, groups: int) -> Path:
    """Write images and their table, and return a configuration that names them."""
    (folder / "images").mkdir()

    def write(number: int) -> str:
        coarse = np.random.default_rng(number).integers(0, 256, (8, 7, 3), dtype=np.uint8)
        name = f"{number:06d}.jpg"
        Image.fromarray(coarse).resize(PIXELS, Image.Resampling.BICUBIC).save(folder / "images" / name, quality=90)
        return name

    cells = itertools.cycle(itertools.product(range(classes), range(groups)))
    names = in_threads(write, range(images))
    rows = [(name, f"class {label}", f"group {group}") for name, (label, group) in zip(names, cells, strict=False)]
    pd.DataFrame(rows, columns=["file", "class", "group"]).to_csv(folder / "labels.csv", index=False)
    data_set = {"kind": "folder", "images": "images", "labels": "labels.csv", "image": "file", "label": "class"}
    configuration = {
        "study": "own",
        "datasets": ["own"],
        "seeds": [0],
        "architectures": list(NETWORKS),
        "methods": ["mfd"],
        "networks": {name: {"kind": kind} for name, kind in NETWORKS.items()},
        "data": {"sets": {"own": data_set | {"group": "group", "image_size": 64}}},
        "training": {"epochs": 1},
    }
    path = folder / "own.yaml"
    path.write_text(json.dumps(configuration), encoding="utf-8")
    return path


def cost_of_steps(images: int, classes: int, groups: int, steps: list[str]) -> list[dict]:
    """What each step takes, Snakemake's own start and plan included."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        given = ["--configfile", str(make(folder, images, classes, groups)), "--directory", name]
        rows = []
        for step in steps:
            command = [sys.executable, "-m", "snakemake", "--cores", "all", STEPS[step], *given]
            started = time.perf_counter()
            cost = cost_of(command)
            elapsed = time.perf_counter() - started
            rows.append({"images": images, "cells": f"{classes} x {groups}", "step": step, "elapsed": elapsed} | cost)
        return rows


def to_markdown(rows: list[dict], measured_on: str) -> str:
    """The rows as a page."""
    text = f"# Images of one's own\n\n{measured_on}\n\nJPEGs of {PIXELS[0]} x {PIXELS[1]} px, at 64 px. "
    text += "Every step has Snakemake's start and plan in it.\n\n"
    text += "| images | classes x groups | step | seconds | CPU seconds | memory, MB |\n|--:|---|---|--:|--:|--:|\n"
    for row in rows:
        numbers = " | ".join(f"{row[name]:.0f}" for name in ("elapsed", "seconds", "memory_mb"))
        text += f"| {row['images']:,} | {row['cells']} | {row['step']} | {numbers} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=folder_argument, default=machine.folder(), help="folder for the tables")
    parser.add_argument(
        "--images", type=count_argument, default=20_000, help="of the data sets that models are trained on"
    )
    parser.add_argument(
        "--many", type=count_argument, default=100_000, help="images of the data set that is only prepared"
    )
    args = parser.parse_args()
    machine.prepare(args.output)
    rows = cost_of_steps(args.many, 2, 2, ["data set"])
    # as CelebA has them, and many classes and groups
    for classes, groups in ((2, 2), (9, 7)):
        rows += cost_of_steps(args.images, classes, groups, list(STEPS))
    machine.write_measured(args.output, "own_images", pd.DataFrame(rows), partial(to_markdown, rows), digits=4)


if __name__ == "__main__":
    run_script(main)
