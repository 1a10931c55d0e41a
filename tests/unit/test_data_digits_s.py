"""Digits-S: exact skew in training, every test digit in both tints."""

import numpy as np
import pandas as pd
import pytest

from fairdistill.data import digits_s, load_dataset
from fairdistill.data.preparing import prepare_dataset
from fairdistill.runtime.errors import UserError
from fairdistill.settings.data import AnyDataSet, DigitsS
from fairdistill.settings.reading import read_settings


def digits(**settings):
    return DigitsS(kind="digits_s", **settings)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "d"
    prepare_dataset(folder, digits(skew=0.8, image_size=16, noise=0.0))
    return load_dataset(folder)


def test_every_digit_is_used_once(dataset):
    assert dataset.samples["image_id"].nunique() == 1797
    assert dataset.samples.groupby("image_id")["split"].nunique().eq(1).all()
    assert dataset.samples.loc[dataset.samples["split"] == "train", "image_id"].is_unique


def test_training_has_the_exact_skew(dataset):
    orange, blue = np.array(dataset.info["folds"][0]["counts"]["train"]).T
    usual = np.where(np.arange(10) < 5, orange, blue)
    np.testing.assert_array_equal(usual, np.round(0.8 * (orange + blue)))


def test_each_test_digit_is_once_in_each_tint(dataset):
    test = dataset.samples[dataset.samples["split"] == "test"]
    copies = test.groupby("image_id")
    pairs = copies.agg(tints=("group", "nunique"), copies=("group", "size"), labels=("label", "nunique"))
    assert (pairs == [2, 2, 1]).all(axis=None)
    assert 0.39 < len(pairs) / 1797 < 0.41


def test_the_copies_differ_only_in_tint(dataset):
    """One tint reversed is the other: red of the orange copy is blue of the blue one, and green is the same."""
    test = dataset.samples[dataset.samples["split"] == "test"].sort_values(["image_id", "group"])
    orange, blue = (dataset.images[test.loc[test["group"] == g, "sample_id"]] for g in (0, 1))
    np.testing.assert_array_equal(orange, blue[..., ::-1])
    assert orange[..., 0].mean() > 2 * orange[..., 2].mean()


def test_both_copies_of_a_test_image_have_the_same_noise_and_it_depends_on_the_seed():
    def images(seed):
        prepared = digits_s.prepare(digits(noise=0.3, contrast=0.5, image_size=8, split_seed=seed))
        return prepared.samples, np.stack(list(prepared.images)).astype(float)

    samples, first = images(0)
    again = images(0)[1]
    np.testing.assert_array_equal(first, again)
    test = samples[samples["split"] == "test"]
    pair = test.index[test["image_id"] == test["image_id"].iloc[0]]
    difference = first[pair[0]] - first[pair[1]]
    # both tints have the same share of green, so with equal noise the values are equal to the last bit
    assert not difference[..., 1].any()
    assert difference[..., 0].any()
    assert (images(1)[1] != first).any()


def test_prepared_twice_is_the_same_file(tmp_path):
    settings = digits(image_size=8, validation=0.1)
    for name in "ab":
        prepare_dataset(tmp_path / name, settings)
    for file in ("images.npy", "dataset.json", "samples.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    pd.testing.assert_frame_equal(*(load_dataset(tmp_path / name).samples for name in "ab"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("skew", 0),
        ("image_size", 7),
        ("test_fraction", 0),
        ("test_fraction", 1.0),
        ("contrast", 0),
        ("contrast", "high"),
        ("noise", -0.1),
        ("noise", float("nan")),
        ("split_seed", None),
    ],
)
def test_bad_setting_is_named(key, value):
    with pytest.raises(UserError, match=rf"^data: {key} is .*; it must be "):
        read_settings(AnyDataSet, {"kind": "digits_s", key: value}, where="data")


def test_test_fraction_that_leaves_a_cell_empty_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"^data: d has no image in the cell \(0, orange\) of its test split, .*raise"):
        prepare_dataset(tmp_path / "d", digits(test_fraction=0.0001))
    with pytest.raises(
        UserError, match=r"the cell \(0, orange\) of its train split, .*such as `test_fraction` or `val"
    ):
        prepare_dataset(tmp_path / "d", digits(test_fraction=0.9999))
    assert not list(tmp_path.iterdir())


def test_validation_share_that_leaves_a_cell_empty_is_refused(tmp_path):
    """Of the digit 0 in blue 11 images are for training, and 4 % of them are none."""
    with pytest.raises(UserError) as error:
        prepare_dataset(tmp_path / "d", digits(validation=0.04, image_size=8))
    assert str(error.value) == (
        "data: d has no image in the cell (0, blue) of its validation split, and every (class, group) cell needs one; "
        "raise `validation`"
    )


def test_validation_share_that_takes_a_whole_cell_is_refused(tmp_path):
    with pytest.raises(
        UserError,
        match=r"^data: d has no image in the cell \(0, blue\) of its train split, .*or `validation`, or bring",
    ):
        prepare_dataset(tmp_path / "d", digits(validation=0.96, image_size=8))


def test_validation_changes_no_image_and_takes_only_from_training(dataset, tmp_path):
    settings = digits(skew=0.8, image_size=16, noise=0.0, validation=0.2)
    info = prepare_dataset(tmp_path / "d", settings)
    split = load_dataset(tmp_path / "d")
    np.testing.assert_array_equal(split.images, dataset.images)
    rows, label, group = split.split("validation")
    before = np.array(dataset.info["folds"][0]["counts"]["train"])
    assert info["folds"][0]["counts"]["validation"] == [[round(0.2 * n) for n in cells] for cells in before.tolist()]
    assert (np.array(info["folds"][0]["counts"]["train"]) + info["folds"][0]["counts"]["validation"] == before).all()
    np.testing.assert_array_equal(np.bincount(label * 2 + group), np.ravel(info["folds"][0]["counts"]["validation"]))
    assert (dataset.samples["split"].iloc[rows] == "train").all()
    others = np.setdiff1d(np.arange(len(split.samples)), rows)
    pd.testing.assert_frame_equal(split.samples.iloc[others], dataset.samples.iloc[others])
    # mean and standard deviation are those of the images that are left in training
    pixels = split.images[split.split("train")[0]].reshape(-1, 3) / 255
    np.testing.assert_allclose(split.mean, pixels.mean(axis=0))
    np.testing.assert_allclose(split.std, pixels.std(axis=0))
    assert not np.allclose(split.mean, dataset.mean, rtol=1e-6, atol=0)
