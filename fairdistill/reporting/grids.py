"""Grids, whose combinations of names are the models of a study: their files, and the order that models stand in."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, TypeVar

import pandas as pd
from pydantic import Field

from fairdistill.reporting.columns import MODEL, TRAINING, keys
from fairdistill.settings.base import Settings, Text
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.reading import read_json_option
from fairdistill.settings.study import name_folds

Item = TypeVar("Item")
AtLeastOne = Annotated[list[Item], Field(min_length=1)]


class Grid(Settings):
    """Names whose combinations are models; where there are several grids, a model may be in more than one."""

    dataset: AtLeastOne[Text]
    architecture: AtLeastOne[Text]
    method: AtLeastOne[Text]
    seed: AtLeastOne[int]
    # of the test images; [0] where the data sets have one test set
    fold: AtLeastOne[int] = Field(default=[0])


def read_grids(text: str) -> list[dict[str, list]]:
    """Return the grids that the option --grids gives as JSON; a UserError names what is wrong with them."""
    return [grid.to_json() for grid in read_json_option(list[Grid], text, option="--grids")]


def model_paths(pattern: str, grids: Sequence[Mapping[str, Sequence]]) -> dict[str, tuple]:
    """Return the path of a file of each model of the grids, and the values of `TRAINING` of the model.

    Parameters
    ----------
    pattern
        See `fairdistill.reporting.models.read_models`.
    """
    found = {}
    for grid in grids:
        folds = grid.get("fold", [0])
        for names in itertools.product(*(grid[name] for name in TRAINING if name != "fold"), folds):
            found[_path(pattern, names, folds)] = names
    return found


def paths_of(pattern: str, runs: pd.DataFrame) -> dict[str, tuple]:
    """Return the path of a file of each training, and the values of `TRAINING` of the training.

    Parameters
    ----------
    pattern
        See `fairdistill.reporting.models.read_models`.
    runs
        One row per training, with the columns `TRAINING`; a data set has the folds of its rows.
    """
    folds = runs.groupby("dataset")["fold"].unique().map(sorted)
    return {_path(pattern, names, folds[names[0]]): names for names in keys(runs, TRAINING)}


def _path(pattern: str, names: Iterable, folds: Sequence[int]) -> str:
    """The path of a training's file: `pattern` with its values of `TRAINING`; `folds` are all of its data set."""
    for name, value in zip(TRAINING, names, strict=True):
        part = value if name != "fold" else name_folds(folds)[list(folds).index(value)]
        pattern = pattern.replace(f"{{{name}}}", str(part))
    return pattern


def in_order(grids: Sequence[Mapping[str, Sequence]], runs: pd.DataFrame) -> dict[str, list[str]]:
    """Return all data sets, architectures and methods of some grids in the order that tables and figures keep.

    Names are in the order of the grids, the teacher before all other methods. A name that first comes in a later grid
    than one that stands on it is moved before that one: grids of bases follow the grid that needs them.

    Parameters
    ----------
    runs : DataFrame
        The models of the grids, with what each stands on.
    """
    order = {}
    for column in MODEL:
        first = {name: i for i, grid in reversed(list(enumerate(grids))) for name in grid[column]}
        bases: dict[str, dict] = {name: {} for name in first}
        if column != "dataset":
            for name, base in zip(runs[column], runs[f"base_{column}"], strict=True):
                if name in first and first.get(base, -1) > first[name]:
                    bases[name][base] = None
        names = [name for grid in grids for name in grid[column]]
        placed = [TEACHER] if column == "method" and TEACHER in names else []
        order[column] = list(dict.fromkeys([*placed, *itertools.chain(*(_after_bases(name, bases) for name in names))]))
    return order


def _after_bases(name: str, bases: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The bases of a name, those that they stand on before them, and then the name."""
    for base in bases[name]:
        yield from _after_bases(base, bases)
    yield name


def in_grid_order(runs: pd.DataFrame, order: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the runs by data set, architecture, method, each in the order that `in_order` gives, seed and fold."""
    rank = {column: {name: i for i, name in enumerate(names)} for column, names in order.items()}
    return runs.sort_values(
        TRAINING, key=lambda column: column.map(rank[column.name]) if column.name in rank else column, ignore_index=True
    )
