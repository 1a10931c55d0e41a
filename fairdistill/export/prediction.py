"""Predictions of an exported model for picture files: decoded in parallel with the model, in batches."""

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairdistill.export.files import MODEL, RECORD
from fairdistill.export.pictures import read_picture
from fairdistill.export.preprocessor import Preprocessor
from fairdistill.export.sessions import ExportedModel
from fairdistill.runtime.csv_table import NO_CSV, TABULATED, read_csv
from fairdistill.runtime.errors import UserError, printable
from fairdistill.runtime.files import read_json, sha256
from fairdistill.runtime.folders import files_in, finder, is_picture
from fairdistill.runtime.pictures import UndecodableError
from fairdistill.settings.base import Settings, Text
from fairdistill.settings.reading import read_settings

TABLES = (".csv", *TABULATED)
ELSEWHERE = ", where the paths of its table start; --folder names another folder"
# how the names of files with weights end
WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".h5")


class Item(NamedTuple):
    """An image to predict.

    Attributes
    ----------
    path
        Where it is.
    name
        Its path as the user wrote it, or as the folder that the user named has it; see `printable`.
    group
        The name of its group, if the user gave one.
    start
        The folder that its path in a table starts at; None for an absolute path, and for an image of no table.
    """

    path: Path
    name: str
    group: str | None = None
    start: Path | None = None


class Failure(NamedTuple):
    """What could not be predicted, and why, in one line."""

    name: str
    reason: str


class Prediction(NamedTuple):
    """The probabilities (classes,) of an image."""

    name: str
    probabilities: NDArray[np.float32]


# the pixels of an image (size, size, 3), and the code of its group, which is 0 where the model needs none
Read = tuple[NDArray[np.uint8], int] | Failure


def open_model(path: Path, *, threads: int) -> ExportedModel:
    """Open the folder of an exported model, whose record has its checksum, or one of its ONNX files."""
    if path.suffix.lower() in WEIGHTS and not path.is_dir():
        raise UserError(
            f"{path}: holds weights, and no model that predicts by itself; give the folder that snakemake export has "
            f"written, or the {MODEL} in it"
        )
    if not path.is_dir():
        return ExportedModel(path, threads=threads)
    if (record := path / RECORD).is_file():
        _require_own(path / MODEL, record)
    return ExportedModel(path / MODEL, threads=threads)


class _File(Settings, extra="ignore"):
    sha256: Text


class _Record(Settings, extra="ignore"):
    """What is read of export.json."""

    files: dict[str, _File]


def _require_own(model: Path, record: Path) -> None:
    """Raise a UserError where a model is not the one that the record of its export is of."""
    recorded = read_settings(_Record, read_json(record), where=str(record)).files.get(model.name)
    if model.is_file() and (recorded is None or recorded.sha256 != sha256(model)):
        raise UserError(f"{model}: does not belong to {record}; export the model again, or copy its folder anew")


def is_table(place: Path) -> bool:
    """Whether a place that the user names is a table of paths."""
    return place.suffix.lower() in (*TABLES, *NO_CSV) and not os.path.isdir(place)


def find_images(
    places: Iterable[Path],
    *,
    column: str = "path",
    folder: Path | None = None,
    group_column: str | None = None,
    group: str | None = None,
) -> Iterator[Item | Failure]:
    """Yield the images of folders, with those in folders inside of them, of tables, and single files.

    Parameters
    ----------
    places
        Folders, in which files are images whose names end as those of images do; tables, whose names end in `TABLES`;
        images.
    column
        The column of a table with the paths.
    folder
        Where the paths in tables start; None for the folder of the table.
    group_column
        The column of a table with the names of the groups.
    group
        The name of the group of all images, where no column has it.

    Raises
    ------
    UserError
        A table is not readable, or lacks the column; or a place is a file with a model.
    OSError
        A folder cannot be read.
    """
    for place in places:
        if is_table(place):
            yield from _in_table(place, column, folder or place.parent, group_column, group)
        elif os.path.isdir(place):
            yield from _in_folder(place, group)
        elif place.suffix.lower() in (".onnx", *WEIGHTS):
            raise UserError(f"{place}: is a model, and no image; give one model, and behind it the images")
        else:
            yield Item(place, printable(str(place)), group)


def _in_table(
    table: Path, column: str, start: Path, group_column: str | None, group: str | None
) -> Iterator[Item | Failure]:
    columns = {column: "--column"} | ({} if group_column is None else {group_column: "--group-column"})
    locate = _locator(start)
    for line, values in read_csv(table, columns):
        if values is None or not values[0]:
            what = "more or fewer fields than the header" if values is None else "no path"
            yield Failure(printable(f"{table}: line {line}"), f"has {what}")
        else:
            within = None if os.path.isabs(values[0]) else start
            yield Item(locate(values[0]), printable(values[0]), values[-1] if group_column else group, within)


def _locator(start: Path) -> Callable[[str], Path]:
    """Return what finds the file of a path in a table, as the table of a data set may have it; see `finder`."""

    @functools.cache
    def elsewhere() -> Callable[[str], str | None]:
        # a folder that cannot be searched is no obstacle to the paths that are right
        with suppress(OSError, UserError):
            return finder(start, list(files_in(start)))
        return lambda _: None

    def locate(written: str) -> Path:
        # the folder, which may be large, is searched only where there is no file of this very path
        found = None if os.path.isfile(start / written) else elsewhere()(written)
        return start / (found or written)

    return locate


def _in_folder(folder: Path, group: str | None) -> Iterator[Item | Failure]:
    files = sorted(filter(is_picture, files_in(folder)))
    if not files:
        yield Failure(printable(str(folder)), "no file in this folder ends as an image does, such as in .jpg or .png")
    yield from (Item(folder / name, printable(str(folder / name)), group) for name in files)


def predict_images(
    model: ExportedModel,
    items: Iterable[Item | Failure],
    *,
    batch_size: int,
    workers: int,
) -> Iterator[Prediction | Failure]:
    """Yield the prediction of each image, or why there is none, in the order of the images.

    Pillow decodes in threads, where it does not hold the others up, and the model runs beside them. At most a few
    batches are in memory.

    Parameters
    ----------
    items
        What `find_images` yields.
    batch_size
        Images that the model predicts at a time.
    workers
        Threads that decode.
    """
    items = iter(items)
    waiting: deque[tuple[Item | Failure, Future[Read]]] = deque()
    with ThreadPoolExecutor(workers) as pool:

        def submit(number: int) -> None:
            for item in islice(items, number):
                waiting.append((item, pool.submit(_read, item, model.preprocessor)))

        # two batches ahead of the model
        submit(3 * batch_size)
        while waiting:
            batch = [waiting.popleft() for _ in range(min(batch_size, len(waiting)))]
            read = [job.result() for _, job in batch]
            submit(batch_size)
            yield from _predict_batch(model, [item.name for item, _ in batch], read)


def _predict_batch(model: ExportedModel, names: Sequence[str], read: Sequence[Read]) -> Iterator[Prediction | Failure]:
    good = [one for one in read if not isinstance(one, Failure)]
    probabilities: Iterator[NDArray] = iter(())
    if good:
        images, groups = zip(*good, strict=True)
        probabilities = iter(model.predict(np.stack(images), np.array(groups, dtype=np.int64)))
    for name, one in zip(names, read, strict=True):
        yield one if isinstance(one, Failure) else Prediction(name, next(probabilities))


def _read(item: Item | Failure, preprocessor: Preprocessor) -> Read:
    if isinstance(item, Failure):
        return item
    code = 0
    if preprocessor.needs_group:
        if item.group not in preprocessor.groups:
            what = f"its group is {item.group!r}" if item.group else "it has no group"
            known = ", ".join(preprocessor.groups)
            return Failure(item.name, f"{what}, and the model knows {known}; give --group or a --group-column")
        code = preprocessor.groups.index(item.group)
    try:
        return read_picture(item.path, preprocessor), code
    except FileNotFoundError:
        where = "" if item.start is None else printable(f" in {os.path.abspath(item.start)}{ELSEWHERE}")
        return Failure(item.name, f"there is no such file{where}")
    except UndecodableError as error:
        return Failure(item.name, f"not an image that can be decoded ({printable(str(error))})")
    except OSError as error:
        return Failure(item.name, f"cannot be read ({error.strerror})")
    except ValueError as error:
        # a character that no path can have
        return Failure(item.name, f"is no name of a file ({error})")
