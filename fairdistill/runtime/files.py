"""Reading and writing files; none is ever there half written, not even after a crash or on a full disk."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fairdistill.runtime.errors import UserError

DEEPEST = 200  # objects and lists in each other; records have under 10


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary sibling of `path` to write to; rename it over `path` on success, remove it on failure.

    The earlier file stays whole until the new one is complete and on disk. A link stays a link, and the file that it
    leads to is replaced. What is neither a file nor a folder, such as a pipe or a terminal, is itself yielded: of these
    nothing can be kept, and they must never be replaced by a file.

    Raises
    ------
    UserError
        There is a folder of this name.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder; name a file")
        if path.exists() and not path.is_file():
            yield path
            return
        with _sibling(Path(os.path.realpath(path)) if path.is_symlink() else path) as partial:
            yield partial
    except OSError as error:
        # the error of a full disk does not name the file
        error.filename = error.filename or str(path)
        raise


@contextmanager
def replacing_together(
    folder: Path, names: Sequence[str], record: str, outdated: Sequence[str] = ()
) -> Iterator[dict[str, Path]]:
    """Yield, by their names, temporary siblings of files of a folder and of `record`, the file that says what they are.

    All are written before an earlier record goes, so that an error leaves the earlier files whole. They are renamed
    into place in the opposite order, the record last: where there is one, the files are those that it names. With an
    earlier record go the `outdated` files of the folder, those that were made from the earlier ones; without one, files
    of these names are somebody else's.
    """
    with replacing(folder / record) as last, ExitStack() as others:
        yield {name: others.enter_context(replacing(folder / name)) for name in names} | {record: last}
        if (folder / record).exists():
            for name in (record, *outdated):
                (folder / name).unlink(missing_ok=True)


@contextmanager
def _sibling(path: Path) -> Iterator[Path]:
    """What `replacing` does of a path that is a file, or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with open(partial, "rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    except OSError as error:
        # the user knows nothing of the temporary file
        if error.filename is not None and os.fspath(error.filename) == str(partial):
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `path` that killed processes have left behind."""
    name = re.compile(rf"\.{re.escape(path.name)}\.(\d{{1,9}})\.partial")
    for sibling in path.parent.iterdir():
        if (match := name.fullmatch(sibling.name)) and not _is_running(int(match[1])):
            sibling.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def no_folders(*paths: Path) -> list[Path]:
    """Return which of the paths, and of the folders that they are in, are there and are no folders."""
    places = {place for path in paths for place in (path, *path.parents)}
    return sorted(place for place in places if os.path.lexists(place) and not os.path.isdir(place))


def sha256(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def parse_json(text: str | bytes) -> Any:
    """Return what JSON text holds; a ValueError says why it cannot be read.

    Names of files that are no UTF-8 are taken, which Python writes as lone surrogates. Text that is nested more than
    `DEEPEST` is refused, as it would end in a RecursionError here or later.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    parts = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        inside = [part.values() if isinstance(part, dict) else part for part in parts]
        parts = [each for within in inside for each in within if isinstance(each, dict | list)]
        if not parts:
            return value
    raise ValueError("it is nested too deeply")


def read_json(path: Path | str) -> dict:
    """Return the object in a JSON file; a UserError names a file that is damaged."""
    try:
        record = parse_json(Path(path).read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON ({error}); delete it and make it again") from error
    if not isinstance(record, dict):
        raise UserError(
            f"{path}: holds {type(record).__name__}, not an object of named fields; delete it and make it again"
        )
    return record
