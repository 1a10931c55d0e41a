"""Tables that were damaged, or put together by hand: one line each, whichever script reads them."""

import re

import pytest
from synthetic_results import make_study

from fairdistill.reporting.ablations import compared_runs
from fairdistill.reporting.csv_files import csv_text
from fairdistill.reporting.models import read_files
from fairdistill.reporting.pairs import pair_with_bases, read_paired
from fairdistill.reporting.runs import read_runs
from fairdistill.reporting.summaries import read_summary, summarise
from fairdistill.runtime.errors import UserError

AGAIN = "make it with scripts.aggregate_results"


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    paths = make_study(tmp_path_factory.mktemp("study"), datasets=("utkface",), architectures=("resnet",), seeds=(0, 1))
    models = read_files(paths)
    paired = pair_with_bases(models.runs, models.trainings)
    summary = summarise(models.runs, models.trainings)
    return {read_runs: csv_text(models.runs), read_summary: csv_text(summary), read_paired: csv_text(paired)}


def read(reader, content, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        reader(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


def set_cell(text, column, value, row=1):
    lines = [line.split(",") for line in text.splitlines()]
    lines[row][lines[0].index(column)] = value
    return "".join(f"{','.join(line)}\n" for line in lines)


@pytest.mark.parametrize("reader", [read_runs, read_summary, read_paired, compared_runs])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not readable as CSV (No columns to parse from file)"),
        (b"\xff\xfe\x00\x93\n\x8f", "not readable as CSV ('utf-8' codec can't decode byte 0xff"),
        (b"a,b\n1,2\n1,2,3\n", "not readable as CSV (Error tokenizing data"),
        (b"a,b\n1,2\n", "column '"),
    ],
)
def test_what_is_no_table_is_named(reader, content, what, tmp_path):
    assert read(reader, content, tmp_path).startswith(f": {what}")


@pytest.mark.parametrize("reader", [read_runs, read_summary])
def test_a_header_alone_is_no_study(reader, texts, tmp_path):
    header = texts[reader].splitlines()[0]
    assert read(reader, header, tmp_path) == f": has no rows; {AGAIN}"


def test_a_study_of_teachers_has_a_header_alone_in_its_table_of_pairs(texts, tmp_path):
    (tmp_path / "paired.csv").write_text(texts[read_paired].splitlines(keepends=True)[0])
    assert read_paired(tmp_path / "paired.csv").empty


@pytest.mark.parametrize(
    ("reader", "column", "value", "what"),
    [
        (read_runs, "seed", "x", "seed is 'x'; it must be a whole number from 0 on"),
        (read_runs, "seed", "", "seed is ''; it must be a whole number from 0 on"),
        (read_runs, "fold", "0.5", "fold is '0.5'; it must be a whole number from 0 on"),
        (read_runs, "accuracy", "high", "accuracy is 'high'; it must be a number from 0 to 1"),
        (read_runs, "paired", "yes", "paired is 'yes'; it must be True or False"),
        (read_summary, "mean", "abc", "mean is 'abc'; it must be a number"),
        (read_summary, "high", "inf", "high is 'inf'; it must be a number"),
        (read_summary, "n", "1e300", "n is '1e[+]300'; it must be a whole number from 0 on"),
        (read_summary, "values", "a b c d", "its values are not numbers of its 2 seeds with its mean"),
        (read_summary, "values", "0.5", "its values are not numbers of its 2 seeds with its mean"),
        (read_summary, "seeds", "0 0", "its values are not numbers of its 2 seeds with its mean"),
        (read_summary, "mean", "", "its values are not numbers of its 2 seeds with its mean"),
        (read_paired, "difference", "-", "difference is '-'; it must be a number"),
    ],
)
def test_a_value_of_another_kind_is_named_with_its_row(reader, column, value, what, texts, tmp_path):
    message = read(reader, set_cell(texts[reader], column, value, row=2), tmp_path)
    assert re.fullmatch(f": row 3: {what}; {AGAIN}", message), message


@pytest.mark.parametrize(
    ("reader", "names"),
    [
        (read_runs, "paper utkface resnet teacher teacher 0 0"),
        (read_summary, "utkface resnet teacher accuracy"),
        (read_paired, "utkface resnet mfd resnet teacher accuracy"),
    ],
)
def test_a_row_that_comes_twice_is_named(reader, names, texts, tmp_path):
    rows = texts[reader].splitlines(keepends=True)
    assert read(reader, "".join([*rows, rows[1]]), tmp_path) == f": {names} comes twice; {AGAIN}"


def test_two_tables_one_behind_the_other_are_no_table(texts, tmp_path):
    text = texts[read_summary]
    row = len(text.splitlines()) + 1
    message = read(read_summary, text + text, tmp_path)
    assert message == f": row {row}: role is 'role'; it must be one of teacher, student; {AGAIN}"


def test_ablations_without_seeds_are_named(tmp_path):
    columns = (
        "part,dataset,architecture,method,minus,metric,estimate,sd,n,trainings,low,corrected,high,images,between,run"
    )
    text = f"{columns},shared,seeds,at_chance,needs_group\nmodel,d,a,m,,accuracy,0.5,,1,1,,,,,,,,x,False,False\n"
    message = read(compared_runs, text, tmp_path)
    assert message == ": the rows of its models do not have their seeds; make it with scripts.make_ablations"
