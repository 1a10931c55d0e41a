"""The features of some images in a plane, to be looked at: whether groups stand apart within a class.

The plane is that of the first two principal components of a class's features (scikit-learn's PCA), so that what is seen
is where these features vary most, whatever that is due to. Two groups that mix there may be apart in other directions:
the two-sample tests of `fairdistill.evaluation.two_sample` look at all of them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from fairdistill.evaluation.records import PROJECTED

# images of each (class, group) cell that are drawn
LIMIT = 50


def project(
    *, features: np.ndarray, label: np.ndarray, group: np.ndarray, classes: Sequence[str], groups: Sequence[str]
) -> pd.DataFrame:
    """Return where each image is in the plane of its class, one row per image, in their order.

    Columns: class, group (names); x, y, in units of the class's standard deviation along the first component; share,
    how much of the variance of the class's features the plane holds. Classes of fewer than two images are left out.

    Parameters
    ----------
    features : float array, shape (n, D)
    label, group : int arrays, shape (n,)
    classes, groups : names in the order of their codes
    """
    table = pd.DataFrame({"class": np.array(classes)[label], "group": np.array(groups)[group]})
    table[["x", "y", "share"]] = np.nan
    for y in np.unique(label):
        rows = np.flatnonzero(label == y)
        if len(rows) < 2 or not np.ptp(features[rows], axis=0).any():
            continue
        components = min(2, features.shape[1])
        pca = PCA(components, svd_solver="full").fit(features[rows])
        plane = np.zeros((len(rows), 2))
        plane[:, :components] = pca.transform(features[rows]) / np.sqrt(pca.explained_variance_[0])
        table.loc[rows, ["x", "y"]] = plane
        table.loc[rows, "share"] = pca.explained_variance_ratio_.sum()
    return table.dropna().reset_index(drop=True)[PROJECTED]
