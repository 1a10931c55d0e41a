"""What a dry run plans, for given configurations; and that the workflow is in good style."""

import re

import pytest
from fake_gpus import fake_gpus
from running import ROOT, TINY, planned, snakemake

PAPER = {
    "download_dataset": 2,
    "prepare_dataset": 2,
    "train_teacher": 20,
    "distill_student": 20,
    "evaluate_model": 40,
    "aggregate_results": 1,
    "make_table": 1,
    "compare_with_paper": 1,
    "plot_architecture": 1,
    "plot_comparison": 4,
}

PROBE = """include: "{root}/Snakefile"
for name in ("train_teacher", "distill_student"):
    print(workflow.get_rule(name).resources["gpu"])
print(workflow.global_resources["gpu"])
"""


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
    assert len(re.findall(r'"epochs": 7,.*"learning_rate": 0\.001', done.stdout)) == 40


def test_the_demo_needs_no_download(workdir):
    jobs = planned("--configfile", workdir / "config" / "demo.yaml", directory=workdir)
    assert jobs["prepare_dataset"] == 1
    assert not {"download_dataset", "compare_with_paper"} & set(jobs)
    assert jobs["train_teacher"] == jobs["distill_student"]


def test_the_ablations_are_the_papers_grid_and_more(workdir):
    jobs = planned("--configfile", workdir / "config" / "ablations.yaml", directory=workdir)
    # five seeds of: the paper's four, with two methods more; two data sets more; two stems more
    assert jobs["train_teacher"] == 5 * (4 + 4 + 2)
    assert jobs["distill_student"] == 5 * (4 * 3 + 4 + 2)
    assert (jobs["make_table"], jobs["make_ablations"], jobs["plot_comparison"]) == (1, 1, 4)
    assert (jobs["download_dataset"], jobs["prepare_dataset"]) == (2, 4)


def test_a_teacher_is_trained_though_the_grid_lacks_its_architecture(workdir):
    jobs = planned("--configfile", TINY, directory=workdir)
    assert (jobs["train_teacher"], jobs["distill_student"], jobs["evaluate_model"]) == (2, 3, 4)


def test_a_method_without_a_teacher_trains_alone(workdir):
    target = "results/tiny/models/digits_s/shufflenet/balanced/seed0/weights.safetensors"
    jobs = planned(target, "--configfile", TINY, directory=workdir)
    assert jobs == {"prepare_dataset": 1, "distill_student": 1}


def test_the_entry_of_the_workflow_catalog_is_the_same_workflow(workdir):
    assert planned(snakefile="workflow/Snakefile", directory=workdir) == PAPER


@pytest.mark.parametrize(
    ("device", "slots", "present", "allowed", "gpu", "at_a_time"),
    [
        ("auto", 1, 1, None, 1, 1),
        ("auto", 1, 4, None, 1, 4),
        ("auto", 2, 4, None, 1, 8),
        ("auto", 1, 4, "1,3", 1, 2),
        ("auto", 1, 0, None, 0, 1),
        ("cpu", 1, 1, None, 0, 1),
        ("cuda", 1, 0, None, 1, 1),
    ],
)
def test_trainings_on_gpus_are_as_many_at_a_time_as_there_are_slots(
    workdir, monkeypatch, device, slots, present, allowed, gpu, at_a_time
):
    fake_gpus(workdir / "bin", present)
    if allowed:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    # where a rule has a message a dry run does not print its resources
    probe = workdir / "probe.smk"
    probe.write_text(PROBE.format(root=ROOT))
    given = ("--config", f"training={{device: {device}, gpu_slots: {slots}}}")
    done = snakemake("--dry-run", *given, directory=workdir, path=workdir / "bin", snakefile=probe)
    assert re.findall(r'Resource\("gpu", (\d)\)', done.stdout) == [str(gpu)] * 2 + [str(at_a_time)], done.stdout


def test_a_limit_on_the_command_line_goes_before(workdir):
    probe = workdir / "probe.smk"
    probe.write_text(PROBE.format(root=ROOT))
    done = snakemake("--dry-run", "--resources", "gpu=3", directory=workdir, snakefile=probe)
    assert re.findall(r'Resource\("gpu", (\d)\)', done.stdout)[-1] == "3", done.stdout


@pytest.mark.parametrize(("methods", "compared"), [("[plain, mine]", " --method mine "), ("[plain]", "")])
def test_the_student_beside_the_papers_is_the_first_mfd_of_the_grid(workdir, methods, compared):
    students = "students={mine: {kind: mfd}, plain: {kind: scratch}}"
    given = ("--config", students, f"methods={methods}")
    done = snakemake("--dry-run", "--printshellcmds", *given, directory=workdir)
    commands = re.findall(r"python -m scripts\.(?:compare_with_paper|plot_comparison) .*", done.stdout)
    assert len(commands) == 5
    assert [re.findall(r" --method \w+ ", command) for command in commands] == [[compared] if compared else []] * 5


def test_the_next_major_version_of_snakemake_is_refused(workdir):
    changed = "import snakemake; snakemake.__version__ = '10.0.0'; from snakemake.cli import main; main()"
    done = snakemake("--dry-run", directory=workdir, program=("-c", changed))
    assert done.returncode != 0
    assert "error: Snakemake 10.0.0 is not known to work here; install one below 10" in done.stdout.splitlines()


@pytest.mark.parametrize(("mode", "collects"), [("--dry-run", "False"), ("--cores=1", "True")])
def test_garbage_is_collected_where_jobs_run_but_not_while_they_are_planned(workdir, mode, collects):
    told = "import atexit, gc; atexit.register(lambda: print('collects:', gc.isenabled()))"
    program = ("-c", f"{told}; from snakemake.cli import main; main()")
    done = snakemake(mode, "results/paper/figures/fig1_architecture.png", directory=workdir, program=program)
    assert done.returncode == 0, done.stdout
    assert f"collects: {collects}" in done.stdout.splitlines()


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
