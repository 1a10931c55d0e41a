"""A study's numbers beside those of a published one."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from synthetic_results import make_constant, make_study

from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.models import read_files
from fairdistill.reporting.published import compare_studies, studies_markdown
from fairdistill.reporting.summaries import summarise
from fairdistill.reporting.trainings import values_of
from fairdistill.reporting.verdicts import noise_between, noise_of_another_run
from fairdistill.runtime.errors import UserError
from scripts import compare_with_published

pytestmark = pytest.mark.usefixtures("rough_intervals")

KEY = ["dataset", "architecture", "method", "metric"]


def summary_of(paths):
    models = read_files(paths)
    return summarise(models.runs, models.trainings)


@pytest.fixture
def published(tmp_path):
    return summary_of(make_study(tmp_path / "published", methods=("mfd", "old"), seeds=range(4)))


@pytest.fixture
def own(tmp_path):
    study = make_study(tmp_path / "own", architectures=("resnet",), methods=("mfd", "new"), seeds=(7, 8))
    return summary_of(study)


def row_of(comparison, *names):
    return comparison.set_index(KEY).loc[names]


def test_means_of_both_and_their_difference_stand_in_one_row(published, own):
    row = row_of(compare_studies(published, own), "utkface", "resnet", "mfd", "deo_m")

    ours, theirs = (
        values_of(
            study.query(
                "dataset == 'utkface' and architecture == 'resnet' and method == 'mfd' and metric == 'deo_m'"
            ).squeeze()
        )
        for study in (own, published)
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


def row(images, between, trainings, shared=0.0, test_images="a"):
    return {"images": images, "between": between, "trainings": trainings, "shared": shared, "test_images": test_images}


def test_the_noise_of_one_more_training_has_its_images_and_the_spread_of_trainings():
    ours = {"images": 0.03, "between": 0.02, "another": np.hypot(0.05, 2 * 0.02)}

    assert noise_of_another_run(ours) == pytest.approx(np.sqrt(0.03**2 + 0.02**2 + 0.05**2 + 4 * 0.02**2))


def test_what_the_same_images_give_to_all_trainings_cancels():
    one, other = row(0.05, 0.02, 4, shared=0.04), row(0.06, 0.03, 2, shared=0.04)

    apart = noise_between(one, other | {"test_images": "b"})

    assert apart == pytest.approx(np.sqrt(0.05**2 + 0.06**2 + 0.02**2 + 0.03**2))
    assert noise_between(one, other) == pytest.approx(np.sqrt(apart**2 - 2 * 0.04**2))
    assert noise_between(other, one) == pytest.approx(noise_between(one, other))


def test_a_single_training_has_the_spread_of_the_others():
    assert noise_between(row(0.05, 0.0, 1), row(0.05, 0.02, 4)) == pytest.approx(np.sqrt(2 * 0.05**2 + 5 * 0.02**2))


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "within the noise"), (0.3, "outside the noise")])
def test_the_verdict_is_by_the_noise(published, shift, verdict):
    moved = published.assign(mean=published["mean"] - shift)

    comparison = compare_studies(published, moved).query("metric == 'accuracy'")

    assert set(comparison["verdict"]) == {verdict}


def test_the_deo_of_a_model_at_chance_has_no_verdict(tmp_path, published):
    paths = make_study(tmp_path / "own", seeds=(0, 1))
    for path in paths:
        if path.parts[-4:] == ("utkface", "resnet", "mfd", "seed1.json"):
            path.write_text(json.dumps(make_constant(json.loads(path.read_text()))))
    own = summary_of(paths)

    for comparison in (compare_studies(published, own), compare_studies(own, published)):
        rows = comparison[comparison["verdict"] == "at chance"]
        assert rows[KEY].to_numpy().tolist() == [["utkface", "resnet", "mfd", deo] for deo in ("deo_a", "deo_m")]
        assert "`at chance`" in studies_markdown(comparison, published="results/paper")


def test_the_script_writes_both_forms(tmp_path, monkeypatch, published, own):
    write_csv(tmp_path / "theirs" / "tables" / "summary.csv", published)
    write_csv(tmp_path / "summary.csv", own)
    options = {"summary": tmp_path / "summary.csv", "published": tmp_path / "theirs"}
    options |= {"csv": tmp_path / "c.csv", "markdown": tmp_path / "c.md"}
    monkeypatch.setattr(sys, "argv", ["script", *(f"--{name}={value}" for name, value in options.items())])

    compare_with_published.main()

    assert len(pd.read_csv(tmp_path / "c.csv")) == 42
    page = (tmp_path / "c.md").read_text()
    assert f"with the same data set, architecture and method in `{tmp_path}/theirs` (published)" in page
    assert "at chance" not in page
    line = next(line for line in page.splitlines() if line.startswith("| CIFAR-10S") and "| old " in line)
    assert [cell.strip() for cell in line.split("|")[7:12]] == ["", "0", "", "", ""]


def test_a_folder_without_tables_is_named(tmp_path, monkeypatch):
    options = {"summary": "summary.csv", "published": tmp_path, "csv": "c.csv", "markdown": "c.md"}
    monkeypatch.setattr(sys, "argv", ["script", *(f"--{name}={value}" for name, value in options.items())])

    with pytest.raises(UserError, match=r"--published: there is no .*tables/summary\.csv; give the folder of a study"):
        compare_with_published.main()
