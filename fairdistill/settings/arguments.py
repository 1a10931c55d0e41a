"""Values that several scripts take on the command line."""

import argparse
from pathlib import Path

from fairdistill.runtime.files import no_folders
from fairdistill.settings.training import MAX_SEED


def add_model_options(parser: argparse.ArgumentParser, *, order: str) -> None:
    """Add --metrics and --grids, which name the models that a table is of; `order` says what their order decides."""
    parser.add_argument(
        "--metrics",
        required=True,
        metavar="PATTERN",
        help="path of a metrics file, such as x/metrics/{dataset}/{architecture}/{method}/seed{seed}{fold}.json",
    )
    add_grids_option(parser, order=order)


def add_grids_option(parser: argparse.ArgumentParser, *, order: str) -> None:
    """Add --grids, which names models; `order` says what their order decides."""
    parser.add_argument(
        "--grids",
        required=True,
        metavar="JSON",
        help='the models: [{"dataset": [..], "architecture": [..], "method": ["teacher", ..], "seed": [..]}, ..], with '
        f'"fold": [0, 1, ..] where data sets have several test sets; {order}',
    )


def add_architectures_option(parser: argparse.ArgumentParser) -> None:
    """Add --architectures, which names those of the main grid; tables also have models of others, as bases."""
    parser.add_argument(
        "--architectures",
        nargs="+",
        required=True,
        metavar="NAME",
        help="those of the main grid; the table may have others, of which there are bases alone",
    )


def add_figure_options(parser: argparse.ArgumentParser) -> None:
    """Add --pdf and --png, the files that a figure is written to."""
    parser.add_argument("--pdf", type=Path, required=True, help="figure to write as PDF")
    parser.add_argument("--png", type=Path, required=True, help="figure to write as PNG")


def folder_argument(text: str) -> Path:
    """Return the path of a folder to write to, which need not be there yet; it ends in the folder's name.

    Raises
    ------
    argparse.ArgumentTypeError
        The path is empty or that of the root, or it, or a folder that it would be in, is there and is no folder.
    """
    path = Path(text)
    # a training has files beside its folder, under the name of that
    if path.name in ("", ".."):
        path = path.resolve()
    if not text or not path.name:
        raise argparse.ArgumentTypeError(f"is to be a folder that has a name: {text!r}")
    if in_the_way := no_folders(path):
        raise argparse.ArgumentTypeError(f"is to be a folder, and {in_the_way[0]} is none: {text}")
    return path


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
