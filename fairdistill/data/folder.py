"""Images of one's own: a folder of files, and a table with the class and the group of each.

The steps, each of which adds to one report of problems:

1. The table is read, its paths are looked up in the folder, and classes and groups are made from its columns.
2. Every image is decoded once, to find those that cannot be, and the copies. Where the table alone rules the data set
   out, nobody waits for that.
3. The splits are taken from the table or drawn.
4. The images are decoded once more, at the size of the data set, while they are written. So no more than a few are in
   memory, and no others are ever on the disk.
"""

import bisect
import hashlib
import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairdistill.data.family_splits import draw_tests, draw_validation, join_families
from fairdistill.data.folder_rows import MANY_NUMBERS, different_numbers, read_rows
from fairdistill.data.label_table import DOUBTFUL, read_label_table
from fairdistill.data.near_copies import Description, describe, families_of
from fairdistill.data.preparing import Prepared
from fairdistill.data.problems import IN_ERROR, Problems
from fairdistill.data.reading import SPLITS
from fairdistill.evaluation.power import ACCURACY, POWER, images_for, smallest_difference
from fairdistill.runtime.errors import UserError, printable
from fairdistill.runtime.files import sha256
from fairdistill.runtime.folders import files_in, finder
from fairdistill.runtime.parallel import in_threads
from fairdistill.runtime.pictures import UndecodableError, decode
from fairdistill.runtime.progress import Progress, log
from fairdistill.settings.data import Folder

DESCRIBED_PX = 64  # at which images are compared
LEAST_TESTED = 10  # images of a cell; with fewer not even a DEO of 0.5 is seen
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
    # by column, the setting that names it
    given = {settings.image: "image", settings.label: "label", **dict.fromkeys(settings.group, "group")}
    given |= {getattr(settings, name): name for name in ("split", "subject") if getattr(settings, name) is not None}
    table = read_label_table(labels, {column: f"the setting {name}" for column, name in given.items()})
    problems = Problems(labels, table.numbered, skip=settings.on_error == "skip")
    problems.of_rows("rows with more or fewer fields than the header", table.ragged, [""] * len(table.ragged))
    rows, classes, groups, subjects = read_rows(table, settings, finder(images, files), _least(settings), problems)
    alone = {"the label": classes, f"the group ({', '.join(settings.group)})": groups}
    found = [f"{what} is always {names[0]}" for what, names in alone.items() if len(names) == 1]
    problems.of_data_set("columns with one value", found, "there have to be two classes and two groups at least")
    # these rows count again once they are mended
    mendable = 0 if problems.skip else sum(map(len, problems.rows.values()))
    if problems.whole or _is_impossible(rows, mendable, len(classes) * len(groups), settings):
        log("the images are not read, as the table alone makes no data set")
        rows = rows.assign(content=rows["image_id"], copy=np.unique(rows["image_id"], return_inverse=True)[1])
    else:
        rows = _look_at_images(images, rows, settings, problems)
    rows = _without_contradictions(rows, problems)
    if settings.subject is not None and not rows.empty:
        rows["subject"] = _people(subjects, rows)
    notes: dict = {}
    splits: dict[str, NDArray] = {}
    if rows.empty:
        problems.of_data_set(EMPTY_CELLS, ["all"], "mend the table, or name another folder")
    elif settings.split is None:
        rows, splits = _drawn_splits(rows, classes, groups, settings, problems, notes)
    else:
        rows, splits = _given_splits(rows, classes, groups, settings, problems, notes)
    if problems.rows or problems.whole:
        _advise_bins(table.values, settings, problems)
        print(problems.report(), flush=True)
        problems.refuse()
        log(f"warning: {problems.left_out(of=len(table.values) + len(table.ragged))}")
    samples = rows.assign(**splits)
    used = samples[(samples[list(splits)] != "").any(axis=1)]
    _note_doubtful(table.values.loc[used.index, list(given)[1:]], notes)
    counts = pd.concat([used[used[column] == "test"].groupby(["label", "group"]).size() for column in splits])
    _warn_of_small_tests(counts, classes, groups, notes)
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


def _is_impossible(rows: pd.DataFrame, mendable: int, n_cells: int, settings: Folder) -> bool:
    """Whether the table alone rules a data set out: of the images that rows name, some can only turn out to be none.

    Parameters
    ----------
    mendable
        The number of the other rows that may come to be rows of any cell.
    """
    images = rows.drop_duplicates(["image_id", "label", "group"])
    if settings.split is None:
        sizes, least = [images.groupby(["label", "group"]).size()], _least(settings)
    else:
        marked = (images["split"] == "validation").any()
        # validation is either marked or set; rows that are marked may be left out, and those to be mended be marked
        uncertain = settings.on_error == "skip" if marked else mendable
        if marked == (settings.validation is not None) and not uncertain:
            return True
        splits = ["train", "test", *["validation"] * bool(marked)]
        sizes, least = [images[images["split"] == one].groupby(["label", "group"]).size() for one in splits], 1
    return any((0 if len(size) < n_cells else size.min()) + mendable < least for size in sizes)


def _least(settings: Folder) -> int:
    """The images of a cell without which no test split is drawn, or without which the table's splits lack it."""
    if settings.split is not None:
        return 2 + settings.has_validation
    per_cell, folds = settings.test_per_cell, settings.folds
    return per_cell * folds + 1 if per_cell else LEAST_TESTED * max(2, folds)


def _warn_of_small_tests(counts: pd.Series, classes: list[str], groups: list[str], notes: dict) -> None:
    """Say which cells have so few test images, by the user's own choice, that their accuracy shows next to nothing.

    Parameters
    ----------
    counts
        The number of test images by class and group, of each fold.
    """
    small = counts[counts < LEAST_TESTED].groupby(["label", "group"]).min()
    if small.empty:
        return
    names = [
        printable(f"({classes[label]}, {groups[group]}) {n}")
        for (label, group), n in zip(small.index, small, strict=True)
    ]
    notes[f"cells_with_fewer_than_{LEAST_TESTED}_test_images"] = {"count": len(names), "names": names}
    shown = ", ".join(names[:IN_ERROR] + ["..."] * (len(names) > IN_ERROR))
    log(
        f"warning: cells with fewer than {LEAST_TESTED} test images, of which a test shows next to nothing: "
        f"{len(names)} ({shown})"
    )


def _people(subjects: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """The family of each row: those whom its image shows, and all with whom one of them shares an image of the rows.

    Each row may name another person in one image, and later only the first row of an image is left. A row that was left
    out still says whom an image shows.
    """
    seen = subjects[subjects["image_id"].isin(rows["image_id"])]
    families = join_families([seen["image_id"].to_numpy(), seen["subject"].to_numpy()])
    return pd.Series(families, index=seen.index)[rows.index]


def _look_at_images(images: Path, rows: pd.DataFrame, settings: Folder, problems: Problems) -> pd.DataFrame:
    """Return the rows whose images can be decoded, with the columns content, a digest, and copy, the family of it."""
    names = rows["image_id"].unique()
    log(f"reading {len(names)} images")
    results = in_threads(lambda name: _see(images / name), names)
    seen = dict(zip(names, Progress("reading images", len(names)).counting(results), strict=True))
    problem = rows["image_id"].map(lambda name: seen[name].problem)
    failing = rows.index[problem != ""]
    details = [f"{rows['image_id'][row]} ({problem[row]})" for row in failing]
    problems.of_rows("files that cannot be decoded", failing, details)
    rows = rows.drop(index=failing)
    content = rows["image_id"].map(lambda name: seen[name].content)
    copy: pd.Series | NDArray[np.int64] = content
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
        f"{rows['image_id'][row]} is as in {problems.numbered} {first[row] if row > first[row] else last[row]}"
        for row in wrong
    ]
    problems.of_rows("images with two classes or groups", wrong, details)
    return rows.drop(index=wrong)


def _drawn_splits(
    rows: pd.DataFrame, classes: list[str], groups: list[str], settings: Folder, problems: Problems, notes: dict
) -> tuple[pd.DataFrame, dict[str, NDArray]]:
    """Return the rows without repetitions, and the splits of each fold, drawn."""
    rows = _without_repetitions(rows, problems, notes)
    names = _cells(classes, groups)
    cell = (rows["label"] * len(groups) + rows["group"]).to_numpy()
    consistent = _are_consistent(rows)
    family = join_families([rows["copy"].to_numpy(), *([rows["subject"].to_numpy()] if "subject" in rows else [])])
    # an image is tested once, whatever the order of the rows, and not at all where its copies contradict each other
    eligible = (consistent & ~rows.sort_values("image_id")["copy"].duplicated().reindex(rows.index)).to_numpy()
    draw = partial(_draw, rows["image_id"].to_numpy(dtype=str), cell, family, eligible, names, settings)
    folds = settings.folds
    supply = np.bincount(cell[eligible], minlength=len(names))
    smallest = int(supply.min())
    wanted = images_for(settings.visible_deo, groups=len(groups), classes=len(classes))
    per_cell = settings.test_per_cell or min(wanted, smallest // max(2, folds))
    least = _least(settings)
    if (supply < least).any():
        splits: dict[str, NDArray] = {}
        empty: list[str] = []
        without = [name for name, n in zip(names, supply, strict=True) if n == 0]
        problems.of_data_set(EMPTY_CELLS, without, "every (class, group) cell needs images: join classes or groups")
        small = [f"{name} {n}" for name, n in zip(names, supply, strict=True) if 0 < n < least]
        why = f"each needs {least} images that may be tested"
    else:
        splits, empty, small = draw(per_cell)
        why = f"there are too few {'images' if settings.subject is None else 'subjects'} for a split of each cell"
    if empty or small:
        # at most half of the smallest cell; where that leaves a split without images, less
        sizes = range(1, min(smallest // 2, (smallest - 1) // folds) + 1)
        size = bisect.bisect_left(sizes, x=True, key=lambda size: any(draw(size)[1:]))
        shown = " (of so few a test shows next to nothing)" if size < LEAST_TESTED else ""
        ways = ["join classes or groups"] + [f"set test_per_cell to {size}{shown}"] * (size > 0)
        ways += ["lower folds"] * (folds > 1) + _another_validation(empty, settings)
        for kind, found in ((EMPTY_CELLS, empty), (SMALL_CELLS, small)):
            problems.of_data_set(kind, found, f"{why}: {', or '.join(ways)}")
    if not consistent.all():
        notes["images_that_are_not_tested_as_copies_of_them_have_other_classes_or_groups"] = _named(
            rows["image_id"][~consistent]
        )
    _note_copies(rows, splits, settings, problems, notes)
    return rows, splits


def _are_consistent(rows: pd.DataFrame) -> pd.Series:
    """Whether all copies of each image have one class and group."""
    return (rows.groupby("copy")[["label", "group"]].transform("nunique") == 1).all(axis=1)


def _draw(
    images: NDArray,
    cell: NDArray,
    family: NDArray,
    eligible: NDArray,
    names: list[str],
    settings: Folder,
    per_cell: int,
) -> tuple[dict[str, NDArray], list[str], list[str]]:
    """Return the splits of each fold with so many test images of each cell, and what `_lacking` says of all of them."""
    seed = settings.split_seed
    splits = draw_tests(images, cell, family, eligible, per_cell=per_cell, folds=settings.folds, seed=seed)
    empty: list[str] = []
    small: list[str] = []
    for fold, column in enumerate(splits):
        if settings.validation:
            splits[column] = draw_validation(
                images, splits[column], cell, family, share=settings.validation, fold=fold, seed=seed
            )
        of_fold = f"fold {fold}: " if settings.folds > 1 else ""
        for found, of_this in zip(
            (empty, small), _lacking(splits[column], cell, per_cell, names, settings), strict=True
        ):
            found += [of_fold + one for one in of_this]
    return splits, empty, small


def _note_copies(
    rows: pd.DataFrame, splits: dict[str, NDArray], settings: Folder, problems: Problems, notes: dict
) -> None:
    """Note which images were taken for copies, and which of the rows are in no split because of others."""
    copied = rows[rows.groupby("copy")["copy"].transform("size") > 1]
    if settings.duplicates == "drop_near" and len(copied) > len(rows) / 10:
        _advise_on_cells(LOOK_ALIKE, problems)
    if not copied.empty:
        what = "copies_or_near-copies_of_others" if settings.duplicates == "drop_near" else "copies_of_others"
        ordered = copied.sort_values(["copy", "image_id"])
        first = ordered.groupby("copy")["image_id"].transform("first")
        pairs = zip(ordered["image_id"], first, strict=True)
        notes[f"images_that_are_{what},_which_are_in_the_same_split_or_left_out"] = {
            "count": len(copied),
            "names": [printable(name if name == of else f"{name} = {of}") for name, of in pairs],
        }
    left_out = np.any([np.zeros(len(rows), dtype=bool), *(split == "" for split in splits.values())], axis=0)
    if left_out.any():
        what = "a_copy_of_them" if settings.subject is None else "a_copy_of_them_or_another_image_of_their_subject"
        where = "_in_one_of_the_folds" * (settings.folds > 1)
        notes[f"images_left_out{where}_because_{what}_is_tested"] = _named(rows["image_id"][left_out])


def _named(images: pd.Series) -> dict:
    """The number and the names of some images, as the notes of a data set have them."""
    return {"count": len(images), "names": sorted(map(printable, images))}


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
            f"{rows['image_id'][row]} is in {rows['split'][row]}, and {problems.numbered} {other[row]:.0f} in "
            f"{PRECEDENCE[int(leading[row])]}"
            for row in rows.index[wrong]
        ]
        problems.of_rows(kind, rows.index[wrong], details)
        lost |= wrong
        if key == "copy" and wrong.any() and settings.duplicates == "drop_near":
            problems.advise(kind, LOOK_ALIKE)
    rows = _without_repetitions(rows[~lost], problems, notes)
    cell = (rows["label"] * len(groups) + rows["group"]).to_numpy()
    split = rows["split"].to_numpy(dtype=str)
    if settings.validation:
        split = draw_validation(
            rows["image_id"].to_numpy(dtype=str),
            split,
            cell,
            join_families(rows[key].to_numpy() for key in keys),
            share=settings.validation,
            fold=0,
            seed=settings.split_seed,
        )
    _note_copies(rows, {}, settings, problems, notes)
    contradicted = rows["image_id"][~_are_consistent(rows) & (rows["split"] == "test")]
    if len(contradicted):
        notes["test_images_of_which_copies_have_other_classes_or_groups"] = _named(contradicted)
    empty, _ = _lacking(split, cell, 1, _cells(classes, groups), settings)
    ways = [f"change the column {settings.split}", "join classes or groups", *_another_validation(empty, settings)]
    remedy = f"every (class, group) cell needs an image in each split: {', or '.join(ways)}"
    problems.of_data_set(EMPTY_CELLS, empty, remedy)
    return rows, {"split": split}


def _without_repetitions(rows: pd.DataFrame, problems: Problems, notes: dict) -> pd.DataFrame:
    repeated = rows["image_id"].duplicated()
    if repeated.any():
        names = [printable(f"{problems.numbered} {row}: {name}") for row, name in rows["image_id"][repeated].items()]
        key = "rows_left_out_as_they_repeat_the_image_of_an_earlier_row"
        notes[key] = {"count": len(names), "names": names}
    return rows[~repeated]


def _lacking(
    split: NDArray, cell: NDArray, tested: int, names: list[str], settings: Folder
) -> tuple[list[str], list[str]]:
    """Describe the cells that lack a split that there should be, and those with fewer than `tested` test images."""
    counts = {one: np.bincount(cell[split == one], minlength=len(names)) for one in SPLITS}
    if not (settings.validation or counts["validation"].any()):
        del counts["validation"]
    empty = [
        f"{name} in {one}" for one, table in counts.items() for name, n in zip(names, table, strict=True) if n == 0
    ]
    of_test = zip(names, counts["test"], strict=True)
    return empty, [f"{name} in test ({n} of {tested})" for name, n in of_test if 0 < n < tested]


def _another_validation(empty: list[str], settings: Folder) -> list[str]:
    """Which other share of validation would fill the cells that have no image in a split; none where it has no part."""
    if not settings.validation:
        return []
    if any(one.endswith("in train") for one in empty):
        return ["lower validation"]
    return ["raise validation"] * any(one.endswith("in validation") for one in empty)


def _note_doubtful(values: pd.DataFrame, notes: dict) -> None:
    """Note the values that were taken for names of classes, groups and subjects, and may stand for missing ones."""
    found = {column: values.loc[values[column].str.casefold().isin(DOUBTFUL), column] for column in values.columns}
    if any(map(len, found.values())):
        notes["values_taken_for_names,_which_may_stand_for_missing_ones"] = {
            "count": sum(map(len, found.values())),
            "names": [
                printable(f"{value} in {column}, {n} times")
                for column, rows in found.items()
                for value, n in rows.value_counts().items()
            ],
        }


def _advise_bins(values: pd.DataFrame, settings: Folder, problems: Problems) -> None:
    """Say so where a column of many different numbers may be why cells are empty or small."""
    for column in (settings.label, *settings.group):
        numbers = different_numbers(values[column])
        if column not in settings.bins and numbers > MANY_NUMBERS:
            _advise_on_cells(f"give the column {column}, which has {numbers} different numbers, bins", problems)


def _advise_on_cells(remedy: str, problems: Problems) -> None:
    """Add what can be done about empty and small cells, where there are such."""
    for kind in (EMPTY_CELLS, SMALL_CELLS):
        if kind in problems.whole:
            problems.advise(kind, remedy)


def _cells(classes: list[str], groups: list[str]) -> list[str]:
    return [f"({label}, {group})" for label, group in itertools.product(classes, groups)]


def _decoded(images: Path, rows: pd.DataFrame, size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of the rows, each (size, size, 3)."""

    def decoded(row: tuple[str, str]) -> NDArray[np.uint8]:
        name, digest = row
        content = (images / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise UserError(f"{images / name}: was changed while the data set was made; do it again")
        return decode(content, size)

    pairs = zip(rows["image_id"], rows["content"], strict=True)
    yield from in_threads(decoded, pairs)
