"""UTKFace: the age of a face as the class and its ethnicity as the group (Zhang, Song and Qi, CVPR 2017).

A file is named age_gender_race_date. Faces of the race "Others" are left out. The test split has
`test_per_cell` images of each (class, group) cell; all else is training.

375 images are in the archive more than once, often under contradicting labels, so a plain random split
leaks. A test image is one whose copies, if any, agree on the cell. With `duplicates: drop` its copies are left
out of training; with `duplicates: keep` they stay in it, a leak whose effect can be measured on the same test images.
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
from fairdistill.data.settings import check_integer, check_setting
from fairdistill.runtime.errors import UserError

ARCHIVE = "UTKFace.tar.gz"
URLS = [
    "https://huggingface.co/datasets/py97/UTKFace-Cropped/resolve/main/UTKFace.tar.gz",
    # The authors' own copy.
    "https://drive.usercontent.google.com/download?id=0BxYys69jI14kYVM3aVhKS1VhRUk"
    "&resourcekey=0-dabpv_3J0C0cditpiAfhAw&export=download&confirm=t",
]
N_FILES = 23_708
SHA256 = "753363e0427d1a1b18ee62f94fe43555838fdf3431c52dca8032673de3aed8de"  # `content_digest` of those files

CLASSES = ["under 20", "20 to 39", "40 and over"]
AGE_EDGES = [20, 40]
GROUPS = ["White", "Black", "Asian", "Indian"]
OTHERS = len(GROUPS)
# The start alone: one name has a space before ".jpg", and one lacks the dot.
NAME = re.compile(r"(?P<age>\d+)_[01]_(?P<race>[0-4])_\d")


def verified_members(archive: Path) -> dict[str, bytes]:
    """The JPEG files by name, once their number and the digest of their names and contents are right.

    Raises
    ------
    ArchiveError
        The archive is damaged or hostile, or a file is missing or altered.
    """
    members = read_members(archive, lambda name: name.endswith(".jpg") and not name.startswith("."))
    if len(members) != N_FILES:
        raise ArchiveError(archive, f"holds {len(members)} images in place of {N_FILES}")
    if content_digest(members) != SHA256:
        raise ArchiveError(archive, "an image has a wrong checksum")
    return members


def content_digest(members: dict[str, bytes]) -> str:
    """SHA-256 over the sorted lines "name sha256" of the members: the same however they were packed."""
    lines = sorted(f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in members.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def prepare(
    archive: Path,
    *,
    image_size: int = 64,
    test_per_cell: int = 100,
    split_seed: int = 0,
    duplicates: str = "drop",
) -> Prepared:
    """UTKFace, with about 20,800 training images and a balanced test split.

    Parameters
    ----------
    archive
        UTKFace.tar.gz, the aligned and cropped faces of 200 px.
    image_size
        Height and width to resize to, in pixels, by Pillow's bilinear filter, which is antialiased.
    test_per_cell
        Test images in each (class, group) cell.
    split_seed
        Decides which images are test.
    duplicates
        "drop" or "keep"; see above.

    Raises
    ------
    UserError
        A setting is wrong, the archive is not the published one, a cell is too small, or, while `images` is
        read, an image does not decode.
    """
    check_integer("image_size", image_size, 8)
    check_integer("test_per_cell", test_per_cell, 1)
    check_integer("split_seed", split_seed, 0)
    check_setting("duplicates", duplicates, duplicates in ("drop", "keep"), "drop or keep")

    members = verified_members(archive)
    faces, notes = _read_names(members)
    samples = _split(faces, test_per_cell, split_seed, drop=duplicates == "drop")
    notes["copies_dropped_from_train"] = len(faces) - len(samples)
    notes["contradicting_copies_kept_out_of_test"] = int((~faces["consistent"]).sum())
    return Prepared(
        samples=samples[["image_id", "split", "label", "group"]],
        images=_decode(archive, members, samples["image_id"], image_size),
        image_size=image_size,
        classes=CLASSES,
        groups=GROUPS,
        source={ARCHIVE: SHA256},
        notes=notes,
    )


def _read_names(members: dict[str, bytes]) -> tuple[pd.DataFrame, dict]:
    """The faces of the four groups, one row per file, and what was left out.

    The columns are image_id, label, group, digest (of the content) and consistent (whether all the files of
    that content, "Others" included, are of one cell).
    """
    matches = {name: NAME.match(name) for name in members}
    unparsable = [name for name, match in matches.items() if match is None]
    faces = pd.DataFrame(
        [
            (name, int(match["age"]), int(match["race"]), hashlib.sha256(members[name]).hexdigest())
            for name, match in matches.items()
            if match
        ],
        columns=["image_id", "age", "group", "digest"],
    )
    faces["label"] = np.searchsorted(AGE_EDGES, faces["age"], side="right")
    cells = faces.groupby("digest")[["label", "group"]].transform("nunique")
    faces["consistent"] = (cells == 1).all(axis=1)
    others = faces["group"] == OTHERS
    notes = {"unparsable": {"count": len(unparsable), "names": unparsable}, "others": int(others.sum())}
    return faces[~others].reset_index(drop=True), notes


def _split(faces: pd.DataFrame, test_per_cell: int, seed: int, *, drop: bool) -> pd.DataFrame:
    """The faces to use, with their `split`."""
    shuffled = faces.loc[np.random.default_rng(seed).permutation(len(faces))]
    eligible = shuffled["consistent"] & ~shuffled.index.isin(faces.index[faces["digest"].duplicated()])
    test = shuffled[eligible].groupby(["label", "group"]).head(test_per_cell)
    is_test = faces.index.isin(test.index)
    samples = faces.assign(split=np.where(is_test, "test", "train"))
    if drop:
        samples = samples[is_test | ~faces["digest"].isin(test["digest"])]
    counts = samples.groupby(["split", "label", "group"]).size()
    for (label, class_name), (group, group_name) in itertools.product(enumerate(CLASSES), enumerate(GROUPS)):
        n_test, n_train = (counts.get((split, label, group), 0) for split in ("test", "train"))
        if n_test < test_per_cell or n_train == 0:
            raise UserError(
                f"data: test_per_cell is {test_per_cell}, but the cell ({class_name}, {group_name}) has "
                f"{n_test + n_train} images to share between test and training; lower it"
            )
    return samples


def _decode(archive: Path, members: dict[str, bytes], names: Iterable[str], size: int) -> Iterator[NDArray[np.uint8]]:
    """The images of that name, (size, size, 3), one at a time."""
    for name in names:
        try:
            with Image.open(io.BytesIO(members[name])) as image:
                resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        except (OSError, SyntaxError, ValueError) as error:
            raise ArchiveError(archive, f"the image {name} does not decode ({error})") from error
        yield np.asarray(resized)
