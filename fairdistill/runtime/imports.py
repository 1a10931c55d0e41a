"""Imports without Python's garbage collector.

To import torch and pandas makes a million objects, none of which becomes garbage before the process ends. To search
them for garbage, again and again while they are made and once more at the end, is a third of the time.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# whether this process is a script, and may decide on the collector; what imports a script, as tests do, is left alone
_is_script = False


def begin_script() -> None:
    """Collect no garbage until `end_imports`, in a process that was started as `python -m`."""
    global _is_script
    # Python has set it to the path of the module once that is found
    _is_script = sys.argv[0] == "-m"
    if _is_script:
        gc.disable()


def end_imports() -> None:
    """Collect garbage from now on, in a script, and among what is made from now on."""
    if _is_script:
        gc.freeze()
        gc.enable()


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage while the block imports what a script needs only then."""
    if _is_script:
        gc.disable()
    try:
        yield
    finally:
        end_imports()
