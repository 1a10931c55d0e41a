"""What is in files and folders of the user's own, so that what was made of them is made anew where they change."""

import hashlib
import json
import os
import posixpath
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from fairdistill.runtime.csv_table import read_csv
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import parse_json, replacing, sha256
from fairdistill.runtime.folders import files_in, is_picture
from fairdistill.runtime.parallel import in_threads
from fairdistill.runtime.progress import Progress

# A file may change once more within the tick of the file system's clock in which it was read.
SETTLED = 2 * 10**9  # nanoseconds
# in the place of the digest of a file that cannot be read
UNREADABLE = "unreadable"
# from the working directory of a study
NOTES = Path(".snakemake", "own_files")
# what returns paths
Named = Callable[[], Iterable[str]]


class Content(NamedTuple):
    """What is in some files and folders.

    Attributes
    ----------
    digest
        64 hexadecimal digits.
    files
        The digest of each file: by the number of the path that was given, from 0, and behind that of a folder a slash
        and the file's name. Empty where a path is missing.
    """

    digest: str
    files: dict[str, str]


def content_of(
    paths: Sequence[Path], cache: Path, named: Named | None = None, *, threads: int | None = None
) -> Content:
    """Return a digest of the names and contents of files, and of the images in folders.

    It changes when a file changes, is added, removed or renamed, and not when one is touched, or when all are moved
    together. Files whose size and times are those of the last call are not read again. In a folder those files count
    whose names end as pictures' do, and others that are named elsewhere.

    Parameters
    ----------
    paths
        Files and folders.
    cache
        A file in which the next call finds the digest of each file; it is made anew where it is damaged.
    named
        Returns the paths by which the images are named, and is asked where there are other files than pictures. Where
        it raises a UserError or an OSError, all of these count.
    threads
        That read; None for those that the job has. Snakemake asks before it has any job, and may take all cores.

    Returns
    -------
    Content
        Where one of `paths` is missing, the digest is that of the last call for these paths: what was made of them does
        without them.

    Raises
    ------
    UserError
        One of `paths` is missing, and there was no such call; or one is a folder that holds the working directory.
    OSError
        A folder cannot be read.
    """
    names = [str(path) for path in paths]
    known = _read_cache(cache, names)
    files: dict[str, str] = {}
    for number, given in enumerate(paths):
        # not by the methods of a path, which raise an error where a folder above it may not be entered
        if os.path.isdir(given):
            if Path.cwd().is_relative_to(given.resolve()):
                raise UserError(
                    f"{given}: holds the working directory, which each run changes; put the images into a folder of "
                    "their own"
                )
            files |= {f"{number}/{name}": str(given / name) for name in _images_in(given, named)}
        elif os.path.isfile(given):
            files[str(number)] = str(given)
        elif known.digest:
            return Content(known.digest, {})
        else:
            raise UserError(f"{given}: there is no such file or folder; give the path of one that is there")
    now = time.time_ns()

    found: dict[str, _File] = {}
    changed = []
    for path in files.values():
        times = _size_and_times(path)
        before = known.files.get(path)
        if times and before and before[:3] == times:
            found[path] = before
        else:
            found[path] = _File(*(times or (0, now, now)), UNREADABLE)
            changed.append(path)
    progress = Progress("comparing the content of files", len(changed))
    digests = in_threads(_digest_of, changed, threads)
    for path, read in zip(changed, progress.counting(digests), strict=True):
        found[path] = found[path]._replace(digest=read)
    contents = {name: found[file].digest for name, file in sorted(files.items())}
    lines = "".join(f"{name}\0{content}\0" for name, content in contents.items())
    digest = hashlib.sha256(os.fsencode(lines)).hexdigest()
    if (digest, found) != (known.digest, known.files):
        # what cannot be read now may be readable the next time
        settled = {
            path: file
            for path, file in found.items()
            if max(file.modified, file.changed) < now - SETTLED and file.digest != UNREADABLE
        }
        with replacing(cache) as partial:
            partial.write_text(json.dumps(_Known(names, digest, settled)._asdict()), encoding="utf-8")
    return Content(digest, contents)


def cache_of_content(key: str, paths: Sequence[str]) -> Path:
    """The file in which `content_of` keeps the digests of files and folders that a configuration names under `key`.

    Several studies in one folder may name other files under one key.
    """
    return NOTES / f"{key}-{hashlib.sha256(chr(0).join(paths).encode()).hexdigest()[:12]}.json"


def images_named_in(table: str, column: str) -> Named:
    """Return what reads the paths of images in a column of a CSV, for `content_of`."""
    return lambda: [row.values[0] for row in read_csv(Path(table), {column: "the setting image"}) if row.values]


def _images_in(folder: Path, named: Named | None) -> list[str]:
    """The files of a folder that an image may be read from."""
    names = list(files_in(folder))
    if all(map(is_picture, names)) or named is None:
        return [name for name in names if is_picture(name)]
    try:
        paths = named()
    except (UserError, OSError):
        return names
    # by the last part of the path, however the others and the letters of it are written
    last_parts = {_last_part(path.replace("\\", "/")) for path in paths}
    return [name for name in names if is_picture(name) or _last_part(name) in last_parts]


def _last_part(path: str) -> str:
    return unicodedata.normalize("NFC", posixpath.basename(path))


def note_content(note: Path, content: Content) -> None:
    """Write down what is in some files and folders, for `changes_since`; nothing where one was missing."""
    if content.files:
        with replacing(note) as partial:
            partial.write_text(json.dumps(content), encoding="utf-8")


def changes_since(note: Path, content: Content, paths: Sequence[Path]) -> str:
    """Return what has changed in `paths` since `note_content` wrote `note`, in words; empty where nothing has."""
    try:
        before = TypeAdapter(Content).validate_python(parse_json(note.read_bytes()))
    except (OSError, ValueError):
        return ""
    if before.digest == content.digest or not content.files:
        return ""
    return "; ".join(filter(None, (_changes(path, number, before, content) for number, path in enumerate(paths))))


def _changes(path: Path, number: int, before: Content, after: Content) -> str:
    old, new = (_files_of(number, content.files) for content in (before, after))
    if old == new:
        return ""
    if str(number) in new:
        return f"{path} has other content"
    changed = sum(old[name] != new[name] for name in old.keys() & new.keys())
    added, removed = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    return f"images in {path}: {added} added, {removed} removed, {changed} changed"


def _files_of(number: int, files: Mapping[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in files.items() if name.partition("/")[0] == str(number)}


def _size_and_times(path: str) -> tuple[int, int, int] | None:
    """Size and times of a file; None where it cannot be read, as whoever reads the images says."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest_of(path: str) -> str:
    try:
        return sha256(path)
    except OSError:
        return UNREADABLE


class _File(NamedTuple):
    """What is known of a file: its size, when its content and its status were changed (ns), and its digest."""

    size: int
    modified: int
    changed: int
    digest: str


class _Known(NamedTuple):
    """What a call has found: the paths it was for, the digest of all files, and what is known of each."""

    paths: list[str]
    digest: str
    files: dict[str, _File]


def _read_cache(path: Path, names: list[str]) -> _Known:
    """What the last call has found; nothing where that was for other paths, or where the cache is damaged."""
    with suppress(OSError, ValueError):
        known = TypeAdapter(_Known).validate_python(parse_json(path.read_bytes()))
        if known.paths == names:
            return known
    return _Known(names, "", {})
