"""Predictions of an exported model for picture files: decoded in parallel with the model, in batches."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairdistill.export.files import MODEL
from fairdistill.export.pictures import read_picture
from fairdistill.export.preprocessor import Preprocessor
from fairdistill.export.sessions import ExportedModel
from fairdistill.runtime.csv_tables import read_csv
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.folders import files_in
from fairdistill.runtime.pictures import UndecodableError, is_picture

TABLES = (".csv", ".tsv")


class Item(NamedTuple):
    """An image to predict.

    Attributes
    ----------
    path
        Where it is.
    name
        Its path as the user wrote it, or as the folder that the user named has it.
    group
        The name of its group, if the user gave one.
    """

    path: Path
    name: str
    group: str | None = None


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
    """Open the folder of an exported model, or one of its ONNX files."""
    return ExportedModel(path / MODEL if path.is_dir() else path, threads=threads)


def find_images(places: Iterable[Path], *, column: str, group_column: str | None = None) -> Iterator[Item | Failure]:
    """Yield the images of folders, with those in folders inside of them, of tables, and single files.

    What is found in a folder is what a data set of it would have: see `files_in` and `is_picture`.

    Parameters
    ----------
    places
        Folders; `.csv` and `.tsv` files, as `read_csv` reads them; images.
    column
        The column of a table with the paths, which start at the folder of the table.
    group_column
        The column of a table with the names of the groups.

    Raises
    ------
    UserError
        A table is not there or not readable, has no row, or lacks the column.
    """
    for place in places:
        if is_table(place):
            yield from _read_table(place, column, group_column)
        elif place.is_dir():
            files = [place / name for name in sorted(files_in(place)) if is_picture(Path(name))]
            if not files:
                yield Failure(str(place), "no file in this folder ends as an image does, such as in .jpg or .png")
            yield from (Item(path, _printable(path)) for path in files)
        else:
            yield Item(place, _printable(place))


def is_table(place: Path) -> bool:
    """Whether it is taken for a table of images."""
    return place.suffix.lower() in TABLES and not place.is_dir()


def _printable(path: Path) -> str:
    """A path as text; bytes of it that are none are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _read_table(table: Path, column: str, group_column: str | None) -> Iterator[Item | Failure]:
    if not table.is_file():
        raise UserError(f"{table}: there is no such file; give a table of images, images or folders")
    rows = list(read_csv(table, [column, group_column or column]))
    if not rows:
        raise UserError(f"{table}: has no row below the names of its columns; give each image a row")
    for line, values in rows:
        if values is None:
            yield Failure(f"{table}, line {line}", "has more or fewer fields than the header")
        elif not values[0]:
            yield Failure(f"{table}, line {line}", "names no image")
        else:
            # an absolute path stays as it is
            yield Item(table.parent / values[0], values[0], values[1] if group_column else None)


def predict_images(
    model: ExportedModel,
    items: Iterable[Item | Failure],
    *,
    batch_size: int,
    workers: int,
    group: str | None = None,
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
    group
        The name of the group of all images, for a model that needs it; None where tables have it.
    """
    items = iter(items)
    waiting: deque[tuple[Item | Failure, Future[Read]]] = deque()
    with ThreadPoolExecutor(workers) as pool:

        def submit(number: int) -> None:
            for item in islice(items, number):
                waiting.append((item, pool.submit(_read, item, model.preprocessor, group)))

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


def _read(item: Item | Failure, preprocessor: Preprocessor, group: str | None) -> Read:
    if isinstance(item, Failure):
        return item
    code = 0
    if preprocessor.needs_group:
        name = group or item.group
        if name not in preprocessor.groups:
            known = ", ".join(preprocessor.groups)
            had = "it has no group" if name is None else f"its group is {name!r}"
            return Failure(item.name, f"{had}, and the model knows {known}; give --group or a column")
        code = preprocessor.groups.index(name)
    try:
        return read_picture(item.path, preprocessor), code
    except FileNotFoundError:
        return Failure(item.name, "there is no such file")
    except ValueError:
        return Failure(item.name, "is no path of a file")
    except UndecodableError as error:
        return Failure(item.name, f"not an image that can be decoded ({error})")
    except OSError as error:
        return Failure(item.name, f"cannot be read ({error.strerror})")
