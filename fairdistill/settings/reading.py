"""The configuration of a study: defaults, and one clear line for whatever is wrong with it."""

import copy
import difflib
import functools
import json
import math
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from fairdistill.runtime.errors import UserError

# a grammar of URIs, which jsonschema would load in a second where Jupyter has brought it; no URI is checked here
sys.modules.setdefault("rfc3987_syntax", None)
from jsonschema import Draft202012Validator, ValidationError, validators  # noqa: E402

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"
TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the defaults of the schema, and check the whole.

    Text is read as a number, truth value or null where the schema wants one: YAML takes `1e-3` for text, and
    Snakemake's `--config` gives every value inside a list or a mapping as text. Numbers come out as floats where the
    schema allows any number, so that 3 and 3.0 are the same configuration.

    Parameters
    ----------
    config
        What the user gave; it is left as it is.

    Raises
    ------
    UserError
        One line that names the first key that is wrong.
    """
    completed = _fill(config, schema())
    errors = _Validator(schema()).iter_errors(completed)
    # an unknown key goes first: it may be the cause of the others
    if error := min(errors, key=lambda e: (e.validator != "additionalProperties", _path(e)), default=None):
        raise _error(_path(error), _explain(error))
    _check_names(completed)
    return completed


def method_of_paper(config: Mapping[str, Any]) -> str | None:
    """The students to set beside the paper's: the first method of kind mfd, if there is one."""
    return next((name for name in config["methods"] if config["students"][name]["kind"] == "mfd"), None)


def grids(config: Mapping[str, Any]) -> list[dict[str, list]]:
    """The grids of a complete configuration, the main one last: the names of their models by column of a table of runs.

    What an ablation leaves out is the main grid's. Every grid has the teachers.
    """
    parts = [{**config, **part} for part in config["ablations"]] + [config]
    return [
        {
            "dataset": part["datasets"],
            "architecture": part["architectures"],
            "method": ["teacher", *part["methods"]],
            "seed": part["seeds"],
        }
        for part in parts
    ]


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON schema of a configuration (Draft 2020-12)."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def resolve(part: Mapping[str, Any], value: object = None) -> dict[str, Any]:
    """A part of the schema with its reference followed, and with what the `kind` of `value` adds to it."""
    part = dict(part)
    if reference := part.pop("$ref", None):
        part = resolve(schema()["$defs"][reference.removeprefix("#/$defs/")], value) | part
    kind = value.get("kind") if isinstance(value, Mapping) else None
    for branch in part.get("allOf", []):
        if branch["if"]["properties"]["kind"]["const"] == kind:
            part |= resolve(branch["then"], value)
    return part


def _fill(value: object, part: Mapping[str, Any]) -> object:
    part = resolve(part, value)
    if isinstance(value, Mapping):
        known = part.get("properties", {})
        others = part.get("additionalProperties") or {}
        defaults = {
            key: copy.deepcopy(resolve(child)["default"])
            for key, child in known.items()
            if key not in value and "default" in resolve(child)
        }
        return {key: _fill(child, known.get(key, others)) for key, child in (value | defaults).items()}
    if isinstance(value, list):
        return [_fill(child, part.get("items", {})) for child in value]
    types = part.get("type", ())
    if isinstance(value, str):
        return _read(value, types)
    # 3 and 3.0 are one configuration
    return float(value) if types == "number" and _is_integer(None, value) else value


def _read(text: str, types: str | Iterable[str]) -> object:
    if "null" in types and text == "null":
        return None
    if "boolean" in types and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for name, number in (("integer", int), ("number", float)):
        if name in types:
            with suppress(ValueError):
                return number(text)
    return text


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: object, value: object) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer).redefine("number", _is_number),
)


def _explain(error: ValidationError) -> str:
    value, limit = json.dumps(error.instance, default=str), error.validator_value
    if error.schema.get("type") == "number":
        value = value.removesuffix(".0")  # as it was given
    if "propertyNames" in error.absolute_schema_path:
        return f"holds the name {value}; a name is text of letters, digits, _ and -"
    match error.validator:
        case "additionalProperties":
            known = error.schema["properties"]
            key = next(key for key in error.instance if key not in known)
            return f"has the unknown key {key!r}; {_choice(key, known)}"
        case "required":
            return f"lacks the key {next(key for key in limit if key not in error.instance)!r}"
        case "type":
            wanted = [limit] if isinstance(limit, str) else limit
            return f"is {value}; it must be {' or '.join(TYPES[name] for name in wanted)}"
        case "enum":
            return f"is {value}; {_choice(error.instance, limit)}"
        case "const":
            return f"is {value}; it must be {limit}"
        case "minimum":
            return f"is {value}; it must be at least {limit}"
        case "exclusiveMinimum":
            return f"is {value}; it must be above {limit}"
        case "exclusiveMaximum":
            return f"is {value}; it must be below {limit}"
        case "maximum":
            return f"is {value}; it must be at most {limit}"
        case "minItems":
            return "is empty; name at least one"
        case "uniqueItems":
            return f"is {value}; an entry comes twice"
        case "pattern":
            return f"is {value}; it must be of letters, digits, _ and -"
    return error.message


def _check_names(config: Mapping[str, Any]) -> None:
    """The grid and the methods name only what is defined."""
    students, models = config["students"], config["models"]
    for where, names, reserved in (("students", students, "teacher"), ("models", models, "same")):
        if reserved in names:
            raise _error(where, f"holds the name {reserved!r}, which is reserved; choose another")
    sections = {
        "datasets": ("data.sets", config["data"]["sets"]),
        "architectures": ("models", models),
        "methods": ("students", students),
    }
    parts = {"": config} | {f"ablations.{i}.": part for i, part in enumerate(config["ablations"])}
    lists = [
        (f"{where}{name}", part[name], *section)
        for where, part in parts.items()
        for name, section in sections.items()
        if name in part
    ]
    teachers = [
        (f"students.{name}.teacher", [method["teacher"]], "models", ["same", *models])
        for name, method in students.items()
        if "teacher" in method
    ]
    for path, names, section, defined in lists + teachers:
        for name in names:
            if name not in defined:
                raise _error(path, f"names {name!r}, which {section} does not define; {_choice(name, defined)}")


def _path(error: ValidationError) -> str:
    return ".".join(str(key) for key in error.absolute_path)


def _error(path: str, what: str) -> UserError:
    return UserError(f"config: {path} {what}" if path else f"config {what}")


def _choice(given: object, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(given), known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(known)}"
