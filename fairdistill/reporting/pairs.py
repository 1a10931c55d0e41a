"""The gap between two models, seed by seed: each model and its base, or any two that are to be compared.

A model is paired with its base. One that stands on none is paired with the teacher of its data set, architecture and
seed; or, where a study has one teacher of another architecture, trained elsewhere, with that one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from fairdistill.evaluation.crossed import difference, relative
from fairdistill.evaluation.moderation import Common, moderated
from fairdistill.evaluation.seeds import holm, sign_flip_p
from fairdistill.reporting.columns import BASE, DEO, ESTIMATE, MODEL, OTHER, PLACE, RUNS, SEEDS, TRAINING, keys
from fairdistill.reporting.csv_files import read_table
from fairdistill.reporting.runs import at_chance
from fairdistill.reporting.trainings import TrainingsOfModels, columns_of
from fairdistill.settings.methods import TEACHER

# The difference as a share of the base's value, and its interval.
SHARE = ["share", "share_low", "share_corrected", "share_high"]
# What `differences` returns beside the names of the pairs.
DIFFERENCE = [
    *("metric", "value", "other", "difference", *ESTIMATE, *SHARE),
    *("p", "p_interval", "d0", "at_chance", "needs_group", *SEEDS),
]
# All columns of paired.csv.
PAIRED = [
    *(*MODEL, *BASE, "metric", "base", "student", "difference"),
    *(*ESTIMATE, *SHARE, "p", "p_holm", "at_chance", "needs_group", *SEEDS),
]
# The names of a student and of the model that it is paired with, the first columns of paired.csv.
PAIR = PAIRED[:5]


def beside_bases(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the students, each row with that of the model it is paired with, whose columns have the suffix `OTHER`.

    `base_architecture` and `base_method` name that model. Seeds that lack either of the two do not count.
    """
    students = runs[runs["role"] == "student"]
    alone = students["base_method"] == ""
    students = students.assign(
        base_architecture=students["base_architecture"].mask(alone, teachers_of(students["architecture"], runs)),
        base_method=students["base_method"].mask(alone, TEACHER),
    )
    return students.merge(
        runs,
        left_on=["study", "dataset", *BASE, "seed", "fold"],
        right_on=["study", *TRAINING],
        suffixes=("", OTHER),
    )


def teachers_of(architectures: pd.Series, models: pd.DataFrame) -> pd.Series:
    """Return the architectures of the teachers that models of `architectures` are compared with, in that order.

    They are their own; or the one that all teachers have, where that is another.

    Parameters
    ----------
    models
        Those of a study, one row or more of each, with the columns architecture and method.
    """
    known = set(models.loc[models["method"] == TEACHER, "architecture"])
    return architectures.where(architectures.isin(known), next(iter(known))) if len(known) == 1 else architectures


def base_names(models: pd.DataFrame) -> list[str]:
    """Return the base of each model, by its method, and its architecture before that where it is another.

    Parameters
    ----------
    models
        One row of each, with the columns architecture, base_architecture and base_method; these are empty where it
        stands on none, and so is its text.
    """
    rows = keys(models, ["architecture", *BASE])
    return [method if other in ("", own) else f"{other} {method}" for own, other, method in rows]


def pair_with_bases(runs: pd.DataFrame, trainings: TrainingsOfModels) -> pd.DataFrame:
    """Return student minus base over seeds, one row per student and metric (accuracy, deo_a, deo_m).

    Columns: dataset, architecture, method; base_architecture and base_method, of the model that it is paired with;
    metric; base, student (means over the seeds that count); difference and what follows it as of `differences`; p, of
    the exact sign-flip test, and p_holm, corrected over the table.

    Parameters
    ----------
    runs : DataFrame
        One row per training, see `fairdistill.reporting.runs`.
    trainings : TrainingsOfModels
        Those of these runs.
    """
    table = differences(beside_bases(runs), trainings, by=PAIR)
    table = table.rename(columns={"value": "student", "other": "base"})
    return table.assign(p_holm=holm(table["p"].astype(float)))[PAIRED]


def differences(
    pairs: pd.DataFrame,
    trainings: TrainingsOfModels,
    *,
    by: list[str],
    common: Mapping[tuple, Common | None] | None = None,
) -> pd.DataFrame:
    """Return the difference between the two models of each pair, over seeds: one row per group of pairs and metric.

    Columns: those of `by`; metric; value, other (means over seeds) and difference; its sd over seeds, their number n,
    and the other columns of `ESTIMATE`; share, the difference of a DEO as a share of the other's, with share_low,
    share_corrected and share_high; p, of the exact sign-flip test, and p_interval, which agrees with the interval (see
    `fairdistill.evaluation.crossed`); d0, the degrees of freedom that the interval and p_interval owe to the trainings
    of other methods; at_chance, whether one of the models is, in any of the trainings, no more accurate than one that
    names the largest class; needs_group, whether the first model needs the group of each image at prediction time;
    seeds, and the difference of each in values. What needs two seeds is missing where n = 1.

    Parameters
    ----------
    pairs : DataFrame
        One row per pair and training: the columns of one run and, with the suffix `OTHER`, those of the other. Where
        the two have other numbers of folds, a row for each fold of the one with each of the other.
    trainings : TrainingsOfModels
        Those of these runs.
    by : names of the columns that tell groups of pairs apart
    common : mapping, optional
        What the trainings of many methods say of the spread of each, by data set, architecture and metric. With it, the
        interval and p_interval are moderated, see `fairdistill.evaluation.moderation`; the share's interval is not.
    """
    rows = []
    for names, found in pairs.groupby(by, sort=False):
        of_pair = found.to_dict("records")
        # a run is in several rows where the folds of the two models are not those of each other
        of_both = (pd.DataFrame([runs_of(pair)[i] for pair in of_pair])[[*RUNS]].drop_duplicates() for i in range(2))
        model, other = map(trainings.of, of_both)
        chance = bool((at_chance(found) | at_chance(found, OTHER)).any())
        place = tuple(found[PLACE].iloc[0])
        for metric, own in difference(model, other).items():
            value, beside = model.mean[metric], other.mean[metric]
            shares = relative(value, beside, own) if metric in DEO else [np.nan] * len(SHARE)
            gap = moderated(own, (common or {}).get((*place, metric)))
            rows.append(
                {
                    **dict(zip(by, names, strict=True)),
                    "metric": metric,
                    "value": value.values.mean(),
                    "other": beside.values.mean(),
                    "difference": gap.values.round(12).mean(),
                    **columns_of(gap, found),
                    **dict(zip(SHARE, shares, strict=True)),
                    "p": sign_flip_p(gap.values.round(12)),
                    "p_interval": gap.p,
                    "d0": max(spread.borrowed for spread in gap.spreads),
                    "at_chance": chance,
                    "needs_group": found["needs_group"].any(),
                }
            )
    return pd.DataFrame(rows, columns=[*by, *DIFFERENCE])


def runs_of(pair: Mapping) -> tuple[Mapping, Mapping]:
    """Return the two runs of one row of a table of pairs, see `differences`."""
    return pair, {name: pair.get(f"{name}{OTHER}", value) for name, value in pair.items()}


def read_paired(path: Path | str | IO[str]) -> pd.DataFrame:
    """Return the table that `aggregate_results` wrote as paired.csv; a UserError says what is wrong with it."""
    # it has no rows where a study has no students
    return read_table(path, PAIRED, key=[*PAIR, "metric"], may_be_empty=True)
