"""Checks of the data sets' settings; the message names the key at fault."""

from collections.abc import Callable
from numbers import Real

from fairdistill.runtime.errors import UserError


def check_setting(key: str, value: object, valid: bool, need: str) -> None:
    """Raise a UserError that names `key` and says what it must be, unless `valid`."""
    if not valid:
        raise UserError(f"data: {key} is {value!r}; it must be {need}")


def check_integer(key: str, value: object, minimum: int) -> None:
    """Check for a whole number, `minimum` or more."""
    valid = isinstance(value, int) and not isinstance(value, bool) and value >= minimum
    check_setting(key, value, valid, f"a whole number, {minimum} or more")


def check_number(key: str, value: object, valid: Callable[[float], bool], need: str) -> None:
    """Check for a number of which `valid` is true."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    check_setting(key, value, is_number and valid(value), f"a number {need}")


def check_skew(value: object) -> None:
    """Check the fraction of a class that is in its usual group."""
    check_number("skew", value, lambda skew: 0 < skew <= 1, "above 0 and at most 1")
