"""Published tables that do not follow from the metrics, and how far numbers in them may differ."""

import json

import pandas as pd
import pytest
from synthetic_results import make_study

from fairdistill.reporting.models import read_files
from fairdistill.runtime.errors import UserError
from fairdistill.verification.comparing import first_difference
from fairdistill.verification.remade_tables import remake_ablations
from fairdistill.verification.scored_tables import SCORED, differences_of_scores

SPLITS = "dataset,architecture,method,seed,split,accuracy,deo_a,deo_m\n"


@pytest.fixture
def study(tmp_path):
    make_study(tmp_path / "metrics", datasets=("utkface",), architectures=("resnet",))
    return tmp_path


def scored(study, text):
    path = study / "splits.csv"
    path.write_text(text)
    return differences_of_scores(path, SCORED["splits.csv"], study)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", r".*splits\.csv: not readable as CSV .*; make it with scripts\.compare_splits"),
        (SPLITS, r".*splits\.csv: has no rows; .*"),
        (
            SPLITS + "utkface,resnet,mfd,x,test,0,0,0\n",
            r".*splits\.csv: row 2: seed is 'x'; it must be a whole number from 0 on.*",
        ),
        (SPLITS + "utkface,resnet,mfd,0,train,0,0,0\n", r".*splits\.csv: has no scores on test images; .*"),
        (SPLITS + "utkface,resnet,kd,0,test,0,0,0\n", r"tables/splits\.csv: there is no metrics/utkface/resnet/kd/.*"),
    ],
)
def test_a_damaged_table_of_scores_does_not_hold(study, text, what):
    found = scored(study, text)
    assert len(found) == 1
    assert pd.Series(found).str.fullmatch(what).all(), found


def test_scores_are_those_of_the_metrics_and_none_is_missing(study):
    metrics = json.loads((study / "metrics/utkface/resnet/mfd/seed0.json").read_text())["metrics"]
    right = f"{SPLITS}utkface,resnet,mfd,0,test,{metrics['accuracy']},{metrics['deo_a']},"
    assert scored(study, f"{right}{metrics['deo_m']}\n") == []
    wrong = ["tables/splits.csv: deo_m is not that of metrics/utkface/resnet/mfd/seed0.json"]
    assert scored(study, f"{right}{metrics['deo_m'] + 0.1}\n") == wrong
    assert scored(study, f"{right}\n") == wrong


def test_ablations_of_models_that_are_not_there_are_named(study):
    models = read_files(sorted(study.rglob("*.json")))
    path = study / "ablations.csv"
    columns = (
        "part,dataset,architecture,method,minus,metric,estimate,sd,n,trainings,low,corrected,high,images,between,run"
    )
    path.write_text(
        f"{columns},shared,seeds,at_chance,needs_group\nmodel,utkface,resnet,kd,,accuracy,1,,1,1,,,,,,,,0,False,False\n"
    )
    with pytest.raises(UserError, match=r"ablations\.csv: is of models that have no metrics file; make it with"):
        remake_ablations(path, models, None)


@pytest.mark.parametrize(
    ("published", "difference"),
    [
        (b"a\nb\n", ""),
        (b"a\nc\n", "line 2 is 'c', and should be 'b'"),
        (b"a\n", "has 1 lines, and should have 2"),
        (b"a\nb\nc\n", "has 3 lines, and should have 2"),
        (b"", "has 0 lines, and should have 2"),
        (b"a\n\xff\n", "is no text ('utf-8' codec can't decode byte 0xff in position 2: invalid start byte)"),
    ],
)
def test_the_first_difference_is_named(published, difference):
    assert first_difference(published, "a\nb\n") == difference


@pytest.mark.parametrize(
    ("published", "holds"),
    [
        ("mfd,0.04368166143,0 1,0.25 1e-05,True", True),
        ("mfd,0.04368166143,0 1,0.25 1.0002e-05,True", True),
        ("mfd,0.0436817,0 1,0.25 1e-05,True", False),
        ("mfd,0.04368166142,0 1,0.251 1e-05,True", False),
        ("mfd,0.04368166142,0 1,0.25 1e-05,False", False),
        ("mfd,0.04368166142,0 1,0.25,True", False),
        ("mfd,nan,0 1,0.25 1e-05,True", False),
    ],
)
def test_numbers_of_a_table_may_differ_by_rounding_alone(published, holds):
    """As sums do whose terms another processor adds in another order."""
    assert (first_difference(published.encode(), "mfd,0.04368166142,0 1,0.25 1e-05,True") == "") == holds
