"""CelebA, on a miniature in its exact layout: splits, cells and pixels, and layouts that are wrong."""

import hashlib
import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from synthetic_celeba import ATTRIBUTES, NAMES, jpeg, miniature, write_archives, write_unpacked

from fairdistill.data import celeba, load_dataset
from fairdistill.data.archives import ArchiveError
from fairdistill.data.download import download
from fairdistill.data.preparing import prepare_dataset
from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete
from fairdistill.settings.data import AnyDataSet, Celeba
from fairdistill.settings.reading import UnreadableSettings, read_settings


@pytest.fixture(scope="module")
def mini():
    return miniature()


def settings(**given):
    return read_settings(AnyDataSet, {"kind": "celeba", "image_size": 16, **given}, where="data")


@pytest.fixture
def prepared(tmp_path, mini):
    prepare_dataset(tmp_path / "d", settings(), write_archives(tmp_path / "archives", *mini))
    return load_dataset(tmp_path / "d")


def test_splits_are_the_official_ones_and_cells_the_marked_ones(prepared, mini):
    attributes, partition, _ = mini
    samples = prepared.samples.set_index("image_id")
    assert list(samples.index) == NAMES
    codes = dict(line.split() for line in partition.splitlines())
    assert {name: {"train": "0", "validation": "1", "test": "2"}[s] for name, s in samples["split"].items()} == codes
    for line in attributes.splitlines()[2:]:
        name, *marks = line.split()
        assert samples.loc[name, "label"] == (marks[ATTRIBUTES.index("Blond_Hair")] == "1")
        assert samples.loc[name, "group"] == (marks[ATTRIBUTES.index("Male")] == "1")
    assert (prepared.classes, prepared.groups) == (["not Blond_Hair", "Blond_Hair"], ["not Male", "Male"])
    assert prepared.info["folds"][0]["counts"] == dict.fromkeys(["train", "validation", "test"], [[2, 2]] * 2)


def test_an_image_is_the_central_square_resized(prepared, mini):
    content = mini[2][NAMES[7]]
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    assert pixels.shape == (218, 178, 3)
    square = Image.fromarray(pixels[20:198]).resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(prepared.images[7], np.asarray(square))


def test_the_unpacked_folder_gives_the_same_data_set(tmp_path, prepared, mini):
    given = settings(folder=str(tmp_path / "celeba"))
    files = write_unpacked(tmp_path / "celeba", *mini)
    assert given.own_files == [str(path) for path in files]
    info = prepare_dataset(tmp_path / "e", given, files)
    assert info["sha256"] == prepared.info["sha256"]
    assert info["source"] == prepared.info["source"]
    # no record holds where a user keeps the images
    assert info["settings"] == prepared.info["settings"]
    assert "folder" not in info["settings"]


def test_files_that_are_not_the_official_ones_are_noted(tmp_path, mini, monkeypatch):
    paths = write_archives(tmp_path / "archives", *mini)
    name = "list_attr_celeba.txt"
    md5 = hashlib.md5(paths[1].read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(celeba.ARCHIVES, name, celeba.ARCHIVES[name]._replace(md5=md5))
    notes = celeba.prepare(settings(), *paths).notes["files_that_are_not_the_official_ones"]
    assert notes == {"count": 2, "names": ["img_align_celeba.zip", "list_eval_partition.txt"]}


def test_each_archive_comes_from_the_mirror(tmp_path, mini, capsys):
    write_archives(tmp_path / "mirror", *mini)
    for name in Celeba.archives:
        download(name, tmp_path / "resources" / name, str(tmp_path / "mirror"))
        assert (tmp_path / "resources" / name).read_bytes() == (tmp_path / "mirror" / name).read_bytes()
    (tmp_path / "mirror" / "img_align_celeba.zip").write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(UserError) as error:
        download("img_align_celeba.zip", tmp_path / "img_align_celeba.zip", str(tmp_path / "mirror"))
    assert "does not work: damaged, or not a .zip (File is not a zip file)" in capsys.readouterr().out
    for part in ("https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html", "`folder`", "data.mirror", "FAIRDISTILL_MIRROR"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def lines_of(text, change):
    lines = text.splitlines(keepends=True)
    change(lines)
    return "".join(lines)


def without(images, *names):
    return {name: content for name, content in images.items() if name not in names}


@pytest.mark.parametrize("write", [write_archives, write_unpacked])
@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (
            lambda a, p, i: (a.replace("24\n", "25\n", 1), p, i),
            "list_attr_celeba.txt",
            "has 24 lines of images, and its first line, which has to be their number, is '25'",
        ),
        (
            lambda a, p, i: (lines_of(a, lambda lines: lines.pop(0)), p, i),
            "list_attr_celeba.txt",
            "has 23 lines of images, and its first line, ",
        ),
        (lambda a, p, i: ("0\n" + a.splitlines()[1], p, i), "list_attr_celeba.txt", "has no line of an image"),
        (
            lambda a, p, i: (a.replace("24\n", "9" * 5000 + "\n", 1), p, i),
            "list_attr_celeba.txt",
            f"has 24 lines of images, and its first line, which has to be their number, is '{'9' * 76}...",
        ),
        (lambda a, p, i: (a.replace(" Male ", " Man "), p, i), "list_attr_celeba.txt", "has no attribute Male in its"),
        (
            lambda a, p, i: (a.replace(" Bald ", " Male "), p, i),
            "list_attr_celeba.txt",
            "names the attribute Male twice in its second line",
        ),
        # whatever is the class and the group
        (
            lambda a, p, i: (a.replace(" Bald ", " Bangs "), p, i),
            "list_attr_celeba.txt",
            "names the attribute Bangs twice in its second line",
        ),
        (
            lambda a, p, i: (lines_of(a, lambda lines: lines.__setitem__(4, "000003.jpg -1 1\n")), p, i),
            "list_attr_celeba.txt",
            "line 5 has 2 marks in place of 40",
        ),
        (
            lambda a, p, i: (lines_of(a, lambda lines: lines.__setitem__(4, lines[3])), p, i),
            "list_attr_celeba.txt",
            "line 5 has 000002.jpg, which an earlier one has, too",
        ),
        (
            lambda a, p, i: (a.replace("000003.jpg -1", "000003.jpg 0").replace("000003.jpg  1", "000003.jpg 0"), p, i),
            "list_attr_celeba.txt",
            "line 5 has a mark that is neither 1 nor -1",
        ),
        (lambda a, p, i: (a.replace("Bald", "B\xe4ld"), p, i), "list_attr_celeba.txt", "not a text file ("),
        (
            lambda a, p, i: (a, p.replace("000009.jpg 2", "000009.jpg 7"), i),
            "list_eval_partition.txt",
            "line 9 is '000009.jpg 7', and not a file name with 0 (training), 1 (validation) or 2 (test)",
        ),
        (
            lambda a, p, i: (a, p + "000009.jpg 2\n", i),
            "list_eval_partition.txt",
            "line 25 has 000009.jpg, which an earlier one has, too",
        ),
        (
            lambda a, p, i: (a, p.replace(" 1\n", " 0\n"), i),
            "list_eval_partition.txt",
            "has no validation images",
        ),
        (
            lambda a, p, i: (a, p[:-26], i),
            "list_eval_partition.txt",
            "lacks 000023.jpg and 1 more, which list_attr_celeba.txt has",
        ),
        (
            lambda a, p, i: (a, p, without(i, NAMES[4])),
            "img_align_celeba",
            "lacks 000005.jpg, which list_attr_celeba.txt has",
        ),
        (
            lambda a, p, i: (a, p, i | {"000025.jpg": jpeg(25)}),
            "img_align_celeba",
            "has 000025.jpg, which list_attr_celeba.txt lacks",
        ),
        (lambda a, p, i: (a, p, {}), "img_align_celeba", "holds no .jpg in the folder img_align_celeba"),
        (
            lambda a, p, i: (a, p, i | {NAMES[4]: i[NAMES[4]][:-400]}),
            "img_align_celeba",
            "000005.jpg cannot be decoded (image file is truncated",
        ),
        (
            lambda a, p, i: (a, p, i | {NAMES[4]: b"<html>no image</html>"}),
            "img_align_celeba",
            "000005.jpg is no image; put the official one",
        ),
        (
            lambda a, p, i: (a, p, i | {NAMES[4]: b""}),
            "img_align_celeba",
            "000005.jpg is no image; put the official one",
        ),
        (
            lambda a, p, i: (a, p, i | {NAMES[4]: bytes(celeba.MAX_BYTES + 1)}),
            "img_align_celeba",
            f"000005.jpg has over {celeba.MAX_BYTES} bytes",
        ),
    ],
)
def test_a_wrong_layout_is_refused_in_one_line(tmp_path, mini, write, change, where, what):
    paths = write(tmp_path / "archives", *change(*mini))
    with pytest.raises(ArchiveError) as error:
        prepare_dataset(tmp_path / "d", settings(), paths)
    (path,) = (path for path in paths if path.name.startswith(where))
    assert str(error.value).startswith(f"{path}: {what}")
    assert str(error.value).endswith("; put the official one in its place")
    assert "\n" not in str(error.value)
    assert list(tmp_path.glob("d/*")) == []


@pytest.mark.parametrize("write", [write_archives, write_unpacked])
@pytest.mark.parametrize("missing", range(3))
def test_a_missing_file_is_named(tmp_path, mini, write, missing):
    paths = write(tmp_path / "archives", *mini)
    paths[missing].rename(tmp_path / "elsewhere")
    with pytest.raises(ArchiveError, match=r": there is no such file.*; put the official one in its place") as error:
        prepare_dataset(tmp_path / "d", settings(), paths)
    assert str(error.value).startswith(f"{paths[missing]}: ")


def test_a_damaged_zip_is_refused_in_one_line(tmp_path, mini):
    paths = write_archives(tmp_path / "archives", *mini)
    content = bytearray(paths[0].read_bytes())
    content[content.index(mini[2][NAMES[3]]) + 700] ^= 1
    paths[0].write_bytes(content)
    with pytest.raises(ArchiveError, match=r"img_align_celeba\.zip: 000004\.jpg cannot be read \(Bad CRC-32"):
        prepare_dataset(tmp_path / "d", settings(), paths)
    paths[0].write_bytes(content[:-30])
    with pytest.raises(ArchiveError, match=r"img_align_celeba\.zip: damaged, or not a \.zip \("):
        prepare_dataset(tmp_path / "d", settings(), paths)
    # its reader would unpack all of it, whatever it is asked for
    with zipfile.ZipFile(paths[0], "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(f"img_align_celeba/{NAMES[0]}", bytes(1000))
    with pytest.raises(ArchiveError, match=r"img_align_celeba\.zip: is compressed by another method than deflate"):
        prepare_dataset(tmp_path / "d", settings(), paths)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_image_that_is_in_the_archive_twice_is_named(tmp_path, mini):
    paths = write_archives(tmp_path / "archives", *mini)
    with zipfile.ZipFile(paths[0], "a") as archive:
        archive.writestr("__MACOSX/x", b"")
        archive.writestr("__MACOSX/x", b"")
        archive.writestr(f"img_align_celeba/{NAMES[4]}", mini[2][NAMES[5]])
    with pytest.raises(
        ArchiveError, match=r"img_align_celeba\.zip: has img_align_celeba/000005\.jpg twice; put the off"
    ):
        prepare_dataset(tmp_path / "d", settings(), paths)


def test_files_of_the_system_in_the_archive_do_no_harm(tmp_path, prepared, mini):
    paths = write_archives(tmp_path / "archives", *mini)
    with zipfile.ZipFile(paths[0], "a") as archive:
        archive.writestr("img_align_celeba/._000001.jpg", b"")
        archive.writestr("img_align_celeba/Thumbs.db", b"")
        archive.writestr("__MACOSX/img_align_celeba/000099.jpg", b"")
    assert prepare_dataset(tmp_path / "e", settings(), paths)["sha256"] == prepared.info["sha256"]


def test_a_cell_without_an_image_is_named(tmp_path, mini):
    attributes, partition, images = mini
    rows = [line.split() for line in attributes.splitlines()]
    # the test images of the last cell, 000012 and 000024
    for line in (13, 25):
        rows[line][1 + ATTRIBUTES.index("Male")] = "-1"
    paths = write_archives(tmp_path / "archives", "\n".join(" ".join(row) for row in rows) + "\n", partition, images)
    with pytest.raises(UserError) as error:
        prepare_dataset(tmp_path / "d", settings(), paths)
    assert str(error.value) == (
        "data: d has no image in the cell (Blond_Hair, Male) of its test split, and every (class, group) cell needs "
        "one; choose another target or group"
    )
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"target": "Male"}, "has Male as target and as group, so that class and group would be one; choose two"),
        ({"target": "Blonde_Hair"}, "target is \"Blonde_Hair\"; did you mean 'Blond_Hair'?"),
        ({"group": None}, "group is null; choose one of 5_o_Clock_Shadow, "),
        ({"duplicates": "keep"}, "has the unknown key 'duplicates'; "),
        *(
            (
                {key: value},
                f"has the official partition, which makes its training, validation and test split; leave {key} out",
            )
            for key, value in (("validation", 0.1), ("folds", 2), ("split_seed", 1), ("per_seed", ["split"]))
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(given, what):
    with pytest.raises(UnreadableSettings) as error:
        settings(**given)
    assert what in str(error.value)
    assert "\n" not in str(error.value)


def test_what_needs_a_validation_split_has_the_official_one():
    study = complete(
        {
            "datasets": ["faces"],
            "data": {"sets": {"faces": {"kind": "celeba"}}},
            "training": {"keep": "best"},
        }
    )
    assert study.data.sets["faces"].has_validation
