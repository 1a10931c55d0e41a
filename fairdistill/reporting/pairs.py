"""The gap between two models, seed by seed: each model and its base, or any two that are to be compared.

A model is paired with its base. One that stands on none is paired with the teacher of its data set, architecture and
seed.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from fairdistill.evaluation.correctness import Correctness
from fairdistill.evaluation.seeds import holm, sign_flip_p
from fairdistill.evaluation.uncertainty import ENDS, gap_intervals
from fairdistill.reporting.columns import BASE, DEO, ESTIMATE, IDENTITY, MEASURED, OTHER
from fairdistill.reporting.runs import at_chance, with_columns
from fairdistill.reporting.summaries import over_seeds
from fairdistill.settings.methods import TEACHER

DIFFERENCE = ["metric", "value", "other", "difference", *ESTIMATE, "p", "at_chance"]
PAIRED = [
    *("dataset", "architecture", "method", *BASE, "metric", "base", "student", "difference"),
    *(*ESTIMATE, "p", "p_holm", "at_chance"),
]
# of PAIRED, the names
PAIR = PAIRED[:5]


def beside_bases(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the students, each row with that of the model it is paired with, whose columns have the suffix `OTHER`.

    `base_architecture` and `base_method` name that model. Seeds that lack either of the two do not count.
    """
    students = runs[runs["role"] == "student"]
    alone = students["base_method"] == ""
    students = students.assign(
        base_architecture=students["base_architecture"].mask(alone, students["architecture"]),
        base_method=students["base_method"].mask(alone, TEACHER),
    )
    return students.merge(
        runs,
        left_on=["study", "dataset", *BASE, "seed"],
        right_on=["study", "dataset", "architecture", "method", "seed"],
        suffixes=("", OTHER),
    )


def pair_with_bases(runs: pd.DataFrame, correctness: Mapping[tuple, Correctness]) -> pd.DataFrame:
    """Return student minus base over seeds, one row per student and metric (accuracy, deo_a, deo_m).

    Columns: dataset, architecture, method; base_architecture and base_method, of the model that it is paired with;
    metric; base, student (means over the seeds that count); difference and what follows it as of `differences`; p, of
    the exact sign-flip test, and p_holm, corrected over the table.

    Parameters
    ----------
    runs : DataFrame
        One row per model, see `fairdistill.reporting.runs`.
    correctness : mapping
        See `fairdistill.reporting.models.Models`.
    """
    table = differences(beside_bases(runs), correctness, by=PAIR)
    table = table.rename(columns={"value": "student", "other": "base"})
    return table.assign(p_holm=holm(table["p"].astype(float)))[PAIRED]


def differences(pairs: pd.DataFrame, correctness: Mapping[tuple, Correctness], *, by: list[str]) -> pd.DataFrame:
    """Return the difference between the two models of each pair, over seeds: one row per group of pairs and metric.

    Columns: those of `by`; metric; value, other (means over seeds) and difference; sd, n; seeds_low and seeds_high, the
    t-interval of the difference; test_low and test_high, its test-set interval (mean over seeds of the ends); p, of
    the exact sign-flip test; at_chance, whether one of the models is, in any of the seeds, no more accurate than one
    that names the largest class. What needs two seeds is missing where n = 1.

    Parameters
    ----------
    pairs : DataFrame
        One row per pair and seed: the columns of one run and, with the suffix `OTHER`, those of the other.
    correctness : mapping
        See `fairdistill.reporting.models.Models`.
    by : names of the columns that tell groups of pairs apart
    """
    gaps = [_gaps(pair, correctness) for pair in pairs.to_dict("records")]
    rows = []
    for names, seeds in pairs.reset_index(drop=True).groupby(by, sort=False):
        chance = bool((at_chance(seeds) | at_chance(seeds, OTHER)).any())
        for metric in MEASURED:
            value, other = seeds[metric], seeds[f"{metric}{OTHER}"]
            ends = pd.DataFrame([gaps[i][metric] for i in seeds.index], columns=["low", "high"]).mean()
            over = over_seeds(value - other)
            rows.append(
                {
                    **dict(zip(by, names, strict=True)),
                    "metric": metric,
                    "value": value.mean(),
                    "other": other.mean(),
                    "difference": over.pop("mean"),
                    **over,
                    "test_low": ends["low"],
                    "test_high": ends["high"],
                    "p": sign_flip_p(value - other),
                    "at_chance": chance,
                }
            )
    return pd.DataFrame(rows, columns=[*by, *DIFFERENCE])


def runs_of(pair: Mapping) -> tuple[Mapping, Mapping]:
    """Return the two runs of one row of a table of pairs, see `differences`."""
    return pair, {name: pair.get(f"{name}{OTHER}", value) for name, value in pair.items()}


def margins(difference: Mapping) -> tuple[float, float]:
    """Return how far below and above a difference its 95 % interval reaches.

    The interval joins the noise of the test set and, over several seeds, that of the seeds, in quadrature.

    Parameters
    ----------
    difference : mapping
        A row of `differences`.
    """
    value = difference["difference"]
    seeds = np.nan_to_num(difference["seeds_high"] - value)
    # the interval of the corrected difference may lie on one side of the raw one: there it has no margin
    down, up = (max(0.0, end) for end in (value - difference["test_low"], difference["test_high"] - value))
    return float(np.hypot(down, seeds)), float(np.hypot(up, seeds))


def read_paired(path: Path | str) -> pd.DataFrame:
    """Return the table that `aggregate_results` wrote as paired.csv."""
    names, numbers = [*PAIR, "metric"], [name for name in PAIRED if name not in (*PAIR, "metric", "at_chance")]
    paired = pd.read_csv(
        path, dtype=dict.fromkeys(names, str), keep_default_na=False, na_values=dict.fromkeys(numbers, "")
    )
    return with_columns(paired, PAIRED, path)


def _gaps(pair: Mapping, correctness: Mapping[tuple, Correctness]) -> dict[str, tuple[float, float]]:
    """The test-set interval of each difference between the two models of a pair, of one seed."""
    runs = runs_of(pair)
    models = [correctness[tuple(run[name] for name in IDENTITY)] for run in runs]
    known = [{deo: {end: run[f"{deo}_{end}"] for end in ENDS} for deo in DEO} for run in runs]
    return gap_intervals(*models, *known)
