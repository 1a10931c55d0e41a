"""What of Snakemake's log reaches the terminal, and as which lines."""

import logging
import re
import sys
import time
from pathlib import Path

import pytest

from fairdistill.runtime import progress
from fairdistill.runtime.terminal import NO_ENVIRONMENT, TARGETS, Terminal

LOG = "logs/s/train_model/d.a.mfd.seed0.log"
SILENT = "it ended without saying why; where it was killed, it may have needed more memory"
KILLED = "it was killed by the signal KILL; the same command goes on from there; where"


class SnakemakesHandler(logging.Handler):
    def emit(self, record):
        print(f"Snakemake: {record.getMessage()}", file=sys.stderr)


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    """Snakemake's logger with our handler in the place of its own, and a function that logs one of its events."""
    monkeypatch.chdir(tmp_path)
    run = str(time.time_ns())
    progress.plan_trainings(run, [LOG])
    monkeypatch.setenv("FAIRDISTILL_RUN", run)
    logger = logging.Logger("snakemake")
    logger.addHandler(Terminal(SnakemakesHandler(), run=run))

    def say(event=None, text="", level=logging.INFO, **fields):
        logger.log(level, text, extra={"event": event, **fields} if event else fields)

    return say


def start(snakemake, number=1, rule="train_model", log=LOG):
    snakemake("job_info", jobid=number, rule_name=rule, log=[log])


def fail(snakemake, number=1, rule="train_model", log=LOG, indent=False):
    snakemake("job_error", jobid=number, rule_name=rule, log=[log], rule_msg=None, indent=indent, level=logging.ERROR)


def end(snakemake):
    snakemake(text="Exiting because a job execution failed. Look above for error messages", level=logging.ERROR)
    snakemake(text="Complete log(s): .snakemake/log/1.log")
    text = "WorkflowError:\nAt least one job did not complete successfully."
    snakemake("error", text, logging.ERROR, exception="WorkflowError")


def write_log(tmp_path, text, log=LOG):
    path = tmp_path / log
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def shown(capsys):
    return capsys.readouterr().err.splitlines()


def test_each_event_of_a_job_is_a_line(snakemake, capsys):
    snakemake("workflow_started")
    snakemake(text="Building DAG of jobs...")
    snakemake("run_info", stats={"train_model": 1, "evaluate_model": 1, "all": 1, "total": 3})
    snakemake("job_started", jobs=[1])
    start(snakemake)
    snakemake("shellcmd", shellcmd="python -m scripts.train_model")
    progress.count_training("a")
    capsys.readouterr()
    snakemake("job_finished", job_id=1)
    snakemake("progress", done=1, total=3)
    # what takes a second is not announced
    start(snakemake, 2, "evaluate_model", "logs/s/evaluate_model/d.a.mfd.seed0.log")
    snakemake("job_finished", job_id=2)
    snakemake("job_info", jobid=3, rule_name="all", log=[])
    snakemake("job_finished", job_id=3)
    assert shown(capsys) == [
        "done   train_model d.a.mfd.seed0 in 0 s [1 of 2 jobs; 1 of 1 trainings done]",
        "done   evaluate_model d.a.mfd.seed0 in 0 s [2 of 2 jobs]",
    ]


def test_the_targets_of_the_snakefile_count_as_no_jobs():
    text = (Path(__file__).parents[2] / "Snakefile").read_text(encoding="utf-8")
    assert set(re.findall(r"^rule (\w+):", text, flags=re.MULTILINE)) == TARGETS


def test_an_export_ends_with_where_its_models_are(snakemake, capsys):
    folders = ["results/s/export/d/a/mfd/seed0", "results/s/export/d/a/teacher/seed0"]
    files = [f"{folder}/{name}" for name in ("README.md", "model_card.html") for folder in folders]
    snakemake("job_info", jobid=4, rule_name="export", log=[], input=[*files, "results/s/data/d/croissant.json"])
    snakemake("job_finished", job_id=4)
    assert shown(capsys) == [f"see    {folder}: model.onnx, and its card, model_card.html" for folder in folders]


def test_what_is_planned_and_what_takes_long_is_announced(snakemake, capsys):
    snakemake("run_info", stats={"train_model": 1, "evaluate_model": 1, "all": 1, "total": 3})
    start(snakemake)
    assert shown(capsys) == ["2 jobs: 1 train_model, 1 evaluate_model", "start  train_model d.a.mfd.seed0"]


def test_what_snakemake_says_without_doing_jobs_is_shown(snakemake, capsys):
    snakemake(text="Config file config/config.yaml is extended by additional config")
    snakemake(text="Unlocked working directory.")
    assert shown(capsys) == ["Snakemake: Unlocked working directory."]


def test_warnings_and_errors_of_snakemake_are_shown(snakemake, capsys):
    snakemake("workflow_started")
    snakemake(text="Nothing to be done (all requested files are present and up to date).")
    snakemake(text="a warning", level=logging.WARNING)
    snakemake("error", "MissingOutputException: ...", logging.ERROR, exception="MissingOutputException")
    end(snakemake)
    assert shown(capsys) == [
        "Snakemake: Nothing to be done (all requested files are present and up to date).",
        "Snakemake: a warning",
        "Snakemake: MissingOutputException: ...",
        "Snakemake: WorkflowError:",
        "At least one job did not complete successfully.",
    ]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("epoch 1/2  loss 1\nerror: training: the loss became nan\n", "training: the loss became nan"),
        ("Traceback (most recent call last):\n  File\nValueError: a bug\n", "ValueError: a bug"),
        # of many lines, and with its cause
        (
            "Traceback (most recent call last):\n  File\nKeyError: 1\n\nDuring handling\n\n"
            "Traceback (most recent call last):\n  File\nRuntimeError: CUDA error\nCompile with\n\n",
            "RuntimeError: CUDA error",
        ),
        (
            "Traceback (most recent call last):\n  File\nModuleNotFoundError: No module named 'numpy'\n",
            f"ModuleNotFoundError: No module named 'numpy'; {NO_ENVIRONMENT}",
        ),
        # on a cluster, where nothing is known of the command but that it failed
        ("epoch 1/2  loss 1\n", SILENT),
    ],
)
def test_a_failure_is_one_line_and_the_last(snakemake, tmp_path, capsys, said, why):
    write_log(tmp_path, said)
    snakemake("workflow_started")
    start(snakemake)
    capsys.readouterr()
    snakemake("error", "RuleException:\nCommand 'x' returned non-zero exit status 1.", logging.ERROR)
    fail(snakemake)
    snakemake(text="Cannot restore results/weights: no backup found.", level=logging.WARNING)
    end(snakemake)
    assert shown(capsys) == [f"error: train_model d.a.mfd.seed0: {why} (log: {LOG})"]


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        # the shell of a job, before or beside its script
        ("returned non-zero exit status 1.", "it ended without saying why (exit status 1); what it printed "),
        ("returned non-zero exit status 255.", "it ended without saying why (exit status 255); what it "),
        ("died with <Signals.SIGKILL: 9>.", KILLED),
        # a script without a shell function around it
        ("returned non-zero exit status 137.", KILLED),
    ],
)
def test_of_a_job_that_says_nothing_it_is_told_how_it_ended(snakemake, capsys, ended, why):
    snakemake("workflow_started")
    for log, end in ((LOG, ended), (LOG.replace("mfd", "kd"), "returned non-zero exit status 2.")):
        snakemake("error", f"RuleException:\nCommand 'job none {log} -- python' {end}", logging.ERROR)
    fail(snakemake)
    (line,) = shown(capsys)
    assert line.startswith(f"error: train_model d.a.mfd.seed0: {why}")


def test_two_failures_in_a_row_are_not_repeated(snakemake, tmp_path, capsys):
    other = LOG.replace("mfd", "kd")
    for log in (LOG, other):
        write_log(tmp_path, "error: no\n", log)
    snakemake("workflow_started")
    fail(snakemake, 1, log=LOG)
    fail(snakemake, 2, log=other)
    end(snakemake)
    assert len(shown(capsys)) == 2


def test_failures_that_others_have_pushed_up_come_again_at_the_end(snakemake, tmp_path, capsys):
    write_log(tmp_path, "error: no\n")
    start(snakemake)
    start(snakemake, 2, "make_table", "logs/s/make_table.log")
    capsys.readouterr()
    snakemake("workflow_started")
    fail(snakemake)
    snakemake("job_finished", job_id=2)
    end(snakemake)
    line = f"error: train_model d.a.mfd.seed0: no (log: {LOG})"
    assert shown(capsys) == [line, "done   make_table in 0 s [1 of 0 jobs]", line]


def test_a_job_that_succeeds_when_tried_again_is_no_failure(snakemake, tmp_path, capsys):
    write_log(tmp_path, "error: no\n")
    snakemake("workflow_started")
    start(snakemake)
    fail(snakemake)
    snakemake(text="Trying to restart job 1.")
    start(snakemake)
    snakemake("job_finished", job_id=1)
    capsys.readouterr()
    end(snakemake)
    assert not [line for line in shown(capsys) if line.startswith("error: train_model")]


def test_of_a_group_the_job_is_named_that_failed(snakemake, tmp_path, capsys):
    logs = [f"logs/s/evaluate_model/d.a.mfd.seed{seed}.log" for seed in range(2)]
    write_log(tmp_path, "fine\n", logs[0])
    write_log(tmp_path, "error: damaged\n", logs[1])
    jobs = [{"jobid": n, "rule_name": "evaluate_model", "log": [log]} for n, log in enumerate(logs)]
    snakemake("group_error", job_error_info=jobs, aux_logs=["slurm.log"])
    for number, log in enumerate(logs):
        fail(snakemake, number, "evaluate_model", log, indent=True)
    snakemake("group_error", job_error_info=jobs[:1], aux_logs=["slurm.log"])
    assert shown(capsys) == [
        f"error: evaluate_model d.a.mfd.seed1: damaged (log: {logs[1]})",
        f"error: a group of 1 jobs (evaluate_model): {SILENT} (log: slurm.log)",
    ]


@pytest.mark.parametrize(
    "text", ["epoch 1/2  loss 1\n", "Traceback (most recent call last):\n  import pandas\nKeyboardInterrupt\n"]
)
def test_an_interrupted_run_says_how_to_go_on_and_names_no_failure(snakemake, tmp_path, capsys, text):
    write_log(tmp_path, text)
    snakemake("workflow_started")
    start(snakemake)
    capsys.readouterr()
    for _ in range(2):
        snakemake(text="Will exit after finishing currently running jobs (scheduler).")
    snakemake("error", "RuleException:\nCommand 'x' died with <Signals.SIGINT: 2>.", logging.ERROR)
    fail(snakemake)
    end(snakemake)
    assert shown(capsys) == [
        "Snakemake: Will exit after finishing currently running jobs (scheduler).",
        "stop   train_model d.a.mfd.seed0",
        "Stopped. The same command goes on from here, and each training from its last finished epoch.",
    ]
