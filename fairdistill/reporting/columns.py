"""Names of the columns that several tables share."""

from collections.abc import Sequence

import pandas as pd

# Where models are compared.
PLACE = ["dataset", "architecture"]
# The names of a model: its trainings differ in nothing but the seed and the fold.
MODEL = [*PLACE, "method"]
# The names of one training, as grids and patterns of paths have them.
TRAINING = [*MODEL, "seed", "fold"]
# the same with what a table says of them beside their names
OVER_SEEDS = [*PLACE, "role", "method"]
IDENTITY = ["study", *OVER_SEEDS, "seed", "fold"]
BASE = ["base_architecture", "base_method"]

METRICS = ["accuracy", "deo_a", "deo_m", "worst_group_accuracy"]
# what has an interval from the test set
MEASURED = ["accuracy", "deo_a", "deo_m"]
DEO = ["deo_a", "deo_m"]
UNCERTAINTY = [
    *(f"{metric}_{end}" for metric in MEASURED for end in ("low", "high")),
    *(
        f"{deo}_{part}"
        for deo in DEO
        for part in ("corrected", "fair_baseline", "fair_baseline_low", "fair_baseline_high", "verdict")
    ),
]
# all of runs.csv
RUNS = [
    *(*IDENTITY, *BASE, *METRICS, *UNCERTAINTY),
    *("paired", "needs_group", "n_images", "epochs", "seconds", "code", "precision"),
]

# of one training: what its method is, whether its epoch was chosen on the validation split, and its processor time on
# a CPU, or its time on a GPU, in seconds
TRAINED = [*IDENTITY, *BASE, "kind", "family", "randomised", "chosen_epoch", "device", "cost"]
# all of validation.csv: with the mean accuracy of the (class, group) cells, and the size of the smallest
VALIDATION = [*RUNS, "mean_cell_accuracy", "smallest_cell"]

# of one criterion of one training, see `fairdistill.evaluation.group_criteria.long_form`
CRITERIA = [*IDENTITY, "needs_group", "criterion", "group", "value", "low", "corrected", "high"]

# marks the second model's columns in a table of pairs
OTHER = "_other"
# of an estimate over seeds: see `fairdistill.evaluation.crossed.Estimate`
ESTIMATE = ["sd", "n", "trainings", "low", "corrected", "high", "images", "between", "run", "shared"]
# of these, the numbers of seeds and of trainings
COUNTS = ["n", "trainings"]
# the seeds, and the value of each
SEEDS = ["seeds", "values"]
BASELINE = ["fair_baseline", "fair_baseline_low", "fair_baseline_high"]
# all of summary.csv
SUMMARY = [
    *(*OVER_SEEDS, "metric", "mean", *ESTIMATE, *BASELINE),
    *("verdict", "at_chance", "needs_group", *SEEDS, "test_images"),
]

# What the columns of some names hold in every table; those of all other names hold numbers, which may be missing.
TEXTS = {
    *("study", *OVER_SEEDS, *BASE, "minus", "part", "split", "sweep", "group", "class", "metric", "family"),
    *("verdict", *(f"{deo}_verdict" for deo in DEO), "code", "precision", *SEEDS, "test_images"),
    *("rule", "accuracy_of", "why"),
}
# whole numbers from 0 on
WHOLE = {"seed", "fold", "epoch", "epochs", "n_images", "smallest_cell", *COUNTS}
# True or False
FLAGS = {
    *("at_chance", "needs_group", "needs_validation", "randomised", "paired"),
    *("pareto_front", "within_margin", "chosen"),
}


def keys(table: pd.DataFrame, columns: Sequence[str]) -> list[tuple]:
    """Return the values that each row of a table has in some columns."""
    return list(table[[*columns]].itertuples(index=False, name=None))
