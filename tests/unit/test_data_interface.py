"""What holds for every kind of data set: writing, reading, finding its module, and the script."""

import errno
import inspect
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairdistill.data import load_dataset
from fairdistill.data.preparing import Prepared, describe, prepare_dataset, write_dataset
from fairdistill.data.reading import description_digest
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.settings.arguments import folder_argument
from fairdistill.settings.base import kinds
from fairdistill.settings.data import AnyDataSet, Cifar10S, DigitsS
from scripts import prepare_dataset as prepare_dataset_script

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
    assert dataset.info["folds"][0]["counts"] == {"train": [[2, 2]] * 3, "test": [[2, 2]] * 3}
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


def test_the_validation_split_is_empty_where_there_is_none(tiny):
    assert [part.shape for part in tiny.split("validation")] == [(0,)] * 3


def test_an_unknown_split_is_refused(tiny):
    with pytest.raises(ValueError, match="no split 'valid'; the splits are train, validation, test"):
        tiny.split("valid")


def test_digest_tells_images_and_labels_apart(tmp_path):
    base, other_image, other_label = prepared(), prepared(), prepared()
    other_image.images[5, 0, 0, 0] ^= 1
    other_label.samples.loc[0, "label"] = 1
    for i, p in enumerate([base, prepared(), other_image, other_label]):
        write_dataset(tmp_path / str(i), p, {"kind": "tiny"})
    digests = [load_dataset(tmp_path / str(i)).info["sha256"] for i in range(4)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("split", "remedy"),
    [
        ("train", "change the settings that take images from it, such as `validation`, or bring `skew` nearer to 0.5"),
        ("validation", "raise `validation`"),
        ("test", "raise the setting for the number or share of test images"),
    ],
)
def test_an_empty_cell_is_named_and_nothing_written(tmp_path, split, remedy):
    p = prepared(n=36)
    p.samples.loc[24:, "split"] = "validation"
    in_cell = (p.samples["split"] == split) & (p.samples["label"] == 1) & (p.samples["group"] == 1)
    p.samples = p.samples[~in_cell]
    with pytest.raises(UserError) as error:
        write_dataset(tmp_path / "faces", p, {"kind": "tiny", "validation": 0.1})
    assert str(error.value) == (
        f"data: faces has no image in the cell (b, h) of its {split} split, and every (class, group) cell needs one; "
        f"{remedy}"
    )
    assert not (tmp_path / "faces").exists()


def test_a_validation_split_that_is_asked_for_has_to_be_there(tmp_path):
    with pytest.raises(UserError, match=r"^data: faces has no image in the cell \(a, g\) of its validation split"):
        write_dataset(tmp_path / "faces", prepared(), {"kind": "tiny", "validation": 0.1})


@pytest.mark.parametrize("value", [0, 7, 255])
def test_training_images_that_are_all_alike_in_a_channel_are_refused(tmp_path, value):
    p = prepared()
    p.images[:12, ..., 1] = value
    with pytest.raises(
        UserError, match=r"^data: d has one value in all pixels of its training images .* green, .*none$"
    ):
        write_dataset(tmp_path / "d", p, {"kind": "tiny"})
    assert list(tmp_path.glob("d/*")) == []
    write_dataset(tmp_path / "d", p, {"kind": "tiny", "normalise": "none"})
    assert load_dataset(tmp_path / "d").std.tolist() == [1, 1, 1]
    p.images[0, 0, 0, 1] ^= 1
    write_dataset(tmp_path / "d", p, {"kind": "tiny"})
    assert 0 < load_dataset(tmp_path / "d").std[1] < 0.001


def test_failed_write_leaves_the_earlier_data_set_whole(tmp_path):
    def full_disk():
        yield from prepared().images[:20]
        raise OSError(errno.ENOSPC, "No space left on device")

    write_dataset(tmp_path / "d", prepared(), {"kind": "tiny"})
    earlier = files(tmp_path / "d")
    with pytest.raises(OSError, match="No space left"):
        write_dataset(tmp_path / "d", prepared(full_disk()), {"kind": "other"})
    assert files(tmp_path / "d") == earlier


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for the peak of the memory")
def test_the_images_are_never_in_memory_together(tmp_path):
    n, size = 400, 256
    p = prepared(images=(np.full((size, size, 3), i % 256, dtype=np.uint8) for i in range(n)), n=n)
    p.image_size = size

    def of_status(name):
        return 1024 * int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1])

    before = of_status("VmRSS")
    # the peak is from now on
    Path("/proc/self/clear_refs").write_text("5")
    write_dataset(tmp_path / "d", p, {"kind": "tiny"})
    assert (tmp_path / "d" / "images.npy").stat().st_size > n * size**2 * 3
    assert of_status("VmHWM") - before < n * size**2 * 3 / 2


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


FOLD = {"mean": [0.5] * 3, "std": [0.2] * 3}


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("folds", 5, "folds: Input should be a valid list"),
        ("folds", [], "folds: List should have at least 1 item after validation, not 0"),
        ("folds", [{"std": [0.2] * 3}], "folds.0.mean: Field required"),
        ("folds", [FOLD | {"mean": [0.5]}], "folds.0.mean: List should have at least 3 items after validation, not 1"),
        ("folds", [FOLD | {"std": [0.2, 0.2, 0]}], "folds.0.std.2: Input should be greater than 0"),
        ("folds", [FOLD | {"std": [0.2, 0.2, np.nan]}], "folds.0.std.2: Input should be a finite number"),
        ("for_seed", "3", "for_seed: Input should be a valid integer"),
        ("crop", 99, "Value error, crop is 99, and image_size 8"),
        ("crop_test", "x", "crop_test: Input should be 'centre' or 'whole'"),
        ("weighting", "x", "weighting: Input should be 'images' or 'cells'"),
    ],
)
def test_what_dataset_json_says_is_checked(tmp_path, key, value, reason):
    with pytest.raises(UserError) as error:
        load_damaged(tmp_path, "dataset.json", lambda content: json.dumps(json.loads(content) | {key: value}).encode())
    path = tmp_path / "dataset.json"
    assert str(error.value) == f"{path}: damaged ({reason}); delete the folder and prepare it again"


@pytest.mark.parametrize(
    "key",
    [
        *("kind", "settings", "classes", "groups", "image_size", "crop", "crop_test"),
        *("weighting", "for_seed", "folds", "sha256", "source"),
    ],
)
def test_a_key_that_dataset_json_lacks_is_named(tmp_path, key):
    """As in a data set that an earlier version prepared."""
    with pytest.raises(UserError, match=rf"dataset\.json: damaged \({key}: Field required\); delete the folder"):
        load_damaged(tmp_path, "dataset.json", lambda content: content.replace(f'"{key}"'.encode(), b'"other"'))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (
            "folds",
            [FOLD] * 2,
            "the 2 folds in dataset.json need the columns sample_id, image_id, split0, split1,",
        ),
        ("classes", ["a"], "dataset.json names 1 classes, and samples.parquet has others"),
        ("groups", ["g"], "dataset.json names 1 groups, and samples.parquet has others"),
    ],
)
def test_a_dataset_json_that_its_samples_do_not_fit_is_refused(tmp_path, key, value, reason):
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}: damaged ({reason}")):
        load_damaged(tmp_path, "dataset.json", lambda content: described(json.loads(content) | {key: value}))


def described(info):
    """A dataset.json that has the digest of its content."""
    return json.dumps(info | {"description_sha256": description_digest(info)}).encode()


FOLD_OF_ANOTHER = {"mean": [0.5] * 3, "std": [0.2] * 3, "counts": {}}


@pytest.mark.parametrize(
    "change",
    [
        {"folds": [FOLD_OF_ANOTHER]},
        {"classes": ["b", "a", "c"]},
        {"groups": ["h", "g"]},
        {"crop": 8},
        {"weighting": "cells"},
        {"kind": "other"},
        {"settings": {"kind": "tiny", "skew": 0.8}},
        {"for_seed": 1},
        {"source": {"what": "else"}},
        {"notes": {"left_out": 1}},
        {"images": 25},
        {"another": 1},
        {"description_sha256": "0"},
        {"description_sha256": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_dataset_json_says_has_a_digest(tmp_path, change):
    reason = re.escape("dataset.json: damaged (its content does not have the description_sha256 in it)")
    with pytest.raises(UserError, match=reason):
        load_damaged(tmp_path, "dataset.json", lambda content: json.dumps(json.loads(content) | change).encode())


def test_a_data_set_of_before_there_was_that_digest_is_read(tmp_path):
    def as_before(content):
        info = json.loads(content)
        del info["description_sha256"]
        return json.dumps(info).encode()

    assert load_damaged(tmp_path, "dataset.json", as_before).classes == prepared().classes


@pytest.mark.parametrize(
    ("name", "altered"),
    [
        ("images.npy", lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        ("samples.parquet", lambda content: content.replace(b"image 0", b"image X")),
        ("dataset.json", lambda content: described(json.loads(content) | {"sha256": "0"})),
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


def test_every_kind_is_found():
    assert [kind.__name__ for kind in kinds(AnyDataSet)] == ["Cifar10S", "UTKFace", "DigitsS", "Celeba", "Folder"]


@pytest.mark.parametrize("kind", kinds(AnyDataSet))
def test_every_kind_keeps_to_the_interface(kind):
    module = import_module(kind.implementation)
    settings, *archives = inspect.signature(module.prepare).parameters
    assert settings == "settings"
    assert len(archives) == len(kind.archives or kind.settings_of_paths)
    if kind.archives:
        assert tuple(module.ARCHIVES) == kind.archives
        for published in module.ARCHIVES.values():
            assert all(url.startswith("https://") for url in [*published.urls, published.page])


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(UserError, match=r"^data: cifar10s is made from cifar-10-python.tar.gz; give the path of each"):
        prepare_dataset(tmp_path / "d", Cifar10S(kind="cifar10s"))


def test_an_archive_that_nothing_is_made_from_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"^data: digits_s needs no archive; give none as --archives$"):
        prepare_dataset(tmp_path / "d", DigitsS(kind="digits_s"), [tmp_path / "a.tar.gz"])


def prepare(*arguments, limit="unlimited"):
    """Run the script. A limit on the size of files, in KiB, stands for a disk that fills up."""
    command = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "-", sys.executable, "-m", "scripts.prepare_dataset"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)


def test_script_on_a_disk_that_fills_up(tmp_path):
    settings = '{"kind": "digits_s", "image_size": 8, "validation": 0.1}'
    arguments = ["--settings", settings, "--output", str(tmp_path / "d")]
    done = prepare(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    info = json.loads((tmp_path / "d" / "dataset.json").read_text())
    assert info["settings"]["validation"] == 0.1
    assert done.stdout == describe(info) + "\n"
    earlier = files(tmp_path / "d")

    failed = prepare(*arguments, limit=100)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
    assert files(tmp_path / "d") == earlier


def test_the_description_has_the_counts_of_each_split_and_the_notes(tmp_path):
    p = prepared(n=36)
    p.samples.loc[24:, "split"] = "validation"
    p.samples.loc[:2, "group"] = [1, 1, 0]
    p.notes = {"incomplete_names": {"count": 7, "names": [f"{i}.jpg" for i in range(7)]}, "copies_dropped": 16}
    assert describe(write_dataset(tmp_path / "d", p, {"kind": "tiny"})).splitlines() == [
        "tiny: 36 images of 8 x 8 px",
        "",
        "train: 18 images, by class and group",
        "   g  h",
        "a  2  4",
        "b  2  4",
        "c  3  3",
        "",
        "validation: 12 images, by class and group",
        "   g  h",
        "a  2  2",
        "b  2  2",
        "c  2  2",
        "",
        "test: 6 images, by class and group",
        "   g  h",
        "a  1  1",
        "b  1  1",
        "c  1  1",
        "",
        "notes (in full in dataset.json):",
        "  incomplete names: 7 (0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ...)",
        "  copies dropped: 16",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{kind: digits_s}", "--settings: not JSON (Expecting property name"),
        ("[" * 100_000, "--settings: not JSON (it is nested too deeply"),
        ("1" * 5_000, "--settings: not JSON (Exceeds the limit"),
        ("[1]", "data is [1]; it must be a mapping"),
        ("null", "data is null; it must be a mapping"),
        ("{}", "data lacks the key 'kind'"),
        ('{"kind": ["mnist"]}', 'data: kind is ["mnist"]; choose one of cifar10s, utkface, digits_s, celeba'),
        ('{"kind": "mnist"}', 'data: kind is "mnist"; choose one of cifar10s, utkface, digits_s, celeba'),
        ('{"kind": "digits_s", "skwe": 0.5}', "data has the unknown key 'skwe'; did you mean 'skew'?"),
        (
            '{"kind": "cifar10s", "archive": "x"}',
            "data has the unknown key 'archive'; choose one of kind, valid",
        ),
        ('{"kind": "digits_s", "skew": NaN}', "data: skew is NaN; it must be a number"),
        ('{"kind": "cifar10s"}', "data: cifar10s is made from cifar-10-python.tar.gz; give the path of each"),
    ],
)
def test_script_refuses_bad_settings_in_one_line(tmp_path, monkeypatch, settings, message):
    monkeypatch.setattr("sys.argv", ["prepare_dataset", "--settings", settings, "--output", str(tmp_path / "d")])
    with pytest.raises(SystemExit) as stopped:
        run_script(prepare_dataset_script.main)
    assert stopped.value.code.startswith(f"error: {message}")
    assert "\n" not in stopped.value.code
    assert not (tmp_path / "d").exists()


@pytest.fixture
def refused_option(monkeypatch, capsys):
    """Return the last line of what the script says to options that it refuses."""

    def call(*given):
        monkeypatch.setattr("sys.argv", ["prepare_dataset", *given])
        with pytest.raises(SystemExit) as stopped:
            run_script(prepare_dataset_script.main)
        assert stopped.value.code == 2
        return capsys.readouterr().err.splitlines()[-1]

    return call


@pytest.mark.parametrize("below", ["", "/d"])
def test_script_refuses_to_write_to_what_is_no_folder(tmp_path, refused_option, below):
    (tmp_path / "file").touch()
    line = refused_option("--settings", '{"kind": "digits_s"}', "--output", f"{tmp_path}/file{below}")
    assert line.endswith(f"argument --output: is to be a folder, and {tmp_path}/file is none: {tmp_path}/file{below}")


@pytest.mark.parametrize("nameless", ["", "/", "//"])
def test_script_refuses_to_write_to_what_has_no_name(refused_option, nameless):
    line = refused_option("--settings", '{"kind": "digits_s"}', "--output", nameless)
    assert line.endswith(f"argument --output: is to be a folder that has a name: {nameless!r}")


@pytest.mark.parametrize(("given", "folder"), [(".", "a/b"), ("..", "a"), ("c/..", "a/b"), ("c", "c")])
def test_a_folder_to_write_to_has_a_name_that_files_beside_it_can_have(tmp_path, monkeypatch, given, folder):
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b")
    assert folder_argument(given) == (Path(folder) if given == folder else tmp_path / folder)


@pytest.mark.parametrize("seed", ["-1", "one", "1.0", "", str(2**62)])
def test_script_refuses_what_is_no_seed(tmp_path, refused_option, seed):
    settings = '{"kind": "digits_s", "image_size": 8, "per_seed": ["split"]}'
    line = refused_option("--settings", settings, "--seed", seed, "--output", str(tmp_path / "d"))
    assert line.endswith(f"argument --seed: must be a whole number from 0 to {2**62 - 1}: {seed}")
    assert not (tmp_path / "d").exists()
