"""Errors that a user can mend: one clear line and exit status 1, without a traceback.

Where each kind of failure that a user can cause becomes such a line:

- Bad settings: `fairdistill.settings.reading`, from pydantic's errors; Snakemake's rules end with the same line.
- Bad files (archives, pictures, tables, records, checkpoints): what reads them turns the errors of its library into a
  `UserError` that names the file.
- The file system (missing, read-only, full): `run_script`, from OSError, whose text names the file.
- Memory and GPUs: `fairdistill.training.failures` for trainings, `run_script` for all other scripts.
- Signals: `run_script` for Ctrl-C, workflow/job.sh for a job that is killed.

Any other exception is a fault of this project, and its traceback is what its report needs.
"""

import re
import sys
import unicodedata
from collections.abc import Callable


class UserError(Exception):
    """Bad input. The message says what is wrong, where, and what to do, in one line."""


def printable(text: str) -> str:
    """Text in one line of UTF-8: line breaks, control characters and bytes that are no text become escapes as `\\n`.

    The names of files may hold all of them.
    """
    escaped = ("Cc", "Cs", "Zl", "Zp")
    return "".join(
        one.encode("unicode_escape").decode() if unicodedata.category(one) in escaped else one for one in text
    )


def without_password(text: str) -> str:
    """Text with *** in the place of the user and password, or the token, of each URL in it.

    A password ends at the last @: it may hold what would have to be escaped. A colon before a port begins none.
    """
    return re.sub(r"://(?:[^/?#\s:@]*:(?!\d+(?:[/?#]|$))\S*|[^/?#\s@]*)@", "://***@", text)


def run_script(main: Callable[[], None]) -> None:
    """Call a script's `main`; turn what the user can mend into one line on stderr and exit status 1.

    Ctrl-C ends it with status 130, as shells have it.
    """
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"error: {printable(without_password(str(error)))}")
    except MemoryError:
        sys.exit("error: the main memory is full; let fewer jobs run at a time, or take a machine with more")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
