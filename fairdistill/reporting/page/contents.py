"""What the page of a study is made from, read from its tables and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fairdistill.reporting.columns import BASE, IDENTITY, MEASURED, METRICS, MODEL, keys
from fairdistill.reporting.criteria import criteria_table
from fairdistill.reporting.csv_files import AGGREGATE
from fairdistill.reporting.labels import printed
from fairdistill.reporting.models import Models
from fairdistill.reporting.pairs import beside_bases, read_paired
from fairdistill.reporting.runs import at_chance, telling_apart, with_settings
from fairdistill.reporting.summaries import beside_each_other, read_summary
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import TEACHER

# what each object of JavaScript has
OF_OBJECTS = {
    *("constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString"),
    *("valueOf", "__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"),
}


@dataclass(frozen=True)
class Contents:
    """The numbers of a study, as the charts and tables of its page show them.

    Attributes
    ----------
    points
        One row per model, see `fairdistill.reporting.summaries.beside_each_other`, with family, that of its method.
    runs
        One row per training, see `fairdistill.reporting.runs`, with at_chance, whether it is, and `settings`.
    settings
        Those of the methods in which two models of one kind differ.
    cells
        One row per model, group and class: `MODEL`, group, class and accuracy, a mean over seeds; base, the name of
        the model that it is shown beside (as `name_model` has it), empty for one that stands alone.
    criteria
        See `fairdistill.reporting.criteria.criteria_table`.
    projections
        One row per image that is drawn and model: see `fairdistill.reporting.page.projections`. Empty where the models
        are not at hand.
    """

    points: pd.DataFrame
    runs: pd.DataFrame
    settings: list[str]
    cells: pd.DataFrame
    criteria: pd.DataFrame
    projections: pd.DataFrame


def in_browser(names: pd.Series) -> pd.Series:
    """Return names of classes or groups, changed where Vega would take them for properties that all objects have.

    Such a name, as `constructor`, gets a space of no width behind it.
    """
    return names.map(lambda name: f"{name}\u200b" if name in OF_OBJECTS else name)


def name_model(dataset: str, architecture: str, method: str) -> str:
    """Return the name of a model on the page: 'CIFAR-10S, ResNet: mfd'."""
    return f"{printed(dataset)}, {printed(architecture)}: {method}"


def gather(models: Models, summary: Path, paired: Path, projections: pd.DataFrame) -> tuple[Contents, pd.DataFrame]:
    """Return what the page shows of the models of a study, and the table of pairs.

    Parameters
    ----------
    models
        See `fairdistill.reporting.models.read_models`.
    summary, paired
        summary.csv and paired.csv of the same models.
    projections
        See `Contents`.

    Raises
    ------
    UserError
        If one of the tables is of other models than the metrics, or lacks a metric of one.
    """
    runs, settings = models.runs, telling_apart(models.settings.values())
    table = read_summary(summary)
    known = set(keys(runs, MODEL))
    _require_all(table, known, summary)
    pairs = read_paired(paired)
    _require_all(pairs, set(keys(beside_bases(runs), MODEL)), paired)
    contents = Contents(
        points=_students_first(_points(table, models)),
        runs=with_settings(runs.assign(at_chance=at_chance(runs)), models.settings)[
            [*IDENTITY[1:], *settings, *BASE, *METRICS, "at_chance", "epochs", "seconds", "precision"]
        ],
        settings=settings,
        cells=_for_browser(_students_first(_cells(models, pairs))),
        criteria=_for_browser(_students_first(criteria_table(models.criteria, models.trainings))),
        projections=_for_browser(projections),
    )
    return contents, pairs


def _for_browser(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{name: in_browser(table[name]) for name in ("class", "group") if name in table})


def _require_all(table: pd.DataFrame, models: set[tuple], path: Path) -> None:
    """The table has each metric with an interval of each of the models, and no other model."""
    wanted = {(*names, metric) for names in models for metric in MEASURED}
    measured = table[table["metric"].isin(MEASURED)]
    found = set(keys(measured, [*MODEL, "metric"]))
    numbers = [name for name in ("mean", "base", "student", "difference", "low", "high") if name in measured]
    if found != wanted or measured[numbers].isna().any(axis=None):
        raise UserError(
            f"{path}: its models or metrics are not those of the metrics files; make it anew with {AGGREGATE}"
        )


def _students_first(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of models, those of architectures that have teachers alone behind the others."""
    students = (table["method"] != TEACHER).groupby([table["dataset"], table["architecture"]]).transform("any")
    return table.loc[(~students).sort_values(kind="stable").index].reset_index(drop=True)


def _points(summary: pd.DataFrame, models: Models) -> pd.DataFrame:
    table = beside_each_other(summary)
    table = table.merge(models.trained.drop_duplicates(MODEL)[[*MODEL, "family"]], on=MODEL, how="left")
    return table.assign(family=table["family"].mask(table["role"] == "teacher", "teacher"))


def _base(pair: Mapping) -> str:
    return name_model(pair["dataset"], pair["base_architecture"], pair["base_method"])


def _cells(models: Models, pairs: pd.DataFrame) -> pd.DataFrame:
    beside = {tuple(row[name] for name in MODEL): _base(row) for row in pairs.to_dict("records")}
    rows = [
        [*names, beside.get(names, ""), *cell]
        for names, trainings in models.runs.groupby(MODEL, sort=False)
        for cell in models.mean_cells(trainings)
    ]
    return pd.DataFrame(rows, columns=[*MODEL, "base", "group", "class", "accuracy"])
