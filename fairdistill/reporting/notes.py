"""The marks behind numbers and names in tables and figures, and the notes that say what they and the numbers mean."""

from collections.abc import Iterable

import pandas as pd

from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.columns import DEO

NOTE = (
    "DEO_A is the mean and DEO_M the maximum over classes of the largest gap between two groups in "
    "Pr(prediction = y | A = a, Y = y); lower is fairer."
)
INTERVAL_NOTE = (
    "Intervals are at 95 %, and account for the variation over trainings and over test images (over test images only "
    "if there is one training)."
)
# What the interval of a DEO is about, and that of a difference in DEO.
CORRECTED_NOTE = "The interval of a DEO is about its value corrected for noise, not about the observed value printed."
CORRECTED_DIFFERENCE_NOTE = (
    "The interval of a difference in DEO is about its value corrected for noise, not about the observed one printed."
)
# stand behind numbers and names in tables, and names in figures
CHANCE_MARK, ALONE_MARK, GROUP_MARK = "†", "‡", "§"
# When a model is at chance, and what its DEO is worth.
CHANCE_CLAUSE = "no more accurate than always predicting the largest class"
SAYS_NOTHING = "says nothing about fairness"
# What the mark of a number at chance means, and what the verdict of a DEO at chance means.
AT_CHANCE_NOTE = f"{CHANCE_MARK} {AT_CHANCE}: a model behind this number is {CHANCE_CLAUSE}, so its DEO {SAYS_NOTHING}."
CHANCE_VERDICT_NOTE = f"The verdict on a DEO is `{AT_CHANCE}` if a model is {CHANCE_CLAUSE}: its DEO {SAYS_NOTHING}."
GROUP_NOTE = f"{GROUP_MARK} needs the group of each image at prediction time."
FOLDS_NOTE = (
    "With folds, a seed is one training per fold, and its value is that of the predictions of all folds pooled."
)
ALONE_NOTE = (
    f"{ALONE_MARK} one training, or an average that includes a model trained once: for that model only the noise "
    "of the test images is counted, which says nothing about other trainings."
)
# The note in a figure that has no intervals.
ONE_TRAINING_NOTE = f"{ALONE_MARK} one training, not a mean over several."


def marked(texts: Iterable[str], rows: pd.DataFrame) -> list[str]:
    """Mark the texts of those rows of a DEO (column metric) behind which a model is at chance (column at_chance)."""
    marks = rows["at_chance"].astype(bool) & rows["metric"].isin(DEO)
    return _with_mark(texts, marks, CHANCE_MARK)


def needing_group(names: Iterable[str], needs_group: Iterable[bool]) -> list[str]:
    """Mark the names of those methods that need the group of each image at prediction time."""
    return _with_mark(names, needs_group, GROUP_MARK)


def with_group_marks(names: Iterable[str], rows: pd.DataFrame) -> list[str]:
    """Mark the names of those methods that need the group by any of the rows (columns method and needs_group).

    A base of another architecture has that before its name.
    """
    needing = set(rows.loc[rows["needs_group"], "method"])
    names = list(names)
    return needing_group(names, [name.split(" ")[-1] in needing for name in names])


def alone(texts: Iterable[str], trainings: Iterable[int]) -> list[str]:
    """Mark the texts of intervals that are of a single training, and so of the test images alone."""
    return [f"{text} {ALONE_MARK}" if text and n == 1 else text for text, n in zip(texts, trainings, strict=True)]


def marked_names(rows: pd.DataFrame) -> list[str]:
    """Return the names of methods as figures without intervals have them, marked by what their rows say of them."""
    names = alone(with_group_marks(rows["method"], rows), rows["trainings"])
    return _with_mark(names, rows["at_chance"], CHANCE_MARK)


def _with_mark(texts: Iterable[str], marked: Iterable[bool], mark: str) -> list[str]:
    return [f"{text} {mark}" if has_mark else text for text, has_mark in zip(texts, marked, strict=True)]


def notes_on_names(rows: pd.DataFrame) -> list[str]:
    """Return what the marks mean that `marked_names` gives the names of these rows."""
    return _notes_on_marks(rows, ONE_TRAINING_NOTE)


def notes_on(rows: pd.DataFrame) -> list[str]:
    """Return what the marks mean that the rows of a table have, and what a seed is where there are folds."""
    has_folds = bool((rows["trainings"] > rows["n"]).any())
    return _notes_on_marks(rows, ALONE_NOTE) + [FOLDS_NOTE] * has_folds


def _notes_on_marks(rows: pd.DataFrame, one_training: str) -> list[str]:
    conditions = {
        AT_CHANCE_NOTE: rows["at_chance"],
        GROUP_NOTE: rows["needs_group"],
        one_training: rows["trainings"] == 1,
    }
    return [note for note, condition in conditions.items() if condition.any()]
