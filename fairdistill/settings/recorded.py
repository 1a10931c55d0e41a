"""The settings that the data sets and models of a study were made with, compared with those of its configuration.

Each has a record of them: dataset.json and training.json. It has digests of the user's own files too, which may have
changed between the plan of a run and the job that read them, or after the results were copied here. So nothing else has
to be kept, a study goes on with more seeds and methods, and data sets and models are known wherever they were copied.
Metrics without their models are taken as they are: those of published studies are of older defaults.
"""

import os.path
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from fairdistill.runtime.differences import differences
from fairdistill.runtime.files import parse_json
from fairdistill.settings.data import OWN_FILES, name_draw
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.study import Place, Study, name_folds


class Recorded(NamedTuple):
    """A part of the settings: the keys that lead to it in a record, its name in the configuration, and its JSON."""

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
    found = {}
    of_datasets = _of_datasets(study, dataset_record, own_files)
    for path, settings in dict([*of_datasets, *_of_models(study, model_record, weights)]).items():
        if changes := list(_changes(Path(path), settings)):
            found[path] = changes
    return found


def _of_datasets(study: Study, pattern: str, own_files: Digest) -> Iterator[tuple[str, list[Recorded]]]:
    for grid in study.all_grids:
        for dataset in grid["dataset"]:
            name, value = _of_dataset(study, dataset)
            for draw in dict.fromkeys(name_draw(study.data.sets[dataset].per_seed, seed) for seed in grid["seed"]):
                path = pattern.format(dataset=dataset, draw=draw)
                settings = [Recorded(("settings",), name, value)]
                # not before there is something to compare with: to read all images takes a while
                if os.path.exists(path) and (digest := own_files(dataset)):
                    settings.append(Recorded(("source", OWN_FILES), f"content of the files of {name}", digest))
                yield path, settings


def _of_models(study: Study, pattern: str, weights: Digest) -> Iterator[tuple[str, list[Recorded]]]:
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
            file = study.file_of(Place(architecture, method))
            if digest := file and weights(file):
                settings.append(Recorded(("inputs", "checkpoint"), f"content of {file}", digest))
            for seed, fold in product(grid["seed"], name_folds(grid["fold"])):
                names = {"dataset": dataset, "architecture": architecture, "method": method, "seed": seed}
                yield pattern.format(**names, fold=fold), settings


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
