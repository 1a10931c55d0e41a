"""Values that several scripts take on the command line."""

import argparse

from fairdistill.settings.training import MAX_SEED


def seed_argument(text: str) -> int:
    """Return a seed: a whole number that leaves torch's generator room for the streams made of it.

    Raises
    ------
    argparse.ArgumentTypeError
        The text is something else.
    """
    if not text.isdecimal() or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {MAX_SEED}: {text}")
    return int(text)
