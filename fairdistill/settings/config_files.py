"""The files of a configuration, before their settings are read: whether they are YAML, with each key once."""

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from fairdistill.runtime.errors import UserError, refusal
from fairdistill.runtime.files import parse_json
from fairdistill.settings.reading import shortened

YAML_TAG = "tag:yaml.org,2002:"  # which `!!` stands for
# `<<: *anchor`, which may come several times
MERGED = f"{YAML_TAG}merge"
DEEPEST = 50  # keys and numbers of items that lead to a value; settings have under 10


def check_config_file(path: Path | str) -> None:
    """Raise a UserError unless a file holds settings as YAML or JSON in UTF-8, and names no key of a mapping twice.

    YAML and JSON take the last of two equal keys, and say nothing. A file that is missing is a FileNotFoundError.
    """
    path = Path(path)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        # one may be read without an end, or hold nothing any more, as Snakemake has read it
        raise UserError(f"{path}: is a pipe or a device; save the settings in a file")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no text in UTF-8 (at byte {error.start}); save it as UTF-8") from None
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name a file of settings") from None
    except OSError as error:
        raise UserError(refusal(error)) from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        if not _is_json(text):
            raise UserError(f"{path}: is not YAML ({_problem(error)}); mend it") from None
        # it is indented with tabs, which YAML does not take
        json.loads(text, object_pairs_hook=partial(_refuse_repeated, path))
        return
    except RecursionError:
        raise UserError(f"{path}: is nested too deeply; give a file of settings") from None
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{path}: has to hold settings, as `key: value`; a file without any has to hold {{}}")
    for key, first, second in _repeated(path, root, (), {}):
        raise UserError(f"{path}: line {second}: the key {key!r} comes twice, first in line {first}; keep one of them")
    try:
        _Values("").construct_document(root)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: a value cannot be read ({_problem(error)})") from None


class _Values(yaml.SafeLoader):
    """Reads values as YAML's tags have them; of one that is none of its tag's it raises a YAMLError with its line.

    PyYAML raises whatever it comes upon: a KeyError for `!!bool maybe`, an AttributeError for `!!timestamp x`, an
    IndexError for `!!int ""`, a ValueError for a number of thousands of digits.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            tag = node.tag.replace(YAML_TAG, "!!")
            what = f"{shortened(str(node.value))!r} is no {tag}; put what is text in quotes, without a tag"
            raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark) from None


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong with the YAML of a file, and in which line, where that is known."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def _refuse_repeated(path: Path, pairs: list[tuple[str, Any]]) -> dict:
    for number, (key, _) in enumerate(pairs):
        if key in dict(pairs[:number]):
            raise UserError(f"{path}: the key {key!r} comes twice in one mapping; keep one of them")
    return dict(pairs)


def _is_json(text: str) -> bool:
    try:
        return isinstance(parse_json(text), dict)
    except ValueError:
        return False


def _repeated(
    file: Path, node: yaml.Node, path: tuple[str, ...], seen: dict[int, bool]
) -> Iterator[tuple[str, int, int]]:
    """Yield each key that was in its mapping before, and the lines of both.

    `seen` has the nodes that were met, and whether they are still being gone through.
    """
    if len(path) > DEEPEST:
        raise UserError(f"{file}: line {node.start_mark.line + 1}: is nested too deeply; give a file of settings")
    if seen.get(id(node)):
        raise UserError(f"{file}: line {node.start_mark.line + 1}: holds itself, by an anchor within it; take that out")
    if id(node) in seen:
        return
    seen[id(node)] = True
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _repeated(file, item, (*path, str(number)), seen)
    if isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in lines and key.tag != MERGED:
                yield ".".join([*path, name[1]]), lines[name], line
            lines[name] = line
            yield from _repeated(file, value, (*path, name[1]), seen)
    seen[id(node)] = False
