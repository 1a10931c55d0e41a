"""Digits-S: scikit-learn's 1,797 handwritten digits, tinted, with the tint as the group.

The idea of CIFAR-10S on data that every machine has: in training the digits 0-4 are mostly orange and 5-9
mostly blue; in the test every image comes once in each tint, linked by its image_id. Low contrast and sensor
noise make the digits hard to read, and so the tint tempting.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from fairdistill.data.preparing import Prepared
from fairdistill.data.settings import check_integer, check_number, check_skew
from fairdistill.data.skew import draw_fraction, skewed_groups

ARCHIVE = None
GROUPS = ["orange", "blue"]
TINTS = np.array([[1.0, 0.6, 0.2], [0.2, 0.6, 1.0]])
ORANGE_DIGITS = range(5)


def prepare(
    archive: None = None,
    *,
    skew: float = 0.9,
    image_size: int = 32,
    test_fraction: float = 0.4,
    contrast: float = 0.5,
    noise: float = 0.2,
    split_seed: int = 0,
) -> Prepared:
    """Digits-S.

    Parameters
    ----------
    archive
        None: the digits come with scikit-learn.
    skew
        In (0, 1]: the fraction of each class that has its usual tint in training.
    image_size
        Height and width to which the 8 px digits are enlarged (Pillow's bicubic filter).
    test_fraction
        In (0, 1): the part of each class that is test.
    contrast
        In (0, 1]: the brightness of the ink, of 1, on black.
    noise
        In [0, 1]: the standard deviation of the noise on each pixel and channel, on the scale of `contrast`.
        The two copies of a test image have the same noise, so they differ in tint alone.
    split_seed
        Decides the split, the tints and the noise.

    Raises
    ------
    UserError
        A setting is wrong.
    """
    check_skew(skew)
    check_integer("image_size", image_size, 8)
    check_number("test_fraction", test_fraction, lambda fraction: 0 < fraction < 1, "between 0 and 1")
    check_number("contrast", contrast, lambda contrast: 0 < contrast <= 1, "above 0 and at most 1")
    check_number("noise", noise, lambda noise: 0 <= noise <= 1, "of 0 to 1")
    check_integer("split_seed", split_seed, 0)

    from sklearn.datasets import load_digits  # slow to import, and needed for this kind alone

    digits = load_digits()
    label = digits.target
    is_test = draw_fraction(label, test_fraction, split_seed)
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    row = np.concatenate([train, test, test])
    tints = skewed_groups(label[train], ORANGE_DIGITS, skew, split_seed + 1)
    group = np.concatenate([tints, np.repeat([0, 1], len(test))])
    return Prepared(
        samples=pd.DataFrame(
            {
                "image_id": [f"{i:04d}" for i in row],
                "split": np.where(is_test[row], "test", "train"),
                "label": label[row],
                "group": group,
            }
        ),
        images=_paint(digits.images / 16, row, group, image_size, contrast, noise, split_seed),
        image_size=image_size,
        classes=[str(c) for c in digits.target_names],
        groups=GROUPS,
        source={"sklearn.datasets.load_digits": hashlib.sha256(digits.data.tobytes()).hexdigest()},
    )


def _paint(
    ink: NDArray, row: NDArray, group: NDArray, size: int, contrast: float, noise: float, seed: int
) -> Iterator[NDArray[np.uint8]]:
    """The digits `row` of `ink` (1797, 8, 8), 0..1, enlarged, tinted and noisy: each (size, size, 3)."""
    for i, g in zip(row, group, strict=True):
        large = Image.fromarray(ink[i].astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
        light = contrast * np.asarray(large)[..., None] * TINTS[g]
        light += noise * np.random.default_rng([seed, i]).standard_normal(light.shape)
        yield (255 * light.clip(0, 1)).round().astype(np.uint8)
