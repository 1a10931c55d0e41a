"""Make a data set, draw its validation splits, and write it to a folder."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairdistill.data.reading import DESCRIPTION, SPLITS, dataset_digest, description_digest, split_columns
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import replacing
from fairdistill.runtime.own_files import content_of, images_named_in
from fairdistill.runtime.progress import Progress
from fairdistill.runtime.study_files import DATASET_RECORD, IMAGES, SAMPLES
from fairdistill.settings.data import OWN_FILES, DataSet
from fairdistill.settings.preprocess import IMAGENET_MEAN, IMAGENET_STD

CHANNELS = ("red", "green", "blue")
# The draws of the kinds are seeded with `split_seed` and a class or image number. This takes the place of that number
# for the validation split, and is larger than all of them, so that the split is independent of the other draws.
VALIDATION_DRAW = 2**31 - 1


@dataclass
class Prepared:
    """A data set that is not written yet.

    Attributes
    ----------
    samples
        One row per image, with the columns image_id (the image in the archive that this one was made from), label,
        group and those that `split_columns` names, one per fold: in which split the image is, "" for none. The modules
        of the kinds make the splits "train" and "test", and "validation" where one is published with the images;
        `set_aside_validation` makes some of the training images "validation". An optional column `family` holds a key
        that copies of one image share, and is needed where the archive holds an image under several names; it is not
        written.
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
    weighting
        How accuracy over all images weighs them: "images" alike, or all "cells" alike, where the test splits have more
        images of one (class, group) cell than of another and that is of no interest.
    remedy
        What to do where a (class, group) cell of a split is empty; None where splits are drawn, whose settings help.
    """

    samples: pd.DataFrame
    images: Iterable[NDArray[np.uint8]]
    image_size: int
    classes: list[str]
    groups: list[str]
    source: dict[str, str]
    notes: dict = field(default_factory=dict)
    weighting: str = "images"
    remedy: str | None = None

    @property
    def split_columns(self) -> list[str]:
        """The columns of the samples that hold the split of each fold."""
        return split_columns(max(1, sum(re.fullmatch(r"split\d+", str(name)) is not None for name in self.samples)))


def prepare_dataset(
    folder: Path | str,
    settings: DataSet,
    archives: Sequence[Path] = (),
    seed: int | None = None,
    content_cache: Path | None = None,
) -> dict:
    """Make a data set, draw its validation splits, and write it to a folder.

    Parameters
    ----------
    folder
        Where the three files go; its name is the name of the data set in messages.
    settings
        The settings of one kind of data set. Its `implementation` makes the data set.
    archives
        Paths of the archives, in the order of `settings.archives`, or of the user's own files, in that of
        `settings.settings_of_paths`.
    seed
        The seed of the models that the data set is for, where the settings make draws depend on it.
    content_cache
        The cache of `content_of` for the user's own files; dataset.json says what these held where it is given.

    Returns
    -------
    dict
        The content of dataset.json.

    Raises
    ------
    UserError
        An archive or a seed that is needed is missing, an archive is not the published one, or a (class, group) cell of
        a split would be empty; or the user's own files changed meanwhile.
    """
    made_from = settings.archives or settings.settings_of_paths
    if len(archives) != len(made_from):
        names = " ".join(made_from)
        what = (
            f"is made from {names}; give the path of each, in this order," if names else "needs no archive; give none"
        )
        raise UserError(f"data: {settings.kind} {what} as --archives")
    if settings.per_seed and seed is None:
        raise UserError("data: the settings draw a data set for each seed of the models; give that seed as --seed")
    drawn = settings.drawn_for(seed)
    content = content_cache and partial(_content, settings, archives, content_cache)
    before = content() if content else None
    prepared = import_module(settings.implementation).prepare(drawn, *archives)
    if content and before:
        images = _unless_changed(prepared.images, before, content, name=Path(folder).name)
        prepared = replace(prepared, source={**prepared.source, OWN_FILES: before}, images=images)
    prepared = set_aside_validation(prepared, drawn.validation, drawn.split_seed, name=Path(folder).name)
    return write_dataset(folder, prepared, settings.to_json(), seed=seed if settings.per_seed else None)


def _content(settings: DataSet, own_files: Sequence[Path], cache: Path) -> str:
    named = images_named_in(*settings.own_table) if settings.own_table else None
    return content_of(own_files, cache, named).digest


def _unless_changed(
    images: Iterable[NDArray[np.uint8]], before: str, content: Callable[[], str], *, name: str
) -> Iterator[NDArray[np.uint8]]:
    """Yield the images, and raise an error where the user's own files hold something else after the last."""
    yield from images
    if content() != before:
        raise UserError(f"data: the files that {name} is made from were changed meanwhile; run the same command again")


def set_aside_validation(prepared: Prepared, share: float | None, seed: int, *, name: str) -> Prepared:
    """Move a share of the training images of each fold to its validation split.

    Of the m training images of each (class, group) cell, exactly round(share * m) are moved. They are the first in a
    random order of the cell that depends on `seed` and not on `share`, so a larger validation split contains a smaller
    one.

    An image that has a copy in the data set (column `family` of the samples) stays in training. No copy of a validation
    image is therefore in training or in the test split. The test splits do not change.

    Parameters
    ----------
    prepared
        A data set with the splits "train" and "test"; it is left as it is. Where it has a validation split already,
        nothing is drawn.
    share
        In [0, 1); 0 and None make no validation split.
    seed
        Decides which images are moved.
    name
        Name of the data set, for messages.

    Raises
    ------
    UserError
        A cell has fewer images without a copy than would have to be moved.
    """
    if not share or (prepared.samples[prepared.split_columns] == "validation").any(axis=None):
        return prepared
    samples = prepared.samples.reset_index(drop=True)
    has_copy = np.zeros(len(samples), dtype=bool)
    if "family" in samples:
        has_copy = (samples.groupby("family")["image_id"].transform("nunique") > 1).to_numpy()
    n_copies = 0
    for fold, column in enumerate(prepared.split_columns):
        training = samples[samples[column] == "train"]
        moved = np.zeros(len(samples), dtype=bool)
        for key, cell in training.groupby(["label", "group"]):
            # the types of pandas say no more of a key than that it can be hashed
            label, group = cast(tuple[int, int], key)
            wanted = round(share * len(cell))
            candidates = cell.index[~has_copy[cell.index]].to_numpy()
            if len(candidates) < wanted:
                raise UserError(
                    f"data: {name} needs {wanted} validation images of the cell "
                    f"{_cell_name(prepared, label, group)}{_in_fold(prepared, fold)}, which has only {len(candidates)} "
                    f"training images without a copy; lower `validation`, which is {share:g}"
                )
            # of the first fold alone: without the fold's number, as where there is one split
            draw = [seed, VALIDATION_DRAW, label, group, *[fold] * bool(fold)]
            order = np.random.default_rng(draw).permutation(len(candidates))
            moved[candidates[order[:wanted]]] = True
        n_copies = max(n_copies, int(has_copy[training.index].sum()))
        samples[column] = samples[column].mask(moved, "validation")
    notes = dict(prepared.notes)
    if n_copies:
        notes["images_kept_out_of_validation_as_they_have_copies"] = n_copies
    return replace(prepared, samples=samples, notes=notes)


def write_dataset(folder: Path | str, prepared: Prepared, settings: Mapping, *, seed: int | None = None) -> dict:
    """Write a data set to a folder: images.npy, samples.parquet and dataset.json.

    Files that are already in the folder are replaced only after all three new ones are complete.

    Parameters
    ----------
    folder
        Where the files go; its name is the name of the data set in messages.
    prepared
        The data set; its validation splits are drawn already.
    settings
        The settings of the data set as JSON holds them, `kind` among them; dataset.json records them.
    seed
        The seed of the models that the data set is for; None where it is for all. dataset.json records it.

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
    columns = prepared.split_columns
    types = {"image_id": "str", **dict.fromkeys(columns, "str"), "label": "int16", "group": "int16"}
    samples = prepared.samples[list(types)].astype(types)
    samples.insert(0, "sample_id", np.arange(len(samples), dtype=np.int32))
    counts = []
    for fold, column in enumerate(columns):
        counts.append({split: _count_cells(samples[samples[column] == split], prepared) for split in SPLITS})
        if not settings.get("validation") and not counts[-1]["validation"].any():
            del counts[-1]["validation"]
        _refuse_empty_cells(folder.name, fold, counts[-1], prepared, settings)
    # The files are renamed into place in the opposite order. dataset.json comes last, because it holds the digest that
    # shows whether the other two belong to it.
    with (
        replacing(folder / DATASET_RECORD) as info_file,
        replacing(folder / SAMPLES) as samples_file,
        replacing(folder / IMAGES) as images_file,
    ):
        moments, pixels = _write_images(images_file, prepared, (samples[columns] == "train").to_numpy())
        normalise = settings.get("normalise", "train")
        if normalise == "train":
            _refuse_plain_channels(folder.name, moments, prepared)
        samples.to_parquet(samples_file, index=False)
        info = {
            "kind": settings["kind"],
            "settings": dict(settings),
            "classes": prepared.classes,
            "groups": prepared.groups,
            "image_size": prepared.image_size,
            "crop": settings.get("crop"),
            "crop_test": settings.get("crop_test", "centre"),
            "images": len(samples),
            "weighting": prepared.weighting,
            "for_seed": seed,
            "folds": [
                {
                    **dict(zip(("mean", "std"), _normalisation(normalise, *of_fold), strict=True)),
                    "counts": {split: table.tolist() for split, table in tables.items()},
                }
                for of_fold, tables in zip(moments, counts, strict=True)
            ],
            "sha256": dataset_digest(pixels, samples),
            "source": prepared.source,
            "notes": prepared.notes,
        }
        # as it will be read
        info = json.loads(json.dumps(info))
        info[DESCRIPTION] = description_digest(info)
        info_file.write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")
    return info


def describe(info: Mapping) -> str:
    """Return the main content of dataset.json as text: images per split and cell, and the notes."""
    folds = info["folds"]
    total = info["images"]
    lines = [f"{info['kind']}: {total} images of {info['image_size']} x {info['image_size']} px"]
    for number, fold in enumerate(folds):
        for split, counts in fold["counts"].items():
            cells = pd.DataFrame(counts, index=info["classes"], columns=info["groups"])
            where = f"fold {number}, {split}" if len(folds) > 1 else split
            lines += ["", f"{where}: {cells.to_numpy().sum()} images, by class and group", cells.to_string()]
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


def _in_fold(prepared: Prepared, fold: int) -> str:
    """The fold in a message; nothing where there is one."""
    return f" in fold {fold}" * (len(prepared.split_columns) > 1)


def _refuse_empty_cells(
    name: str, fold: int, counts: Mapping[str, NDArray], prepared: Prepared, settings: Mapping
) -> None:
    where = _in_fold(prepared, fold)
    drawing = "`test_fraction` or `validation`" if "test_fraction" in settings else "`validation`"
    remedies = {
        "train": f"change the settings that take images from it, such as {drawing}, or bring `skew` nearer to 0.5"
        # few images a fold, all of which rounding puts into their majority group
        + ", or lower `folds`" * bool(where),
        "validation": "raise `validation`",
        "test": "lower `folds`" if where else "raise the setting for the number or share of test images",
    }
    for split, table in counts.items():
        for label, group in np.argwhere(table == 0):
            raise UserError(
                f"data: {name} has no image in the cell {_cell_name(prepared, label, group)} of its {split} split"
                f"{where}, and every (class, group) cell needs one; {prepared.remedy or remedies[split]}"
            )


def _refuse_plain_channels(name: str, moments: list[tuple[NDArray, NDArray]], prepared: Prepared) -> None:
    for fold, (_, std) in enumerate(moments):
        for channel in np.flatnonzero(std == 0):
            raise UserError(
                f"data: {name} has one value in all pixels of its training images in the channel {CHANNELS[channel]}"
                f"{_in_fold(prepared, fold)}, so they cannot be normalised by its deviation; change the settings that "
                "make the images, such as `contrast`, or set `normalise` to none"
            )


def _normalisation(normalise: str, mean: NDArray, std: NDArray) -> tuple[list[float], list[float]]:
    """The mean and standard deviation that images are normalised by, of those of the training images."""
    if normalise == "imagenet":
        return list(IMAGENET_MEAN), list(IMAGENET_STD)
    return ([0.0] * 3, [1.0] * 3) if normalise == "none" else (mean.tolist(), std.tolist())


def _write_images(
    path: Path, prepared: Prepared, train: NDArray[np.bool_]
) -> tuple[list[tuple[NDArray, NDArray]], "hashlib._Hash"]:
    """Write images.npy; one image at a time is in memory.

    The file is written through a file object and not as a memory map: on a full disk a write raises an error, whereas
    storing to a mapped page kills the process.

    Parameters
    ----------
    train
        (images, folds) whether an image is in training.

    Returns
    -------
    moments
        The mean and standard deviation of each fold's training images, each (3,).
    pixels
        Their SHA-256, for `dataset_digest`.
    """
    size = prepared.image_size
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(train), size, size, 3)}
    total, squares = np.zeros((2, train.shape[1], 3))
    digest = hashlib.sha256()
    progress = Progress("writing images", len(train))
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for image, in_training in zip(progress.counting(prepared.images), train, strict=True):
            pixels = np.ascontiguousarray(image)
            file.write(pixels.data)
            digest.update(pixels.data)
            if in_training.any():
                values = pixels.reshape(-1, 3).astype(np.float64)
                total[in_training] += values.sum(axis=0)
                squares[in_training] += np.square(values).sum(axis=0)
    n = train.sum(axis=0)[:, None] * size * size
    mean = total / n
    # rounding may take the variance of equal values below zero or a little above; these sums are of whole numbers
    std = np.sqrt(np.where(squares * n == total**2, 0, squares / n - mean**2))
    return list(zip(mean / 255, std / 255, strict=True)), digest
