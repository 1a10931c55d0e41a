"""What holds for every kind of data set: writing, reading, the registry, the script."""

import errno
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairdistill.data import KINDS, load_dataset
from fairdistill.data.preparing import Prepared, describe, load_kind, prepare_dataset, write_dataset
from fairdistill.runtime.errors import UserError

ROOT = Path(__file__).parents[2]


def prepared(images=None, n=24):
    rng = np.random.default_rng(0)
    samples = pd.DataFrame(
        {
            "image_id": [f"image {i}" for i in range(n)],
            "split": np.where(np.arange(n) < n // 2, "train", "test"),
            "label": np.arange(n) % 3,
            "group": np.arange(n) // 3 % 2,
        }
    )
    if images is None:
        images = rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return Prepared(samples, images, 8, ["a", "b", "c"], ["g", "h"], {"rng": "0"}, {"dropped": 1})


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_reading_gives_back_what_was_written(tmp_path):
    wanted = prepared()
    write_dataset(tmp_path / "d", wanted, {"kind": "tiny", "size": 8})
    dataset = load_dataset(tmp_path / "d")
    np.testing.assert_array_equal(dataset.images, wanted.images)
    assert dataset.images.dtype == np.uint8
    types = {"sample_id": "int32", "image_id": "str", "split": "str", "label": "int16", "group": "int16"}
    assert dataset.samples.dtypes.astype(str).to_dict() == types
    pd.testing.assert_frame_equal(dataset.samples[list(wanted.samples)], wanted.samples, check_dtype=False)
    assert list(dataset.samples["sample_id"]) == list(range(24))
    assert (dataset.classes, dataset.groups) == (["a", "b", "c"], ["g", "h"])
    train = np.asarray(wanted.images)[:12] / 255
    np.testing.assert_allclose(dataset.mean, train.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(dataset.std, train.std(axis=(0, 1, 2)))
    assert dataset.info["counts"] == {"train": [[2, 2]] * 3, "test": [[2, 2]] * 3}
    assert dataset.info["notes"] == {"dropped": 1}
    assert dataset.info["settings"] == {"kind": "tiny", "size": 8}
    assert dataset.info["image_size"] == 8


def test_split_gives_rows_labels_and_groups(tiny):
    rows, label, group = tiny.split("test")
    assert rows.dtype == label.dtype == group.dtype == np.int64
    part = tiny.samples.loc[tiny.samples["split"] == "test"]
    np.testing.assert_array_equal(rows, part["sample_id"])
    np.testing.assert_array_equal(label, part["label"])
    np.testing.assert_array_equal(group, part["group"])


def test_digest_tells_images_and_labels_apart(tmp_path):
    base, other_image, other_label = prepared(), prepared(), prepared()
    other_image.images[5, 0, 0, 0] ^= 1
    other_label.samples.loc[0, "label"] = 1
    for i, p in enumerate([base, prepared(), other_image, other_label]):
        write_dataset(tmp_path / str(i), p, {"kind": "tiny"})
    digests = [load_dataset(tmp_path / str(i)).info["sha256"] for i in range(4)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_empty_test_cell_is_named_and_nothing_written(tmp_path):
    p = prepared()
    p.samples = p.samples[~((p.samples["split"] == "test") & (p.samples["label"] == 1) & (p.samples["group"] == 1))]
    with pytest.raises(UserError, match=r"^data: faces has no test image in the cell \(b, h\)"):
        write_dataset(tmp_path / "faces", p, {"kind": "tiny"})
    assert not (tmp_path / "faces").exists()


def test_empty_training_cell_is_allowed(tmp_path):
    p = prepared()
    p.samples.loc[p.samples["split"] == "train", "group"] = 0
    write_dataset(tmp_path / "d", p, {"kind": "tiny"})
    assert load_dataset(tmp_path / "d").info["counts"]["train"] == [[4, 0]] * 3


def test_failed_write_leaves_the_earlier_data_set_whole(tmp_path):
    def full_disk():
        yield from prepared().images[:20]
        raise OSError(errno.ENOSPC, "No space left on device")

    write_dataset(tmp_path / "d", prepared(), {"kind": "tiny"})
    earlier = files(tmp_path / "d")
    with pytest.raises(OSError, match="No space left"):
        write_dataset(tmp_path / "d", prepared(full_disk()), {"kind": "other"})
    assert files(tmp_path / "d") == earlier


def test_too_few_images_are_noticed(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        write_dataset(tmp_path / "d", prepared(prepared().images[:20]), {"kind": "tiny"})


def load_damaged(folder, name, damage):
    """Read a data set in which `damage` has been done to the bytes of one file."""
    write_dataset(folder, prepared(), {"kind": "tiny"})
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    return load_dataset(folder)


@pytest.mark.parametrize("name", ["images.npy", "samples.parquet", "dataset.json"])
@pytest.mark.parametrize("kept", [0, 1, 100, -20, -2])
def test_a_file_that_is_cut_short_is_named(tmp_path, name, kept):
    with pytest.raises(UserError) as error:
        load_damaged(tmp_path / "d", name, lambda content: content[:kept])
    assert re.fullmatch(rf".*/d/{name}: damaged \(.+\); delete the folder and prepare it again", str(error.value))


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("dataset.json", b'"mean"', b'"main"', "dataset.json: damaged (lacks mean)"),
        ("dataset.json", b"{", b"[{", "dataset.json: damaged (Expecting ',' delimiter"),
        ("images.npy", b"'|u1'", b"'|i1'", "images.npy: damaged (not a C-ordered array of uint8)"),
        ("images.npy", b"False", b"True ", "images.npy: damaged (not a C-ordered array of uint8)"),
        ("images.npy", b"(24, 8, 8, 3)", b"(8, 24, 8, 3)", "d: damaged (images.npy is (8, 24, 8, 3), samples.parquet"),
        # the length of the page's header: pyarrow says so in two lines
        ("samples.parquet", b"PAR1\x15", b"PAR1\xff", "samples.parquet: damaged ("),
        # no reader of a table minds until the text is used
        ("samples.parquet", b"image 0", b"image \xff", "samples.parquet: damaged ("),
    ],
)
def test_a_file_with_altered_bytes_is_named(tmp_path, name, old, new, reason):
    with pytest.raises(UserError) as error:
        load_damaged(tmp_path / "d", name, lambda content: content.replace(old, new))
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "altered"),
    [
        ("images.npy", lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        ("samples.parquet", lambda content: content.replace(b"image 0", b"image X")),
        ("dataset.json", lambda content: content.replace(b'"sha256": "', b'"sha256": "0')),
    ],
)
def test_content_that_is_not_what_was_written_is_refused(tmp_path, name, altered):
    with pytest.raises(UserError, match=r"images\.npy and samples\.parquet do not have the sha256 in dataset\.json"):
        load_damaged(tmp_path / "d", name, altered)


def test_a_missing_file_is_the_disks_error(tmp_path):
    write_dataset(tmp_path / "d", prepared(), {"kind": "tiny"})
    (tmp_path / "d" / "images.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"images\.npy"):
        load_dataset(tmp_path / "d")


def test_dataset_json_comes_last(tmp_path, monkeypatch):
    """A disk that fails between two renames leaves what is seen to be no data set."""
    write_dataset(tmp_path / "d", prepared(), {"kind": "tiny"})
    other = prepared()
    other.images[0] = 0
    replaced = []

    def replace_one(partial, path):
        if replaced:
            raise OSError(errno.EIO, "Input/output error")
        replaced.append(path.name)
        partial.rename(path)

    monkeypatch.setattr("fairdistill.runtime.files.os.replace", replace_one)
    with pytest.raises(OSError, match="Input/output"):
        write_dataset(tmp_path / "d", other, {"kind": "tiny"})
    assert replaced == ["images.npy"]
    with pytest.raises(UserError, match="do not have the sha256"):
        load_dataset(tmp_path / "d")


def test_files_of_two_data_sets_are_refused(tmp_path):
    write_dataset(tmp_path / "a", prepared(), {"kind": "tiny"})
    write_dataset(tmp_path / "b", prepared(n=48), {"kind": "tiny"})
    (tmp_path / "b" / "images.npy").replace(tmp_path / "a" / "images.npy")
    with pytest.raises(UserError, match=r"images\.npy is \(48, 8, 8, 3\), samples\.parquet has 24 rows"):
        load_dataset(tmp_path / "a")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_to_the_interface(kind):
    module = load_kind(kind)
    first, *settings = inspect.signature(module.prepare).parameters.values()
    assert first.name == "archive"
    assert all(s.kind is s.KEYWORD_ONLY and s.default is not s.empty for s in settings)
    assert {"split_seed"} <= {s.name for s in settings}
    if module.ARCHIVE:
        assert all(url.startswith("https://") for url in module.URLS)
        assert callable(module.verified_members)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": ["mnist"]}, "data: unknown kind ['mnist']; choose one of"),
        ({"kind": "mnist"}, "data: unknown kind 'mnist'; choose one of cifar10s, utkface, digits_s"),
        ({}, "data: unknown kind None"),
        ({"kind": "digits_s", "skwe": 0.5}, "data: digits_s has no setting 'skwe'; choose among skew, "),
        ({"kind": "cifar10s", "archive": "x"}, "data: cifar10s has no setting 'archive'"),
        ({"kind": "cifar10s"}, "data: cifar10s is made from cifar-10-python.tar.gz"),
    ],
)
def test_unknown_names_are_refused(tmp_path, settings, message):
    with pytest.raises(UserError) as error:
        prepare_dataset(tmp_path / "d", settings, None)
    assert str(error.value).startswith(message)


def prepare(*arguments, limit="unlimited"):
    """Run the script with a limit on the size of a file, in KiB: a disk that is full from there on."""
    command = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "-", sys.executable, "-m", "scripts.prepare_dataset"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)


def test_script_on_a_disk_that_fills_up(tmp_path):
    arguments = ["--settings", '{"kind": "digits_s", "image_size": 8}', "--output", str(tmp_path / "d")]
    done = prepare(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    info = json.loads((tmp_path / "d" / "dataset.json").read_text())
    assert info["image_size"] == 8
    assert done.stdout == describe(info) + "\n"
    earlier = files(tmp_path / "d")

    failed = prepare(*arguments, limit=100)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
    assert files(tmp_path / "d") == earlier


def test_the_description_counts_cells_and_tells_what_was_left_out(tmp_path):
    p = prepared()
    p.samples.loc[:2, "group"] = 1
    p.notes = {"unparsable": {"count": 7, "names": [f"{i}.jpg" for i in range(7)]}, "copies_dropped": 16}
    assert describe(write_dataset(tmp_path / "d", p, {"kind": "tiny"})).splitlines() == [
        "tiny: images of 8 px",
        "",
        "train: 12 images",
        "   g  h",
        "a  1  3",
        "b  1  3",
        "c  1  3",
        "",
        "test: 12 images",
        "   g  h",
        "a  2  2",
        "b  2  2",
        "c  2  2",
        "",
        "left out or set apart (in full under notes in dataset.json):",
        "  unparsable: 7 (0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ...)",
        "  copies dropped: 16",
    ]


@pytest.mark.parametrize(("settings", "message"), [("{kind: digits_s}", "not JSON"), ("[1]", "[1] is no mapping")])
def test_script_refuses_what_is_no_mapping(tmp_path, settings, message):
    failed = prepare("--settings", settings, "--output", str(tmp_path / "d"))
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"error: --settings: {message}")
    assert failed.stderr.count("\n") == 1
