"""The target `figures` in a clone that has only the tracked metrics: it redraws, and never trains."""

import os
import re
import shutil
import sys

import pytest
from running import ROOT, TINY, jobs_of, planned, snakemake

PAGES = {
    "aggregate_results": 1,
    "make_table": 1,
    "make_ablations": 1,
    "rank_methods": 1,
    "compare_with_paper": 1,
    "plot_architecture": 1,
    "plot_comparison": 2,
    "plot_tradeoff": 1,
    "plot_cells": 1,
    "plot_slopes": 1,
}
GIVEN = ("--configfile", TINY)
RUNNER = """
import runpy, sys

class NoTorch:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            raise ImportError("torch is not for figures")

sys.meta_path.insert(0, NoTorch)
_, option, module, *arguments = sys.argv
assert option == "-m"
sys.argv[1:] = arguments
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def clone(study, tmp_path):
    """What git tracks of the study, in a folder that knows nothing of how it was made."""
    to = tmp_path / "clone"
    shutil.copytree(study / "config", to / "config")
    for name in ("metrics", "tables", "figures"):
        shutil.copytree(study / "results" / "tiny" / name, to / "results" / "tiny" / name)
    return to


def set_times(folder, newest):
    """Make all files of one age, but those below a folder named `newest`."""
    for path in folder.rglob("*"):
        when = 1.1e9 if newest in path.parts else 1e9
        os.utime(path, (when, when))


def python_without_torch(folder):
    """Make a `python` that runs modules, and in which torch cannot be imported."""
    folder.mkdir()
    runner = folder / "runner.py"
    runner.write_text(RUNNER)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{runner}" "$@"\n')
    python.chmod(0o755)
    return folder


@pytest.mark.long
def test_tables_and_figures_are_redrawn_from_the_metrics_without_torch(study, clone, checkout, tmp_path):
    for name in ("tables", "figures"):
        shutil.rmtree(clone / "results" / "tiny" / name)
    # no module of the user's is taken for a library
    (clone / "pandas.py").write_text("raise ImportError('not the real one')\n")
    assert planned("figures", *GIVEN, project=checkout, directory=clone) == PAGES
    where = {"project": checkout, "directory": clone, "path": python_without_torch(tmp_path / "bin")}
    done = snakemake("--cores", 2, "figures", "pages", *GIVEN, **where)
    assert done.returncode == 0, done.stdout
    assert 'id="tradeoff"' in (clone / "results" / "tiny" / "page.html").read_text(encoding="utf-8")
    tables = {path.name: path for path in (study / "results" / "tiny" / "tables").iterdir()}
    # older metrics lack the criteria, so that this table alone is not made from tracked metrics
    del tables["criteria.csv"]
    assert {path.name for path in (clone / "results" / "tiny" / "tables").iterdir()} == set(tables)
    for path in tables.values():
        assert (clone / "results" / "tiny" / "tables" / path.name).read_bytes() == path.read_bytes()
    drawn = {path.name: path for path in (study / "results" / "tiny" / "figures").glob("*.png")}
    # these need the models
    del drawn["training_curves_digits_s.png"], drawn["worst_cells_digits_s_shufflenet.png"]
    assert {path.name for path in (clone / "results" / "tiny" / "figures").glob("*.png")} == set(drawn)
    for path in drawn.values():
        assert (clone / "results" / "tiny" / "figures" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("newest", ["metrics", "tables"])
def test_the_times_that_a_clone_gives_its_files_train_nothing(clone, checkout, newest):
    set_times(clone, newest)
    assert set(planned("figures", *GIVEN, project=checkout, directory=clone)) <= set(PAGES)


def test_the_page_of_a_clone_shows_the_figures_that_are_there_and_trains_nothing(clone, checkout):
    done = snakemake("--dry-run", "--printshellcmds", "pages", *GIVEN, project=checkout, directory=clone)
    jobs = jobs_of(done.stdout)
    assert jobs["make_page"] == 1
    assert set(jobs) <= {*PAGES, "make_page"}
    (options,) = re.findall(r"scripts\.make_page .*", done.stdout)
    assert "results/tiny/figures/training_curves_digits_s.png results/tiny/figures/worst_cells" in options
    (clone / "results/tiny/figures/training_curves_digits_s.png").unlink()
    done = snakemake("--dry-run", "--printshellcmds", "pages", *GIVEN, project=checkout, directory=clone)
    assert jobs_of(done.stdout)["make_page"] == 1
    assert "training_curves" not in done.stdout


def test_the_archive_of_a_clone_has_what_is_there_and_trains_nothing(clone, checkout):
    def archived():
        done = snakemake("--dry-run", "--printshellcmds", "archive", *GIVEN, project=checkout, directory=clone)
        jobs = jobs_of(done.stdout)
        assert jobs["archive_study"] == 1
        assert set(jobs) <= {*PAGES, "make_page", "archive_study"}
        (options,) = re.findall(r"scripts\.archive_study .* --files (.*) --archive", done.stdout)
        return {path.removeprefix("results/tiny/") for path in options.split()}

    curves = {f"figures/training_curves_digits_s.{ext}" for ext in ("pdf", "png")}
    images = {f"figures/worst_cells_digits_s_shufflenet.{ext}" for ext in ("pdf", "png")}
    first = archived()
    assert {"page.html", "tables/summary.csv", "tables/criteria.csv", *curves, *images} <= first
    for name in ("tables/criteria.csv", *curves):
        (clone / "results/tiny" / name).unlink()
    assert archived() == first - {"tables/criteria.csv", *curves}


def test_the_whole_workflow_trains_though_a_clone_has_all_metrics(clone, checkout):
    (clone / "results/tiny/figures/training_curves_digits_s.png").unlink()
    done = snakemake("--dry-run", "--printshellcmds", *GIVEN, project=checkout, directory=clone)
    jobs = jobs_of(done.stdout)
    assert (jobs["train_model"], jobs["evaluate_model"]) == (5, 5)
    # after the trainings, whose figures the page shows: it would be made a second time otherwise
    (options,) = re.findall(r"scripts\.make_page .*", done.stdout)
    assert "results/tiny/figures/training_curves_digits_s.png" in options


@pytest.mark.parametrize("newest", ["data", "teacher"])
def test_make_figures_redraws_all_and_nothing_else_after_a_run_that_was_stopped(study, clone, checkout, newest):
    """What the run left is newer than the metrics, and Snakemake alone would train to bring them up to date."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", "")
    (redraw,) = re.findall(r"^REDRAW = \$\(SNAKEMAKE\) (figures .*)$", makefile, flags=re.MULTILINE)
    (rules,) = re.findall(r"^REDRAWING_RULES := (.*)$", makefile, flags=re.MULTILINE)
    for part in ("data", "models/digits_s/shufflenet/teacher"):
        shutil.copytree(study / "results" / "tiny" / part, clone / "results" / "tiny" / part)
    set_times(clone, newest)
    args = redraw.replace("$(REDRAWING_RULES)", rules).split()
    assert planned(*args, *GIVEN, project=checkout, directory=clone) == PAGES
