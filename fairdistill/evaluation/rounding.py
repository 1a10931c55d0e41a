"""How a number is rounded where it is printed, in tables and on models' cards alike."""

import math
import re

# a number that is zero when rounded, with the sign before it
ZERO = re.compile(r"[-+](0(\.0*)?)$")


def rounded(value: float, form: str) -> str:
    """Return a number as text, a half rounded away from zero; what rounds to zero has no sign, whichever side it is on.

    Parameters
    ----------
    form
        As `str.format` takes it, such as "{:+.3f}"; it ends with the number.
    """
    return ZERO.sub(r"\1", form.format(halves_up(value)))


def halves_up(value: float) -> float:
    """Return a value that rounding takes away from zero where it is a half; a mean over four seeds often is one."""
    # binary digits and summation leave it a little above or below
    return value + math.copysign(1e-9, value)
