"""The scale of the workflow: planning 10,000 trainings, aggregating 10,000 metrics files, and one model's bootstrap.

Planning is compared with what Snakemake needs for a plain chain of as many jobs. Writes workflow.csv and workflow.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks import machine
from benchmarks.machine import ROOT
from fairdistill.evaluation.metrics import evaluate
from fairdistill.evaluation.uncertainty import RESAMPLES
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import sha256
from fairdistill.settings.arguments import count_argument, folder_argument

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run", "--quiet", "rules"]
CHAIN = """
rule all:
    input: expand("{{i}}.d", i=range({n}))
rule a:
    output: "{{i}}.a"
    shell: "touch {{output}}"
rule b:
    input: "{{i}}.a"
    output: "{{i}}.b"
    shell: "touch {{output}}"
rule c:
    input: "{{i}}.b"
    output: "{{i}}.c"
    shell: "touch {{output}}"
rule d:
    input: "{{i}}.c"
    output: "{{i}}.d"
    shell: "touch {{output}}"
"""


def seconds_of(command: list[str], folder: Path) -> float:
    """CPU seconds of `command` in `folder`: what else the machine does must not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: benchmark: {' '.join(command)} failed:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def plan(trainings: int, folder: Path) -> dict:
    """Our plan of `trainings` trainings and as many evaluations, and a chain of as many jobs."""
    seeds = trainings // 4  # two architectures, teacher and student
    config = ["--configfile", str(ROOT / "config" / "demo.yaml"), "--config", f"seeds={list(range(seeds))}"]
    ours = seconds_of([*SNAKEMAKE, "--snakefile", str(ROOT / "Snakefile"), *config], folder)
    jobs = 2 * trainings
    (folder / "chain.smk").write_text(CHAIN.format(n=jobs // 4))
    chain = seconds_of([*SNAKEMAKE, "--snakefile", "chain.smk"], folder)
    return {"what": f"plan {trainings} trainings ({jobs} jobs)", "seconds": ours, "plain": chain, "goal": "1.5 x plain"}


def aggregate(files: int, folder: Path) -> dict:
    """Tables of `files` metrics files, of teachers and students of as many seeds as that takes."""
    source = next((ROOT / "results" / "paper" / "metrics").rglob("*.json"))
    record = json.loads(source.read_text())
    rng = np.random.default_rng(0)
    classes, groups = record["classes"], record["groups"]
    label, group = np.indices((len(classes), len(groups))).reshape(2, -1).repeat(100, axis=1)
    predictions = pd.DataFrame({"image_id": np.arange(len(label)).astype(str), "label": label, "group": group})
    probabilities = pd.DataFrame(rng.random((len(label), len(classes)))).add_prefix("p")
    record["metrics"] = evaluate(predictions.join(probabilities), classes=classes, groups=groups, resamples=100)
    (folder / "metrics").mkdir()
    grid = {name: [record["run"][name]] for name in ("dataset", "architecture")}
    grid |= {"method": ["teacher", "mfd"], "seed": list(range(files // 2))}
    place = grid["dataset"][0], grid["architecture"][0]
    for number in range(2 * (files // 2)):
        method, seed = grid["method"][number % 2], number // 2
        record["run"] |= {"method": method, "seed": seed, "role": "teacher", "base": None}
        if method != "teacher":
            record["run"] |= {"role": "student", "base": {"architecture": place[1], "method": "teacher"}}
        (folder / "metrics" / "-".join([*place, method, f"{seed}.json"])).write_text(json.dumps(record))
    pattern = folder / "metrics" / "{dataset}-{architecture}-{method}-{seed}.json"
    command = [sys.executable, "-m", "scripts.aggregate_results", "--metrics", str(pattern)]
    command += ["--grids", json.dumps([grid])]
    command += ["--runs", str(folder / "runs.csv"), "--summary", str(folder / "summary.csv")]
    command += ["--paired", str(folder / "paired.csv"), "--paired-markdown", str(folder / "paired.md")]
    return {"what": f"aggregate {files} metrics files", **cost_of(command), "goal": "10 s, 1000 MB"}


def bootstrap(samples: int, folder: Path) -> dict:
    """Score `samples` predictions of 10 classes in two groups, paired as on CIFAR-10S: most of it is the bootstrap."""
    rng = np.random.default_rng(0)
    image = np.arange(samples) // 2
    label, group = image % 10, np.arange(samples) % 2
    # right in 4 of 5
    probabilities = rng.random((samples, 10)) + 1.5 * (label[:, None] == np.arange(10)) * (
        rng.random((samples, 1)) < 0.8
    )
    predictions = pd.DataFrame(probabilities / probabilities.sum(axis=1, keepdims=True)).add_prefix("p")
    predictions = predictions.assign(image_id=image.astype(str), split="test", label=label, group=group)
    predictions.to_parquet(folder / "predictions.parquet")
    outputs = {"predictions.parquet": sha256(folder / "predictions.parquet")}
    record = {"classes": [f"class {y}" for y in range(10)], "groups": ["gray", "color"], "outputs": outputs}
    (folder / "training.json").write_text(json.dumps(record))
    command = [sys.executable, "-m", "scripts.evaluate_model", "--predictions", str(folder / "predictions.parquet")]
    command += ["--training", str(folder / "training.json"), "--output", str(folder / "scores.json")]
    command += ["--probabilities", str(folder / "probabilities.parquet")]
    what = f"score {samples} predictions with {RESAMPLES} resamples"
    return {"what": what, **cost_of(command), "goal": "5 s, 1000 MB"}


def cost_of(command: list[str]) -> dict:
    """CPU seconds and peak memory of one process of ours, with what it takes to start."""
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"error: benchmark: {' '.join(command)} failed")
    return {"seconds": usage.ru_utime + usage.ru_stime, "memory_mb": usage.ru_maxrss / 1024}


def to_markdown(table: pd.DataFrame, measured_on: str) -> str:
    """The table as a page."""
    text = f"# The scale of the workflow\n\n{measured_on}\n\n"
    text += "| what | CPU seconds | a plain chain of as many jobs | memory, MB | goal |\n|---|--:|--:|--:|---|\n"
    for row in table.to_dict("records"):
        numbers = row["seconds"], row["plain"], row["memory_mb"]
        cells = (f"{value:.1f}" if pd.notna(value) else "" for value in numbers)
        text += f"| {row['what']} | {' | '.join(cells)} | {row['goal']} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=folder_argument, default=machine.folder(), help="folder for the tables")
    parser.add_argument("--trainings", type=count_argument, default=10_000, help="as many, in fours")
    args = parser.parse_args()
    machine.prepare(args.output)
    with TemporaryDirectory() as folder:
        results = Path(folder)
        rows = [plan(args.trainings, results), aggregate(args.trainings, results), bootstrap(20_000, results)]
    table = pd.DataFrame(rows)
    machine.write_measured(args.output, "workflow", table, partial(to_markdown, table), digits=4)


if __name__ == "__main__":
    run_script(main)
