"""One process at a time writes a model, on one machine or on several that share a file system."""

import fcntl
import os
import socket
import time
from pathlib import Path
from types import TracebackType

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.progress import log

PAUSE = 1.0  # seconds between two looks at a lock


class WriterLock:
    """The right to write a model, as a context manager; a second process waits until the first is done.

    `path` is a file for the lock alone, which is removed at the end. The lock goes to the next process where its holder
    is killed, and where the file server gives it up because the holder's node was cut off from it: SLURM queues the job
    of such a node again while the old process may live on. Should that one come back, its next `check` fails.

    Attributes
    ----------
    waited
        Whether another process had the lock.
    """

    def __init__(self, path: Path):
        self.path = path
        self.owner = f"process {os.getpid()} on {socket.gethostname()}"
        self.waited = False

    def __enter__(self) -> "WriterLock":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while not self._take():
            if not self.waited:
                log(f"waiting for {self._holder() or 'another process'}, which trains the same (lock {self.path})")
            self.waited = True
            time.sleep(PAUSE)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._holder() == self.owner:
            self.path.unlink()
        self.file.close()

    def check(self) -> None:
        """Raise a UserError where another process has taken over."""
        if self._holder() != self.owner:
            raise UserError(f"{self.path}: another process has taken over, so this one writes nothing more")

    def _take(self) -> bool:
        self.file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115
        try:
            self._lock()
            # its last holder may have removed the file meanwhile, and another process made a new one
            taken = os.path.samestat(os.fstat(self.file.fileno()), self.path.stat())
        except (BlockingIOError, FileNotFoundError):
            taken = False
        if not taken:
            self.file.close()
            return False
        self.file.truncate(0)
        self.file.write(self.owner)
        self.file.flush()
        return True

    def _lock(self) -> None:
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:
            raise UserError(
                f"{self.path}: this file system cannot lock files ({error.strerror}); put the results on one that can"
            ) from error

    def _holder(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
