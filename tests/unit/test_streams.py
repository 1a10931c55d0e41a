"""The random numbers of a training: which of them a seed, a role and a fold decide, and what can be held fixed."""

import itertools

import numpy as np

from fairdistill.settings.training import MAX_SEED, Training
from fairdistill.training.streams import Streams


def streams(seed=0, role="student", fold=0, **settings):
    return Streams.of(seed, Training(**settings), role=role, fold=fold)


def draw(found):
    return found.epoch(3).integers(2**62)


def test_each_seed_role_and_fold_has_streams_of_its_own():
    found = [streams(*names) for names in itertools.product(range(5), ["teacher", "student"], range(4))]
    assert len({one.weights for one in found}) == len({draw(one) for one in found}) == len(found)


def test_the_first_fold_draws_as_a_data_set_without_folds():
    """The published study was trained with these streams."""
    found = streams(7, "student")
    assert found.weights == 15
    assert found.order == (7, 1)
    assert draw(found) == np.random.default_rng([7, 1, 3]).integers(2**62)
    assert Streams.of(7, Training(), role="student") == found


def test_other_folds_draw_as_they_did_in_the_studies_with_folds():
    found = streams(7, "student", fold=2)
    assert found.weights == 2118930107339437416
    assert found.order == (7, 1, 2)


def test_weights_can_be_held_while_the_order_varies_and_the_other_way_round():
    a, b = (streams(seed, weights_seed=2) for seed in (0, 1))
    assert a.weights == b.weights == streams(2).weights
    assert draw(a) != draw(b)
    a, b = (streams(seed, order_seed=2) for seed in (0, 1))
    assert draw(a) == draw(b) == draw(streams(2))
    assert a.weights != b.weights


def test_what_is_held_is_the_same_in_all_folds_and_still_another_for_teachers():
    a, b = (streams(fold=fold, weights_seed=2, order_seed=3) for fold in (0, 3))
    assert a == b
    teacher = streams(role="teacher", weights_seed=2, order_seed=3)
    assert teacher.weights != a.weights
    assert draw(teacher) != draw(a)


def test_the_largest_seed_leaves_room():
    for fold in (0, 3):
        assert 0 <= streams(MAX_SEED, fold=fold).weights < 2**63
