"""Predict the class of pictures with an exported model; needs no torch, and no file but the model.

MODEL is the folder of an exported model, or one of its ONNX files, such as model.int8.onnx. IMAGES are picture files,
folders of them, or tables (.csv, .tsv) with a column of paths, relative to the folder of the table or to --folder.
Writes CSV in UTF-8: the path, the predicted class, and the probability of each class. If an image cannot be read, it is
named on stderr, all others are predicted, and the exit code is 1.
"""

import argparse
import sys
from pathlib import Path

from fairdistill.export.prediction import find_images, open_model
from fairdistill.export.prediction_table import check_columns, check_group, check_output, write_predictions, writing
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.parallel import usable_cores

MOST = 4096


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
    parser.add_argument("--column", help="column of the paths in tables (default: path)")
    parser.add_argument(
        "--folder", type=place, help="folder that paths in tables are relative to (default: that of the table)"
    )
    parser.add_argument("--group", help="group of all images, if the model needs it")
    parser.add_argument("--group-column", help="column of the groups in tables, if the model needs it")
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
    groups = {"group": args.group, "group_column": args.group_column}
    check_columns(args.images, column=args.column, folder=args.folder, **groups)
    threads = min(args.threads, usable_cores())
    model = open_model(args.model, threads=threads)
    check_group(model, args.model, **groups)

    # all of them first: a table that cannot be read stops before anything is predicted
    columns = {} if args.column is None else {"column": args.column}
    items = list(find_images(args.images, **columns, folder=args.folder, **groups))
    check_output(args.output, args.model, args.images, items)
    try:
        with writing(args.output) as output:
            failed = write_predictions(output, model, items, batch_size=args.batch_size, workers=threads)
    except BrokenPipeError:
        # who reads the table has seen enough, as `head` has
        sys.exit(1)
    if failed:
        raise UserError(f"{failed} of {len(items)} images could not be predicted; they are named above")


if __name__ == "__main__":
    run_script(main)
