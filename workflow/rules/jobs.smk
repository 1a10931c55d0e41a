# How jobs run: their environment, their share of the GPUs, and what is kept of those that fail.
import os
import sys
from pathlib import Path

from fairdistill.runtime.devices import torch_can_use_them, visible_gpus
from fairdistill.runtime.machine import memory_mb

GPUS = visible_gpus() if STUDY.training.device != "cpu" else []
HIDDEN_GPUS = {}
if GPUS and STUDY.training.device == "auto" and is_called_by_the_user() and not torch_can_use_them():
    print(
        "warning: there is a GPU, but torch cannot use it (`python -c 'import torch; torch.zeros(1).cuda()'` says why): "
        "trainings run on the CPU",
        file=sys.stderr,
    )
    GPUS = []
    # else each training would wait until it has it
    HIDDEN_GPUS = {"CUDA_VISIBLE_DEVICES": ""}
# a limit of this machine alone: profiles/default makes `gpu` a resource that is counted on each machine, so that a
# cluster's scheduler counts its own
limit_resource("gpu", max(1, len(GPUS) * STUDY.training.gpu_slots))
# so is this one; Snakemake would cut by it what a job on a cluster asks for, be it one for each machine or not
if is_called_by_the_user() and jobs_run_here():
    limit_resource("mem_mb", max(memory_mb(), STUDY.training.memory))

if problem := next((mark for mark in "{}:" if mark in ROOT), None):
    sys.exit(
        f"error: {ROOT!r}: this folder has a {problem!r} in its name, where Snakemake reads wildcards and Python several "
        "folders; give it another name"
    )

# Environment variables of every job. They are no parameters of a rule, because a moved checkout or another mirror
# changes no result. Jobs inherit them, so that no path of the user's is read by a shell as text, or is in a log.
os.environ |= {
    "FAIRDISTILL_ROOT": ROOT,
    "FAIRDISTILL_RESULTS": RESULTS,
    "FAIRDISTILL_GPU_SLOTS": str(STUDY.training.gpu_slots),
    # a file torch.py in the user's folder is not taken for torch
    "PYTHONSAFEPATH": "1",
    # that of a notebook need not be there
    "MPLBACKEND": "agg",
    **HIDDEN_GPUS,
    **({"FAIRDISTILL_MIRROR": STUDY.data.mirror} if STUDY.data.mirror else {}),
}
# A conda environment takes PYTHONPATH away, so that it is set here. Snakemake formats this text like that of a rule:
# what would be put into it could name variables in braces.
shell.prefix('export PYTHONPATH="$FAIRDISTILL_ROOT"; source "$PYTHONPATH/workflow/job.sh"; ')


def gpus_per_training():
    """0 where training stays on the CPU: there the cores limit how many trainings run at once."""
    device = STUDY.training.device
    return int(device == "cuda" or (device == "auto" and bool(GPUS)))


def kept(files):
    """Mark outputs whose earlier version stays until the new one takes its place, and comes back if the job fails."""
    return {name: update(path) for name, path in files.items()}


def last_failure(log):
    """The parameter of a rule that makes Snakemake plan a job again after a failure; `log` is the rule's log file.

    Snakemake records a failed job as if it had finished (https://github.com/snakemake/snakemake/issues/3808). Where
    its outputs are `kept`, those of the run before come back, and the next plan takes them for outputs of the changed
    settings on which the job failed. So `job` in workflow/job.sh notes each run of Snakemake in which the job did not
    reach its end, and the last of them is a parameter of the job: a changed parameter makes Snakemake do it again.
    Rules whose outputs are not kept need none of this: Snakemake removes what a failed job of theirs has written.
    """
    note_of_job = Path(".snakemake", "failed", log)
    # as long as no job of the rule has failed there is nothing to look up for each
    if not note_of_job.parent.is_dir() or not any(note_of_job.parent.iterdir()):
        return "none"

    def of_job(wildcards):
        note = Path(str(note_of_job).format(**wildcards))
        # a full disk leaves the file empty
        runs = note.read_text().splitlines() or ["unknown"] if note.exists() else []
        # a retry on a cluster is planned anew, within the same run: that run's failures do not count
        last = next((run for run in reversed(runs) if run != INVOCATION), "none")
        # which the job has since made up for
        return last.removeprefix("settled ")

    return of_job
