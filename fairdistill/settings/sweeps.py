"""Sweeps: a list where a setting takes one value, so that one entry of a configuration stands for several models.

Sweeps are resolved before a configuration is checked; whatever comes later sees single models, each under a name of its
own. Entries of `students`, `networks` and `data.sets` may be sweeps.
"""

from collections.abc import Mapping
from functools import cache
from itertools import pairwise, product
from math import prod
from typing import Any, Literal

from pydantic import Field, ValidationError

from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import LONGEST_NAME, Name, Number, Settings, Text, adapter, settings_of_kind
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.methods import SAME, AnyMethod, BaseChoice
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.preprocess import Preprocess

# what names the entries in a grid: where the entries are, and what they may be
SECTIONS: dict[str, tuple[tuple[str, ...], Any]] = {
    "methods": (("students",), AnyMethod),
    "architectures": (("networks",), AnyNetwork),
    "datasets": (("data", "sets"), AnyDataSet),
}
# the value of each swept setting, by the name of the model
Sweep = dict[str, dict[str, Any]]
# by the key of SECTIONS and the name of the entry
Sweeps = dict[str, dict[str, Sweep]]
# the combinations of a few lists are soon more than anyone trains, and every model is compared with all methods that
# are not of its sweep, which takes a third of a second each: a quarter of an hour for these beside 26 methods
MOST = 100


class Search(Settings):
    """How one model of a sweep is chosen, for each data set and architecture, by its scores on the validation split."""

    rule: Literal["smallest_deo", "most_accurate", "best_worst_group"] = Field(
        "smallest_deo",
        description="What is chosen: `smallest_deo` is the smallest DEO among the models whose accuracy is within the "
        "margin; `most_accurate` is the highest accuracy; `best_worst_group` is the highest accuracy of the worst "
        "group.",
    )
    metric: Literal["deo_a", "deo_m"] = Field(
        "deo_a",
        description="Which DEO `smallest_deo` compares: `deo_a`, the mean over classes, or `deo_m`, the maximum, which "
        "is noisier.",
    )
    accuracy: Literal["cells", "images"] = Field(
        "cells",
        description="How accuracy is averaged: over the (class, group) `cells`, which all count the same, as in the "
        "test splits; or over all `images` of the validation split, which is as biased as training and favours biased "
        "models.",
    )
    margin: Number = Field(
        0.01,
        ge=0,
        le=1,
        description="How far a model's accuracy may be below its base's for `smallest_deo`, as a fraction; a model "
        "without a base is compared with the teacher.",
    )


class Candidates(Settings):
    """A search: its rule, and the models to choose from with the values of the swept settings."""

    sweep: Text
    rule: Search
    models: dict[Text, dict[Text, Any]]


class Line(Settings):
    """One line in the figure of a swept setting: the models that differ in that setting alone.

    Attributes
    ----------
    label
        The name of the sweep, and the values of its other settings.
    values
        The setting's value by the name of the method: numbers, or texts.
    base
        The model that all of them stand on; the teacher where there is no such model.
    """

    label: Text
    values: dict[Text, float | Text]
    base: BaseChoice


# a key that names data sets, and is none of a grid
EXAMPLES = "example_images"


def expand(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[dict[str, Any], Sweeps]:
    """Return a configuration with single models in the place of sweeps, and the models of each sweep.

    Where a grid or `export` names a sweep, it then names its models; the main grid also has those of every sweep that
    `search` names. An entry with a value that its setting does not take is left with that value alone: whoever reads
    the configuration finds it there.

    Parameters
    ----------
    config
        As the user wrote it; it is left as it is.
    defaults
        The value of each key that may be missing.

    Raises
    ------
    UserError
        One line, if two models would have one name, a model one that is none, or a sweep more than `MOST` models.
    """
    expanded, sweeps = dict(config), {}
    for key, (path, union) in SECTIONS.items():
        entries = _at(config, path)
        sweeps[key], single = _expand_section(".".join(path), entries, union)
        if single == entries:
            continue
        *parents, last = path
        place = expanded
        for parent in parents:
            place[parent] = dict(place[parent])
            place = place[parent]
        place[last] = single
        expanded[key] = _named(config.get(key, defaults[key]), sweeps[key])
        if key == "datasets" and EXAMPLES in config:
            expanded[EXAMPLES] = _named(config[EXAMPLES], sweeps[key])
        if isinstance(export := expanded.get("export"), Mapping) and key in export:
            expanded["export"] = {**export, key: _named(export[key], sweeps[key])}
        if isinstance(grids := expanded.get("ablations"), list):
            expanded["ablations"] = [
                {**grid, key: _named(grid[key], sweeps[key])} if isinstance(grid, Mapping) and key in grid else grid
                for grid in grids
            ]
    searched = [model for name in _at(config, ("search",)) for model in sweeps["methods"].get(name, ())]
    if searched and isinstance(methods := expanded["methods"], list):
        expanded["methods"] = [*methods, *(name for name in searched if name not in methods)]
    return expanded, sweeps


def lines_of(entry: str, sweep: Sweep, setting: str) -> dict[str, dict[str, Any]]:
    """Return the models of a sweep by the label of the line that they belong to, each with its value of `setting`."""
    lines: dict[str, dict[str, Any]] = {}
    for name, values in sweep.items():
        others = [f"{key} {as_text(value)}" for key, value in values.items() if key != setting]
        lines.setdefault(", ".join([entry, *others]), {})[name] = values[setting]
    return lines


@cache
def sweepable(kind: type[Settings]) -> dict[str, bool]:
    """Return the settings of a class that a sweep can have several values of, and whether one value is a list.

    A setting that records leave out, such as a folder, changes no result: its models would all be one. One that is a
    mapping has no value that a name could hold; a base has its names.
    """
    properties = kind.model_json_schema()["properties"]
    left_out = {field.alias or name for name, field in kind.model_fields.items() if field.exclude}
    return {
        key: any(part.get("type") == "array" for part in [field, *field.get("anyOf", [])])
        for key, field in properties.items()
        if key not in {"kind", *left_out}
        and field.get("type") != "object"
        and {"$ref": f"#/$defs/{Preprocess.__name__}"} not in field.get("anyOf", [])
    }


def neighbours(sweep: Sweep) -> set[tuple[str, str]]:
    """Return the pairs of models of a sweep that differ in one setting alone, and there by values beside each other.

    Numbers are in the order of their size, and all others in that of the list.
    """
    pairs = set()
    for setting in next(iter(sweep.values()), {}):
        for values in lines_of("", sweep, setting).values():
            names = sorted(values, key=values.__getitem__) if all(map(is_number, values.values())) else [*values]
            pairs |= set(pairwise(names))
    return pairs


def as_text(value: Any) -> str:
    """Return the value of a setting as a text, in a table or a figure; items of a list are separated by spaces."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return " ".join(map(as_text, value))
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def is_number(value: Any) -> bool:
    """Whether the value of a setting is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at(config: Any, path: tuple[str, ...]) -> Mapping[str, Any]:
    """The mapping that some keys lead to; an empty one where there is none, or something else."""
    for key in path:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config if isinstance(config, Mapping) else {}


def _named(names: Any, sweeps: Mapping[str, Sweep]) -> Any:
    """The names of a grid, with those of its models in the place of a sweep's.

    What is no list of names stays as it is: whoever reads the configuration finds each entry where the user wrote it.
    """
    if not isinstance(names, list) or not all(map(_is_name, names)):
        return names
    models = [[*sweeps[name]] if name in sweeps else [name] for name in names]
    return [name for group in models for name in group]


def _is_name(value: Any) -> bool:
    try:
        adapter(Name).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _expand_section(where: str, entries: Mapping[str, Any], union: Any) -> tuple[dict[str, Sweep], dict[str, Any]]:
    """The sweeps among the entries of a section, and the entries with their models in the place of the sweeps."""
    sweeps: dict[str, Sweep] = {}
    single: dict[str, Any] = {}
    swept = {name: _swept(entry, union) for name, entry in entries.items()}
    taken = {name for name, settings in swept.items() if not settings}
    for name, entry in entries.items():
        if not swept[name]:
            single[name] = entry
            continue
        if (number := prod(map(len, swept[name].values()))) > MOST:
            raise UserError(
                f"config: {where}.{name} stands for {number} models, and may for {MOST} at most; give its lists fewer "
                "values"
            )
        sweep: Sweep = {}
        models: dict[str, Any] = {}
        for chosen in product(*swept[name].values()):
            model = {**entry, **dict(zip(swept[name], chosen, strict=True))}
            try:
                settings = adapter(union).validate_python(model).to_json()
            except ValidationError:
                models = {name: model}
                break
            values = {key: _value(settings[key]) for key in swept[name]}
            of_model = "-".join([str(name), *(f"{key}{_label(value)}" for key, value in values.items())])
            if not _is_name(of_model):
                raise UserError(
                    f"config: {where}.{name} has a model of the name {of_model[: 2 * LONGEST_NAME]!r}, by the values "
                    f"of {' and '.join(swept[name])}; a name has letters, digits, _ and - alone, {LONGEST_NAME} of "
                    "them at most"
                )
            if of_model in models:
                raise UserError(
                    f"config: {where}.{name} has two models of the name {of_model!r}; leave one of the values of "
                    f"{' or '.join(swept[name])} out"
                )
            if of_model in taken:
                raise UserError(
                    f"config: {where} holds {of_model!r}, which is also a model of the sweep {name!r}; give one of the "
                    "two entries another name"
                )
            sweep[of_model], models[of_model] = values, model
        else:
            sweeps[name] = sweep
            taken |= models.keys()
        single |= models
    return sweeps, single


def _swept(entry: Any, union: Any) -> dict[str, list]:
    """The settings of an entry that have a list of values, and the list of each."""
    kind = settings_of_kind(union, entry.get("kind")) if isinstance(entry, Mapping) else None
    if kind is None:
        return {}
    is_list = sweepable(kind)
    return {
        key: values
        for key, values in entry.items()
        if isinstance(values, list)
        and key in is_list
        and (any(isinstance(value, list) for value in values) if is_list[key] else values)
    }


def _value(value: Any) -> Any:
    """The value of a setting as tables and names have it: a base by its names."""
    if not isinstance(value, Mapping):
        return value
    return " ".join(name for name in (value["architecture"], value["method"]) if name != SAME)


def _label(value: Any) -> str:
    """What a value adds to a name, behind that of its setting.

    0p5 for 0.5, 1em05 for 1e-05, _rbf for rbf, _features_2 for the layer features.2.
    """
    text = as_text(value)
    if is_number(value):
        return text.replace(".", "p").replace("-", "m")
    return f"_{text.lower() if isinstance(value, bool) else text}".replace(" ", "_").replace(".", "_")
