"""The processes of a study that is running, and how they are killed."""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PLANNING = "planning"
# How the names of the scripts begin that run in the other stages.
SCRIPTS = {
    "preparing": ("prepare_dataset",),
    "training": ("train_model",),
    "evaluating": ("evaluate_model",),
    "pages": ("aggregate_results", "make_", "plot_", "rank_methods"),
}
STAGES = [PLANNING, *SCRIPTS]


def processes_in(folder: Path) -> list[psutil.Process]:
    """The processes whose working directory is `folder`: Snakemake, and all that it has started there."""
    return [process for process in psutil.process_iter() if _is_in(process, folder)]


def script_of(process: psutil.Process) -> str | None:
    """The name of the project's script that a process runs; None for one that runs none."""
    with suppress(psutil.Error):
        # not a shell, whose text has the name too; a process that is ending has no command line
        program, *options = process.cmdline() or [""]
        if "python" in Path(program).name and options[:1] == ["-m"] and options[1].startswith("scripts."):
            return options[1].removeprefix("scripts.")
    return None


def stages_of(folder: Path) -> list[str]:
    """The stages whose scripts are running in a folder; the planning, where none is."""
    running = [script for process in processes_in(folder) if (script := script_of(process))]
    found = [stage for stage, names in SCRIPTS.items() if any(script.startswith(names) for script in running)]
    return found or [PLANNING]


def strike(folder: Path, snakemake: int, rng: random.Random) -> tuple[str, str] | None:
    """Kill something of a study in `folder`: return what and by which signal; None where nothing is there any more.

    Parameters
    ----------
    snakemake
        The number of Snakemake's process, which leads a group of its own.
    """
    victim, number = rng.choice(("script", "job", "Snakemake", "group")), rng.choice(SIGNALS)
    with suppress(ProcessLookupError, psutil.Error):
        if victim == "group":
            os.killpg(snakemake, number)
            return victim, number.name
        if victim == "Snakemake":
            os.kill(snakemake, number)
            return victim, number.name
        found = list(_scripts(folder) if victim == "script" else _jobs(folder, snakemake))
        if found:
            rng.choice(found).send_signal(number)
            return victim, number.name
    return None


def _scripts(folder: Path) -> Iterator[psutil.Process]:
    return (process for process in processes_in(folder) if script_of(process))


def _jobs(folder: Path, snakemake: int) -> Iterator[psutil.Process]:
    """The shells that Snakemake has started."""
    for process in processes_in(folder):
        with suppress(psutil.Error):
            if process.ppid() == snakemake and "bash" in process.name():
                yield process


def _is_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder
    except psutil.Error:
        return False
