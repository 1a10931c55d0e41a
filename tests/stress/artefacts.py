"""What a study has made, less the times that no two runs have in common."""

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


def artefacts(results: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a study's results by its path in there.

    Locks are left out: one stays where a process was killed, and holds no one up.
    """
    files = (path for path in sorted(results.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(results)): hashlib.sha256(_content(path)).hexdigest() for path in files}


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.parent.name == "tables" and path.suffix != ".csv":
        # Markdown and LaTeX of the tables, whose numbers are compared in the CSV
        return b""
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
