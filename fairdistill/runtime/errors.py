"""Errors that a user can mend: one clear line and exit status 1, without a traceback.

Where each kind of failure that a user can cause becomes such a line:

- Bad settings: `fairdistill.settings.reading`, from pydantic's errors, and `fairdistill.settings.configuration`;
  Snakemake's rules end with the same line.
- Bad files (archives, pictures, tables, records, checkpoints): what reads them turns the errors of its library into a
  `UserError` that names the file.
- The file system (missing, read-only, full): `run_script`, from OSError.
- Memory and GPUs: `fairdistill.training.failures` for trainings, `run_script` for all other scripts.
- Signals: `run_script` for Ctrl-C, workflow/job.sh for a job that is killed.

Any other exception is a fault of this project, and its traceback is what its report needs.
"""

import errno
import re
import sys
import unicodedata
from collections.abc import Callable

from fairdistill.runtime.imports import end_imports

# That torch could not allocate main memory is a RuntimeError like any other, and its text alone tells.
NO_MAIN_MEMORY = re.compile("DefaultCPUAllocator")
# the classes of the characters that override or isolate a direction of writing, and of those that end it
DIRECTIONS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
# what to do where the file system refuses something
REMEDIES = {
    errno.ENOENT: "give the path of one that is there",
    errno.ENOTDIR: "give a path whose folders are folders",
    errno.EISDIR: "it is a folder; give the path of a file",
    errno.EACCES: "get the right to it, or give another path",
    errno.EPERM: "get the right to it, or give another path",
    errno.EROFS: "give a path that can be written to",
    errno.EBADF: "it is closed; open it, or name a file",
    errno.ENOSPC: "make room, and give the same command again",
    errno.EDQUOT: "make room, and give the same command again",
}


class UserError(Exception):
    """Bad input. The message says what is wrong, where, and what to do, in one line.

    It is `printable`, as names in it may hold anything: those of files, of what archives hold, and of columns.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """Text in one line of UTF-8, in which what is no text of its own has become escapes as `\\n`.

    These are line breaks, control characters, bytes that are no text, and the characters that turn the direction in
    which others are shown. The names of files may hold all of them.
    """
    return "".join(one.encode("unicode_escape").decode() if _is_no_text(one) else one for one in text)


def _is_no_text(one: str) -> bool:
    return unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(one) in DIRECTIONS


def without_password(text: str) -> str:
    """Text with *** in the place of the user and password, or the token, of each URL in it, and of its query.

    A query may hold a token, too. A password ends at the last @: it may hold what would have to be escaped. A colon
    before a port begins none.
    """
    text = re.sub(r"://(?:[^/?#\s:@]*:(?!\d+(?:[/?#]|$))\S*|[^/?#\s@]*)@", "://***@", text)
    # the errors of requests have the path by itself
    return re.sub(r"((?:://|url: )[^?#\s]*\?)[^#\s]+", r"\1***", text)


def refusal(error: UserError | OSError) -> str:
    """What was refused, by this project or by the file system, and what to do."""
    if isinstance(error, UserError) or error.errno is None or error.filename is None:
        return str(error)
    text = f"{error.filename}: {error.strerror}"
    return f"{text}; {REMEDIES[error.errno]}" if error.errno in REMEDIES else text


def run_script(main: Callable[[], None]) -> None:
    """Call a script's `main`; turn what the user can mend into one line on stderr and exit status 1.

    Ctrl-C ends it with status 130, as shells have it.
    """
    end_imports()
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"error: {printable(without_password(refusal(error)))}")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not NO_MAIN_MEMORY.search(str(error)):
            raise
        sys.exit("error: the main memory is full; let fewer jobs run at a time, or take a machine with more")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
