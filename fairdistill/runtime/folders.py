"""The files of a folder that is the user's own."""

import os
import posixpath
import unicodedata
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


def is_picture(name: str) -> bool:
    """Whether a file's name ends as those of pictures do."""
    return posixpath.splitext(name)[1].lower() in PICTURES


def finder(folder: Path, files: Sequence[str]) -> Callable[[str], str | None]:
    """Return what finds the file of a path in a table as people write it.

    That is relative to `folder` or absolute, with slashes or backslashes, with or without the extension where only one
    picture has the name, and with letters composed in either of Unicode's ways.

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

    def find(value: str) -> str | None:
        for path in (value, value.replace("\\", "/")):
            name = posixpath.normpath(path)
            if posixpath.isabs(name):
                name = posixpath.relpath(name, within)
            if name == ".." or name.startswith("../"):
                return ""
            if name in known:
                return name
            name = unicodedata.normalize("NFC", name)
            whole = PurePosixPath(name).suffix.lower() in PICTURES
            if found := composed.get(name) or (None if whole else stems.get(name)):
                return found
        return None

    return find


def _once(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str | None]:
    """The values by their keys, and None for a key that has several."""
    found: dict[str, str | None] = {}
    for key, value in pairs:
        found[key] = None if key in found else value
    return found
