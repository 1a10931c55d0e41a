"""Reading a configuration: one clear line for whatever is wrong with it."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import product
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import ALIASES, SAME, TEACHER
from fairdistill.settings.study import Place, Study

TYPES = {
    "bool": "true or false",
    "dict": "a mapping",
    "finite_number": "a number",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "a mapping",
    "model_attributes": "a mapping",
    "none_required": "null",
    "string": "text",
}
BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
NAME = "a name is text of letters, digits, _ and -"


def complete(config: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Study:
    """Check a configuration, and fill in the defaults.

    Text is read as a number, truth value or null where one is wanted: YAML takes `1e-3` for text, and Snakemake's
    `--config` gives every value inside a list or a mapping as text.

    Parameters
    ----------
    config
        The whole configuration; it is left as it is.
    given
        The part of it that the user laid over config/config.yaml, where that is known: the line then says where a
        wrong key came with the merging, and not from the user.

    Raises
    ------
    UserError
        One line that names the first key that is wrong.
    """
    config = _without_aliases(config)
    try:
        study = read_settings(Study, config, where="config")
    except UnreadableSettings as error:
        raise UserError(f"{error}{_origin(error.key, given)}") from None
    _check_names(study)
    return study


class UnreadableSettings(UserError):
    """Settings that are wrong; `path` is where the line says that they are, `key` leads to the key itself."""

    def __init__(self, where: str, path: tuple, what: str, key: tuple = ()):
        self.path, self.key = path, key
        super().__init__(f"{where}: {'.'.join(map(str, path))} {what}" if path else f"{where} {what}")


def read_settings(kind: Any, values: object, *, where: str) -> Any:
    """Return `values` as `kind`, a class of settings or a union of some.

    Raises
    ------
    UnreadableSettings
        One line that begins with `where` and names the first key that is wrong.
    """
    try:
        return _adapter(kind).validate_python(values)
    except ValidationError as error:
        # an unknown key goes first: it may be the cause of the others
        errors = [(_path(details["loc"], values), details) for details in error.errors()]
    # an unknown key goes first: it may be the cause of the others
    path, first = min(errors, key=lambda e: (e[1]["type"] != "extra_forbidden", tuple(map(str, e[0]))))
    raise UnreadableSettings(where, *_explain(path, first, values, _adapter(kind).json_schema()), key=path)


@cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


def _path(location: tuple, values: object) -> tuple:
    """The keys that lead to an error: what pydantic says, without the kinds that it puts between them."""
    path = []
    for key in location:
        if (isinstance(values, Mapping) and key in values) or (
            isinstance(values, list) and isinstance(key, int) and key < len(values)
        ):
            values = values[key]
        elif isinstance(values, Mapping) and values.get("kind") == key:
            continue
        else:
            # a missing key, or "[key]" behind a name that is wrong itself
            values = None
        path.append(key)
    return tuple(path)


def _explain(path: tuple, error: ErrorDetails, values: object, schema: Mapping) -> tuple[tuple, str]:
    """The path to what is wrong, and what is wrong with it."""
    kind, context = error["type"], error.get("ctx", {})
    # as it was given: the checks may have read text as a number, or a whole number as a float
    value = json.dumps(_at(values, path), default=str)
    if path and path[-1] == "[key]":
        return path[:-2], f"holds the name {json.dumps(path[-2])}; {NAME}"
    if kind == "extra_forbidden":
        return path[
            :-1
        ], f"has the unknown key {path[-1]!r}; {_choice(path[-1], _known_keys(path[:-1], values, schema))}"
    if kind in ("missing", "union_tag_not_found"):
        *path, key = (*path, "kind") if kind == "union_tag_not_found" else path
        return tuple(path), f"lacks the key {key!r}"
    if kind == "union_tag_invalid":
        path = (*path, "kind")
        return path, f"is {json.dumps(_at(values, path))}; {_choice(context['tag'], _quoted(context['expected_tags']))}"
    if kind == "literal_error":
        choices = _quoted(context["expected"])
        return path, f"is {value}; " + (
            f"it must be {choices[0]}" if len(choices) == 1 else _choice(_at(values, path), choices)
        )
    if kind == "too_short":
        return path, "is empty; name at least one"
    if kind == "string_pattern_mismatch":
        return path, f"is {value}; it must be of letters, digits, _ and -"
    if kind in BOUNDS:
        words, key = BOUNDS[kind]
        return path, f"is {value}; it must be {words} {context[key]:g}"
    if wanted := TYPES.get(kind.removesuffix("_type")):
        return path, f"is {value}; it must be {wanted}"
    if kind == "distinct":
        return path, f"is {value}; {error['msg']}"
    return path, error["msg"]


def _at(values: Any, path: tuple) -> object:
    for key in path:
        values = values[key] if isinstance(values, Mapping | list) and path[-1] != "[key]" else None
    return values


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _known_keys(path: tuple, values: Any, schema: Mapping) -> list[str]:
    """The keys that the mapping at `path` of `values` may have."""
    part = _resolved(schema, values, schema)
    for key in path:
        values = values[key]
        # a key of a class, the entries of a mapping of names, or the items of a list
        (named,) = part.get("patternProperties", {"": None}).values()
        part = _resolved(part.get("properties", {}).get(key) or named or part["items"], values, schema)
    return list(part["properties"])


def _resolved(part: Mapping, values: object, schema: Mapping) -> Mapping:
    """A part of a JSON schema with its references followed, and with the branch that the `kind` of `values` names."""
    while "properties" not in part:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].removeprefix("#/$defs/")]
        elif "discriminator" in part:
            part = {"$ref": part["discriminator"]["mapping"][values["kind"]]}
        elif "anyOf" in part:
            # what may be null as well
            part = next(branch for branch in part["anyOf"] if branch.get("type") != "null")
        else:
            break
    return part


def _without_aliases(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with today's names of the kinds of methods."""

    def renamed(method: object) -> object:
        if isinstance(method, Mapping) and isinstance(method.get("kind"), str):
            return {**method, "kind": ALIASES.get(method["kind"], method["kind"])}
        return method

    config = dict(config)
    if "teacher" in config:
        config["teacher"] = renamed(config["teacher"])
    if isinstance(config.get("students"), Mapping):
        config["students"] = {name: renamed(method) for name, method in config["students"].items()}
    return config


def _origin(path: tuple, given: Mapping[str, Any] | None) -> str:
    """Say so where the wrong key came with the merging: the user gave a part of its mapping, but not the key."""
    *parents, key = path or ("",)
    for parent in parents:
        given = given.get(parent) if isinstance(given, Mapping) else None
    if not parents or not isinstance(given, Mapping) or key in given:
        return ""
    return (
        f" ({key!r} is not yours: it stands in config/config.yaml, and mappings are merged; "
        f"give your entry another name than {parents[-1]!r})"
    )


def _check_names(study: Study) -> None:
    """The grids and the bases name only what is defined, no model stands on itself, and what chooses can."""
    for section, reserved in (("students", TEACHER), ("networks", SAME)):
        if reserved in getattr(study, section):
            what = f"holds the name {reserved!r}, which is reserved; choose another"
            raise UnreadableSettings("config", (section,), what)
    known = {
        "datasets": ("data.sets", study.data.sets),
        "architectures": ("networks", study.networks),
        "methods": ("students", study.students),
    }
    for where, part in [((), study), *((("ablations", i), part) for i, part in enumerate(study.ablations))]:
        for key, (section, defined) in known.items():
            for name in getattr(part, key) or []:
                _check_name((*where, key), name, section, defined)
    for name, method in study.students.items():
        if base := method.stands_on:
            where = ("students", name, "base")
            _check_name((*where, "method"), base.method, "students", [TEACHER, *study.students])
            _check_name((*where, "architecture"), base.architecture, "networks", [SAME, *study.networks])
    for name in study.students:
        for network in study.networks:
            _check_that_it_stands(study, Place(network, name))
    for grid in study.grids:
        for model in map(Place._make, product(grid["architecture"], grid["method"])):
            base = study.base(model)
            networks = study.networks[model.architecture], study.networks[base.architecture] if base else None
            if problem := study.method(model.method).problem(*networks):
                raise UnreadableSettings("config", ("students", model.method), problem)
    if study.paper_method is not None:
        _check_name(("paper_method",), study.paper_method, "methods", study.methods)
    _check_validation(study)


def _check_name(path: tuple, name: str, section: str, defined: Iterable[str]) -> None:
    if name not in defined:
        what = f"names {name!r}, which {section} does not define; {_choice(name, defined)}"
        raise UnreadableSettings("config", path, what)


def _check_that_it_stands(study: Study, model: Place) -> None:
    """The chain of bases of a model ends at one that stands on none."""
    seen = [model]
    while (base := study.base(seen[-1])) is not None:
        if base in seen:
            chain = " on ".join(" ".join(place) for place in [*seen, base])
            raise UnreadableSettings("config", ("students", model.method, "base"), f"leads in a circle: {chain}")
        seen.append(base)


def _check_validation(study: Study) -> None:
    """Whatever chooses anything reads the validation split alone, so there has to be one."""
    for grid in study.grids:
        names = [name for name in grid["method"] if study.method(name).needs_validation]
        asking = ["training.keep is best"] * (study.training.keep == "best")
        asking += [f"students.{name} is of a kind that is fitted on it" for name in names]
        for dataset in grid["dataset"]:
            if asking and study.data.sets[dataset].validation == 0:
                what = f"is 0, but {asking[0]}, which needs a validation split; set it to 0.1, say"
                raise UnreadableSettings("config", ("data", "sets", dataset, "validation"), what)


def _choice(given: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(given), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(known)}"
