"""What a campaign of kills compares, all but the times that no two runs have in common, and what it finds left."""

import json

import pytest
from artefacts import artefacts, leftovers


@pytest.fixture
def results(tmp_path):
    model = tmp_path / "models" / "seed0"
    (tmp_path / "tables").mkdir()
    model.mkdir(parents=True)
    (model / "weights.safetensors").write_bytes(b"1")
    record = {"seconds": 1.5, "code": "a", "outputs": {"weights.safetensors": "d1", "history.csv": "d2"}}
    (model / "training.json").write_text(json.dumps(record))
    (model / "history.csv").write_text("epoch,loss,seconds,cpu_seconds\n1,2.5,3.5,4.5\n")
    (tmp_path / "tables" / "methods.csv").write_text("method,mean,cost_seconds\nmfd,0.5,3\n")
    for name in ("table1.md", "table1.tex"):
        (tmp_path / "tables" / name).write_text("| model | accuracy |\n|---|---|\n| mfd | 0.5 |\n")
    return tmp_path


def changed(results, name, old, new):
    """The files whose digest is another one after a change."""
    before = artefacts(results)
    text = (results / name).read_text()
    assert old in text
    (results / name).write_text(text.replace(old, new))
    after = artefacts(results)
    return [path for path in before if before[path] != after[path]]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("models/seed0/weights.safetensors", "1", "2"),
        ("models/seed0/training.json", '"a"', '"b"'),
        ("models/seed0/training.json", '"d1"', '"d3"'),
        ("models/seed0/history.csv", "2.5", "2.6"),
        ("models/seed0/history.csv", "3.5,4.5\n", "3.5,4.5\n2,2.5,3.5,4.5\n"),
        ("tables/methods.csv", "0.5", "0.6"),
        ("tables/table1.md", "0.5", "0.6"),
    ],
)
def test_a_result_counts(results, name, old, new):
    assert changed(results, name, old, new) == [name]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("models/seed0/training.json", "1.5", "9.5"),
        ("models/seed0/training.json", '"d2"', '"d4"'),
        ("models/seed0/history.csv", "3.5,4.5", "9,9"),
        ("tables/methods.csv", ",3\n", ",9\n"),
    ],
)
def test_a_time_does_not(results, name, old, new):
    assert changed(results, name, old, new) == []


@pytest.mark.parametrize(
    "name",
    [
        "models/seed0/training.json",
        "models/seed0/history.csv",
        "tables/methods.csv",
        "tables/table1.md",
        "tables/table1.tex",
    ],
)
def test_a_file_that_is_cut_short_differs(results, name):
    before = artefacts(results)
    for length in (0, 20):
        (results / name).write_bytes((results / name).read_bytes()[:length])
        assert artefacts(results)[name] != before[name]


def test_what_a_run_would_have_taken_away_is_found(results):
    assert leftovers(results) == []
    left = [
        ".snakemake/locks/0.input.lock",
        "models/.seed0.resume.7.partial",
        "models/seed0.lock",
        "models/seed0.resume",
    ]
    for name in left:
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).touch()
    assert leftovers(results) == left
