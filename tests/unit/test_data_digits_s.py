"""Digits-S: exact skew in training, every test digit in both tints."""

import numpy as np
import pandas as pd
import pytest

from fairdistill.data import digits_s, load_dataset
from fairdistill.data.preparing import prepare_dataset
from fairdistill.runtime.errors import UserError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "d"
    prepare_dataset(folder, {"kind": "digits_s", "skew": 0.8, "image_size": 16, "noise": 0.0}, None)
    return load_dataset(folder)


def test_every_digit_is_used_once(dataset):
    assert dataset.samples["image_id"].nunique() == 1797
    assert dataset.samples.groupby("image_id")["split"].nunique().eq(1).all()
    assert dataset.samples.loc[dataset.samples["split"] == "train", "image_id"].is_unique


def test_training_has_the_exact_skew(dataset):
    orange, blue = np.array(dataset.info["counts"]["train"]).T
    usual = np.where(np.arange(10) < 5, orange, blue)
    np.testing.assert_array_equal(usual, np.round(0.8 * (orange + blue)))


def test_each_test_digit_is_once_in_each_tint(dataset):
    test = dataset.samples[dataset.samples["split"] == "test"]
    copies = test.groupby("image_id")
    pairs = copies.agg(tints=("group", "nunique"), copies=("group", "size"), labels=("label", "nunique"))
    assert (pairs == [2, 2, 1]).all(axis=None)
    assert 0.39 < len(pairs) / 1797 < 0.41


def test_the_copies_differ_in_tint_alone(dataset):
    """The tints mirror each other: orange's red is blue's blue, and the greens agree."""
    test = dataset.samples[dataset.samples["split"] == "test"].sort_values(["image_id", "group"])
    orange, blue = (dataset.images[test.loc[test["group"] == g, "sample_id"]] for g in (0, 1))
    np.testing.assert_array_equal(orange, blue[..., ::-1])
    assert orange[..., 0].mean() > 2 * orange[..., 2].mean()


def test_noise_is_the_copies_own_and_the_seeds():
    def images(seed):
        prepared = digits_s.prepare(noise=0.3, contrast=0.5, image_size=8, split_seed=seed)
        return prepared.samples, np.stack(list(prepared.images)).astype(float)

    samples, first = images(0)
    again = images(0)[1]
    np.testing.assert_array_equal(first, again)
    test = samples[samples["split"] == "test"]
    pair = test.index[test["image_id"] == test["image_id"].iloc[0]]
    difference = first[pair[0]] - first[pair[1]]
    # Green has the same tint in both, and so the same value to the last bit, noise and all.
    assert not difference[..., 1].any()
    assert difference[..., 0].any()
    assert (images(1)[1] != first).any()


def test_prepared_twice_is_the_same_file(tmp_path):
    settings = {"kind": "digits_s", "image_size": 8}
    for name in "ab":
        prepare_dataset(tmp_path / name, settings, None)
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
        digits_s.prepare(**{key: value})


def test_test_fraction_that_leaves_a_cell_empty_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data: d has no test image in the cell \(0, orange\)"):
        prepare_dataset(tmp_path / "d", {"kind": "digits_s", "test_fraction": 0.0001}, None)
