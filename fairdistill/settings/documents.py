"""What is written from the classes of settings: the JSON schema, and the tables of config/README.md."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from inspect import cleandoc
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import LARGEST_NUMBER, Settings, kinds
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.export import Export
from fairdistill.settings.methods import AnyMethod, BaseChoice, Erm, Imported
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.preprocess import Preprocess
from fairdistill.settings.study import Ablation, Data, Study
from fairdistill.settings.sweeps import SECTIONS, Search, as_text, sweepable
from fairdistill.settings.training import Training

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BOUNDS = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
END = "<!-- end of the settings -->"


# name in the marker in config/README.md -> the classes, each with a table of its own there
TABLES: dict[str, list[type[Settings]]] = {
    "study": [Study],
    "data": [Data],
    "data sets": kinds(AnyDataSet),
    "networks": kinds(AnyNetwork),
    "methods": kinds(AnyMethod),
    "base": [BaseChoice],
    "preprocess": [Preprocess],
    "search": [Search],
    "ablations": [Ablation],
    "training": [Training],
    "export": [Export],
}


def schema() -> dict[str, Any]:
    """The JSON schema of a configuration, draft 2020-12.

    It knows no text for numbers and no names that refer to each other: it is for editors, and `complete` is the check.
    Where an entry may be a sweep, its settings may be lists of values. The teacher may not be one, and is
    described by itself.
    """
    whole = deepcopy(_schema_of_single_values())
    definitions, properties = whole["$defs"], whole["properties"]
    trained, imported = (deepcopy(definitions[kind.__name__]) for kind in (Erm, Imported))
    # a checkpoint says of which kind a teacher is
    imported["required"] = ["checkpoint"]
    about = {key: properties["teacher"][key] for key in ("default", "description")}
    properties["teacher"] = {"anyOf": [trained, imported], **about}
    for entry in (entry for _, union in SECTIONS.values() for entry in kinds(union)):
        fields = definitions[entry.__name__]["properties"]
        fields |= {key: _or_several(fields[key]) for key in sweepable(entry)}
    return whole


@cache
def _schema_of_single_values() -> dict[str, Any]:
    """The JSON schema of a configuration without sweeps."""
    return {"$schema": DIALECT, **Study.model_json_schema(schema_generator=_Schema)}


def _or_several(field: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a setting of which a sweep has a list of values."""
    about = {key: field[key] for key in ("default", "description") if key in field}
    one = {key: part for key, part in field.items() if key not in about}
    return {"anyOf": [one, {"items": one, "minItems": 1, "type": "array", "uniqueItems": True}], **about}


class _Schema(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        # it would only repeat the name of the key
        return False

    def model_schema(self, schema: Any) -> dict[str, Any]:
        # the rest of the docstring is for those who read the code
        introduction = cleandoc(schema["cls"].__doc__).split("\n\n")[0]
        return {**super().model_schema(schema), "description": " ".join(introduction.split())}

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        found = super().dict_schema(schema)
        return {**found, "additionalProperties": False} if "patternProperties" in found else found


def schema_text() -> str:
    """The content of workflow/schemas/config.schema.json."""
    return json.dumps(schema(), indent=2) + "\n"


def readme_text(readme: str) -> str:
    """Return `readme`, the content of config/README.md, with its tables written anew.

    Raises
    ------
    UserError
        The markers of a table are missing.
    """
    for name, classes in TABLES.items():
        begin = f"<!-- settings: {name} -->"
        before, begun, rest = readme.partition(begin)
        _, ended, after = rest.partition(END)
        if not begun or not ended:
            raise UserError(f"config/README.md: the table {name!r} has no place; put {begin} and {END} there")
        tables = "\n".join(line for settings in classes for line in _table(settings))
        readme = f"{before}{begin}\n\n{tables}\n{END}{after}"
    return readme


def _table(settings: type[Settings]) -> Iterator[str]:
    """The lines on one class: its description, and a row for each key."""
    whole = _schema_of_single_values()
    part = whole if settings is Study else whole["$defs"][settings.__name__]
    keys = dict(part["properties"])
    kind = keys.pop("kind", None)
    name = f"`kind: {_kind(kind)}`. " if kind else ""
    yield from (f"{name}{part['description']}", "", "| key | default | meaning |", "|---|---|---|")
    for key, field in keys.items():
        description = settings.model_fields[_field(settings, key)].description
        yield f"| `{key}` | {_default(field)} | {' '.join([description or '', *_limits(field, description or '')])} |"
    yield ""


def _kind(field: Mapping[str, Any]) -> str:
    """The name of a kind, the first of two; and of a class of many kinds all names."""
    names = [field["const"]] if "const" in field else field["enum"]
    return names[0] if len(names) <= 2 else f"{names[0]}`, `{'`, `'.join(names[1:-1])}` or `{names[-1]}"


def _field(settings: type[Settings], key: str) -> str:
    """The attribute that a key of a configuration sets."""
    return next(name for name, field in settings.model_fields.items() if key in (name, field.alias))


def _default(field: Mapping[str, Any]) -> str:
    default = field["default"]
    if "$ref" in field:
        return "see below"
    if "patternProperties" in field:
        return ", ".join(f"`{name}`" for name in default)
    # as a configuration may have it: names need no quotes
    value = json.dumps(default).replace('"', "")
    return f"`{value}`"


def _limits(field: Mapping[str, Any], description: str) -> Iterator[str]:
    """What a key accepts, where its description does not say so, as sentences."""
    choices = [f"`{choice}`" for choice in field.get("enum", [])]
    if not all(choice in description for choice in choices):
        yield f"One of {', '.join(choices)}."
    for part, each in ((field, ""), (field.get("items", {}), "each ")):
        if bounds := [
            f"{words} {as_text(part[bound])}"
            for bound, words in BOUNDS.items()
            if part.get(bound, LARGEST_NUMBER) != LARGEST_NUMBER
        ]:
            sentence = f"{each}{', '.join(bounds)}."
            yield sentence[0].upper() + sentence[1:]
