"""CelebA: aligned photographs of celebrities, with one attribute as the class and another as the group.

Liu, Luo, Wang and Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015: 202,599 images of 178 x 218 px, each
marked with 1 or -1 for 40 attributes, and a partition into training, validation and test images in which no person is
in two parts. As in the code of Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020,
the class is hair colour and the group is sex unless the settings say otherwise, and an image is the central square of
the photograph, resized.

The images are read one at a time, from the official .zip or from the folder that it unpacks to; nothing is extracted.
The data set is the same from both.
"""

import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fairdistill.data.archives import DAMAGE, IN_ZIP, ArchiveError, Published, digest_of_files
from fairdistill.data.preparing import Prepared
from fairdistill.runtime.files import sha256
from fairdistill.settings.data import Celeba
from fairdistill.settings.reading import shortened

PAGE = (
    "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (or, where you have all three files unpacked, name their folder "
    "as `folder` in the settings of the data set)"
)
FOLDER = "img_align_celeba"
CODES = {"0": "train", "1": "validation", "2": "test"}
MARKS = {"-1": False, "1": True}
MAX_BYTES = 2**24  # of one image; those of the official archive have a few thousand


def prepare(settings: Celeba, images: Path, attributes: Path, partition: Path) -> Prepared:
    """Make CelebA with its official splits.

    Parameters
    ----------
    settings
        The class is `target`, and the group is `group`: 1 where a face has the attribute.
    images
        img_align_celeba.zip, or the folder that it unpacks to.
    attributes, partition
        list_attr_celeba.txt and list_eval_partition.txt.

    Raises
    ------
    ArchiveError
        A file is missing, damaged or in another layout, or they are not about the same images.
    """
    paths = (images, attributes, partition)
    faces = read_attributes(attributes, [settings.target, settings.group])
    split = read_partition(partition)
    for path, names in ((partition, split.keys()), (images, image_names(images))):
        _require_same(path, set(names), attributes, set(faces.index))
    label, group = (faces[name].to_numpy(np.int16) for name in (settings.target, settings.group))
    samples = pd.DataFrame(
        {"image_id": faces.index, "split": [split[name] for name in faces.index], "label": label, "group": group}
    )
    classes, groups = ([f"not {name}", name] for name in (settings.target, settings.group))
    unlike = [
        name
        for path, (name, published) in zip(paths, ARCHIVES.items(), strict=True)
        if path.is_file() and _md5(path) != published.md5
    ]
    return Prepared(
        samples=samples,
        images=(_square(images, name, content, settings.image_size) for name, content in _read(images, faces.index)),
        image_size=settings.image_size,
        classes=classes,
        groups=groups,
        source={
            FOLDER: digest_of_files(_read(images, faces.index)),
            "list_attr_celeba.txt": sha256(attributes),
            "list_eval_partition.txt": sha256(partition),
        },
        notes={"files_that_are_not_the_official_ones": {"count": len(unlike), "names": unlike}} if unlike else {},
        remedy="choose another target or group",
    )


def read_attributes(path: Path, wanted: Sequence[str]) -> pd.DataFrame:
    """Return, by file name and in the order of the list, whether each image has each attribute of `wanted`.

    Raises
    ------
    ArchiveError
        The file is missing, is not in the layout of list_attr_celeba.txt, or lacks an attribute of `wanted`.
    """
    lines = _lines(path)
    if len(lines) < 3:
        _wrong(path, "has no line of an image after those of the number of images and the names of the attributes")
    count, header, *rows = lines
    # as text: Python reads no number of thousands of digits
    if count.strip() != str(len(rows)):
        shown = shortened(repr(count))
        _wrong(path, f"has {len(rows)} lines of images, and its first line, which has to be their number, is {shown}")
    attributes = header.split()
    if twice := [name for name in attributes if attributes.count(name) > 1]:
        _wrong(path, f"names the attribute {twice[0]} twice in its second line")
    for name in wanted:
        if name not in attributes:
            _wrong(path, f"has no attribute {name} in its second line")
    columns = [attributes.index(name) for name in wanted]
    marked = {}
    for number, row in enumerate(rows, start=3):
        name, *marks = row.split() or [""]
        if len(marks) != len(attributes):
            _wrong(path, f"line {number} has {len(marks)} marks in place of {len(attributes)}")
        if name in marked:
            _wrong(path, f"line {number} has {name}, which an earlier one has, too")
        if not MARKS.keys() >= set(marks):
            _wrong(path, f"line {number} has a mark that is neither 1 nor -1")
        marked[name] = [MARKS[marks[column]] for column in columns]
    return pd.DataFrame.from_dict(marked, orient="index", columns=list(wanted))


def read_partition(path: Path) -> dict[str, str]:
    """Return the split of each image by its file name.

    Raises
    ------
    ArchiveError
        The file is missing, is not in the layout of list_eval_partition.txt, or lacks a split.
    """
    split = {}
    for number, row in enumerate(_lines(path), start=1):
        name, *codes = row.split() or [""]
        if len(codes) != 1 or codes[0] not in CODES:
            shown = shortened(repr(row))
            _wrong(path, f"line {number} is {shown}, and not a file name with 0 (training), 1 (validation) or 2 (test)")
        if name in split:
            _wrong(path, f"line {number} has {name}, which an earlier one has, too")
        split[name] = CODES[codes[0]]
    if lacking := [part for part in CODES.values() if part not in split.values()]:
        _wrong(path, f"has no {lacking[0]} images")
    return split


def image_names(images: Path) -> set[str]:
    """Return the file names of the images in img_align_celeba.zip, or in the folder that it unpacks to.

    Raises
    ------
    ArchiveError
        It is missing, damaged or without such images.
    """
    names = {path.name for path in _folder(images).iterdir()}
    names = {name for name in names if name.endswith(".jpg") and not name.startswith(".")}
    if not names:
        _wrong(images, f"holds no .jpg in the folder {FOLDER}")
    return names


# the sums are those that torchvision.datasets.CelebA lists
ARCHIVES = {
    "img_align_celeba.zip": Published(urls=[], page=PAGE, verify=image_names, md5="00d2c5bc6d35e252742224ab0c1e8fcb"),
    "list_attr_celeba.txt": Published(
        urls=[], page=PAGE, verify=partial(read_attributes, wanted=[]), md5="75e246fa4810816ffd6ee81facbd244c"
    ),
    "list_eval_partition.txt": Published(
        urls=[], page=PAGE, verify=read_partition, md5="d32c9cbf5e040fd4025c592c306e6668"
    ),
}


def _wrong(path: Path, problem: str) -> NoReturn:
    raise ArchiveError(path, problem, "put the official one in its place")


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        _wrong(path, "there is no such file")
    try:
        return path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError as error:
        _wrong(path, f"not a text file ({error})")


def _folder(images: Path) -> Path | zipfile.Path:
    """Return the folder of images, which is in a .zip or not."""
    if images.is_dir():
        return images
    if not images.is_file():
        _wrong(images, "there is no such file or folder")
    try:
        folder = zipfile.Path(images, f"{FOLDER}/")
    except DAMAGE as error:
        _wrong(images, f"damaged, or not a .zip ({error})")
    members = folder.root.infolist()
    if any(info.compress_type not in IN_ZIP for info in members):
        _wrong(images, "is compressed by another method than deflate")
    counts = Counter(info.filename for info in members)
    # Of two members of one name only the last would be read.
    if twice := [name for name, count in counts.items() if count > 1 and name.startswith(f"{FOLDER}/")]:
        _wrong(images, f"has {twice[0]} twice")
    return folder


def _require_same(path: Path, found: set[str], reference: Path, wanted: set[str]) -> None:
    """Refuse a file or folder that lacks an image of those in `reference`, or has others."""
    for what, names, where in (
        ("lacks", wanted - found, "which {} has"),
        ("has", found - wanted, "which {} lacks"),
    ):
        if names:
            more = f" and {len(names) - 1} more" * (len(names) > 1)
            _wrong(path, f"{what} {min(names)}{more}, {where.format(reference.name)}")


def _read(images: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each of these images."""
    folder = _folder(images)
    for name in names:
        try:
            with folder.joinpath(name).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except (*DAMAGE, OSError) as error:
            _wrong(images, f"{name} cannot be read ({error})")
        if len(content) > MAX_BYTES:
            _wrong(images, f"{name} has over {MAX_BYTES} bytes")
        yield name, content


def _square(images: Path, name: str, content: bytes, size: int) -> NDArray[np.uint8]:
    """Return the central square of an image, (size, size, 3)."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            edge = min(image.size)
            left, top = ((length - edge) // 2 for length in image.size)
            square = image.convert("RGB").crop((left, top, left + edge, top + edge))
    except UnidentifiedImageError:
        # Pillow's words have an address in memory in the place of the name
        _wrong(images, f"{name} is no image")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        _wrong(images, f"{name} cannot be decoded ({error})")
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
