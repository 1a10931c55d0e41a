"""The settings that the data sets and models of a study were made with, compared with those of its configuration.

Each has a record of them: dataset.json and training.json. So nothing else has to be kept, a study goes on with more
seeds and methods, and data sets and models are known wherever they were copied to. Metrics have the record of their
model. Without it they are taken as they are, as those of published studies are of older defaults.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from fairdistill.runtime.differences import differences
from fairdistill.runtime.files import parse_json
from fairdistill.settings.data import name_draw
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.study import Place, Study, name_folds


class Recorded(NamedTuple):
    """A part of the settings: the keys that lead to it in a record, its name in the configuration, and its JSON."""

    keys: tuple[str, ...]
    name: str
    value: Any


def changed_settings(study: Study, dataset_record: str, model_record: str) -> dict[str, list[str]]:
    """Return what was made with other settings than the study's, by its record, and what differs.

    A setting that a record lacks, as one of an older version does, makes no difference, and a record that cannot be
    read is left to whatever reads it next.

    Parameters
    ----------
    dataset_record
        The path of a data set's record, with the names `dataset` and `draw` in braces.
    model_record
        That of a model's, with `dataset`, `architecture`, `method`, `seed` and `fold`.
    """
    models = [(model_record.format(**names), settings) for names, settings in _of_models(study)]
    return _changed([*_of_datasets(study, dataset_record), *models])


def changed_metrics(study: Study, metrics: str, model_record: str) -> dict[str, list[str]]:
    """Return which metrics, whose models are not there, are of other settings than the study's, and what differs.

    Parameters
    ----------
    metrics
        The path of a model's metrics, with `dataset`, `architecture`, `method`, `seed` and `fold` in braces.
    model_record
        That of its record.
    """
    return _changed(
        (metrics.format(**names), settings)
        for names, settings in _of_models(study)
        if not os.path.exists(model_record.format(**names))
    )


def _changed(settings_of: Iterable[tuple[str, list[Recorded]]]) -> dict[str, list[str]]:
    found = {}
    for path, settings in dict(settings_of).items():
        if changes := list(_changes(Path(path), settings)):
            found[path] = changes
    return found


def _of_datasets(study: Study, pattern: str) -> Iterator[tuple[str, list[Recorded]]]:
    for grid in study.all_grids:
        for dataset in grid["dataset"]:
            settings = [Recorded(("settings",), *_of_dataset(study, dataset))]
            for draw in dict.fromkeys(name_draw(study.data.sets[dataset].per_seed, seed) for seed in grid["seed"]):
                yield pattern.format(dataset=dataset, draw=draw), settings


def _of_models(study: Study) -> Iterator[tuple[dict[str, Any], list[Recorded]]]:
    for grid in study.all_grids:
        for dataset, architecture, method in product(grid["dataset"], grid["architecture"], grid["method"]):
            name = TEACHER if method == TEACHER else f"students.{method}"
            base = study.base(Place(architecture, method))
            settings = [
                Recorded(("data", "settings"), *_of_dataset(study, dataset)),
                Recorded(("parameters", "network"), f"networks.{architecture}", study.networks[architecture].to_json()),
                Recorded(("parameters", "method"), name, study.method(method).parameters()),
                Recorded(("parameters", "training"), "training", study.training.to_json()),
                Recorded(("run", "base"), f"{name}.base", base and base._asdict()),
            ]
            for seed, fold in product(grid["seed"], name_folds(grid["fold"])):
                names = {"dataset": dataset, "architecture": architecture, "method": method, "seed": seed}
                yield names | {"fold": fold}, settings


def _of_dataset(study: Study, dataset: str) -> tuple[str, Any]:
    return f"data.sets.{dataset}", study.data.sets[dataset].to_json()


def _changes(path: Path, settings: list[Recorded]) -> Iterator[str]:
    try:
        record = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return
    for keys, name, value in settings:
        then = record
        with suppress(LookupError, TypeError):
            for key in keys:
                then = then[key]
            yield from differences(then, value, name, shared=True)
