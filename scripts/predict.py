"""Predict the class of pictures with an exported model; needs neither torch nor any other file than the model.

MODEL is the folder of an exported model, or one of its ONNX files, such as model.int8.onnx. IMAGES are picture files,
folders of them, or tables (.csv, .tsv) with a column of paths. Writes CSV: the path, the predicted class, and the
probability of each class. An image that cannot be read is named on stderr, all others are predicted, and the exit code
is 1.
"""

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from fairdistill.export.prediction import Failure, find_images, is_table, open_model, predict_images
from fairdistill.runtime.errors import UserError, printable, run_script
from fairdistill.runtime.files import replacing
from fairdistill.runtime.parallel import usable_cores

COLUMN = "path"


def positive(text: str) -> int:
    """A number of things that there has to be one of."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on: {text}")
    return int(text)


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Yield a file to write the table to, which is complete or not there."""
    try:
        with replacing(path) as partial, open(partial, "w", encoding="utf-8", newline="") as output:
            yield output
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--output {path}: cannot be written ({reason}); name a file that you may write") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of an exported model, or an ONNX file in it")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGES", help="files, folders, tables of paths")
    parser.add_argument("--output", type=Path, help="file to write; without it the table goes to stdout")
    parser.add_argument(
        "--column", help=f"column of the paths in tables, by default {COLUMN}; they start at the table's folder"
    )
    parser.add_argument("--group", help="group of all images, where the model needs it")
    parser.add_argument("--group-column", help="column of the groups in tables, where the model needs it")
    parser.add_argument("--batch-size", type=positive, default=64, help="images that the model predicts at a time")
    parser.add_argument(
        "--threads",
        type=positive,
        default=usable_cores(),
        help="threads that decode, and that predict; no more than there are cores",
    )
    args = parser.parse_args()
    if args.group is not None and args.group_column is not None:
        raise UserError("--group and --group-column: give one of the two")
    if (args.column or args.group_column) and not any(map(is_table, args.images)):
        option = "--column" if args.column else "--group-column"
        raise UserError(f"{option}: there is no table among the images; give one, a .csv or .tsv, or leave it out")
    threads = min(args.threads, usable_cores())
    model = open_model(args.model, threads=threads)
    known = model.preprocessor.groups
    if args.group is not None and args.group not in known:
        raise UserError(f"--group {args.group}: the model does not know this group; choose one of {', '.join(known)}")
    if model.preprocessor.needs_group and not (args.group or args.group_column):
        raise UserError(
            f"{args.model}: the model needs the group of each image ({', '.join(known)}); give --group, or a table "
            "with a --group-column"
        )

    # all of them first: a table that cannot be read stops before anything is predicted
    items = list(find_images(args.images, column=args.column or COLUMN, group_column=args.group_column))
    options = {"batch_size": args.batch_size, "workers": threads, "group": args.group}
    started, done, failed = time.perf_counter(), 0, 0
    with ExitStack() as files:
        if args.output:
            output = files.enter_context(opened(args.output))
        else:
            # names are in UTF-8, whatever the terminal's language
            sys.stdout.reconfigure(encoding="utf-8")
            output = sys.stdout
        table = csv.writer(output, lineterminator="\n")
        classes = model.preprocessor.classes
        table.writerow(["path", "prediction", *(f"p_{name}" for name in classes)])
        for found in predict_images(model, items, **options):
            if isinstance(found, Failure):
                failed += 1
                print(f"error: {printable(found.name)}: {found.reason}", file=sys.stderr, flush=True)
                continue
            done += 1
            numbers = (f"{p:.6f}" for p in found.probabilities)
            table.writerow([found.name, classes[found.probabilities.argmax()], *numbers])
    rate = done / (time.perf_counter() - started)
    print(f"{done} images predicted, {rate:.0f} a second; {failed} could not be", file=sys.stderr)
    if failed:
        raise UserError(f"{failed} of {done + failed} images could not be predicted; they are named above")


if __name__ == "__main__":
    run_script(main)
