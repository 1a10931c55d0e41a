"""CIFAR-10S: CIFAR-10 with gray against colour as the group.

In training some classes are mostly gray and the others mostly in colour; in the test every image comes once
gray and once in colour, linked by its image_id. Two data sets go by this name:

- `MFD`: classes 0-4 gray, skew 0.8. The default of the code of Jung et al., "Fair Feature Distillation for
  Visual Recognition", CVPR 2021.
- `WANG`: classes 0, 2, 4, 6 and 8 gray, skew 0.95. Wang et al., "Towards Fairness in Visual Recognition",
  CVPR 2020, where the construction comes from.
"""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairdistill.data.archives import ArchiveError, read_members
from fairdistill.data.preparing import Prepared
from fairdistill.data.settings import check_integer, check_setting, check_skew
from fairdistill.data.skew import skewed_groups

MFD = {"skew": 0.8, "gray_classes": [0, 1, 2, 3, 4]}
WANG = {"skew": 0.95, "gray_classes": [0, 2, 4, 6, 8]}

ARCHIVE = "cifar-10-python.tar.gz"
URLS = ["https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"]
# Taken from files with the md5 that torchvision lists for each (torchvision.datasets.CIFAR10).
SHA256 = {
    "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
    "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
    "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
    "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
    "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
    "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
}
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
GROUPS = ["gray", "color"]
GRAY, COLOR = 0, 1


def verified_members(archive: Path) -> dict[str, bytes]:
    """The six batches, still pickled, once each has its checksum.

    Raises
    ------
    ArchiveError
        The archive is damaged or hostile, or a batch is missing or altered.
    """
    members = read_members(archive, SHA256.__contains__)
    for name, digest in SHA256.items():
        if name not in members:
            raise ArchiveError(archive, f"{name} is missing")
        if hashlib.sha256(members[name]).hexdigest() != digest:
            raise ArchiveError(archive, f"{name} has a wrong checksum")
    return members


def prepare(
    archive: Path,
    *,
    skew: float = MFD["skew"],
    gray_classes: Sequence[int] = MFD["gray_classes"],
    split_seed: int = 0,
) -> Prepared:
    """CIFAR-10S, 50,000 training and 2 x 10,000 test images of 32 px.

    Parameters
    ----------
    archive
        cifar-10-python.tar.gz.
    skew
        In (0, 1]: the fraction of each gray class that is gray in training, and of each other class in
        colour.
    gray_classes
        The classes, of 0 to 9, that are mostly gray in training.
    split_seed
        Decides which training images turn gray.

    Raises
    ------
    UserError
        A setting is wrong, or the archive is not the published one.
    """
    check_skew(skew)
    known = isinstance(gray_classes, Sequence) and all(c in range(len(CLASSES)) for c in gray_classes)
    check_setting("gray_classes", gray_classes, known, "a list of classes, each a number of 0 to 9")
    check_integer("split_seed", split_seed, 0)

    members = verified_members(archive)
    batches = [_read_batch(name, members[name]) for name in SHA256]
    rgb, label, image_id = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    is_test = np.char.startswith(image_id, "test_batch")
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    row = np.concatenate([train, test, test])
    group = np.concatenate(
        [
            skewed_groups(label[train], gray_classes, skew, split_seed),
            np.full(len(test), GRAY),
            np.full(len(test), COLOR),
        ]
    )
    return Prepared(
        samples=pd.DataFrame(
            {
                "image_id": image_id[row],
                "split": np.where(is_test[row], "test", "train"),
                "label": label[row],
                "group": group,
            }
        ),
        images=(to_gray(rgb[i]) if g == GRAY else rgb[i] for i, g in zip(row, group, strict=True)),
        image_size=rgb.shape[1],
        classes=CLASSES,
        groups=GROUPS,
        source=SHA256,
    )


def _read_batch(name: str, content: bytes) -> tuple[NDArray, NDArray, NDArray]:
    """RGB images (n, 32, 32, 3), labels (n,) and image ids (n,) of a batch whose checksum is right."""
    batch = pickle.loads(content, encoding="latin1")
    images = batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.array(batch["labels"]), np.array([f"{name}/{i:04d}" for i in range(len(images))])


def to_gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn RGB (..., 3) into its luminance in three equal channels.

    Luma of ITU-R BT.601 in 16-bit fixed point: exactly Pillow's `convert("L")`.
    """
    red, green, blue = np.moveaxis(image.astype(np.uint32), -1, 0)
    luma = (19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16
    return np.repeat(luma.astype(np.uint8)[..., None], 3, axis=-1)
