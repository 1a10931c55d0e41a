"""Getting a data set's archive from the first source that has the genuine one."""

import glob
import hashlib
import os
import shutil
import time
from pathlib import Path
from types import ModuleType

import requests
from urllib3.exceptions import HTTPError as TransferError

from fairdistill.data import KINDS
from fairdistill.data.archives import ArchiveError
from fairdistill.data.preparing import load_kind
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import replacing

MIRROR_VARIABLE = "FAIRDISTILL_MIRROR"
ATTEMPTS = 3
PAUSE = 1.0  # seconds before the second attempt; doubled before each later one
TIMEOUT = (15, 60)  # seconds to connect, and of silence
CHUNK = 2**16
SAY_EVERY = 5.0  # seconds between two lines of progress


class SourceError(Exception):
    """A source that does not have the file, or does not give it."""


def download(archive: str, output: Path | str, mirror: str | None = None) -> None:
    """Get `archive` from the mirror, else from its public addresses, and publish it at `output` once verified.

    Parameters
    ----------
    archive
        A file name: the `ARCHIVE` of a kind of data set.
    output
        Appears by renaming: whatever was there before stays whole until then.
    mirror
        A folder or URL that holds a file of that name; by default what FAIRDISTILL_MIRROR says, if anything.

    Raises
    ------
    UserError
        The archive is not one of ours, or no source has it; the line says what to fetch and where to put it.
    """
    output = Path(output)
    kind = _kind_of(archive)
    mirror = mirror or os.environ.get(MIRROR_VARIABLE)
    sources = [f"{mirror.rstrip('/')}/{archive}"] if mirror else []
    for source in [*sources, *kind.URLS]:
        print(f"{archive}: trying {source}", flush=True)
        try:
            with replacing(output) as unverified:
                if source.startswith(("http://", "https://")):
                    os.replace(_fetch(source, output), unverified)
                else:
                    _copy(Path(source).expanduser(), unverified)
                kind.verified_members(unverified)
        except (SourceError, ArchiveError) as error:
            problem = error.problem if isinstance(error, ArchiveError) else error
            print(f"{archive}: not from {source}: {problem}", flush=True)
        else:
            _remove_partials(output)
            print(f"{archive}: verified, at {output}", flush=True)
            return
    raise UserError(
        f"{archive}: no source gave it; fetch {kind.URLS[0]} by hand and put it at {output}, or set data.mirror "
        f"in the config or {MIRROR_VARIABLE} to a folder or URL that holds {archive}"
    )


def _kind_of(archive: str) -> ModuleType:
    kinds = {kind.ARCHIVE: kind for kind in map(load_kind, KINDS) if kind.ARCHIVE}
    if archive not in kinds:
        raise UserError(f"--archive: {archive!r} is unknown; choose one of {', '.join(kinds)}")
    return kinds[archive]


def _copy(source: Path, target: Path) -> None:
    if not (os.path.isfile(source) and os.access(source, os.R_OK)):
        raise SourceError("no such file, or not readable")
    shutil.copyfile(source, target)


def _fetch(url: str, output: Path) -> Path:
    """Bring all of `url` into a file beside `output`, going on where an earlier attempt or run stopped."""
    # Keyed to the address, so that the bytes of two sources never meet in one file.
    key = hashlib.sha256(url.encode()).hexdigest()[:12]
    partial = output.with_name(f".{output.name}.{key}.partial")
    validator = partial.with_name(f"{partial.name}.validator")
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE * 2 ** (attempt - 1) if attempt else 0)
        try:
            _fetch_rest(url, partial, validator)
        except (requests.RequestException, TransferError) as error:
            problem = error
        else:
            validator.unlink(missing_ok=True)
            return partial
    raise SourceError(f"{problem} (in {ATTEMPTS} attempts)")


def _fetch_rest(url: str, partial: Path, validator: Path) -> None:
    """Append to `partial` what it lacks of `url`, or start it anew where the server wants that.

    The file `validator` holds the ETag or the date of what `partial` was begun from. A server that has another
    version by now, or that knows no ranges, answers with status 200 and the whole.
    """
    headers = {"Accept-Encoding": "identity"}
    start = partial.stat().st_size if partial.exists() and validator.exists() else 0
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator.read_text(encoding="latin-1")}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == requests.codes.range_not_satisfiable:
            partial.unlink(missing_ok=True)
        elif 400 <= response.status_code < 500:
            raise SourceError(f"the server answers {response.status_code} {response.reason}")
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            start = 0
            partial.unlink(missing_ok=True)
            _note_validator(response, validator)
        length = response.headers.get("Content-Length")
        total = f" of {(start + int(length)) / 1e6:.1f}" if length else ""
        with open(partial, "ab") as file:
            said = time.monotonic()
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                file.write(chunk)
                if time.monotonic() - said >= SAY_EVERY:
                    said = time.monotonic()
                    print(f"{file.tell() / 1e6:.1f}{total} MB", flush=True)


def _note_validator(response: requests.Response, validator: Path) -> None:
    """Write down what tells this version of the file from another, as far as If-Range takes it."""
    tag = response.headers.get("ETag", "W/")
    mark = response.headers.get("Last-Modified") if tag.startswith("W/") else tag
    validator.unlink(missing_ok=True)
    if mark:
        validator.write_text(mark, encoding="latin-1")


def _remove_partials(output: Path) -> None:
    """Delete what other sources left unfinished."""
    for leftover in output.parent.glob(f".{glob.escape(output.name)}.*.partial*"):
        leftover.unlink(missing_ok=True)
