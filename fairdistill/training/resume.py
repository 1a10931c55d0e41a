"""State that lets a killed training go on after its last whole epoch."""

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import torch

from fairdistill.runtime.files import remove_leftovers, replacing
from fairdistill.runtime.progress import log


class ResumeState:
    """A file beside a training's outputs, bound to one configuration.

    A line with the configuration's fingerprint and the SHA-256 of the rest, and what `torch.save` writes, which has
    no checksum that `torch.load` would look at.

    Parameters
    ----------
    path
        Where the state lives. It is written whole or not at all.
    fingerprint
        A digest of all that decides the result: parameters, code, inputs, packages. State with another is discarded.
    check
        Called before each writing; it raises an error where this process has lost the right to write.
    """

    def __init__(self, path: Path | str, fingerprint: str, *, check: Callable[[], None] = lambda: None):
        self.path = Path(path)
        self.fingerprint = fingerprint
        self.check = check

    def save(self, parts: Mapping, history: list[dict]) -> None:
        """Keep the `state_dict` of each of `parts` and the history so far."""
        self.check()
        state = {"history": history, **{name: part.state_dict() for name, part in parts.items()}}
        with replacing(self.path) as partial, open(partial, "wb") as file:
            file.write(self._header(_sha256(b"")))
            content = _Hashed(file)
            try:
                torch.save(state, content)
            except RuntimeError as error:
                # torch does not say that the disk is full
                raise content.error or error from None
            file.seek(0)
            file.write(self._header(content.digest.hexdigest()))

    def _header(self, checksum: str) -> bytes:
        return f"{self.fingerprint} {checksum}\n".encode()

    def restore(self) -> dict | None:
        """Return the history and the state of each part, by name; None where there is nothing to go on from."""
        if not self.path.exists():
            return None
        header, _, content = self.path.read_bytes().partition(b"\n")
        fingerprint, _, checksum = header.partition(b" ")
        if checksum != _sha256(content).encode():
            self._refuse("it is damaged")
            return None
        if fingerprint != self.fingerprint.encode():
            self._refuse("it is of other parameters, code, data or packages")
            return None
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)

    def _refuse(self, reason: str) -> None:
        log(f"{self.path}: the state of an interrupted training is discarded, {reason}; starting anew")
        self.discard()

    def discard(self) -> None:
        """Remove the state, and what was left of it half written."""
        self.path.unlink(missing_ok=True)
        remove_leftovers(self.path)


class _Hashed:
    """A file to write to from its present place on, and the SHA-256 of what was written, without a copy in memory."""

    def __init__(self, file: BinaryIO):
        self.file, self.digest = file, hashlib.sha256()
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


def _sha256(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()
