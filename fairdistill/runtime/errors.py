"""Errors that a user can cause and mend: one clear line, a non-zero exit, no traceback."""

import json
import sys
from collections.abc import Callable

TYPES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


class UserError(Exception):
    """Bad input. The message says what is wrong, where, and what to do, in one line."""


def check_type(where: str, key: str, value: object, wanted: type) -> None:
    """Refuse a setting of another type; a whole number passes for a fraction, a truth value for no number."""
    if type(value) is not wanted and (wanted, type(value)) != (float, int):
        raise UserError(f"{where}: {key} is {json.dumps(value)}; it must be {TYPES[wanted]}")


def run(main: Callable[[], None]) -> None:
    """Call a script's `main`; turn what the user can mend into one line on stderr and exit status 1."""
    try:
        main()
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
