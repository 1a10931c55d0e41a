"""What the trainings of each model of a study show together."""

import hashlib
from collections.abc import Hashable, Iterable, Mapping

import numpy as np
import pandas as pd

from fairdistill.evaluation.correctness import Correctness
from fairdistill.evaluation.crossed import Estimate, Trainings
from fairdistill.evaluation.uncertainty import ENDS
from fairdistill.reporting.columns import DEO, IDENTITY, keys
from fairdistill.runtime.errors import UserError


class TrainingsOfModels:
    """The trainings of each model, whose scores and intervals are computed once.

    Parameters
    ----------
    correctness : mapping
        The right and wrong answers of each training on the test split, by the values of `IDENTITY`.
    files : mapping, optional
        By the same, what tells the files of each model, its weights and predictions, from those of others.
    """

    def __init__(self, correctness: Mapping[tuple, Correctness], files: Mapping[tuple, Hashable] | None = None):
        self.correctness = correctness
        self.files = files or {}
        self._known: dict[tuple, Trainings] = {}

    def of(self, runs: pd.DataFrame) -> Trainings:
        """Return the trainings in the rows of one model, as `fairdistill.reporting.runs` has them, by seed and fold.

        Raises
        ------
        UserError
            If a seed lacks a fold that another has.
        """
        require_folds(runs, runs["fold"])
        runs = runs.sort_values(["seed", "fold"])
        names = tuple(keys(runs, IDENTITY))
        if names not in self._known:
            tests = [
                [self.correctness[names[i]] for i in seed]
                for seed in runs.reset_index().groupby("seed").indices.values()
            ]
            run = runs.iloc[0]
            # of a single training the metrics file has the intervals
            known = {deo: {end: run[f"{deo}_{end}"] for end in ENDS} for deo in DEO} if len(runs) == 1 else None
            self._known[names] = Trainings(tests, known=known)
        return self._known[names]

    def apart(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of one model that are trainings of their own: those of one seed where all seeds share one.

        A model that was trained elsewhere is the same for every seed. It is one training, which says nothing about
        others, and its values would only seem to agree.
        """
        seeds = runs["seed"].unique()
        if len(seeds) == 1 or not self.files:
            return runs
        of_seeds = {
            seed: [self.files[names] for names in keys(found.sort_values("fold"), IDENTITY)]
            for seed, found in runs.groupby("seed")
        }
        same = all(files == of_seeds[seeds[0]] for files in of_seeds.values())
        return runs[runs["seed"] == seeds[0]] if same else runs


def require_folds(runs: pd.DataFrame, folds: Iterable[int]) -> None:
    """Every model and seed has all of the folds: a seed's value is of all of them together.

    Raises
    ------
    UserError
        One line that names the first that is lacking, and its study, model and seed.
    """
    for names, found in runs.groupby(IDENTITY[:-1], sort=False):
        for fold in sorted(set(folds) - set(found["fold"])):
            study, dataset, architecture, _, method, seed = names
            raise UserError(
                f"{study}: {dataset} {architecture} {method} seed {seed} lacks fold {fold}; train and evaluate that "
                "fold, and make the tables again"
            )


def columns_of(estimate: Estimate, runs: pd.DataFrame) -> dict:
    """Return an estimate as the columns `ESTIMATE` and `SEEDS`, where `runs` are the rows that it is of."""
    parts = ("trainings", "low", "corrected", "high", "images", "between", "run", "shared")
    return over_seeds(estimate.values, runs["seed"].unique()) | {name: getattr(estimate, name) for name in parts}


def over_seeds(values: pd.Series | np.ndarray, seeds: Iterable[int]) -> dict:
    """Return the columns sd (ddof = 1, missing for one seed), n and `SEEDS` of the value of each of some seeds.

    Parameters
    ----------
    values
        (seeds,), of the seeds in ascending order.
    seeds
        In any order.
    """
    # equal values have an sd of zero, and not one of rounding
    found = pd.Series(values).round(12)
    names = " ".join(map(str, sorted(seeds)))
    return {"sd": found.std(), "n": len(found), "seeds": names, "values": " ".join(map("{:.10g}".format, found))}


def for_all_seeds(row: Mapping, runs: pd.DataFrame) -> dict:
    """Return a row of one seed with the columns n and `SEEDS` of all seeds of `runs`, whose model is one (`apart`)."""
    seeds = list(map(str, sorted(runs["seed"].unique())))
    if row["n"] == len(seeds):
        return dict(row)
    return {**row, "n": len(seeds), "seeds": " ".join(seeds), "values": " ".join([row["values"]] * len(seeds))}


def digest(model: Trainings) -> str:
    """Return what tells the test images of a model's trainings from others."""
    return hashlib.sha256("\n".join(sorted({test.images for test in model.tests})).encode()).hexdigest()[:16]


def values_of(row: Mapping) -> pd.Series:
    """Return the value of each seed, by seed, of a row that has the columns `SEEDS`."""
    return pd.Series(np.array(row["values"].split(), dtype=float), index=row["seeds"].split())
