"""UTKFace: faces, with an age range as the class and the ethnicity as the group (Zhang, Song and Qi, CVPR 2017).

A file is named age_gender_race_date. Faces of the race "Others" are left out. The test split has `test_per_cell` images
of each (class, group) cell; all other images are for training.

In the archive 375 images occur under two or more names, often with contradicting labels. After a plain random split
some test images would therefore be in training too. Here an image can be in the test split only if all its copies have
the same class and group, and it is there only once. With `duplicates: drop` the copies of test images are left out of
training; with `duplicates: keep` they stay in training, so that the effect of this leak can be measured on the same
test images.
"""

import hashlib
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from fairdistill.data.archives import ArchiveError, read_members
from fairdistill.data.preparing import Prepared
from fairdistill.runtime.errors import UserError
from fairdistill.settings.data import UTKFace

URLS = [
    "https://huggingface.co/datasets/py97/UTKFace-Cropped/resolve/main/UTKFace.tar.gz",
    # the authors' copy
    "https://drive.usercontent.google.com/download?id=0BxYys69jI14kYVM3aVhKS1VhRUk"
    "&resourcekey=0-dabpv_3J0C0cditpiAfhAw&export=download&confirm=t",
]
N_FILES = 23_708
SHA256 = "753363e0427d1a1b18ee62f94fe43555838fdf3431c52dca8032673de3aed8de"  # `archive_digest` of those files

CLASSES = ["under 20", "20 to 39", "40 and over"]
AGE_EDGES = [20, 40]
GROUPS = ["White", "Black", "Asian", "Indian"]
OTHERS = len(GROUPS)
# only the start of a name: one name has a space before ".jpg", and one has no dot there
NAME = re.compile(r"(?P<age>\d+)_[01]_(?P<race>[0-4])_\d")


def verified_members(archive: Path) -> dict[str, bytes]:
    """Return the archive's JPEG files by name, after checking their number and the digest of names and contents.

    Raises
    ------
    ArchiveError
        The archive is damaged, a member of it is unsafe (see `read_members`), or a file is missing or altered.
    """
    members = read_members(archive, lambda name: name.endswith(".jpg") and not name.startswith("."))
    if len(members) != N_FILES:
        raise ArchiveError(archive, f"holds {len(members)} images in place of {N_FILES}")
    if archive_digest(members) != SHA256:
        raise ArchiveError(archive, "an image has a wrong checksum")
    return members


def archive_digest(members: dict[str, bytes]) -> str:
    """Return the SHA-256 of the sorted lines "name sha256", one per file.

    It does not depend on the order, folders or compression of the files in the archive.
    """
    lines = sorted(f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in members.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def prepare(settings: UTKFace, archive: Path) -> Prepared:
    """Make UTKFace, with a balanced test split and, by default, about 20,800 training images.

    Parameters
    ----------
    settings
        The images are resized to `image_size` by Pillow's bilinear filter, which is antialiased; `split_seed` decides
        which images are in the test split; see above for `test_per_cell` and `duplicates`.
    archive
        Path of UTKFace.tar.gz, the aligned and cropped faces of 200 px.

    Raises
    ------
    ArchiveError
        The archive is not the published one; or, while `images` is read, an image cannot be decoded.
    UserError
        A cell has too few images for `test_per_cell`.
    """
    members = verified_members(archive)
    faces, notes = _read_names(members)
    samples = _split(faces, settings.test_per_cell, settings.split_seed, drop=settings.duplicates == "drop")
    notes["copies_of_test_images_left_out_of_training"] = len(faces) - len(samples)
    notes["images_kept_out_of_test_as_copies_contradict"] = int((~faces["consistent"]).sum())
    return Prepared(
        samples=samples[["image_id", "split", "label", "group", "content"]],
        images=_decode(archive, members, samples["image_id"], settings.image_size),
        image_size=settings.image_size,
        classes=CLASSES,
        groups=GROUPS,
        source={UTKFace.archive: SHA256},
        notes=notes,
    )


def _read_names(members: dict[str, bytes]) -> tuple[pd.DataFrame, dict]:
    """Return the faces of the four groups, one row per file, and notes on the files that were left out.

    The columns are image_id, age, label, group, content (digest of the file) and consistent (whether all files with
    that content, including those of the race "Others", have the same class and group).
    """
    matches = {name: NAME.match(name) for name in members}
    incomplete = [name for name, match in matches.items() if match is None]
    faces = pd.DataFrame(
        [
            (name, int(match["age"]), int(match["race"]), hashlib.sha256(members[name]).hexdigest())
            for name, match in matches.items()
            if match
        ],
        columns=["image_id", "age", "group", "content"],
    )
    faces["label"] = np.searchsorted(AGE_EDGES, faces["age"], side="right")
    cells = faces.groupby("content")[["label", "group"]].transform("nunique")
    faces["consistent"] = (cells == 1).all(axis=1)
    others = faces["group"] == OTHERS
    notes = {
        "files_left_out_as_their_name_is_incomplete": {"count": len(incomplete), "names": incomplete},
        "faces_left_out_as_their_race_is_others": int(others.sum()),
    }
    return faces[~others].reset_index(drop=True), notes


def _split(faces: pd.DataFrame, test_per_cell: int, seed: int, *, drop: bool) -> pd.DataFrame:
    """Return the faces that are used, with a column `split`."""
    shuffled = faces.loc[np.random.default_rng(seed).permutation(len(faces))]
    eligible = shuffled["consistent"] & ~shuffled.index.isin(faces.index[faces["content"].duplicated()])
    test = shuffled[eligible].groupby(["label", "group"]).head(test_per_cell)
    is_test = faces.index.isin(test.index)
    samples = faces.assign(split=np.where(is_test, "test", "train"))
    if drop:
        samples = samples[is_test | ~faces["content"].isin(test["content"])]
    counts = samples.groupby(["split", "label", "group"]).size()
    for (label, class_name), (group, group_name) in itertools.product(enumerate(CLASSES), enumerate(GROUPS)):
        n_test, n_train = (counts.get((split, label, group), 0) for split in ("test", "train"))
        if n_test < test_per_cell or n_train == 0:
            raise UserError(
                f"data: test_per_cell is {test_per_cell}, but utkface has only {n_test + n_train} images of the cell "
                f"({class_name}, {group_name}) for its test and train splits together; lower test_per_cell"
            )
    return samples


def _decode(archive: Path, members: dict[str, bytes], names: Iterable[str], size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of these names, each (size, size, 3)."""
    for name in names:
        try:
            with Image.open(io.BytesIO(members[name])) as image:
                resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        except (OSError, SyntaxError, ValueError) as error:
            raise ArchiveError(archive, f"the image {name} cannot be decoded ({error})") from error
        yield np.asarray(resized)
