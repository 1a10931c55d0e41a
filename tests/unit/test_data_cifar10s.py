"""CIFAR-10S: exact skew in training, every test image in gray and in colour."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image
from synthetic_archives import accept_cifar, cifar_batches, pack

from fairdistill.data import cifar10s, load_dataset
from fairdistill.data.preparing import prepare_dataset
from fairdistill.data.skew import draw_fraction, skewed_groups
from fairdistill.runtime.errors import UserError
from fairdistill.settings.data import AnyDataSet, Cifar10S
from fairdistill.settings.reading import read_settings

WANG = {"skew": 0.95, "gray_classes": [0, 2, 4, 6, 8]}

COLOR = 1


def cifar(**settings):
    return Cifar10S(kind="cifar10s", **settings)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    batches = cifar_batches()
    accept_cifar(monkeypatch, batches)
    return pack(tmp_path / "c.tar.gz", list(batches.items()))


def test_gray_has_the_values_of_pillow():
    levels = np.arange(256, dtype=np.uint8)
    for red in levels[::5]:
        colours = np.stack(np.meshgrid(red, levels, levels, indexing="ij"), axis=-1)[0]
        luminance = np.asarray(Image.fromarray(colours).convert("L"))
        np.testing.assert_array_equal(cifar10s.to_gray(colours), np.stack([luminance] * 3, axis=-1))


@given(image=npst.arrays(np.uint8, (8, 8, 3)))
def test_gray_of_gray_is_itself(image):
    gray = cifar10s.to_gray(image)
    np.testing.assert_array_equal(cifar10s.to_gray(gray), gray)


@pytest.mark.parametrize("variant", [{}, WANG, {"skew": 0.3, "gray_classes": [9]}])
def test_training_has_the_exact_skew(archive, variant):
    settings = cifar(**variant)
    samples = cifar10s.prepare(settings, archive).samples
    train = samples[samples["split"] == "train"]
    for label, part in train.groupby("label"):
        assert len(part) == 10
        n_usual = (part["group"] == (cifar10s.GRAY if label in settings.gray_classes else COLOR)).sum()
        assert n_usual == round(10 * settings.skew)
    assert train["image_id"].is_unique


def test_each_test_image_is_once_gray_and_once_in_colour(archive, tmp_path):
    prepare_dataset(tmp_path / "d", cifar(), [archive])
    dataset = load_dataset(tmp_path / "d")
    rows, _, group = dataset.split("test")
    test = dataset.samples.iloc[rows]
    gray, colour = test[group == 0].set_index("image_id"), test[group == 1].set_index("image_id")
    assert sorted(gray.index) == sorted(colour.index)
    assert len(gray) == 20
    assert gray.index.is_unique
    for image_id, copy in gray.iterrows():
        twin = colour.loc[image_id]
        assert copy["label"] == twin["label"]
        in_colour = dataset.images[twin["sample_id"]]
        np.testing.assert_array_equal(dataset.images[copy["sample_id"]], cifar10s.to_gray(in_colour))
        assert (in_colour != cifar10s.to_gray(in_colour)).any()


def test_images_come_from_the_archive_unchanged(archive, tmp_path):
    """A training image in colour has the pixels of its batch: red, green, then blue plane, row by row."""
    prepare_dataset(tmp_path / "d", cifar(), [archive])
    dataset = load_dataset(tmp_path / "d")
    samples = dataset.samples
    first = samples[(samples["split"] == "train") & (samples["group"] == COLOR)].iloc[0]
    batch, position = first["image_id"].split("/")
    planes = cifar10s.pickle.loads(cifar_batches()[batch])["data"][int(position)].reshape(3, 32, 32)
    np.testing.assert_array_equal(dataset.images[first["sample_id"]], np.moveaxis(planes, 0, -1))


def test_split_seed_decides_and_nothing_else(archive):
    draws = [cifar10s.prepare(cifar(split_seed=seed), archive).samples for seed in (0, 0, 1)]
    pd.testing.assert_frame_equal(draws[0], draws[1])
    assert (draws[0]["group"] != draws[2]["group"]).any()


@given(
    label=st.lists(st.integers(0, 4), min_size=1).map(np.array),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_draw_fraction_is_exact_in_each_class(label, fraction, seed):
    drawn = draw_fraction(label, fraction, seed)
    for c in np.unique(label):
        assert drawn[label == c].sum() == round(fraction * (label == c).sum())


def test_full_skew_puts_each_class_in_one_group():
    label = np.repeat([0, 1, 2], 7)
    np.testing.assert_array_equal(skewed_groups(label, [0, 2], 1.0, 0), np.repeat([0, 1, 0], 7))


@pytest.mark.parametrize(
    ("key", "value"),
    [("skew", v) for v in (0, -0.1, 1, 1.01, float("nan"), "much", True, None)]
    + [("gray_classes", v) for v in ([10], [-1], ["cat"], 3, None, [1, 1])]
    + [("split_seed", v) for v in (-1, 0.5, "x")]
    + [("validation", v) for v in (-0.1, 1, "half", None)],
)
def test_bad_setting_is_named(key, value):
    with pytest.raises(UserError, match=rf"^data: {key}(\.0)? is "):
        read_settings(AnyDataSet, {"kind": "cifar10s", key: value}, where="data")


def test_a_skew_that_leaves_training_cells_empty_is_refused(archive, tmp_path):
    with pytest.raises(UserError) as error:
        prepare_dataset(tmp_path / "gray", cifar(skew=0.9999), [archive])
    assert str(error.value) == (
        "data: gray has no image in the cell (airplane, color) of its train split, and every (class, group) cell needs "
        "one; change the settings that take images from it, such as `validation`, or bring `skew` nearer to 0.5"
    )
    assert not (tmp_path / "gray").exists()


def test_dataset_json_describes_the_set(archive, tmp_path):
    prepare_dataset(tmp_path / "d", cifar(skew=0.9), [archive])
    info = json.loads((tmp_path / "d" / "dataset.json").read_text())
    assert info["settings"] == Cifar10S(kind="cifar10s", skew=0.9).to_json()
    assert info["folds"][0]["counts"]["train"] == [[9, 1]] * 5 + [[1, 9]] * 5
    assert info["folds"][0]["counts"]["test"] == [[2, 2]] * 10
    assert info["source"] == cifar10s.SHA256
