"""Values that several scripts take on the command line."""

import argparse
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PosixPath
from typing import TypeVar

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import no_folders
from fairdistill.runtime.study_files import OF_A_DATASET
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.training import MAX_SEED

# stands for a name in a pattern of paths
WORD = re.compile(r"\{\w+\}")
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


class OutputFile(PosixPath):
    """The path of a file that a script writes: the `type` of its option, by which `parse_options` knows it."""


class Folder(PosixPath):
    """The path of a folder, which a type that `input_folder` or `output_folder` returns makes of text.

    Attributes
    ----------
    files
        Names of the files that the script reads from the folder, or writes to it.
    """

    files: Sequence[str] = ()


class OutputFolder(Folder):
    """One that a script writes to."""


SomeFolder = TypeVar("SomeFolder", bound=Folder)


def parse_options(parser: argparse.ArgumentParser, options: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of a script, of which none names a file that is written for another.

    That is a file given as an `OutputFile`, or one that is written to an `OutputFolder`. Where the script reads files
    that no option names, `require_unwritten` compares them.

    Parameters
    ----------
    parser
        The parser of the script.
    options
        What to read in place of the command line.

    Raises
    ------
    UserError
        Two options name one file, which would be lost.
    """
    args = parser.parse_args(options)
    # backwards, so that of two outputs the first is named first
    for option, value in reversed(vars(args).items()):
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path) or (isinstance(path, str) and WORD.search(path)):
                require_unwritten(args, option, path)
            if isinstance(path, Folder):
                require_unwritten(args, option, *(path / file for file in path.files))
    return args


def parse_with_figure(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the arguments of a script that draws; with --pdf and --png, the files that the figure is written to.

    Raises
    ------
    UserError
        One of these is the other, or a file that the script reads.
    """
    for form in FIGURE_FORMS:
        parser.add_argument(f"--{form}", type=OutputFile, required=True, help=f"figure to write as {form.upper()}")
    return parse_options(parser)


def require_unwritten(args: argparse.Namespace, option: str, *paths: Path | str) -> None:
    """Raise a UserError where one of `paths` is a file that is written for another option, whatever links lead to it.

    Parameters
    ----------
    args
        What `parse_options` returned.
    option
        The name in `args` of the option that the paths are from: itself a path, or that of a folder that they are in.
    *paths
        Of files; or, as text, the pattern of the paths of some, with words in braces.
    """
    written = [(other, path, os.path.realpath(path)) for other, path in written_files(args) if other != option]
    for path in paths:
        words = WORD.split(os.path.realpath(path)) if isinstance(path, str) else [os.path.realpath(path)]
        same = re.compile(".*".join(map(re.escape, words)), re.DOTALL)
        for other, output, real in written:
            # a pipe or a terminal takes several outputs, and a folder is refused where it would be written
            if same.fullmatch(real) and (output.is_file() or not output.exists()):
                names = " and ".join(f"--{name.replace('_', '-')}" for name in (other, option))
                shown = path if isinstance(path, Path) else output
                raise UserError(f"{names} name one file, {shown}; give each its own")


def written_files(args: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Yield each file that a script writes, as its arguments say, after the name of the option that says so."""
    for option, value in vars(args).items():
        if isinstance(value, OutputFile):
            yield option, value
        elif isinstance(value, OutputFolder):
            yield from ((option, value / file) for file in value.files)


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


def input_folder(*files: str) -> Callable[[str], Folder]:
    """Return the type of an option that names a folder to read `files` from."""
    return lambda text: _with_files(Folder(text), files)


def output_folder(*files: str) -> Callable[[str], OutputFolder]:
    """Return the type of an option that names a folder to write `files` to; it checks as `folder_argument` does."""
    return lambda text: _with_files(OutputFolder(folder_argument(text)), files)


def _with_files(folder: SomeFolder, files: Sequence[str]) -> SomeFolder:
    folder.files = files
    return folder


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return the type of an option: a function that takes text for a number from `least` to `most`.

    It raises an argparse.ArgumentTypeError where the text is something else.
    """

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}: {text}")
        return int(text)

    return number


# the folder of a prepared data set, which is read
dataset_folder = input_folder(*OF_A_DATASET)
# a seed, which leaves torch's generator room for the streams made of it
seed_argument = whole_number(0, MAX_SEED)
# a number of things of which there has to be one at least
count_argument = whole_number(1, MOST)
