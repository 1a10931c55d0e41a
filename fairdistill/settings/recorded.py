"""The settings that the data sets and models of a study were made with, compared with those of its configuration.

Each has a record of them: dataset.json and training.json. It has digests of the user's own files too, which may have
changed between the plan of a run and the job that read them, or after the results were copied here. So nothing else has
to be kept, a study goes on with more seeds and methods, and data sets and models are known wherever they were copied.
Metrics have the record of their model. Without it they are taken as they are, as those of published studies are of
older defaults.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from fairdistill.runtime.differences import differences
from fairdistill.runtime.files import parse_json
from fairdistill.settings.data import OWN_FILES
from fairdistill.settings.methods import TEACHER, Imported
from fairdistill.settings.study import Study, models_in, name_folds


class Recorded(NamedTuple):
    """A part of a record: the keys that lead to it, its name in the configuration, and the JSON that it should have.

    For the user's own files, `value` is a function that returns it.
    """

    keys: tuple[str, ...]
    name: str
    value: Any


# returns the digest of what the user's own files hold now, by the name of the data set or the path of the weights; None
# where there are no such files, and where it cannot be known
Digest = Callable[[str], str | None]


def changed_settings(
    study: Study, dataset_record: str, model_record: str, own_files: Digest, weights: Digest
) -> dict[str, list[str]]:
    """Return what was made with other settings than the study's, or of other files, by its record, and what differs.

    A setting that a record lacks, as one of an older version does, makes no difference, and a record that cannot be
    read is left to whatever reads it next.

    Parameters
    ----------
    dataset_record
        The path of a data set's record, with the names `dataset` and `draw` in braces.
    model_record
        That of a model's, with `dataset`, `architecture`, `method`, `seed` and `fold`.
    own_files
        Returns the digest of the files that a data set is made from.
    weights
        Returns the SHA-256 of a file that models start from.
    """
    models = [(model_record.format(**names), settings) for names, settings in _of_models(study, own_files, weights)]
    return _changed([*_of_datasets(study, dataset_record, own_files), *models])


def changed_metrics(
    study: Study, metrics: str, model_record: str, own_files: Digest, weights: Digest
) -> dict[str, list[str]]:
    """Return which metrics, whose models are not there, are of other settings or files than the study's, and how.

    Parameters
    ----------
    metrics
        The path of a model's metrics, with `dataset`, `architecture`, `method`, `seed` and `fold` in braces.
    model_record
        That of its record.
    own_files, weights
        As for `changed_settings`.
    """
    return _changed(
        (metrics.format(**names), settings)
        for names, settings in _of_models(study, own_files, weights)
        if not os.path.exists(model_record.format(**names))
    )


def _changed(settings_of: Iterable[tuple[str, list[Recorded]]]) -> dict[str, list[str]]:
    found = {}
    for path, settings in dict(settings_of).items():
        if changes := list(_changes(Path(path), settings)):
            found[path] = changes
    return found


def _of_datasets(study: Study, pattern: str, own_files: Digest) -> Iterator[tuple[str, list[Recorded]]]:
    for dataset, draw in study.draws(study.all_grids):
        yield pattern.format(dataset=dataset, draw=draw), _of_dataset(study, dataset, (), own_files)


def _of_models(study: Study, own_files: Digest, weights: Digest) -> Iterator[tuple[dict[str, Any], list[Recorded]]]:
    for grid in study.all_grids:
        for dataset, model in product(grid["dataset"], models_in(grid)):
            network, method = study.networks[model.architecture], study.method(model.method)
            name = TEACHER if model.method == TEACHER else f"students.{model.method}"
            base = study.base(model)
            training = Recorded(("parameters", "training"), "training", study.training.to_json())
            settings = [
                *_of_dataset(study, dataset, ("data",), own_files),
                Recorded(("parameters", "network"), f"networks.{model.architecture}", network.to_json()),
                Recorded(("parameters", "method"), name, method.parameters()),
                # an imported model was trained elsewhere
                *([] if isinstance(method, Imported) else [training]),
                Recorded(("run", "base"), f"{name}.base", base and base.to_json()),
            ]
            if file := study.file_of(model):
                settings.append(Recorded(("inputs", "checkpoint"), f"content of {file}", partial(weights, file)))
            for seed, fold in product(grid["seed"], name_folds(grid["fold"])):
                yield {"dataset": dataset, **model.to_json(), "seed": seed, "fold": fold}, settings


def _of_dataset(study: Study, dataset: str, within: tuple[str, ...], own_files: Digest) -> list[Recorded]:
    """What is recorded of a data set; `within` are the keys of the part of the record that is about it."""
    name, settings = f"data.sets.{dataset}", study.data.sets[dataset].to_json()
    return [
        Recorded((*within, "settings"), name, settings),
        Recorded((*within, "source", OWN_FILES), f"content of the files of {name}", partial(own_files, dataset)),
    ]


def _changes(path: Path, settings: list[Recorded]) -> Iterator[str]:
    try:
        record = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return
    for keys, name, value in settings:
        then = record
        try:
            for key in keys:
                then = then[key]
        except (LookupError, TypeError):
            continue
        # not before there is something to compare with: to read all images takes a while
        now = value() if callable(value) else value
        if now is not None or not callable(value):
            yield from differences(then, now, name, shared=True)
