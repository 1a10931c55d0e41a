"""Reading a .tar.gz in memory: nothing is extracted, so nothing can land where it should not."""

import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from fairdistill.runtime.errors import UserError

MAX_BYTES = 2**30


class ArchiveError(UserError):
    """An archive that is not the published one; `problem` says why."""

    def __init__(self, archive: Path | str, problem: str):
        super().__init__(f"{archive}: {problem}; delete this file and download it again")
        self.problem = problem


def read_members(archive: Path | str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The content of the files whose base name is `wanted`, by base name and sorted by it.

    Raises
    ------
    ArchiveError
        The archive is damaged or cut short, unpacks to more than `MAX_BYTES`, or holds what no data set
        needs: a link, a device, a name that is absolute or climbs.
    """
    contents = {}
    room = MAX_BYTES
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                _refuse_hostile(archive, member)
                name = PurePosixPath(member.name).name
                if member.isreg() and wanted(name):
                    room -= member.size
                    if room < 0:
                        raise ArchiveError(archive, f"unpacks to over {MAX_BYTES} bytes, at {member.name!r}")
                    contents[name] = tar.extractfile(member).read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # The disk's fault, such as a missing file; gzip's own errors carry no number.
        raise ArchiveError(archive, f"damaged, or not a .tar.gz ({error})") from error
    return dict(sorted(contents.items()))


def _refuse_hostile(archive: Path | str, member: tarfile.TarInfo) -> None:
    # Stricter than tarfile's data filter, which cuts a leading slash off and lets a link within the folder
    # pass.
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ArchiveError(archive, f"the member {member.name!r} points out of the archive")
    if not (member.isreg() or member.isdir()):
        raise ArchiveError(archive, f"the member {member.name!r} is a link or a device")
