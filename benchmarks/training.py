"""The speed of training: ours beside the reference engine, on the whole machine, in alternation.

The reference runs as one would start the usual script: one process, torch's threads on all cores, and two workers that
load. Ours runs as the workflow runs it: on a CPU one process of one thread for each core, at once, and their images per
second are summed; on a GPU one process. Writes training.csv, training.md and training.png to the folder of this
machine's tables.
"""

import argparse
from functools import partial

import pandas as pd
from tqdm import tqdm

from benchmarks import machine, peak
from benchmarks.cases import DATASETS, ENGINES, KINDS, METHODS
from benchmarks.processes import run_at_once
from benchmarks.training_plot import draw
from benchmarks.training_table import summarise, to_markdown
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.parallel import usable_cores
from fairdistill.settings.arguments import count_argument, folder_argument


def filling(engine: str, *, on_gpu: bool) -> tuple[int, int]:
    """How many processes, of how many threads each, fill the machine."""
    cores = usable_cores()
    return (1, cores) if engine == "reference" or on_gpu else (cores, 1)


def run(engine: str, dataset: str, kind: str, *what: str, steps: int, on_gpu: bool) -> list[dict]:
    """The results of the processes that fill the machine; `what` is the option that says what they train."""
    processes, threads = filling(engine, on_gpu=on_gpu)
    arguments = ["benchmarks.training_worker", "--engine", engine, "--dataset", dataset, "--kind", kind, *what]
    return run_at_once([*arguments, "--steps", str(steps)], processes=processes, threads=threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=folder_argument, default=machine.folder(), help="folder for table and figure")
    parser.add_argument("--rounds", type=count_argument, default=2, help="alternations of the engines")
    parser.add_argument("--steps", type=count_argument, default=6, help="timed steps of a round")
    parser.add_argument(
        "--dataset",
        choices=DATASETS,
        nargs="+",
        default=list(DATASETS),
        help="data sets, in whose shape images are made up",
    )
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=KINDS, help="networks")
    args = parser.parse_args()
    machine.prepare(args.output)
    cases = [
        {"dataset": dataset, "kind": kind, "role": role, "round": number, "engine": engine}
        for dataset in args.dataset
        for kind in args.kind
        for role in METHODS
        for number in range(args.rounds)
        for engine in ENGINES
    ]
    on_gpu = machine.has_gpu()
    peaks = {engine: peak.measure(*filling(engine, on_gpu=on_gpu)) for engine in ENGINES}
    rows = []
    for case in tqdm(cases, desc="training", unit="run"):
        names = case["engine"], case["dataset"], case["kind"]
        found = run(*names, "--role", case["role"], steps=args.steps, on_gpu=on_gpu)
        rows.append(case | summarise(found, case["dataset"], peaks[case["engine"]]))
    runs = pd.DataFrame(rows)
    machine.write_measured(args.output, "training", runs, partial(to_markdown, runs), digits=5)
    draw(runs, args.output / "training.png")


if __name__ == "__main__":
    run_script(main)
