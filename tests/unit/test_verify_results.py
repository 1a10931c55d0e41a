"""scripts.verify_results on the published study, and on configurations and files that are damaged.

tests/workflow has studies that were run whole.
"""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from fairdistill.reporting.runs import read_runs
from fairdistill.runtime.errors import UserError, run_script
from scripts import verify_results
from scripts.verify_results import read_study

ROOT = Path(__file__).parents[2]


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


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"a: [", "is not YAML ("),
        (b"\xff\xfe\x00\x93\x81", "is no text in UTF-8 ("),
        (b"a: \x00", "is not YAML ("),
        (b"[" * 100_000, "is nested too deeply;"),
        (b"- a", "has to hold settings, as `key: value`;"),
        (b"", "has to hold settings, as `key: value`;"),
        (b"seeds: [0]\nseeds: [1]", "line 2: the key 'seeds' comes twice"),
    ],
)
def test_a_configuration_that_is_none_is_one_line(content, what, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_study([path], pd.DataFrame())
    assert str(caught.value).startswith(f"{path}: {what}")
    assert "\n" not in str(caught.value)


def test_a_configuration_in_json_may_be_indented_with_tabs(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{\n\t"training": {"epochs": 7}\n}')
    names = {"dataset": ["cifar10s"], "architecture": ["resnet"], "method": ["mfd"]}
    runs = pd.DataFrame({"study": ["mine"], "seed": [3], **names})
    study = read_study([path], runs)
    assert (study.study, study.seeds, study.training.epochs) == ("mine", [3], 7)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"study,dataset\n"])
def test_a_study_whose_table_of_runs_is_damaged_is_one_line(content, tmp_path, monkeypatch):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "runs.csv").write_bytes(content)
    monkeypatch.setattr("sys.argv", ["verify_results", "--results", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        run_script(verify_results.main)
    assert str(caught.value).startswith(f"error: {tmp_path / 'tables' / 'runs.csv'}: ")
    assert "\n" not in str(caught.value)


def test_the_configuration_is_that_of_snakemake_with_the_published_name_and_seeds():
    runs = read_runs(ROOT / "results" / "paper" / "tables" / "runs.csv")

    study = read_study([ROOT / "config" / "ablations.yaml"], runs)

    assert (study.study, study.seeds) == ("paper", [0, 1, 2, 3])
    # mappings are merged, and lists are replaced
    assert {"resnet", "resnet_cifar"} <= study.networks.keys()
    assert len(study.ablations) == 3


def test_seeds_of_methods_that_are_still_to_be_trained_are_left_out(tmp_path):
    runs = read_runs(ROOT / "results" / "paper" / "tables" / "runs.csv")
    students = "{erm: {kind: erm}, kd: {kind: kd}}"
    own = tmp_path / "own.yaml"
    own.write_text(
        f"methods: [mfd, erm, kd]\nstudents: {students}\nseeds: [0, 9]\nmethod_seeds: {{erm: [0, 9], kd: [9]}}"
    )

    study = read_study([own], runs)

    assert (study.seeds_of("mfd"), study.seeds_of("erm")) == ([0, 1, 2, 3], [0])


def test_a_study_of_another_configuration_is_refused():
    runs = read_runs(ROOT / "results" / "paper" / "tables" / "runs.csv").replace({"method": {"mfd": "kd7"}})

    with pytest.raises(UserError, match=r"has the method kd7, which the configuration does not define.*--configfile"):
        read_study([], runs)
