"""What lies in the folder of a study: how much of it, and whether a training is at work on it."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.study_files import StudyFiles

RESULTS, LOGS = Path("results"), Path("logs")
# what takes much room in a study's folder, and the rest of it
LARGE = ("data", "models", "export")
PARTS = (*LARGE, "metrics", "features", "tables", "figures")


def studies() -> list[str]:
    """Return the names of the studies that have results in this folder, sorted."""
    return sorted(path.name for path in RESULTS.glob("*") if any((path / part).is_dir() for part in PARTS))


def require_study(name: str) -> Path:
    """Return the folder of a study; raise a UserError where it has no results here."""
    if name not in studies():
        known = ", ".join(studies()) or "none"
        raise UserError(f"there is no study {name!r} in {RESULTS.resolve()}; those that are there: {known}")
    return RESULTS / name


def files_below(folder: Path) -> Iterator[Path]:
    """The files in a folder and below, links too, which are not followed."""
    for where, _, names in os.walk(folder):
        yield from (Path(where, name) for name in names)


def megabytes(folder: Path) -> float:
    """What the files of a folder take, in MB (10^6 bytes)."""
    return sum(path.lstat().st_size for path in files_below(folder)) / 1e6


def newer_than_now(folder: Path, files: Iterable[Path]) -> list[Path]:
    """Return which files in a folder and below have a time in the future, as its file system has it."""
    times = {}
    for path in files:
        # another run may remove its temporary files meanwhile; what may not be looked at is told by whoever reads it
        with suppress(OSError):
            times[path] = path.lstat().st_mtime_ns
    try:
        # the clock of a file server may not be that of this machine
        with tempfile.TemporaryFile(dir=folder) as new:
            now = os.fstat(new.fileno()).st_mtime_ns
    except OSError:
        # it cannot be written to
        now = time.time_ns()
    return sorted(path for path, written in times.items() if written > now)


def running_trainings(study: Path) -> list[Path]:
    """Return the folders of those models of a study that a process is writing now, by their locks."""
    return sorted(path.with_suffix("") for path in StudyFiles(study).models.rglob("*.lock") if _is_held(path))


def begun_trainings(study: Path) -> list[Path]:
    """Return the folders of those models of a study whose training was interrupted, or is running."""
    return sorted(path.with_suffix("") for path in StudyFiles(study).models.rglob("*.resume"))


def _is_held(lock: Path) -> bool:
    try:
        with open(lock, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
