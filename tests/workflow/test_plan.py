"""What a dry run plans, for given configurations; and that the workflow is in good style."""

import re

import pytest
from running import TINY, planned, snakemake

PAPER = {
    "download_dataset": 2,
    "prepare_dataset": 2,
    "train_teacher": 4,
    "distill_student": 4,
    "evaluate_model": 8,
    "aggregate_results": 1,
    "make_table": 1,
    "compare_with_paper": 1,
    "plot_architecture": 1,
    "plot_comparison": 4,
}


def test_the_papers_grid(workdir):
    assert planned(directory=workdir) == PAPER


def test_the_command_line_narrows_the_grid(workdir):
    narrowed = ("seeds=[0, 1, 2]", "datasets=[cifar10s]", "architectures=[shufflenet]")
    assert planned("--config", *narrowed, directory=workdir) == PAPER | {
        "download_dataset": 1,
        "prepare_dataset": 1,
        "train_teacher": 3,
        "distill_student": 3,
        "evaluate_model": 6,
        "plot_comparison": 2,
    }


def test_maps_on_the_command_line_are_merged(workdir):
    epochs = 'training={"epochs": 7}'
    done = snakemake("--dry-run", "--printshellcmds", "--config", epochs, directory=workdir)
    assert len(re.findall(r'"epochs": 7,.*"learning_rate": 0\.001', done.stdout)) == 8


def test_the_demo_needs_no_download(workdir):
    jobs = planned("--configfile", workdir / "config" / "demo.yaml", directory=workdir)
    assert jobs["prepare_dataset"] == 1
    assert not {"download_dataset", "compare_with_paper"} & set(jobs)
    assert jobs["train_teacher"] == jobs["distill_student"]


def test_a_teacher_is_trained_though_the_grid_lacks_its_architecture(workdir):
    jobs = planned("--configfile", TINY, directory=workdir)
    assert (jobs["train_teacher"], jobs["distill_student"], jobs["evaluate_model"]) == (2, 3, 4)


def test_a_method_without_a_teacher_trains_alone(workdir):
    target = "results/tiny/models/digits_s/shufflenet/balanced/seed0/weights.safetensors"
    jobs = planned(target, "--configfile", TINY, directory=workdir)
    assert jobs == {"prepare_dataset": 1, "distill_student": 1}


def test_the_entry_of_the_workflow_catalog_is_the_same_workflow(workdir):
    assert planned(snakefile="workflow/Snakefile", directory=workdir) == PAPER


def test_lint(workdir):
    done = snakemake("--lint", directory=workdir)
    assert "in a good condition" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("seedz=[0]", "error: config has the unknown key 'seedz'; did you mean 'seeds'?"),
        ("seeds=[1, 1]", "error: config: seeds is [1, 1]; an entry comes twice"),
        (
            "data={sets: {cifar10s: {skew: 1.2}}}",
            "error: config: data.sets.cifar10s.skew is 1.2; it must be at most 1",
        ),
    ],
)
def test_a_mistake_in_the_config_is_one_line(workdir, given, line):
    done = snakemake("--dry-run", "--config", given, directory=workdir)
    assert done.returncode != 0
    notes = ("Config file", "Using workflow specific profile")
    assert [text for text in done.stdout.splitlines() if not text.startswith(notes)] == [line]
