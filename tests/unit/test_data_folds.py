"""Folds: every image tested once, families on one side; draws of their own for each seed; normalisation; the authors'
split."""

import random
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_archives import accept_cifar, accept_faces, cifar_batches, faces, pack, with_copies

from fairdistill.data import cifar10s, load_dataset, utkface
from fairdistill.data.preparing import (
    Prepared,
    describe,
    prepare_dataset,
    set_aside_validation,
    write_dataset,
)
from fairdistill.data.reading import split_columns
from fairdistill.data.splits import draw_tested, split_images
from fairdistill.runtime.errors import UserError
from fairdistill.settings.data import AnyDataSet, Cifar10S, DigitsS, UTKFace
from fairdistill.settings.reading import read_settings


@st.composite
def images(draw):
    """Cells, families and whether an image may be tested, as the kinds of data set give them: one of each family."""
    n = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    family = rng.integers(0, max(1, n // draw(st.integers(1, 3))), n)
    eligible = ~pd.Series(family).duplicated().to_numpy() & (rng.random(n) < 0.9)
    return rng.integers(0, 4, n), family, eligible


@given(images=images(), folds=st.integers(1, 6), seed=st.integers(0, 2**64))
def test_every_image_that_may_be_tested_is_tested_once_and_folds_are_even(images, folds, seed):
    cell, _, eligible = images
    tested = draw_tested(cell, eligible, folds=folds, per_cell=None, seed=seed)
    assert ((tested >= 0) == eligible).all()
    for c in np.unique(cell[eligible]):
        sizes = np.bincount(tested[eligible & (cell == c)], minlength=folds)
        assert sizes.max() - sizes.min() <= 1


@given(images=images(), folds=st.integers(1, 6), per_cell=st.integers(1, 10), seed=st.integers(0, 2**64))
def test_balanced_folds_have_equally_many_of_each_cell(images, folds, per_cell, seed):
    cell, _, eligible = images
    tested = draw_tested(cell, eligible, folds=folds, per_cell=per_cell, seed=seed)
    assert not (tested[~eligible] >= 0).any()
    for c in np.unique(cell):
        sizes = np.bincount(tested[(cell == c) & (tested >= 0)], minlength=folds)
        left = (eligible & (cell == c)).sum()
        for size in sizes:
            assert size == min(per_cell, left)
            left -= size


@given(images=images(), folds=st.integers(2, 6), drop=st.booleans(), seed=st.integers(0, 2**64))
def test_no_family_is_on_both_sides_unless_its_copies_are_kept(images, folds, drop, seed):
    cell, family, eligible = images
    tested = draw_tested(cell, eligible, folds=folds, per_cell=None, seed=seed)
    columns = split_images(tested, family, folds=folds, drop=drop)
    assert list(columns) == split_columns(folds)
    for fold, split in enumerate(columns.values()):
        assert ((split == "test") == (tested == fold)).all()
        copies = np.isin(family, family[split == "test"]) & (split != "test")
        assert (split[copies] == ("" if drop else "train")).all()
        assert (split[~copies & (split != "test")] == "train").all()


@pytest.fixture
def real_like(tmp_path, monkeypatch):
    """Small archives of both kinds; the faces have copies, also contradicting ones."""
    batches, members = cifar_batches(), with_copies(faces(per_cell=12, size=24))
    accept_cifar(monkeypatch, batches)
    accept_faces(monkeypatch, members)
    return {
        "cifar10s": pack(tmp_path / "cifar.tar.gz", list(batches.items())),
        "utkface": pack(tmp_path / "faces.tar.gz", list(members.items())),
        "members": members,
    }


def test_utkface_tests_every_photograph_once(tmp_path, real_like):
    settings = UTKFace(kind="utkface", folds=3, test_per_cell=None, image_size=8, validation=0.1)
    info = prepare_dataset(tmp_path / "d", settings, [real_like["utkface"]])
    assert info["weighting"] == "cells"
    folds = [load_dataset(tmp_path / "d", fold) for fold in range(3)]
    content = folds[0].samples["image_id"].map(real_like["members"])
    tested = pd.concat([content[fold.samples["split"] == "test"] for fold in folds])
    assert tested.is_unique
    labels = pd.DataFrame({"content": content, "cell": folds[0].samples["label"] * 4 + folds[0].samples["group"]})
    consistent = labels.groupby("content")["cell"].nunique() == 1
    # a family is also inconsistent by a copy of the race "Others", which the data set lacks
    assert set(tested) <= set(consistent.index[consistent])
    assert len(tested) >= 0.9 * consistent.sum()
    for fold in folds:
        split = fold.samples["split"]
        assert set(split) == {"train", "validation", "test", ""}
        for one, others in (("test", ["train", "validation"]), ("validation", ["train", "test"])):
            assert not content[split == one].isin(content[split.isin(others)]).any()
        train, _, _ = fold.split("train")
        np.testing.assert_allclose(fold.mean, fold.images[train].mean(axis=(0, 1, 2)) / 255)
    assert not np.array_equal(folds[0].mean, folds[1].mean)
    assert "fold 2, validation: " in describe(info)


@pytest.mark.parametrize("kind", ["cifar10s", "digits_s"])
def test_coloured_sets_test_every_image_once_in_both_colours(tmp_path, real_like, kind):
    settings = read_settings(AnyDataSet, {"kind": kind, "folds": 3, "skew": 0.75}, where="data")
    prepare_dataset(tmp_path / "d", settings, [real_like[kind]] if kind in real_like else [])
    tested = []
    for fold in range(3):
        samples = load_dataset(tmp_path / "d", fold).samples
        test, train = (samples[samples["split"] == split] for split in ("test", "train"))
        tested.append(test)
        assert not set(test["image_id"]) & set(train["image_id"])
        assert train["image_id"].is_unique
        assert (test.groupby("image_id")["group"].apply(set) == {0, 1}).all()
        assert len(train) + len(test) / 2 == samples["image_id"].nunique()
        # the bias is in every fold, about as strong
        share = (train["group"] == 0).groupby(train["label"]).mean()
        np.testing.assert_allclose(share, [0.75] * 5 + [0.25] * 5, atol=0.01)
    assert len(pd.concat(tested)) == len(samples)
    assert not pd.concat(tested).duplicated(["image_id", "group"]).any()


def test_a_fold_that_is_not_there_is_refused(tmp_path):
    prepare_dataset(tmp_path / "a", DigitsS(kind="digits_s", image_size=8))
    prepare_dataset(tmp_path / "b", DigitsS(kind="digits_s", image_size=8, folds=2))
    with pytest.raises(UserError, match=r"a: there is no fold 1; it was not divided into folds$"):
        load_dataset(tmp_path / "a", 1)
    with pytest.raises(UserError, match=r"b: there is no fold 2; its 2 folds are numbered from 0$"):
        load_dataset(tmp_path / "b", 2)


def test_draws_of_each_seed_change_what_they_name_and_nothing_else(tmp_path):
    def samples(seed, **settings):
        info = prepare_dataset(tmp_path / "d", DigitsS(kind="digits_s", image_size=8, **settings), seed=seed)
        assert info["for_seed"] == (seed if settings["per_seed"] else None)
        return load_dataset(tmp_path / "d").samples

    fixed = samples(None, per_seed=[])
    assert samples(3, per_seed=[]).equals(fixed)
    assert samples(0, per_seed=["split", "colour"]).equals(fixed)
    colour = samples(3, per_seed=["colour"])
    assert colour["split"].equals(fixed["split"])
    assert colour["image_id"].equals(fixed["image_id"])
    assert not colour["group"].equals(fixed["group"])
    held = samples(3, per_seed=["split"], colour_seed=0)
    assert set(held.query("split == 'test'")["image_id"]) != set(fixed.query("split == 'test'")["image_id"])
    with pytest.raises(UserError, match=r"^data: the settings draw a data set for each seed of the models; give"):
        samples(None, per_seed=["split"])


def test_a_seed_of_the_colours_draws_the_noise_of_test_images_too(tmp_path):
    def tested(seed, noise):
        settings = DigitsS(kind="digits_s", image_size=8, noise=noise, per_seed=["colour"])
        prepare_dataset(tmp_path / "d", settings, seed=seed)
        dataset = load_dataset(tmp_path / "d")
        return np.array(dataset.images[dataset.split("test")[0]])

    assert (tested(0, noise=0.0) == tested(1, noise=0.0)).all()
    assert (tested(0, noise=0.2) != tested(1, noise=0.2)).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize(
    ("normalise", "wanted"),
    [("imagenet", ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])), ("none", ([0] * 3, [1] * 3))],
)
def test_images_can_be_normalised_by_fixed_numbers(tmp_path, normalise, wanted):
    prepare_dataset(tmp_path / "d", DigitsS(kind="digits_s", image_size=8, normalise=normalise))
    dataset = load_dataset(tmp_path / "d")
    assert (dataset.mean.tolist(), dataset.std.tolist()) == wanted


def test_near_copies_of_test_images_can_be_left_out_of_cifar10s(tmp_path, monkeypatch):
    batches = cifar_batches()
    names = list(batches)
    # the first training batch comes again as the test batch
    batches[names[-1]] = batches[names[0]]
    accept_cifar(monkeypatch, batches)
    archive = pack(tmp_path / "c.tar.gz", list(batches.items()))
    kept, dropped = (
        cifar10s.prepare(Cifar10S(kind="cifar10s", duplicates=duplicates), archive)
        for duplicates in ("keep", "drop_near")
    )
    assert (kept.samples["split"] == "train").sum() == 100
    assert (dropped.samples["split"] == "train").sum() == 80
    assert not dropped.samples["image_id"].str.startswith(names[0]).any()
    assert dropped.notes["families_of_near_identical_images"] == 20
    assert (dropped.samples["split"] == "test").sum() == 40


def test_the_authors_split_is_that_of_their_code(tmp_path, monkeypatch):
    members = faces(per_cell=104)
    accept_faces(monkeypatch, members)
    archive = pack(tmp_path / "f.tar.gz", list(members.items()))
    settings = UTKFace(kind="utkface", split="authors", duplicates="keep", image_size=8)
    samples = utkface.prepare(settings, archive).samples

    # step by step, as they do it: sort, shuffle, and take from the end until each cell has 100
    names = [name for name in members if "_4_" not in name]
    names.sort(key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])
    random.seed(1)
    random.shuffle(names)
    taken, counts = set(), {}
    for name in reversed(names):
        age, _, race, _ = name.split("_")
        counts[age, race] = counts.get((age, race), 0) + 1
        if counts[age, race] <= 100:
            taken.add(name)
    assert set(samples.query("split == 'test'")["image_id"]) == taken
    assert (samples["split"] == "train").sum() == 4 * 12
    other_seed = settings.model_copy(update={"split_seed": 1})
    assert "split_seed" in other_seed.without_effect()
    assert utkface.prepare(other_seed, archive).samples.equals(samples)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"kind": "utkface", "test_per_cell": None},
            "data has test_per_cell null, which takes several folds; set folds to",
        ),
        ({"kind": "utkface", "split": "authors"}, "data has the authors' split, which takes folds 1, test_per_cell 1"),
        ({"kind": "utkface", "crop": 65}, "data crops to more pixels than its images have; lower crop or raise"),
        ({"kind": "cifar10s", "crop": 33}, "data crops to more pixels than its images have; lower crop or raise"),
        ({"kind": "digits_s", "folds": 0}, "data: folds is 0; it must be at least 1"),
        ({"kind": "digits_s", "folds": 10**29}, f"data: folds is {10**29}; it must be at most 1000"),
        ({"kind": "utkface", "test_per_cell": 10**30}, f"data: test_per_cell is {10**30}; it must be at most 100000"),
        ({"kind": "digits_s", "image_size": 10**6}, "data: image_size is 1000000; it must be at most 1024"),
        ({"kind": "utkface", "image_size": 10**6}, "data: image_size is 1000000; it must be at most 1024"),
        ({"kind": "utkface", "per_seed": ["colour"]}, "data draws a colour for each seed, which this kind of data set"),
        ({"kind": "digits_s", "per_seed": ["split", "split"]}, "data: per_seed is "),
        (
            {"kind": "utkface", "split": "authors", "duplicates": "keep", "per_seed": ["split"]},
            "data has the authors' split, whose test images are the same for every seed; leave split out of per_seed",
        ),
        (
            {"kind": "cifar10s", "colour_seed": 0, "per_seed": ["split"]},
            "data has nothing that split_seed draws, so it is the same for every seed; leave split out of per_seed",
        ),
    ],
)
def test_settings_that_do_not_go_together_get_one_line(settings, message):
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        read_settings(AnyDataSet, settings, where="data")


@pytest.mark.parametrize("draws", [{"folds": 2}, {"validation": 0.1}, {"colour_seed": None}])
def test_cifar10s_follows_the_seed_where_split_seed_draws_anything(draws):
    settings = {"kind": "cifar10s", "colour_seed": 0, "per_seed": ["split"]} | draws
    assert read_settings(AnyDataSet, settings, where="data").drawn_for(3).split_seed == 3


@pytest.mark.parametrize(
    ("folds", "test_per_cell", "message"),
    [
        # five images: two are tested in each of two folds, which leaves one for the third
        (
            3,
            2,
            "data: test_per_cell is 2 and folds is 3, which leaves utkface 1 test and 4 training images of the cell "
            "(under 20, White) in fold 2; lower test_per_cell or folds",
        ),
        (
            6,
            None,
            "data: test_per_cell is null and folds is 6, which leaves utkface 0 test and 5 training images of the cell "
            "(under 20, White) in fold 5; lower folds",
        ),
    ],
)
def test_a_cell_that_is_too_small_for_the_folds_is_named(tmp_path, monkeypatch, folds, test_per_cell, message):
    members = faces(per_cell=5)
    accept_faces(monkeypatch, members)
    archive = pack(tmp_path / "f.tar.gz", list(members.items()))
    with pytest.raises(UserError) as error:
        utkface.prepare(UTKFace(kind="utkface", folds=folds, test_per_cell=test_per_cell), archive)
    assert str(error.value) == message


def test_so_many_folds_that_rounding_leaves_no_minority_are_refused(tmp_path):
    with pytest.raises(UserError) as error:
        prepare_dataset(tmp_path / "d", DigitsS(kind="digits_s", image_size=8, folds=175))
    assert str(error.value) == (
        "data: d has no image in the cell (0, blue) of its train split in fold 0, and every (class, group) cell needs "
        "one; change the settings that take images from it, such as `test_fraction` or `validation`, or bring "
        "`skew` nearer to 0.5, or lower `folds`"
    )


def test_a_fold_that_tests_no_image_of_a_cell_is_named(tmp_path):
    samples = pd.DataFrame({"image_id": list("abc"), "label": 0, "group": 0})
    splits = {"split0": ["test", "test", "train"], "split1": ["train", "train", "train"]}
    with pytest.raises(UserError) as error:
        write_dataset(tmp_path / "d", Prepared(samples.assign(**splits), [], 8, ["young"], ["g"], {}), {"kind": "tiny"})
    assert str(error.value) == (
        "data: d has no image in the cell (young, g) of its test split in fold 1, and every (class, group) cell needs "
        "one; lower `folds`"
    )


def test_a_validation_split_that_a_fold_is_too_small_for_is_refused(tmp_path):
    samples = pd.DataFrame({"image_id": list("abcd"), "label": 0, "group": 0, "family": [0, 1, 2, 2]})
    # in fold 1 only those that are copies of each other are for training
    splits = {"split0": ["train", "train", "test", "test"], "split1": ["test", "test", "train", "train"]}
    prepared = Prepared(samples.assign(**splits), [], 8, ["young"], ["g"], {})
    with pytest.raises(UserError) as error:
        set_aside_validation(prepared, 0.5, 0, name="d")
    assert str(error.value) == (
        "data: d needs 1 validation images of the cell (young, g) in fold 1, which has only 0 training images without "
        "a copy; lower `validation`, which is 0.5"
    )
