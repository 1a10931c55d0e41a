import gc
import sys

from snakemake import __version__
from snakemake.utils import min_version

# older ones do not put a failed job's earlier outputs back
min_version("9.14")
if int(__version__.split(".")[0]) > 9:
    sys.exit(f"error: Snakemake {__version__} is not known to work here; install one below 10")

# a plan makes millions of objects and drops next to none: looking through them for garbage is a fifth of its time
gc.disable()


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/paper.smk"


onstart:
    # what the plan is made of stays
    gc.freeze()
    gc.enable()
    # for the trainings, which say how far the grid is, and for scripts/watch_trainings.py
    plan_trainings(
        RUN,
        [
            str(job.log[0])
            for job in workflow.dag.needrun_jobs()
            if job.rule.name in ("train_teacher", "distill_student")
        ],
    )


# the predictions are named here so that metrics alone, as in a fresh clone, do not pass for trained models
rule all:
    input:
        paths(f"{MODEL}/predictions.parquet", GRIDS),
        tables(),
        figures(),


# starts from the metrics where they exist, and then needs no torch
rule figures:
    input:
        tables(),
        figures(),
