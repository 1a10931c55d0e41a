"""Remove a study, or only its large parts: its data sets, models and exported models.

Without --yes nothing is removed; the script says what would be, and how much space that frees. Downloaded archives are
in `resources/`, which all studies share, and stay.
"""

import argparse
import shutil
import subprocess
from pathlib import Path

from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.studies import LARGE, LOGS, megabytes, require_study, running_trainings

SNAKEMAKES_LOCKS = Path(".snakemake", "locks")
# notes of jobs that failed, each named as its log
FAILURES = Path(".snakemake", "failed")


def may_be_tracked(folder: Path) -> bool:
    """Whether git has files of a folder, or cannot be asked though this is a checkout."""
    if not any((place / ".git").exists() for place in (Path.cwd(), *Path.cwd().parents)):
        return False
    try:
        done = subprocess.run(["git", "ls-files", "--", str(folder)], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return True
    return bool(done.stdout)


def to_remove(name: str, *, keep_results: bool) -> list[Path]:
    """Return the folders that are removed with a study, as far as they are there.

    Raises
    ------
    UserError
        There is no such study; a training or a Snakemake is at work here; or git has files of what would be removed.
    """
    study = require_study(name)
    if running := running_trainings(study):
        raise UserError(f"{running[0]}: a training is at work on it; stop it first, or wait for its end")
    if SNAKEMAKES_LOCKS.is_dir() and any(SNAKEMAKES_LOCKS.iterdir()):
        raise UserError(
            f"{SNAKEMAKES_LOCKS.parent}: a Snakemake is at work in this folder, or was killed; wait for its end, or "
            "say make unlock"
        )
    folders = [study / part for part in LARGE] if keep_results else [study, LOGS / name, FAILURES / LOGS / name]
    found = [folder for folder in folders if folder.is_dir()]
    if links := [folder for folder in found if folder.is_symlink()]:
        raise UserError(f"{links[0]}: is a link; remove it, and the folder that it leads to, by hand")
    if published := [folder for folder in found if may_be_tracked(folder)]:
        raise UserError(
            f"{published[0]}: git has files of it, or cannot be asked; say --keep-results to remove "
            f"{', '.join(LARGE)} alone"
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="a folder of results/, such as demo")
    parser.add_argument("--keep-results", action="store_true", help="metrics, tables, figures and logs stay")
    parser.add_argument("--yes", action="store_true", help="remove it")
    args = parser.parse_args()
    folders = to_remove(args.study, keep_results=args.keep_results)
    if not folders:
        print(f"{args.study}: nothing to remove: there is none of {', '.join(LARGE)}")
    for folder in folders:
        size = megabytes(folder)
        if args.yes:
            shutil.rmtree(folder)
        print(f"{folder}: {size:,.0f} MB {'freed' if args.yes else 'would be freed; say --yes to remove it'}")


if __name__ == "__main__":
    run_script(main)
