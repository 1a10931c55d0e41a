"""The files of a folder that is the user's own, and a digest of what is in them."""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import parse_json, replacing, sha256
from fairdistill.runtime.parallel import in_threads
from fairdistill.runtime.progress import Progress

# file managers leave them in folders that they have shown
IGNORED = ("Thumbs.db", "desktop.ini")
# A file may change once more within the tick of the file system's clock in which it was read.
SETTLED = 2 * 10**9  # nanoseconds


def files_in(folder: Path) -> Iterator[str]:
    """Yield the path of each file in a folder and in the folders within it, relative to it and with slashes.

    Links are followed. Files and folders whose names begin with a dot are left out, and what file managers leave.

    Raises
    ------
    UserError
        There is no such folder.
    OSError
        A folder cannot be read.
    """
    if not folder.is_dir():
        what = "no folder, but a file" if folder.is_file() else "there is no such folder"
        raise UserError(f"{folder}: {what}; name the folder that holds the images")
    yield from _files_in(str(folder), "", ())


def _files_in(folder: str, prefix: str, within: tuple[tuple[int, int], ...]) -> Iterator[str]:
    status = os.stat(folder)
    place = (status.st_dev, status.st_ino)
    if place in within:
        # a link to a folder that it is in
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in IGNORED:
                continue
            if entry.is_dir():
                yield from _files_in(entry.path, f"{prefix}{entry.name}/", (*within, place))
            elif entry.is_file():
                yield prefix + entry.name


def content_digest(paths: Sequence[Path], cache: Path) -> str:
    """Return a digest of the names and contents of files, and of the files in folders.

    It changes when a file changes, is added, removed or renamed, and not when one is touched, or when all are moved
    together. Files whose size and times are those of the last call are not read again.

    Parameters
    ----------
    paths
        Files and folders.
    cache
        A file in which the next call finds the digest of each file; it is made anew where it is damaged.

    Returns
    -------
    str
        64 hexadecimal digits. Where one of `paths` is missing, it is that of the last call for these paths: what was
        made of them does without them.

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
        if given.is_dir():
            if Path.cwd().is_relative_to(given.resolve()):
                raise UserError(
                    f"{given}: holds the working directory, which each run changes; put the images into a folder of "
                    "their own"
                )
            files |= {f"{number}/{name}": str(given / name) for name in files_in(given)}
        elif given.is_file():
            files[str(number)] = str(given)
        elif known.digest:
            return known.digest
        else:
            raise UserError(f"{given}: there is no such file or folder; give the path of one that is there")
    now = time.time_ns()

    found: dict[str, list] = {}
    changed = []
    for path in files.values():
        times = _size_and_times(path)
        before = known.files.get(path, [])
        if times and before[:3] == times:
            found[path] = before
        else:
            found[path] = [*(times or [0, now, now]), "unreadable"]
            changed.append(path)
    progress = Progress("comparing the content of files", len(changed))
    for done, (path, read) in enumerate(zip(changed, in_threads(_digest_of, changed), strict=True), 1):
        found[path][3] = read
        progress.step(done)
    lines = "".join(f"{name}\0{found[file][3]}\0" for name, file in sorted(files.items()))
    digest = hashlib.sha256(os.fsencode(lines)).hexdigest()
    if (digest, found) != (known.digest, known.files):
        settled = {path: entry for path, entry in found.items() if max(entry[1:3]) < now - SETTLED}
        with replacing(cache) as partial:
            partial.write_text(json.dumps({"paths": names, "digest": digest, "files": settled}), encoding="utf-8")
    return digest


def _size_and_times(path: str) -> list[int] | None:
    """Size and times of a file; None where it cannot be read, as whoever reads the images says."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _digest_of(path: str) -> str:
    try:
        return sha256(path)
    except OSError:
        return "unreadable"


class _Known(NamedTuple):
    """The last digest of all files, and the size, times and digest of each."""

    digest: str
    files: dict[str, list]


def _read_cache(path: Path, names: list[str]) -> _Known:
    """What the last call has found; nothing where that was for other paths."""
    try:
        known = parse_json(path.read_bytes())
        if known["paths"] == names:
            return _Known(known["digest"], known["files"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return _Known("", {})
