"""Names of the columns that several tables share."""

from collections.abc import Sequence

import pandas as pd

# Where models are compared.
PLACE = ["dataset", "architecture"]
# The names of a model: its trainings differ in nothing but the seed and the fold.
MODEL = [*PLACE, "method"]
# The names of one training, as grids and patterns of paths have them.
TRAINING = [*MODEL, "seed", "fold"]
# The names of a model with its role, as tables over seeds have them.
OVER_SEEDS = [*PLACE, "role", "method"]
# The names of one training, its study and its role among them, as records have them.
IDENTITY = ["study", *OVER_SEEDS, "seed", "fold"]
# The model of the same data set and seed that a model stands on; both are empty where it stands on none.
BASE = ["base_architecture", "base_method"]

METRICS = ["accuracy", "deo_a", "deo_m", "worst_group_accuracy"]
# The metrics that have an interval from the test set.
MEASURED = ["accuracy", "deo_a", "deo_m"]
DEO = ["deo_a", "deo_m"]
# How far the metrics of one training can be trusted, see `fairdistill.evaluation.uncertainty.assess`.
UNCERTAINTY = [
    *(f"{metric}_{end}" for metric in MEASURED for end in ("low", "high")),
    *(
        f"{deo}_{part}"
        for deo in DEO
        for part in ("corrected", "fair_baseline", "fair_baseline_low", "fair_baseline_high", "verdict")
    ),
]
# All columns of runs.csv but the settings of the methods.
RUNS = [
    *(*IDENTITY, *BASE, *METRICS, *UNCERTAINTY),
    *("paired", "needs_group", "n_images", "epochs", "seconds", "code", "precision"),
]

# What is known of one training: what its method is, whether its epoch was chosen on the validation split, and what it
# cost: processor time on a CPU, or time on a GPU, in seconds.
TRAINED = [*IDENTITY, *BASE, "kind", "family", "randomised", "chosen_epoch", "device", "cost"]
# All columns of validation.csv but the settings: those of runs.csv, the mean accuracy of the (class, group) cells, and
# the number of images of the smallest.
VALIDATION = [*RUNS, "mean_cell_accuracy", "smallest_cell"]

# What is known of one criterion of one training, see `fairdistill.evaluation.group_criteria.long_form`.
CRITERIA = [*IDENTITY, "needs_group", "criterion", "group", "value", "low", "corrected", "high"]

# Suffix of the second model's columns in a table of pairs.
OTHER = "_other"
# What is known of an estimate over seeds, see `fairdistill.evaluation.crossed.Estimate`.
ESTIMATE = ["sd", "n", "trainings", "low", "corrected", "high", "images", "between", "run", "shared"]
# The columns of an estimate that count: seeds, and trainings.
COUNTS = ["n", "trainings"]
# The seeds of an estimate, and the value of each, as texts separated by spaces.
SEEDS = ["seeds", "values"]
# The DEO of a fair classifier: mean and 95 % range.
BASELINE = ["fair_baseline", "fair_baseline_low", "fair_baseline_high"]
# All columns of summary.csv.
SUMMARY = [
    *(*OVER_SEEDS, "metric", "mean", *ESTIMATE, *BASELINE),
    *("verdict", "at_chance", "needs_group", *SEEDS, "test_images"),
]

# The columns that hold texts, in whichever table they are; those that are in none of these three sets hold numbers,
# which may be missing.
TEXTS = {
    *("study", *OVER_SEEDS, *BASE, "minus", "part", "split", "sweep", "group", "class", "metric", "family"),
    *("verdict", *(f"{deo}_verdict" for deo in DEO), "code", "precision", *SEEDS, "test_images"),
    *("rule", "accuracy_of", "why"),
}
# Those that hold whole numbers from 0 on.
WHOLE = {"seed", "fold", "epoch", "epochs", "n_images", "smallest_cell", *COUNTS}
# Those that hold True or False.
FLAGS = {
    *("at_chance", "needs_group", "needs_validation", "randomised", "paired"),
    *("pareto_front", "within_margin", "chosen"),
}


def keys(table: pd.DataFrame, columns: Sequence[str]) -> list[tuple]:
    """Return the values that each row of a table has in some columns."""
    return list(table[[*columns]].itertuples(index=False, name=None))
