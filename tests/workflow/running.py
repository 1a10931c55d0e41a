"""Snakemake as a user calls it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny.yaml")
SOURCES = ("Snakefile", "workflow", "scripts", "fairdistill", "config", "envs", "profiles")


def running(*args, project=ROOT, snakefile="Snakefile", directory, path=None, program=("-m", "snakemake"), **options):
    """Start Snakemake on the workflow in `project`, with `directory` as the working directory.

    What is in the folder `path` comes before the programs of the same name; `options` are Popen's.
    """
    env = {key: value for key, value in os.environ.items() if key != "FAIRDISTILL_MIRROR"}
    folders = [path, Path(sys.executable).parent, env["PATH"]]
    env["PATH"] = os.pathsep.join(str(folder) for folder in folders if folder)
    command = [sys.executable, *program, "--snakefile", project / snakefile, *args]
    return subprocess.Popen(
        [str(part) for part in [*command, "--directory", directory]],
        env=env, cwd=project, text=True, stderr=subprocess.STDOUT, **({"stdout": subprocess.PIPE} | options),
    )  # fmt: skip


def snakemake(*args, **where):
    """Run Snakemake as `running` starts it, to its end."""
    with running(*args, **where) as process:
        stdout, _ = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout)


def planned(*args, **where):
    """How many jobs of each rule a dry run would run, less the targets that only collect."""
    done = snakemake("--dry-run", *args, **where)
    assert done.returncode == 0, done.stdout
    return {} if "Nothing to be done" in done.stdout else jobs_of(done.stdout)


def jobs_of(plan):
    """How many jobs of each rule the output of a dry run names, less the targets that only collect."""
    stats = plan.split("Job stats:")[1].split("\n\n")[0]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", stats, flags=re.MULTILINE)}
    return {name: count for name, count in jobs.items() if name not in ("all", "figures", "export", "total")}


def copy_configuration(to):
    """Make a folder a working directory with a configuration and no results."""
    shutil.copytree(ROOT / "config", to / "config")
    return to


def copy_project(to, origin=ROOT):
    """A checkout of the project in `origin`, without results."""
    to.mkdir()
    for name in SOURCES:
        source = origin / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, to / name)
    return to
