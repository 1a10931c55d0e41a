"""Digits-S: scikit-learn's 1,797 handwritten digits with a colour bias. The groups are the tints orange and blue.

It follows the construction of CIFAR-10S and needs no download. In training, most images of the digits 0 to 4 are orange
and most images of 5 to 9 are blue. In the test split every image comes once in each tint; both have the same image_id.
Low contrast and noise make the shapes hard to recognise, so that a classifier gains by using the tint.
"""

import hashlib
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fairdistill.data.preparing import Prepared
from fairdistill.data.skew import draw_fraction, in_both_groups, skewed_groups
from fairdistill.settings.data import DigitsS

GROUPS = ["orange", "blue"]
TINTS = np.array([[1.0, 0.6, 0.2], [0.2, 0.6, 1.0]])  # RGB of each group; one reversed is the other
ORANGE_DIGITS = range(5)


def prepare(settings: DigitsS) -> Prepared:
    """Make Digits-S; the digits come with scikit-learn.

    Parameters
    ----------
    settings
        In training, the fraction `skew` of each class has the tint that most images of the class have. The 8 px digits
        are enlarged to `image_size` by Pillow's bicubic filter. `noise` is the standard deviation of the noise on each
        pixel and channel, on the scale on which full ink has the brightness `contrast`. Both copies of a test image
        have the same noise, so they differ only in tint. `split_seed` decides which digits are tested,
        `colour_seed` the tints and the noise.
    """
    from sklearn.datasets import load_digits  # slow to import, and only this kind of data set needs it

    digits = load_digits()
    label = digits.target
    tested = np.where(draw_fraction(label, settings.test_fraction, settings.split_seed), 0, -1)
    samples = in_both_groups(
        label,
        np.arange(len(label)),
        tested=tested if settings.folds == 1 else None,
        trained_group=partial(
            skewed_groups, first=ORANGE_DIGITS, skew=settings.skew, seed=settings.colours_drawn_by + 1
        ),
        settings=settings,
        drop=False,
    )
    row, group = samples["image"].to_numpy(), samples["group"].to_numpy()
    return Prepared(
        samples=samples.drop(columns="image").assign(image_id=[f"{i:04d}" for i in row]),
        images=_paint(digits.images / 16, row, group, settings),
        image_size=settings.image_size,
        classes=[str(c) for c in digits.target_names],
        groups=GROUPS,
        source={"sklearn.datasets.load_digits": hashlib.sha256(digits.data.tobytes()).hexdigest()},
    )


def _paint(ink: NDArray, row: NDArray, group: NDArray, settings: DigitsS) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of the digits `row` in the tints `group`, each (size, size, 3).

    `ink` (1797, 8, 8) holds all digits, from 0 (none) to 1 (full).
    """
    size = (settings.image_size, settings.image_size)
    for i, g in zip(row, group, strict=True):
        large = Image.fromarray(ink[i].astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
        light = settings.contrast * np.asarray(large)[..., None] * TINTS[g]
        light += settings.noise * np.random.default_rng([settings.colours_drawn_by, i]).standard_normal(light.shape)
        yield (255 * light.clip(0, 1)).round().astype(np.uint8)
