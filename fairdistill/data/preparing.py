"""Making a data set of one kind and writing it to a folder."""

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

from fairdistill.data import KINDS
from fairdistill.data.reading import content_digest
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import replacing

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


def load_kind(kind: str) -> ModuleType:
    """The module of a kind of data set."""
    if kind not in list(KINDS):
        raise UserError(f"data: unknown kind {kind!r}; choose one of {', '.join(KINDS)}")
    return import_module(KINDS[kind])


def prepare_dataset(folder: Path | str, settings: Mapping, archive: Path | None) -> dict:
    """Make a data set and write it to `folder`.

    Parameters
    ----------
    folder
        Where the three files go.
    settings
        `kind`, a key of `KINDS`, and the settings of that kind; those left out take their defaults.
    archive
        The file that the kind's `ARCHIVE` names.

    Returns
    -------
    dict
        The content of dataset.json.
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
    return write_dataset(folder, module.prepare(archive, **complete), {"kind": kind, **complete})


def write_dataset(folder: Path | str, prepared: Prepared, settings: Mapping) -> dict:
    """Write `prepared` to `folder`.

    Nothing in `folder` is touched before all three files are written.

    Parameters
    ----------
    settings
        They hold `kind`, and are recorded as they are.

    Returns
    -------
    dict
        The content of dataset.json.

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
    # renamed into place from the last to the first: dataset.json, whose digest the others must have, comes last
    with (
        replacing(folder / "dataset.json") as info_file,
        replacing(folder / "samples.parquet") as samples_file,
        replacing(folder / "images.npy") as images_file,
    ):
        mean, std = _write_images(images_file, prepared, samples["split"] == "train")
        samples.to_parquet(samples_file, index=False)
        info = {
            "kind": settings["kind"],
            "settings": dict(settings),
            "classes": prepared.classes,
            "groups": prepared.groups,
            "image_size": prepared.image_size,
            "mean": mean.tolist(),
            "std": std.tolist(),
            "counts": {split: table.tolist() for split, table in counts.items()},
            "sha256": content_digest(np.load(images_file, mmap_mode="r"), samples),
            "source": prepared.source,
            "notes": prepared.notes,
        }
        info_file.write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")
    return info


def describe(info: Mapping) -> str:
    """Say in a few lines what dataset.json says at length: images per cell, and what was left out or set apart."""
    lines = [f"{info['kind']}: images of {info['image_size']} px"]
    for split, counts in info["counts"].items():
        cells = pd.DataFrame(counts, index=info["classes"], columns=info["groups"])
        lines += ["", f"{split}: {cells.to_numpy().sum()} images", cells.to_string()]
    if info["notes"]:
        lines += ["", "left out or set apart (in full under notes in dataset.json):"]
    for key, note in info["notes"].items():
        count, names = (note["count"], note["names"]) if isinstance(note, Mapping) else (note, [])
        shown = ", ".join(names[:5] + ["..."] * (len(names) > 5))
        lines.append(f"  {key.replace('_', ' ')}: {count}" + (f" ({shown})" if shown else ""))
    return "\n".join(lines)


def _count_cells(samples: pd.DataFrame, prepared: Prepared) -> NDArray[np.int64]:
    """Images per cell: (classes, groups)."""
    table = np.zeros((len(prepared.classes), len(prepared.groups)), dtype=np.int64)
    np.add.at(table, (samples["label"], samples["group"]), 1)
    return table


def _write_images(path: Path, prepared: Prepared, train: pd.Series) -> tuple[NDArray, NDArray]:
    """Write images.npy; the training images' mean and std, each (3,).

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
            if is_train:
                values = pixels.reshape(-1, 3).astype(np.float64)
                total += values.sum(axis=0)
                squares += np.square(values).sum(axis=0)
    n = train.sum() * size * size
    mean = total / n
    std = np.sqrt(squares / n - mean**2)
    return mean / 255, std / 255
