"""What is far off in a crowd, for figures and the page."""

import pandas as pd

# Tukey's outer fences are so many times the distance between the quartiles away from these.
FENCE = 3


def within_fences(values: pd.Series, crowd: pd.Series | None = None) -> pd.Series:
    """Return which values lie within Tukey's outer fences of a crowd, by default of the values themselves."""
    lower, upper = (values if crowd is None else crowd).quantile([0.25, 0.75])
    beyond = FENCE * (upper - lower)
    return values.between(lower - beyond, upper + beyond)


def far_off(models: pd.DataFrame, deo: str) -> pd.Series:
    """Return which models a chart of accuracy against DEO leaves out, so that the others are not all in a corner.

    They lie beyond the fences, and are better than the median in nothing: one that is fairer or more accurate is what a
    reader looks for, at whatever price in the other, unless it is at chance, where its DEO says nothing.

    Parameters
    ----------
    models
        Those of one chart, with accuracy, at_chance and the DEO.
    deo
        The name of its column.
    """
    near = within_fences(models["accuracy"]) & within_fences(models[deo])
    better = (models["accuracy"] > models["accuracy"].median()) | (models[deo] < models[deo].median())
    return ~(near | better & ~models["at_chance"])
