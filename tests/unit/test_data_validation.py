"""The validation split: exact shares of each cell, reproducible, and without copies of images in other splits."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairdistill.data.preparing import Prepared, set_aside_validation
from fairdistill.runtime.errors import UserError

CLASSES, GROUPS = ["a", "b", "c"], ["g", "h"]
CELL = ["label", "group"]
shares = st.floats(0, 0.99)
seeds = st.integers(0, 2**64)


@st.composite
def data_sets(draw, copies=False):
    """Up to 200 images in random cells and splits; some of them with copies, where `copies` is true."""
    n = draw(st.integers(1, 200))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    samples = pd.DataFrame(
        {
            "image_id": [f"image {i}" for i in range(n)],
            "split": rng.choice(["train", "test"], n, p=[0.8, 0.2]),
            "label": rng.integers(0, len(CLASSES), n),
            "group": rng.integers(0, len(GROUPS), n),
        },
        # as for UTKFace, where rows are left out
        index=np.sort(rng.choice(2 * n, n, replace=False)),
    )
    if copies:
        samples["family"] = rng.integers(0, draw(st.integers(1, 10)) * n, n)
    return Prepared(samples, [], 8, CLASSES, GROUPS, {})


def rows(prepared, split):
    return np.flatnonzero(prepared.samples["split"] == split)


@given(prepared=data_sets(), share=shares, seed=seeds)
def test_each_cell_gives_exactly_its_share(prepared, share, seed):
    after = set_aside_validation(prepared, share, seed, name="d")
    before = prepared.samples[prepared.samples["split"] == "train"].groupby(CELL).size()
    validation = after.samples[after.samples["split"] == "validation"].groupby(CELL).size()
    for cell, count in before.items():
        assert validation.get(cell, 0) == round(share * count)
    assert validation.sum() == sum(round(share * count) for count in before)


@given(prepared=data_sets(), share=shares, seed=seeds)
def test_only_training_images_are_moved_and_nothing_else_changes(prepared, share, seed):
    earlier = prepared.samples.copy()
    after = set_aside_validation(prepared, share, seed, name="d")
    np.testing.assert_array_equal(rows(after, "test"), rows(prepared, "test"))
    moved = [*rows(after, "train"), *rows(after, "validation")]
    assert sorted(moved) == list(rows(prepared, "train"))
    for column in ("image_id", *CELL):
        assert after.samples[column].tolist() == earlier[column].tolist()
    pd.testing.assert_frame_equal(prepared.samples, earlier)


@given(prepared=data_sets(copies=True), share=shares, seed=seeds)
def test_no_copy_of_a_validation_image_is_in_another_split(prepared, share, seed):
    unique = ~prepared.samples["family"].duplicated(keep=False)
    training = prepared.samples.assign(unique=unique).query("split == 'train'").groupby(CELL)["unique"]
    wanted = (share * training.size()).map(round)
    if (wanted > training.sum()).any():
        with pytest.raises(
            UserError, match=r"^data: d needs \d+ validation images of the cell .* without a copy; lower"
        ):
            set_aside_validation(prepared, share, seed, name="d")
        return
    samples = set_aside_validation(prepared, share, seed, name="d").samples
    is_validation = samples["split"] == "validation"
    family = samples["family"]
    assert not family[is_validation].isin(family[~is_validation]).any()
    assert family[is_validation].is_unique
    assert is_validation.sum() == wanted.sum()


@given(prepared=data_sets(), share=shares, seed=seeds)
def test_the_seed_decides(prepared, share, seed):
    first, second = (set_aside_validation(prepared, share, seed, name="d").samples for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


@given(prepared=data_sets(), two=st.tuples(shares, shares).map(sorted), seed=seeds)
def test_a_larger_validation_split_contains_a_smaller_one(prepared, two, seed):
    smaller, larger = (rows(set_aside_validation(prepared, share, seed, name="d"), "validation") for share in two)
    assert set(smaller) <= set(larger)


def one_cell(n):
    samples = pd.DataFrame({"image_id": [str(i) for i in range(n)], "split": "train", "label": 0, "group": 0})
    return Prepared(samples, [], 8, CLASSES, GROUPS, {})


def test_other_seeds_draw_other_images():
    draws = {tuple(rows(set_aside_validation(one_cell(100), 0.5, seed, name="d"), "validation")) for seed in range(20)}
    assert len(draws) == 20


def test_every_image_is_equally_likely():
    """Over 400 seeds an image is drawn 120 times on average, with a standard deviation of 9.2."""
    counts = np.zeros(10)
    for seed in range(400):
        counts[rows(set_aside_validation(one_cell(10), 0.3, seed, name="d"), "validation")] += 1
    assert (np.abs(counts - 120) < 4 * 9.2).all()


def test_a_share_of_0_changes_nothing():
    prepared = one_cell(10)
    assert set_aside_validation(prepared, 0.0, 0, name="d") is prepared
