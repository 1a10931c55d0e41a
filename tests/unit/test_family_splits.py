"""Splits of whole families."""

import numpy as np
import pytest

from fairdistill.data.family_splits import draw_families, draw_tests, draw_validation, join_families, random_order


def names(n):
    return np.array([f"{number}.png" for number in range(n)])


def test_images_that_share_a_key_are_one_family():
    person = np.array(["a", "a", "b", "c", "d", "e"])
    copy = np.array([0, 1, 1, 2, 3, 3])
    family = join_families([person, copy])
    # a and b by a copy, d and e by another
    assert [np.flatnonzero(family == one).tolist() for one in np.unique(family)] == [[0, 1, 2], [3], [4, 5]]


def test_one_key_gives_its_families():
    family = join_families([np.array([7, 3, 7, 1])])
    assert family[0] == family[2]
    assert len(np.unique(family)) == 3


@pytest.mark.parametrize("seed", range(5))
def test_single_images_give_exactly_what_is_wanted(seed):
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, 4, 400)
    wanted = np.array([5, 0, 17, 60])
    drawn = draw_families(
        cell, np.arange(400), np.ones(400, dtype=bool), wanted, random_order(names(400), np.arange(400), seed)
    )
    assert np.bincount(cell[drawn], minlength=4).tolist() == wanted.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_families_that_fit_are_preferred_to_large_ones(seed):
    """One family has half of all images: what the small ones can give is taken from them."""
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, 3, 600)
    family = np.where(np.arange(600) < 300, 0, np.arange(600) // 2)
    drawn = draw_families(
        cell, family, np.ones(600, dtype=bool), np.full(3, 40), random_order(names(600), family, seed)
    )
    assert not drawn[0]
    assert np.bincount(cell[drawn]).tolist() == [40] * 3


@pytest.mark.parametrize("sizes", [(3, 4, 5, 20), (5, 4, 3, 20)])
def test_where_no_family_fits_the_one_with_the_fewest_images_too_many_is_drawn(sizes):
    cell = np.repeat([0, 0, 0, 1], sizes)
    family = np.repeat([0, 1, 2, 3], sizes)
    order = random_order(names(32), family, 0)
    drawn = draw_families(cell, family, np.ones(32, dtype=bool), np.array([2, 0]), order)
    assert np.unique(family[drawn]).tolist() == [sizes.index(3)]


def test_a_test_split_is_balanced_though_families_bring_more():
    """Each family has one image of the small cell and nine of the large one."""
    family = np.arange(500) // 10
    cell = (np.arange(500) % 10 > 0).astype(int)
    split = draw_tests(names(500), cell, family, np.ones(500, dtype=bool), per_cell=6, folds=1, seed=0)["split"]
    assert np.bincount(cell[split == "test"]).tolist() == [6, 6]
    # of the six families, what is not tested is in neither split
    assert (split == "").sum() == 6 * 10 - 12
    assert not set(family[split == "train"]) & set(family[split != "train"])


def test_a_family_none_of_which_is_tested_after_all_is_trained_on():
    """Where the first family is drawn for its cell, the second brings another image of that cell with its own."""
    family = np.array([0, 1, 1, 1, 1])
    cell = np.array([0, 0, 1, 1, 1])
    seen = set()
    for seed in range(20):
        split = draw_tests(names(5), cell, family, np.ones(5, dtype=bool), per_cell=1, folds=1, seed=seed)["split"]
        assert np.bincount(cell[split == "test"]).tolist() == [1, 1]
        assert set(family[split == ""]) == {1}
        seen.add(str(split[0]))
    assert seen == {"test", "train"}


def test_images_that_are_not_eligible_stay_in_training():
    cell = np.zeros(50, dtype=int)
    eligible = np.arange(50) % 2 == 0
    split = draw_tests(names(50), cell, np.arange(50), eligible, per_cell=10, folds=2, seed=0)
    for column in ("split0", "split1"):
        assert (split[column][~eligible] == "train").all()
        assert (split[column] == "test").sum() == 10
    assert not ((split["split0"] == "test") & (split["split1"] == "test")).any()


def test_validation_takes_its_share_of_training_alone():
    cell = np.arange(400) % 4
    split = np.where(np.arange(400) < 100, "test", "train")
    family = np.arange(400) // 2
    with_validation = draw_validation(names(400), split, cell, family, share=0.2, fold=0, seed=0)
    assert (with_validation[:100] == "test").all()
    assert np.bincount(cell[with_validation == "validation"]).tolist() == [15] * 4
    assert not set(family[with_validation == "validation"]) & set(family[with_validation == "train"])


def test_every_image_is_as_likely_to_be_tested():
    cell = np.zeros(20, dtype=int)
    everyone = np.ones(20, dtype=bool)
    count = np.zeros(20)
    for seed in range(400):
        count += draw_tests(names(20), cell, np.arange(20), everyone, per_cell=5, folds=1, seed=seed)["split"] == "test"
    # binomial of 400 draws with 1/4: a standard deviation of 8.7
    assert np.abs(count - 100).max() < 4 * 8.7


def test_a_large_family_comes_as_early_as_a_small_one():
    """Of a family of nine and one of a single image, each is the first in about half of the draws."""
    family = np.repeat([0, 1], [9, 1])
    first = [random_order(names(10), family, seed)[[0, 9]].argmin() for seed in range(400)]
    assert abs(sum(first) - 200) < 4 * 10
    assert np.unique(random_order(names(10), family, 0)).size == 2


def drawn(chosen, cell):
    """The names of the test images of those that were chosen of a table, in whatever order."""
    images = names(len(cell))[chosen]
    split = draw_tests(images, cell[chosen], chosen, np.ones(len(chosen), dtype=bool), per_cell=20, folds=1, seed=3)
    return set(images[split["split"] == "test"])


def test_neither_the_order_of_the_rows_nor_another_image_draws_anew():
    cell = np.arange(400) % 4
    before = drawn(np.arange(400), cell)
    assert drawn(np.random.default_rng(0).permutation(400), cell) == before
    # an image that goes makes room for one, and does nothing else
    gone = min(before)
    after = drawn(np.delete(np.arange(400), int(gone.removesuffix(".png"))), cell)
    assert before - after == {gone}
    assert len(after - before) == 1


def test_no_image_is_tested_in_two_folds():
    cell = np.arange(120) % 2
    everyone = np.ones(120, dtype=bool)
    splits = draw_tests(names(120), cell, np.arange(120), everyone, per_cell=15, folds=4, seed=0)
    assert (sum(split == "test" for split in splits.values()) == 1).all()


def validated(seed, fold=0):
    cell = np.arange(400) % 4
    split = np.full(400, "train", dtype="<U10")
    return draw_validation(names(400), split, cell, np.arange(400), share=0.2, fold=fold, seed=seed) == "validation"


def test_each_seed_and_fold_draws_other_validation_images_and_no_seed_those_of_the_test():
    """Of 80 in 400, two independent draws share 16, with a standard deviation of 3.2."""
    one = validated(0)
    tested = draw_tests(
        names(400), np.arange(400) % 4, np.arange(400), np.ones(400, dtype=bool), per_cell=20, folds=1, seed=0
    )
    for other in (validated(1), validated(0, fold=1), tested["split"] == "test"):
        assert other.sum() == one.sum() == 80
        assert (one & other).sum() < 16 + 4 * 3.2
