"""Consistency: whether images that lie close to each other are predicted alike, a measure of individual fairness.

Dwork et al., "Fairness through awareness", ITCS 2012, ask that similar individuals be treated similarly. Zemel et al.,
"Learning Fair Representations", ICML 2013, measure it for two classes by

    yNN = 1 - mean over i of |p_i - mean of p_j over the k nearest neighbours j of i|,

p the predicted label, 0 or 1: the mean share of the k neighbours whose predicted label is that of the image. This share
is what is computed here, for any number of classes. As in `consistency_score` of AIF360, of which it is the value for
two classes, k is 5, distances are Euclidean, and an image is among its own neighbours.

The features are the model's own, so that near is what each model takes for it. A model can be consistent in a space
that has collapsed, with a point for each predicted class, and one that gives one answer to all images is perfectly so.
Hence the value does not rank methods, even where the test images are the same, without which no two values compare.
"""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from fairdistill.evaluation.uncertainty import wilson_interval
from fairdistill.runtime.errors import UserError

NEIGHBOURS = 5


def consistency(
    features: np.ndarray, prediction: np.ndarray, image: np.ndarray, *, neighbours: int = NEIGHBOURS
) -> dict[str, float]:
    """Return the consistency of some images as `value`, its `standard_error`, and the ends of its 95 % interval.

    The interval is over test sets of as many images, drawn as these were: with more images neighbours are nearer, so
    that the value depends on their number. The model is treated as fixed. An image counts in two ways, as one whose
    neighbours are asked and as a neighbour of others, and the variance is the delete-one jackknife's, which searches
    the neighbours anew without the image and all of its copies. It is too large rather than too small on average (Efron
    and Stein, Annals of Statistics 9, 1981): in simulations the standard error is 1.1 to 1.6 times the true one, the
    variance up to 2.5 times, and intervals cover 0.95 to 1.00. A bootstrap would draw images twice, which then are
    neighbours of themselves (Abadie and Imbens, Econometrica 76, 2008, show how it fails for matching). The interval is
    Wilson's, of as many independent images as would give this variance.

    Parameters
    ----------
    features
        (n, D).
    prediction
        (n,) int.
    image
        (n,) int, the same for copies of one image.
    neighbours
        k.

    Raises
    ------
    UserError
        There are fewer than k images beside the copies of one.
    """
    codes, image = np.unique(image, return_inverse=True)
    size = np.bincount(image)
    copies = int(size.max())
    if len(features) < neighbours + copies:
        raise UserError(f"{len(features)} test images are too few for {neighbours} neighbours of each; prepare more")
    # as many more as an image has copies, which take the places of those that are left out
    search = NearestNeighbors(n_neighbors=neighbours + copies, algorithm="brute").fit(features)
    nearest = search.kneighbors(features, return_distance=False)
    same = (prediction[nearest] == prediction[:, None]).astype(float)
    share = same[:, :neighbours].mean(axis=1)

    # by image: what all shares lose together where it and its copies are left out
    lost = np.bincount(image, weights=share)
    owner = image[nearest]
    for place in range(neighbours):
        left_out = owner[:, place]
        kept = owner != left_out[:, None]
        used = kept & (kept.cumsum(axis=1) <= neighbours)
        without = (same * used).sum(axis=1) / neighbours
        # those of the image itself are gone as a whole, and a neighbour with two copies is left out once
        counts = (left_out != image) & ~(owner[:, :place] == left_out[:, None]).any(axis=1)
        lost += np.bincount(left_out[counts], weights=(share - without)[counts], minlength=len(codes))
    jackknife = (share.sum() - lost) / (len(features) - size)
    variance = (len(codes) - 1) / len(codes) * float(np.square(jackknife - jackknife.mean()).sum())
    value = float(share.mean())
    spread = value * (1 - value)
    # where all images agree there is no variance to go by
    low, high = wilson_interval(value, spread / variance if min(spread, variance) > 0 else len(codes))
    return {"value": value, "standard_error": float(np.sqrt(variance)), "low": low, "high": high}
