"""What a study shows, in sentences: the students of one method beside their teachers."""

from collections.abc import Mapping

import pandas as pd

from fairdistill.reporting.labels import listed, printed
from fairdistill.reporting.tables import numbers
from fairdistill.settings.methods import TEACHER

# as nouns within a sentence
NAMES = {"deo_a": "DEO_A", "deo_m": "DEO_M", "accuracy": "accuracy"}
# a difference below zero is called so, one above, and one whose interval has zero in it
WORDS = {"deo_a": ("fairer", "less fair", "undecided"), "accuracy": ("worse", "better", "undecided")}


def claim(paired: pd.DataFrame, method: str) -> str:
    """Return in a sentence or two what the students of a method are beside the models that they are paired with.

    A base is the model that a student stands on; of a method that stands on none it is the teacher. A word other than
    "undecided" needs a 95 % interval on one side of zero; intervals are not corrected for how many
    they are. DEO is not judged where a model is at chance.

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
    judged = {metric: _judged(rows[rows["metric"] == metric], *words) for metric, words in WORDS.items()}
    # what stands on single trainings says nothing of others
    alone = " These are single trainings; others may differ." if (rows["trainings"] == 1).any() else ""
    bases = "teachers" if (rows["base_method"] == TEACHER).all() else "bases"
    places = len(rows.drop_duplicates(["dataset", "architecture"]))
    if places == 1:
        found = listed([f"{next(iter(words))} by {NAMES[metric]}" for metric, words in judged.items()])
        return f"Compared with their {bases}, `{method}` students are {found}.{alone}"
    found = "; ".join(
        f"by {NAMES[metric]} they are {listed([f'{word} in {n}' for word, n in words.items()])}"
        for metric, words in judged.items()
    )
    return (
        f"Compared with their {bases}, in {places} combinations of data set and architecture, "
        f"`{method}` students do as follows: {found}.{alone}"
    )


def evidence(paired: pd.DataFrame, method: str) -> list[str]:
    """Return the numbers behind `claim`, a sentence for each data set and architecture."""
    sentences = []
    rows = paired[paired["method"] == method]
    for (dataset, architecture), found in rows.groupby(["dataset", "architecture"], sort=False):
        of_metric = found.set_index("metric").to_dict("index")
        parts = [f"{name} {_change(of_metric[metric])}" for metric, name in NAMES.items()]
        seeds = int(found["n"].iloc[0])
        count = "one seed" if seeds == 1 else f"{seeds} seeds"
        trainings = int(found["trainings"].iloc[0])
        count += f", {trainings} trainings" if trainings > seeds else ""
        at_chance = " A model is at chance, so that DEO says nothing." if found["at_chance"].any() else ""
        sentences.append(
            f"{printed(str(dataset))}, {printed(str(architecture))} ({count}): {listed(parts)}.{at_chance}"
        )
    return sentences


def _judged(rows: pd.DataFrame, below: str, above: str, neither: str) -> dict[str, int]:
    """How many rows are on each side of zero, by the word for it; those that are none are left out."""
    judged = rows[~(rows["at_chance"] & (rows["metric"] != "accuracy"))]
    found = {
        below: int((judged["high"] < 0).sum()),
        above: int((judged["low"] > 0).sum()),
        neither: int(((judged["low"] <= 0) & (judged["high"] >= 0)).sum()),
        "not judged, as a model is at chance,": len(rows) - len(judged),
    }
    return {word: n for word, n in found.items() if n}


def _change(row: Mapping) -> str:
    base, student = numbers([row["base"], row["student"]], "{:.3f}")
    gap, low, high = numbers([row["difference"], row["low"], row["high"]], "{:+.3f}")
    return f"from {base} to {student} ({gap}, 95 % {low} to {high})"
