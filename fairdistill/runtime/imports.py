"""Imports without Python's garbage collector.

To import torch and pandas makes a million objects, none of which becomes garbage before the process ends. To search
them for garbage, again and again while they are made and once more at the end, is a third of the time.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def begin_script() -> None:
    """Collect no garbage until `end_imports`, in a process that was started as `python -m`."""
    # Python has set it to the path of the module once that is found: what imports a script, as tests do, is not meant.
    if sys.argv[0] == "-m":
        gc.disable()


def end_imports() -> None:
    """Collect garbage again, where `begin_script` has ended it, but among what is made from now on."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage while the block imports what a script needs only then."""
    gc.disable()
    try:
        yield
    finally:
        end_imports()
