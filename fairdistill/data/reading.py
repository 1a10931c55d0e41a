"""Reading a prepared data set, checked against its digest."""

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


@dataclass
class ImageDataset:
    """A data set as `load_dataset` reads it.

    Attributes
    ----------
    images
        uint8 (N, H, W, 3), mapped from the disk.
    samples
        N rows, in the order of `images`: sample_id, image_id, split, label, group.
    mean, std
        (3,) of the training images' channels, on the scale 0..1.
    info
        The whole of dataset.json.
    """

    images: NDArray[np.uint8]
    samples: pd.DataFrame
    classes: list[str]
    groups: list[str]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    info: dict

    def split(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Row numbers, labels and groups, each int64 (n,), of the split "train" or "test"."""
        rows = np.flatnonzero(self.samples["split"] == name)
        part = self.samples.iloc[rows]
        return rows, part["label"].to_numpy(np.int64), part["group"].to_numpy(np.int64)


def load_dataset(folder: Path | str) -> ImageDataset:
    """Read the data set that `fairdistill.data.preparing.write_dataset` wrote to `folder`.

    All of it is read once, to hold it against its digest: a fraction of a second for 60,000 images of 32 px.

    Raises
    ------
    UserError
        A file is damaged, or the files are not of one data set.
    """
    folder = Path(folder)
    with _naming_damaged(folder / "dataset.json") as path:
        info = _read_info(path)
    with _naming_damaged(folder / "images.npy") as path:
        images = _map_images(path)
    with _naming_damaged(folder / "samples.parquet") as path:
        samples = pd.read_parquet(path)
        digest = content_digest(images, samples)  # only here are the texts decoded
    with _naming_damaged(folder):
        if images.shape != (len(samples), info["image_size"], info["image_size"], 3):
            raise ValueError(
                f"images.npy is {images.shape}, samples.parquet has {len(samples)} rows, "
                f"and image_size in dataset.json is {info['image_size']}"
            )
        if digest != info["sha256"]:
            raise ValueError("images.npy and samples.parquet do not have the sha256 in dataset.json")
    return ImageDataset(
        images=images,
        samples=samples,
        classes=info["classes"],
        groups=info["groups"],
        mean=np.array(info["mean"]),
        std=np.array(info["std"]),
        info=info,
    )


def content_digest(images: NDArray[np.uint8], samples: pd.DataFrame) -> str:
    """SHA-256 over the bytes of `images` (N, H, W, 3) and then `samples` as CSV: it tells data sets apart."""
    digest = hashlib.sha256(images)
    digest.update(samples.to_csv(index=False, lineterminator="\n").encode())
    return digest.hexdigest()


@contextmanager
def _naming_damaged(path: Path) -> Iterator[Path]:
    """Turn whatever a reader raises on damaged bytes into one line that names `path`."""
    try:
        yield path
    except Exception as error:
        # the disk's own errors, such as a missing file, have a number
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: damaged ({reason}); delete the folder and prepare it again") from error


def _read_info(path: Path) -> dict:
    info = json.loads(path.read_bytes())
    for key in ("classes", "groups", "image_size", "mean", "std", "sha256"):
        if key not in info:
            raise ValueError(f"lacks {key}")
    return info


def _map_images(path: Path) -> NDArray[np.uint8]:
    images = np.lib.format.open_memmap(path, mode="c")  # copy on write: torch wants a writable array
    if images.dtype != np.uint8 or not images.flags.c_contiguous:
        raise ValueError("not a C-ordered array of uint8")
    return images
