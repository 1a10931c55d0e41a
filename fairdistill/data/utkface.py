"""UTKFace: faces, with an age range as the class and the ethnicity as the group (Zhang, Song and Qi, CVPR 2017).

A file is named age_gender_race_date. Faces of the race "Others" are left out.

In the archive 375 images occur under two or more names, often with contradicting labels, and more photographs occur
twice in other crops or sizes. After a plain random split some test images would therefore be in training too. Here the
copies of one image are a family. A family is tested only if all its members have the same class and group, and then by
one of them; `duplicates` says which families there are, and whether the other members stay in training. `drop` and
`keep` have the same families, so that the effect of this leak can be measured on the same test images.

`split: authors` is the split of the code of Jung et al., "Fair Feature Distillation for Visual Recognition", CVPR 2021:
the names in natural order are shuffled by Python's generator with seed 1, and the last 100 of each cell are tested.
"""

import hashlib
import io
import itertools
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from fairdistill.data.archives import ArchiveError, Published, digest_of_files, read_folders
from fairdistill.data.near_copies import families
from fairdistill.data.preparing import Prepared
from fairdistill.data.reading import split_columns
from fairdistill.data.splits import draw_tested, split_images
from fairdistill.runtime.errors import UserError, printable
from fairdistill.runtime.progress import Progress, log
from fairdistill.settings.data import AUTHORS_TEST, UTKFace

URLS = [
    "https://huggingface.co/datasets/py97/UTKFace-Cropped/resolve/main/UTKFace.tar.gz",
    # the authors' copy
    "https://drive.usercontent.google.com/download?id=0BxYys69jI14kYVM3aVhKS1VhRUk"
    "&resourcekey=0-dabpv_3J0C0cditpiAfhAw&export=download&confirm=t",
]
N_FILES = 23_708
SHA256 = "753363e0427d1a1b18ee62f94fe43555838fdf3431c52dca8032673de3aed8de"  # `digest_of_files` of them

CLASSES = ["under 20", "20 to 39", "40 and over"]
AGE_EDGES = [20, 40]
GROUPS = ["White", "Black", "Asian", "Indian"]
OTHERS = len(GROUPS)
FILE_SIZE = 200  # edge of the published images, in pixels
CROPPED = "chip.jpg"  # how the names of the faces end; one has no dot before it
PART = "crop_part1"
# only the start of a name: one name has a space before ".jpg", and one has no dot there
NAME = re.compile(r"(?P<age>\d+)_[01]_(?P<race>[0-4])_\d")


def verified_members(archive: Path) -> dict[str, bytes]:
    """Return the published JPEG files by name, after checking their number and the digest of names and contents.

    Parameters
    ----------
    archive
        UTKFace.tar.gz as it is published or unpacked to a .tar, another packing of it, such as Kaggle's .zip, or the
        folder. There may be other folders beside the one with the faces, such as `crop_part1`, a part of them.

    Raises
    ------
    ArchiveError
        The archive is damaged, a member of it is unsafe (see `read_folders`), or a file is missing or altered.
    """
    uncropped: list[str] = []

    def wanted(name: str) -> bool:
        if name.startswith(".") or not name.endswith(".jpg"):
            return False
        if not name.endswith(CROPPED):
            # told by the name, as the faces in the wild are more than is read from an archive
            uncropped.append(name)
        return name.endswith(CROPPED)

    folders = read_folders(archive, wanted)
    # the faces are in one folder, beside which there may be others
    for members in folders.values():
        if len(members) == N_FILES and digest_of_files(members.items()) == SHA256:
            return dict(sorted(members.items()))
    if uncropped and not folders:
        raise ArchiveError(
            archive,
            f"holds the faces in the wild (such as {min(uncropped)}), which are not cropped",
            f"take the aligned and cropped faces, whose names end in .jpg.{CROPPED}",
        )
    name, members = max(folders.items(), key=lambda item: len(item[1]), default=("", {}))
    part = ", as crop_part1 is a part of them" * (PurePosixPath(name).name == PART)
    if len(members) != N_FILES:
        raise ArchiveError(archive, f"holds {len(members)} images in place of {N_FILES}{part}")
    published = _published()
    others = sorted(name for name, content in members.items() if _number(name, content) not in published)
    raise ArchiveError(
        archive,
        f"{len(others)} of the {N_FILES} images {'is' if len(others) == 1 else 'are'} not as published, by name or "
        f"content ({printable(others[0])}{', ...' * (len(others) > 1)})",
    )


def _published() -> set[int]:
    """The `_number` of each published image."""
    return set(np.load(Path(__file__).with_name("utkface_files.npy")).tolist())


def _number(name: str, content: bytes) -> int:
    """A number of 64 bits for the name and content of an image."""
    return int(digest_of_files([(name, content)])[:16], 16)


ARCHIVES = {"UTKFace.tar.gz": Published(urls=URLS, page=URLS[0], verify=verified_members, folders=["UTKFace"])}


def prepare(settings: UTKFace, archive: Path) -> Prepared:
    """Make UTKFace, with a balanced test split and, by default, about 20,700 training images.

    Parameters
    ----------
    settings
        The images are resized to `image_size` by Pillow's bilinear filter, which is antialiased; `split_seed` decides
        which images are tested; see above for `split` and `duplicates`.
    archive
        Path of UTKFace.tar.gz, the aligned and cropped faces of 200 px.

    Raises
    ------
    ArchiveError
        The archive is not the published one; or an image cannot be decoded.
    UserError
        A cell has too few images for `test_per_cell` and `folds`.
    """
    log(f"reading {archive}")
    members = verified_members(archive)
    faces, notes = _read_names(members)
    faces["family"] = faces["content"]
    if settings.duplicates == "drop_near":
        faces["family"] = _families(archive, members, faces, notes)
    faces["consistent"] = (faces.groupby("family")[["label", "group"]].transform("nunique") == 1).all(axis=1)
    samples = faces[faces["group"] != OTHERS].reset_index(drop=True)
    tested = _tested_by_authors(samples) if settings.split == "authors" else _tested(samples, settings)
    splits = split_images(
        tested, samples["family"].to_numpy(), folds=settings.folds, drop=settings.duplicates != "keep"
    )
    samples = samples.assign(**splits)
    _require_test_images(samples, settings)
    used = (samples[list(splits)] != "").any(axis=1)
    left_out = (samples[list(splits)] == "").sum().max()
    notes["copies_of_test_images_left_out_of_training"] = int(left_out)
    if settings.split == "balanced":
        notes["images_kept_out_of_test_as_copies_contradict"] = int((~samples["consistent"]).sum())
    samples = samples[used]
    return Prepared(
        samples=samples[["image_id", *splits, "label", "group", "family"]],
        images=_decode(archive, members, samples["image_id"], settings.image_size),
        image_size=settings.image_size,
        classes=CLASSES,
        groups=GROUPS,
        source={"UTKFace.tar.gz": SHA256},
        notes=notes,
        weighting="images" if settings.test_per_cell else "cells",
    )


def _read_names(members: dict[str, bytes]) -> tuple[pd.DataFrame, dict]:
    """Return the faces, one row per file, and notes on the files that are left out.

    The columns are image_id, age, label, group (those of the race "Others" among them) and content (digest of the
    file).
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
    notes = {
        "files_left_out_as_their_name_is_incomplete": {"count": len(incomplete), "names": incomplete},
        "faces_left_out_as_their_race_is_others": int((faces["group"] == OTHERS).sum()),
    }
    return faces, notes


def _families(archive: Path, members: dict[str, bytes], faces: pd.DataFrame, notes: dict) -> NDArray[np.int64]:
    """Number the families of near-identical faces, and note how many there are of several files."""
    progress = Progress("reading images", len(faces))
    family = families(progress.counting(_decode(archive, members, faces["image_id"], FILE_SIZE)))
    sizes = np.bincount(family)
    notes["families_of_near_identical_files"] = int((sizes > 1).sum())
    notes["files_in_these_families"] = int(sizes[sizes > 1].sum())
    return family


def _tested(faces: pd.DataFrame, settings: UTKFace) -> NDArray[np.int64]:
    """The fold in which each face is tested, -1 for none."""
    return draw_tested(
        (faces["label"] * len(GROUPS) + faces["group"]).to_numpy(),
        (faces["consistent"] & ~faces["family"].duplicated()).to_numpy(),
        folds=settings.folds,
        per_cell=settings.test_per_cell,
        seed=settings.split_seed,
    )


def _tested_by_authors(faces: pd.DataFrame) -> NDArray[np.int64]:
    """0 for the test images of the MFD authors' code, -1 for all others."""

    def natural(name: str) -> list[str | int]:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    names = faces["image_id"]
    order = sorted(faces.index, key=lambda row: natural(names[row]))
    random.Random(1).shuffle(order)
    last = faces.loc[order[::-1]].groupby(["label", "group"]).head(AUTHORS_TEST)
    return np.where(faces.index.isin(last.index), 0, -1)


def _require_test_images(samples: pd.DataFrame, settings: UTKFace) -> None:
    wanted = settings.test_per_cell or 1
    asked = [f"test_per_cell is {settings.test_per_cell or 'null'}"]
    remedies = ["test_per_cell"] if settings.test_per_cell else []
    if settings.folds > 1:
        asked.append(f"folds is {settings.folds}")
        remedies.append("folds")
    for fold, column in enumerate(split_columns(settings.folds)):
        counts = samples.groupby([column, "label", "group"]).size()
        for (label, class_name), (group, group_name) in itertools.product(enumerate(CLASSES), enumerate(GROUPS)):
            n_test, n_train = (counts.get((split, label, group), 0) for split in ("test", "train"))
            if n_test < wanted or n_train == 0:
                where = f" in fold {fold}" * (settings.folds > 1)
                raise UserError(
                    f"data: {' and '.join(asked)}, which leaves utkface {n_test} test and {n_train} training images of "
                    f"the cell ({class_name}, {group_name}){where}; lower {' or '.join(remedies)}"
                )


def _decode(archive: Path, members: dict[str, bytes], names: Iterable[str], size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of these names, each (size, size, 3)."""
    for name in names:
        try:
            with Image.open(io.BytesIO(members[name])) as image:
                resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        except (OSError, SyntaxError, ValueError) as error:
            raise ArchiveError(archive, f"the image {name} cannot be decoded ({error})") from error
        yield np.asarray(resized)
