"""Images of one's own: a folder of files, and a table with the class and the group of each.

The steps, each of which adds to one report of problems:

1. The table is read, its paths are looked up in the folder, and classes and groups are made from its columns.
2. Every image is decoded once, to find those that cannot be, and the copies.
3. The splits are taken from the table or drawn.
4. The images are decoded once more, at the size of the data set, while they are written. So no more than a few are in
   memory, and no others are ever on the disk.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairdistill.data.family_splits import draw_tests, draw_validation, join_families
from fairdistill.data.folder_rows import finder, read_rows
from fairdistill.data.label_table import read_label_table
from fairdistill.data.near_copies import Description, describe, families_of
from fairdistill.data.preparing import Prepared
from fairdistill.data.problems import Problems
from fairdistill.data.reading import SPLITS
from fairdistill.evaluation.power import ACCURACY, POWER, images_for, smallest_difference
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import sha256
from fairdistill.runtime.folders import files_in
from fairdistill.runtime.parallel import in_threads
from fairdistill.runtime.pictures import UndecodableError, decode
from fairdistill.runtime.progress import Progress, log
from fairdistill.settings.data import Folder

DESCRIBED_PX = 64  # at which images are compared
LEAST_TESTED = 10  # images of a cell; with fewer not even a DEO of 0.5 is seen
MANY_NUMBERS = 20  # different ones in a column; more are measurements, and no names
# of copies in two splits the one in the first of these stays
PRECEDENCE = ["test", "validation", "train"]
IN_TWO_SPLITS = "copies of an image of another split"
EMPTY_CELLS = "empty cells"
SMALL_CELLS = "cells that are too small"
LOOK_ALIKE = "where images are no copies but only look alike, set duplicates to drop"


class _Seen(NamedTuple):
    """What is seen of an image's file: the digest of its content, what is compared, and why it cannot be decoded."""

    content: str
    description: Description | None
    problem: str


def prepare(settings: Folder, images: Path, labels: Path) -> Prepared:
    """Make a data set of one's own images.

    Parameters
    ----------
    settings
        See the class and docs/own_images.md.
    images
        The folder of the images.
    labels
        The table: CSV, TSV or Parquet.

    Raises
    ------
    UserError
        The folder or the table cannot be read, or has problems, of which the error names all kinds.
    """
    files = sorted(files_in(images))
    columns = [settings.image, settings.label, *settings.group, *filter(None, (settings.split, settings.subject))]
    values, numbered, ragged = read_label_table(labels, columns)
    problems = Problems(labels, numbered, skip=settings.on_error == "skip")
    problems.of_rows("rows with more or fewer fields than the header", ragged, [""] * len(ragged))
    rows, classes, groups = read_rows(values, settings, finder(images, files), problems)
    alone = {"the label": classes, f"the group ({', '.join(settings.group)})": groups}
    found = [f"{what} is always {names[0]}" for what, names in alone.items() if len(names) == 1]
    problems.of_data_set("columns with one value", found, "there have to be two classes and two groups at least")
    rows = _look_at_images(images, rows, settings, problems)
    rows = _without_contradictions(rows, problems)
    notes: dict = {}
    splits: dict[str, NDArray] = {}
    if rows.empty:
        problems.of_data_set(EMPTY_CELLS, ["all"], "mend the table, or name another folder")
    elif settings.split is None:
        rows, splits = _drawn_splits(rows, classes, groups, settings, problems, notes)
    else:
        rows, splits = _given_splits(rows, classes, groups, settings, problems, notes)
    if problems.rows or problems.whole:
        _advise_bins(values, settings, problems)
        print(problems.report(), flush=True)
        problems.refuse()
    samples = rows.assign(**splits)
    used = samples[(samples[list(splits)] != "").any(axis=1)]
    counts = pd.concat([used[used[column] == "test"].groupby(["label", "group"]).size() for column in splits])
    notes["test_images_of_the_smallest_cell"] = int(counts.min())
    notes[f"smallest_deo_m_that_could_be_seen_(power_{POWER},_accuracy_{ACCURACY})"] = smallest_difference(
        int(counts.min()), groups=len(groups), classes=len(classes)
    )
    contents = "".join(f"{row.image_id} {row.content}\n" for row in used.sort_values("image_id").itertuples())
    return Prepared(
        samples=used[["image_id", *splits, "label", "group"]],
        images=_decoded(images, used, settings.image_size),
        image_size=settings.image_size,
        classes=classes,
        groups=groups,
        source={"images": hashlib.sha256(contents.encode()).hexdigest(), "labels": sha256(labels)},
        notes={**problems.notes(), **notes},
    )


def _look_at_images(images: Path, rows: pd.DataFrame, settings: Folder, problems: Problems) -> pd.DataFrame:
    """Return the rows whose images can be decoded, with the columns content, a digest, and copy, the family of it."""
    names = rows["image_id"].unique()
    log(f"reading {len(names)} images")
    progress = Progress("reading images", len(names))
    seen: dict[str, _Seen] = {}
    for done, (name, one) in enumerate(zip(names, in_threads(lambda name: _see(images / name), names), strict=True), 1):
        seen[name] = one
        progress.step(done)
    problem = rows["image_id"].map(lambda name: seen[name].problem)
    failing = rows.index[problem != ""]
    details = [f"{rows.at[row, 'image_id']} ({problem[row]})" for row in failing]
    problems.of_rows("files that cannot be decoded", failing, details)
    rows = rows.drop(index=failing)
    content = rows["image_id"].map(lambda name: seen[name].content)
    copy: Sequence | NDArray = content
    if settings.duplicates == "drop_near":
        copy = families_of(seen[name].description for name in rows["image_id"])
    elif settings.duplicates == "keep":
        copy = rows["image_id"]
    return rows.assign(content=content, copy=np.unique(copy, return_inverse=True)[1])


def _see(path: Path) -> _Seen:
    try:
        content = path.read_bytes()
    except OSError as error:
        return _Seen("", None, error.strerror or "cannot be read")
    digest = hashlib.sha256(content).hexdigest()
    try:
        return _Seen(digest, describe(decode(content, DESCRIBED_PX)), "")
    except UndecodableError as error:
        return _Seen(digest, None, str(error))


def _without_contradictions(rows: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Return the rows less those of files with the same content that have different classes or groups."""
    by_content = rows.groupby("content")
    contradict = (by_content[["label", "group"]].transform("nunique") > 1).any(axis=1)
    number = pd.Series(rows.index, index=rows.index).groupby(rows["content"])
    first, last = number.transform("min"), number.transform("max")
    wrong = rows.index[contradict]
    details = [
        f"{rows.at[row, 'image_id']} is as in {problems.numbered} {first[row] if row > first[row] else last[row]}"
        for row in wrong
    ]
    problems.of_rows("images with two classes or groups", wrong, details)
    return rows.drop(index=wrong)


def _drawn_splits(
    rows: pd.DataFrame, classes: list[str], groups: list[str], settings: Folder, problems: Problems, notes: dict
) -> tuple[pd.DataFrame, dict[str, NDArray]]:
    """Return the rows without repetitions, and the splits of each fold, drawn."""
    rows = _without_repetitions(rows, notes)
    cell = (rows["label"] * len(groups) + rows["group"]).to_numpy()
    copies = rows.groupby("copy")
    consistent = (copies[["label", "group"]].transform("nunique") == 1).all(axis=1)
    family = join_families([rows["copy"].to_numpy(), *([rows["subject"].to_numpy()] if "subject" in rows else [])])
    # an image is tested once, and not at all where its copies contradict each other
    eligible = (consistent.groupby(family).transform("all") & ~rows["copy"].duplicated()).to_numpy()
    n_copies = int(copies["image_id"].transform("size").gt(1).sum())
    look_alike = settings.duplicates == "drop_near" and n_copies > len(rows) / 10
    folds = settings.folds
    supply = np.bincount(cell[eligible], minlength=len(classes) * len(groups))
    wanted = images_for(settings.visible_deo, groups=len(groups), classes=len(classes))
    per_cell = settings.test_per_cell or min(wanted, supply.min() // max(2, folds))
    least = per_cell * folds + 1 if settings.test_per_cell else LEAST_TESTED * max(2, folds)
    if (supply < least).any():
        _refuse_cells(supply, least, classes, groups, settings, problems)
        if look_alike:
            _advise_on_cells(LOOK_ALIKE, problems)
        notes.clear()
        return rows, {}
    splits = draw_tests(cell, family, eligible, per_cell=int(per_cell), folds=folds, seed=settings.split_seed)
    for fold, column in enumerate(splits):
        if settings.validation:
            splits[column] = draw_validation(
                splits[column], cell, family, share=settings.validation, fold=fold, seed=settings.split_seed
            )
        _refuse_empty_cells(splits[column], cell, per_cell, classes, groups, settings, problems)
    if look_alike:
        _advise_on_cells(LOOK_ALIKE, problems)
    if n_copies:
        notes["images_that_have_copies_all_on_one_side"] = n_copies
    left_out = max(int((split == "").sum()) for split in splits.values())
    if left_out:
        notes["images_left_out_as_copies_or_subjects_of_test_images"] = left_out
    return rows, splits


def _given_splits(
    rows: pd.DataFrame, classes: list[str], groups: list[str], settings: Folder, problems: Problems, notes: dict
) -> tuple[pd.DataFrame, dict[str, NDArray]]:
    """Return the rows that may stay, and their split as the table has it; validation is drawn if it is asked for."""
    marked = int((rows["split"] == "validation").sum())
    what, column = "validation splits that do not fit the settings", f"the column {settings.split}"
    if settings.validation is None and not marked:
        remedy = "set validation to a share of the training images, such as 0.1, or to 0 for none"
        problems.of_data_set(what, [f"{column} marks none"], remedy)
    if settings.validation is not None and marked:
        found = f"{column} marks {marked} images, and validation is {settings.validation:g}"
        problems.of_data_set(what, [found], "leave validation out")
    rank = rows["split"].map(PRECEDENCE.index)
    keys = {"copy": IN_TWO_SPLITS}
    if settings.subject is not None:
        keys["subject"] = "images of a subject of another split"
    lost = pd.Series(False, index=rows.index)
    for key, kind in keys.items():
        # what was left out leads no more
        ranks = rank[~lost].groupby(rows.loc[~lost, key])
        leading = ranks.transform("min").reindex(rows.index)
        wrong = rank > leading
        # the row that an image is a copy of, or has the subject of
        number = pd.Series(rows.index, index=rows.index).where(rank == leading)
        other = number.groupby(rows[key]).transform("min")
        details = [
            f"{rows.at[row, 'image_id']} is in {rows.at[row, 'split']}, and {problems.numbered} {other[row]:.0f} in "
            f"{PRECEDENCE[int(leading[row])]}"
            for row in rows.index[wrong]
        ]
        problems.of_rows(kind, rows.index[wrong], details)
        lost |= wrong
        if key == "copy" and wrong.any() and settings.duplicates == "drop_near":
            problems.advise(kind, LOOK_ALIKE)
    rows = _without_repetitions(rows[~lost], notes)
    cell = (rows["label"] * len(groups) + rows["group"]).to_numpy()
    split = rows["split"].to_numpy(dtype=str)
    if settings.validation:
        keys = [rows[key].to_numpy() for key in keys]
        split = draw_validation(
            split, cell, join_families(keys), share=settings.validation, fold=0, seed=settings.split_seed
        )
    _refuse_empty_cells(split, cell, 1, classes, groups, settings, problems)
    return rows, {"split": split}


def _without_repetitions(rows: pd.DataFrame, notes: dict) -> pd.DataFrame:
    repeated = rows["image_id"].duplicated()
    if repeated.any():
        notes["rows_that_repeat_the_image_of_an_earlier_row"] = int(repeated.sum())
    return rows[~repeated]


def _refuse_cells(
    supply: NDArray, least: int, classes: list[str], groups: list[str], settings: Folder, problems: Problems
) -> None:
    """Add the cells that have no image, or fewer than `least` that may be tested; `supply` (cells,) says how many."""
    names = _cells(classes, groups)
    problems.of_data_set(
        EMPTY_CELLS,
        [name for name, n in zip(names, supply, strict=True) if n == 0],
        "every (class, group) cell needs images: join classes or groups",
    )
    small = [f"{name} {n}" for name, n in zip(names, supply, strict=True) if 0 < n < least]
    remedy = f"each needs {least} images that may be tested: join classes or groups, or " + (
        "lower test_per_cell" if settings.test_per_cell else "set test_per_cell below the smallest"
    )
    problems.of_data_set(SMALL_CELLS, small, remedy + " or folds" * (settings.folds > 1))


def _refuse_empty_cells(
    split: NDArray,
    cell: NDArray,
    tested: int,
    classes: list[str],
    groups: list[str],
    settings: Folder,
    problems: Problems,
) -> None:
    """Add the cells that have no image in a split that there should be, or fewer than `tested` in the test split."""
    names = _cells(classes, groups)
    counts = {one: np.bincount(cell[split == one], minlength=len(names)) for one in SPLITS}
    if not (settings.validation or counts["validation"].any()):
        del counts["validation"]
    if settings.split is not None:
        remedy = f"every (class, group) cell needs an image in each split: change the column {settings.split}"
    elif settings.subject is not None:
        remedy = "there are too few subjects for a split of each cell: lower test_per_cell, or join classes or groups"
    else:
        remedy = "lower test_per_cell or join classes or groups"
    found = [(name, one, n) for one, table in counts.items() for name, n in zip(names, table, strict=True)]
    empty = {one: [f"{name} in {one}" for name, of, n in found if of == one and n == 0] for one in counts}
    if settings.validation and (empty["train"] or empty["validation"]):
        remedy += f", or {'lower' if empty['train'] else 'raise'} validation"
    problems.of_data_set(EMPTY_CELLS, [name for of_split in empty.values() for name in of_split], remedy)
    small = [f"{name} in {one} ({n} of {tested})" for name, one, n in found if one == "test" and 0 < n < tested]
    problems.of_data_set(SMALL_CELLS, small, remedy)


def _advise_bins(values: pd.DataFrame, settings: Folder, problems: Problems) -> None:
    """Say so where a column of many different numbers may be why cells are empty or small."""
    for column in (settings.label, *settings.group):
        numbers = pd.to_numeric(values[column], errors="coerce").dropna().nunique()
        if column not in settings.bins and numbers > MANY_NUMBERS:
            _advise_on_cells(f"the column {column} has {numbers} different numbers: give it bins", problems)


def _advise_on_cells(remedy: str, problems: Problems) -> None:
    """Add what can be done about empty and small cells, where there are such."""
    for kind in (EMPTY_CELLS, SMALL_CELLS):
        if kind in problems.whole:
            problems.advise(kind, remedy)


def _cells(classes: list[str], groups: list[str]) -> list[str]:
    return [f"({label}, {group})" for label, group in itertools.product(classes, groups)]


def _decoded(images: Path, rows: pd.DataFrame, size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of the rows, each (size, size, 3)."""
    progress = Progress("writing images", len(rows))

    def decoded(row: tuple[str, str]) -> NDArray[np.uint8]:
        name, digest = row
        content = (images / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise UserError(f"{images / name}: was changed while the data set was made; do it again")
        return decode(content, size)

    pairs = zip(rows["image_id"], rows["content"], strict=True)
    for done, image in enumerate(in_threads(decoded, pairs), 1):
        progress.step(done)
        yield image
