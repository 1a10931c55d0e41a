"""Snakemake as a user calls it."""

import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).with_name("tiny.yaml")
SOURCES = ("Snakefile", "workflow", "scripts", "fairdistill", "config", "envs", "profiles")


def running(*args, project=ROOT, snakefile="Snakefile", directory, path=None, program=("-m", "snakemake"), **options):
    """Start Snakemake on the workflow in `project`, with `directory` as the working directory.

    What is in the folder `path` comes before the programs of the same name; `options` are Popen's.
    """
    command = [sys.executable, *program, *arguments(*args, project=project, snakefile=snakefile, directory=directory)]
    return subprocess.Popen(
        command, env=environment(path), cwd=project, text=True, stderr=subprocess.STDOUT,
        **({"stdout": subprocess.PIPE} | options),
    )  # fmt: skip


def arguments(*args, project, snakefile, directory):
    """What comes after the program on the command line."""
    return [str(part) for part in ["--snakefile", project / snakefile, *args, "--directory", directory]]


def environment(path):
    """Environment variables for a run that finds programs in the folder `path`, and those of this Python, first."""
    env = {key: value for key, value in os.environ.items() if key != "FAIRDISTILL_MIRROR"}
    folders = [path, Path(sys.executable).parent, env["PATH"]]
    return env | {"PATH": os.pathsep.join(str(folder) for folder in folders if folder)}


def snakemake(*args, **where):
    """Run Snakemake as `running` starts it, to its end; a dry run in a copy of a process that has loaded Snakemake."""
    if "--dry-run" in args and "program" not in where:
        return dry_run(*args, **where)
    with running(*args, **where) as process:
        stdout, _ = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout)


# to load Snakemake takes as long as to plan a small study with it
LOADED = multiprocessing.get_context("forkserver")
LOADED.set_forkserver_preload(["snakemake.cli", "snakemake.report", "smart_open", "pydantic"])


def dry_run(*args, project=ROOT, snakefile="Snakefile", directory, path=None):
    """Do what `running` starts, but in a process that has loaded what a plan needs, less the project."""
    argv = ["snakemake", *arguments(*args, project=project, snakefile=snakefile, directory=directory)]
    with tempfile.NamedTemporaryFile() as output:
        process = LOADED.Process(target=_main, args=(argv, environment(path), str(project), output.name))
        process.start()
        process.join()
        return subprocess.CompletedProcess(argv, process.exitcode, Path(output.name).read_text(encoding="utf-8"))


def _main(argv, env, folder, output):
    """Run Snakemake in this process, as `python -m snakemake` does in `folder`; what it prints goes to a file."""
    from snakemake.cli import main

    with open(output, "w", encoding="utf-8") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv = argv
    main()


def planned(*args, **where):
    """How many jobs of each rule a dry run would run, less the targets that only collect."""
    done = snakemake("--dry-run", *args, **where)
    assert done.returncode == 0, done.stdout
    return {} if "Nothing to be done" in done.stdout else jobs_of(done.stdout)


def jobs_of(plan):
    """How many jobs of each rule the output of a dry run names, less the targets that only collect."""
    stats = plan.split("Job stats:")[1].split("\n\n")[0]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", stats, flags=re.MULTILINE)}
    targets = ("all", "figures", "pages", "archive", "export", "total")
    return {name: count for name, count in jobs.items() if name not in targets}


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
