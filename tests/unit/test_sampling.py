"""The orders of both samplings: which samples come, how often, and where."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairdistill.data.sampling import balanced_order, epoch_order, oversampled_order, plain_order

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


@pytest.mark.parametrize("draw", [balanced_order, oversampled_order])
@given(cell=cells, seed=seeds)
def test_a_sample_is_repeated_only_after_its_whole_cell(draw, cell, seed):
    order = draw(cell, np.random.default_rng(seed))
    for c in np.unique(cell):
        uses = np.bincount(order[cell[order] == c], minlength=len(cell))[cell == c]
        assert uses.max() - uses.min() <= 1


@pytest.mark.parametrize("draw", [balanced_order, oversampled_order])
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
