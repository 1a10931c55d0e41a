"""Read a prepared data set from its folder, and check it with its digest."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairdistill.runtime.errors import UserError

SPLITS = ("train", "validation", "test")


@dataclass
class ImageDataset:
    """One fold of a data set, as `load_dataset` reads it; a data set that was not divided into folds has one.

    Attributes
    ----------
    images
        uint8 (N, H, W, 3), memory-mapped: read from the disk when they are used.
    samples
        One row per image, in the order of `images`, with the columns sample_id, image_id (the image in the archive that
        this one was made from), split (of this fold; "" for none), label and group.
    classes, groups
        The names that `label` and `group` index.
    mean, std
        (3,) per colour channel, over the images of the split "train"; pixel values are on the scale 0 to 1.
    info
        The content of dataset.json.
    """

    images: NDArray[np.uint8]
    samples: pd.DataFrame
    classes: list[str]
    groups: list[str]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    info: dict

    def split(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return row numbers, labels and groups, each int64 (n,), of the split `name`.

        `name` is "train", "validation" or "test". The validation split is empty (n = 0) where none was set aside.
        """
        if name not in SPLITS:
            raise ValueError(f"there is no split {name!r}; the splits are {', '.join(SPLITS)}")
        rows = np.flatnonzero(self.samples["split"] == name)
        part = self.samples.iloc[rows]
        return rows, part["label"].to_numpy(np.int64), part["group"].to_numpy(np.int64)


def load_dataset(folder: Path | str, fold: int = 0) -> ImageDataset:
    """Read one fold of the data set that `fairdistill.data.preparing.write_dataset` wrote to `folder`.

    All files are read once to compare their content with the digest in dataset.json, which takes a fraction of a second
    for 60,000 images of 32 px.

    Raises
    ------
    UserError
        A file is damaged, the files do not belong to the same data set, or it has no such fold.
    OSError
        A file is missing or cannot be read.
    """
    folder = Path(folder)
    with _naming_damaged(folder / "dataset.json") as path:
        info = _read_info(path)
    with _naming_damaged(folder / "images.npy") as path:
        images = _map_images(path)
    with _naming_damaged(folder / "samples.parquet") as path:
        samples = pd.read_parquet(path)
        digest = dataset_digest(images, samples)  # also finds text that is not UTF-8, which read_parquet accepts
    with _naming_damaged(folder):
        if images.shape != (len(samples), info["image_size"], info["image_size"], 3):
            raise ValueError(
                f"images.npy is {images.shape}, samples.parquet has {len(samples)} rows, "
                f"and image_size in dataset.json is {info['image_size']}"
            )
        if digest != info["sha256"]:
            raise ValueError("images.npy and samples.parquet do not have the sha256 in dataset.json")
    folds = info["folds"]
    if fold >= len(folds):
        has = f"its {len(folds)} folds are numbered from 0" if len(folds) > 1 else "it was not divided into folds"
        raise UserError(f"{folder}: there is no fold {fold}; {has}")
    columns = split_columns(len(folds))
    split = samples[columns[fold]]
    samples = samples.drop(columns=columns)
    samples.insert(2, "split", split)
    return ImageDataset(
        images=images,
        samples=samples,
        classes=info["classes"],
        groups=info["groups"],
        mean=np.array(folds[fold]["mean"]),
        std=np.array(folds[fold]["std"]),
        info=info,
    )


def split_columns(folds: int) -> list[str]:
    """Return the names of the columns of the samples that hold the split of each fold: `split`, or `split0`, ..."""
    return ["split"] if folds == 1 else [f"split{fold}" for fold in range(folds)]


def dataset_digest(images: NDArray[np.uint8], samples: pd.DataFrame) -> str:
    """Return the digest that identifies a prepared data set.

    It is the SHA-256, in hexadecimal digits, of the bytes of `images` (N, H, W, 3) followed by `samples` as CSV. The
    digest of a file of samples would also depend on the version of the library that wrote it.
    """
    digest = hashlib.sha256(images.data)
    digest.update(samples.to_csv(index=False, lineterminator="\n").encode())
    return digest.hexdigest()


@contextmanager
def _naming_damaged(path: Path) -> Iterator[Path]:
    """Turn every error that damaged bytes cause inside the `with` block into a UserError that names `path`."""
    try:
        yield path
    except Exception as error:
        # an error of the disk, such as a missing file, has a number; damaged content gives none
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: damaged ({reason}); delete the folder and prepare it again") from error


def _read_info(path: Path) -> dict:
    info = json.loads(path.read_bytes())
    for key in ("classes", "groups", "image_size", "crop", "crop_test", "folds", "sha256"):
        if key not in info:
            raise ValueError(f"lacks {key}")
    return info


def _map_images(path: Path) -> NDArray[np.uint8]:
    # "c" is copy on write: torch warns of arrays that are read-only
    images = np.lib.format.open_memmap(path, mode="c")
    if images.dtype != np.uint8 or not images.flags.c_contiguous:
        raise ValueError("not a C-ordered array of uint8")
    return images
