"""How two numbers from different runs are compared: what noise allows for, and the names of the verdicts."""

import numpy as np

from fairdistill.evaluation.seeds import t_quantile

REPRODUCED, NOISE, NOT_REPRODUCED = "reproduced", "within noise", "not reproduced"


def noise(test: float, sd: float, n: float, *, other_test: float | None = None, other_sd=np.nan, other_n: float = 1):
    """Return how far apart the means of two sets of runs may lie by chance, with 95 % probability.

    The noise of the test set and that of the seeds are joined in quadrature. Test sets count as independent; seeds as
    those of a two-sample t-test with a common sd.

    Parameters
    ----------
    test, sd, n : float
        Of one mean: half the 95 % test-set interval, the sd over seeds (missing where n = 1), the number of seeds.
    other_test, other_sd, other_n
        The same of the other; where left out, a single run on another test set of this size.
    """
    other_test = test if other_test is None else other_test
    freedom = n + other_n - 2
    squares = sum((m - 1) * s**2 for m, s in [(n, sd), (other_n, other_sd)] if m > 1)
    seeds = t_quantile(int(freedom) + 1) * np.sqrt(squares / freedom * (1 / n + 1 / other_n)) if freedom > 0 else 0.0
    return float(np.hypot(np.hypot(test, other_test), seeds))
