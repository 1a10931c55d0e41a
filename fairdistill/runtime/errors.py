"""Errors that a user can mend: one clear line and exit status 1, without a traceback."""

import os
import sys
from collections.abc import Callable


class UserError(Exception):
    """Bad input. The message says what is wrong, where, and what to do, in one line."""


def printable(text: str) -> str:
    """Return a name of a file, or a value of a table, as an error shows it: in one line, whatever it holds."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def run_script(main: Callable[[], None]) -> None:
    """Call a script's `main`; turn what the user can mend into one line on stderr and exit status 1."""
    try:
        main()
    except BrokenPipeError:
        # whoever read the output has seen enough of it; what Python still has to say of it goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
