"""How much a run prints: a line for each event, and nothing of what Snakemake says beside."""

import os
import re
import subprocess
import sys
import time

import pytest
from running import TINY, snakemake

LINES = {
    "profile": r"Using workflow specific profile .*",
    "plan": r"26 jobs: .*\b5 train_model\b.*",
    "start": r"start  (?:prepare_dataset|train_model) \S+",
    "epoch": r" +\S+ \| epoch 1/1  .* left",
    # after one epoch some models are no better than a guess, and which they are depends on the processor
    "chance": r" +\S+ \| warning: at chance on the test split: .*",
    "done": r"done   \w+(?: \S+)? in \d+ (?:s|min) \[\d+ of 26 jobs(?:; \d of 5 trainings done(?:, about .* left)?)?\]",
}


def test_a_run_is_a_line_for_each_event(study):
    lines = (study / "terminal.txt").read_text(encoding="utf-8").splitlines()
    counts = {name: sum(bool(re.fullmatch(pattern, line)) for line in lines) for name, pattern in LINES.items()}
    assert len(lines) == sum(counts.values()), "\n".join(lines)
    assert counts.pop("chance") <= 5
    assert counts == {"profile": 1, "plan": 1, "start": 6, "epoch": 5, "done": 26}, "\n".join(lines)
    assert "[26 of 26 jobs]" in lines[-1]


def test_the_rest_is_in_the_log_files(study):
    (log,) = (study / ".snakemake" / "log").glob("*.snakemake.log")
    assert "rule train_model:" in log.read_text(encoding="utf-8")
    text = (study / "logs" / "tiny" / "train_model" / "digits_s.shufflenet.mfd.seed0.log").read_text(encoding="utf-8")
    assert len(text.splitlines()) > 1


@pytest.mark.parametrize(("epochs", "shown"), [(1, [1]), (2, [1, 2]), (10, [1, 4, 7, 10]), (20, [1, 7, 14, 20])])
def test_of_a_training_four_epochs_are_shown(checkout, epochs, shown):
    lines = [f"epoch {n}/{epochs}{rest}" for n in range(1, epochs + 1) for rest in (", step 1/2  loss 1", "  loss 1")]
    script = ["bash", "-c", f'source "{checkout}/workflow/job.sh"; show_progress model']
    done = subprocess.run(script, input="\n".join(lines), text=True, check=True, capture_output=True)
    assert done.stdout == "".join(f"       model | epoch {n}/{epochs}  loss 1\n" for n in shown)


def test_of_a_training_that_is_there_already_that_is_shown(checkout):
    script = ["bash", "-c", f'source "{checkout}/workflow/job.sh"; show_progress model']
    source = (checkout / "fairdistill/training/publish.py").read_text(encoding="utf-8")
    (said,) = re.findall(r'log\(f"\{job.output\}( holds .*)"\)', source)
    done = subprocess.run(script, input=f"results/a{said}\n", text=True, check=True, capture_output=True)
    assert done.stdout == f"       model | results/a{said}\n"


def test_of_an_export_the_files_are_shown_that_are_written_and_tested_and_warnings(tmp_path, checkout):
    said = ["writing model.onnx", "a warning: of torch", "testing model.onnx on 9 images", "warning: at chance"]
    script = f'source "{checkout}/workflow/job.sh"; logged m.log printf "%s\\n" "$@"'
    command = ["bash", "-c", script, "bash", *said]
    done = subprocess.run(command, cwd=tmp_path, text=True, check=True, capture_output=True)
    assert (tmp_path / "m.log").read_text().splitlines() == said
    assert done.stderr.splitlines() == [f"       m | {line}" for line in (said[0], *said[2:])]
    rules = (checkout / "workflow/rules/export.smk").read_text(encoding="utf-8")
    # which runs it as `logged` does
    assert re.search(r'"job [^"]+ --"\s+" python -m scripts\.export_model ', rules)


def test_a_failure_in_the_first_run_is_one_line_and_the_last(workdir, checkout):
    target = "results/tiny/data/digits_s/dataset.json"
    given = (target, "--configfile", TINY, "--config", "data={sets: {digits_s: {test_fraction: 0.001}}}")
    done = snakemake("--cores", 1, *given, project=checkout, directory=workdir)
    assert done.returncode != 0
    # above it: the profile, the plan, and the start of the job
    *others, last = done.stdout.splitlines()
    assert last.startswith("error: prepare_dataset digits_s: ")
    assert last.endswith(" (log: logs/tiny/prepare_dataset/digits_s.log)")
    assert len(others) == 3, done.stdout


def run_job(folder, checkout, *, run, last_failure="none", command="true"):
    script = f'source "{checkout}/workflow/job.sh"; job {last_failure} a.log -- {command}'
    env = os.environ | {"FAIRDISTILL_RUN": run, "FAIRDISTILL_RESULTS": "results/a"}
    subprocess.run(["bash", "-c", script], cwd=folder, env=env, check=False)
    note = folder / ".snakemake/failed/a.log"
    return note.read_text().splitlines() if note.exists() else None


def test_what_a_job_notes_of_its_failures_is_what_the_plan_saw_once_it_succeeds(tmp_path, checkout):
    """Else the next plan would find other parameters than those that Snakemake recorded, and do the job once more."""
    assert run_job(tmp_path, checkout, run="1") is None
    assert run_job(tmp_path, checkout, run="2", command="false") == ["2"]
    assert run_job(tmp_path, checkout, run="3", last_failure="2", command="false") == ["2", "3"]
    assert run_job(tmp_path, checkout, run="4", last_failure="3") == ["settled 3"]
    assert run_job(tmp_path, checkout, run="5", last_failure="3", command="false") == ["settled 3", "5"]
    assert run_job(tmp_path, checkout, run="6", last_failure="5") == ["settled 5"]


def test_a_job_that_outlived_its_snakemake_leaves_the_note_of_its_successor(tmp_path, checkout):
    # the plan of run 3 saw that run 2 had not reached its end
    successor = 'eval "FAIRDISTILL_RUN=3; job 2 a.log -- true"'
    assert run_job(tmp_path, checkout, run="2", command=successor) == ["settled 2"]


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        ("KILL", "; where nobody did that, the memory was full: "),
        ("TERM", "; where a person or a time limit did that, the same command goes on from there"),
    ],
)
def test_a_process_that_is_killed_is_named_as_the_reason(tmp_path, checkout, signal, reason):
    script = f'source "{checkout}/workflow/job.sh"; job none logs/a.log -- bash -c "echo begun; kill -{signal} \\$\\$"'
    env = os.environ | {"FAIRDISTILL_RUN": "1", "FAIRDISTILL_RESULTS": "results/a"}
    (tmp_path / "logs").mkdir()
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    begun, *_, last = (tmp_path / "logs" / "a.log").read_text().splitlines()
    assert begun == "begun"
    assert last.startswith(f"error: it was killed by the signal {signal}{reason}")


@pytest.mark.parametrize(("environment", "hidden"), [({"CONDA_PREFIX": "/opt/conda/envs/a"}, "1"), ({}, "")])
def test_packages_of_the_users_own_are_hidden_from_a_conda_environment(tmp_path, checkout, environment, hidden):
    script = f'source "{checkout}/workflow/job.sh"; logged a.log sh -c "echo \\$PYTHONNOUSERSITE"'
    others = {name: value for name, value in os.environ.items() if name not in ("CONDA_PREFIX", "PYTHONNOUSERSITE")}
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env=others | environment, check=True)
    assert (tmp_path / "a.log").read_text() == f"{hidden}\n"


def test_a_job_does_not_begin_where_an_input_is_newer_than_now(tmp_path, checkout):
    """Snakemake would run it, and then remove what it has made."""
    done, said = job_on(tmp_path, checkout, "touch", "made", hours=1)
    assert done.returncode != 0
    (line,) = said
    assert line.startswith("error: an input: its time is in the future (now it is ")
    assert line.endswith(r"set the clock right, or type: touch an\ input")
    assert not (tmp_path / "made").exists()
    assert (tmp_path / ".snakemake/failed/a.log").read_text() == "1\n"


def test_a_clock_that_was_set_back_costs_no_job(tmp_path, checkout):
    later = "import os, time; os.utime('an input', (time.time() + 3600,) * 2)"
    done, said = job_on(tmp_path, checkout, sys.executable, "-c", later, hours=-1)
    assert done.returncode == 0
    assert said == [
        "an input: its time was in the future, as the clock was set back meanwhile; now it has the time of now"
    ]
    assert (tmp_path / "an input").stat().st_mtime <= time.time()
    assert not (tmp_path / ".snakemake/failed/a.log").exists()


def job_on(folder, checkout, *command, hours):
    """A job on an input whose time is so many hours ahead, as it ended, and what its log says."""
    (folder / "an input").touch()
    os.utime(folder / "an input", (then := time.time() + hours * 3600, then))
    script = f'source "{checkout}/workflow/job.sh"; job none a.log "an input" -- "$@"'
    env = os.environ | {"FAIRDISTILL_RUN": "1", "FAIRDISTILL_RESULTS": "results/a"}
    done = subprocess.run(["bash", "-c", script, "bash", *command], cwd=folder, env=env, check=False)
    return done, (folder / "a.log").read_text().splitlines()


def test_jobs_whose_earlier_outputs_are_kept_name_their_inputs(checkout):
    rules = "".join(path.read_text(encoding="utf-8") for path in (checkout / "workflow" / "rules").glob("*.smk"))
    named = re.findall(r'"job \{params\.last_failure\} \{log\}(.*?) --["\s]', rules)
    # all but the download, which has none
    assert sorted(named) == ["", *[" {input:q}"] * 5]
