from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/paper.smk"


# the predictions are named here so that metrics alone, as in a fresh clone, do not pass for trained models
rule all:
    input:
        grid(f"{MODEL}/predictions.parquet"),
        tables(),
        figures(),


# stops at the metrics where they exist: nothing is trained, and no torch is needed
rule figures:
    input:
        tables(),
        figures(),
