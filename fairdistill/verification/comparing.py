"""Whether two JSON values, or a table and the text that it should have, are the same except for rounding."""

import re

ROUNDING = 1e-9
# Tables have square roots of variances: between models that do not differ, these are roots of rounding errors.
IN_TABLES = 1e-8
# One image in 100: a bootstrap with other random numbers, or a prediction on another machine, may differ by as much.
DRAWN = 0.01


def differing_fields(one: dict, other: dict, drawn: float) -> list[str]:
    """Name the scores that are not the same in both: `uncertainty` and `criteria` to `drawn`, others to `ROUNDING`.

    `criteria` are compared only where both have them: they do not follow from the correctness alone, and older metrics
    files have none.
    """
    tolerance = {"uncertainty": drawn, "criteria": drawn}
    names = sorted((one.keys() | other.keys()) - ({"criteria"} - (one.keys() & other.keys())))
    return [name for name in names if not equal(one.get(name), other.get(name), tolerance.get(name, ROUNDING))]


def equal(one: object, other: object, tolerance: float) -> bool:
    """Return whether two JSON values are the same, numbers to `tolerance`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(*pair, tolerance) for pair in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance
    return one == other


def first_difference(published: bytes, again: str) -> str:
    """Describe the first line in which a table and its text made again differ by more than rounding; empty if none."""
    try:
        lines = published.decode().splitlines(), again.splitlines()
    except UnicodeDecodeError as error:
        return f"is no text ({error})"
    for number, (one, other) in enumerate(zip(*lines, strict=False), start=1):
        if one != other and not _same_but_for_rounding(one, other):
            return f"line {number} is '{one}', and should be '{other}'"
    return "" if len(lines[0]) == len(lines[1]) else f"has {len(lines[0])} lines, and should have {len(lines[1])}"


def _same_but_for_rounding(one: str, other: str) -> bool:
    """Whether two lines of a CSV table have the same texts, and numbers that are equal to `IN_TABLES`."""

    def same(part: str, other_part: str) -> bool:
        if part == other_part:
            return True
        try:
            return abs(float(part) - float(other_part)) <= IN_TABLES
        except ValueError:
            return False

    # a cell may hold several numbers with spaces between them
    parts, other_parts = (re.split("[, ]", line) for line in (one, other))
    return len(parts) == len(other_parts) and all(map(same, parts, other_parts))
