"""The kernel two-sample test: whether two samples of features come from one distribution.

Gretton, Borgwardt, Rasch, Schoelkopf, Smola, "A Kernel Two-Sample Test", JMLR 13, 2012. The statistic is an unbiased
estimate of the squared maximum mean discrepancy with the kernel k(x, y) = exp(-||x - y||^2 / (2 s^2)), s the median
distance between the points of both samples (their section 8), those that coincide left out. With m points x and n
points y it is their equation 3,

    sum over i != j of k(x_i, x_j) / (m (m - 1)) + sum over i != j of k(y_i, y_j) / (n (n - 1)) - 2 mean k(x_i, y_j).

Where x_i and y_i are features of copies of one image, they are not independent, and k(x_i, y_i) makes this estimate
too small. Then it is their equation 4, which asks only that the pairs be independent, and leaves these terms out:

    sum over i != j of (k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i)) / (m (m - 1)).

The p-value is (1 + b) / (1 + B), b of B random permutations having at least the observed statistic (Phipson and Smyth,
Statistical Applications in Genetics and Molecular Biology 9, 2010). Independent samples are permuted as a whole. Copies
of an image change places within their pair, so that each permuted sample has every image once; what all permutations
share, such as the bandwidth, does not depend on them. The level is exact where the points, or the two of each pair, are
exchangeable. For pairs it also holds in large samples where only their two distributions are the same: the statistic is
a mean of <d_i, d_j> over i != j, d_i the difference of the two in feature space of the kernel, and a swap is a random
sign of d_i, a wild bootstrap of a degenerate U-statistic (Dehling and Mikosch, Journal of Multivariate Analysis 51,
1994).
"""

import numpy as np
from scipy.spatial.distance import pdist, squareform

PERMUTATIONS = 999
# two statistics that are equal may differ by this after summation
ROUNDING = 1e-12


def two_sample_test(
    first: np.ndarray,
    second: np.ndarray,
    *,
    paired: bool,
    permutations: int = PERMUTATIONS,
    rng: np.random.RandomState,
) -> dict[str, float]:
    """Return the statistic `mmd2`, the `bandwidth` s and the p-value `p`.

    Parameters
    ----------
    first, second
        (m, D) and (n, D), each of at least two points.
    paired
        Whether the i-th points of both are features of copies of one image; then m = n.
    permutations
        B.
    rng
        Of the kind whose draws are the same in every version of numpy.
    """
    m, n = len(first), len(second)
    distance = pdist(np.concatenate([first, second]).astype(float))
    apart = distance[distance > 0]
    # points that are all equal have no distance, and any bandwidth tells the same of them
    bandwidth = float(np.median(apart)) if len(apart) else 1.0
    # with zeros on the diagonal, which both estimates leave out
    kernel = squareform(np.exp(-np.square(distance / bandwidth) / 2))
    if paired:
        crossed = kernel[:m, m:]
        products = kernel[:m, :m] + kernel[m:, m:] - crossed - crossed.T
        np.fill_diagonal(products, 0)
        signs = np.ones((1 + permutations, m))
        signs[1:] = rng.choice([-1.0, 1.0], size=(permutations, m))
        found = (signs @ products * signs).sum(axis=1) / (m * (m - 1))
    else:
        in_first = np.zeros((1 + permutations, m + n))
        in_first[0, :m] = 1
        # the places of random numbers in their order are a random permutation
        in_first[1:] = rng.random((permutations, m + n)).argsort(axis=1) < m
        within = (in_first @ kernel * in_first).sum(axis=1)
        between = in_first @ kernel.sum(axis=1) - within
        others = kernel.sum() - within - 2 * between
        found = within / (m * (m - 1)) + others / (n * (n - 1)) - 2 * between / (m * n)
    reached = int((found[1:] >= found[0] - ROUNDING).sum())
    return {"mmd2": float(found[0]), "bandwidth": bandwidth, "p": (1 + reached) / (1 + permutations)}
