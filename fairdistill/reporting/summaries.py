"""Means over seeds and over data sets, with the intervals that belong to them.

Intervals are at 95 %. Those of the test set say what other test images could have given, those of seeds what other
seeds could have: `uncertainty` and `seeds` of `fairdistill.evaluation`.
"""

from collections.abc import Iterable

import pandas as pd

from fairdistill.evaluation.seeds import t_interval
from fairdistill.evaluation.uncertainty import verdict
from fairdistill.reporting.columns import DEO, MEASURED, METRICS, OVER_SEEDS
from fairdistill.reporting.runs import at_chance


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Return each metric over seeds, one row per model and metric.

    Columns: mean, sd (ddof = 1), n; seeds_low and seeds_high, the t-interval of the mean. From the test set, as means
    over seeds: test_low and test_high; for DEO corrected, fair_baseline, fair_baseline_low and fair_baseline_high, and
    the verdict on the mean, which is "at chance" where one of the seeds is. sd and t-interval are missing where n = 1.
    """
    rows = []
    for model, seeds in runs.groupby(OVER_SEEDS, sort=False):
        for metric in METRICS:
            row = dict(zip(OVER_SEEDS, model, strict=True)) | {"metric": metric} | over_seeds(seeds[metric])
            if metric in MEASURED:
                row |= {f"test_{end}": seeds[f"{metric}_{end}"].mean() for end in ("low", "high")}
            if metric in DEO:
                parts = ("corrected", "fair_baseline", "fair_baseline_low", "fair_baseline_high")
                row |= {part: seeds[f"{metric}_{part}"].mean() for part in parts}
                chance = bool(at_chance(seeds).any())
                row["verdict"] = verdict(row["mean"], row["fair_baseline_high"], at_chance=chance)
            rows.append(row)
    return pd.DataFrame(rows)


def over_seeds(values: pd.Series) -> dict:
    """Return mean, sd (ddof = 1) and n of the values of several seeds, and the t-interval of the mean."""
    # equal differences have an sd of zero, and not one of rounding
    values = values.round(12)
    low, high = t_interval(values)
    return {"mean": values.mean(), "sd": values.std(), "n": len(values), "seeds_low": low, "seeds_high": high}


def average_datasets(runs: pd.DataFrame, datasets: Iterable[str]) -> pd.DataFrame:
    """Return mean, sd and n over seeds of each metric's average over `datasets`, as the paper averages them.

    A seed counts where all the data sets have it. Index: architecture, role, method, metric, in the order of the runs.
    """
    datasets = set(datasets)
    tidy = runs[runs["dataset"].isin(datasets)].melt(
        id_vars=[*OVER_SEEDS, "seed"], value_vars=METRICS, var_name="metric"
    )
    model = ["architecture", "role", "method", "metric"]
    seeds = tidy.groupby([*model, "seed"], sort=False)["value"].agg(["mean", "size"])
    complete = seeds.loc[seeds["size"] == len(datasets), "mean"]
    return complete.groupby(model, sort=False).agg(mean="mean", sd="std", n="size")
