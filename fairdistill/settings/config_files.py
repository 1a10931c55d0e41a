"""The files of a configuration, before their settings are read: whether they are YAML, with each key once."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import parse_json

# `<<: *anchor`, which may come several times
MERGED = "tag:yaml.org,2002:merge"
DEEPEST = 50  # keys and numbers of items that lead to a value; settings have under 10


def check_config_file(path: Path | str) -> None:
    """Raise a UserError unless a file holds settings as YAML or JSON in UTF-8, and names no key of a mapping twice.

    YAML and JSON take the last of two equal keys, and say nothing.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file of settings")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no text in UTF-8 (at byte {error.start}); save it as UTF-8") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        if not _is_json(text):
            what = " ".join(str(error).split())
            if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
                what = f"line {error.problem_mark.line + 1}: {error.problem}"
            raise UserError(f"{path}: is not YAML ({what})") from None
        # it is indented with tabs, which YAML does not take
        json.loads(text, object_pairs_hook=partial(_refuse_repeated, path))
        return
    except RecursionError:
        raise UserError(f"{path}: is nested too deeply") from None
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{path}: has to hold settings, as `key: value`; a file without any has to hold {{}}")
    for key, first, second in _repeated(path, root, (), {}):
        raise UserError(f"{path}: line {second}: the key {key!r} comes twice, first in line {first}; keep one of them")
    try:
        yaml.SafeLoader("").construct_document(root)
    except (ValueError, yaml.YAMLError) as error:
        # such as a number of thousands of digits
        raise UserError(f"{path}: a value cannot be read ({' '.join(str(error).split())})") from None


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
        raise UserError(f"{file}: line {node.start_mark.line + 1}: is nested too deeply")
    if seen.get(id(node)):
        raise UserError(f"{file}: line {node.start_mark.line + 1}: holds itself, by an anchor within it")
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
