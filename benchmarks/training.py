"""The speed of training: ours beside the reference engine, on the whole machine, in alternation.

The reference runs as one would start the usual script: one process, torch's threads on all cores, and two workers that
load. Ours runs as the workflow runs it: on a CPU one process of one thread for each core, at once, and their images per
second are summed; on a GPU one process. Writes training.csv, training.md and training.png to the folder given.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.training_worker import DATASETS, METHODS
from fairdistill.provenance import hardware, versions

KINDS = ["resnet18", "shufflenet_v2_x1_0"]
GOALS = {"student": 2.5, "teacher": 1.6}
EPOCHS = 20
PARTS = ["data", "teacher", "forward", "backward", "loss", "optimiser"]


def run(engine: str, dataset: str, kind: str, role: str, *, steps: int, on_gpu: bool) -> list[dict]:
    """The results of the processes that fill the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processes, threads = (1, cores) if engine == "reference" or on_gpu else (cores, 1)
    command = [sys.executable, "-m", "benchmarks.training_worker", "--engine", engine, "--dataset", dataset]
    command += ["--kind", kind, "--role", role, "--steps", str(steps), "--threads", str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        for _ in range(processes)
    ]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        sys.exit(f"error: benchmark: {' '.join(command)} failed; run it to see why")
    return [json.loads(output) for output in outputs]


def summarise(results: list[dict]) -> dict:
    """One row of the processes of one run."""
    first = results[0]
    speed = sum(result["images_per_second"] for result in results)
    # the teacher's features of both orientations, once per training, spread over its images
    seconds = 1 / speed + first["feature_seconds_per_image"] / len(results) / EPOCHS
    gflops = speed * first["gflop_per_image"]
    parts = {part: sum(result["parts"].get(part, 0) for result in results) / len(results) for part in PARTS}
    return {
        "images_per_second": 1 / seconds,
        "precision": first["precision"],
        "share_of_peak": gflops / sum(result["peak_gflops"] for result in results),
        "peak_memory_mb": max(result["peak_memory_mb"] for result in results),
        "mfd_loss_share": (first["mfd_loss_ms"] or 0) / first["step_ms"],
        **{f"share_{part}": share for part, share in parts.items()},
    }


def compare(runs: pd.DataFrame) -> pd.DataFrame:
    """Medians over rounds, one row per case, the engines side by side."""
    case = ["dataset", "kind", "role"]
    numbers = runs.drop(columns=["round", "precision"]).groupby([*case, "engine"]).median()
    fast, plain = (numbers.xs(engine, level="engine") for engine in ("fast", "reference"))
    table = pd.DataFrame(
        {
            "reference": plain["images_per_second"],
            "ours": fast["images_per_second"],
            "ratio": fast["images_per_second"] / plain["images_per_second"],
            "share_of_peak": fast["share_of_peak"],
            "mfd_loss_share": fast["mfd_loss_share"],
            "memory_mb": fast["peak_memory_mb"],
        }
    )
    speed = table["ours"].unstack("role")
    table["cost_of_distillation"] = (speed["teacher"] / speed["student"] - 1).reindex(table.index)
    return table.reset_index()


def to_markdown(table: pd.DataFrame, machine: dict) -> str:
    """The table with its goals, and the machine that it was measured on."""
    where = f"{machine['gpu'] or machine['cpu']}, {machine['cores']} cores, torch {versions()['torch']}"
    lines = [
        f"Images per second, {where}.",
        "",
        "| data set | architecture | role | reference | ours | ratio | goal | of matrix peak | MFD loss | distillation "
        "costs | memory, MB |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in table.itertuples():
        student = row.role == "student"
        lines.append(
            f"| {row.dataset} | {row.kind} | {row.role} | {row.reference:.0f} | {row.ours:.0f} | {row.ratio:.2f} "
            f"| {GOALS[row.role]} | {row.share_of_peak:.0%} | {f'{row.mfd_loss_share:.1%}' if student else ''} "
            f"| {f'{row.cost_of_distillation:.0%}' if student else ''} | {row.memory_mb:.0f} |"
        )
    return "\n".join(lines) + "\n"


def draw(runs: pd.DataFrame, path: Path) -> None:
    """Where a step's time goes, engine beside engine."""
    shares = runs.groupby(["dataset", "kind", "role", "engine"])[
        ["images_per_second", *(f"share_{part}" for part in PARTS)]
    ].median()
    milliseconds = shares[[f"share_{part}" for part in PARTS]].div(shares["images_per_second"] / 1e3, axis=0)
    labels = [
        f"{dataset}, {kind.split('_')[0]}, {role}: {engine}" for dataset, kind, role, engine in milliseconds.index
    ]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    ax = figure.subplots()
    left = 0
    for part, colour in zip(PARTS, sns.color_palette("colorblind", len(PARTS)), strict=True):
        width = milliseconds[f"share_{part}"].to_numpy()
        ax.barh(labels, width, left=left, color=colour, label=part)
        left = left + width
    ax.invert_yaxis()
    ax.set_xlabel("ms per image")
    ax.tick_params(labelsize=7)
    ax.legend(ncols=3, frameon=False, fontsize=8)
    sns.despine(figure)
    figure.savefig(path, dpi=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("results/bench"), help="folder for table and figure")
    parser.add_argument("--rounds", type=int, default=3, help="alternations of the engines")
    parser.add_argument("--steps", type=int, default=8, help="timed steps of a round")
    parser.add_argument("--dataset", choices=DATASETS, nargs="+", default=list(DATASETS))
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=KINDS)
    args = parser.parse_args()
    gpu = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.cuda.is_available())"], capture_output=True, text=True
    )
    on_gpu = gpu.stdout.strip() == "True"
    cases = [
        (number, dataset, kind, role, engine)
        for dataset in args.dataset
        for kind in args.kind
        for role in METHODS
        for number in range(args.rounds)
        for engine in ("reference", "fast")
    ]
    rows = []
    for number, dataset, kind, role, engine in tqdm(cases, desc="training", unit="run"):
        results = run(engine, dataset, kind, role, steps=args.steps, on_gpu=on_gpu)
        rows.append({"dataset": dataset, "kind": kind, "role": role, "engine": engine, "round": number})
        rows[-1] |= summarise(results)
    runs = pd.DataFrame(rows)
    args.output.mkdir(parents=True, exist_ok=True)
    runs.to_csv(args.output / "training.csv", index=False, float_format="%.5g")
    text = to_markdown(compare(runs), hardware())
    (args.output / "training.md").write_text(text, encoding="utf-8")
    draw(runs, args.output / "training.png")
    print(text)


if __name__ == "__main__":
    main()
