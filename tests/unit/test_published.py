"""A study's numbers beside those of a published one."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from synthetic_results import make_constant, make_study

from fairdistill.evaluation.seeds import t_quantile
from fairdistill.reporting.models import read_files
from fairdistill.reporting.published import compare_studies, studies_markdown
from fairdistill.reporting.runs import write_csv
from fairdistill.reporting.verdicts import noise
from fairdistill.runtime.errors import UserError
from scripts import compare_with_published

KEY = ["dataset", "architecture", "method", "metric"]


@pytest.fixture
def published(tmp_path):
    return read_files(make_study(tmp_path / "published", methods=("mfd", "old"), seeds=range(4))).runs


@pytest.fixture
def own(tmp_path):
    study = make_study(tmp_path / "own", architectures=("resnet",), methods=("mfd", "new"), seeds=(7, 8))
    return read_files(study).runs


def row_of(comparison, *names):
    return comparison.set_index(KEY).loc[names]


def test_means_of_both_and_their_difference_stand_in_one_row(published, own):
    row = row_of(compare_studies(published, own), "utkface", "resnet", "mfd", "deo_m")

    ours, theirs = (
        runs.query("dataset == 'utkface' and architecture == 'resnet' and method == 'mfd'")["deo_m"]
        for runs in (own, published)
    )
    assert (row["own"], row["own_sd"], row["own_n"]) == pytest.approx((ours.mean(), ours.std(), 2))
    assert (row["published"], row["published_sd"], row["published_n"]) == pytest.approx(
        (theirs.mean(), theirs.std(), 4)
    )
    assert row["difference"] == pytest.approx(ours.mean() - theirs.mean())


def test_a_model_that_one_side_lacks_keeps_its_row(published, own):
    comparison = compare_studies(published, own)

    assert len(comparison) == 3 * (6 + 2 + 6)
    for model, counts in {("resnet", "new"): (0, 2), ("resnet", "old"): (4, 0), ("shufflenet", "mfd"): (4, 0)}.items():
        row = row_of(comparison, "cifar10s", *model, "accuracy")
        assert (row["published_n"], row["own_n"], row["verdict"]) == (*counts, "")
        assert np.isnan([row["difference"], row["noise"]]).all()
    # own models first, in their order
    assert comparison["method"].unique().tolist() == ["teacher", "mfd", "new", "old"]


def test_the_noise_of_one_more_run_is_that_of_the_comparison_with_the_paper():
    assert noise(0.03, 0.04, 3) == pytest.approx(np.hypot(np.sqrt(2) * 0.03, t_quantile(3) * 0.04 * np.sqrt(4 / 3)))
    assert noise(0.03, np.nan, 1) == pytest.approx(np.sqrt(2) * 0.03)


def test_the_noise_of_two_means_is_that_of_a_two_sample_t_test():
    # pooled over 3 + 1 degrees of freedom
    seeds = t_quantile(5) * np.sqrt((3 * 0.04**2 + 0.02**2) / 4 * (1 / 4 + 1 / 2))

    found = noise(0.03, 0.04, 4, other_test=0.01, other_sd=0.02, other_n=2)

    assert found == pytest.approx(np.sqrt(0.03**2 + 0.01**2 + seeds**2))
    assert found == pytest.approx(noise(0.01, 0.02, 2, other_test=0.03, other_sd=0.04, other_n=4))


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "within the noise"), (0.3, "outside the noise")])
def test_the_verdict_is_by_the_noise(published, shift, verdict):
    moved = published.assign(accuracy=published["accuracy"] - shift)

    comparison = compare_studies(published, moved).query("metric == 'accuracy'")

    assert set(comparison["verdict"]) == {verdict}


def test_the_deo_of_a_model_at_chance_has_no_verdict(tmp_path, published):
    paths = make_study(tmp_path / "own", seeds=(0, 1))
    for path in paths:
        if path.parts[-4:] == ("utkface", "resnet", "mfd", "seed1.json"):
            path.write_text(json.dumps(make_constant(json.loads(path.read_text()))))
    own = read_files(paths).runs

    for comparison in (compare_studies(published, own), compare_studies(own, published)):
        rows = comparison[comparison["verdict"] == "at chance"]
        assert rows[KEY].to_numpy().tolist() == [["utkface", "resnet", "mfd", deo] for deo in ("deo_a", "deo_m")]
        assert "`at chance`" in studies_markdown(comparison, published="results/paper")


def test_the_script_writes_both_forms(tmp_path, monkeypatch, published, own):
    write_csv(tmp_path / "theirs" / "tables" / "runs.csv", published)
    write_csv(tmp_path / "runs.csv", own)
    options = {"runs": tmp_path / "runs.csv", "published": tmp_path / "theirs"}
    options |= {"csv": tmp_path / "c.csv", "markdown": tmp_path / "c.md"}
    monkeypatch.setattr(sys, "argv", ["script", *(f"--{name}={value}" for name, value in options.items())])

    compare_with_published.main()

    assert len(pd.read_csv(tmp_path / "c.csv")) == 42
    page = (tmp_path / "c.md").read_text()
    assert f"beside the model of the same names in `{tmp_path}/theirs` (published)" in page
    assert "at chance" not in page
    line = next(line for line in page.splitlines() if line.startswith("| CIFAR-10S") and "| old " in line)
    assert [cell.strip() for cell in line.split("|")[7:12]] == ["", "0", "", "", ""]


def test_a_folder_without_tables_is_named(tmp_path, monkeypatch):
    options = {"runs": "runs.csv", "published": tmp_path, "csv": "c.csv", "markdown": "c.md"}
    monkeypatch.setattr(sys, "argv", ["script", *(f"--{name}={value}" for name, value in options.items())])

    with pytest.raises(UserError, match=r"--published: there is no .*tables/runs\.csv; give the folder of a study"):
        compare_with_published.main()
