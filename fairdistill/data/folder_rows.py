"""The rows of a table of images: their files in the folder, their classes and groups."""

import itertools
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairdistill.data.label_table import LabelTable
from fairdistill.data.problems import LONGEST, Problems
from fairdistill.settings.data import Folder

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
MANY_NUMBERS = 20  # different ones in a column; more are measurements, and no names
# numbers as spreadsheets of many countries write them
WITH_COMMA = r"[-+]?[\d.]*,\d+"


class Rows(NamedTuple):
    """What a table says of its images.

    Attributes
    ----------
    rows
        The rows without a problem: image_id, label and group, both as numbers, and split and subject where there are
        such.
    classes, groups
        Their names.
    subjects
        image_id and subject of all rows that have both, also of those with a problem; none without such a column.
    """

    rows: pd.DataFrame
    classes: list[str]
    groups: list[str]
    subjects: pd.DataFrame


def read_rows(
    table: LabelTable, settings: Folder, find: Callable[[str], str | None], least: int, problems: Problems
) -> Rows:
    """Return what a table says of its images, and report the rows with a problem.

    Parameters
    ----------
    find
        Returns the file that a path stands for: "" where it leads out of the folder, None where there is none.
    least
        The images without which a (class, group) cell cannot be split.
    """
    values = table.values
    wrong = pd.Series(False, index=values.index)

    def refuse(kind: str, where: pd.Series, details: Iterable[str] | None = None) -> None:
        rows = where.index[where & ~wrong]
        shown = [""] * len(rows) if details is None else pd.Series(details, index=values.index)[rows]
        problems.of_rows(kind, rows, shown)
        wrong.loc[where] = True

    name = values[settings.image]
    path = pd.Series([find(one) if one else None for one in name], index=values.index, dtype=object)
    refuse("rows without the path of an image", name == "")
    refuse("paths that lead out of the folder", path == "", name)
    refuse("missing files", path.isna(), name)
    refuse("empty classes", values[settings.label] == "", name)
    refuse("empty groups", (values[settings.group] == "").any(axis=1), name)
    for column in (settings.label, *settings.group):
        # such as a description, or what a quotation mark that is not closed has taken in
        refuse(f"values of {column} of more than {LONGEST} characters", values[column].str.len() > LONGEST, name)
    _advise_on_missing("empty classes", [settings.label], table, problems)
    _advise_on_missing("empty groups", settings.group, table, problems)
    for column in settings.bins:
        kind = f"values of {column} that are no numbers"
        refuse(kind, ~np.isfinite(pd.to_numeric(values[column], errors="coerce")), values[column])
        if values[column].str.fullmatch(WITH_COMMA).any():
            problems.advise(kind, "write numbers with a decimal point, as 20.5, and without any comma")
    rows = pd.DataFrame({"image_id": path})
    subjects = pd.DataFrame({"image_id": [], "subject": []})
    if settings.subject is not None:
        refuse("rows without a subject", values[settings.subject] == "", name)
        _advise_on_missing("rows without a subject", [settings.subject], table, problems)
        rows["subject"] = values[settings.subject]
        subjects = rows[(path.fillna("") != "") & (rows["subject"] != "")]
    if settings.split is not None:
        rows["split"] = values[settings.split].str.lower().map(SPLIT_NAMES)
        refuse("splits other than train, validation and test", rows["split"].isna(), values[settings.split])
    for column in (settings.label, *settings.group):
        kind = f"values of {column} that fewer than {least} rows have"
        if column not in settings.bins:
            refuse(kind, _are_rare(values[column], least), values[column])
            problems.advise(kind, "no cell can be made of them: where they are no mistakes, join them with others")
    rows, values = rows[~wrong], values[~wrong].copy()
    for column in (settings.label, *settings.group):
        if column not in settings.bins:
            values[column] = _written_alike(values[column], "write them alike", problems)
    if settings.subject is not None:
        remedy = "write them alike where they are one person, and give one of them another name where they are two"
        _written_alike(values[settings.subject], remedy, problems)
    label, classes = _coded(values, [settings.label], settings)
    group, groups = _coded(values, settings.group, settings)
    repeated = sorted({name for name in groups if groups.count(name) > 1})
    problems.of_data_set("combinations of one name", repeated, "write the values of one of the columns otherwise")
    return Rows(rows.assign(label=label, group=group), classes, groups, subjects)


def _advise_on_missing(kind: str, columns: Sequence[str], table: LabelTable, problems: Problems) -> None:
    """Say of what is written in columns that it was taken for a missing value."""
    if found := sorted({text for column in columns for text in table.missing[column]}):
        problems.advise(kind, f"{' and '.join(found)} counts as missing: write it otherwise where it is a name")


def _are_rare(values: pd.Series, least: int) -> pd.Series:
    """Whether fewer than `least` rows have the value of each, as a mistyped one; however it is written.

    None are where that leaves fewer than two values: then there are too few images. Nor are numbers that are measured.
    """
    given = values[values != ""]
    form = given.map({value: _form(value) for value in given.unique()})
    rare = form.map(form.value_counts()) < least
    if form[~rare].nunique() < 2 or different_numbers(values) > MANY_NUMBERS:
        rare[:] = False
    return rare.reindex(values.index, fill_value=False)


def different_numbers(values: pd.Series) -> int:
    """How many different numbers there are among the values."""
    return pd.to_numeric(values, errors="coerce").dropna().nunique()


def _written_alike(values: pd.Series, remedy: str, problems: Problems) -> pd.Series:
    """Report each value that is another one's but for case, characters that are not seen, or the form of a number.

    Returns
    -------
    The values, each as most rows have it, so that nothing else that is wrong follows from how they are written.
    """
    first = values.drop_duplicates()
    row = pd.Series(first.index, index=first)
    commonest: dict[str | Decimal, str] = {}
    others: dict[str, str] = {}
    # as many of two: the one that comes first
    for value in values.value_counts(sort=False).sort_values(ascending=False, kind="stable").index:
        known = commonest.setdefault(_form(value), value)
        if known != value:
            others[value] = known
    details = [
        f"{value!a}, first in {problems.numbered} {row[value]}, and {others[value]!a}"
        for value in sorted(others, key=row.__getitem__)
    ]
    problems.of_data_set(f"values of {values.name} that only differ in how they are written", details, remedy)
    return values.map(lambda value: others.get(value, value))


def _form(value: str) -> str | Decimal:
    """What values have in common that only differ in how they are written."""
    visible = "".join(one for one in value if unicodedata.category(one) not in ("Cf", "Cc"))
    text = unicodedata.normalize("NFKC", " ".join(visible.split())).casefold()
    with suppress(InvalidOperation):
        # Identifiers may have twenty digits, of which a float is not exact. 1_0 and infinity are no numbers here.
        if "_" not in text and (number := Decimal(text)).is_finite():
            return number
    return text


def _coded(values: pd.DataFrame, columns: Sequence[str], settings: Folder) -> tuple[NDArray[np.int64], list[str]]:
    """Return the number (n,) of each row's class or group, and the names, in their order.

    Numbers come in the order of their size, text in that of its characters, and intervals in that of their edges. Of
    several columns the combinations that occur come in the order of the first column, and then of the next.
    """
    codes, names = [], []
    for column in columns:
        if column in settings.bins:
            number = pd.to_numeric(values[column])
            edges = settings.bins[column]
            codes.append(np.searchsorted(edges, number, side="right"))
            names.append(_intervals(edges, whole=bool((number % 1 == 0).all())))
            continue
        known = values[column].unique()
        numbers = pd.to_numeric(pd.Series(known), errors="coerce")
        numeric = bool(numbers.notna().all())
        order = [known[i] for i in numbers.argsort(kind="stable")] if numeric else sorted(known)
        codes.append(values[column].map({value: i for i, value in enumerate(order)}).to_numpy(dtype=np.int64))
        # beside other columns a number by itself says nothing
        names.append([f"{column} {value}" for value in order] if numeric and len(columns) > 1 else order)
    if len(columns) == 1:
        return codes[0], list(names[0])
    shape = tuple(map(len, names))
    occurring, code = np.unique(np.ravel_multi_index(codes, shape), return_inverse=True)
    parts = zip(*np.unravel_index(occurring, shape), strict=True)
    return code, [" x ".join(name[i] for name, i in zip(names, part, strict=True)) for part in parts]


def _intervals(edges: Sequence[float], *, whole: bool) -> list[str]:
    """Name the intervals that edges part the numbers into; each edge belongs to the interval above it."""

    def between(low: float, high: float) -> str:
        if not (whole and low % 1 == high % 1 == 0):
            return f"{low:.15g} to below {high:.15g}"
        if low == high - 1:
            return f"{low:.15g}"
        return f"{low:.15g}-{high - 1:.15g}" if low >= 0 else f"{low:.15g} to {high - 1:.15g}"

    return [
        f"under {edges[0]:.15g}",
        *(between(low, high) for low, high in itertools.pairwise(edges)),
        f"{edges[-1]:.15g} and over",
    ]
