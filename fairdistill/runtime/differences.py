"""What differs between two records, or between a record and settings, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

SHOWN = 3  # differences in one line


def differences(then: Any, now: Any, name: str = "", *, shared: bool = False) -> Iterator[str]:
    """Yield what differs between two values as JSON has them, by name and with the values where they are short.

    Parameters
    ----------
    name
        What the values are called.
    shared
        Whether a key that only one of two mappings has makes no difference.
    """
    if then == now:
        return
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in [key for key in then if key in now] if shared else dict.fromkeys([*then, *now]):
            yield from differences(then.get(key), now.get(key), f"{name}.{key}" if name else key, shared=shared)
    else:
        values = f"{then} and is now {now}"
        yield f"{name} was {values}" if len(values) <= 60 else f"another {name}"


def some_of(found: list[str]) -> str:
    """The first of some differences, and how many more there are."""
    more = f" and {len(found) - SHOWN} more" * (len(found) > SHOWN)
    return ", ".join(found[:SHOWN]) + more
