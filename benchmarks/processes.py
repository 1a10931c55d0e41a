"""Processes of a benchmark that run at once, each of which prints its results as JSON."""

import json
import os
import subprocess
import sys


def run_at_once(arguments: list[str], *, processes: int, threads: int) -> list[dict]:
    """Return what so many processes print, each of `python -m` with these arguments and of so many threads."""
    command = [sys.executable, "-m", *arguments, "--threads", str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        for _ in range(processes)
    ]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        sys.exit(f"error: benchmark: {' '.join(command)} failed; run it to see why")
    return [json.loads(output) for output in outputs]
