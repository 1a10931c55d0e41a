"""Means over seeds, and what is put together from them: averages over data sets, and contrasts.

All intervals are at 95 % and say what other trainings and other test images could have given, as
`fairdistill.evaluation.crossed` has it; those of one training, what other test images could have.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from fairdistill.evaluation.correctness import pool
from fairdistill.evaluation.crossed import Trainings
from fairdistill.evaluation.uncertainty import fair_baseline, verdict
from fairdistill.reporting.columns import BASELINE, COUNTS, DEO, MEASURED, METRICS, MODEL, OVER_SEEDS, SUMMARY
from fairdistill.reporting.csv_files import AGGREGATE, read_table
from fairdistill.reporting.runs import at_chance
from fairdistill.reporting.trainings import TrainingsOfModels, columns_of, digest, for_all_seeds, over_seeds, values_of
from fairdistill.runtime.errors import UserError

COMBINED = ["mean", "n", "trainings", "low", "corrected", "high", "images", "between", "another"]


def summarise(runs: pd.DataFrame, trainings: TrainingsOfModels) -> pd.DataFrame:
    """Return each metric over seeds, one row per model and metric.

    Columns: mean; sd (ddof = 1) over seeds, missing where there is one; n, the number of seeds; trainings, low,
    corrected, high, images, between, run and shared, see `fairdistill.evaluation.crossed.Estimate`; for DEO
    fair_baseline, fair_baseline_low and fair_baseline_high, means over seeds of that of one seed, and the verdict on
    the mean, which is "at chance" where one of the trainings is; at_chance, whether one is; needs_group, whether the
    method needs the group of each image at prediction time; seeds, and the value of each in values; test_images, which
    tells test sets apart. The accuracy of the worst group has no interval.

    A model that is the same for every seed, as one that was trained elsewhere, is one training: it has no sd, and the
    interval of the test images alone.
    """
    rows = []
    for names, of_model in runs.groupby(OVER_SEEDS, sort=False):
        own = trainings.apart(of_model)
        model = trainings.of(own)
        chance = bool(at_chance(own).any())
        baselines = _fair_baselines(own, model)
        for metric in METRICS:
            row: dict[str, Any] = dict(zip(OVER_SEEDS, names, strict=True)) | {"metric": metric}
            if metric in model.mean:
                row |= columns_of(model.mean[metric], own)
            else:
                row |= _of_worst_group(model, own)
            row = for_all_seeds(row, of_model)
            row |= {"mean": values_of(row).mean(), "at_chance": chance, "test_images": digest(model)}
            row["needs_group"] = of_model["needs_group"].any()
            if metric in DEO:
                row |= dict(zip(BASELINE, baselines[metric], strict=True))
                row["verdict"] = verdict(row["mean"], row["fair_baseline_high"], at_chance=chance)
            rows.append(row)
    return pd.DataFrame(rows, columns=SUMMARY).fillna({"verdict": ""})


def beside_each_other(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics of a summary in columns, one row per model.

    Columns: `OVER_SEEDS`, `COUNTS`, at_chance, needs_group and seeds; and of each metric M of `MEASURED`: M, its mean,
    and M_sd, M_low, M_high and M_fair_baseline, which is missing for accuracy.
    """
    table = summary.loc[summary["metric"] == MEASURED[0], [*OVER_SEEDS, *COUNTS, "at_chance", "needs_group", "seeds"]]
    for metric in MEASURED:
        parts = {"mean": metric} | {part: f"{metric}_{part}" for part in ("sd", "low", "high", "fair_baseline")}
        of_metric = summary[summary["metric"] == metric].rename(columns=parts)
        table = table.merge(of_metric[[*MODEL, *parts.values()]], on=MODEL)
    return table


def read_summary(path: Path | str | IO[str]) -> pd.DataFrame:
    """Return the table that `aggregate_results` wrote as summary.csv; a UserError says what is wrong with it."""
    table = read_table(path, SUMMARY, key=[*MODEL, "metric"])
    for number, row in enumerate(table.to_dict("records"), start=2):
        if not _has_its_values(row):
            raise UserError(
                f"{path}: row {number}: its values are not numbers of its {row['n']} seeds with its mean; make it with "
                f"{AGGREGATE}"
            )
    return table


def _has_its_values(row: Mapping) -> bool:
    """Whether a row of a summary has a value for each of its seeds, and their mean."""
    try:
        values = values_of(row)
    except ValueError:
        return False
    # as many digits as tables have
    is_mean = np.isclose(values.mean(), row["mean"], rtol=1e-8, atol=1e-8)
    return len(values) == row["n"] > 0 and values.index.is_unique and bool(is_mean)


def combine(terms: Sequence[tuple[float, Mapping]]) -> dict[str, float]:
    """Return a weighted sum of independent estimates.

    The distances from the corrected values to the ends join in quadrature (MOVER), those that a negative weight
    turns round exchanged.

    Parameters
    ----------
    terms : (weight, row) of each estimate
        A row has the columns mean or difference, and those of `ESTIMATE`.

    Returns
    -------
    dict
        mean; n and trainings, the least of the terms'; low, corrected, high, images, between and another. The last is
        half the width of the interval of a single training of the same kind on another test set of the same size.
    """
    weights = np.array([weight for weight, _ in terms])
    table = pd.DataFrame([dict(row) for _, row in terms])
    mean = table["mean"] if "mean" in table else table["difference"]
    down, up = table["corrected"] - table["low"], table["high"] - table["corrected"]
    corrected = float(weights @ table["corrected"])
    above = weights > 0
    another = np.hypot(table["run"], np.sqrt(table["trainings"]) * table["between"])

    def joined(widths: pd.Series | np.ndarray) -> float:
        return float(np.linalg.norm(weights * widths))

    return {
        "mean": float(weights @ mean),
        "n": int(table["n"].min()),
        "trainings": int(table["trainings"].min()),
        "low": corrected - joined(np.where(above, down, up)),
        "corrected": corrected,
        "high": corrected + joined(np.where(above, up, down)),
        "images": joined(table["images"]),
        "between": joined(table["between"]),
        "another": joined(another),
    }


def average_datasets(summary: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    """Return the average over data sets of the means of each model that all of them have, as `combine` does.

    sd is over the seeds that all the data sets have, of their averages; at_chance says whether a model that is part of
    an average is, and needs_group whether its method needs the group of each image at prediction time. Index:
    architecture, role, method, metric, in the order of the summary.
    """
    model = ["architecture", "role", "method", "metric"]
    rows = {}
    for names, found in summary[summary["dataset"].isin(datasets)].groupby(model, sort=False):
        if len(found) == len(set(datasets)):
            of_each = found.to_dict("records")
            seeds = pd.concat([values_of(row) for row in of_each], axis=1).dropna().mean(axis=1)
            terms = [(1 / len(found), row) for row in of_each]
            flags = {name: bool(found[name].any()) for name in ("at_chance", "needs_group")}
            rows[names] = combine(terms) | {"sd": seeds.round(12).std()} | flags
            if "sd" in found and found["sd"].isna().all():
                # one model for all seeds
                rows[names]["sd"] = np.nan
    index = pd.MultiIndex.from_tuples(rows, names=model)
    return pd.DataFrame(list(rows.values()), index=index, columns=[*COMBINED, "sd", "at_chance", "needs_group"])


def _fair_baselines(trainings: pd.DataFrame, model: Trainings) -> dict[str, Sequence[float]]:
    """Mean, low and high of a fair classifier's DEO, on the test images of one seed: means over seeds."""
    if trainings["fold"].nunique() == 1:
        return {deo: trainings[[f"{deo}_{part}" for part in BASELINE]].mean().tolist() for deo in DEO}
    of_seeds = [fair_baseline(pool(folds)) for folds in model.by_seed]
    return {deo: np.mean([found[deo] for found in of_seeds], axis=0).tolist() for deo in DEO}


def _of_worst_group(model: Trainings, trainings: pd.DataFrame) -> dict:
    return over_seeds(model.of_groups().min(axis=1), trainings["seed"].unique()) | {"trainings": len(trainings)}
