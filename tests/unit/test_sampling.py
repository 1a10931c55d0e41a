"""The orders of all samplings: which samples come, how often, and where."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairdistill.data.sampling import (
    balanced_order,
    drawn_shares,
    epoch_order,
    oversampled_order,
    plain_order,
    undersampled_order,
)

cells = st.lists(st.integers(0, 5), min_size=1, max_size=200).map(np.array)
seeds = st.integers(0, 2**32 - 1)


@given(n=st.integers(1, 500), seed=seeds)
def test_plain_visits_each_sample_once(n, seed):
    assert sorted(plain_order(n, np.random.default_rng(seed))) == list(range(n))


@given(cell=cells, seed=seeds)
def test_balanced_has_every_cell_once_in_each_run(cell, seed):
    order = balanced_order(cell, np.random.default_rng(seed))
    present = np.unique(cell)
    assert len(order) == len(cell)
    for start in range(0, len(order) - len(present) + 1, len(present)):
        assert sorted(cell[order[start : start + len(present)]]) == list(present)


@given(cell=cells, seed=seeds)
def test_oversampled_has_every_cell_once_in_each_run_and_the_largest_cell_once(cell, seed):
    order = oversampled_order(cell, np.random.default_rng(seed))
    present, sizes = np.unique(cell, return_counts=True)
    assert len(order) == len(present) * sizes.max()
    assert (np.sort(cell[order].reshape(-1, len(present)), axis=1) == present).all()
    for c in present[sizes == sizes.max()]:
        assert sorted(order[cell[order] == c]) == np.flatnonzero(cell == c).tolist()


@given(cell=cells, seed=seeds)
def test_undersampled_has_every_cell_once_in_each_run_and_nothing_twice(cell, seed):
    order = undersampled_order(cell, np.random.default_rng(seed))
    present, sizes = np.unique(cell, return_counts=True)
    assert len(order) == len(present) * sizes.min() == len(set(order))
    assert (np.sort(cell[order].reshape(-1, len(present)), axis=1) == present).all()


def test_another_part_of_the_larger_cells_comes_in_each_undersampled_epoch():
    cell = np.repeat([0, 1], [100, 10])
    one, two = (set(undersampled_order(cell, np.random.default_rng([3, 1, epoch]))) for epoch in range(2))
    assert one & set(range(100, 110)) == two & set(range(100, 110)) == set(range(100, 110))
    assert len(one & two) < 18


@pytest.mark.parametrize("draw", [balanced_order, oversampled_order, undersampled_order])
def test_the_cells_of_a_run_come_in_another_order_in_the_next(draw):
    cell = np.arange(200) % 4
    runs = cell[draw(cell, np.random.default_rng(0))].reshape(-1, 4)
    # of 50 runs in 24 orders
    assert len(np.unique(runs, axis=0)) > 12


@pytest.mark.parametrize("draw", [balanced_order, oversampled_order])
def test_a_small_cell_comes_in_another_order_in_each_of_its_passes(draw):
    cell = np.repeat([0, 1], [200, 5])
    order = draw(cell, np.random.default_rng(0))
    passes = order[cell[order] == 1][:100].reshape(-1, 5)
    # of 20 passes in 120 orders
    assert len(np.unique(passes, axis=0)) > 12


@pytest.mark.parametrize("draw", [balanced_order, oversampled_order, undersampled_order])
@given(cell=cells, seed=seeds)
def test_a_sample_is_repeated_only_after_its_whole_cell(draw, cell, seed):
    order = draw(cell, np.random.default_rng(seed))
    for c in np.unique(cell):
        uses = np.bincount(order[cell[order] == c], minlength=len(cell))[cell == c]
        assert uses.max() - uses.min() <= 1


@pytest.mark.parametrize("draw", [balanced_order, oversampled_order, undersampled_order])
@given(cell=cells, seed=seeds)
def test_an_order_is_a_function_of_its_seed(draw, cell, seed):
    first, second = (draw(cell, np.random.default_rng(seed)) for _ in range(2))
    assert (first == second).all()


def test_balanced_equalises_a_skewed_set():
    label = np.repeat([0, 0, 1, 1], [900, 100, 100, 900])
    group = np.repeat([0, 1, 0, 1], [900, 100, 100, 900])
    order = epoch_order("balanced", label, group, np.random.default_rng(0))
    assert np.bincount(2 * label[order] + group[order]).tolist() == [500] * 4
    # and so in each batch of 128
    assert np.bincount(2 * label[order[:128]] + group[order[:128]]).tolist() == [32] * 4
    plain = epoch_order("plain", label, group, np.random.default_rng(0))
    assert np.bincount(2 * label[plain] + group[plain]).tolist() == [900, 100, 100, 900]


def test_class_balanced_equalises_the_classes_and_leaves_their_groups():
    label = np.repeat([0, 0, 1, 1], [1200, 400, 300, 100])
    group = np.repeat([0, 1, 0, 1], [1200, 400, 300, 100])
    order = epoch_order("class_balanced", label, group, np.random.default_rng(0))
    assert len(order) == 2000
    assert (np.sort(label[order].reshape(-1, 2), axis=1) == [0, 1]).all()
    drawn = np.histogram2d(label[order], group[order], bins=2)[0] / 2000
    # class 0 by chance, as 1000 of its 1600 are drawn; of class 1 all come two or three times
    assert np.allclose(drawn, [[0.375, 0.125], [0.375, 0.125]], atol=0.02)


SAMPLINGS = ["plain", "balanced", "oversampled", "undersampled", "class_balanced"]


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_shares_that_a_sampling_draws_are_those_of_its_orders(sampling):
    sizes = np.array([[30, 7, 0], [4, 40, 19]])
    label, group = (np.repeat(index.ravel(), sizes.ravel()) for index in np.indices(sizes.shape))
    drawn = np.zeros(sizes.shape)
    for seed in range(200):
        order = epoch_order(sampling, label, group, np.random.default_rng(seed))
        np.add.at(drawn, (label[order], group[order]), 1)
    shares = drawn_shares(sampling, sizes)
    assert shares.sum() == pytest.approx(1)
    assert np.allclose(shares, drawn / drawn.sum(), atol=0.005)


@pytest.mark.parametrize(
    ("sampling", "wanted"),
    [("class_balanced", [[1 / 2, 0], [1 / 8, 3 / 8]]), ("balanced", [[1 / 3, 0], [1 / 3, 1 / 3]])],
)
def test_a_cell_of_one_image_has_its_share(sampling, wanted):
    np.testing.assert_allclose(drawn_shares(sampling, np.array([[1, 0], [1, 3]])), wanted)


# the sizes of the training cells, of each class those of its groups
CIFAR10S = [[4000, 1000]] * 5 + [[1000, 4000]] * 5
UTKFACE = [[1949, 236, 925, 538], [3635, 3016, 1756, 2121], [4194, 974, 453, 1016]]


@pytest.mark.parametrize(("sizes", "steps"), [(UTKFACE, 393), (CIFAR10S, 625)])
def test_an_oversampled_epoch_has_one_step_more_than_the_authors(sizes, steps):
    """They draw in runs of 128 // cells images of a cell, and leave out what does not fill the last run."""
    sizes = np.array(sizes)
    run = 128 // sizes.size
    assert sizes.max() // run * run * sizes.size // 128 == steps - 1
    label, group = (np.repeat(index.ravel(), sizes.ravel()) for index in np.indices(sizes.shape))
    order = epoch_order("oversampled", label, group, np.random.default_rng(0))
    assert len(order) // 128 == steps
    assert (np.histogram2d(label[order], group[order], bins=sizes.shape)[0] == sizes.max()).all()
