"""The files of a folder that is the user's own."""

import functools
import os
import posixpath
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from fairdistill.runtime.errors import UserError

# file managers leave them in folders that they have shown
IGNORED = ("Thumbs.db", "desktop.ini")
# How the names of pictures end, in lower case: what Pillow registers for the formats that fairdistill.runtime.pictures
# reads. Whoever plans a study may have no Pillow.
PICTURES = frozenset(
    (
        ".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".icb", ".ico", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc",
        ".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif",
        ".tiff", ".vda", ".vst", ".webp",
    )
)  # fmt: skip


def files_in(folder: Path) -> Iterator[str]:
    """Yield the path of each file in a folder and in the folders within it, relative to it and with slashes.

    Links are followed, and each folder is visited once, however many links lead to it: by its own name where that is
    within `folder`, else by the first of the links to it. Files and folders whose names begin with a dot are left out,
    and what file managers leave.

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
    visited: set[tuple[int, int]] = set()
    links = deque([""])
    # folders before the links beside and within them
    while links:
        yield from _files_in(folder, links.popleft(), visited, links)


def _files_in(folder: Path, within: str, visited: set[tuple[int, int]], links: deque[str]) -> Iterator[str]:
    """Yield the files of the folder `within`, which ends with a slash or is empty; add links to folders to `links`."""
    path = folder / within
    status = path.stat()
    place = (status.st_dev, status.st_ino)
    if place in visited:
        return
    visited.add(place)
    with os.scandir(path) as found:
        # the order decides which of several links names a folder
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") or entry.name in IGNORED:
            continue
        name = within + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _files_in(folder, f"{name}/", visited, links)
        # of a link to itself, which is a broken one, an entry would raise an error
        elif entry.is_symlink() and os.path.isdir(entry.path):
            links.append(f"{name}/")
        elif entry.is_file(follow_symlinks=False) or os.path.isfile(entry.path):
            yield name


def is_picture(name: str) -> bool:
    """Whether a file's name ends as those of pictures do."""
    return posixpath.splitext(name)[1].lower() in PICTURES


def finder(folder: Path, files: Sequence[str]) -> Callable[[str], str | None]:
    """Return what finds the file of a path in a table as people write it.

    That is relative to `folder` or absolute, with slashes or backslashes, with or without the extension where only one
    picture has the name, and with letters composed in either of Unicode's ways. It may go through links.

    Parameters
    ----------
    files
        What `files_in` yields of the folder.

    Returns
    -------
    Callable
        Takes a path, and returns the name of its file in `files`, "" if it leads out of the folder, None if there is no
        such file, or if several are meant.
    """
    known = set(files)
    # the same letters may be written in several ways in Unicode
    composed = _once((unicodedata.normalize("NFC", name), name) for name in files)
    # tables may leave the extension out
    ending = {name: PurePosixPath(name).suffix for name in composed}
    stems = _once(
        (name.removesuffix(ending[name]), path) for name, path in composed.items() if ending[name].lower() in PICTURES
    )
    within = folder.absolute().as_posix()

    @functools.cache
    def real_folders() -> dict[str, str]:
        """The names in `files` of folders, by their real paths."""
        return {os.path.realpath(folder / name): name for name in {"", *map(posixpath.dirname, files)}}

    @functools.cache
    def without_links(parent: str) -> str:
        """Return the name that a folder has in `files`, or its real path from `folder`, by any path to it."""
        real = os.path.realpath(folder / parent)
        return real_folders().get(real) or posixpath.relpath(real, os.path.realpath(folder))

    def lookup(name: str) -> str | None:
        if name in known:
            return name
        name = unicodedata.normalize("NFC", name)
        whole = PurePosixPath(name).suffix.lower() in PICTURES
        return composed.get(name) or (None if whole else stems.get(name))

    def find(value: str) -> str | None:
        if "\0" in value:
            return None
        outside = False
        for path in (value, value.replace("\\", "/")):
            name = posixpath.normpath(path)
            if found := lookup(posixpath.relpath(name, within) if posixpath.isabs(name) else name):
                return found
            name = posixpath.normpath(posixpath.join(without_links(posixpath.dirname(path)), posixpath.basename(path)))
            if found := lookup(name):
                return found
            if name == ".." or name.startswith("../"):
                outside = True
        return "" if outside else None

    return find


def _once(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str | None]:
    """The values by their keys, and None for a key that has several."""
    found: dict[str, str | None] = {}
    for key, value in pairs:
        found[key] = None if key in found else value
    return found
