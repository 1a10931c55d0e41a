"""The command line of `python -m scripts.predict` checked, and the table of predictions that it writes."""

import csv
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from fairdistill.export.files import OF_A_MODEL
from fairdistill.export.prediction import Failure, Item, is_table, predict_images
from fairdistill.export.sessions import ExportedModel
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import replacing

STDOUT = 1  # its descriptor


def check_columns(
    images: Sequence[Path], *, column: str | None, folder: Path | None, group: str | None, group_column: str | None
) -> None:
    """Refuse what is said of tables where it would be passed over."""
    if group is not None and group_column is not None:
        raise UserError("--group and --group-column both say what group an image has; give one of them")
    for option, value in {"column": column, "folder": folder, "group-column": group_column}.items():
        if value is not None and not any(map(is_table, images)):
            raise UserError(
                f"--{option}: is for tables, and none of the images is one (.csv, .tsv); leave it out, or name a table"
            )
    if folder is not None and not folder.is_dir():
        raise UserError(f"--folder {folder}: there is no such folder; name the one that paths in tables start at")


def check_group(model: ExportedModel, where: Path, *, group: str | None, group_column: str | None) -> None:
    """Refuse a group that the model does not know, one that it would not read, and none where it needs one."""
    for option, value in {"group": group, "group-column": group_column}.items():
        if value is not None and not model.preprocessor.needs_group:
            raise UserError(
                f"--{option}: the model predicts without the group, so that none changes anything; leave it out"
            )
    known = ", ".join(model.preprocessor.groups)
    if group is not None and group not in model.preprocessor.groups:
        raise UserError(f"--group {group}: the model does not know this group; choose one of {known}")
    if model.preprocessor.needs_group and group is None and group_column is None:
        raise UserError(
            f"{where}: the model needs the group of each image ({known}); give --group, or a table with a "
            "--group-column"
        )


def check_output(path: Path | None, model: Path, images: Sequence[Path], items: Iterable[Item | Failure]) -> None:
    """Refuse to write over the model, or over what is read: the images and their tables, by whatever path."""
    if path is None or not os.path.isfile(path):
        return
    there = path.stat()
    folder = model if model.is_dir() else model.parent
    read = itertools.chain(
        [model, *(folder / name for name in OF_A_MODEL)],
        images,
        (item.path for item in items if isinstance(item, Item)),
    )
    # a path that cannot be looked up is that of no file, or not a path at all
    for one in read:
        with suppress(OSError, ValueError):
            if os.path.samestat(there, one.stat()):
                raise UserError(f"--output {path}: is {one}, which is read or belongs to the model; name another file")


@contextmanager
def writing(path: Path | None) -> Iterator[TextIO]:
    """Open the file to write, which is there when it is whole, or stdout, whatever encoding the terminal has."""
    if path is None or _is_stdout(path):
        try:
            with open(STDOUT, "w", encoding="utf-8", newline="", closefd=False) as file:
                yield file
        except OSError as error:
            # Python does not say which file is closed, or is on a disk that is full
            error.filename = error.filename or "stdout"
            raise
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
