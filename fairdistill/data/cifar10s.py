"""CIFAR-10S: CIFAR-10 with a colour bias. The groups are gray and colour images.

In training, most images of some classes are gray, and most images of the other classes are in colour. In the test split
every image comes once gray and once in colour; both have the same image_id. The construction is from Wang et al.,
"Towards Fairness in Visual Recognition", CVPR 2020; the default settings are those in the code of Jung et al., "Fair
Feature Distillation for Visual Recognition", CVPR 2021.
"""

import hashlib
import pickle
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairdistill.data.archives import ArchiveError, Published, read_members
from fairdistill.data.near_copies import families
from fairdistill.data.preparing import Prepared
from fairdistill.data.skew import in_both_groups, skewed_groups
from fairdistill.settings.data import Cifar10S

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
# computed from files whose MD5 is the one that torchvision.datasets.CIFAR10 lists
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
GRAY = 0


def verified_members(archive: Path) -> dict[str, bytes]:
    """Return the archive's six batches, by name and still pickled, after checking the checksum of each.

    Parameters
    ----------
    archive
        cifar-10-python.tar.gz as it is published or unpacked to a .tar, another packing of it, or the folder.

    Raises
    ------
    ArchiveError
        The archive is damaged, a member of it is unsafe (see `read_members`), or a batch is missing or altered.
    """
    members = read_members(archive, SHA256.__contains__)
    for name, digest in SHA256.items():
        if name not in members:
            raise ArchiveError(archive, f"{name} is missing")
        if hashlib.sha256(members[name]).hexdigest() != digest:
            raise ArchiveError(archive, f"{name} has a wrong checksum")
    return members


ARCHIVES = {
    "cifar-10-python.tar.gz": Published(
        urls=[URL], page=URL, verify=verified_members, folders=["cifar-10-python", "cifar-10-batches-py"]
    )
}


def prepare(settings: Cifar10S, archive: Path) -> Prepared:
    """Make CIFAR-10S: 50,000 training and 2 x 10,000 test images of 32 px, or the 60,000 images in several folds.

    Parameters
    ----------
    settings
        In training, the fraction `skew` of each class in `gray_classes` is gray, and the fraction `skew` of each other
        class is in colour; `colour_seed` decides which images they are. With several folds, `split_seed` decides which
        images each of them tests.
    archive
        Path of cifar-10-python.tar.gz.

    Raises
    ------
    ArchiveError
        The archive is not the published one.
    """
    members = verified_members(archive)
    batches = [_read_batch(name, members[name]) for name in SHA256]
    rgb, label, image_id = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    notes = {}
    family = np.arange(len(label))
    if settings.duplicates == "drop_near":
        family = families(rgb)
        notes["families_of_near_identical_images"] = int((np.bincount(family) > 1).sum())
    in_test_batch = np.char.startswith(image_id, "test_batch")
    samples = in_both_groups(
        label,
        family,
        tested=np.where(in_test_batch, 0, -1) if settings.folds == 1 else None,
        trained_group=partial(
            skewed_groups, first=settings.gray_classes, skew=settings.skew, seed=settings.colours_drawn_by
        ),
        settings=settings,
        drop=settings.duplicates == "drop_near",
    )
    row, group = samples["image"].to_numpy(), samples["group"].to_numpy()
    return Prepared(
        samples=samples.drop(columns="image").assign(image_id=image_id[row]),
        images=(to_gray(rgb[i]) if g == GRAY else rgb[i] for i, g in zip(row, group, strict=True)),
        image_size=rgb.shape[1],
        classes=CLASSES,
        groups=GROUPS,
        source=SHA256,
        notes=notes,
    )


def _read_batch(name: str, content: bytes) -> tuple[NDArray, NDArray, NDArray]:
    """Return RGB images (n, 32, 32, 3), labels (n,) and image ids (n,) of a batch.

    Unpickling can run any code, so the checksum of `content` has to be right already.
    """
    batch = pickle.loads(content, encoding="latin1")
    images = batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.array(batch["labels"]), np.array([f"{name}/{i:04d}" for i in range(len(images))])


def to_gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert RGB (..., 3) to gray with three equal channels: (..., 3).

    Gray is the luma of ITU-R BT.601 in 16-bit fixed-point arithmetic, the same values as Pillow's `convert("L")`.
    """
    red, green, blue = np.moveaxis(image.astype(np.uint32), -1, 0)
    luma = (19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16
    return np.repeat(luma.astype(np.uint8)[..., None], 3, axis=-1)
