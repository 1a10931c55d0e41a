"""The speed of each method of config/methods.yaml: ours beside the reference engine, and beside plain training.

Measured as `benchmarks.training` measures, for ResNet-18 on images of CIFAR-10S. Methods whose training is that of
another one, on another base of the same network, are left out, and so are those that train nothing. Writes methods.csv
and methods.md to the folder given.
"""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import yaml
from snakemake.utils import update_config
from tqdm import tqdm

from benchmarks import machine
from benchmarks.cases import BATCH_SIZE, ENGINES, EPOCHS
from benchmarks.training import run
from benchmarks.training_table import over_rounds
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import count_argument, folder_argument
from fairdistill.settings.configuration import complete
from fairdistill.settings.methods import SAME, Method, PostProcessing

CONFIG = Path(__file__).parents[1] / "config"
DATASET, KIND = "cifar10s", "resnet18"
PLAIN = "erm"
# ours to the reference, below which the notes say why
GOAL = 2.0


class Case(NamedTuple):
    """A method, and the kind of network that its base has."""

    method: Method
    base_kind: str


def methods_to_measure() -> dict[str, Case]:
    """The methods of the configuration by name, one of each way to train."""
    config: dict = {}
    for name in ("config.yaml", "methods.yaml"):
        # as Snakemake lays one over the other
        update_config(config, yaml.safe_load((CONFIG / name).read_text(encoding="utf-8")))
    study = complete(config)
    found: dict[str, Case] = {}
    known: list[tuple] = []
    for name in study.methods:
        method = study.method(name)
        base = method.stands_on.architecture if method.stands_on else SAME
        case = Case(method, KIND if base == SAME else study.networks[base].kind)
        # sampling decides which images a batch has, and not how long its step takes
        way = method.parameters() | {"sampling": ""}, case.base_kind
        if not isinstance(method, PostProcessing) and way not in known:
            found[name] = case
            known.append(way)
    return found


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Return, for each method, images per second of either engine, their ratio, and our step over plain training's."""
    speed = runs.groupby(["method", "engine"], sort=False)["images_per_second"].median().unstack("engine")
    table = speed.loc[runs["method"].unique(), [*ENGINES]]
    table["ratio"] = table["fast"] / table["reference"]
    for engine in ENGINES:
        table[f"cost_{engine}"] = table[engine][PLAIN] / table[engine]
    return table.reset_index()


def to_markdown(table: pd.DataFrame, measured_on: str, rounds: int) -> str:
    """The table as a page."""
    shown = pd.DataFrame({"method": table["method"]})
    for heading, column, form in (
        ("images/s, reference", "reference", ".0f"),
        ("images/s, ours", "fast", ".0f"),
        ("ratio", "ratio", ".2f"),
        ("cost, reference", "cost_reference", ".2f"),
        ("cost, ours", "cost_fast", ".2f"),
    ):
        shown[heading] = [format(value, form) for value in table[column]]
    slow = table.loc[table["ratio"] < GOAL, "method"]
    below = f"Below {GOAL:g}: {', '.join(slow)}; benchmarks/NOTES.md says why." if len(slow) else ""
    how = (
        f"ResNet-18 on images of CIFAR-10S. Each number is {over_rounds(rounds)}; how either engine runs, and in which "
        "precision, is said in training.md. A method of several stages counts each by its share of the "
        f"{EPOCHS} epochs, and what is computed once of a base's outputs is spread over them. Cost is the time of a "
        f"step over that of `{PLAIN}`, by the same engine. A round differs from another by some per cent, and so a "
        "method that adds nothing to a step may come out below 1. A method of config/methods.yaml that is left out "
        "takes the steps of one that is here, on other images or from another base (`balanced` those of `erm`, "
        "`mfd_plain` those of `mfd`), or trains nothing (`hardt`, `group_temperature`)."
    )
    parts = ["# The speed of each method", measured_on, how, markdown(shown), below]
    return "\n\n".join(filter(None, parts)) + "\n"


def main() -> None:
    methods = methods_to_measure()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=folder_argument, default=machine.folder(), help="folder for the tables")
    parser.add_argument("--rounds", type=count_argument, default=2, help="alternations of the engines")
    parser.add_argument("--steps", type=count_argument, default=6, help="timed steps of a round and stage")
    parser.add_argument("--method", choices=methods, nargs="+", default=list(methods), metavar="NAME", help="methods")
    args = parser.parse_args()
    machine.prepare(args.output)
    on_gpu = machine.has_gpu()
    # what the costs are compared with
    names = dict.fromkeys([PLAIN, *args.method])
    cases = [(name, number, engine) for name in names for number in range(args.rounds) for engine in ENGINES]
    rows = []
    for name, number, engine in tqdm(cases, desc="methods", unit="run"):
        what = ["--method", json.dumps(methods[name].method.to_json()), "--base-kind", methods[name].base_kind]
        found = run(engine, DATASET, KIND, *what, steps=args.steps, on_gpu=on_gpu)
        speed = sum(1e3 * BATCH_SIZE / result["step_ms"] for result in found)
        rows.append({"method": name, "round": number, "engine": engine, "images_per_second": speed})
    runs = pd.DataFrame(rows)
    page = partial(to_markdown, summarise(runs), rounds=args.rounds)
    machine.write_measured(args.output, "methods", runs, page, digits=5)


if __name__ == "__main__":
    run_script(main)
