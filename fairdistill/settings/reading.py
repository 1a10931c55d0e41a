"""Reading settings: one clear line for whatever is wrong with them."""

import difflib
import json
import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fairdistill.runtime.errors import UserError, without_password
from fairdistill.runtime.files import parse_json
from fairdistill.settings.base import LONGEST_NAME, adapter

# what leads to a place in a configuration
Keys = tuple[str | int, ...]

TYPES = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "text",
    "string_unicode": "text",
}
BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
UNKNOWN = ("extra_forbidden", "invalid_key")
# names that torchvision has, and why the pipeline has no such network
IMPOSSIBLE = dict.fromkeys(
    ("squeezenet1_0", "squeezenet1_1"),
    "has no linear layer at its end, whose input would be the features; choose another, such as mobilenet_v3_small",
)
# other names that keys have had, or have elsewhere
RENAMED = {"models": "networks", "teacher": "base"}
NAME = f"text of letters, digits, _ and - that begins with a letter or digit, and has at most {LONGEST_NAME} characters"
# what pydantic puts behind a name in a mapping of names that is wrong itself
WRONG_NAME = "[key]"
LONGEST = 80  # characters of a wrong value that an error shows
SHORTEST_PART = 3  # characters of a part of a name that tell which one is meant


class UnreadableSettings(UserError):
    """Settings that are wrong.

    Attributes
    ----------
    unknown
        The keys that lead to the unknown key; empty where something else is wrong.
    """

    def __init__(self, where: str, path: Keys, what: str, unknown: Keys = ()):
        self.unknown = unknown
        super().__init__(f"{where}: {'.'.join(map(str, path))} {what}" if path else f"{where} {what}")


def read_settings(kind: Any, values: object, *, where: str) -> Any:
    """Return `values` as `kind`, a class of settings or a union of some.

    Raises
    ------
    UnreadableSettings
        One line that begins with `where` and names the first key that is wrong.
    """
    try:
        return adapter(kind).validate_python(values)
    except ValidationError as error:
        first = min(error.errors(), key=_rank)
    raise _explain(where, first, values, _schema(kind))


def read_json_option(kind: Any, text: str, *, option: str) -> Any:
    """Return the value of a command-line option, which is JSON, as `kind`; a UserError names what is wrong with it."""
    try:
        values = parse_json(text)
    except ValueError as error:
        raise UserError(f"{option}: not readable as JSON ({error})") from error
    return read_settings(kind, values, where=option)


@cache
def _schema(kind: Any) -> Mapping[str, Any]:
    return adapter(kind).json_schema()


def _rank(error: ErrorDetails) -> tuple:
    """A wrong name goes first, then an unknown key: either may be the cause of other errors."""
    wrong_name = error["loc"][-1:] == (WRONG_NAME,)
    return not wrong_name, error["type"] not in UNKNOWN, [str(key) for key in error["loc"]]


class _Found(NamedTuple):
    """A place in the settings: the keys that lead to it, its value, and its part of the JSON schema."""

    path: Keys
    value: Any
    schema: Mapping[str, Any]


def _find(location: Keys, values: Any, schema: Mapping[str, Any]) -> _Found:
    """Follow an error's location, in which pydantic puts the `kind` of an entry behind the entry's name."""
    root = schema
    path: list[str | int] = []
    for key in location:
        part = _resolved(schema, values, root)
        if "discriminator" in part:
            schema = {"$ref": part["discriminator"]["mapping"][key]}
        elif not isinstance(values, Mapping | list):
            # inside of what was made from a bare name
            break
        else:
            path.append(key)
            values = values.get(key) if isinstance(values, Mapping) else values[int(key)]
            schema = _child(part, key)
    return _Found(tuple(path), values, _resolved(schema, values, root))


def _child(schema: Mapping[str, Any], key: str | int) -> Mapping[str, Any]:
    """The part of a JSON schema on a key of a class, the items of a list, or the entries of a mapping of names."""
    patterns = schema.get("patternProperties", {}).values()
    parts = (schema.get("properties", {}).get(key), schema.get("items"), *patterns, schema.get("additionalProperties"))
    return next((part for part in parts if isinstance(part, Mapping)), {})


def _resolved(schema: Mapping[str, Any], value: object, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part of a JSON schema with its reference followed, and with the alternative that `value` is of."""
    if "$ref" in schema:
        return _resolved(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root)
    if "anyOf" in schema:
        wanted = "array" if isinstance(value, list) else "object"
        alternatives = [_resolved(alternative, value, root) for alternative in schema["anyOf"]]
        return next((found for found in alternatives if found.get("type") == wanted), alternatives[0])
    return schema


def _explain(where: str, error: ErrorDetails, values: object, schema: Mapping[str, Any]) -> UnreadableSettings:
    kind, location, context = error["type"], error["loc"], error.get("ctx", {})
    if location[-1:] == (WRONG_NAME,) and kind not in UNKNOWN:
        *parents, wrong, _ = location
        found = _find(tuple(parents), values, schema)
        # pydantic takes a truth value for the number that it equals
        given = next((key for key in found.value if key == wrong), wrong)
        quoted = ", and YAML reads yes, no, on and off as truth values unless they are quoted" * isinstance(given, bool)
        return UnreadableSettings(where, found.path, f"holds the name {_shown(given)}; a name is {NAME}{quoted}")
    if kind in UNKNOWN:
        *parents, key = location
        found = _find(tuple(parents), values, schema)
        known = found.schema["properties"]
        now = RENAMED.get(str(key))
        hint = f"it is called {now!r} now" if now in known else choice(key, known)
        what = f"has the unknown key {shortened(repr(key))}; {hint}"
        return UnreadableSettings(where, found.path, what, (*found.path, key))
    if kind == "missing":
        return UnreadableSettings(where, _find(location[:-1], values, schema).path, f"lacks the key {location[-1]!r}")
    path, value, _ = _find(location, values, schema)
    if kind == "union_tag_not_found":
        return UnreadableSettings(where, path, "lacks the key 'kind'")
    if kind == "union_tag_invalid":
        path, value = (*path, "kind"), value["kind"]
    if kind in ("union_tag_invalid", "literal_error"):
        if isinstance(value, str) and value in IMPOSSIBLE:
            return UnreadableSettings(where, path, f"is {value}, which {IMPOSSIBLE[value]}")
        choices = re.findall(r"'([^']*)'", context.get("expected_tags") or context["expected"])
        what = f"it must be {choices[0]}" if len(choices) == 1 else choice(value, choices)
    elif kind in ("too_short", "too_long") and context.get("min_length", context.get("max_length")) != 1:
        what = f"it must have {context.get('min_length', context.get('max_length'))} values"
    elif kind == "too_short":
        hint = "give a path, or leave it out" if isinstance(value, str) else "name at least one"
        return UnreadableSettings(where, path, f"is empty; {hint}")
    elif kind == "string_too_long":
        what = f"it must have at most {context['max_length']} characters"
    elif kind == "string_pattern_mismatch":
        what = f"it must be {NAME}"
    elif kind in BOUNDS:
        words, bound = BOUNDS[kind]
        what = f"it must be {words} {_shown(context[bound]).removesuffix('.0')}"
    elif kind in TYPES:
        what = f"it must be {TYPES[kind]}"
    elif kind == "distinct":
        what = error["msg"]
    else:
        return UnreadableSettings(where, path, error["msg"])
    return UnreadableSettings(where, path, f"is {_shown(value)}; {what}")


def _shown(value: object) -> str:
    """A value as JSON, in one line, as it was given: the checks may have read text as a number."""
    try:
        text = json.dumps(value, default=str)
    except (TypeError, ValueError):
        # a mapping with a key such as a date, or a number of thousands of digits
        text = f"a {type(value).__name__} that JSON cannot hold"
    return shortened(without_password(text))


def shortened(text: str) -> str:
    """Return a text, or the beginning of one that is longer than an error shows."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def choice(given: object, known: Collection[str]) -> str:
    """Return what to write in the place of `given`: what is most like it, or else all that there is."""
    return suggestion(given, known) or (f"choose one of {', '.join(known)}" if known else "there is none yet")


def suggestion(given: object, known: Collection[str]) -> str:
    """Return which of `known`, one or some, may be meant by `given`; nothing where none is like it."""
    plain = {name: _plain(name) for name in known}
    wanted = _plain(given) if isinstance(given, str) else str(given)
    meant = [name for name in known if plain[name] == wanted]
    if not meant:
        # a part of names, as of the kinds of one family of networks, says more than how much else the names have
        meant = [name for name in known if len(wanted) >= SHORTEST_PART and wanted in plain[name]]
    if not meant and (close := difflib.get_close_matches(wanted, plain.values(), n=1)):
        meant = [name for name in known if plain[name] == close[0]]
    if len(meant) == 1:
        return f"did you mean {meant[0]!r}?"
    return f"choose one of {', '.join(meant)}" if meant else ""


def _plain(name: str) -> str:
    """A name without what people write in different ways: case, and the marks between its parts."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
