# The parts of Snakemake that this workflow uses although its documentation does not promise to keep them. But for
# workflow/Snakefile, no other file does so. Each with what breaks without it:
#
# - `workflow.current_basedir`, the folder of the file that is being read. From it comes the project's root, where the
#   package `fairdistill` lies, which need not be installed beside the user's own Snakemake. (`workflow.basedir` is the
#   folder of the main Snakefile, which may be workflow/Snakefile, or a user's own that includes ours.) Without it no
#   rule finds its code.
# - That `config`, before the statement `configfile:`, holds what the user gave by --configfile and --config (GIVEN in the
#   Snakefile). Without it a wrong key that config/config.yaml brought in by merging is not named as such.
# - `workflow.default_target`, set by workflow/Snakefile, because a file that is only included does not set it. Without
#   it that entry, which the Snakemake Workflow Catalog asks for, does nothing unless a target is named.
# - `workflow.configfiles`, the files that `config` was read from. Without it a key that comes twice in one is not named.
# - `workflow.global_resources`, the limits given by `--resources`. A training asks for one GPU, and Snakemake starts any
#   number of such jobs at once unless there is a limit; a profile cannot count the GPUs of a machine. Without it all
#   trainings that the cores allow start at once, and most wait for a GPU: right, but each takes its memory meanwhile.
# - `workflow.dag.forcefiles` and `workflow.rerun_triggers`. Without them, models of other settings that were copied here
#   without Snakemake's notes are named, but are taken for current.
# - `workflow.dag.targetrules`, the rules that the user asks for. Without it the target `all`, in a folder that has metrics
#   without their models, makes the page before the training curves, and a second time after them.
# - `workflow.dag.needrun_jobs()`, the jobs of the plan. `make watch` and the lines about progress get the number of
#   planned trainings from it. Without it they do not say how far the run is.
# - `workflow.resource_settings.nodes`, the number of jobs in a cluster's queue. Without it the memory that trainings may
#   have together is that of the login node for jobs on a cluster as well, which then do not get what they ask for.
# - `workflow.persistence.metadata`, what Snakemake has noted of how a file was made, and `IOFile`, the class of the paths
#   that it takes. Without them, tables and cards of another configuration that were copied here without Snakemake's notes
#   are taken for current.
# - `workflow.rules`, and the names of the folders that Snakemake keeps its own notes in. Without them a file in the place of
#   a folder ends in Snakemake's traceback, and tables and figures of another configuration are not named.
# - `workflow.is_main_process`. Without it the memory that trainings may have together is limited on a cluster's nodes too,
#   and a second attempt, which asks for more, can be refused there.
# - The same, `workflow.output_settings`, the handler "DefaultStreamHandler" of Snakemake's logger, and the
#   fields of its log records (`event`, `jobid`, ...), which its logger plugins get too. With them
#   fairdistill/runtime/terminal.py prints a line for each event in the place of Snakemake's own output. It also keeps
#   back the warning "Cannot restore ...: no backup found.": where a job fails, Snakemake 9.27 prints it for each output
#   marked by `update()` that had no earlier version, and so before the line that says why the job failed. Without the
#   handler, Snakemake's output is shown as it is; without the others, remove `replace_terminal_handler` for the same.
import logging
import os.path
import sys
from pathlib import Path

from snakemake.io import IOFile, strip_wildcard_constraints

ROOT = str(Path(str(workflow.current_basedir)).parents[1])
# as where a module's `snakefile` is the address of a repository: Snakemake then fetches the rules alone
if not Path(ROOT, "fairdistill").is_dir():
    sys.exit(
        f"error: {ROOT}: the package fairdistill is not beside the Snakefile, where the jobs look for their code; clone "
        "the whole repository, and run snakemake there, or give a module's `snakefile` the path of the clone"
    )
sys.path.insert(0, ROOT)


def replace_terminal_handler(make):
    """Put `make(handler)` in the place of the handler that prints Snakemake's log, where its output may change.

    It may not in a dry run, in a job on a cluster, where the user asks for more or less output than usual, and where a
    logger plugin prints.
    """
    settings = workflow.output_settings
    asked = settings.verbose or settings.printshellcmds or settings.quiet or settings.debug_dag
    if settings.dryrun or asked or not workflow.is_main_process:
        return
    logger = logging.getLogger("snakemake.logging")
    for handler in [handler for handler in logger.handlers if handler.name == "DefaultStreamHandler"]:
        logger.removeHandler(handler)
        logger.addHandler(make(handler))


def is_called_by_the_user():
    """Whether this is not the Snakemake that another starts for a job on a cluster."""
    return workflow.is_main_process


def jobs_run_here():
    """Whether jobs run on this machine: for those on a cluster the user says how many may be in its queue (--jobs)."""
    return workflow.resource_settings.nodes is None


def is_noted(path):
    """Whether Snakemake has noted with which parameters a file was made. It is for input functions."""
    return workflow.persistence.metadata(IOFile(path)) is not None


def files_of_configuration():
    """The files that the configuration was read from."""
    return [Path(path) for path in workflow.configfiles]


# of a Snakefile that includes ours
RULES_OF_OTHERS = {rule.name for rule in workflow.rules}


def files_of_rules():
    """The outputs, logs and benchmarks of the rules of this project that were read, with wildcards in braces."""
    files = [
        path
        for rule in workflow.rules
        if rule.name not in RULES_OF_OTHERS
        for path in (*rule.output, *rule.log, rule.benchmark)
        if path is not None
    ]
    return {strip_wildcard_constraints(path) for path in files}


def folders_of_notes():
    """The folders that Snakemake makes for its own notes."""
    names = [
        "auxiliary",
        "conda",
        "conda-archive",
        "incomplete",
        "iocache",
        "locks",
        "metadata",
        "shadow",
        "singularity",
    ]
    return [f".snakemake/{name}" for name in names]


def limit_resource(name, limit):
    """Let jobs that ask for a resource run only up to `limit` at a time, unless the user's --resources names it."""
    if name not in workflow.global_resources:
        workflow.global_resources[name] = limit


def force_job_of(path):
    """Let the job that makes a file run, if it is in the plan, which is being made; not where parameters are to be ignored.

    It is for input functions, which Snakemake calls when it adds a job to the plan.
    """
    if "PARAMS" in {trigger.name for trigger in workflow.rerun_triggers}:
        workflow.dag.forcefiles.add(path)


def is_target(rule):
    """Whether the user asks for a rule of this project, by name or by default. It is for input functions."""
    return any(
        target.name == rule and target.name not in RULES_OF_OTHERS for target in workflow.dag.targetrules
    )


def logs_of_planned(rule):
    """The log files of the jobs of a rule that this run will do."""
    return [str(job.log[0]) for job in workflow.dag.needrun_jobs() if job.rule.name == rule]
