"""The table of what models' features tell of the groups: two-sample tests and consistency, over seeds.

`probe_features` writes one file per model, see `fairdistill.evaluation.probes`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairdistill.evaluation.criteria import CONFIDENCE_LEVEL
from fairdistill.evaluation.records import Interval, RunOfStudy, Share
from fairdistill.reporting.columns import IDENTITY, OVER_SEEDS, SEEDS, TRAINING, keys
from fairdistill.reporting.criteria import over_trainings
from fairdistill.reporting.models import Models
from fairdistill.reporting.trainings import TrainingsOfModels, for_all_seeds, over_seeds
from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import AtLeastOne, Text
from fairdistill.settings.training_record import Fields, Inputs, Outputs, read_written

TEST = ["class", "group", "other_group"]
P_VALUES = ["rejected", "p_holm_least", "p_holm_largest"]
COLUMNS = [*OVER_SEEDS, "needs_group", "measure", *TEST]
COLUMNS += ["mean", "sd", "n", "trainings", "low", "high", *P_VALUES, *SEEDS]


class TwoSample(Fields):
    class_: Text = Field(alias="class")
    group: Text
    other_group: Text
    mmd2: float
    p_holm: Share


class Consistency(Interval):
    value: Share


class Found(Fields):
    two_sample: list[TwoSample]
    consistency: Consistency


class Probed(Fields):
    """What is read of a file of `probe_features`."""

    run: RunOfStudy
    inputs: Inputs
    outputs: Outputs
    classes: AtLeastOne[Text]
    groups: AtLeastOne[Text]
    features: Found

    @model_validator(mode="after")
    def _tests_its_own_groups(self) -> Self:
        for test in self.features.two_sample:
            if test.class_ not in self.classes or not {test.group, test.other_group} <= set(self.groups):
                raise PydanticCustomError(
                    "two_sample", "has features.two_sample that are not of its classes and groups"
                )
        return self


@dataclass(frozen=True)
class Features:
    """What the table is made from.

    Attributes
    ----------
    tests
        One row per training, class and pair of groups: `IDENTITY`, class, group, other_group, mmd2 and p_holm.
    consistency
        One row per training: `IDENTITY`, value, low, corrected and high.
    """

    tests: pd.DataFrame
    consistency: pd.DataFrame


def read_probed(path: Path | str) -> Probed:
    """Return what is read of a file of `probe_features`; a UserError names the file and what is wrong with it."""
    try:
        return read_written(Probed, Path(path), remedy="probe the features of the model again")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; probe the features of that model first") from None


def read_features(paths: Iterable[Path | str] | Mapping[str, tuple]) -> Features:
    """Read the files of some models.

    Parameters
    ----------
    paths : iterable, or mapping
        A mapping gives the values of `TRAINING` of the model that each file has to be of.
    """
    tests, consistency = [], []
    for path in paths:
        found = read_probed(path)
        model = {name: getattr(found.run, name) for name in IDENTITY}
        if isinstance(paths, Mapping) and (names := tuple(model[name] for name in TRAINING)) != paths[str(path)]:
            raise UserError(f"{path}: is of the model {' '.join(map(str, names))}; probe the features of its own again")
        tests += [model | test.to_json() for test in found.features.two_sample]
        consistency.append(model | found.features.consistency.to_json())
    return Features(
        pd.DataFrame(tests, columns=[*IDENTITY, *TEST, "mmd2", "p_holm"]),
        pd.DataFrame(consistency, columns=[*IDENTITY, "value", "low", "corrected", "high"]),
    )


def features_table(features: Features, models: Models) -> pd.DataFrame:
    """Return one row per model, class and pair of groups, and one per model for the consistency.

    Columns: needs_group, whether the method needs the group of each image at prediction time; measure, "mmd2" or
    "consistency"; class, group and other_group, empty for the consistency; mean; sd (ddof = 1) over seeds, missing
    where there is one; n, the number of seeds; trainings; low and high, the ends of the interval of the consistency,
    see `fairdistill.reporting.criteria.criteria_table`; of the tests rejected, the number of trainings whose p-value is
    at most 0.05 once it is corrected for all tests of the training (Holm), and the least and largest such p-value;
    seeds, and the value of each in values, the mean over its folds. The trainings are tested on the same images, so
    that their p-values are not independent; the largest is one of the hypothesis that at least one training does not
    tell the groups apart (Berger, Technometrics 24, 1982), so that all do where it is small.

    `models` are those that were probed. One that is the same for every seed is one training, as in summary.csv.
    """
    trainings = models.trainings
    needs_group = {names[:-1]: names[-1] for names in keys(models.runs, [*OVER_SEEDS, "needs_group"])}
    of_tests = dict(list(features.tests.groupby(OVER_SEEDS, sort=False)))
    rows = []
    for names, consistency in features.consistency.groupby(OVER_SEEDS, sort=False):
        model = dict(zip(OVER_SEEDS, names, strict=True)) | {"needs_group": needs_group[names]}
        if names in of_tests:
            for test, found in of_tests[names].groupby(TEST, sort=False):
                rows.append(
                    model | {"measure": "mmd2"} | dict(zip(TEST, test, strict=True)) | _of_trainings(found, trainings)
                )
        rows.append(
            model | {"measure": "consistency"} | dict.fromkeys(TEST, "") | over_trainings(consistency, trainings)
        )
    return pd.DataFrame(rows, columns=COLUMNS).astype({"rejected": "Int64"})


def _of_trainings(tests: pd.DataFrame, trainings: TrainingsOfModels) -> dict:
    """One test of the trainings of a model."""
    apart = trainings.apart(tests)
    values = apart.groupby("seed")["mmd2"].mean().round(12)
    row = {
        "mean": values.mean(),
        "trainings": len(apart),
        "rejected": int((apart["p_holm"] <= 1 - CONFIDENCE_LEVEL).sum()),
        "p_holm_least": apart["p_holm"].min(),
        "p_holm_largest": apart["p_holm"].max(),
    }
    return for_all_seeds(row | over_seeds(values, values.index), tests)
