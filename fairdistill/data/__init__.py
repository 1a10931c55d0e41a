"""The data sets, behind one interface: settings and an archive become images with a class and a group.

Each kind is a module with

- `ARCHIVE`, the file name of the archive it is made from (None: nothing to download);
- `prepare(archive, *, ...) -> Prepared`, whose keyword arguments are the kind's settings;
- and, where there is an archive, `URLS`, the public addresses that hold it, and
  `verified_members(archive)`, its content, once the checksums are right.

A prepared data set is a folder: `images.npy`, uint8 (N, H, W, 3); `samples.parquet`, one row per image in
the same order; `dataset.json`, which describes both.
"""

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairdistill.errors import UserError
from fairdistill.files import replacing

KINDS = {
    "cifar10s": "fairdistill.data.cifar10s",
    "utkface": "fairdistill.data.utkface",
    "digits_s": "fairdistill.data.digits_s",
}
SPLITS = ("train", "test")
SAMPLE_TYPES = {"image_id": "str", "split": "str", "label": "int16", "group": "int16"}


@dataclass
class Prepared:
    """A data set about to be written.

    Attributes
    ----------
    samples
        One row per image: image_id (the source image), split ("train" or "test"), label, group.
    images
        uint8 (H, W, 3) arrays in the order of `samples`, made as they are asked for.
    image_size
        H = W, in pixels.
    classes, groups
        The names that `label` and `group` index.
    source
        Name of what the images come from -> digest of its content.
    notes
        What a reader should know of the making, such as how many files were left out.
    """

    samples: pd.DataFrame
    images: Iterable[NDArray[np.uint8]]
    image_size: int
    classes: list[str]
    groups: list[str]
    source: dict[str, str]
    notes: dict = field(default_factory=dict)


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


def load_kind(kind: str) -> ModuleType:
    """The module of a kind of data set."""
    if kind not in KINDS:
        raise UserError(f"data: unknown kind {kind!r}; choose one of {', '.join(KINDS)}")
    return import_module(KINDS[kind])


def prepare_dataset(folder: Path | str, settings: Mapping, archive: Path | None) -> None:
    """Make a data set and write it to `folder`.

    Parameters
    ----------
    folder
        Where the three files go.
    settings
        `kind`, a key of `KINDS`, and the settings of that kind; those left out take their defaults.
    archive
        The file that the kind's `ARCHIVE` names.
    """
    given = dict(settings)
    kind = given.pop("kind", None)
    module = load_kind(kind)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(module.prepare).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    for name in given:
        if name not in defaults:
            raise UserError(f"data: {kind} has no setting {name!r}; choose among {', '.join(defaults)}")
    if module.ARCHIVE and archive is None:
        raise UserError(f"data: {kind} is made from {module.ARCHIVE}; name that file with --archive")
    complete = defaults | given
    write_dataset(folder, module.prepare(archive, **complete), {"kind": kind, **complete})


def write_dataset(folder: Path | str, prepared: Prepared, settings: Mapping) -> None:
    """Write `prepared` to `folder`: all three files, or none when anything fails.

    `settings`, which hold `kind`, are recorded as they are. The `sha256` in dataset.json is over the
    images' bytes and then the samples as CSV, so that dataset.json alone tells one data set from another.

    Raises
    ------
    UserError
        A (class, group) cell of the test split is empty.
    """
    folder = Path(folder)
    samples = prepared.samples.astype(SAMPLE_TYPES)
    samples.insert(0, "sample_id", np.arange(len(samples), dtype=np.int32))
    counts = {split: _count_cells(samples[samples["split"] == split], prepared) for split in SPLITS}
    for label, group in np.argwhere(counts["test"] == 0):
        raise UserError(
            f"data: {folder.name} has no test image in the cell ({prepared.classes[label]}, "
            f"{prepared.groups[group]}); every (class, group) cell needs one"
        )
    content = hashlib.sha256()
    # All three are complete on disk before the first is renamed into place.
    with (
        replacing(folder / "dataset.json") as info_file,
        replacing(folder / "samples.parquet") as samples_file,
        replacing(folder / "images.npy") as images_file,
    ):
        mean, std = _write_images(images_file, prepared, samples["split"] == "train", content)
        samples.to_parquet(samples_file, index=False)
        content.update(samples.to_csv(index=False, lineterminator="\n").encode())
        info = {
            "kind": settings["kind"],
            "settings": dict(settings),
            "classes": prepared.classes,
            "groups": prepared.groups,
            "image_size": prepared.image_size,
            "mean": mean.tolist(),
            "std": std.tolist(),
            "counts": {split: table.tolist() for split, table in counts.items()},
            "sha256": content.hexdigest(),
            "source": prepared.source,
            "notes": prepared.notes,
        }
        info_file.write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")


def _count_cells(samples: pd.DataFrame, prepared: Prepared) -> NDArray[np.int64]:
    """Images per cell: (classes, groups)."""
    table = np.zeros((len(prepared.classes), len(prepared.groups)), dtype=np.int64)
    np.add.at(table, (samples["label"], samples["group"]), 1)
    return table


def _write_images(path: Path, prepared: Prepared, train: pd.Series, digest) -> tuple[NDArray, NDArray]:
    """Write images.npy, feeding its pixels to `digest`; the training images' mean and std, each (3,).

    Plain writes and no memory map: on a full disk a write raises, where a store to a mapped page kills the
    process.
    """
    size = prepared.image_size
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(train), size, size, 3)}
    total, squares = np.zeros(3), np.zeros(3)
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for image, is_train in zip(prepared.images, train, strict=True):
            pixels = np.ascontiguousarray(image)
            file.write(pixels)
            digest.update(pixels)
            if is_train:
                values = pixels.reshape(-1, 3).astype(np.float64)
                total += values.sum(axis=0)
                squares += np.square(values).sum(axis=0)
    n = train.sum() * size * size
    mean = total / n
    std = np.sqrt(squares / n - mean**2)
    return mean / 255, std / 255


def load_dataset(folder: Path | str) -> ImageDataset:
    """Read the data set that `write_dataset` wrote to `folder`.

    Raises
    ------
    UserError
        A file is damaged, or the files are not of one data set.
    """
    folder = Path(folder)
    try:
        info = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        samples = pd.read_parquet(folder / "samples.parquet")
        images = np.load(folder / "images.npy", mmap_mode="c")  # copy on write: torch wants a writable array
    except ValueError as error:
        raise UserError(f"{folder}: damaged ({error}); delete the folder and prepare it again") from error
    if len(images) != len(samples):
        raise UserError(
            f"{folder}: images.npy holds {len(images)} images and samples.parquet {len(samples)} rows; "
            "delete the folder and prepare it again"
        )
    return ImageDataset(
        images=images,
        samples=samples,
        classes=info["classes"],
        groups=info["groups"],
        mean=np.array(info["mean"]),
        std=np.array(info["std"]),
        info=info,
    )
