"""State that lets a killed training go on after its last whole epoch."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import torch

from fairdistill.runtime.differences import differences, some_of
from fairdistill.runtime.files import parse_json, remove_leftovers, replacing
from fairdistill.runtime.progress import log


class ResumeState:
    """A file beside a training's outputs, bound to one training.

    A line of JSON with the training's identity and the SHA-256 of that and of the rest; and what `torch.save` writes,
    which has no checksum that `torch.load` would look at.

    Parameters
    ----------
    path
        Where the state lives. It is written whole or not at all.
    identity
        All that decides the result: parameters, code, inputs, packages, device, precision, as JSON has it. State of
        another is not gone on from, and the first epoch's takes its place.
    check
        Called before each writing; it raises an error where this process has lost the right to write.
    """

    def __init__(self, path: Path | str, identity: Mapping, *, check: Callable[[], None] = lambda: None):
        self.path = Path(path)
        # as it is read again
        self.identity = json.loads(json.dumps(identity))
        self.check = check

    def save(self, parts: Mapping, history: list[dict]) -> None:
        """Keep the `state_dict` of each of `parts` and the history so far."""
        self.check()
        state = {"history": history, **{name: part.state_dict() for name, part in parts.items()}}
        with replacing(self.path) as partial, open(partial, "wb") as file:
            file.write(self._header(_sha256(self.identity, b"")))
            content = _Hashed(file, self.identity)
            try:
                # of a file, it takes no more than these two methods
                torch.save(state, cast(BinaryIO, content))
            except RuntimeError as error:
                # torch does not say that the disk is full
                raise content.error or error from None
            file.seek(0)
            file.write(self._header(content.digest.hexdigest()))

    def _header(self, checksum: str) -> bytes:
        return json.dumps({"identity": self.identity, "sha256": checksum}).encode() + b"\n"

    def is_begun(self) -> bool:
        """Whether there is state that says it is of this training; only `restore` sees whether it is damaged."""
        if not self.path.exists():
            return False
        with open(self.path, "rb") as file:
            return _read_header(file.readline())[0] == self.identity

    def restore(self) -> dict | None:
        """Return the history and the state of each part, by name; None where there is nothing to go on from."""
        if not self.path.exists():
            return None
        header, _, content = self.path.read_bytes().partition(b"\n")
        identity, checksum = _read_header(header)
        if checksum != _sha256(identity, content):
            self._refuse("is damaged, or of an older version")
            return None
        if found := list(differences(identity, self.identity)):
            self._refuse(f"is of another training: {some_of(found)}")
            return None
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)

    def _refuse(self, reason: str) -> None:
        log(
            f"warning: {self.path}, the state of an interrupted training, {reason}; starting anew, and the first epoch "
            "takes its place"
        )

    def discard(self) -> None:
        """Remove the state, and what was left of it half written."""
        self.path.unlink(missing_ok=True)
        remove_leftovers(self.path)


class _Hashed:
    """A file to write to from its present place on, and the `_sha256` of what was written, without a copy in memory."""

    def __init__(self, file: BinaryIO, identity: Mapping):
        self.file, self.digest = file, hashlib.sha256(json.dumps(identity).encode())
        self.error: OSError | None = None

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        try:
            return self.file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def _read_header(line: bytes) -> tuple[dict, str | None]:
    """The identity and the checksum in the first line of a state; none in one that cannot be read."""
    try:
        state = parse_json(line)
        return dict(state["identity"]), state["sha256"]
    except (ValueError, TypeError, KeyError):
        return {}, None


def _sha256(identity: Mapping, content: bytes) -> str:
    digest = hashlib.sha256(json.dumps(identity).encode())
    digest.update(content)
    return digest.hexdigest()
