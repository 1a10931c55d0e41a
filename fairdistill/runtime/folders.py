"""The files of a folder that is the user's own."""

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

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
