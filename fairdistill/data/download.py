"""Download the archive of a data set from the first source that has the published one."""

import errno
import glob
import hashlib
import os
import re
import shutil
import sys
import tarfile
import time
from importlib import import_module
from pathlib import Path
from typing import cast

import requests
from urllib3.exceptions import HTTPError as TransferError
from urllib3.util import Retry

from fairdistill.data.archives import ArchiveError, Published
from fairdistill.runtime.errors import UserError, without_password
from fairdistill.runtime.files import replacing
from fairdistill.runtime.folders import files_in
from fairdistill.runtime.progress import duration
from fairdistill.settings.base import kinds
from fairdistill.settings.data import AnyDataSet, DataSet

MIRROR_VARIABLE = "FAIRDISTILL_MIRROR"
ATTEMPTS = 3
PAUSE = 1.0  # seconds before the second attempt; doubled before each later one
TIMEOUT = (15, 60)  # seconds for connecting, and without any data
CHUNK = 2**16  # bytes
# errors of reading a file; any other, such as a full disk, is one of the file that is written
OF_A_SOURCE = (errno.EACCES, errno.EIO, errno.ENOENT)
PROGRESS_EVERY = 5.0  # seconds between two lines of progress
# answers of a server that has the file and is asked again, when it says so
BUSY = (requests.codes.too_many_requests, requests.codes.service_unavailable)
LONGEST_WAIT = 600.0  # seconds
# How the name of a .tar.gz ends after a browser has unpacked it, and of other packings. Kaggle calls any archive so.
OTHER_ENDINGS = (".tar", ".tgz", ".zip")
OF_KAGGLE = "archive.zip"


class SourceError(Exception):
    """A source does not have the file, or its transfer fails."""


class BusyError(requests.RequestException):
    """A server is to be asked again after `wait` seconds; 0 where it does not say when."""

    def __init__(self, answer: str, wait: float):
        super().__init__(answer)
        self.wait = wait


def download(archive: str, output: Path | str, mirror: str | None = None) -> None:
    """Get an archive from the mirror or else from its public addresses, verify it, and move it to `output`.

    A transfer that breaks off is tried again, and is continued where it stopped if the server supports that. A server
    that is busy is asked again when it says so. In folders, which are the mirror if it is one and that of `output`, the
    same files are also taken under another name: unpacked by a browser, as a .zip, or as a folder.

    Parameters
    ----------
    archive
        A file name: one of the `archives` of a kind of data set.
    output
        The file to write. A file that is already there is replaced only after the new one is verified.
    mirror
        A folder or URL that holds a file of that name, or a folder that holds the same files. By default it is the
        environment variable FAIRDISTILL_MIRROR; where that is not set either, only the public addresses are tried.

    Raises
    ------
    UserError
        No kind of data set has this archive, or no source has it; then the message says what to download by hand and
        where to put it.
    """
    output = Path(output)
    published = _published(archive)
    mirror = mirror or os.environ.get(MIRROR_VARIABLE)
    sources = [f"{mirror.rstrip('/')}/{archive}", *_repacked(mirror, archive, published)] if mirror else []
    # a browser may have put it there, unpacked, at the advice of the error below
    sources += _repacked(str(output.parent), archive, published)
    for source in [*sources, *published.urls]:
        shown = without_password(source)
        print(f"{archive}: trying {shown}", flush=True)
        try:
            with replacing(output) as unverified:
                if _is_url(source):
                    _require_escaped_password(source)
                    os.replace(_fetch(source, output), unverified)
                else:
                    _take(_at_home(source), unverified, published)
                published.verify(unverified)
        except (SourceError, ArchiveError) as error:
            problem = error.problem if isinstance(error, ArchiveError) else error
            print(f"{archive}: {shown} does not work: {without_password(str(problem))}", flush=True)
        else:
            _remove_partials(output)
            print(f"{archive}: verified and saved as {output}", flush=True)
            return
    raise UserError(
        f"{archive}: no source has it; download it by hand from {published.page} and save it as {output}, or set "
        f"data.mirror in the configuration or the environment variable {MIRROR_VARIABLE} to a folder or URL that holds "
        f"{archive}"
    )


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _repacked(folder: str, archive: str, published: Published) -> list[str]:
    """Paths in a folder that may hold the files of an archive in another packing; none at an address."""
    if not published.folders:
        return []
    stem = archive.removesuffix(".tar.gz")
    names = [*(stem + ending for ending in OTHER_ENDINGS), *published.folders, OF_KAGGLE]
    paths = [f"{folder.rstrip('/')}/{name}" for name in names]
    # no error where a folder may not be entered
    return [path for path in paths if os.path.exists(_at_home(path))]


def _at_home(path: str) -> Path:
    """The path with a ~ at its beginning replaced, where the user that it names is known."""
    return Path(os.path.expanduser(path))


def _published(archive: str) -> Published:
    """Return what the module of its data set knows of an archive."""
    data_sets = cast(list[type[DataSet]], kinds(AnyDataSet))
    modules = {name: kind.implementation for kind in data_sets for name in kind.archives}
    if archive not in modules:
        raise UserError(f"--archive: {archive!r} is unknown; choose one of {', '.join(modules)}")
    return import_module(modules[archive]).ARCHIVES[archive]


def _take(source: Path, target: Path, published: Published) -> None:
    """Copy a file; of a folder that holds the published files, make a .tar."""
    if not ((os.path.isfile(source) or os.path.isdir(source)) and os.access(source, os.R_OK)):
        raise SourceError("no such file, or not readable")
    try:
        if source.is_file():
            shutil.copyfile(source, target)
            return
        # before it is copied, as it may hold much else
        published.verify(source)
        with tarfile.open(target, "w", dereference=True) as tar:
            for name in sorted(files_in(source)):
                tar.add(source / name, name)
    except OSError as error:
        if error.errno in OF_A_SOURCE:
            raise SourceError(f"{error.filename}: {error.strerror}") from error
        raise


def _require_escaped_password(url: str) -> None:
    """Raise a SourceError where a part of a password would be taken for the server's name, which errors show."""
    as_read, as_meant = (each.split("://")[1] for each in (url, without_password(url)))
    if re.split("[/?#]", as_read)[0].rpartition("@")[2] != re.split("[/?#]", as_meant)[0].rpartition("@")[2]:
        raise SourceError("its password has / ? # or @ in it; write %2F, %3F, %23 or %40 in their place")


def _fetch(url: str, output: Path) -> Path:
    """Download `url` into a file beside `output`, and return the file's path.

    The download continues where an earlier attempt, or an earlier call, stopped.
    """
    # the name depends on the address, so that one file never has bytes from two sources
    key = hashlib.sha256(url.encode()).hexdigest()[:12]
    partial = output.with_name(f".{output.name}.{key}.partial")
    validator = partial.with_name(f"{partial.name}.validator")
    problem: Exception
    wait = 0.0
    for attempt in range(ATTEMPTS):
        time.sleep(max(wait, PAUSE * 2 ** (attempt - 1)) if attempt else 0)
        wait = 0.0
        try:
            _fetch_rest(url, partial, validator)
        except BusyError as error:
            problem, wait = error, error.wait
            if wait > LONGEST_WAIT:
                raise SourceError(f"{error}, and asks for a pause of {duration(wait)}; try again then") from error
            if wait and attempt + 1 < ATTEMPTS:
                print(f"asking again in {duration(wait)}, as the server says: {error}", flush=True)
        except (requests.RequestException, TransferError) as error:
            problem = error
        else:
            validator.unlink(missing_ok=True)
            return partial
    raise SourceError(f"{problem} (in {ATTEMPTS} attempts)")


def _fetch_rest(url: str, partial: Path, validator: Path) -> None:
    """Append to `partial` the part of `url` that it lacks, or start again from the first byte.

    The file `validator` holds the ETag or the date of the version that the download began with, and goes to the server
    as If-Range. A server that has another version by now, or that does not support ranges, answers with status 200 and
    the whole file.
    """
    headers = {"Accept-Encoding": "identity"}
    start = partial.stat().st_size if partial.exists() and validator.exists() else 0
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator.read_text(encoding="latin-1")}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == requests.codes.range_not_satisfiable:
            partial.unlink(missing_ok=True)
        elif response.status_code in BUSY:
            raise BusyError(f"the server answers {response.status_code} {response.reason}", _asked_to_wait(response))
        elif 400 <= response.status_code < 500:
            raise SourceError(f"the server answers {response.status_code} {response.reason}")
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            start = 0
            partial.unlink(missing_ok=True)
            _note_validator(response, validator)
        # of some servers it is none, or no number
        length = response.headers.get("Content-Length", "")
        total = f" of {(start + int(length)) / 1e6:.1f}" if length.isdecimal() else ""
        with open(partial, "ab") as file:
            printed = time.monotonic()
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                file.write(chunk)
                if time.monotonic() - printed >= PROGRESS_EVERY:
                    printed = time.monotonic()
                    print(f"{file.tell() / 1e6:.1f}{total} MB", flush=True)


def _asked_to_wait(response: requests.Response) -> float:
    """The seconds that the header Retry-After says, as a number or as a date; 0 where it says nothing that is read."""
    try:
        retry = Retry()
        # what is longer would be cut to six hours
        retry.retry_after_max = sys.maxsize
        return float(retry.parse_retry_after(response.headers["Retry-After"]))
    # urllib3's own error, and those of absurd numbers and dates
    except (KeyError, TransferError, ValueError, OverflowError):
        return 0.0


def _note_validator(response: requests.Response, validator: Path) -> None:
    """Save what identifies this version of the file: its ETag, or its date where there is no strong ETag.

    If-Range does not allow weak ETags, which begin with "W/". Where the server gives neither a strong ETag nor a
    date, no file is written, and a later attempt starts from the first byte.
    """
    tag = response.headers.get("ETag", "W/")
    version = response.headers.get("Last-Modified") if tag.startswith("W/") else tag
    validator.unlink(missing_ok=True)
    if version:
        validator.write_text(version, encoding="latin-1")


def _remove_partials(output: Path) -> None:
    """Delete the unfinished downloads from other sources."""
    for leftover in output.parent.glob(f".{glob.escape(output.name)}.*.partial*"):
        leftover.unlink(missing_ok=True)
