"""What is known of an archive, and the reading of one, whether it is still packed or not.

An archive is read into memory. Nothing is extracted to disk, so no member can overwrite a file. What is decompressed,
and how much of it is in memory, has bounds, whatever the archive says of itself.
"""

import bz2
import gzip
import hashlib
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.folders import files_in

MAX_BYTES = 2**30  # of all files that are read from one archive; those of the published archives have under 200 MB
# Of all that a .tar unpacks to, read or not. UTKFace with the faces in the wild and all of its copies has 1.6 GB.
MAX_UNPACKED = 2**31
MAX_HEADER = 2**16  # bytes of all that a .tar says of one file, its name above all, which has under 100
MAX_MEMBERS = 2**18  # of a .tar; UTKFace with all of its copies has 81,000
SHOWN = 100  # characters of a name in a message
# how files begin that are compressed as a whole
COMPRESSED: dict[bytes, Callable[[Path, Literal["rb"]], io.BufferedIOBase]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
# The methods of compression in a .zip whose reader unpacks no more than it is asked for.
IN_ZIP = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What damaged or hostile bytes make the readers raise. RuntimeError is zipfile's for a password or a compression that
# it does not know, and Python's for headers that name each other without end; the last ones are of absurd numbers.
DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, EOFError, zlib.error, RuntimeError),
    *(ValueError, OverflowError, MemoryError, struct.error),
)


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
    folders
        Names of the folders that the archive unpacks to, where `verify` takes a .tar, .zip or folder of the same files.
    """

    urls: Sequence[str]
    page: str
    verify: Callable[[Path], object]
    md5: str = ""
    folders: Sequence[str] = ()


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
        .tar more than `MAX_UNPACKED` or than `MAX_MEMBERS`; or a member of a .tar is a link, a device or a path that is
        absolute or contains "..".
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
                raise ArchiveError(archive, f"unpacks to over {MAX_BYTES} bytes, at {_short(name)}")
            content = read()
            folders.setdefault(str(path.parent), {})[path.name] = seen.setdefault(content, content)
    except FileNotFoundError as error:
        remedy = "give the path of one that is there"
        raise ArchiveError(archive, "there is no such file or folder", remedy) from error
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk; errors of gzip have no number
        reason = " ".join(str(error).split()) or type(error).__name__
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
                    yield info.filename, info.file_size, partial(_read_zipped, packed, info)
    else:
        compressed = (unpack for start, unpack in COMPRESSED.items() if _begins_with(archive, start))
        with next(compressed, open)(archive, "rb") as file:
            yield from _tarred_files(archive, _Bounded(archive, file))


def _read_zipped(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.compress_type not in IN_ZIP:
        raise zipfile.BadZipFile(f"{_short(info.filename)} is compressed by another method than deflate")
    with packed.open(info) as file:
        # without the number all is unpacked that is there, whatever size the archive states
        return file.read(info.file_size)


def _tarred_files(archive: Path, file: "_Bounded") -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for number, member in enumerate(iter(tar.next, None)):
            if number == MAX_MEMBERS:
                raise ArchiveError(archive, f"holds over {MAX_MEMBERS} files and folders")
            # tarfile keeps a list of all members that it has read, of which its types do not know
            tar.members.clear()  # type: ignore[attr-defined]
            file.header = 0
            _refuse_hostile(archive, member)
            if member.isreg():
                yield member.name, member.size, partial(file.content, member.offset_data, member.size)


class _Bounded(io.RawIOBase):
    """What a .tar unpacks to, as a file that is read from its start to its end, and no further than `MAX_UNPACKED`.

    tarfile believes the sizes in an archive: it reads a header of any size into memory, and decompresses a file of any
    size to come to the next one.

    Attributes
    ----------
    header
        The bytes that were read for the next member.
    """

    def __init__(self, archive: Path, file: io.BufferedIOBase):
        self.archive, self.file, self.header = archive, file, 0

    def tell(self) -> int:
        return self.file.tell()

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        # a size below zero leads back to where the reader has been
        if whence != io.SEEK_SET or position < self.tell():
            raise tarfile.ReadError("a header leads backwards")
        self._require(position)
        return self.file.seek(position)

    def read(self, size: int = -1) -> bytes:
        """Read a part of a header."""
        self.header += size
        if not 0 <= size <= self.header <= MAX_HEADER:
            raise ArchiveError(self.archive, f"has a header of over {MAX_HEADER} bytes")
        self._require(self.tell() + size)
        return self.file.read(size)

    def content(self, position: int, size: int) -> bytes:
        """Read a file, which begins at `position`."""
        self.seek(position)
        self._require(position + size)
        content = self.file.read(size)
        if len(content) < size:
            raise EOFError("unexpected end of data")
        return content

    def _require(self, position: int) -> None:
        if position > MAX_UNPACKED:
            raise ArchiveError(self.archive, f"unpacks to over {MAX_UNPACKED} bytes")


def _short(name: str) -> str:
    """A name as Python writes it, at most its start: an archive may give it any length."""
    return repr(name if len(name) <= SHOWN else f"{name[:SHOWN]}...")


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
        raise ArchiveError(archive, f"the member {_short(member.name)} points out of the archive")
    # a sparse file may have any size, all of which would be made up of zeros
    if member.issparse() or not (member.isreg() or member.isdir()):
        raise ArchiveError(archive, f"the member {_short(member.name)} is a link, a device or sparse")
