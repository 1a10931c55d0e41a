"""What a run of the workflow shows on the terminal: a line for each event that a person waits for."""

import logging
import re
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairdistill.runtime.progress import duration, grid_progress

# rules whose jobs take long enough to say when they start
LONG = {"download_dataset", "prepare_dataset", "train_model", "export_model"}
TRAINING = "train_model"
# the rules of the Snakefile: targets, which collect files and do nothing themselves
TARGETS = {"all", "figures", "pages", "archive", "export"}
# the one of them whose files are to be taken away, and the last file of each model
EXPORT, CARD = "export", "model_card.html"
# What Snakemake says without an event: before it starts jobs this is left out, ...
NOTES_AT_START = ("Config file ", "Assuming unrestricted shared filesystem usage")
# ... and after that only this is shown.
NOTES_OF_JOBS = (
    "Nothing to be done",
    "Creating conda environment",
    "Environment for ",
    "Trying to restart job",
)
INTERRUPTED = ("Terminating processes on user request", "Will exit after finishing currently running jobs")
# Warnings and errors that say nothing new: that an output of a job in its first run has no earlier version to bring
# back, that those of a rerun were brought back, and that the failed jobs are listed above.
NO_NEWS = ("Cannot restore ", "Restored previous version of ", "Exiting because a job execution failed")
NO_ENVIRONMENT = "add --use-conda to the command, or use the environment of make env"
# how the command of a failed job ended, which says less than its log: with a status, or by a signal
COMMAND_FAILED = re.compile(r"returned non-zero exit status (\d+)|died with <Signals\.SIG(\w+)")
# the name of each signal, by the status with which a shell says that it ended a program
SIGNALS = {128 + one: one.name.removeprefix("SIG") for one in signal.Signals}
SILENT = "it ended without saying why"
SOME_JOBS_FAILED = "At least one job did not complete successfully"


class Terminal(logging.Handler):
    """Prints a run of Snakemake to stderr: what starts, what is done, how far the run is, and why a job failed.

    It takes the place of Snakemake's own handler. Warnings, and errors that are not a job's, go on to that one as they
    are; the whole output stays in Snakemake's log, .snakemake/log. Why a job failed is the last line of its log. It is
    printed when the job ends, and once more at the end where other lines came in between, so that it stands last.

    Parameters
    ----------
    snakemakes
        The handler that prints what is left to Snakemake.
    run
        Name of this run: see `fairdistill.runtime.progress`.
    """

    def __init__(self, snakemakes: logging.Handler, *, run: str):
        super().__init__()
        self.snakemakes, self.run = snakemakes, run
        self.started = False  # whether jobs are about to be done, rather than rules listed or a directory unlocked
        self.interrupted = False  # by Ctrl-C or a signal
        self.total = self.done = 0
        self.jobs: dict[int, tuple[str, float]] = {}  # name and start of each job, by Snakemake's number
        self.failed: dict[int, str] = {}
        self.ends: list[tuple[str, str]] = []  # command and end of each job that failed
        self.pushed_up = False  # whether other lines came after that of a failure
        self.events = {
            "workflow_started": self._workflow_started,
            "run_info": self._run_info,
            "job_info": self._job_info,
            "job_finished": self._job_finished,
            "job_error": self._job_error,
            "group_error": self._group_error,
        }

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event is None or event == "error":
            self._message(record)
        # other events are of no use on a terminal: resources, commands, the graph of the rules
        elif event in self.events:
            self.events[event](vars(record))

    def close(self) -> None:
        self.snakemakes.close()
        super().close()

    def _print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        self.pushed_up |= bool(self.failed) and line not in self.failed.values()

    def _message(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith(INTERRUPTED):
            shown, self.interrupted = not self.interrupted, True
        elif record.levelno < logging.WARNING:
            shown = text.startswith(NOTES_OF_JOBS) if self.started else not text.startswith(NOTES_AT_START)
        elif SOME_JOBS_FAILED in text and (self.failed or self.interrupted):
            self._print_failures()
            shown = False
        else:
            ended = COMMAND_FAILED.search(text)
            if ended:
                self.ends.append((text, how_it_ended(ended)))
            shown = not text.startswith(NO_NEWS) and not ended
        if shown:
            self.snakemakes.handle(record)
            self.pushed_up |= bool(self.failed)

    def _workflow_started(self, fields: Mapping[str, Any]) -> None:
        self.started = True

    def _run_info(self, fields: Mapping[str, Any]) -> None:
        counts = {rule: n for rule, n in fields["stats"].items() if rule not in TARGETS | {"total"}}
        self.total = sum(counts.values())
        self._print(f"{self.total} jobs: {', '.join(f'{n} {rule}' for rule, n in counts.items())}")

    def _job_info(self, fields: Mapping[str, Any]) -> None:
        if fields["rule_name"] == EXPORT:
            # all of its files are there when it begins
            for card in sorted(path for path in map(Path, fields["input"]) if path.name == CARD):
                self._print(f"see    {card.parent}: model.onnx, and its card, {CARD}")
        if fields["rule_name"] in TARGETS:
            return
        name = job_name(fields["rule_name"], fields["log"])
        self.jobs[fields["jobid"]] = name, time.monotonic()
        self.failed.pop(fields["jobid"], None)
        if fields["rule_name"] in LONG:
            self._print(f"start  {name}")

    def _job_finished(self, fields: Mapping[str, Any]) -> None:
        if fields["job_id"] not in self.jobs:
            return
        name, started = self.jobs[fields["job_id"]]
        self.done += 1
        line = f"done   {name} in {duration(time.monotonic() - started)} [{self.done} of {self.total} jobs"
        if name.startswith(f"{TRAINING} "):
            line += f"; {grid_progress(self.run)}"
        self._print(f"{line}]")

    def _job_error(self, fields: Mapping[str, Any]) -> None:
        # of a group that fails Snakemake names every job, those that have succeeded too
        if fields["indent"]:
            return
        logs = fields["log"]
        self._fail(fields["jobid"], job_name(fields["rule_name"], logs), logs, reason(logs) or fields["rule_msg"])

    def _group_error(self, fields: Mapping[str, Any]) -> None:
        jobs = fields["job_error_info"]
        # the others of the group have succeeded, or were not started
        failed = [job for job in jobs if reason(job["log"])]
        for job in failed:
            self._fail(job["jobid"], job_name(job["rule_name"], job["log"]), job["log"], reason(job["log"]))
        if not failed:
            rules = ", ".join(sorted({job["rule_name"] for job in jobs}))
            self._fail(jobs[0]["jobid"], f"a group of {len(jobs)} jobs ({rules})", fields["aux_logs"], None)

    def _fail(self, jobid: int, name: str, logs: list[str], why: str | None) -> None:
        # Ctrl-C during the imports of a script, before `run_script`, leaves a traceback
        if self.interrupted and (not why or why.startswith("KeyboardInterrupt")):
            self._print(f"stop   {name}")
            return
        # the log of a job is in its command; on a cluster Snakemake does not say how that ended
        ends = [end for command, end in self.ends if logs and logs[0] in command]
        why = why or (ends[-1] if ends else f"{SILENT}; where it was killed, it may have needed more memory")
        line = f"error: {name}: {why} (log: {', '.join(logs)})"
        # Snakemake 9.20 says it twice
        if self.failed.get(jobid) != line:
            self.failed[jobid] = line
            self._print(line)

    def _print_failures(self) -> None:
        if not self.failed:
            self._print("Stopped. The same command goes on from here, and each training from its last finished epoch.")
        elif self.pushed_up:
            for line in self.failed.values():
                self._print(line)


def job_name(rule: str, logs: list[str]) -> str:
    """A job's name on the terminal: its rule and, where the rule has more jobs than one, the name of its log file."""
    name = Path(logs[0]).stem if logs else rule
    return rule if name == rule else f"{rule} {name}"


def how_it_ended(end: re.Match[str]) -> str:
    """Why a job failed whose log does not say, from what `COMMAND_FAILED` has found.

    A training or another long job that is killed says so in its log. This is for jobs whose shell was killed.
    """
    status, name = end.groups()
    name = name or SIGNALS.get(int(status))
    if name is None:
        return f"{SILENT} (exit status {status}); what it printed may stand above"
    left = "the same command goes on from there; where the job was a training and still runs, it is waited for"
    return f"it was killed by the signal {name}; {left}"


def reason(logs: list[str]) -> str:
    """Why a job failed: the last line of its log, where that is an error; empty where the log does not say.

    Of a traceback it is the line of the exception. More lines may follow it, as in many of torch's.
    """
    path = Path(logs[0]) if logs else None
    text = path.read_text(encoding="utf-8", errors="replace").rstrip() if path and path.exists() else ""
    last = text.rpartition("\n")[2]
    if last.startswith("error: "):
        return last.removeprefix("error: ")
    _, traceback, calls = f"\n{text}".rpartition("\nTraceback ")
    # the calls are indented
    exception = next((line for line in calls.split("\n")[1:] if traceback and line[:1].strip()), "")
    return f"{exception}; {NO_ENVIRONMENT}" if exception.startswith("ModuleNotFoundError") else exception
