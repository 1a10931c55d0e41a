"""The table of how much each source of chance brings."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairdistill.runtime.errors import UserError
from scripts.compare_streams import as_markdown, compare, spread


def runs(values, method="teacher", metric="deo_m"):
    table = pd.DataFrame({"seed": range(len(values)), "accuracy": 0.5, "deo_a": 0.1, "deo_m": 0.2})
    table[metric] = values
    return table.assign(dataset="d", architecture="a", method=method)


def test_the_interval_of_a_spread_covers_the_true_one():
    rng = np.random.default_rng(0)
    found = [spread(pd.Series(rng.normal(0.3, 0.05, 6))) for _ in range(2000)]
    covered = np.mean([one["sd_low"] <= 0.05 <= one["sd_high"] for one in found])
    assert covered == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 2000))


def test_the_spread_is_that_of_a_chi_squared_variance():
    found = spread(pd.Series([0.1, 0.2, 0.4]))
    assert (found["n"], found["mean"]) == (3, pytest.approx(0.7 / 3))
    variance = np.var([0.1, 0.2, 0.4], ddof=1)
    assert found["sd_high"] ** 2 == pytest.approx(2 * variance / stats.chi2.ppf(0.025, 2))
    assert found["sd_low"] ** 2 == pytest.approx(2 * variance / stats.chi2.ppf(0.975, 2))


def test_studies_stand_beside_each_other_model_by_model_and_metric_by_metric():
    first = pd.concat([runs([0.1, 0.2]), runs([0.2, 0.2], "mfd")])
    table = compare({"weights": first, "order": runs([0.1, 0.5])})
    of_one = table[(table["method"] == "teacher") & (table["metric"] == "deo_m")]
    assert of_one["study"].tolist() == ["weights", "order"]
    assert of_one["sd"].tolist() == pytest.approx([0.1 / np.sqrt(2), 0.4 / np.sqrt(2)])
    assert table["method"].tolist() == ["teacher"] * 6 + ["mfd"] * 3
    assert "| 0.0707 | 0.0315 to 2.2564 |" in as_markdown(table)


def test_the_folds_of_a_seed_count_as_one():
    folds = pd.concat([runs([0.1, 0.2]), runs([0.3, 0.2])])
    found = compare({"s": folds}).set_index("metric").loc["deo_m"]
    assert (found["n"], found["mean"]) == (2, pytest.approx(0.2))


def test_one_seed_has_no_spread():
    with pytest.raises(UserError, match=r"^s: d a teacher has one seed, and a spread takes two; train more seeds$"):
        compare({"s": runs([0.1])})
