"""Read a prepared data set from its folder, and check it with its digest."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import parse_json
from fairdistill.runtime.study_files import DATASET_RECORD, IMAGES, SAMPLES

SPLITS = ("train", "validation", "test")
# the field of dataset.json with the digest of the others
DESCRIPTION = "description_sha256"


class _Checked(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, strict=True)


class _Fold(_Checked):
    mean: list[float] = Field(min_length=3, max_length=3)
    std: list[Annotated[float, Field(gt=0)]] = Field(min_length=3, max_length=3)


class _Info(_Checked):
    """What training reads of dataset.json."""

    kind: str
    settings: dict
    classes: list[str] = Field(min_length=1)
    groups: list[str] = Field(min_length=1)
    image_size: int = Field(ge=1)
    crop: Annotated[int, Field(ge=1)] | None
    crop_test: Literal["centre", "whole"]
    weighting: Literal["images", "cells"]
    for_seed: Annotated[int, Field(ge=0)] | None
    folds: list[_Fold] = Field(min_length=1)
    sha256: str
    source: dict[str, str]

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.crop is not None and self.crop > self.image_size:
            raise ValueError(f"crop is {self.crop}, and image_size {self.image_size}")
        return self


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
    with _naming_damaged(folder / DATASET_RECORD) as path:
        info = _read_info(path)
    with _naming_damaged(folder / IMAGES) as path:
        images = _map_images(path)
    with _naming_damaged(folder / SAMPLES) as path:
        samples = pd.read_parquet(path)
        digest = dataset_digest(
            hashlib.sha256(images.data), samples
        )  # also finds text that is not UTF-8, which read_parquet accepts
    with _naming_damaged(folder):
        if images.shape != (len(samples), info["image_size"], info["image_size"], 3):
            raise ValueError(
                f"images.npy is {images.shape}, samples.parquet has {len(samples)} rows, "
                f"and image_size in dataset.json is {info['image_size']}"
            )
        if digest != info["sha256"]:
            raise ValueError("images.npy and samples.parquet do not have the sha256 in dataset.json")
        _require_fit(samples, info)
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


def description_digest(info: Mapping) -> str:
    """Return the digest of what dataset.json says, less the digest itself: names, normalisation, settings, counts.

    It is apart from that of the images and splits, by which records and published studies identify a data set.
    """
    said = {name: value for name, value in info.items() if name != DESCRIPTION}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def view_digest(dataset: "ImageDataset") -> str:
    """Return the digest of how networks are shown the images: normalised and cropped.

    It is apart from that of the images and splits, as `description_digest` is.
    """
    info = dataset.info
    seen = [dataset.mean.tolist(), dataset.std.tolist(), info["crop"], info["crop_test"]]
    return hashlib.sha256(json.dumps({"seen": seen}, sort_keys=True).encode()).hexdigest()


def split_columns(folds: int) -> list[str]:
    """Return the names of the columns of the samples that hold the split of each fold: `split`, or `split0`, ..."""
    return ["split"] if folds == 1 else [f"split{fold}" for fold in range(folds)]


def dataset_digest(pixels: "hashlib._Hash", samples: pd.DataFrame) -> str:
    """Return the digest that identifies a prepared data set.

    It is the SHA-256, in hexadecimal digits, of the bytes of the images (N, H, W, 3), of which `pixels` is the SHA-256,
    followed by `samples` as CSV. The digest of a file of samples would also depend on the version of the library that
    wrote it.
    """
    digest = pixels.copy()
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
    info = parse_json(path.read_bytes())
    try:
        _Info.model_validate(info)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(": ".join([where] * bool(where) + [first["msg"]])) from error
    # data sets that were prepared before there was this digest have none
    if info.get(DESCRIPTION, expected := description_digest(info)) != expected:
        raise ValueError(f"its content does not have the {DESCRIPTION} in it")
    return info


def _require_fit(samples: pd.DataFrame, info: dict) -> None:
    """What dataset.json says may be of other images and samples, though each has the digest that it should."""
    columns = ["sample_id", "image_id", *split_columns(len(info["folds"])), "label", "group"]
    if list(samples) != columns:
        what = f"the {len(info['folds'])} folds in dataset.json need the columns {', '.join(columns)}"
        raise ValueError(f"{what}, and samples.parquet has {', '.join(map(str, samples.columns))}")
    for column, names in (("label", "classes"), ("group", "groups")):
        if not samples[column].between(0, len(info[names]) - 1).all():
            raise ValueError(f"dataset.json names {len(info[names])} {names}, and samples.parquet has others")


def _map_images(path: Path) -> NDArray[np.uint8]:
    # "c" is copy on write: torch warns of arrays that are read-only
    images = np.lib.format.open_memmap(path, mode="c")
    if images.dtype != np.uint8 or not images.flags.c_contiguous:
        raise ValueError("not a C-ordered array of uint8")
    return images
