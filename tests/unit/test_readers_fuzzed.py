"""What reads files of the user's own: of any bytes, and of a good file with any damage, it reads or says one line."""

import io
import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

from fairdistill.data.label_table import read_label_table
from fairdistill.networks.foreign import read_facts, read_weights
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.pictures import UndecodableError, decode

GRADIENT = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
WEIGHTS = {"fc.weight": torch.ones(2, 3), "fc.bias": torch.zeros(2)}
ROWS = pd.DataFrame({"image": ["a.png", "b c.png"], "label": ["ä", "2"], "group": [1, 2]})
COLUMNS = {name: f"the setting {name}" for name in ROWS}
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "TGA", "ICO", "JPEG2000")


def picture(kind):
    file = io.BytesIO()
    Image.fromarray(GRADIENT).save(file, kind)
    return file.getvalue()


def saved(write):
    """The bytes that a function writes to a file that it is given."""
    file = io.BytesIO()
    write(file)
    return file.getvalue()


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A file of each kind that holds weights, by the end of its name."""
    path = tmp_path_factory.mktemp("whole") / "model.safetensors"
    description = {"settings": {"kind": "resnet18"}, "n_outputs": 2, "model": {}}
    save_file(WEIGHTS, path, metadata={"network": json.dumps(description)})
    state = {"state_dict": WEIGHTS, "epoch": 3}
    return {
        ".safetensors": path.read_bytes(),
        ".pth": saved(lambda file: torch.save(state, file)),
        ".old.pth": saved(lambda file: torch.save(state, file, _use_new_zipfile_serialization=False)),
    }


TABLES = {
    ".csv": ROWS.to_csv(index=False).encode(),
    ".tsv": ROWS.to_csv(index=False, sep="\t").encode(),
    ".parquet": saved(lambda file: ROWS.to_parquet(file)),
}

# a place in the file by its share, so that the same damage fits files of all lengths
SHARES = st.floats(0, 1, exclude_max=True)
DAMAGES = st.lists(
    st.one_of(
        st.tuples(st.just("change"), SHARES, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("insert"), SHARES, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("drop"), SHARES, st.integers(1, 64)),
        st.tuples(st.just("cut"), SHARES, st.none()),
        st.tuples(st.just("repeat"), SHARES, st.integers(1, 64)),
    ),
    min_size=1,
    max_size=3,
)


def damaged(content, damages):
    content = bytearray(content)
    for kind, share, what in damages:
        place = int(share * len(content))
        if kind == "change":
            content[place : place + len(what)] = what
        elif kind == "insert":
            content[place:place] = what
        elif kind == "drop":
            del content[place : place + what]
        elif kind == "cut":
            del content[place:]
        else:
            content[place:place] = content[place : place + what]
    return bytes(content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


def fuzzed(test):
    return settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])(
        given(damages=DAMAGES)(test)
    )


def outcome(read, refusal):
    """What a reader returns, and the line with which it refuses; the other is None."""
    try:
        return read(), None
    except refusal as error:
        (line,) = str(error).splitlines()
        return None, line


@pytest.mark.parametrize("kind", FORMATS)
@fuzzed
def test_a_damaged_picture_is_decoded_or_refused(kind, damages):
    content = damaged(picture(kind), damages)
    image, refused = outcome(lambda: decode(content, 8), UndecodableError)
    assert refused or image.shape == (8, 8, 3)


@given(content=st.binary(max_size=400))
def test_bytes_that_are_no_picture_are_refused(content):
    image, refused = outcome(lambda: decode(content, 8), UndecodableError)
    assert refused or image.shape == (8, 8, 3)


def test_a_checkpoint_that_lacks_a_byte_is_refused(checkpoints, folder):
    path = folder / "short.pth"
    path.write_bytes(damaged(checkpoints[".pth"], [("drop", 0.5, 1)]))
    _, refused = outcome(lambda: read_weights(path), UserError)
    assert refused.startswith(f"{path}: is no checkpoint that torch can read; give a safetensors file, or ")


def test_a_name_in_a_checkpoint_does_not_break_the_line_that_refuses_it(checkpoints, folder):
    path = folder / "line.pth"
    # in the directory at the end of the archive, and not beside the content
    before, after = checkpoints[".pth"].rsplit(b"archive/.format_version", 1)
    path.write_bytes(before + b"archive/.f\nrmat_version" + after)
    _, refused = outcome(lambda: read_weights(path), UserError)
    assert refused.startswith(f"{path}: archive/.f\\nrmat_version in it is not as it was written, by its checksum; ")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        # which ends in the length of a text
        ("cut.pth", b"\x80\x02X\x03\x00"),
        # of whose storages there is none
        ("old.pth", b"".join(pickle.dumps(part, 2) for part in (MAGIC_NUMBER, PROTOCOL_VERSION, {}, {}, ["a"]))),
        # which torch.load reads by itself, by the name
        ("other.safetensors", b"PK and more than eight bytes"),
    ],
)
def test_a_checkpoint_of_which_torch_says_something_else_is_refused(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    _, refused = outcome(lambda: read_weights(path), UserError)
    assert refused.startswith(f"{path}: is no checkpoint that torch can read; give a safetensors file, or ")


@pytest.mark.parametrize("ending", [".safetensors", ".pth", ".old.pth"])
@fuzzed
def test_a_damaged_checkpoint_is_read_or_refused(checkpoints, folder, ending, damages):
    path = folder / f"model{ending}"
    path.write_bytes(damaged(checkpoints[ending], damages))
    for read in (read_weights, read_facts):
        _, refused = outcome(lambda read=read: read(path), UserError)
        assert refused is None or refused.startswith(str(path))


@pytest.mark.parametrize("ending", list(TABLES))
@fuzzed
def test_a_damaged_table_is_read_or_refused(folder, ending, damages):
    path = folder / f"labels{ending}"
    path.write_bytes(damaged(TABLES[ending], damages))
    table, refused = outcome(lambda: read_label_table(path, COLUMNS), UserError)
    if refused is None:
        assert table.values.map(lambda value: isinstance(value, str)).all(axis=None)
    else:
        assert refused.startswith(str(path))


def test_whole_files_are_read(checkpoints, folder):
    """Else the tests above could not fail."""
    for kind in FORMATS:
        assert decode(picture(kind), 8).shape == (8, 8, 3)
    for ending, content in checkpoints.items():
        (folder / f"whole{ending}").write_bytes(content)
        weights, _ = read_weights(folder / f"whole{ending}")
        assert {name: tuple(weight.shape) for name, weight in weights.items()} == {"fc.weight": (2, 3), "fc.bias": (2,)}
    for ending, content in TABLES.items():
        (folder / f"whole{ending}").write_bytes(content)
        assert len(read_label_table(folder / f"whole{ending}", COLUMNS).values) == 2
