"""What a study shows, in sentences: the students of one method beside their teachers."""

from collections.abc import Mapping

import pandas as pd

from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.columns import PLACE
from fairdistill.reporting.labels import listed, printed
from fairdistill.reporting.notes import SAYS_NOTHING
from fairdistill.reporting.printing import numbers
from fairdistill.settings.methods import TEACHER

# The metrics' names within a sentence.
NOUNS = {"deo_a": "DEO_A", "deo_m": "DEO_M", "accuracy": "accuracy"}
AT_LEAST_ONE_NOTE = f" At least one of the two is {AT_CHANCE}, so DEO {SAYS_NOTHING}."


def claim(paired: pd.DataFrame, method: str) -> str:
    """Return in a sentence or two what the students of a method are beside the models that they are paired with.

    A base is the model that a student stands on; of a method that stands on none it is the teacher. What is said is
    where the 95 % intervals lie. No method is called fairer, a word of the ranking, whose p-values are corrected for
    how many they are, as these intervals are not. DEO is not judged where a model is at chance.

    Parameters
    ----------
    paired
        See `fairdistill.reporting.pairs.pair_with_bases`.
    method
        A student of the table.
    """
    rows = paired[paired["method"] == method]
    if rows.empty:
        return ""
    # what stands on single trainings says nothing of others
    alone = " Some models were trained only once; other trainings may differ." if (rows["trainings"] == 1).any() else ""
    bases = "teachers" if (rows["base_method"] == TEACHER).all() else "bases"
    places = len(rows.drop_duplicates(PLACE))
    over = f", in {places} combinations of data set and architecture" if places > 1 else ""
    deo, accuracy = (_lie(rows[rows["metric"] == metric]) for metric in ("deo_a", "accuracy"))
    return (
        f"`{method}` students minus their {bases}{over}: the 95 % interval of the difference in DEO_A (lower is "
        f"fairer) {deo}; that of the difference in accuracy {accuracy}.{alone}"
    )


def evidence(paired: pd.DataFrame, method: str) -> list[str]:
    """Return the numbers behind `claim`, a sentence for each data set and architecture."""
    sentences = []
    rows = paired[paired["method"] == method]
    for (dataset, architecture), found in rows.groupby(PLACE, sort=False):
        of_metric = found.set_index("metric").to_dict("index")
        parts = [f"{name} {_change(of_metric[metric])}" for metric, name in NOUNS.items()]
        seeds = int(found["n"].iloc[0])
        count = "one seed" if seeds == 1 else f"{seeds} seeds"
        trainings = int(found["trainings"].iloc[0])
        count += f", {trainings} trainings" if trainings > seeds else ""
        at_chance = AT_LEAST_ONE_NOTE if found["at_chance"].any() else ""
        sentences.append(
            f"{printed(str(dataset))}, {printed(str(architecture))} ({count}): {listed(parts)}.{at_chance}"
        )
    return sentences


def _lie(rows: pd.DataFrame) -> str:
    """Where the intervals of a metric lie: how many on each side of zero, and how many that hold it."""
    judged = rows[~(rows["at_chance"] & (rows["metric"] != "accuracy"))]
    found = {
        "lies below zero": int((judged["high"] < 0).sum()),
        "lies above zero": int((judged["low"] > 0).sum()),
        "includes zero": int(((judged["low"] <= 0) & (judged["high"] >= 0)).sum()),
        f"is not judged (a model is {AT_CHANCE})": len(rows) - len(judged),
    }
    of_all = len(rows)
    return listed([f"{where} in {n} of {of_all}" if of_all > 1 else where for where, n in found.items() if n])


def _change(row: Mapping) -> str:
    base, student = numbers([row["base"], row["student"]], "{:.3f}")
    gap, low, high = numbers([row["difference"], row["low"], row["high"]], "{:+.3f}")
    return f"from {base} to {student} ({gap}, 95 % {low} to {high})"
