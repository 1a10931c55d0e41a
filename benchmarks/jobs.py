"""What Snakemake and Python cost beside the trainings: a tiny study run through the workflow, one job at a time.

The cost is the wall time of the study less the seconds that its trainings recorded for themselves. The demo is run,
too, on all cores, in an environment that is there already. Where there is a GPU, the paper's grid with five seeds is
run too, on data sets that were prepared before; it needs the archives, from FAIRDISTILL_MIRROR or the web. Writes
jobs.csv and jobs.md. The machine has to be idle.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from benchmarks import machine
from benchmarks.machine import ROOT
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import folder_argument

TINY = ["seeds=[0]", "architectures=[shufflenet]", "training={epochs: 1, evaluate_every: 0, device: auto}"]
TINY += ["data={sets: {digits_s: {image_size: 16, test_fraction: 0.8}}}"]


def snakemake(folder: Path, *options: str) -> tuple[float, str]:
    """Wall seconds and output of a run of the workflow in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    environment = os.environ | {
        # jobs call `python`
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # with Snakemake's table of jobs
        "FAIRDISTILL_VERBOSE": "1",
    }
    started = time.perf_counter()
    done = subprocess.run([*command, *options], cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started, done.stdout + done.stderr


def tiny_study(folder: Path) -> dict:
    """The overhead of a job, on average over all jobs, and that of a training."""
    options = ["--cores", "1", "--configfile", str(ROOT / "config" / "demo.yaml"), "--config", *TINY]
    planning, _ = snakemake(folder, "--dry-run", *options)
    seconds, output = snakemake(folder, *options)
    jobs = int(re.findall(r"^total +(\d+)", output, flags=re.MULTILINE)[0]) - 1  # the target does nothing
    records = [json.loads(path.read_text()) for path in folder.rglob("training.json")]
    walls = [pd.read_csv(path, sep="\t")["s"].iloc[0] for path in (folder / "logs").rglob("*.tsv")]
    training = sum(record["seconds"] for record in records)
    return {
        "jobs": jobs,
        "planning_seconds": planning,
        "job_overhead_seconds": (seconds - planning - training) / jobs,
        "training_overhead_seconds": (sum(walls) - training) / len(walls),
    }


def demo(folder: Path) -> float:
    """Minutes of the demo, Snakemake included."""
    seconds, _ = snakemake(folder, "--cores", "all", "--configfile", str(ROOT / "config" / "demo.yaml"))
    return seconds / 60


def whole_grid(folder: Path) -> float:
    """Minutes of the paper's grid of five seeds, Snakemake included."""
    if (ROOT / "resources").exists():
        (folder / "resources").symlink_to(ROOT / "resources")
    options = ["--cores", "all", "--config", "seeds=[0, 1, 2, 3, 4]"]
    snakemake(folder, *options, "--until", "prepare_dataset")
    seconds, _ = snakemake(folder, *options)
    return seconds / 60


def to_markdown(row: dict, measured_on: str) -> str:
    grid = "unmeasured: needs a GPU and the archives"
    if pd.notna(row["grid_minutes"]):
        grid = f"{60 * row['grid_minutes']:.0f}"
    table = pd.DataFrame(
        [
            ("Snakemake's start and plan of a small study", f"{row['planning_seconds']:.1f}"),
            (f"a job, on average over {row['jobs']}, less the training itself", f"{row['job_overhead_seconds']:.1f}"),
            (
                "a training's process, less the training itself: Python, torch, inputs, test, outputs",
                f"{row['training_overhead_seconds']:.1f}",
            ),
            ("the demo, without making the environment", f"{60 * row['demo_minutes']:.0f}"),
            ("the paper's grid, 5 seeds (40 trainings), on one GPU", grid),
        ],
        columns=["what", "wall seconds"],
    )
    return f"# The cost of the workflow\n\n{measured_on}\n\n{markdown(table)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=folder_argument, default=machine.folder(), help="folder for the tables")
    args = parser.parse_args()
    machine.prepare(args.output)
    with TemporaryDirectory() as folder:
        row = tiny_study(Path(folder)) | {"grid_minutes": None}
    with TemporaryDirectory() as folder:
        row["demo_minutes"] = demo(Path(folder))
    if machine.has_gpu():
        with TemporaryDirectory() as folder:
            try:
                row["grid_minutes"] = whole_grid(Path(folder))
            except RuntimeError as error:
                print(f"the grid is left unmeasured: {error}", file=sys.stderr)
    machine.write_measured(args.output, "jobs", pd.DataFrame([row]), partial(to_markdown, row), digits=4)


if __name__ == "__main__":
    run_script(main)
