"""Add up the hours of all trainings whose metrics are or were kept, those of discarded trainings included.

Trainings on a CPU count in core hours; those on a GPU each count in full, even if several shared the GPU.

Every version of a metrics file in the git history stands for one training; versions that differ only in their scores or
field names belong to the same training. A training is kept if the checkout has its file, and discarded if a later one
replaced it. Trainings that were never committed do not count: interrupted ones, tests, and benchmarks. Versions in the
history that are not metrics files do not count either, as they cannot be repaired there, but are named. No rule runs
this script; without a git history it counts the files in the checkout.
"""

import argparse
import subprocess
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import parse_json
from fairdistill.runtime.progress import log
from fairdistill.runtime.provenance import ROOT
from fairdistill.settings.base import Number, Settings, Text
from fairdistill.settings.reading import read_settings

KEPT, DISCARDED = "kept", "discarded"


class Training(Settings, extra="ignore"):
    threads: int = Field(default=1, ge=1)


class Parameters(Settings, extra="ignore"):
    training: Training


class Spent(Settings, extra="ignore"):
    """What is read of a metrics file, of whatever version."""

    seconds: Annotated[Number, Field(ge=0)]
    device: Text | None = None
    parameters: Parameters


def git(root: Path, *arguments: str, stdin: str | None = None) -> bytes:
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, input=stdin and stdin.encode()).stdout
    except subprocess.CalledProcessError as error:
        what = " ".join(error.stderr.decode(errors="replace").split())
        raise UserError(f"{root}: its git history cannot be read ({what}); mend it, or give another --root") from error


def committed(root: Path) -> list[tuple[str, bytes]]:
    """Path and content of each version of each metrics file in the history; none without a git checkout or commit."""
    if not (root / ".git").exists() or not git(root, "rev-list", "--all", "--max-count=1"):
        return []
    history = git(root, "log", "--format=", "--raw", "--no-renames", "--abbrev=40", "--", "results").decode()
    blobs = {}
    for line in history.splitlines():
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


def read(content: bytes, path: str) -> Spent:
    """Return what a training took; a UserError names the file that does not say so."""
    try:
        record = parse_json(content)
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON ({error}); evaluate the model again") from error
    try:
        return read_settings(Spent, record, where=path)
    except UserError as error:
        raise UserError(f"{error}; evaluate the model again") from None


def trainings(root: Path) -> pd.DataFrame:
    """Return one row per training: study, state, and its seconds, of one core ("cpu") or on a GPU ("gpu")."""
    here = [(str(path.relative_to(root)), path.read_bytes()) for path in root.glob("results/*/metrics/**/*.json")]
    found: dict[tuple, dict] = {}
    for state, files in ((KEPT, here), (DISCARDED, committed(root))):
        for path, content in files:
            try:
                spent = read(content, path)
            except UserError as error:
                if state == KEPT:
                    raise
                log(f"in the git history: {error}; left out")
                continue
            model = path.split("/metrics/")[1]
            # equal models that took equally long, to the hundredth of a second, are one training
            row: dict[str, str | float] = {"study": path.split("/")[1], "state": state}
            if spent.device == "cuda":
                row |= {"cpu": 0.0, "gpu": spent.seconds}
            else:
                row |= {"cpu": spent.seconds * spent.parameters.training.threads, "gpu": 0.0}
            found.setdefault((model, spent.seconds), row)
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
