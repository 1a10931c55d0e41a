"""What runs again after a change, and what does not: a study that is done, planned anew."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from running import TINY, copy_project, jobs_of, planned, running, snakemake
from safetensors.numpy import load_file

GIVEN = ("--configfile", TINY)
AFTER_MODELS = {
    "aggregate_results": 1,
    "make_table": 1,
    "make_criteria": 1,
    "make_ablations": 1,
    "rank_methods": 1,
    "compare_with_paper": 1,
    "plot_comparison": 2,
    "plot_tradeoff": 1,
    "plot_cells": 1,
    "plot_slopes": 1,
    "plot_training_curves": 1,
    "plot_examples": 1,
    "make_page": 1,
}
CONDA = """#!/bin/sh
case "$1" in
info) echo '{"conda_prefix": "/opt/conda", "platform": "linux-64"}' ;;
--version) echo "conda 25.1.0" ;;
config) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
"""


def edit(project, name, old, new):
    path = project / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_whole_run_leaves_every_table_figure_and_model(study):
    results = study / "results" / "tiny"
    files = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    tables = ("runs.csv", "summary.csv", "table1.csv", "table1.md", "table1.tex", "ablations.csv", "ablations.md")
    tables += (
        "methods.csv",
        "methods.md",
        "methods.tex",
        "cells.csv",
        "criteria.csv",
        "ablations.tex",
        "paired.csv",
        "paper_vs_reproduced.md",
    )
    figures = ("fig1_architecture", "fig4_shufflenet_deo", "fig5_shufflenet_accuracy")
    figures += ("tradeoff_digits_s", "cells_digits_s_shufflenet", "training_curves_digits_s")
    methods = ("teacher", "mfd", "from_resnet", "balanced")
    bases = ("metrics/digits_s/resnet/teacher/seed0.json",)
    assert {f"tables/{name}" for name in tables} <= files
    assert {f"figures/{name}.{ext}" for name in figures for ext in ("pdf", "png")} <= files
    assert {f"metrics/digits_s/shufflenet/{method}/seed0.json" for method in methods} | set(bases) <= files
    assert not [name for name in files if "resume" in name or "partial" in name]
    # a header, and a row for each model of the main grid and each base; the ablation's model is in another table
    rows = len(methods) - 1 + len(bases)
    assert len((results / "tables" / "runs.csv").read_text().splitlines()) == 1 + rows


def test_a_second_run_has_nothing_to_do(study, checkout):
    assert planned(*GIVEN, project=checkout, directory=study) == {}


def test_an_archive_is_made_anew_of_other_code_or_another_commit(study, project, tmp_path):
    def git(*arguments):
        who = ("-c", "user.name=A", "-c", "user.email=a@b.c")
        subprocess.run(["git", "-C", project, *who, *arguments], check=True)

    copied = shutil.copytree(study, tmp_path / "study", copy_function=shutil.copy2)
    where = {"project": project, "directory": copied}
    git("init", "-q")
    git("add", "scripts", "fairdistill")
    git("commit", "-q", "-m", "First")
    done = snakemake("archive", "--cores", 1, *GIVEN, **where)
    assert done.returncode == 0, done.stdout
    assert planned("archive", *GIVEN, **where) == {}
    # a comment changes no result
    edit(project, "scripts/train_model.py", "import argparse\n", "import argparse  # a comment\n")
    assert planned("archive", *GIVEN, **where) == {"archive_study": 1}
    done = snakemake("archive", "--cores", 1, *GIVEN, **where)
    assert done.returncode == 0, done.stdout
    assert planned("archive", *GIVEN, **where) == {}
    # nor does a module that nothing imports, but the archive names it
    (project / "scripts/beside.py").write_text("")
    assert planned("archive", *GIVEN, **where) == {"archive_study": 1}
    (project / "scripts/beside.py").unlink()
    assert planned("archive", *GIVEN, **where) == {}
    git("commit", "-q", "-a", "-m", "Second")
    assert planned("archive", *GIVEN, **where) == {"archive_study": 1}
    shutil.rmtree(project / ".git")
    assert planned("archive", *GIVEN, **where) == {"archive_study": 1}


def test_a_moved_checkout_has_nothing_to_do(study, checkout, tmp_path):
    project = copy_project(tmp_path / "moved project", origin=checkout)
    moved = shutil.copytree(study, tmp_path / "moved study", copy_function=shutil.copy2)
    assert planned(*GIVEN, project=project, directory=moved) == {}


def test_models_of_other_settings_are_named_and_made_anew_though_snakemake_knows_nothing_of_them(
    study, checkout, tmp_path
):
    """Results that were copied without .snakemake: models of the settings are taken for current, and no others."""
    copied = shutil.copytree(
        study, tmp_path / "copied", copy_function=shutil.copy2, ignore=shutil.ignore_patterns(".snakemake")
    )
    # of the tables nobody knows which models they should have
    assert planned(*GIVEN, project=checkout, directory=copied) == AFTER_MODELS
    given = (*GIVEN, "--config", "students={mfd: {kind: mfd, lambda: 9}}")
    plan = snakemake("--dry-run", *given, project=checkout, directory=copied).stdout
    assert jobs_of(plan) == {"train_model": 1, "evaluate_model": 1} | AFTER_MODELS
    warnings = [line for line in plan.splitlines() if line.startswith("warning: ")]
    assert [line.split("; ")[0] for line in warnings] == [
        "warning: results/tiny has data sets or models of other settings or files, 1 in all: "
        "students.mfd.lambda was 3.0 and is now 9.0"
    ]


def test_what_does_not_touch_a_result_reruns_nothing(study, project):
    """Comments, docstrings, the version's number, a new kind of settings, code that no result depends on."""
    edit(project, "fairdistill/methods/mfd.py", "import torch\n", "import torch  # a comment\n")
    edit(project, "fairdistill/methods/mfd.py", '"""MMD-based', '"""In other words: MMD-based')
    edit(project, "fairdistill/__init__.py", '__version__ = "', '__version__ = "9.')
    edit(project, "fairdistill/settings/methods.py", "\nclass Erm(", "\nANOTHER = 1\n\n\nclass Erm(")
    edit(project, "fairdistill/data/download.py", "import glob\n", "import glob\n\nANOTHER = 1\n")
    edit(project, "fairdistill/runtime/errors.py", 'f"error: ', 'f"bad input: ')
    edit(project, "fairdistill/runtime/files.py", "import os\n", "import os\n\nANOTHER = 1\n")
    edit(project, "workflow/rules/report.smk", "# Tables and figures.", "# All tables and figures.")
    assert planned(*GIVEN, project=project, directory=study) == {}


def test_an_edited_plot_reruns_only_that_plot_and_the_page_that_shows_it(study, project):
    edit(project, "fairdistill/reporting/figures.py", "def plot_comparison", "ANOTHER = 1\n\n\ndef plot_comparison")
    assert planned(*GIVEN, project=project, directory=study) == {"plot_comparison": 2, "make_page": 1}


def test_a_changed_loss_retrains_only_the_students_that_use_it(study, project):
    edit(project, "fairdistill/methods/mfd.py", "clamp_max(0)", "clamp_max(-1e-9)")
    jobs = planned(*GIVEN, project=project, directory=study)
    assert jobs == AFTER_MODELS | {"train_model": 2, "evaluate_model": 2}


def test_a_changed_lambda_retrains_only_its_student(study, checkout):
    changed = ("--config", "students={mfd: {lambda: 5}}")
    jobs = planned(*GIVEN, *changed, project=checkout, directory=study)
    assert jobs == AFTER_MODELS | {"train_model": 1, "evaluate_model": 1}


def test_a_changed_data_set_retrains_everything_on_it(study, project):
    edit(project, "fairdistill/data/digits_s.py", "GROUPS = [", 'GROUPS = ["red"][:0] + [')
    jobs = planned(*GIVEN, project=project, directory=study)
    everything = {"prepare_dataset": 1, "train_model": 5, "evaluate_model": 5}
    assert jobs == AFTER_MODELS | everything


@pytest.fixture
def own(study, tmp_path):
    """A copy of the study, to run in."""
    return shutil.copytree(study, tmp_path / "study", copy_function=shutil.copy2)


def contents(directory):
    results = directory / "results" / "tiny"
    # a killed training leaves its lock, which holds no one up
    paths = (path for path in results.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(results): path.read_bytes() for path in paths}


def damage_predictions(directory):
    path = directory / "results/tiny/models/digits_s/shufflenet/balanced/seed0/predictions.parquet"
    path.write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("change", "given", "job", "reason"),
    [
        pytest.param(
            None,
            "students={mfd: {kd_weight: 1, kd_temperature: 1e-45}}",
            "train_model digits_s.shufflenet.mfd.seed0",
            "training: ",
            marks=pytest.mark.long,
        ),
        (None, "data={sets: {digits_s: {test_fraction: 0.001}}}", "prepare_dataset digits_s", ""),
        (damage_predictions, "seeds=[0]", "evaluate_model digits_s.shufflenet.balanced.seed0", ""),
    ],
)
def test_a_rerun_that_fails_says_why_keeps_what_was_there_and_stays_to_be_done(
    own, checkout, change, given, job, reason
):
    if change:
        change(own)
    before = contents(own)
    changed = (*GIVEN, "--config", given)
    plan = planned(*changed, project=checkout, directory=own)
    done = snakemake("--cores", 1, *changed, project=checkout, directory=own)
    assert done.returncode != 0
    *others, last = done.stdout.splitlines()
    assert last.startswith(f"error: {job}: {reason}"), done.stdout
    assert not [line for line in others if "error" in line.lower() or line.startswith(("Cannot", "Restored"))]
    assert contents(own) == before
    assert planned(*changed, project=checkout, directory=own) == plan
    assert plan[job.split(" ")[0]] == 1


@pytest.mark.long
def test_a_failure_that_is_mended_reruns_once(own, checkout):
    failing = ("--config", "students={mfd: {kd_weight: 1, kd_temperature: 1e-45}}")
    assert snakemake("--cores", 1, *GIVEN, *failing, project=checkout, directory=own).returncode != 0
    assert snakemake("--cores", 2, *GIVEN, project=checkout, directory=own).returncode == 0
    assert planned(*GIVEN, project=checkout, directory=own) == {}


@pytest.fixture
def verbose(monkeypatch):
    """Snakemake and its jobs print all they have to say."""
    monkeypatch.setenv("FAIRDISTILL_VERBOSE", "1")


@pytest.mark.long
@pytest.mark.usefixtures("verbose")
def test_after_a_rerun_that_was_killed_the_earlier_files_are_there_and_the_job_is_planned(own, checkout):
    before = contents(own)
    longer = (*GIVEN, "--config", "training={epochs: 1000}")
    with running("--cores", 1, *longer, project=checkout, directory=own, start_new_session=True) as process:
        line = next(text for text in process.stdout if " | teacher " in text or " | student " in text)
        os.killpg(process.pid, signal.SIGKILL)
    assert contents(own) == before, line
    snakemake("--unlock", *longer, project=checkout, directory=own)
    jobs = planned(*longer, project=checkout, directory=own)
    assert jobs == AFTER_MODELS | {"train_model": 5, "evaluate_model": 5}


@pytest.mark.long
def test_a_training_goes_on_after_snakemake_and_its_job_were_killed(own, checkout):
    target = "results/tiny/models/digits_s/shufflenet/balanced/seed0/weights.safetensors"
    given = (target, *GIVEN, "--config", "training={epochs: 4}")
    where = {"project": checkout, "directory": own}
    assert snakemake("--cores", 1, *given, **where).returncode == 0
    whole = load_file(own / target)
    shutil.rmtree((own / target).parent)
    with running("--cores", 1, *given, **where, start_new_session=True) as process:
        next(line for line in process.stdout if "epoch 2/4" in line)
        os.killpg(process.pid, signal.SIGKILL)
    snakemake("--unlock", *given, **where)
    done = snakemake("--cores", 1, *given, **where)
    assert done.returncode == 0, done.stdout
    assert "| resuming after epoch" in done.stdout
    assert "; 1 of 1 trainings done]" in done.stdout
    again = load_file(own / target)
    assert all((again[name] == whole[name]).all() for name in whole)
    assert [path.name for path in (own / target).parents[1].iterdir()] == ["seed0"]


@pytest.mark.long
@pytest.mark.usefixtures("verbose")
def test_a_training_that_outlived_snakemake_is_not_repeated(own, checkout):
    target = Path("results/tiny/models/digits_s/shufflenet/balanced/seed0/weights.safetensors")
    given = (target, *GIVEN, "--config", "training={epochs: 4}")
    where = {"project": checkout, "directory": own}
    with running("--cores", 1, *given, **where, start_new_session=True) as process:
        next(line for line in process.stdout if "epoch 2/4" in line)
        process.kill()
        # what the training says goes on to the same terminal, until it ends
        rest = process.stdout.read()
    assert "| 1 of 1 trainings done" in rest
    trained = (own / target).read_bytes()
    snakemake("--unlock", *given, **where)
    done = snakemake("--cores", 1, *given, **where)
    assert done.returncode == 0, done.stdout
    assert "holds this very training already" in done.stdout
    assert "epoch 1/4" not in done.stdout
    assert (own / target).read_bytes() == trained
    assert planned(*given, **where) == {}


@pytest.mark.usefixtures("verbose")
def test_on_request_the_terminal_shows_what_the_log_holds(own, checkout):
    target = "results/tiny/models/digits_s/shufflenet/balanced/seed0/weights.safetensors"
    (own / target).unlink()
    done = snakemake("--cores", 1, target, *GIVEN, project=checkout, directory=own)
    log = own / "logs/tiny/train_model/digits_s.shufflenet.balanced.seed0.log"
    lines = log.read_text(encoding="utf-8").splitlines()
    shown = re.findall(r"^ +digits_s\.shufflenet\.balanced\.seed0 \| (.*)$", done.stdout, flags=re.MULTILINE)
    assert shown == lines
    assert lines[1] == "on the CPU, in fp32, with 1 thread"
    assert lines[2].startswith("epoch 1/1 ")
    assert "Building DAG of jobs..." in done.stdout.splitlines()


def test_conda_or_not_changes_no_result(study, checkout, tmp_path):
    """A stand-in for conda answers what a plan asks."""
    conda = tmp_path / "bin" / "conda"
    conda.parent.mkdir()
    conda.write_text(CONDA)
    conda.chmod(0o755)
    where = {"project": checkout, "directory": study, "path": conda.parent}
    assert planned("--use-conda", *GIVEN, **where) == {}
    env = ("--rerun-triggers", "software-env")
    assert planned("--use-conda", *env, *GIVEN, **where)["train_model"] == 5


def test_students_are_exported_with_the_models_beside_them(study, checkout):
    # of each architecture the student and its base; only the students have a card
    assert planned("export", "--configfile", TINY, project=checkout, directory=study) == {
        "export_model": 4,
        "measure_model": 4,
        "make_model_card": 2,
        "describe_dataset": 1,
    }
