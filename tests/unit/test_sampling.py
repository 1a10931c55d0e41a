"""The orders of both samplings: which samples come, how often, and where."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairdistill.data.sampling import balanced_order, epoch_order, plain_order

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
def test_balanced_repeats_a_sample_only_after_its_whole_cell(cell, seed):
    order = balanced_order(cell, np.random.default_rng(seed))
    for c in np.unique(cell):
        uses = np.bincount(order[cell[order] == c], minlength=len(cell))[cell == c]
        assert uses.max() - uses.min() <= 1


@given(cell=cells, seed=seeds)
def test_an_order_is_a_function_of_its_seed(cell, seed):
    first, second = (balanced_order(cell, np.random.default_rng(seed)) for _ in range(2))
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
