"""The real archives have the counts in the literature, and give the data sets of the published study."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairdistill.data import cifar10s, utkface
from fairdistill.data.archives import ArchiveError
from fairdistill.data.preparing import prepare_dataset
from fairdistill.settings.data import AnyDataSet, Cifar10S, UTKFace
from fairdistill.settings.reading import read_settings
from scripts.near_copies_effect import images_with_copies

ROOT = Path(__file__).parents[2]
PUBLISHED_UTKFACE = UTKFace(kind="utkface", duplicates="drop")
WANG = {"skew": 0.95, "gray_classes": [0, 2, 4, 6, 8]}

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("FAIRDISTILL_MIRROR" not in os.environ, reason="FAIRDISTILL_MIRROR is not set"),
]


@pytest.fixture(scope="module")
def mirror():
    place = os.environ["FAIRDISTILL_MIRROR"]
    if "://" in place:
        pytest.skip("FAIRDISTILL_MIRROR is a URL, and these tests read the archives from a folder")
    return Path(place)


@pytest.mark.parametrize("variant", [{}, WANG])
def test_cifar10s_counts(mirror, variant):
    settings = Cifar10S(kind="cifar10s", **variant)
    samples = cifar10s.prepare(settings, mirror / settings.archives[0]).samples
    counts = samples.groupby(["split", "label", "group"]).size().unstack("group")
    assert (counts.loc["test"] == 1000).all(axis=None)
    usual = round(5000 * settings.skew)
    for label in range(10):
        gray = usual if label in settings.gray_classes else 5000 - usual
        assert counts.loc["train", label].to_list() == [gray, 5000 - gray]


def test_cifar10_has_no_image_in_both_splits(mirror):
    members = cifar10s.verified_members(mirror / Cifar10S.archives[0])
    images = {name: cifar10s.pickle.loads(content, encoding="latin1")["data"] for name, content in members.items()}
    test = {image.tobytes() for image in images.pop("test_batch")}
    train = {image.tobytes() for batch in images.values() for image in batch}
    assert (len(test), len(train), len(test & train)) == (10_000, 50_000, 0)


@pytest.fixture(scope="module")
def utkface_members(mirror):
    return utkface.verified_members(mirror / UTKFace.archives[0])


def test_utkface_names(utkface_members):
    faces, notes = utkface._read_names(utkface_members)
    assert notes["files_left_out_as_their_name_is_incomplete"]["names"] == [
        "39_1_20170116174525125.jpg.chip.jpg",
        "61_1_20170109142408075.jpg.chip.jpg",
        "61_1_20170109150557335.jpg.chip.jpg",
    ]
    assert len(utkface_members) == 23_708
    faces = faces[faces["group"] != utkface.OTHERS]
    assert len(faces) == 22_013
    assert notes["faces_left_out_as_their_race_is_others"] == 23_708 - 3 - 22_013
    by_group = faces.groupby(["group", "label"]).size().unstack().to_numpy()
    expected = [[2049, 3735, 4294], [336, 3116, 1074], [1025, 1856, 553], [638, 2221, 1116]]
    np.testing.assert_array_equal(by_group, expected)


def test_an_altered_image_of_utkface_is_named(utkface_members, monkeypatch):
    name = next(iter(utkface_members))
    altered = {**utkface_members, name: b"another image"}
    monkeypatch.setattr(utkface, "read_folders", lambda *_: {"UTKFace": altered})
    with pytest.raises(ArchiveError, match=rf"1 of the 23708 images is not as published, .* \({name}\)"):
        utkface.verified_members(Path("UTKFace"))


def test_utkface_copies(utkface_members):
    files = pd.Series(utkface_members)
    copies = files[files.duplicated(keep=False)]
    assert (copies.nunique(), files.duplicated().sum()) == (375, 390)
    labels = copies.index.str.split("_").str[:3].map("_".join)
    assert labels.to_series().groupby(copies.to_numpy()).nunique().gt(1).sum() == 259


@pytest.fixture(scope="module")
def utkface_prepared(mirror):
    """UTKFace with its default settings, for which all pairs of images are compared."""
    return utkface.prepare(UTKFace(kind="utkface"), mirror / UTKFace.archives[0])


@pytest.mark.long
def test_utkface_near_copies(mirror, utkface_prepared):
    prepared = utkface_prepared
    assert prepared.notes["families_of_near_identical_files"] == 964
    assert prepared.notes["files_in_these_families"] == 2027
    # what config/ablations.yaml says of the data set with copies
    with_copies = utkface.prepare(UTKFace(kind="utkface", duplicates="keep"), mirror / UTKFace.archives[0])
    one, other = (set(p.samples.query("split == 'test'")["image_id"]) for p in (prepared, with_copies))
    assert len(one & other) == 1154


@pytest.mark.long
@pytest.mark.parametrize(("settings", "copied"), [(PUBLISHED_UTKFACE, 59), (Cifar10S(kind="cifar10s"), 2 * 142)])
def test_published_test_images_with_a_near_copy_in_training(mirror, settings, copied):
    found = images_with_copies(settings, mirror)
    assert sum(cell.sum() for row in found.right for cell in row) == copied


@pytest.mark.long
def test_utkface_split(utkface_prepared, utkface_members):
    prepared = utkface_prepared
    is_test = prepared.samples["split"] == "test"
    assert prepared.samples[is_test].groupby(["label", "group"]).size().to_list() == [100] * 12
    left_out = prepared.notes["copies_of_test_images_left_out_of_training"]
    assert (~is_test).sum() + left_out == 22_013 - 1_200
    content = prepared.samples["image_id"].map(utkface_members)
    assert content[is_test].is_unique
    assert not content[is_test].isin(content[~is_test]).any()
    first = next(iter(prepared.images))
    assert first.shape == (64, 64, 3)


@pytest.mark.parametrize("dataset", ["cifar10s", "utkface"])
def test_the_published_data_sets_are_made_again(mirror, tmp_path, dataset):
    """Their digest, which covers every pixel, split, class and group, is in each record of the published study."""
    first = min((ROOT / "results/paper/metrics" / dataset).rglob("*.json"))
    record = json.loads(first.read_text(encoding="utf-8"))
    settings = read_settings(AnyDataSet, record["data"]["settings"], where="data")
    info = prepare_dataset(tmp_path / dataset, settings, [mirror / name for name in settings.archives])
    assert info["sha256"] == record["inputs"]["dataset"]
    assert info["source"] == record["data"]["source"]
