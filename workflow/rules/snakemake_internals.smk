# What this workflow uses of Snakemake that Snakemake's documentation does not promise to keep. Nothing outside this
# file does so.
#
# - `workflow.current_basedir`, the folder of the file that is being read. From it comes the project's root, where the
#   package `fairdistill` lies, which need not be installed beside the user's own Snakemake. (`workflow.basedir` is the
#   folder of the main Snakefile, which may be workflow/Snakefile, or a user's that includes ours.) Without it no rule
#   finds its code.
# - `workflow.global_resources`, the limits given by `--resources`. A rule asks for one GPU, and Snakemake starts any
#   number of such jobs at once unless there is a limit; a profile cannot count the GPUs of a machine. Without it
#   trainings start at once and wait for a GPU in the job, each with its process: slower, and still right.
# - `workflow.dag.needrun_jobs()`, the jobs of the plan. The number of planned trainings is in the lines about progress,
#   and `make watch` reads their logs. Without it both say nothing; no result depends on it.
# - `workflow.exec_mode` and `workflow.output_settings`: whether this process is the user's own (a job on a cluster reads
#   the Snakefile once more) and whether the user asked for a dry run or another amount of output. Together with the
#   handler "DefaultStreamHandler" of Snakemake's logger and the fields of its log records (`event`, `jobid`, ...; the
#   interface of its logger plugins, which is documented), they are what fairdistill/runtime/terminal.py stands on. In
#   particular that module keeps back the warning "Cannot restore ...: no backup found", which Snakemake prints for
#   every output marked by `update()` of a job that fails in its first run, before the line that says why it failed.
#   Where one of these goes, Snakemake's own output is shown instead.
import logging
import sys
from pathlib import Path

ROOT = str(Path(str(workflow.current_basedir)).parents[1])
sys.path.insert(0, ROOT)


def snakemakes_handler():
    """The handler that prints Snakemake's log, or None where its output has to stay as it is.

    That is so in a dry run, in a job on a cluster, where the user asks for more or less output than usual, and where a
    logger plugin prints.
    """
    settings = workflow.output_settings
    asked = settings.verbose or settings.printshellcmds or settings.quiet or settings.debug_dag
    if settings.dryrun or asked or workflow.exec_mode != workflow.exec_mode.DEFAULT:
        return None
    handlers = logging.getLogger("snakemake.logging").handlers
    return next((handler for handler in handlers if handler.name == "DefaultStreamHandler"), None)


def limit_resource(name, limit):
    """Let jobs that ask for a resource run only up to `limit` at a time, unless the user's --resources names it."""
    workflow.global_resources.setdefault(name, limit)


def logs_of_planned(rule):
    """The log files of the jobs of a rule that this run will do."""
    return [str(job.log[0]) for job in workflow.dag.needrun_jobs() if job.rule.name == rule]
