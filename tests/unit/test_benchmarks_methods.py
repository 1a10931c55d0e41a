"""The speed of each method."""

import pandas as pd
import pytest

from benchmarks.methods import PLAIN, methods_to_measure, summarise, to_markdown


@pytest.fixture
def runs():
    speed = {(PLAIN, "reference"): 500, (PLAIN, "fast"): 1500, ("kd", "reference"): 400, ("kd", "fast"): 600}
    rows = [(*case, value * noise) for case, value in speed.items() for noise in (0.9, 1.0, 1.5)]
    return pd.DataFrame(rows, columns=["method", "engine", "images_per_second"])


def test_each_way_to_train_is_measured_once():
    methods = methods_to_measure()
    assert {"erm", "kd", "mfd", "mfd_polynomial"} <= methods.keys()
    assert methods["mfd_from_resnet50"].base_kind == "resnet50"
    # the same steps: of other images, from another base, or none at all
    assert not {"balanced", "mfd_plain", "mfd_from_group_dro", "hardt"} & methods.keys()


def test_ratio_and_cost_are_of_medians(runs):
    table = summarise(runs).set_index("method")
    assert table["ratio"].to_dict() == {PLAIN: 3.0, "kd": 1.5}
    assert table.loc["kd", ["cost_reference", "cost_fast"]].tolist() == [1.25, 2.5]


def test_the_page_names_what_is_below_the_goal(runs):
    text = to_markdown(summarise(runs), "Measured on: a machine.", 3)
    assert "| kd | 400 | 600 | 1.50 | 1.25 | 2.50 |" in " ".join(text.split())
    assert "Below 2: kd;" in text
    assert "the median of 3 rounds" in text
    assert "Each number is of one round" in to_markdown(summarise(runs), "Measured on: a machine.", 1)
    faster = runs.assign(images_per_second=runs["images_per_second"].where(runs["engine"] == "reference", 1e4))
    assert "Below" not in to_markdown(summarise(faster), "Measured on: a machine.", 3)
