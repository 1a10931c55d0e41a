"""Values that several scripts take on the command line."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import no_folders
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.training import MAX_SEED

# what every figure is written as
FIGURE_FORMS = ("pdf", "png")
# of things that are counted on the command line
MOST = 1_000_000


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
        f'"fold": [0, 1, ..] if data sets have several test sets; {order}',
    )


def add_architectures_option(parser: argparse.ArgumentParser) -> None:
    """Add --architectures, which names those of the main grid; tables also have models of others, as bases."""
    parser.add_argument(
        "--architectures",
        nargs="+",
        required=True,
        metavar="NAME",
        help="those of the main grid; others in the table are there only as bases",
    )


def parse_with_figure(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the arguments of a script that draws; with --pdf and --png, the files that the figure is written to.

    Raises
    ------
    UserError
        One of these is the other, or a file that the script reads.
    """
    for form in FIGURE_FORMS:
        parser.add_argument(f"--{form}", type=Path, required=True, help=f"figure to write as {form.upper()}")
    args = parser.parse_args()
    named = [(option, path) for option, value in vars(args).items() for path in _paths(value)]
    for form in FIGURE_FORMS:
        written = Path(getattr(args, form))
        # a pipe or a terminal takes both
        if written.exists() and not written.is_file():
            continue
        for option, path in named:
            if option != form and os.path.realpath(path) == os.path.realpath(written):
                raise UserError(f"--{form} and --{option.replace('_', '-')} name one file, {path}; give each its own")
    return args


def _paths(value: object) -> list[Path]:
    return [path for path in (value if isinstance(value, list) else [value]) if isinstance(path, Path)]


def student_argument(text: str) -> str:
    """Return the name of a method whose models are students; a UserError says that the teacher's are none."""
    if text == TEACHER:
        raise UserError(f"--method: '{TEACHER}' names no students; name the method of some")
    return text


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


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return the type of an option: a function that takes text for a number from `least` to `most`.

    It raises an argparse.ArgumentTypeError where the text is something else.
    """

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}: {text}")
        return int(text)

    return number


# a seed, which leaves torch's generator room for the streams made of it
seed_argument = whole_number(0, MAX_SEED)
# a number of things of which there has to be one at least
count_argument = whole_number(1, MOST)
