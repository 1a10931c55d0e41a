"""Intervals and tests over seeds against scipy, by hand, and in published tables that were tampered with."""

import doctest
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from fairdistill import seeds
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


def verify(monkeypatch, results):
    arguments = ["--results", str(results), "--paper-values", str(ROOT / "config" / "paper_values.csv")]
    monkeypatch.setattr("sys.argv", ["verify_results", *arguments])
    verify_results.main()


def test_the_published_tables_follow_from_the_metrics_and_a_changed_digit_is_found(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "results" / "paper" / "metrics", tmp_path / "metrics")
    shutil.copytree(ROOT / "results" / "paper" / "tables", tmp_path / "tables")
    verify(monkeypatch, tmp_path)

    table = tmp_path / "tables" / "paired.csv"
    table.write_text(table.read_text().replace("0.77", "0.78", 1))
    with pytest.raises(SystemExit, match=r"paired.csv: line \d+ is .*\nerror: 1 of the results"):
        verify(monkeypatch, tmp_path)
