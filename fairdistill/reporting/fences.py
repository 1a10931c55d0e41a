"""What is far off in a crowd, for figures and the page."""

import pandas as pd

# Tukey's outer fences are so many times the distance between the quartiles away from these.
FENCE = 3


def within_fences(values: pd.Series, crowd: pd.Series | None = None) -> pd.Series:
    """Return which values lie within Tukey's outer fences of a crowd, by default of the values themselves."""
    lower, upper = (values if crowd is None else crowd).quantile([0.25, 0.75])
    beyond = FENCE * (upper - lower)
    return values.between(lower - beyond, upper + beyond)
