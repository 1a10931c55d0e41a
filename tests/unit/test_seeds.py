"""Intervals and tests over seeds against scipy, statsmodels and by hand; published results that were tampered with."""

import doctest
import json
import re
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from fairdistill.evaluation import seeds
from fairdistill.evaluation.correctness import from_metrics
from fairdistill.evaluation.metrics import score
from fairdistill.reporting.runs import read_runs
from fairdistill.runtime.errors import UserError
from scripts import verify_results

ROOT = Path(__file__).parents[2]
DIFFERENCES = [-0.11, -0.07, 0.01, -0.15, -0.02]


def test_the_interval_is_scipys():
    expected = stats.ttest_1samp(DIFFERENCES, 0).confidence_interval(0.95)

    assert seeds.t_interval(DIFFERENCES) == pytest.approx(tuple(expected))


def test_the_sign_flip_test_counts_all_sign_patterns():
    means = [np.dot(signs, DIFFERENCES) for signs in product([-1, 1], repeat=5)]

    assert seeds.sign_flip_p(DIFFERENCES) == np.mean(np.abs(means) >= abs(sum(DIFFERENCES)) - 1e-12)


def test_one_seed_has_neither_interval_nor_p():
    assert np.isnan([*seeds.t_interval([0.1]), seeds.sign_flip_p([0.1])]).all()


def test_the_examples_in_the_docstrings_hold():
    failed, tried = doctest.testmod(seeds)

    assert (failed, tried) == (0, 2)


@pytest.mark.parametrize("n", [1, 2, 12, 60])
def test_holms_correction_is_that_of_statsmodels(n):
    rng = np.random.default_rng(n)
    # small ones, ties and missing ones
    for p in [rng.random(n) ** 4, rng.choice([0.01, 0.0625, 1.0], n), rng.choice([0.002, 0.03, 0.4, np.nan], n)]:
        known = ~np.isnan(p)
        expected = np.full(n, np.nan)
        if known.any():
            expected[known] = multipletests(p[known], method="holm")[1]

        np.testing.assert_allclose(seeds.holm(p), expected, rtol=1e-12)


def verify(monkeypatch, results):
    config = ROOT / "config" / "ablations.yaml"
    monkeypatch.setattr("sys.argv", ["verify_results", "--results", str(results), "--configfile", str(config)])
    verify_results.main()


@pytest.fixture
def results(tmp_path):
    """A copy of the published study, to be altered."""

    for part in ("metrics", "tables"):
        shutil.copytree(ROOT / "results" / "paper" / part, tmp_path / part)
    return tmp_path


def test_the_published_tables_follow_from_the_metrics_and_a_changed_digit_is_found(results, monkeypatch):
    verify(monkeypatch, results)

    table = results / "tables" / "paired.csv"
    header, first, *others = table.read_text().splitlines(keepends=True)
    changed = re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 1) % 10), first)
    table.write_text("".join([header, changed, *others]))
    with pytest.raises(SystemExit, match=r"paired.csv: line 2 is .*\nerror: 1 of the results"):
        verify(monkeypatch, results)


@pytest.mark.parametrize("name", ["splits.csv", "near_copies.csv"])
def test_scores_beside_those_of_the_metrics_are_compared_with_them(results, monkeypatch, name):
    table = pd.read_csv(results / "tables" / name)
    # of test images, and, where there are differences to teachers, of a model
    row = table.index[table.get("split", pd.Series("test", table.index)) == "test"][0]
    table.loc[row, "deo_m"] += 0.02
    table.to_csv(results / "tables" / name, index=False)
    with pytest.raises(SystemExit, match=rf"tables/{name}: deo_m is not that of metrics/.*\nerror: 1 of the results"):
        verify(monkeypatch, results)


@pytest.mark.parametrize(
    ("numpy", "shift", "holds"), [(None, 0, True), (None, 1e-4, False), ("1.0", 1e-4, True), ("1.0", 0.02, False)]
)
def test_intervals_that_another_numpy_drew_hold_to_an_image_of_a_hundred(results, monkeypatch, numpy, shift, holds):
    path = results / "metrics" / "utkface" / "resnet" / "mfd" / "seed0.json"
    record = json.loads(path.read_text())
    names = {name: record[name] for name in ("classes", "groups")}
    record["metrics"]["uncertainty"] = score(from_metrics(record["metrics"], **names), **names)["uncertainty"]
    record["evaluation_versions"]["numpy"] = numpy or np.__version__
    record["metrics"]["uncertainty"]["accuracy"]["low"] += shift
    path.write_text(json.dumps(record))
    assert (verify_results.differences_of_metrics(path, results) == []) is holds


def test_a_false_headline_number_is_named(results, monkeypatch):
    path = results / "metrics" / "utkface" / "resnet" / "mfd" / "seed0.json"
    record = json.loads(path.read_text())
    record["metrics"] |= {"accuracy": 0.9, "deo_a": 0.01}
    path.write_text(json.dumps(record))

    with pytest.raises(SystemExit) as caught:
        verify(monkeypatch, results)

    lines = str(caught.value).splitlines()
    assert lines[:2] == [f"{path}: {name} does not follow from the correctness" for name in ("accuracy", "deo_a")]
    # and the tables do not follow from what it says now
    assert all(line.startswith("tables/") for line in lines[2:-1])


def test_a_metrics_file_that_lacks_a_part_is_one_line(results, monkeypatch):
    path = results / "metrics" / "utkface" / "resnet" / "mfd" / "seed0.json"
    record = json.loads(path.read_text())
    del record["metrics"]["correctness"]
    path.write_text(json.dumps(record))

    with pytest.raises(UserError, match=r"mfd/seed0\.json: metrics lacks the key 'correctness'") as caught:
        verify(monkeypatch, results)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "digest"), [("base", "0" * 64), ("base", None)])
def test_a_student_of_another_base_is_named(results, monkeypatch, name, digest):
    path = results / "metrics" / "utkface" / "resnet" / "mfd" / "seed0.json"
    record = json.loads(path.read_text())
    record["inputs"][name] = digest
    path.write_text(json.dumps(record))

    base = results / "metrics" / "utkface" / "resnet" / "teacher" / "seed0.json"
    assert verify_results.differences_of_metrics(path, results) == [f"{path}: its base is another than that of {base}"]


def test_the_validation_split_is_verified_too(results):
    path = results / "metrics" / "utkface" / "resnet" / "mfd" / "seed0.json"
    record = json.loads(path.read_text())
    record["validation"] = record["metrics"] | {"deo_m": 0.5}
    path.write_text(json.dumps(record))

    found = verify_results.differences_of_metrics(path, results)

    assert found == [f"{path}: validation.deo_m does not follow from the correctness"]


def test_the_configuration_is_that_of_snakemake_with_the_published_name_and_seeds():
    runs = read_runs(ROOT / "results" / "paper" / "tables" / "runs.csv")

    study = verify_results.configuration([ROOT / "config" / "ablations.yaml"], runs)

    assert (study.study, study.seeds) == ("paper", [0, 1, 2, 3])
    # mappings are merged, and lists are replaced
    assert {"resnet", "resnet_cifar"} <= study.networks.keys()
    assert len(study.ablations) == 3


def test_a_study_of_another_configuration_is_refused():
    runs = read_runs(ROOT / "results" / "paper" / "tables" / "runs.csv").replace({"method": {"mfd": "kd7"}})

    with pytest.raises(UserError, match=r"has the method kd7, which the configuration does not define.*--configfile"):
        verify_results.configuration([], runs)


def test_a_table_that_nothing_makes_is_named(results, monkeypatch):
    (results / "tables" / "best.csv").write_text("accuracy\n0.9\n")

    with pytest.raises(SystemExit, match=r"tables/best\.csv is of nothing that this configuration makes"):
        verify(monkeypatch, results)
