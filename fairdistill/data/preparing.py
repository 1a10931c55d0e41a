"""Make a data set, draw its validation split, and write it to a folder."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairdistill.data.reading import SPLITS, dataset_digest
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import replacing
from fairdistill.settings.data import DataSet

SAMPLE_TYPES = {"image_id": "str", "split": "str", "label": "int16", "group": "int16"}
# The draws of the kinds are seeded with `split_seed` and a class or image number. This takes the place of that number
# for the validation split, and is larger than all of them, so that the split is independent of the other draws.
VALIDATION_DRAW = 2**31 - 1


@dataclass
class Prepared:
    """A data set that is not written yet.

    Attributes
    ----------
    samples
        One row per image, with the columns image_id (the image in the archive that this one was made from), split,
        label and group. The modules of the kinds know the splits "train" and "test"; `set_aside_validation` makes some
        of the training images "validation". An optional column `content` holds a key that is the same for all images
        with identical bytes in the archive, and is needed where the archive holds an image under several names; it is
        not written.
    images
        uint8 (H, W, 3) arrays in the order of `samples`, made one at a time.
    image_size
        H = W, in pixels.
    classes, groups
        The names that `label` and `group` index.
    source
        {what the images come from: digest of its content}.
    notes
        What a reader should know about the making, such as the number of files that were left out: {what: a number, or
        {"count": a number, "names": a list}}.
    """

    samples: pd.DataFrame
    images: Iterable[NDArray[np.uint8]]
    image_size: int
    classes: list[str]
    groups: list[str]
    source: dict[str, str]
    notes: dict = field(default_factory=dict)


def prepare_dataset(folder: Path | str, settings: DataSet, archive: Path | None) -> dict:
    """Make a data set, draw its validation split, and write it to a folder.

    Parameters
    ----------
    folder
        Where the three files go; its name is the name of the data set in messages.
    settings
        The settings of one kind of data set. Its `implementation` makes the data set.
    archive
        Path of the archive; None for a kind that needs none.

    Returns
    -------
    dict
        The content of dataset.json.

    Raises
    ------
    UserError
        The archive is missing or is not the published one, or a (class, group) cell of a split would be empty.
    """
    if settings.archive and archive is None:
        raise UserError(f"data: {settings.kind} is made from {settings.archive}; give its path as --archive")
    prepared = import_module(settings.implementation).prepare(settings, archive)
    prepared = set_aside_validation(prepared, settings.validation, settings.split_seed, name=Path(folder).name)
    return write_dataset(folder, prepared, settings.to_json())


def set_aside_validation(prepared: Prepared, share: float, seed: int, *, name: str) -> Prepared:
    """Move a share of the training images to the validation split.

    Of the m training images of each (class, group) cell, exactly round(share * m) are moved. They are the first in a
    random order of the cell that depends on `seed` and not on `share`, so a larger validation split contains a smaller
    one.

    An image that has a byte-identical copy in the data set (column `content` of the samples) stays in training. No copy
    of a validation image is therefore in training or in the test split. The test split does not change.

    Parameters
    ----------
    prepared
        A data set with the splits "train" and "test"; it is left as it is.
    share
        In [0, 1); 0 makes no validation split.
    seed
        Decides which images are moved.
    name
        Name of the data set, for messages.

    Raises
    ------
    UserError
        A cell has fewer images without a copy than would have to be moved.
    """
    if share == 0:
        return prepared
    samples = prepared.samples.reset_index(drop=True)
    training = samples[samples["split"] == "train"]
    has_copy = np.zeros(len(samples), dtype=bool)
    if "content" in samples:
        has_copy = samples["content"].duplicated(keep=False).to_numpy()
    moved = np.zeros(len(samples), dtype=bool)
    for (label, group), cell in training.groupby(["label", "group"]):
        wanted = round(share * len(cell))
        candidates = cell.index[~has_copy[cell.index]].to_numpy()
        if len(candidates) < wanted:
            raise UserError(
                f"data: {name} needs {wanted} validation images of the cell "
                f"{_cell_name(prepared, label, group)}, which has only {len(candidates)} training images without a "
                f"copy; lower `validation`, which is {share:g}"
            )
        order = np.random.default_rng([seed, VALIDATION_DRAW, label, group]).permutation(len(candidates))
        moved[candidates[order[:wanted]]] = True
    notes = dict(prepared.notes)
    if n_copies := int(has_copy[training.index].sum()):
        notes["images_kept_out_of_validation_as_they_have_copies"] = n_copies
    samples["split"] = samples["split"].mask(moved, "validation")
    return replace(prepared, samples=samples, notes=notes)


def write_dataset(folder: Path | str, prepared: Prepared, settings: Mapping) -> dict:
    """Write a data set to a folder: images.npy, samples.parquet and dataset.json.

    Files that are already in the folder are replaced only after all three new ones are complete.

    Parameters
    ----------
    folder
        Where the files go; its name is the name of the data set in messages.
    prepared
        The data set; its validation split is drawn already.
    settings
        The settings of the data set as JSON holds them, `kind` among them; dataset.json records them.

    Returns
    -------
    dict
        The content of dataset.json.

    Raises
    ------
    UserError
        A (class, group) cell is empty in a split.
    """
    folder = Path(folder)
    samples = prepared.samples[list(SAMPLE_TYPES)].astype(SAMPLE_TYPES)
    samples.insert(0, "sample_id", np.arange(len(samples), dtype=np.int32))
    counts = {split: _count_cells(samples[samples["split"] == split], prepared) for split in SPLITS}
    if not settings.get("validation") and not counts["validation"].any():
        del counts["validation"]
    _refuse_empty_cells(folder.name, counts, prepared)
    # The files are renamed into place in the opposite order. dataset.json comes last, because it holds the digest that
    # shows whether the other two belong to it.
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
            "sha256": dataset_digest(np.load(images_file, mmap_mode="r"), samples),
            "source": prepared.source,
            "notes": prepared.notes,
        }
        info_file.write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")
    return info


def describe(info: Mapping) -> str:
    """Return the main content of dataset.json as text: images per split and cell, and the notes."""
    total = sum(np.sum(counts) for counts in info["counts"].values())
    lines = [f"{info['kind']}: {total} images of {info['image_size']} x {info['image_size']} px"]
    for split, counts in info["counts"].items():
        cells = pd.DataFrame(counts, index=info["classes"], columns=info["groups"])
        lines += ["", f"{split}: {cells.to_numpy().sum()} images, by class and group", cells.to_string()]
    if info["notes"]:
        lines += ["", "notes (in full in dataset.json):"]
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


def _cell_name(prepared: Prepared, label: int, group: int) -> str:
    return f"({prepared.classes[label]}, {prepared.groups[group]})"


def _refuse_empty_cells(name: str, counts: Mapping[str, NDArray], prepared: Prepared) -> None:
    remedies = {
        "train": "change the settings that take images from it, such as `validation`, or bring `skew` nearer to 0.5",
        "validation": "raise `validation`",
        "test": "raise the setting for the number or share of test images",
    }
    for split, table in counts.items():
        for label, group in np.argwhere(table == 0):
            raise UserError(
                f"data: {name} has no image in the cell {_cell_name(prepared, label, group)} of its {split} split, and "
                f"every (class, group) cell needs one; {remedies[split]}"
            )


def _write_images(path: Path, prepared: Prepared, train: pd.Series) -> tuple[NDArray, NDArray]:
    """Write images.npy, and return the mean and standard deviation of the training images, each (3,).

    The file is written through a file object and not as a memory map: on a full disk a write raises an error, whereas
    storing to a mapped page kills the process.
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
