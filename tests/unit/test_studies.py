"""What the studies of a folder take on the disk, and how one of them is removed."""

import os
import subprocess
import time

import pytest

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.locks import WriterLock
from fairdistill.runtime.studies import files_below, newer_than_now
from scripts import clean_study, show_studies

MODEL = "models/digits_s/resnet/mfd/seed0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two studies, and a folder of results that is none."""
    monkeypatch.chdir(tmp_path)
    files = {
        f"results/demo/{MODEL}/weights.safetensors": 3_000_000,
        f"results/demo/{MODEL}/training.json": 2,
        f"results/demo/{MODEL[:-1]}1.resume": 6_000_000,
        "results/demo/data/digits_s/images.npy": 2_000_000,
        "results/demo/metrics/digits_s/resnet/mfd/seed0.json": 2,
        "results/demo/tables/runs.csv": 10,
        "logs/demo/train_model/one.log": 10,
        ".snakemake/failed/logs/demo/train_model/one.log": 0,
        "results/other/metrics/digits_s/resnet/mfd/seed0.json": 2,
        "results/bench/goals.md": 10,
        "resources/archive.tar.gz": 10,
    }
    for name, size in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    return tmp_path


def call(script, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["script", *arguments])
    script.main()


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_study_has_a_row_with_what_it_takes(folder, monkeypatch, capsys):
    with WriterLock(folder / f"results/demo/{MODEL}.lock"):
        call(show_studies, monkeypatch)
    head, *rows, units = capsys.readouterr().out.splitlines()
    assert head.split() == ["study", "trained", "tested", "running", "begun", "data", "models", "export", "rest"]
    assert [row.split() for row in rows] == [
        ["demo", "1", "1", "1", "1", "2", "9", "0", "0"],
        ["other", "0", "1", "0", "0", "0", "0", "0", "0"],
        ["all", "1", "2", "1", "1", "2", "9", "0", "0"],
    ]
    assert units.strip() == "sizes in MB"


@pytest.mark.parametrize("mode", [0o755, 0o555])
def test_files_of_the_future_are_found(folder, mode):
    study = folder / "results/demo"
    ahead = [study / "metrics/digits_s/resnet/mfd/seed0.json", study / "tables/runs.csv"]
    for path in ahead:
        os.utime(path, (time.time() + 60, time.time() + 60))
    study.chmod(mode)
    before = files(folder)
    assert newer_than_now(study, files_below(study)) == ahead
    assert files(folder) == before


def test_without_a_study_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    call(show_studies, monkeypatch)
    assert capsys.readouterr().out == f"no study has results in {tmp_path / 'results'}\n"


def test_nothing_is_removed_before_it_is_said_twice(folder, monkeypatch, capsys):
    before = files(folder)
    call(clean_study, monkeypatch, "demo")
    assert files(folder) == before
    assert capsys.readouterr().out.splitlines() == [
        "results/demo: 11 MB would be freed; say --yes to remove it",
        "logs/demo: 0 MB would be freed; say --yes to remove it",
        ".snakemake/failed/logs/demo: 0 MB would be freed; say --yes to remove it",
    ]


def test_a_study_is_removed_and_nothing_else(folder, monkeypatch):
    rest = [name for name in files(folder) if "/demo/" not in name]
    call(clean_study, monkeypatch, "demo", "--yes")
    assert files(folder) == rest


def test_the_results_may_stay(folder, monkeypatch):
    rest = [name for name in files(folder) if not name.startswith(("results/demo/models", "results/demo/data"))]
    call(clean_study, monkeypatch, "demo", "--keep-results", "--yes")
    assert files(folder) == rest


def test_where_nothing_is_to_be_removed_it_says_so(folder, monkeypatch, capsys):
    call(clean_study, monkeypatch, "demo", "--keep-results", "--yes")
    capsys.readouterr()
    for yes in ([], ["--yes"]):
        call(clean_study, monkeypatch, "demo", "--keep-results", *yes)
        assert capsys.readouterr().out == "demo: nothing to remove: there is none of data, models, export\n"


def test_a_study_that_is_not_there_is_named_with_those_that_are(folder, monkeypatch):
    for script in (clean_study, show_studies):
        with pytest.raises(UserError, match=r"no study 'bench' in .*results; those that are there: demo, other$"):
            call(script, monkeypatch, "bench")


def test_a_study_at_work_stays(folder, monkeypatch):
    before = files(folder)
    with (
        WriterLock(folder / f"results/demo/{MODEL}.lock"),
        pytest.raises(UserError, match=r"seed0: a training is at work on it"),
    ):
        call(clean_study, monkeypatch, "demo", "--yes")
    assert files(folder) == before


def test_where_git_cannot_be_asked_a_checkout_stays(folder, monkeypatch):
    before = files(folder)
    (folder / ".git").write_text("no repository")
    with pytest.raises(UserError, match=r"git has files of it, or cannot be asked"):
        call(clean_study, monkeypatch, "demo", "--yes")
    (folder / ".git").unlink()
    assert files(folder) == before


def test_while_a_snakemake_is_at_work_a_study_stays(folder, monkeypatch):
    (folder / ".snakemake/locks").mkdir(parents=True)
    (folder / ".snakemake/locks/0.input.lock").touch()
    before = files(folder)
    with pytest.raises(UserError, match=r"a Snakemake is at work in this folder, or was killed"):
        call(clean_study, monkeypatch, "demo", "--yes")
    assert files(folder) == before


def test_what_is_a_link_is_left_to_its_owner(folder, monkeypatch):
    scratch = (folder / "results/demo/models").rename(folder / "scratch")
    (folder / "results/demo/models").symlink_to(scratch)
    before = files(folder)
    with pytest.raises(UserError, match=r"results/demo/models: is a link"):
        call(clean_study, monkeypatch, "demo", "--keep-results", "--yes")
    assert files(folder) == before


def test_what_git_has_stays(folder, monkeypatch):
    for command in (["init", "-q"], ["add", "results/demo/tables"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    with pytest.raises(UserError, match=r"results/demo: git has files of it, or cannot be asked; say --keep-results"):
        call(clean_study, monkeypatch, "demo", "--yes")
    call(clean_study, monkeypatch, "demo", "--keep-results", "--yes")
    assert (folder / "results/demo/tables/runs.csv").exists()
    assert not (folder / "results/demo/models").exists()
