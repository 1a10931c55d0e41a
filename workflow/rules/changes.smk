# What was made with other settings, as by another configuration of the same `study`, is named before it is replaced.
import sys

from fairdistill.runtime.differences import some_of
from fairdistill.settings.recorded import made_otherwise

# What differs, by the record of the data set or model.
MADE_OTHERWISE = {}
if is_called_by_the_user():
    MADE_OTHERWISE = made_otherwise(STUDY, DATA_FILES["info"], MODEL_FILES["training"])
if MADE_OTHERWISE:
    differing = dict.fromkeys(change for changes in MADE_OTHERWISE.values() for change in changes)
    print(
        f"warning: {RESULTS} has data sets or models of other settings, {len(MADE_OTHERWISE)} in all: "
        f"{some_of(list(differing))}; where this run needs them, they are made anew in their place (not with "
        "--rerun-triggers mtime); to keep both, give this configuration another name as its `study`",
        file=sys.stderr,
    )


def unless_made_otherwise(record, inputs):
    """The input function `inputs`, which also makes a job that has made its outputs with other settings do it again.

    Snakemake does so by itself where it has noted the job's parameters, but not of results that were copied here
    without .snakemake: these it would take for current. `record` is the path of the file that has the settings.
    """
    if not MADE_OTHERWISE:
        return inputs

    def of_job(wildcards):
        path = record.format(**wildcards)
        if path in MADE_OTHERWISE:
            make_anew(path)
        return inputs(wildcards)

    return of_job
