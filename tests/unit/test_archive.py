"""The archive of a study: what is in it, that it checks itself, and that it tells nothing of the machine."""

import hashlib
import json
import re
import subprocess
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml
from studies_with_pages import run
from synthetic_results import make_study, pattern

import fairdistill.reporting.archive
import fairdistill.reporting.models
from fairdistill.evaluation.records import read_record
from fairdistill.reporting.archive import MANIFEST, code_files, readme, write_archive
from fairdistill.runtime import provenance
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.provenance import tracked_state, untracked_code
from scripts import archive_study

ROOT = Path(__file__).parents[2]
GRIDS = [{"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", "mfd"], "seed": [0, 1]}]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "results" / "made-up"
    make_study(folder / "metrics", datasets=("utkface",), architectures=("resnet",), seeds=(0, 1))
    (folder / "tables").mkdir()
    (folder / "tables" / "runs.csv").write_text("a,b\n1,2\n")
    (folder / "page.html").write_text("<p>page</p>")
    (folder / "metrics/utkface/resnet/mfd/seed0.parquet").write_bytes(b"probabilities")
    return folder


def archive(folder, target, **other):
    given = {
        "metrics": pattern(folder / "metrics"),
        "grids": json.dumps(GRIDS),
        "study": "made-up",
        "config": json.dumps({"study": "made-up", "methods": ["mfd"], "seeds": [0, 1]}),
        "folder": folder,
        "files": [folder / "tables" / "runs.csv", folder / "page.html"],
        "archive": target,
    }
    run(archive_study, **given | other)
    return target


def test_what_cannot_be_archived_is_named(folder, tmp_path):
    with pytest.raises(UserError, match="--config: not readable as JSON"):
        archive(folder, tmp_path / "made-up.zip", config="{")
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    with pytest.raises(
        UserError, match=rf"^{re.escape(str(other))}: is not in .*made-up; name files of the study alone$"
    ):
        archive(folder, tmp_path / "made-up.zip", files=[other])
    assert not (tmp_path / "made-up.zip").exists()


def test_it_holds_results_records_configuration_and_code(folder, tmp_path):
    with zipfile.ZipFile(archive(folder, tmp_path / "made-up.zip")) as found:
        names = set(found.namelist())
        models = pd.read_csv(found.open("made-up/models.csv"), dtype=str)
        config = yaml.safe_load(found.read("made-up/config.yaml"))
        assert found.read("made-up/metrics/utkface/resnet/mfd/seed0.parquet") == b"probabilities"
    assert {f"made-up/metrics/utkface/resnet/{name}.json" for name in ("teacher/seed0", "mfd/seed1")} < names
    assert {"made-up/tables/runs.csv", "made-up/page.html", "made-up/README.md"} < names
    assert {f"made-up/code/{name}" for name in ("Snakefile", "fairdistill/methods/mfd.py", "requirements.lock")} < names
    assert config == {"study": "made-up", "methods": ["mfd"], "seeds": [0, 1]}
    assert (models["method"] + models["seed"]).tolist() == ["teacher0", "teacher1", "mfd0", "mfd1"]
    record = json.loads((folder / "metrics/utkface/resnet/mfd/seed1.json").read_text())
    last = models.iloc[-1]
    assert last["weights_sha256"] == record["outputs"]["weights.safetensors"]
    assert last["dataset_sha256"] == record["inputs"]["dataset"]
    assert last["code"] == record["code"]


def test_its_manifest_is_of_every_file_as_sha256sum_reads_it(folder, tmp_path):
    target = archive(folder, tmp_path / "made-up.zip")
    with zipfile.ZipFile(target) as found:
        found.extractall(tmp_path / "out")
        lines = dict(reversed(line.split("  ")) for line in found.read(f"made-up/{MANIFEST}").decode().splitlines())
        assert {f"made-up/{name}" for name in lines} == set(found.namelist()) - {f"made-up/{MANIFEST}"}
        for name, digest in lines.items():
            assert hashlib.sha256(found.read(f"made-up/{name}")).hexdigest() == digest
    check = ["sha256sum", "--check", "--quiet", MANIFEST]
    assert subprocess.run(check, cwd=tmp_path / "out" / "made-up", capture_output=True).returncode == 0
    (tmp_path / "out/made-up/page.html").write_text("another")
    assert subprocess.run(check, cwd=tmp_path / "out" / "made-up", capture_output=True).returncode == 1


def test_the_same_files_give_the_same_bytes(folder, tmp_path):
    first = archive(folder, tmp_path / "one.zip").read_bytes()
    (folder / "page.html").touch()
    assert archive(folder, tmp_path / "other.zip").read_bytes() == first
    (folder / "page.html").write_text("another")
    assert archive(folder, tmp_path / "other.zip").read_bytes() != first


def test_without_a_models_metrics_it_is_refused_and_an_earlier_archive_stays(folder, tmp_path):
    target = archive(folder, tmp_path / "made-up.zip")
    before = target.read_bytes()
    (folder / "metrics/utkface/resnet/mfd/seed1.json").write_text("{")
    with pytest.raises(UserError, match=r"mfd/seed1.json"):
        archive(folder, target)
    assert target.read_bytes() == before


def test_metrics_in_the_place_of_another_models_are_refused(folder, tmp_path):
    other = folder / "metrics/utkface/resnet/teacher/seed1.json"
    (folder / "metrics/utkface/resnet/mfd/seed0.json").write_bytes(other.read_bytes())
    with pytest.raises(UserError, match=r"mfd/seed0.json: is of the model"):
        archive(folder, tmp_path / "made-up.zip")


def git(folder, *arguments):
    who = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    done = subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Another folder in the place of the project's, with a file of its code and others, and no checkout yet."""
    copy = tmp_path / "copy"
    for name in ("config/config.yaml", "config/mine.yaml", "scripts/.swap", "fairdistill/a.py", "docs/a.md"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("a password, perhaps\n")
    (copy / "config/link.yaml").symlink_to("/etc/hostname")
    monkeypatch.setattr(provenance, "ROOT", copy)
    return copy


def test_the_code_is_what_git_tracks_and_nothing_else():
    found = {name.removeprefix("code/") for name in code_files()}
    assert {"Snakefile", "fairdistill/methods/mfd.py", "config/config.yaml", "requirements.lock"} < found
    assert not [name for name in found if name.startswith((".", "results", "tests", "docs")) or name.endswith(".pyc")]


def test_of_a_copy_that_is_no_checkout_nobody_knows_what_belongs_to_the_project(copy, monkeypatch):
    assert (code_files(), tracked_state()) == ({}, None)
    # nor within the checkout of another project
    git(copy.parent, "init", "-q")
    assert (code_files(), tracked_state()) == ({}, None)
    git(copy, "init", "-q")
    git(copy, "add", "config/config.yaml", "config/link.yaml", "fairdistill/a.py", "docs/a.md")
    assert sorted(code_files()) == ["code/config/config.yaml", "code/fairdistill/a.py"]
    # without a commit
    assert tracked_state() is None
    monkeypatch.setenv("PATH", str(copy))
    assert (code_files(), tracked_state()) == ({}, None)


def test_the_state_of_the_code_is_its_commit_and_what_differs_from_it(copy):
    git(copy, "init", "-q")
    git(copy, "add", "config/config.yaml", "fairdistill/a.py", "docs/a.md")
    git(copy, "commit", "-q", "-m", "First")
    commit = git(copy, "rev-parse", "HEAD")
    # neither what git does not track nor what is no code counts
    (copy / "scripts/.swap").write_text("another")
    (copy / "docs/a.md").write_text("another")
    (copy / "fairdistill/a.py").touch()
    assert tracked_state() == commit
    states = []
    for text in ("one", "two"):
        (copy / "fairdistill/a.py").write_text(text)
        states.append(tracked_state())
    assert all(re.fullmatch(rf"{commit}-modified-[0-9a-f]{{12}}", state) for state in states)
    assert states[0] != states[1]
    git(copy, "commit", "-q", "-a", "-m", "Second")
    assert tracked_state() == git(copy, "rev-parse", "HEAD") != commit


def test_its_readme_names_the_commit_of_the_code_and_what_it_cannot_make_again(folder, tmp_path):
    with zipfile.ZipFile(archive(folder, tmp_path / "made-up.zip")) as found:
        text = found.read("made-up/README.md").decode()
    assert f"commit `{git(ROOT, 'rev-parse', 'HEAD')}`" in text
    assert "published_vs_own" not in text
    plain, changed, compared, alone = (
        readme("made-up", contents, state=state, has_code=has_code, untracked={})
        for state, has_code, contents in [
            ("abc", True, []),
            ("abc-modified-0123", True, []),
            ("abc", True, ["tables/published_vs_own.csv"]),
            (None, False, []),
        ]
    )
    assert "the code that git tracks, commit `abc`, and the versions" in plain
    assert "commit `abc` with changes that are in no commit (their digest: 0123), and" in changed
    assert "`tables/published_vs_own.*` cannot be made from this archive alone" in compared
    assert "in `code/`, and run there" in plain
    assert "| not included, as it was not a git checkout |" in alone
    assert "`code/`" not in alone
    assert not [text for text in (plain, changed, compared, alone) if "{" in text or "None" in text]


def test_its_readme_speaks_of_what_is_in_it_alone():
    def of(*names, untracked=None):
        return readme("s", names, state=None, has_code=True, untracked=untracked or {})

    plain = of("tables/runs.csv")
    assert "    snakemake --cores 1 figures --configfile ../config.yaml\n\nWeights and data sets" in plain
    assert "without the models" not in plain
    # what follows from the metrics is made again by its name
    with_criteria = of("tables/criteria.csv")
    assert "snakemake --cores 1 figures results/s/tables/criteria.csv --configfile" in with_criteria
    assert "without the models" not in with_criteria
    of_models = of("tables/features.csv", "figures/training_curves_utkface.png", "figures/worst_cells_a_b.pdf")
    lacking = (
        "Cannot be regenerated without the models: `tables/features.csv`, the training curves and the example images."
    )
    assert lacking in of_models
    assert "does not track" not in plain + of_models
    beside = of(untracked={"scripts/x.py": "12ab", "workflow/y.smk": "34cd"})
    assert "as git\ndoes not track them. Their SHA-256:\n\n    12ab  scripts/x.py\n    34cd  w" in beside


def test_code_that_git_does_not_track_is_named(copy, folder, tmp_path, capsys):
    assert untracked_code() == {}
    git(copy, "init", "-q")
    git(copy, "add", "config", "fairdistill/a.py")
    new = ["fairdistill/deep/er/new.py", "fairdistill/deep/new.amx.csv", "scripts/new.py", "workflow/rules/new.smk"]
    for name in (*new, "scripts/left_out.py"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(name)
    (copy / ".gitignore").write_text("left_out.py\n")
    (copy / "scripts/nowhere.py").symlink_to("gone.py")

    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in new}
    assert untracked_code() == digests
    with zipfile.ZipFile(archive(folder, tmp_path / "made-up.zip")) as found:
        text = found.read("made-up/README.md").decode()
        assert not [name for name in found.namelist() if name.endswith("new.py")]
    assert all(f"    {digest}  {name}\n" in text for name, digest in digests.items())
    assert "scripts/new.py" in capsys.readouterr().err


def test_each_metrics_file_is_read_once(folder, tmp_path, monkeypatch):
    read = []
    for module in (fairdistill.reporting.archive, fairdistill.reporting.models):
        monkeypatch.setattr(module, "read_record", lambda path: read.append(path) or read_record(path))
    archive(folder, tmp_path / "made-up.zip")
    assert len(read) == len(set(read)) == 4


def test_texts_and_files_are_written_alike(tmp_path):
    (tmp_path / "a").write_text("é\n")
    write_archive(tmp_path / "x.zip", "f", {"a": tmp_path / "a", "b": "é\n"})
    with zipfile.ZipFile(tmp_path / "x.zip") as found:
        assert found.read("f/a") == found.read("f/b") == "é\n".encode()
