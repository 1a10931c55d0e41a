"""What runs again after a change, and what does not: a study that is done, planned anew."""

import shutil

from running import TINY, copy_project, planned, snakemake

GIVEN = ("--configfile", TINY)
AFTER_MODELS = {
    "aggregate_results": 1,
    "make_table": 1,
    "compare_with_paper": 1,
    "plot_comparison": 2,
}


def edit(project, name, old, new):
    path = project / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_whole_run_leaves_every_table_figure_and_model(study):
    results = study / "results" / "tiny"
    files = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    tables = ("runs.csv", "summary.csv", "table1.csv", "table1.md", "table1.tex", "paper_vs_reproduced.md")
    figures = ("fig1_architecture", "fig4_shufflenet_deo", "fig5_shufflenet_accuracy")
    methods = ("teacher", "mfd", "from_resnet", "balanced")
    assert {f"tables/{name}" for name in tables} <= files
    assert {f"figures/{name}.{ext}" for name in figures for ext in ("pdf", "png")} <= files
    assert {f"metrics/digits_s/shufflenet/{method}/seed0.json" for method in methods} <= files
    assert not [name for name in files if "resume" in name or "partial" in name]
    assert len((results / "tables" / "runs.csv").read_text().splitlines()) == 1 + len(methods)


def test_a_second_run_has_nothing_to_do(study, checkout):
    assert planned(*GIVEN, project=checkout, directory=study) == {}


def test_a_moved_checkout_has_nothing_to_do(study, checkout, tmp_path):
    project = copy_project(tmp_path / "moved project", origin=checkout)
    moved = shutil.copytree(study, tmp_path / "moved study", copy_function=shutil.copy2)
    assert planned(*GIVEN, project=project, directory=moved) == {}


def test_what_does_not_touch_a_result_reruns_nothing(study, project):
    """Comments, docstrings, the version's number, a new method, code that no result depends on, messages."""
    edit(project, "fairdistill/methods/mfd.py", "import torch\n", "import torch  # a comment\n")
    edit(project, "fairdistill/methods/mfd.py", '"""MMD-based', '"""In other words: MMD-based')
    edit(project, "fairdistill/__init__.py", '__version__ = "', '__version__ = "9.')
    edit(project, "fairdistill/methods/__init__.py", "{\n", '{\n    "kd": "fairdistill.methods.kd:KD",\n')
    edit(project, "fairdistill/download.py", "import glob\n", "import glob\n\nANOTHER = 1\n")
    edit(project, "fairdistill/errors.py", 'f"error: ', 'f"bad input: ')
    edit(project, "fairdistill/files.py", "import os\n", "import os\n\nANOTHER = 1\n")
    edit(project, "workflow/rules/train.smk", "Training the", "Now training the")
    assert planned(*GIVEN, project=project, directory=study) == {}


def test_an_edited_plot_reruns_only_that_plot(study, project):
    edit(project, "scripts/plot_comparison.py", "def main", "ANOTHER = 1\n\n\ndef main")
    assert planned(*GIVEN, project=project, directory=study) == {"plot_comparison": 2}


def test_a_changed_loss_retrains_only_the_students_that_use_it(study, project):
    edit(project, "fairdistill/methods/mfd.py", "clamp_min(0)", "clamp_min(1e-9)")
    jobs = planned(*GIVEN, project=project, directory=study)
    assert jobs == AFTER_MODELS | {"distill_student": 2, "evaluate_model": 2}


def test_a_changed_lambda_retrains_only_its_student(study, checkout):
    changed = ("--config", "students={mfd: {lambda: 5}}")
    jobs = planned(*GIVEN, *changed, project=checkout, directory=study)
    assert jobs == AFTER_MODELS | {"distill_student": 1, "evaluate_model": 1}


def test_a_changed_data_set_retrains_everything_on_it(study, project):
    edit(project, "fairdistill/data/digits_s.py", "GROUPS = [", 'GROUPS = ["red"][:0] + [')
    jobs = planned(*GIVEN, project=project, directory=study)
    everything = {"prepare_dataset": 1, "train_teacher": 2, "distill_student": 3, "evaluate_model": 4}
    assert jobs == AFTER_MODELS | everything


def test_a_training_that_fails_says_why_and_leaves_the_rest(study, checkout, tmp_path):
    own = shutil.copytree(study, tmp_path / "study", copy_function=shutil.copy2)
    kept = own / "results/tiny/models/digits_s/shufflenet/balanced/seed0/weights.safetensors"
    before = kept.read_bytes()
    diverging = ("--config", "students={mfd: {lambda: 1e38}}")
    done = snakemake("--cores", 1, *GIVEN, *diverging, project=checkout, directory=own)
    assert done.returncode != 0
    (line,) = {text for text in done.stdout.splitlines() if text.startswith("error:")}
    assert "loss" in line
    assert kept.read_bytes() == before
