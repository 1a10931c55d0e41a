"""Correctness to JSON and back, for cells of every size."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdistill.evaluation.correctness import Correctness, collect, from_metrics, pool

NAMES = {"classes": ["a", "b", "c"], "groups": ["g", "h"]}


@st.composite
def answers(draw, copies):
    """Samples in any order: every cell with 1 to 20 of its own, or each image of a class once in both groups."""
    sizes = [draw(st.integers(1, 20)) for _ in range(6)]
    if copies:
        sizes = sizes[:3] * 2
    group = np.repeat([0, 0, 0, 1, 1, 1], sizes)
    label = np.repeat([0, 1, 2, 0, 1, 2], sizes)
    image = np.concatenate([[f"{i % 3 if copies else i}-{k}" for k in range(size)] for i, size in enumerate(sizes)])
    order = np.array(draw(st.permutations(range(sum(sizes)))))
    right = np.array(draw(st.lists(st.booleans(), min_size=sum(sizes), max_size=sum(sizes))))
    return {"right": right, "label": label[order], "group": group[order], "image_id": image[order]}


@pytest.mark.parametrize("copies", [False, True])
@given(data=st.data())
@settings(max_examples=30)
def test_correctness_come_back_from_json(copies, data):
    samples = data.draw(answers(copies))
    weighting = data.draw(st.sampled_from(["images", "cells"]))
    correctness = collect(**samples, shape=(2, 3), weighting=weighting)
    count = {
        g: dict(zip(NAMES["classes"], row, strict=True))
        for g, row in zip("gh", correctness.count.tolist(), strict=True)
    }
    stored = json.loads(json.dumps({"cell_count": count, "correctness": correctness.to_json(**NAMES)}))

    again = from_metrics(stored, **NAMES)

    assert (again.paired, again.images) == (correctness.paired, correctness.images)
    assert again.weighting == weighting
    assert correctness.paired == copies or set(correctness.count.ravel()) == {1}
    for row, other in zip(correctness.right, again.right, strict=True):
        for cell, same in zip(row, other, strict=True):
            np.testing.assert_array_equal(cell, same)


@given(samples=answers(copies=True))
@settings(max_examples=20)
def test_copies_of_an_image_stand_at_one_place(samples):
    correctness = collect(**samples, shape=(2, 3))
    right = dict(zip(zip(samples["group"], samples["image_id"], strict=True), samples["right"], strict=True))

    for y in range(3):
        images = sorted({image for image in samples["image_id"] if image.startswith(f"{y}-")})
        for a in range(2):
            assert correctness.right[a][y].tolist() == [right[a, image] for image in images]


def test_digits_for_another_number_of_images_are_refused():
    correctness = {"paired": False, "images": "", "right": {"g": {"a": "e0"}}}

    with pytest.raises(ValueError, match="1 bytes for 9 images of class 'a' in group 'g'"):
        from_metrics({"cell_count": {"g": {"a": 9}}, "correctness": correctness}, classes=["a"], groups=["g"])


@pytest.mark.parametrize(("paired", "weighting"), [(True, "images"), (False, "cells")])
def test_pooled_test_sets_keep_pairs_and_weights_and_are_told_from_other_pools(paired, weighting):
    def fold(images, *cells):
        return Correctness([[np.array(cell, dtype=bool)] for cell in cells], paired, images, weighting)

    first, second = fold("a", [1, 0], [1, 1]), fold("b", [0, 0, 1], [0, 1, 0])

    found = pool([first, second])

    assert [cell.tolist() for row in found.right for cell in row] == [[1, 0, 0, 0, 1], [1, 1, 0, 1, 0]]
    assert (found.paired, found.weighting) == (paired, weighting)
    assert found.images == pool([first, second]).images
    assert len({found.images, pool([first, fold("c", [0], [1])]).images, pool([first]).images, "a"}) == 4
