"""The table of how much each source of chance brings."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic_results import make_training

from fairdistill.evaluation.correctness import Correctness
from fairdistill.evaluation.metrics import score
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.models import read_files
from fairdistill.reporting.summaries import summarise
from fairdistill.runtime.errors import UserError
from scripts import compare_streams
from scripts.compare_streams import as_markdown, compare, named, spread


def summary(values, method="teacher", metric="deo_m"):
    """A summary in which all metrics but one have the same values."""
    of_metrics = {"accuracy": [0.5] * len(values), "deo_a": [0.1] * len(values), "deo_m": [0.2] * len(values)}
    of_metrics |= {metric: values, "worst_group_accuracy": values}
    seeds = " ".join(map(str, range(len(values))))
    table = pd.DataFrame(
        {"metric": list(of_metrics), "values": [" ".join(map(str, found)) for found in of_metrics.values()]}
    )
    return table.assign(dataset="d", architecture="a", method=method, seeds=seeds)


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
    first = pd.concat([summary([0.1, 0.2]), summary([0.2, 0.2], "mfd")])
    table = compare({"weights": first, "order": summary([0.1, 0.5])})
    of_one = table[(table["method"] == "teacher") & (table["metric"] == "deo_m")]
    assert of_one["study"].tolist() == ["weights", "order"]
    assert of_one["sd"].tolist() == pytest.approx([0.1 / np.sqrt(2), 0.4 / np.sqrt(2)])
    assert table["method"].tolist() == ["teacher"] * 6 + ["mfd"] * 3
    assert "| 0.0707 | 0.0315 to 2.2564 |" in as_markdown(table)


def test_over_folds_the_value_of_a_seed_is_that_of_all_its_answers(tmp_path, monkeypatch, capsys):
    """In each fold another group is the better one by 0.4, so that over both folds no group is."""
    paths = []
    names = {"classes": ["x", "y"], "groups": ["a", "b"]}
    for seed, fold in product(range(3), range(2)):
        # cells of 20 images; of seed s, s more are right in one cell of the last class
        right = [[np.arange(20) < 16 - 8 * (group != fold) for _ in range(2)] for group in range(2)]
        right[1][1] = np.arange(20) < right[1][1].sum() + seed
        record = make_training(seed=seed) | names
        record["run"]["fold"] = fold
        record["data"]["settings"]["folds"] = 2
        record["metrics"] = score(Correctness(right, paired=False, images=f"{fold:064x}"), **names, resamples=50)
        paths.append(tmp_path / f"seed{seed}-fold{fold}.json")
        paths[-1].write_text(json.dumps(record))
    models = read_files(paths)
    write_csv(tmp_path / "tables" / "summary.csv", summarise(models.runs, models.trainings))

    monkeypatch.setattr("sys.argv", ["compare_streams", str(tmp_path), "--csv", str(tmp_path / "streams.csv")])
    compare_streams.main()

    found = pd.read_csv(tmp_path / "streams.csv").set_index("metric")
    # two folds of s more right answers in 40: the gap of one class of two; a single fold's DEO is about 0.4
    of_seeds = np.array([0, 2 / 40, 4 / 40])
    assert found.loc["deo_m", ["n", "mean", "sd"]].tolist() == pytest.approx([3, 0.05, of_seeds.std(ddof=1)])
    assert found.loc["deo_a", ["mean", "sd"]].tolist() == pytest.approx([0.025, of_seeds.std(ddof=1) / 2])
    assert found.loc["accuracy", ["mean", "sd"]].tolist() == pytest.approx([0.6125, of_seeds.std(ddof=1) / 4])
    assert f"{tmp_path.name} | 3 " in capsys.readouterr().out


def test_one_seed_has_no_spread():
    with pytest.raises(UserError, match=r"^s: d a teacher has one seed, and a spread takes two; train more seeds$"):
        compare({"s": summary([0.1])})


def test_two_studies_of_one_name_are_refused():
    with pytest.raises(UserError, match=r"^b/s: has the name of a/s; name the folder of each study differently$"):
        named([Path("a/s"), Path("b/s")])


def test_the_folder_one_is_in_has_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert list(named([Path("."), Path("x/")])) == [tmp_path.name, "x"]
