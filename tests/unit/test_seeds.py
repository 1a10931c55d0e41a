"""Tests over seeds against statsmodels and by hand; published results that were tampered with."""

import doctest
import json
import re
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests
from synthetic_results import CLASSES, GROUPS, make_predictions, make_training

from fairdistill.evaluation import seeds
from fairdistill.evaluation.correctness import from_metrics
from fairdistill.evaluation.metrics import evaluate, score
from fairdistill.evaluation.probabilities import read_cells, write_compact
from fairdistill.reporting.runs import read_runs
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import sha256
from fairdistill.runtime.provenance import versions
from scripts import verify_results

ROOT = Path(__file__).parents[2]
DIFFERENCES = [-0.11, -0.07, 0.01, -0.15, -0.02]


def test_the_sign_flip_test_counts_all_sign_patterns():
    means = [np.dot(signs, DIFFERENCES) for signs in product([-1, 1], repeat=5)]

    assert seeds.sign_flip_p(DIFFERENCES) == np.mean(np.abs(means) >= abs(sum(DIFFERENCES)) - 1e-12)


def test_one_seed_has_no_p_and_two_have_one():
    assert np.isnan(seeds.sign_flip_p([0.1]))
    assert seeds.sign_flip_p([1, 2]) == 0.5


def test_up_to_sixteen_differences_all_sign_patterns_are_tried():
    # of the 2^16 patterns, all plus and all minus have as large a mean
    assert seeds.sign_flip_p(np.full(16, 0.1)) == 2 / 2**16


def test_of_more_differences_the_same_9999_patterns_are_drawn_each_time():
    differences = np.arange(17) - 6.0
    sums = np.array([0])
    for one in differences:
        sums = np.concatenate([sums - one, sums + one])

    p = seeds.sign_flip_p(differences)

    assert p == pytest.approx(np.mean(np.abs(sums) >= differences.sum()), abs=0.03)
    # twice the tail of the patterns that were drawn, and of the one that was observed
    assert p * 10_000 / 2 == pytest.approx(round(p * 10_000 / 2), abs=1e-9)
    assert {seeds.sign_flip_p(differences) for _ in range(3)} == {p}


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


@pytest.mark.long
def test_the_published_tables_follow_from_the_metrics(results, monkeypatch):
    verify(monkeypatch, results)


@pytest.mark.long
def test_each_table_that_was_tampered_with_is_named(results, monkeypatch):
    """A changed digit, two scores that stand beside those of the metrics, and a table that nothing makes."""
    tables = results / "tables"
    header, first, *others = (tables / "paired.csv").read_text().splitlines(keepends=True)
    changed = re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 1) % 10), first)
    (tables / "paired.csv").write_text("".join([header, changed, *others]))
    for name in ("splits.csv", "near_copies.csv"):
        table = pd.read_csv(tables / name)
        # of test images, and, where there are differences to teachers, of a model
        row = table.index[table.get("split", pd.Series("test", table.index)) == "test"][0]
        table.loc[row, "deo_m"] += 0.02
        table.to_csv(tables / name, index=False)
    (tables / "best.csv").write_text("accuracy\n0.9\n")

    with pytest.raises(SystemExit) as caught:
        verify(monkeypatch, results)

    *wrong, count = str(caught.value).splitlines()
    expected = [
        r"tables/paired\.csv: line 2 is .*",
        r"tables/splits\.csv: deo_m is not that of metrics/.*",
        r"tables/near_copies\.csv: deo_m is not that of metrics/.*",
        r"tables/best\.csv is of nothing that this configuration makes.*",
    ]
    assert all(len([line for line in wrong if re.fullmatch(one, line)]) == 1 for one in expected), wrong
    assert count.startswith("error: 4 of the results")


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


@pytest.mark.long
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


@pytest.fixture
def with_probabilities(tmp_path):
    """A metrics file with its probabilities beside it, and the table that those are of."""
    predictions = make_predictions()
    record = make_training() | {"outputs": {}, "evaluation_versions": versions()}
    record["metrics"] = evaluate(predictions, classes=CLASSES, groups=GROUPS)
    path = tmp_path / "metrics" / "utkface" / "resnet" / "teacher" / "seed0.json"
    path.parent.mkdir(parents=True)

    def write(table, **changed):
        table.to_parquet(tmp_path / "predictions.parquet")
        write_compact(path.with_suffix(".parquet"), tmp_path / "predictions.parquet")
        digest = {"probabilities": sha256(path.with_suffix(".parquet"))}
        path.write_text(json.dumps(record | digest | changed))
        return verify_results.differences_of_metrics(path, tmp_path)

    return path, predictions, write


def wrong_answer(predictions):
    """The predictions, one right answer of which has become wrong."""
    changed = predictions.copy()
    p = [f"p{y}" for y in range(len(CLASSES))]
    right = changed[p].to_numpy().argmax(axis=1) == changed["label"]
    changed.loc[right.idxmax(), p] = changed.loc[right.idxmax(), p].to_numpy("float32")[[1, 2, 0]]
    return changed


def test_probabilities_that_the_answers_follow_from_hold(with_probabilities):
    _, predictions, write = with_probabilities

    assert write(predictions) == []


def test_a_tie_that_half_precision_makes_is_left_open(with_probabilities):
    _, predictions, write = with_probabilities
    p = [f"p{y}" for y in range(len(CLASSES))]
    assert predictions.loc[0, "label"] == 0
    # of different order in single precision, and equal in half precision
    for first, second, right in ((0.50001, 0.49999, True), (0.49999, 0.50001, False)):
        table = predictions.copy()
        table.loc[0, p] = np.array([first, second, 0.0], dtype="float32")
        assert bool(table[p].to_numpy()[0].argmax() == 0) is right
        assert write(table, metrics=evaluate(table, classes=CLASSES, groups=GROUPS)) == []


def test_an_answer_that_the_probabilities_contradict_is_found(with_probabilities):
    path, predictions, write = with_probabilities

    found = write(wrong_answer(predictions))

    assert found == [f"{path}: correctness does not follow from {path.with_suffix('.parquet')}"]


def test_probabilities_of_other_images_or_splits_are_found(with_probabilities):
    path, predictions, write = with_probabilities
    file = path.with_suffix(".parquet")

    assert write(predictions.iloc[:-1]) == [f"{path}: cell_count does not follow from {file}"]
    more = pd.concat([predictions, make_predictions(n=60, split="validation")])
    assert write(more) == [f"{path}: {file} is of other splits"]


def test_probabilities_that_are_gone_damaged_or_not_named_are_one_line(with_probabilities):
    path, predictions, write = with_probabilities
    file = path.with_suffix(".parquet")

    other = [f"{path}: {file} is another than the one evaluated"]
    assert write(predictions, probabilities="0" * 64) == other
    assert write(predictions, probabilities=None) == other
    nan = predictions.assign(p0=np.float32(np.nan))
    assert write(nan) == [f"{file}: a probability is not a number in 0..1"]
    assert write(predictions.drop(columns="p2")) == [f"{file}: column 'p2' is missing"]
    assert write(predictions.assign(label=np.int16(3))) == [f"{file}: label holds 3..3, outside 0..2"]

    write(predictions)
    file.write_bytes(file.read_bytes()[:-10])
    assert verify_results.differences_of_metrics(path, path.parents[4]) == other
    file.unlink()
    assert verify_results.differences_of_metrics(path, path.parents[4]) == [f"{path}: {file} is missing"]


def test_a_damaged_file_of_probabilities_is_one_line(with_probabilities):
    path, _, _ = with_probabilities
    file = path.with_suffix(".parquet")
    file.write_bytes(b"PAR1")

    with pytest.raises(UserError, match=rf"^{file}: .*Parquet") as caught:
        read_cells(file, classes=CLASSES, groups=GROUPS)

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
