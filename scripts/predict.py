"""Predict the class of pictures with an exported model; needs neither torch nor any other file than the model.

MODEL is the folder of an exported model, or one of its ONNX files, such as model.int8.onnx. IMAGES are picture files,
folders of them, or tables (.csv, .tsv) with a column of paths, which start at the folder of the table or at --folder.
Writes CSV in UTF-8: the path, the predicted class, and the probability of each class. An image that cannot be read is
named on stderr, all others are predicted, and the exit code is 1.
"""

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from fairdistill.export.prediction import Failure, Item, find_images, is_table, open_model, predict_images
from fairdistill.export.sessions import ExportedModel
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import replacing
from fairdistill.runtime.parallel import usable_cores

MOST = 4096
STDOUT = 1  # its descriptor


def number(text: str) -> int:
    """A number of things that there has to be one of."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST}: {text}")
    return int(text)


def place(text: str) -> Path:
    """A path; an empty one would be the folder that the user is in."""
    if not text:
        raise argparse.ArgumentTypeError("is empty; name a file")
    return Path(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=place, metavar="MODEL", help="folder of an exported model, or an ONNX file in it")
    parser.add_argument("images", type=place, nargs="+", metavar="IMAGES", help="files, folders, tables of paths")
    parser.add_argument("--output", type=place, help="file to write; without it the table goes to stdout")
    parser.add_argument("--column", help="column of the paths in tables; else path")
    parser.add_argument("--folder", type=place, help="folder that paths in tables start at; else that of the table")
    parser.add_argument("--group", help="group of all images, where the model needs it")
    parser.add_argument("--group-column", help="column of the groups in tables, where the model needs it")
    parser.add_argument(
        "--batch-size", type=number, default=64, help="images that the model predicts at a time (%(default)s)"
    )
    parser.add_argument(
        "--threads",
        type=number,
        default=usable_cores(),
        help="threads that decode, and that predict; no more are started than there are cores (%(default)s)",
    )
    args = parser.parse_args()
    check_columns(args)
    threads = min(args.threads, usable_cores())
    model = open_model(args.model, threads=threads)
    check_group(args, model)

    # all of them first: a table that cannot be read stops before anything is predicted
    columns = {} if args.column is None else {"column": args.column}
    items = list(
        find_images(args.images, **columns, folder=args.folder, group_column=args.group_column, group=args.group)
    )
    try:
        with writing(args.output) as output:
            failed = write_predictions(output, model, items, batch_size=args.batch_size, workers=threads)
    except BrokenPipeError:
        # who reads the table has seen enough, as `head` has
        sys.exit(1)
    if failed:
        raise UserError(f"{failed} of {len(items)} images could not be predicted; they are named above")


def check_columns(args: argparse.Namespace) -> None:
    """Refuse what is said of tables where it would be passed over."""
    if args.group is not None and args.group_column is not None:
        raise UserError("--group and --group-column both say what group an image has; give one of them")
    for option in ("column", "folder", "group_column"):
        if getattr(args, option) is not None and not any(map(is_table, args.images)):
            raise UserError(
                f"--{option.replace('_', '-')}: is for tables, and none of the images is one (.csv, .tsv); leave it "
                "out, or name a table"
            )
    if args.folder is not None and not args.folder.is_dir():
        raise UserError(f"--folder {args.folder}: there is no such folder; name the one that paths in tables start at")


def check_group(args: argparse.Namespace, model: ExportedModel) -> None:
    """Refuse a group that the model does not know, one that it would not read, and none where it needs one."""
    for option in ("group", "group_column"):
        if getattr(args, option) is not None and not model.preprocessor.needs_group:
            raise UserError(
                f"--{option.replace('_', '-')}: the model predicts without the group, so that none changes anything; "
                "leave it out"
            )
    known = ", ".join(model.preprocessor.groups)
    if args.group is not None and args.group not in model.preprocessor.groups:
        raise UserError(f"--group {args.group}: the model does not know this group; choose one of {known}")
    if model.preprocessor.needs_group and args.group is None and args.group_column is None:
        raise UserError(
            f"{args.model}: the model needs the group of each image ({known}); give --group, or a table with a "
            "--group-column"
        )


@contextmanager
def writing(path: Path | None) -> Iterator[TextIO]:
    """Open the file to write, which is there when it is whole, or stdout, whatever encoding the terminal has."""
    if path is None or _is_stdout(path):
        with open(STDOUT, "w", encoding="utf-8", newline="", closefd=False) as file:
            yield file
        return
    with ExitStack() as files:
        try:
            partial = files.enter_context(replacing(path))
            file = files.enter_context(open(partial, "w", encoding="utf-8", newline=""))
        except OSError as error:
            where_a_file_is = isinstance(error, (FileExistsError, NotADirectoryError))
            reason = "a folder in its path is a file" if where_a_file_is else error.strerror
            raise UserError(
                f"--output {path}: cannot be written ({reason}); name a file in a folder that you may write to"
            ) from error
        yield file


def _is_stdout(path: Path) -> bool:
    """Whether a path is where stdout leads, as /dev/stdout is: what is there already must not be written over."""
    try:
        return os.path.samestat(path.stat(), os.fstat(STDOUT))
    except OSError:
        return False


def write_predictions(
    output: TextIO, model: ExportedModel, items: Sequence[Item | Failure], *, batch_size: int, workers: int
) -> int:
    """Write the table, name on stderr what could not be predicted, and return how many these are."""
    started, failed = time.perf_counter(), 0
    table = csv.writer(output, lineterminator="\n")
    classes = model.preprocessor.classes
    table.writerow(["path", "prediction", *(f"p_{name}" for name in classes)])
    for found in predict_images(model, items, batch_size=batch_size, workers=workers):
        if isinstance(found, Failure):
            failed += 1
            print(f"error: {found.name}: {found.reason}", file=sys.stderr, flush=True)
            continue
        numbers = (f"{p:.6f}" for p in found.probabilities)
        table.writerow([found.name, classes[found.probabilities.argmax()], *numbers])
    output.flush()
    done = len(items) - failed
    rate = done / (time.perf_counter() - started)
    print(f"{done} images predicted, {rate:.0f} a second; {failed} could not be", file=sys.stderr)
    return failed


if __name__ == "__main__":
    run_script(main)
