import copy
import gc
import sys

from snakemake import __version__
from snakemake.utils import min_version

# Snakemake 9.16.3 to 9.19 read `runtime` in a profile's `set-resources` as seconds, not as minutes.
min_version("9.20")
if int(__version__.split(".")[0]) > 9:
    sys.exit(f"error: Snakemake {__version__} is not known to work here; install one below 10")

# A plan makes millions of objects and drops next to none of them: to search them for garbage is a fifth of its time.
gc.disable()


include: "workflow/rules/snakemake_internals.smk"
include: "workflow/rules/terminal.smk"
include: "workflow/rules/config_files.smk"


# Until the next statement, `config` holds only what the user gave by --configfile and --config.
GIVEN = copy.deepcopy(config)


configfile: "config/config.yaml"


include: "workflow/rules/config.smk"
include: "workflow/rules/paths.smk"
include: "workflow/rules/own_files.smk"
include: "workflow/rules/changes.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/jobs.smk"
include: "workflow/rules/options.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/results_folder.smk"


onstart:
    # the plan is not searched for garbage; what comes after it is
    gc.freeze()
    gc.enable()
    # read by the trainings, which say how many are left, and by scripts/watch_trainings.py
    plan_trainings(INVOCATION, logs_of_planned("train_model"))
    # the next plan says what has changed since
    for note, content in OWN_CONTENT.items():
        note_content(note, content)


# Metrics alone, as a fresh clone has them, are not the whole study: this asks for the predictions too, and so for the
# models.
rule all:
    input:
        paths(MODEL_FILES["predictions"], ALL_GRIDS),
        tables(),
        figures(),
        from_models(),
        PAGE,


# Starts from the metrics where they are there, and then needs neither torch nor the data.
rule figures:
    input:
        tables(),
        figures(),


# The page of the study to look at in a browser. Like `figures` it starts from the metrics.
rule pages:
    input:
        PAGE,


# The study in one file, for a data repository such as Zenodo.
rule archive:
    input:
        ARCHIVE,


# Models to take away: see docs/export.md.
rule export:
    input:
        exported(),
