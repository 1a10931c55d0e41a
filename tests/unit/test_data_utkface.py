"""UTKFace: labels from names, a balanced test split, and no image in two splits."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_archives import accept_faces, faces, pack, with_copies

from fairdistill.data import archives, load_dataset, utkface
from fairdistill.data.archives import ArchiveError
from fairdistill.data.preparing import prepare_dataset
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.progress import Progress
from fairdistill.settings.data import AnyDataSet, UTKFace
from fairdistill.settings.methods import Erm
from fairdistill.settings.networks import ShuffleNetV2
from fairdistill.settings.reading import read_settings
from fairdistill.settings.training import Training
from fairdistill.training.loop import train


def publish(tmp_path, monkeypatch, members):
    accept_faces(monkeypatch, members)
    return pack(tmp_path / "faces.tar.gz", [(f"UTKFace/{name}", content) for name, content in members.items()])


def prepare(archive, **settings):
    """The data set in which byte-identical copies alone are families, unless the settings say otherwise."""
    return utkface.prepare(UTKFace(kind="utkface", **{"duplicates": "drop"} | settings), archive)


def cells(samples, split):
    return samples[samples["split"] == split].groupby(["label", "group"]).size()


def test_test_split_is_balanced_and_all_other_images_are_for_training(tmp_path, monkeypatch):
    members = faces(per_cell=5)
    prepared = prepare(publish(tmp_path, monkeypatch, members), test_per_cell=2)
    assert cells(prepared.samples, "test").to_list() == [2] * 12
    assert cells(prepared.samples, "train").to_list() == [3] * 12
    assert prepared.notes["faces_left_out_as_their_race_is_others"] == 15
    assert not prepared.samples["image_id"].str.contains("_0_4_").any()


@pytest.mark.parametrize(
    ("name", "label", "group"),
    [
        ("0_1_3_20170110.jpg.chip.jpg", 0, "Indian"),
        ("19_0_0_20170110.jpg.chip.jpg", 0, "White"),
        ("20_0_1_20170110.jpg.chip.jpg", 1, "Black"),
        ("39_1_2_20170110.jpg.chip.jpg", 1, "Asian"),
        ("40_1_0_20170110.jpg.chip.jpg", 2, "White"),
        ("116_1_0_20170110.jpg.chip.jpg", 2, "White"),
        ("24_0_1_20170116220224657 .jpg.chip.jpg", 1, "Black"),
        ("55_0_0_20170116232725357jpg.chip.jpg", 2, "White"),
    ],
)
def test_label_and_group_come_from_the_name(tmp_path, monkeypatch, name, label, group):
    members = faces() | {name: b"content"}
    samples = prepare(publish(tmp_path, monkeypatch, members), test_per_cell=1).samples
    sample = samples.set_index("image_id").loc[name]
    assert (sample["label"], utkface.GROUPS[sample["group"]]) == (label, group)


def packed_in_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def as_people_have_it(tmp_path, kind, members):
    """The faces as they were downloaded from elsewhere, unpacked by a browser, or unpacked by hand."""
    part = dict(list(members.items())[::3])
    faces_and_part = [
        *((f"UTKFace/{name}", content) for name, content in members.items()),
        *((f"crop_part1/{name}", content) for name, content in part.items()),
        # Kaggle's archive has all twice; here one image has another content
        *((f"utkface_aligned_cropped/crop_part1/{name}", content[::-1]) for name, content in part.items()),
    ]
    if kind == "unzipped by a browser":
        return pack(tmp_path / "UTKFace.tar.gz", faces_and_part[: len(members)], compression="")
    if kind == "zip":
        return packed_in_zip(tmp_path / "archive.zip", faces_and_part)
    folder = tmp_path / "unpacked"
    for name, content in faces_and_part if kind == "folder and parts" else faces_and_part[: len(members)]:
        path = folder / (name if kind == "folder and parts" else name.removeprefix("UTKFace/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.mark.parametrize("kind", ["unzipped by a browser", "zip", "folder", "folder and parts"])
def test_the_faces_are_taken_as_people_have_them(tmp_path, monkeypatch, kind):
    members = faces()
    wanted = prepare(publish(tmp_path, monkeypatch, members), test_per_cell=1)
    own = as_people_have_it(tmp_path, kind, members)
    settings = UTKFace(kind="utkface", duplicates="drop", test_per_cell=1, own_copy=str(own))
    found = utkface.prepare(settings, *map(Path, settings.own_files))
    pd.testing.assert_frame_equal(found.samples, wanted.samples)
    assert all(np.array_equal(*pair) for pair in zip(found.images, wanted.images, strict=True))
    assert found.source == wanted.source
    assert "own_copy" not in settings.to_json()


def test_a_part_and_the_faces_in_the_wild_are_refused_with_the_reason(tmp_path, monkeypatch):
    members = faces()
    accept_faces(monkeypatch, members)
    part = [(f"crop_part1/{name}", content) for name, content in list(members.items())[::3]]
    with pytest.raises(ArchiveError, match=r"holds 20 images in place of 60, as crop_part1 is a part of them; put"):
        utkface.verified_members(packed_in_zip(tmp_path / "part.zip", part))
    wild = [(f"part1/{name.replace('.jpg.chip', '')}", content) for name, content in members.items()]
    reason = r"holds the faces in the wild \(such as .*\), .* end in \.jpg\.chip\.jpg$"
    with pytest.raises(ArchiveError, match=reason):
        utkface.verified_members(pack(tmp_path / "part1.tar.gz", wild))
    # all parts of them have more bytes than are read from an archive
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    with pytest.raises(ArchiveError, match=reason):
        utkface.verified_members(tmp_path / "part1.tar.gz")


def test_files_with_incomplete_names_are_counted_and_left_out(tmp_path, monkeypatch):
    odd = ["39_1_20170116174525125.jpg.chip.jpg", "61_1_20170109142408075.jpg.chip.jpg", "portrait.jpg.chip.jpg"]
    members = faces() | {name: name.encode() for name in odd}
    prepared = prepare(publish(tmp_path, monkeypatch, members), test_per_cell=1)
    assert prepared.notes["files_left_out_as_their_name_is_incomplete"] == {"count": 3, "names": odd}
    assert not prepared.samples["image_id"].isin(odd).any()


@pytest.mark.parametrize("seed", range(8))
def test_no_image_is_in_both_splits_or_twice_in_test(tmp_path, monkeypatch, seed):
    members = with_copies(faces(per_cell=12))
    prepared = prepare(publish(tmp_path, monkeypatch, members), test_per_cell=4, split_seed=seed)
    samples = prepared.samples.assign(content=[members[name] for name in prepared.samples["image_id"]])
    train, test = (samples[samples["split"] == split] for split in ("train", "test"))
    assert test["content"].is_unique
    assert not test["content"].isin(train["content"]).any()
    # only copies of test images are dropped
    used = sum("_4_" not in name for name in members)
    dropped = prepared.notes["copies_of_test_images_left_out_of_training"]
    assert len(samples) == used - dropped
    assert dropped == sum(members[name] in set(test["content"]) for name in members) - len(test)


def test_no_test_label_is_contradicted_by_a_copy(tmp_path, monkeypatch):
    members = with_copies(faces(per_cell=12))
    prepared = prepare(publish(tmp_path, monkeypatch, members), test_per_cell=4)
    by_content = {}
    for name, content in members.items():
        age, _, race, _ = name.split("_")
        by_content.setdefault(content, set()).add((int(age) >= 20, int(age) >= 40, race))
    test = prepared.samples[prepared.samples["split"] == "test"]
    assert all(len(by_content[members[name]]) == 1 for name in test["image_id"])
    contradicted = [n for n, c in members.items() if len(by_content[c]) > 1 and "_4_" not in n]
    assert prepared.notes["images_kept_out_of_test_as_copies_contradict"] == len(contradicted) > 0


@pytest.mark.parametrize("duplicates", ["drop", "keep"])
@pytest.mark.parametrize("seed", range(4))
def test_no_copy_of_a_validation_image_is_in_another_split(tmp_path, monkeypatch, seed, duplicates):
    members = with_copies(faces(per_cell=24))
    archive = publish(tmp_path, monkeypatch, members)
    settings = {"kind": "utkface", "test_per_cell": 4, "image_size": 8, "split_seed": seed, "duplicates": duplicates}
    plain, split = (UTKFace(**settings, validation=share) for share in (0.0, 0.25))
    before = prepare_dataset(tmp_path / "before", plain, [archive])
    info = prepare_dataset(tmp_path / "after", split, [archive])
    samples = load_dataset(tmp_path / "after").samples
    assert list(samples) == ["sample_id", "image_id", "split", "label", "group"]
    content = samples["image_id"].map(members)
    is_validation = samples["split"] == "validation"
    assert content[is_validation].is_unique
    assert not content[is_validation].isin(content[~is_validation]).any()
    # the shares are exact all the same, copies are in training, and the test split is the same
    assert info["folds"][0]["counts"]["validation"] == [
        [round(0.25 * n) for n in row] for row in before["folds"][0]["counts"]["train"]
    ]
    copied = content.duplicated(keep=False)[samples["split"] == "train"].sum()
    assert info["notes"]["images_kept_out_of_validation_as_they_have_copies"] == copied > 0
    earlier = load_dataset(tmp_path / "before").samples
    pd.testing.assert_frame_equal(samples.query("split == 'test'"), earlier.query("split == 'test'"))
    assert samples["image_id"].equals(earlier["image_id"])


def test_a_cell_with_too_few_images_without_a_copy_is_named(tmp_path, monkeypatch):
    archive = publish(tmp_path, monkeypatch, with_copies(faces(per_cell=12)))
    settings = UTKFace(kind="utkface", test_per_cell=1, validation=0.9, duplicates="drop")
    with pytest.raises(UserError) as error:
        prepare_dataset(tmp_path / "d", settings, [archive])
    assert str(error.value) == (
        "data: d needs 14 validation images of the cell (under 20, White), which has only 7 training images without a "
        "copy; lower `validation`, which is 0.9"
    )
    assert not (tmp_path / "d").exists()


def test_duplicates_can_be_kept(tmp_path, monkeypatch):
    members = with_copies(faces(per_cell=12))
    archive = publish(tmp_path, monkeypatch, members)
    prepared = prepare(archive, test_per_cell=4, duplicates="keep")
    samples = prepared.samples
    assert len(samples) == sum("_4_" not in name for name in members)
    assert cells(samples, "test").to_list() == [4] * 12
    assert prepared.notes["copies_of_test_images_left_out_of_training"] == 0
    # the same test images as without the copies
    dropped = prepare(archive, test_per_cell=4).samples
    assert set(samples.query("split == 'test'")["image_id"]) == set(dropped.query("split == 'test'")["image_id"])
    assert len(samples) > len(dropped)
    content = samples["image_id"].map(members)
    is_test = samples["split"] == "test"
    assert content[is_test].isin(content[~is_test]).any()


def test_split_does_not_depend_on_the_packing(tmp_path, monkeypatch):
    members = with_copies(faces(per_cell=6))
    first = prepare(publish(tmp_path / "a", monkeypatch, members), test_per_cell=2)
    second = prepare(publish(tmp_path / "b", monkeypatch, dict(reversed(members.items()))), test_per_cell=2)
    pd.testing.assert_frame_equal(first.samples, second.samples)


def test_split_seed_decides_the_split(tmp_path, monkeypatch):
    archive = publish(tmp_path, monkeypatch, faces(per_cell=6))
    splits = [prepare(archive, test_per_cell=2, split_seed=seed).samples["split"] for seed in (0, 1)]
    assert (splits[0] != splits[1]).any()


@pytest.mark.parametrize("size", [8, 24, 176])
def test_images_are_resized(tmp_path, monkeypatch, size):
    archive = publish(tmp_path, monkeypatch, faces())
    prepare_dataset(tmp_path / "d", UTKFace(kind="utkface", image_size=size, test_per_cell=1), [archive])
    dataset = load_dataset(tmp_path / "d")
    assert dataset.images.shape == (len(dataset.samples), size, size, 3)
    train, _, _ = dataset.split("train")
    pixels = dataset.images[train].reshape(-1, 3) / 255
    np.testing.assert_allclose(dataset.mean, pixels.mean(axis=0))
    np.testing.assert_allclose(dataset.std, pixels.std(axis=0))


def test_a_model_trains_on_faces_of_176_px(tmp_path, monkeypatch):
    """The authors of MFD train on this size. The files have the size of the real ones."""
    archive = publish(tmp_path, monkeypatch, faces(per_cell=2, size=200))
    prepare_dataset(tmp_path / "d", UTKFace(kind="utkface", image_size=176, test_per_cell=1), [archive])
    dataset = load_dataset(tmp_path / "d")
    settings = Training(epochs=1, batch_size=6, device="cpu", precision="fp32")
    network = ShuffleNetV2(kind="shufflenet_v2_x1_0")
    trained = train(dataset, network, Erm(kind="erm"), settings, role="teacher", seed=0)
    assert trained.probabilities["test"].shape == (12, 3)
    assert np.isfinite(trained.history["loss"]).all()


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_image_that_cannot_be_decoded_is_named(tmp_path, monkeypatch, content):
    members = faces()
    name = next(iter(members))
    members[name] = members[name][:400] if content is None else content
    archive = publish(tmp_path, monkeypatch, members)
    with pytest.raises(ArchiveError, match=rf"faces\.tar\.gz: the image {name} cannot be decoded"):
        prepare_dataset(tmp_path / "d", UTKFace(kind="utkface", test_per_cell=1, duplicates="drop"), [archive])
    assert not list((tmp_path / "d").iterdir())


def test_how_far_it_is_can_be_seen(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Progress, "EVERY", 0)
    archive = publish(tmp_path, monkeypatch, faces())
    prepare_dataset(tmp_path / "d", UTKFace(kind="utkface", test_per_cell=1), [archive])
    lines = capsys.readouterr().err
    for line in (f"reading {archive}\n", "reading images: 59 of 60, ", "writing images: 47 of 48, "):
        assert line in lines


@pytest.mark.parametrize("test_per_cell", [4, 5])
def test_cell_that_is_too_small_is_named(tmp_path, monkeypatch, test_per_cell):
    archive = publish(tmp_path, monkeypatch, faces(per_cell=4))
    with pytest.raises(UserError) as error:
        prepare(archive, test_per_cell=test_per_cell)
    assert str(error.value) == (
        f"data: test_per_cell is {test_per_cell}, which leaves utkface 4 test and 0 training images of the cell "
        "(under 20, White); lower test_per_cell"
    )


def test_altered_or_missing_file_is_found(tmp_path, monkeypatch):
    members = faces()
    accept_faces(monkeypatch, members)
    first, second, *_ = members
    swapped = members | {first: members[second], second: members[first]}
    named = rf"2 of the 60 images are not as published, by name or content \({min(first, second)}, \.\.\.\); put the"
    with pytest.raises(ArchiveError, match=named):
        utkface.verified_members(pack(tmp_path / "a.tar.gz", list(swapped.items())))
    renamed = {("1_0_0_1.jpg.chip.jpg" if name == second else name): content for name, content in members.items()}
    with pytest.raises(ArchiveError, match=r"1 of the 60 images is not as published, .* \(1_0_0_1.jpg.chip.jpg\); put"):
        utkface.verified_members(pack(tmp_path / "c.tar.gz", list(renamed.items())))
    with pytest.raises(ArchiveError, match="holds 59 images in place of 60"):
        utkface.verified_members(pack(tmp_path / "b.tar.gz", list(members.items())[1:]))


def test_other_files_in_a_repacked_archive_do_no_harm(tmp_path, monkeypatch):
    members = faces()
    accept_faces(monkeypatch, members)
    extra = {"Thumbs.db": b"1", "._1_0_0_1.jpg.chip.jpg": b"2"}
    archive = pack(tmp_path / "a.tar.gz", [(f"./f/{k}", v) for k, v in (extra | members).items()])
    assert utkface.verified_members(archive) == members


@pytest.mark.parametrize(
    ("key", "value"),
    [("image_size", 7), ("image_size", 64.0), ("test_per_cell", 0), ("split_seed", -1), ("duplicates", "ignore")],
)
def test_bad_setting_is_named(key, value):
    with pytest.raises(UserError, match=rf"^data: {key} is .*; (it must be|choose one of) "):
        read_settings(AnyDataSet, {"kind": "utkface", key: value}, where="data")
