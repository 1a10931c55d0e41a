# What was made with other settings, as by another configuration of the same `study`, or of other content of the user's own
# files, is named before it is replaced.
import sys
from pathlib import Path

from fairdistill.runtime.differences import some_of
from fairdistill.settings.recorded import changed_metrics, changed_settings

# By the record of a data set or model that is there: which of its settings and files are not those of this run.
CHANGED_SETTINGS = {}


def warn_of(what, changed, then):
    """Say on the terminal that there are some things of other settings, what differs, and what comes of it."""
    differing = dict.fromkeys(change for changes in changed.values() for change in changes)
    print(
        f"warning: {RESULTS} has {what} of other settings or files, {len(changed)} in all: {some_of(list(differing))}; {then}; "
        "to keep both, give this configuration another name as its `study`",
        file=sys.stderr,
    )


if is_called_by_the_user():
    DIGESTS = (digest_of_own_files, digest_of_weights)
    CHANGED_SETTINGS = changed_settings(STUDY, DATA_FILES["info"], MODEL_FILES["training"], *DIGESTS)
    if CHANGED_SETTINGS:
        warn_of(
            "data sets or models",
            CHANGED_SETTINGS,
            "where this run needs them, they are made anew in their place (not with --rerun-triggers mtime)",
        )
    if changed := changed_metrics(STUDY, METRICS, MODEL_FILES["training"], *DIGESTS):
        warn_of(
            "metrics",
            changed,
            "as their models are not here, tables are made of them as they are, until the models are trained anew",
        )


def rerun_where(is_outdated, output, inputs):
    """Return the input function `inputs`, changed to make `output` again where `is_outdated` says so of its path."""

    def of_job(wildcards):
        path = output.format(**wildcards)
        if is_outdated(path):
            force_job_of(path)
        return inputs(wildcards)

    return of_job


def rerun_where_nothing_is_noted(output, inputs):
    """Return the input function `inputs`, changed to make `output` again that Snakemake has not noted how it made.

    Else it would take tables that were copied here for current, whatever models and settings they are of. They are made
    within seconds, so nothing is compared; tables of tables follow by their times.
    """
    return rerun_where(lambda path: Path(path).exists() and not is_noted(path), output, inputs)


def rerun_where_settings_changed(record, inputs):
    """Return the input function `inputs`, changed to run a job again whose outputs were made with other settings.

    Snakemake does so by itself where it has noted the job's parameters, but not of results that were copied here
    without .snakemake: these it would take for current. `record` is the path of the file that has the settings.
    """
    return rerun_where(CHANGED_SETTINGS.__contains__, record, inputs) if CHANGED_SETTINGS else inputs
