"""The sentences that the paper concludes with, each as a contrast of our numbers that can be judged.

The rule, which docs/statistics.md gives with what was known when it was written: a sentence is `reproduced` where the
95 % interval of its contrast lies wholly on the side that it claims, `not reproduced` where it lies wholly on the
other, else `within noise`. The intervals are those of `fairdistill.evaluation.crossed`, and the terms of a contrast
count as independent. A sentence about the DEO of a model at chance is not judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.columns import DEO, PLACE
from fairdistill.reporting.labels import printed
from fairdistill.reporting.notes import ALONE_NOTE, CHANCE_VERDICT_NOTE, alone
from fairdistill.reporting.printing import markdown, numbers, ranges
from fairdistill.reporting.summaries import combine
from fairdistill.reporting.verdicts import NOISE, NOT_REPRODUCED, REPRODUCED
from fairdistill.settings.methods import TEACHER

# accuracy that may be lost and still "holds": the paper's own example is 72 to 71 %
MARGIN = 0.02

BOTH = ("cifar10s", "utkface")


@dataclass(frozen=True)
class Conclusion:
    """A sentence, and the sum of weighted gaps (student minus teacher) that it says is above or below a threshold.

    Attributes
    ----------
    terms : (weight, dataset, architecture), ...
    relative : bool
        Each gap is taken as a share of the teacher's value.
    """

    source: str
    sentence: str
    metric: str
    terms: tuple[tuple[float, str, str], ...]
    above: bool
    threshold: float = 0.0
    relative: bool = False


def _gap(dataset: str, architecture: str) -> tuple[tuple[float, str, str], ...]:
    return ((1.0, dataset, architecture),)


def _mean(architecture: str, weight: float = 1.0) -> tuple[tuple[float, str, str], ...]:
    return tuple((weight / len(BOTH), dataset, architecture) for dataset in BOTH)


CONCLUSIONS = [
    *(
        Conclusion(
            "V-B, V-C", f"the student's DEO is lower than its teacher's: {printed(architecture)}, {printed(dataset)}",
            "deo", _gap(dataset, architecture), above=False,
        )
        for architecture in ("resnet", "shufflenet")
        for dataset in BOTH
    ),
    Conclusion("V-A", "the ResNet student is more accurate than its teacher, on average",
               "accuracy", _mean("resnet"), above=True),
    *(
        Conclusion(
            "V-B", f"the ResNet student maintains its teacher's accuracy: {printed(dataset)}",
            "accuracy", _gap(dataset, "resnet"), above=True, threshold=-MARGIN,
        )
        for dataset in BOTH
    ),
    Conclusion("V-B", "the ResNet student surpasses its teacher's accuracy on CIFAR-10",
               "accuracy", _gap("cifar10s", "resnet"), above=True),
    Conclusion("V-B", "the ResNet student is slightly less accurate than its teacher on UTKFace",
               "accuracy", _gap("utkface", "resnet"), above=False),
    Conclusion("V-A, VI", "ShuffleNet students lose more accuracy than ResNet students, on average",
               "accuracy", _mean("shufflenet") + _mean("resnet", -1), above=False),
    Conclusion("V-C", "the ShuffleNet student's accuracy drops on CIFAR-10",
               "accuracy", _gap("cifar10s", "shufflenet"), above=False),
    Conclusion("V-C", "the ShuffleNet student stays competitive in accuracy on UTKFace",
               "accuracy", _gap("utkface", "shufflenet"), above=True, threshold=-2 * MARGIN),
    Conclusion("V-C", "ShuffleNet pays more accuracy on CIFAR-10 than on UTKFace",
               "accuracy", ((1.0, "cifar10s", "shufflenet"), (-1.0, "utkface", "shufflenet")), above=False),
    Conclusion("V-C", "ShuffleNet's DEO falls by a larger share on CIFAR-10 than on UTKFace",
               "deo", ((1.0, "cifar10s", "shufflenet"), (-1.0, "utkface", "shufflenet")), above=False, relative=True),
    Conclusion("VI", "students maintain their teachers' accuracy, on average over both architectures",
               "accuracy", _mean("resnet", 0.5) + _mean("shufflenet", 0.5), above=True, threshold=-MARGIN),
    Conclusion("VI", "students improve on their teachers' accuracy, on average over both architectures",
               "accuracy", _mean("resnet", 0.5) + _mean("shufflenet", 0.5), above=True),
    # "the best balance, with significant fairness gains and minimal accuracy trade-offs"; that ShuffleNet loses more
    # accuracy is judged above
    Conclusion("VI", "the ResNet student's DEO is lower than its teacher's, on average",
               "deo", _mean("resnet"), above=False),
    Conclusion("VI", "the ResNet student maintains its teacher's accuracy, on average",
               "accuracy", _mean("resnet"), above=True, threshold=-MARGIN),
    Conclusion("VI", "the ShuffleNet student's DEO is lower than its teacher's, on average",
               "deo", _mean("shufflenet"), above=False),
]  # fmt: skip


def judge(paired: pd.DataFrame, *, method: str | None, conclusions: Sequence[Conclusion] = CONCLUSIONS) -> pd.DataFrame:
    """Return the verdict on each sentence, one row per sentence and measure; DEO is judged as DEO_A and as DEO_M.

    Columns: source, sentence, measure, value, low, high (of the contrast), claim, verdict, n (seeds), trainings. A
    sentence about models that the study lacks has no value, no verdict and n = 0.

    Parameters
    ----------
    paired : DataFrame
        See `fairdistill.reporting.pairs.pair_with_bases`.
    method : str or None
        The method whose students are compared with the paper's; those that do not stand on a teacher are left out.
    """
    gaps = paired[(paired["method"] == method) & (paired["base_method"] == TEACHER)]
    by_place = gaps.set_index([*PLACE, "metric"]).to_dict("index")
    rows = []
    for conclusion in conclusions:
        for measure in DEO if conclusion.metric == "deo" else [conclusion.metric]:
            found = [(weight, (*place, measure)) for weight, *place in conclusion.terms]
            row: dict[str, Any] = {"source": conclusion.source, "sentence": conclusion.sentence, "measure": measure}
            row |= {"value": np.nan, "low": np.nan, "high": np.nan}
            row["claim"] = f"{'above' if conclusion.above else 'below'} {conclusion.threshold:g}"
            row |= {"verdict": "", "n": 0, "trainings": 0}
            if all(key in by_place for _, key in found):
                row |= _contrast([(weight, by_place[key]) for weight, key in found], conclusion)
            rows.append(row)
    return pd.DataFrame(rows)


def conclusions_markdown(verdicts: pd.DataFrame) -> str:
    """Return the verdicts as a Markdown table with the rule below it."""
    table = verdicts[["source", "sentence", "verdict"]].assign(measure=verdicts["measure"].map(printed))
    table["value"] = numbers(verdicts["value"], "{:+.3f}")
    table["95 %"] = alone(ranges(verdicts["low"], verdicts["high"]), verdicts["trainings"])
    table["claim"], table["n"] = verdicts["claim"], verdicts["n"]
    rule = (
        "The value is what the sentence is about: student minus teacher, or the difference of two such differences. A "
        f"sentence is `{REPRODUCED}` if the 95 % interval lies entirely on the side that it claims, `{NOT_REPRODUCED}` "
        f"if it lies entirely on the other side, else `{NOISE}`. If n = 0, the study lacks the models."
    )
    if (verdicts["trainings"] == 1).any():
        rule += f" {ALONE_NOTE}"
    if AT_CHANCE in set(verdicts["verdict"]):
        rule += f" {CHANCE_VERDICT_NOTE}"
    return f"{markdown(table)}\n\n{rule}"


def _contrast(terms: Sequence[tuple[float, Mapping]], conclusion: Conclusion) -> dict:
    """Sum the gaps, as independent estimates."""
    at_chance = conclusion.metric == "deo" and any(gap["at_chance"] for _, gap in terms)
    of_terms = [(weight, _share(gap) if conclusion.relative else gap) for weight, gap in terms]
    found = combine(of_terms)
    row = {name: found[name] for name in ("n", "trainings")}
    if np.isnan(found["low"]):
        # there is no share of nothing
        return row | {"verdict": AT_CHANCE if at_chance else ""}
    claimed, other = found["low"] > conclusion.threshold, found["high"] < conclusion.threshold
    if not conclusion.above:
        claimed, other = other, claimed
    verdict = AT_CHANCE if at_chance else REPRODUCED if claimed else NOT_REPRODUCED if other else NOISE
    return row | {"value": found["mean"], "low": found["low"], "high": found["high"], "verdict": verdict}


def _share(gap: Mapping) -> dict:
    """A gap as a share of the teacher's value. No part of its interval is known but the ends."""
    return {**gap, "difference": gap["share"], **{name: gap[f"share_{name}"] for name in ("low", "corrected", "high")}}
