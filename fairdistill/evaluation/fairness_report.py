"""The fairness report of any classifier's predictions: accuracy, DEO and other criteria, with intervals.

The classifier need not have been trained with this package. `docs/fairness_report.md` is the guide, with fairlearn's
`MetricFrame` beside it. Definitions and sources are in `fairdistill.evaluation.criteria` (accuracy and DEO),
`fairdistill.evaluation.group_criteria` (all other criteria) and `fairdistill.evaluation.uncertainty` (intervals, the
corrected value, the fair baseline and the verdict).
"""

import html
import textwrap
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairdistill.evaluation.group_criteria import LEAST_RESAMPLES, long_form, values_of_a_resample
from fairdistill.evaluation.metrics import evaluate
from fairdistill.evaluation.rounding import rounded
from fairdistill.runtime.errors import UserError

# how far from 1 probabilities may add up to, as those do that were rounded
ROUNDED = 0.01
# the least number of resamples of the criteria takes some 3 GB where each holds so many values
MOST_IN_A_RESAMPLE = 2**26 // LEAST_RESAMPLES
WIDTH = 100  # of the printed report's sentences
COLUMNS = ["measure", "group", "class", "value", "low", "corrected", "high"]
BASELINE = ["fair_baseline_mean", "fair_baseline_low", "fair_baseline_high"]
EXPLANATION = (
    "Intervals are at 95 %, over test images. DEO is the difference in equalized odds: the mean (DEO_A) and the "
    "maximum (DEO_M) over classes of the gap, the largest difference in accuracy between two groups. Noise alone "
    "makes it larger than zero: the fair baseline is what a fair classifier with the same accuracy in each class "
    "scores on as many images (mean and 95 % range), and the corrected value is corrected for that noise."
)


class Accuracy(NamedTuple):
    """The accuracy over all images, and the ends of its 95 % interval; fractions."""

    value: float
    low: float
    high: float


class FairBaseline(NamedTuple):
    """The DEO of a fair classifier of the same accuracy in each class on these images: mean and 95 % range."""

    mean: float
    low: float
    high: float


class Deo(NamedTuple):
    """A difference in equalized odds, as a fraction.

    Attributes
    ----------
    value
        As observed; too large on average.
    low, high
        The ends of its 95 % interval.
    corrected
        The true DEO under which half of all models would score above the observed one.
    fair_baseline
        What it would be without bias.
    verdict
        "above fair baseline" where the value exceeds the upper end of the baseline's range, "at chance" where the
        classifier is no more accurate than one that names the largest class for every image, so that its DEO tells
        nothing, and else "not distinguishable from fair".
    """

    value: float
    low: float
    corrected: float
    high: float
    fair_baseline: FairBaseline
    verdict: str


@dataclass(frozen=True, repr=False)
class FairnessReport:
    """What `report` returns. All values are fractions; tables are made anew each time that they are asked for.

    In a notebook it shows itself as tables, and `print` gives the same as text.

    Attributes
    ----------
    classes, groups : tuples
        In the order of all tables.
    scores : mapping
        As `fairdistill.evaluation.metrics.evaluate` returns them.
    """

    classes: tuple[Hashable, ...]
    groups: tuple[Hashable, ...]
    scores: Mapping[str, Any]

    @property
    def n(self) -> int:
        """The number of images."""
        return self.scores["n"]

    @property
    def accuracy(self) -> Accuracy:
        """The accuracy over all images."""
        return Accuracy(self.scores["accuracy"], **self.scores["uncertainty"]["accuracy"])

    @property
    def deo_a(self) -> Deo:
        """The mean over classes of the gaps."""
        return self._deo("deo_a")

    @property
    def deo_m(self) -> Deo:
        """The maximum over classes of the gaps."""
        return self._deo("deo_m")

    def _deo(self, name: str) -> Deo:
        found = self.scores["uncertainty"][name]
        return Deo(self.scores[name], **found | {"fair_baseline": FairBaseline(**found["fair_baseline"])})

    @property
    def caution(self) -> str | None:
        """A sentence where a class has so few images of a group that intervals may be too short, else None."""
        return self.scores["uncertainty"].get("caution")

    @property
    def cell_accuracy(self) -> pd.DataFrame:
        """Pr(prediction = y | group a, class y): groups in rows, classes in columns."""
        return self._cells("cell_accuracy")

    @property
    def cell_count(self) -> pd.DataFrame:
        """The number of images of each group, in rows, and class, in columns."""
        return self._cells("cell_count")

    def _cells(self, field: str) -> pd.DataFrame:
        rows = [list(self.scores[field][group].values()) for group in self.groups]
        return pd.DataFrame(rows, _index(self.groups, "group"), _index(self.classes, "class"))

    @property
    def accuracy_per_group(self) -> pd.Series:
        """The accuracy over all images of each group."""
        return self._series("accuracy_per_group", "group")

    @property
    def accuracy_per_class(self) -> pd.Series:
        """The accuracy over all images of each class."""
        return self._series("accuracy_per_class", "class")

    def _series(self, field: str, name: str) -> pd.Series:
        found = self.scores[field]
        return pd.Series(list(found.values()), _index(found, name), name="accuracy")

    @property
    def gaps(self) -> pd.DataFrame:
        """The gap of each class: value, low, corrected and high.

        It is the largest difference in accuracy between two groups. DEO_A is the mean of the values, DEO_M their
        maximum.
        """
        table = pd.DataFrame(
            {"value": list(self.scores["deo_per_class"].values())} | self.scores["uncertainty"]["deo_per_class"]
        )
        return table.set_axis(_index(self.classes, "class"))

    @property
    def criteria(self) -> pd.DataFrame:
        """Other criteria of fairness: criterion, group (empty where it is of all), value, low, corrected and high.

        Those without a corrected value have NaN there. Without probabilities there is no calibration (`ece`, `brier`).
        """
        table = pd.DataFrame(long_form(self.scores["criteria"]))
        return table[["criterion", "group", "value", "low", "corrected", "high"]]

    def to_frame(self) -> pd.DataFrame:
        """Return all numbers as one tidy table, with a row for each.

        Returns
        -------
        DataFrame
            measure; group and class, empty where the number is of all; value, low, corrected and high, NaN where there
            is none; of deo_a and deo_m also fair_baseline_mean, fair_baseline_low, fair_baseline_high and verdict.
        """
        return pd.DataFrame(list(self._rows()), columns=[*COLUMNS, *BASELINE, "verdict"])

    def _rows(self) -> Iterator[dict]:
        everywhere = {"group": "", "class": ""}
        yield everywhere | {"measure": "accuracy", **self.accuracy._asdict()}
        for measure, deo in {"deo_a": self.deo_a, "deo_m": self.deo_m}.items():
            baseline = dict(zip(BASELINE, deo.fair_baseline, strict=True))
            yield everywhere | {"measure": measure, **deo._asdict(), **baseline}
        for name, gap in self.gaps.to_dict("index").items():
            yield everywhere | {"measure": "gap", "class": name, **gap}
        for group, value in self.accuracy_per_group.items():
            yield everywhere | {"measure": "accuracy", "group": group, "value": value}
        for name, value in self.accuracy_per_class.items():
            yield everywhere | {"measure": "accuracy", "class": name, "value": value}
        for group, row in self.cell_accuracy.to_dict("index").items():
            for name, value in row.items():
                yield {"measure": "accuracy", "group": group, "class": name, "value": value}
        for criterion in self.criteria.rename(columns={"criterion": "measure"}).to_dict("records"):
            yield everywhere | criterion

    @property
    def summary(self) -> str:
        """The head of the printed report: how many images there are, and how to read it."""
        head = f"{self.n:,} images, {len(self.classes)} classes, {len(self.groups)} groups."
        return " ".join([head, EXPLANATION, *([f"Caution: {self.caution}."] if self.caution else [])])

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables of the printed report by their titles, with the numbers as texts."""
        by_cell = self.cell_accuracy.map(_text) + " of " + self.cell_count.map("{:,}".format)
        rows = np.column_stack([list(map(str, self.groups)), by_cell, self.accuracy_per_group.map(_text)])
        last = ["all groups", *self.accuracy_per_class.map(_text), _text(self.accuracy.value)]
        of_cells = pd.DataFrame([*rows.tolist(), last], columns=["group", *map(str, self.classes), "all classes"])
        deos = {"DEO_A": self.deo_a, "DEO_M": self.deo_m}
        fair = {name: f"{_text(deo.fair_baseline.mean)} {_range(deo.fair_baseline)}" for name, deo in deos.items()}
        main = pd.DataFrame(
            [
                ["accuracy", _text(self.accuracy.value), _range(self.accuracy), "", "", ""],
                *(
                    [name, _text(deo.value), _range(deo), _text(deo.corrected), fair[name], deo.verdict]
                    for name, deo in deos.items()
                ),
            ],
            columns=["measure", "value", "95 % interval", "corrected", "fair baseline", "verdict"],
        )
        return {
            "Accuracy and DEO": main,
            "Accuracy by group and class": of_cells,
            "Gap of each class": _with_interval(self.gaps.reset_index()),
            "Other criteria": _with_interval(self.criteria),
        }

    def __str__(self) -> str:
        parts = (f"{title}\n{table.to_string(index=False)}" for title, table in self.tables().items())
        return "\n\n".join([textwrap.fill(self.summary, WIDTH), *parts])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = (
            f"<h4>{title}</h4>{table.to_html(index=False, border=0, justify='left')}"
            for title, table in self.tables().items()
        )
        return f"<p>{html.escape(self.summary)}</p>{''.join(parts)}"


def report(
    y_true: Iterable,
    y_pred: Iterable,
    groups: Iterable,
    *,
    probabilities: ArrayLike | None = None,
    classes: Sequence[Hashable] | None = None,
    images: Iterable | None = None,
) -> FairnessReport:
    """Return how accurate and how fair predictions are, and how far each number can be trusted.

    The i-th values of all arguments belong to one image; the index of a pandas Series plays no part. Intervals and fair
    baseline come from a bootstrap with a fixed seed, so that the same input gives the same report.

    Parameters
    ----------
    y_true, y_pred, groups : array-like, shape (n,)
        True class, predicted class and group of each image: numbers, texts or other hashable values. For groups by
        several attributes, join these to one value. Classes and groups are sorted, or in the order of the categories
        where a Series is categorical.
    probabilities : array-like of float, shape (n, n_classes), optional
        Of each class, in the order of `classes`: for calibration (`ece` and `brier`).
    classes : sequence, optional
        All classes in their order. Of two, the second counts as the favoured one (`equal_opportunity`).
    images : array-like, shape (n,), optional
        What is the same for copies of one image in several groups, as of one that is there in colour and in grey. Where
        every group has a copy of every image, the bootstrap draws them together, and there is a
        `counterfactual_flip_rate`. Of more than 12 groups they count as images of their own.

    Returns
    -------
    FairnessReport

    Raises
    ------
    UserError
        One line, where an argument is no list of values, has another length or a missing value; there are fewer than
        two classes or groups, or so many that memory would not do, as of 300 classes; a predicted class is none of
        the true ones; a class has no image of a group; or probabilities are none, or those of a table whose columns are
        the classes in another order.

    Examples
    --------
    Each class has 100 images of each group. The classifier is right for 90 of them, and for 70 of group b's dogs.

    >>> from fairdistill.evaluation import report
    >>> right, wrong_dogs = ["cat"] * 90 + ["dog"] * 10, ["dog"] * 70 + ["cat"] * 30
    >>> found = report(
    ...     y_true=(["cat"] * 100 + ["dog"] * 100) * 2,
    ...     y_pred=right + ["dog"] * 90 + ["cat"] * 10 + right + wrong_dogs,
    ...     groups=["a"] * 200 + ["b"] * 200,
    ... )
    >>> found.cell_accuracy  # doctest: +NORMALIZE_WHITESPACE
    class  cat  dog
    group
    a      0.9  0.9
    b      0.9  0.7
    >>> print(f"{found.deo_m.value:.2f}, 95 % interval {found.deo_m.low:.2f} to {found.deo_m.high:.2f}")
    0.20, 95 % interval 0.11 to 0.31
    >>> print(f"a fair classifier: up to {found.deo_m.fair_baseline.high:.2f}; {found.deo_m.verdict}")
    a fair classifier: up to 0.13; above fair baseline
    """
    truth, predicted, group = (
        _column(name, values) for name, values in {"y_true": y_true, "y_pred": y_pred, "groups": groups}.items()
    )
    copies = None if images is None else _column("images", images)
    for name, column in {"y_pred": predicted, "groups": group, "images": copies}.items():
        if column is not None and len(column) != len(truth):
            raise UserError(f"{name} has {len(column)} values and y_true {len(truth)}; give one for each image")
    class_names = _distinct("y_true", truth) if classes is None else _class_names(classes)
    group_names = _distinct("groups", group)
    for argument, names, what in [("y_true", class_names, "classes"), ("groups", group_names, "groups")]:
        if len(set(names)) < len(names):
            raise UserError(
                f"classes names {next(name for name in names if names.count(name) > 1)!r} twice; name it once"
            )
        if len(names) < 2:
            raise UserError(f"{argument} holds {names[0]!r} alone; DEO compares at least two {what}")
    if values_of_a_resample(len(group_names), len(class_names)) > MOST_IN_A_RESAMPLE:
        raise UserError(
            f"the criteria of {len(class_names)} classes and {len(group_names)} groups take more memory than most "
            "machines have: join classes or groups, or report on some of them"
        )
    table = pd.DataFrame(
        {
            "image_id": np.arange(len(truth)).astype(str) if copies is None else copies.astype(str),
            "label": _codes("y_true", truth, class_names),
            "group": _codes("groups", group, group_names),
            "prediction": _codes("y_pred", predicted, class_names),
        }
    )
    if probabilities is None:
        p = np.eye(len(class_names))[table["prediction"]]
    else:
        p = _probabilities(probabilities, len(truth), class_names)
    scores = evaluate(
        pd.concat([table, pd.DataFrame(p).add_prefix("p")], axis=1), classes=class_names, groups=group_names
    )
    if probabilities is None:
        # those that would be of certainty in each prediction
        scores["criteria"] = {
            name: found for name, found in scores["criteria"].items() if not name.startswith(("ece", "brier"))
        }
    return FairnessReport(tuple(class_names), tuple(group_names), scores)


def _column(name: str, values: Iterable) -> pd.Series:
    """Values, one for each image, none of which is missing."""
    column = _series(name, values, "one value for each image")
    if not len(column):
        raise UserError(f"{name} is empty; give one value for each image")
    if (missing := column.isna()).any():
        raise UserError(
            f"{name} lacks {missing.sum()} of {len(column)} values, the first at position {missing.argmax()}; give "
            "them, or leave these images out"
        )
    return column


def _class_names(classes: Sequence[Hashable]) -> list[Any]:
    column = _series("classes", classes, "each class once")
    if not len(column):
        raise UserError("classes names none; give at least two, or leave it out")
    if column.isna().any():
        raise UserError("classes names a missing value, which is no class; leave it out")
    return column.tolist()


def _series(name: str, values: Iterable, what: str) -> pd.Series:
    """Values as a Series whose index counts them; `what` they are to be."""
    if (dimensions := getattr(values, "ndim", 1)) != 1:
        raise UserError(f"{name} has {dimensions} dimensions; give {what}")
    # a text would be one value, and a mapping and a set have an order of their own
    unordered = isinstance(values, str | bytes | Mapping | Set)
    if unordered or not isinstance(values, Iterable):
        raise UserError(f"{name} is of the type {type(values).__name__}; give {what}, as a list, an array or a Series")
    try:
        column = pd.Series(values).reset_index(drop=True)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UserError(f"{name} cannot be read as one column ({error}); give {what}") from None
    if not all(map(pd.api.types.is_hashable, column)):
        several = "several values for an image" if name != "classes" else "a class of several values"
        raise UserError(f"{name} holds {several}; give {what}")
    return column


def _distinct(name: str, column: pd.Series) -> list[Any]:
    try:
        return pd.factorize(column, sort=True)[1].tolist()
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} holds values that cannot be put in order ({error}); give numbers or texts") from None


def _codes(name: str, column: pd.Series, known: list) -> np.ndarray:
    """The place of each value among those that are known."""
    # a tuple is one value, and no path into levels
    names, values = (pd.Index(each, dtype=object, tupleize_cols=False) for each in (known, column))
    code = names.get_indexer(values)
    if (code < 0).any():
        unknown = column.tolist()[np.argmax(code < 0)]
        listed = ", ".join(map(repr, known))
        raise UserError(f"{name} holds {unknown!r}, which is none of the classes {listed}; write it as one of them")
    return code


def _probabilities(values: ArrayLike, n: int, classes: list[Any]) -> np.ndarray:
    try:
        # a mask and an imaginary part would be dropped without a word
        if np.ma.is_masked(values) or np.iscomplexobj(values):
            raise TypeError
        p = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError("probabilities are not numbers; give those of each class for each image") from None
    if p.shape != (shape := (n, len(classes))):
        raise UserError(f"probabilities have the shape {p.shape}; {n} images of {len(classes)} classes need {shape}")
    columns = values.columns.tolist() if isinstance(values, pd.DataFrame) else classes
    if columns != classes and set(columns) == set(classes):
        wanted, found = (", ".join(map(repr, names)) for names in (classes, columns))
        raise UserError(f"probabilities has columns in the order {found}; give them in that of the classes, {wanted}")
    if not ((p >= 0) & (p <= 1)).all() or (np.abs(p.sum(axis=1) - 1) > ROUNDED).any():
        raise UserError(
            "probabilities are not numbers in 0..1 that add up to 1 for each image; give those of all classes"
        )
    return p


def _index(labels: Iterable[Hashable], name: str) -> pd.Index:
    """An index of one level, also where labels are tuples."""
    return pd.Index(list(labels), name=name, tupleize_cols=False)


def _text(value: float) -> str:
    return rounded(value, "{:.3f}")


def _range(found: Accuracy | FairBaseline | Deo) -> str:
    return f"[{_text(found.low)}, {_text(found.high)}]"


def _with_interval(table: pd.DataFrame) -> pd.DataFrame:
    """A table with value, low, corrected and high as texts, of which the ends are one column."""
    ends = "[" + table["low"].map(_text) + ", " + table["high"].map(_text) + "]"
    corrected = table["corrected"].map(_text, na_action="ignore").fillna("")
    numbers = {"value": table["value"].map(_text), "95 % interval": ends, "corrected": corrected}
    if "group" in table and (table["group"] == "").all():
        table = table.drop(columns="group")
    return table.drop(columns=["value", "low", "corrected", "high"]).assign(**numbers)
