"""What is known of an archive, and the reading of one, whether it is still packed or not.

An archive is read into memory. Nothing is extracted to disk, so no member can overwrite a file.
"""

import hashlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.folders import files_in

MAX_BYTES = 2**30  # of all files that are read from one archive; those of the published archives have under 200 MB


class ArchiveError(UserError):
    """An archive that is damaged or not the published one; `problem` says what is wrong, without the path."""

    def __init__(self, archive: Path | str, problem: str, remedy: str = "put the published one in its place"):
        super().__init__(f"{archive}: {problem}; {remedy}")
        self.problem = problem


class Published(NamedTuple):
    """Where an archive is published, and how a copy of it is recognised.

    Attributes
    ----------
    urls
        Addresses of the file, in the order in which they are tried; empty where there is none that lasts.
    page
        The address where a person finds it.
    verify
        Called with the path of a copy; raises an `ArchiveError` unless that can be used as the published file.
    md5
        Of the published file, where another one that `verify` accepts is used and noted.
    """

    urls: Sequence[str]
    page: str
    verify: Callable[[Path], object]
    md5: str = ""


def read_members(archive: Path | str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Return the content of some files of an archive, as {base name: content}, sorted by base name.

    Of files of one name in several folders the last one is taken. All else is as in `read_folders`.
    """
    folders = read_folders(archive, wanted).values()
    return dict(sorted((name, content) for members in folders for name, content in members.items()))


def read_folders(archive: Path | str, wanted: Callable[[str], bool]) -> dict[str, dict[str, bytes]]:
    """Return the content of some files of an archive, by folder and base name.

    Parameters
    ----------
    archive
        Path of a .tar, compressed or not, as browsers leave it that unpack a .tar.gz; of a .zip; or of a folder.
    wanted
        Tells, from its base name, whether a file is read.

    Raises
    ------
    ArchiveError
        The archive is not there, is damaged or cut short, the wanted files have more than `MAX_BYTES` together, or a
        member of a .tar is a link, a device or a path that is absolute or contains "..".
    """
    folders: dict[str, dict[str, bytes]] = {}
    # one archive may have a file in several folders
    seen: dict[bytes, bytes] = {}
    bytes_left = MAX_BYTES
    try:
        for name, size, read in _files(Path(archive)):
            path = PurePosixPath(name)
            if not wanted(path.name):
                continue
            bytes_left -= size
            if bytes_left < 0:
                raise ArchiveError(archive, f"unpacks to over {MAX_BYTES} bytes, at {name!r}")
            content = read()
            folders.setdefault(str(path.parent), {})[path.name] = seen.setdefault(content, content)
    except FileNotFoundError as error:
        remedy = "give the path of one that is there"
        raise ArchiveError(archive, "there is no such file or folder", remedy) from error
    # of zipfile: NotImplementedError for a compression that it does not know, RuntimeError for a password
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, EOFError, zlib.error, OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk; errors of gzip have no number
        reason = " ".join(str(error).split())
        raise ArchiveError(archive, f"damaged, or not a .tar.gz, .tar, .zip or folder ({reason})") from error
    return folders


def _files(archive: Path) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Yield the path, the size and the reader of each file in an archive or folder."""
    if archive.is_dir():
        for name in sorted(files_in(archive)):
            path = archive / name
            yield name, path.stat().st_size, path.read_bytes
    elif _begins_with(archive, b"PK\x03\x04"):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if not info.is_dir():
                    # no more is unpacked than the size that the archive states
                    yield info.filename, info.file_size, lambda info=info: packed.read(info)
    else:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                _refuse_hostile(archive, member)
                if member.isreg():
                    yield member.name, member.size, lambda member=member: tar.extractfile(member).read()


def _begins_with(path: Path, start: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(start)) == start


def digest_of_files(contents: Iterable[tuple[str, bytes]]) -> str:
    """Return the SHA-256 of the sorted lines "name sha256", one per file.

    It does not depend on the order, folders or compression of the files in an archive, nor on whether they are in one.
    """
    lines = sorted(f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in contents)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _refuse_hostile(archive: Path | str, member: tarfile.TarInfo) -> None:
    # stricter than tarfile's "data" filter, which removes a leading slash and allows links within the folder
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ArchiveError(archive, f"the member {member.name!r} points out of the archive")
    if not (member.isreg() or member.isdir()):
        raise ArchiveError(archive, f"the member {member.name!r} is a link or a device")
