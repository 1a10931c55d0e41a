"""What a study has made, less the times that no two runs have in common; and what it should not have left."""

import csv
import hashlib
import io
import json
from pathlib import Path

# fields that say how long something took, on what and from which checkout; and digests of files that have such
TIMES = {"seconds", "cpu_seconds", "images_per_second", "peak_memory_mb", "peak_gpu_memory_mb", "evaluation_seconds"}
PLACES = {"hardware", "commit", "history.csv"}
# columns and rows of tables that have them
COSTS = ("cost", "seconds", "memory", "images_per_second")
PARTIAL = ".partial"
PASSING = (".resume", ".lock")


def artefacts(results: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a study's results by its path in there.

    Pages are taken as they are: only methods.md and methods.tex, which the study of the campaign does not make, have
    costs in them.
    """
    files = (path for path in sorted(results.rglob("*")) if path.is_file())
    return {str(path.relative_to(results)): hashlib.sha256(_content(path)).hexdigest() for path in files}


def leftovers(directory: Path) -> list[str]:
    """Return the files in the folder of a run that are there only while it lasts.

    These are partial files, the states of trainings that are not done, and the files of locks, which whoever held the
    lock, or the next one to take it, removes; Snakemake's own locks are among them.
    """
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return [str(path.relative_to(directory)) for path in files if PARTIAL in path.name or path.suffix in PASSING]


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            return json.dumps(_timeless(json.loads(content)), sort_keys=True).encode()
        if path.suffix == ".csv":
            rows = list(csv.reader(io.StringIO(content.decode())))
            kept = [i for i, name in enumerate(rows[0]) if not name.startswith((*TIMES, *COSTS))]
            return json.dumps([[row[i] for i in kept] for row in rows]).encode()
    except (ValueError, IndexError):
        # cut short: what a campaign looks for
        pass
    return content


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in TIMES | PLACES}
    if isinstance(value, list):
        return [_timeless(each) for each in value]
    return value
