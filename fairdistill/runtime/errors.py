"""Errors that a user can mend: one clear line and exit status 1, without a traceback."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """Bad input. The message says what is wrong, where, and what to do, in one line."""


def run_script(main: Callable[[], None]) -> None:
    """Call a script's `main`; turn what the user can mend into one line on stderr and exit status 1."""
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
