"""Keys that come twice in a file of a configuration: YAML and JSON take the last one, and say nothing."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from fairdistill.runtime.errors import UserError

# `<<: *anchor`, which may come several times
MERGED = "tag:yaml.org,2002:merge"


def refuse_repeated_keys(path: Path | str) -> None:
    """Raise a UserError that names the first key that comes twice in one mapping of a YAML or JSON file."""
    try:
        root = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        # JSON that is indented with tabs, which Snakemake has read as such
        return
    for key, first, second in _repeated(root, (), set()):
        raise UserError(f"{path}: line {second}: the key {key!r} comes twice, first in line {first}; keep one of them")


def _repeated(node: yaml.Node | None, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, int, int]]:
    """Yield each key that was in its mapping before, and the lines of both."""
    # an anchor may stand for a part that holds it
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _repeated(item, (*path, str(number)), seen)
    if isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in lines and key.tag != MERGED:
                yield ".".join([*path, name[1]]), lines[name], line
            lines[name] = line
            yield from _repeated(value, (*path, name[1]), seen)
