"""A miniature of CelebA in its exact layout."""

import io
import zipfile
from typing import get_args

import numpy as np
from PIL import Image

from fairdistill.settings.data import CelebaAttribute

ATTRIBUTES = get_args(CelebaAttribute)
NAMES = [f"{number:06d}.jpg" for number in range(1, 25)]


def jpeg(seed, size=(178, 218)):
    """Smooth noise, so that what JPEG loses is little."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def miniature():
    """24 images, one of each (Blond_Hair, Male, split) cell in turn; the text of the two lists, and the images by name.

    As in the official lists, names of attributes end in a space, and marks are set in columns.
    """
    marks = np.where(np.random.default_rng(0).random((len(NAMES), len(ATTRIBUTES))) < 0.5, -1, 1)
    number = np.arange(len(NAMES))
    marks[:, ATTRIBUTES.index("Blond_Hair")] = np.where(number % 2, 1, -1)
    marks[:, ATTRIBUTES.index("Male")] = np.where(number // 2 % 2, 1, -1)
    rows = [f"{name} {' '.join(f'{mark:2d}' for mark in row)}\n" for name, row in zip(NAMES, marks, strict=True)]
    attributes = f"{len(NAMES)}\n{' '.join(ATTRIBUTES)} \n{''.join(rows)}"
    partition = "".join(f"{name} {code}\n" for name, code in zip(NAMES, number // 4 % 3, strict=True))
    return attributes, partition, {name: jpeg(i) for i, name in enumerate(NAMES)}


def write_archives(folder, attributes, partition, images):
    """Write the three files as they are published; return their paths, in the order of `Celeba.archives`."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        archive.writestr("img_align_celeba/", "")
        for name, content in images.items():
            archive.writestr(f"img_align_celeba/{name}", content)
    return [folder / "img_align_celeba.zip", *_write_lists(folder, attributes, partition)]


def write_unpacked(folder, attributes, partition, images):
    """Write what torchvision leaves of them; return the paths of the folder of images and of the two lists."""
    (folder / "img_align_celeba").mkdir(parents=True)
    for name, content in images.items():
        (folder / "img_align_celeba" / name).write_bytes(content)
    return [folder / "img_align_celeba", *_write_lists(folder, attributes, partition)]


def _write_lists(folder, attributes, partition):
    texts = {"list_attr_celeba.txt": attributes, "list_eval_partition.txt": partition}
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]
