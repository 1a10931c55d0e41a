"""What repeated trainings show: tests of a paired difference.

The sign-flip test assumes only that, were there no effect, each seed's difference could as well have had the other
sign. Exact, it cannot fall below 2 / 2^n: 0.0625 with five seeds, 0.031 with six.
"""

import numpy as np
from numpy.typing import ArrayLike

# up to so many differences, all sign patterns are tried
EXACT = 16


def sign_flip_p(differences: ArrayLike) -> float:
    """Return the two-sided p-value of the sign-flip permutation test of zero mean; missing (nan) where n = 1.

    Exact up to `EXACT` differences, of 9,999 random sign patterns beyond. Fisher, The Design of Experiments, 1935,
    section 21.

    Examples
    --------
    >>> sign_flip_p([0.1, 0.2, 0.3, 0.4, 0.5])
    0.0625
    """
    differences = np.asarray(differences, dtype=float)
    if len(differences) < 2:
        return np.nan
    # takes half a second, which most that import this module do not need
    from scipy import stats

    patterns = 2 ** len(differences) if len(differences) <= EXACT else 9999
    test = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=patterns,
        batch=1024,
        rng=0,
    )
    return float(test.pvalue)


def holm(p: ArrayLike) -> np.ndarray:
    """Return p-values corrected for testing all of them: Holm's step-down method; missing ones do not count.

    Holm, Scandinavian Journal of Statistics 6, 1979: reject those below 0.05, and the chance of even one false
    rejection is at most 5 %.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, float("nan")]).tolist()
    [0.03, 0.06, 0.06, nan]
    """
    p = np.asarray(p, dtype=float)
    corrected = np.full_like(p, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return corrected
