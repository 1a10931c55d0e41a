"""The models that tables and figures are made from: what is read of their metrics files, and checked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from fairdistill.evaluation.group_criteria import long_form
from fairdistill.evaluation.records import Record, Scores, read_record
from fairdistill.reporting.columns import (
    BASE,
    CRITERIA,
    DEO,
    IDENTITY,
    MEASURED,
    METRICS,
    TRAINED,
    TRAINING,
    VALIDATION,
    keys,
)
from fairdistill.reporting.grids import in_grid_order, in_order, model_paths, paths_of
from fairdistill.reporting.trainings import TrainingsOfModels, require_folds
from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import with_defaults
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.methods import TEACHER, AnyMethod, family_of


@dataclass(frozen=True)
class Models:
    """What the tables are made from.

    Attributes
    ----------
    runs
        One row per training, its scores on the test split: see `fairdistill.reporting.runs`.
    validation
        The same of the scores on the validation split, of the models that have them; with mean_cell_accuracy, in which
        all (class, group) cells count the same, and smallest_cell, the number of images of the smallest.
    trainings
        Those of each model, with what they show together on the test split.
    parts
        By the values of `IDENTITY` of each training: the parts that `ablations` compares.
    settings
        By the same: the settings of its method.
    criteria
        One row per training, criterion and group, of the scores on the test split: see
        `fairdistill.reporting.criteria`.
    trained
        One row per training, the columns `TRAINED`: what its method is, and what it cost.
    cells
        By data set: the names of its groups, and of its classes, in the order of their codes.
    """

    runs: pd.DataFrame
    validation: pd.DataFrame
    trainings: TrainingsOfModels
    parts: dict[tuple, dict]
    settings: dict[tuple, dict]
    criteria: pd.DataFrame
    trained: pd.DataFrame
    cells: dict[str, tuple[list[str], list[str]]]

    def mean_cells(self, runs: pd.DataFrame) -> list[tuple[str, str, float]]:
        """Return group, class and accuracy of each cell, a mean over seeds, of the rows of one model in `runs`."""
        model = self.trainings.of(runs)
        accuracy = model.over_folds(model.cells).mean(axis=0)
        groups, classes = self.cells[runs["dataset"].iloc[0]]
        return [(group, label, accuracy[a, y]) for a, group in enumerate(groups) for y, label in enumerate(classes)]


def read_models(pattern: str, grids: Sequence[Mapping[str, Sequence]]) -> Models:
    """Read the metrics files of the models of some grids, each once and no other file; order the models by the grids.

    Parameters
    ----------
    pattern : str
        Path of a metrics file, with {dataset}, {architecture}, {method} and {seed} in the place of a model's names, and
        {fold} in that of "-fold2", or of nothing where a data set has one test set.
    grids : sequence of mappings
        The values of `TRAINING` in each grid; without `fold` there is one test set. The order of the models is
        explained at `fairdistill.reporting.grids.in_order`.

    Raises
    ------
    UserError
        One line that names the file if one is missing, is damaged, lacks a field or is of another model than its place
        says, or if studies are mixed.
    """
    varied = [name for name in TRAINING if name != "fold" or any(grid.get("fold", [0]) != [0] for grid in grids)]
    if missing := [name for name in varied if f"{{{name}}}" not in pattern]:
        raise UserError(f"--metrics: {pattern} lacks {{{missing[0]}}}; without it models would share a file")
    models = read_files(model_paths(pattern, grids))
    _require_bases(pattern, models.runs)
    order = in_order(grids, models.runs)
    runs, validation = (in_grid_order(table, order) for table in (models.runs, models.validation))
    criteria = in_grid_order(models.criteria, order)
    return replace(models, runs=runs, validation=validation, criteria=criteria)


def _require_bases(pattern: str, runs: pd.DataFrame) -> None:
    """Every model stands on none, or on one that is read: the configuration's grids have the bases of their models."""
    path_of = {names: path for path, names in paths_of(pattern, runs).items()}
    standing = runs[runs["base_method"] != ""]
    bases = keys(standing, ["dataset", *BASE, "seed", "fold"])
    for names, base in zip(keys(standing, TRAINING), bases, strict=True):
        if base not in path_of:
            raise UserError(
                f"{path_of[names]}: stands on {_words(base)}, which the grids lack; train and evaluate the model again"
            )


def read_files(paths: Iterable[Path | str] | Mapping[str, tuple]) -> Models:
    """Read metrics files, each once.

    Parameters
    ----------
    paths : iterable, or mapping
        A mapping gives the values of `TRAINING` of the model that each file has to be of.

    Raises
    ------
    UserError
        See `read_models`; also where there is no file, two are of one model, or a model lacks one of the folds that its
        data set has.
    """
    names_of = paths if isinstance(paths, Mapping) else None
    return gather(((path, read_record(path)) for path in paths), names_of=names_of)


def gather(records: Iterable[tuple[Path | str, Record]], *, names_of: Mapping[str, tuple] | None = None) -> Models:
    """Return the models of some records, which name the files that these were read from; see `read_files`.

    Parameters
    ----------
    names_of
        By its path, the values of `TRAINING` of the model that each record has to be of; any where left out.
    """
    runs, validation, correctness, parts, settings_of = [], [], {}, {}, {}
    criteria, trained, groups_and_classes, files = [], [], {}, {}
    source: dict[tuple, Path | str] = {}
    data: dict[tuple, tuple[Path | str, dict]] = {}
    for path, record in records:
        row = _row(record, record.metrics)
        run = tuple(row[name] for name in IDENTITY)
        if names_of and (names := tuple(row[name] for name in TRAINING)) != names_of[str(path)]:
            raise UserError(
                f"{path}: is of the model {_words(names)}, where that of {_words(names_of[str(path)])} belongs"
            )
        if run in source:
            raise UserError(f"{path}: the same model as {source[run]} ({', '.join(map(str, run))}); keep one")
        source[run] = path
        settings = _data_settings(record)
        # the SHA-256 of all images and samples, what its numbers stand for, and how images are read in training
        named = {"classes": record.classes, "groups": record.groups}
        described = {"images": record.inputs.dataset} | named | settings
        # with draws per seed, each seed has a data set of its own
        drawn = row["dataset"], row["seed"] if settings.get("per_seed") else None
        first, same = data.setdefault(drawn, (path, described))
        if other := [name for name in {**same, **described} if same.get(name) != described.get(name)]:
            raise UserError(
                f"{path}: is of another data set {row['dataset']} than {first} ({other[0]} differs); train both on the "
                "same one"
            )
        runs.append(row)
        if record.validation is not None:
            cells = record.validation.answers(**named)
            of_cells = {"mean_cell_accuracy": cells.accuracy.mean(), "smallest_cell": cells.count.min()}
            validation.append(_row(record, record.validation) | of_cells)
        correctness[run] = record.metrics.answers(**named)
        files[run] = record.outputs.weights, record.outputs.predictions
        settings_of[run] = _method_settings(record)
        parts[run] = _parts(record, settings_of[run])
        trained.append({name: row[name] for name in (*IDENTITY, *BASE)} | _trained(record, settings_of[run]))
        groups_and_classes[row["dataset"]] = record.groups, record.classes
        of_model = {name: row[name] for name in (*IDENTITY, "needs_group")}
        criteria += [of_model | each for each in long_form(record.metrics.criteria.by_name())]
    if not runs:
        raise UserError("no metrics file to read; train and evaluate a model first")
    if len(studies := {row["study"] for row in runs}) > 1:
        raise UserError(f"metrics of several studies ({', '.join(sorted(studies))}); gather one at a time")
    table = pd.DataFrame(runs)
    for (dataset, _), (_, described) in data.items():
        require_folds(table[table["dataset"] == dataset], range(described.get("folds", 1)))
    found = pd.DataFrame(criteria, columns=CRITERIA)
    return Models(
        runs=table,
        validation=pd.DataFrame(validation, columns=VALIDATION),
        trainings=TrainingsOfModels(correctness, files),
        parts=parts,
        settings=settings_of,
        criteria=found,
        trained=pd.DataFrame(trained, columns=TRAINED),
        cells=groups_and_classes,
    )


def _row(record: Record, scores: Scores) -> dict:
    """One training in one row of the table of runs, by its scores on one split."""
    run, found = record.run, scores.uncertainty
    row = {name: getattr(run, name) for name in IDENTITY}
    row |= {f"base_{name}": getattr(run.base, name) if run.base else "" for name in ("architecture", "method")}
    row |= {name: getattr(scores, name) for name in METRICS}
    for metric in MEASURED:
        interval = getattr(found, metric)
        row |= {f"{metric}_low": interval.low, f"{metric}_high": interval.high}
    for deo in DEO:
        one = getattr(found, deo)
        row |= {
            f"{deo}_corrected": one.corrected,
            f"{deo}_fair_baseline": one.fair_baseline.mean,
            f"{deo}_fair_baseline_low": one.fair_baseline.low,
            f"{deo}_fair_baseline_high": one.fair_baseline.high,
            f"{deo}_verdict": one.verdict,
        }
    return row | {
        "paired": scores.correctness.paired,
        "needs_group": bool(record.needs_group),
        "n_images": scores.n,
        "epochs": record.parameters.training.epochs,
        "seconds": record.seconds,
        "code": record.code,
        "precision": record.precision or "",
    }


def _method_settings(record: Record) -> dict:
    """The settings of a model's method, those included that are newer than the record; its base is none of them."""
    method = record.parameters.method
    settings = with_defaults(AnyMethod, method.model_dump())
    # the kind, which has no default, comes first all the same
    return {"kind": method.kind} | {name: value for name, value in settings.items() if name != "base"}


def _parts(record: Record, method: Mapping) -> dict:
    """The parts of a model that `fairdistill.reporting.ablations` compares."""
    loss, checkpoint = dict(method), record.inputs.checkpoint
    imported = method["kind"] == "imported"
    sampling, network, base = loss.pop("sampling"), record.parameters.network, record.run.base
    return {
        "sampling": sampling,
        # two imported models differ in their files
        "loss": loss | ({"checkpoint": checkpoint} if imported else {}),
        # a model that stands on none is compared with its teacher, and so as good as stands on it
        "base": (
            None if base is None or base.architecture == record.run.architecture else base.architecture,
            TEACHER if base is None else base.method,
        ),
        "data": _data_settings(record),
        "stem": network.stem,
        "weights": None if imported else checkpoint,
        # between kinds nothing is compared
        "kinds": (record.data.kind, network.kind),
    }


def _trained(record: Record, method: Mapping) -> dict:
    """What a model's method is, and what its training cost."""
    # other trainings of a machine leave the processor time as it is, but not the time
    cost = {None: None, "cpu": record.cpu_seconds}.get(record.device, record.seconds)
    if method["kind"] == "imported":
        # what is known is how long it took to read the file
        cost = None
    return {
        "kind": method["kind"],
        "family": family_of(method["kind"], method.get("sampling")),
        "randomised": bool(record.randomised),
        "chosen_epoch": record.parameters.training.keep == "best",
        "device": record.device or "",
        "cost": np.nan if cost is None else cost,
    }


def _data_settings(record: Record) -> dict:
    """The settings of a model's data set, those included that are newer than the record."""
    return with_defaults(AnyDataSet, {"kind": record.data.kind} | record.data.settings.model_dump(exclude_unset=True))


def _words(names: Iterable) -> str:
    *model, fold = names
    return " ".join(map(str, model)) + (f" fold {fold}" if fold else "")
