"""What is known of an archive, and the reading of a .tar.gz.

An archive is read into memory. Nothing is extracted to disk, so no member can overwrite a file.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fairdistill.runtime.errors import UserError

MAX_BYTES = 2**30  # of all files that are read from one archive; those of the published archives have under 200 MB


class ArchiveError(UserError):
    """An archive that is damaged or not the published one; `problem` says what is wrong, without the path."""

    def __init__(self, archive: Path | str, problem: str, remedy: str = "delete this file and download it again"):
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

    Parameters
    ----------
    archive
        Path of a .tar.gz.
    wanted
        Tells, from its base name, whether a file is read.

    Raises
    ------
    ArchiveError
        The archive is damaged or cut short, the wanted files have more than `MAX_BYTES` together, or a member is a
        link, a device or a path that is absolute or contains "..".
    """
    contents = {}
    bytes_left = MAX_BYTES
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                _refuse_hostile(archive, member)
                name = PurePosixPath(member.name).name
                if member.isreg() and wanted(name):
                    bytes_left -= member.size
                    if bytes_left < 0:
                        raise ArchiveError(archive, f"unpacks to over {MAX_BYTES} bytes, at {member.name!r}")
                    contents[name] = tar.extractfile(member).read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, such as a missing file; errors of gzip have no number
        raise ArchiveError(archive, f"damaged, or not a .tar.gz ({error})") from error
    return dict(sorted(contents.items()))


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
