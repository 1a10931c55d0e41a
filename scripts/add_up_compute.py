"""Add up the hours of all trainings whose metrics are or were kept, those of discarded trainings included.

Trainings on a CPU count by the cores that they had; those on a GPU by themselves, also where several shared it.

Every metrics file that the git history holds, in whatever version, is of one training; versions that differ in their
scores or field names alone are of the same. A training is kept where the checkout has its file, and discarded
where a later one took its place. Trainings that were never committed do not count: interrupted ones, tests, and
benchmarks. No rule runs this script; without a git history it counts what is there.
"""

import argparse
import json
import subprocess
from pathlib import Path

import pandas as pd

from fairdistill.reporting.tables import markdown
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.provenance import ROOT

KEPT, DISCARDED = "kept", "discarded"


def git(root: Path, *arguments: str, stdin: str | None = None) -> bytes:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, input=stdin and stdin.encode()).stdout


def committed(root: Path) -> list[tuple[str, bytes]]:
    """Path and content of each version of each metrics file in the history; none outside a git checkout."""
    if not (root / ".git").exists():
        return []
    log = git(root, "log", "--format=", "--raw", "--no-renames", "--abbrev=40", "--", "results").decode()
    blobs = {}
    for line in log.splitlines():
        _, _, _, blob, _, path = line.split(maxsplit=5)
        if is_metrics(path) and blob.strip("0"):
            blobs[blob] = path
    content = git(root, "cat-file", "--batch", stdin="\n".join(blobs))
    found = []
    for path in blobs.values():
        header, _, content = content.partition(b"\n")
        size = int(header.split()[-1])
        found.append((path, content[:size]))
        content = content[size + 1 :]
    return found


def is_metrics(path: str) -> bool:
    """Whether a path, relative to the root, is that of a metrics file."""
    parts = path.split("/")
    return parts[0] == "results" and "metrics" in parts and path.endswith(".json")


def trainings(root: Path) -> pd.DataFrame:
    """Return one row per training: study, state, and its seconds, of one core ("cpu") or on a GPU ("gpu")."""
    here = [(str(path.relative_to(root)), path.read_bytes()) for path in root.glob("results/*/metrics/**/*.json")]
    found: dict[tuple, dict] = {}
    for state, files in ((KEPT, here), (DISCARDED, committed(root))):
        for path, content in files:
            record = json.loads(content)
            model = path.split("/metrics/")[1]
            # equal models that took equally long, to the hundredth of a second, are one training
            row = {"study": path.split("/")[1], "state": state}
            on_gpu = record.get("device") == "cuda"
            threads = record["parameters"]["training"].get("threads", 1)
            spent = (
                {"cpu": 0.0, "gpu": record["seconds"]} if on_gpu else {"cpu": record["seconds"] * threads, "gpu": 0.0}
            )
            found.setdefault((model, record["seconds"]), row | spent)
    if not found:
        raise UserError(f"{root}: no metrics file in results/*/metrics; train and evaluate a model first")
    return pd.DataFrame(found.values())


def add_up(table: pd.DataFrame) -> pd.DataFrame:
    """Return the number of trainings, their core-hours and their hours on GPUs by study and state, and in all."""
    groups = table.groupby(["study", "state"], sort=True)
    sums = groups[["cpu", "gpu"]].sum().assign(trainings=groups.size()).reset_index()
    total = {"study": "all", "state": "", "trainings": len(table), "cpu": table["cpu"].sum(), "gpu": table["gpu"].sum()}
    sums = pd.concat([sums, pd.DataFrame([total])], ignore_index=True)
    hours = {
        f"{name}_hours": (sums[column] / 3600).round(1) for column, name in [("cpu", "core"), ("gpu", "gpu_training")]
    }
    return sums[["study", "state", "trainings"]].assign(**hours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="checkout of the project (default: this one)")
    args = parser.parse_args()
    print(markdown(add_up(trainings(args.root))))


if __name__ == "__main__":
    run_script(main)
