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
from contextlib import ExitStack
from pathlib import Path

from fairdistill.export.prediction import Failure, find_images, open_model, predict_images
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import replacing
from fairdistill.runtime.parallel import usable_cores


def positive(text: str) -> int:
    """A number of things that there has to be one of."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on: {text}")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of an exported model, or an ONNX file in it")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGES", help="files, folders, tables of paths")
    parser.add_argument("--output", type=Path, help="file to write; without it the table goes to stdout")
    parser.add_argument("--column", default="path", help="column of the paths in tables; they start at the table")
    parser.add_argument("--group", help="group of all images, where the model needs it")
    parser.add_argument("--group-column", help="column of the groups in tables, where the model needs it")
    parser.add_argument("--batch-size", type=positive, default=64, help="images that the model predicts at a time")
    parser.add_argument(
        "--threads", type=positive, default=usable_cores(), help="threads that decode, and that predict"
    )
    args = parser.parse_args()
    model = open_model(args.model, threads=args.threads)
    known = model.preprocessor.groups
    if args.group is not None and args.group not in known:
        raise UserError(f"--group {args.group}: the model does not know this group; choose one of {', '.join(known)}")
    if model.preprocessor.needs_group and not (args.group or args.group_column):
        raise UserError(
            f"{args.model}: the model needs the group of each image ({', '.join(known)}); give --group, or a table "
            "with a --group-column"
        )

    # all of them first: a table that cannot be read stops before anything is predicted
    items = list(find_images(args.images, column=args.column, group_column=args.group_column))
    options = {"batch_size": args.batch_size, "workers": args.threads, "group": args.group}
    started, done, failed = time.perf_counter(), 0, 0
    with ExitStack() as files:
        if args.output:
            partial = files.enter_context(replacing(args.output))
            output = files.enter_context(open(partial, "w", encoding="utf-8", newline=""))
        else:
            output = sys.stdout
        table = csv.writer(output, lineterminator="\n")
        classes = model.preprocessor.classes
        table.writerow(["path", "prediction", *(f"p_{name}" for name in classes)])
        for found in predict_images(model, items, **options):
            if isinstance(found, Failure):
                failed += 1
                print(f"error: {found.name}: {found.reason}", file=sys.stderr, flush=True)
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
