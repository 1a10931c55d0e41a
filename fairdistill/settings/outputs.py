"""The checksums that the record of a training has of the model's files."""

from pathlib import Path

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json, sha256
from fairdistill.settings.base import Settings, Text
from fairdistill.settings.reading import read_settings


class Record(Settings, extra="ignore"):
    """What is read of training.json to find whether a file of the model belongs to it."""

    outputs: dict[str, Text]


def check_outputs(record: Path, *outputs: Path) -> dict:
    """Return the content of a training.json, whose checksums of some files of the model have to be theirs.

    Parameters
    ----------
    record
        The training.json.
    *outputs
        Files of the model.

    Raises
    ------
    UserError
        The record cannot be read, or one of the files does not belong to it.
    """
    content = read_json(record)
    recorded = read_settings(Record, content, where=str(record)).outputs
    for path in outputs:
        if recorded.get(path.name) != sha256(path):
            raise UserError(
                f"{path}: does not belong to {record}; train the model again, as happens where its folder is deleted"
            )
    return content
