"""Every kind of rule in its own conda environment, made from the unmodified files in `envs/`.

The packages are those that are installed here, from a local channel; the program is a stand-in for `conda`, and
the real one too where it is on PATH. That conda-forge has the packages is not tried here.

Snakemake has two spellings for it: `--use-conda`, which a later Snakemake is going to drop, and `--sdm conda`, which
stays. The rules name environments by `conda:`, and neither they nor the profiles depend on the spelling: when the first
is dropped, the commands in README.md, docs/ and config/README.md have to be spelt the other way, and `SPELLINGS` here.
"""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from local_channel import write_channels
from running import ROOT, TINY, copy_project, snakemake
from synthetic_archives import cifar_batches, pack
from test_envs import RULES

from fairdistill.settings.data import Cifar10S

pytestmark = pytest.mark.long

STAND_IN = Path(__file__).with_name("conda_stand_in") / "bin"
GIVEN = ("--configfile", TINY, "--config", "methods=[mfd, balanced]")
SPELLINGS = [["--use-conda"], ["--sdm", "conda"]]
# rules of which this study has no job: searches, sweeps, probes, archives and the paper's grid
ON_REQUEST = {
    "choose_settings",
    "report_search",
    "plot_sweep",
    "probe_features",
    "make_features",
    "archive_study",
    "plot_paper_bars",
}
# a downloaded data set beside the embedded one that the study is on, and one exported model
TARGETS = (
    "all",
    "results/tiny/data/cifar10s/dataset.json",
    "results/tiny/data/digits_s/croissant.json",
    "results/tiny/export/digits_s/shufflenet/teacher/seed0/README.md",
)


@pytest.fixture(scope="module")
def channels(tmp_path_factory):
    root = tmp_path_factory.mktemp("channels")
    write_channels(root)
    return root


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project, with a small archive for it to download and take for CIFAR-10."""
    project = copy_project(tmp_path_factory.mktemp("conda") / "project")
    batches = cifar_batches()
    pack(project / "mirror" / Cifar10S.archives[0], batches.items())
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in batches.items()}
    with open(project / "fairdistill" / "data" / "cifar10s.py", "a", encoding="utf-8") as module:
        module.write(f"\n\nSHA256 = {digests}\n")
    return project


@pytest.fixture(scope="module", params=["stand-in", "conda"])
def conda(request, channels, tmp_path_factory):
    """The program `conda` on PATH, with nothing but the local channels."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "stand-in":
            patch.setenv("PATH", os.pathsep.join([str(STAND_IN), os.environ["PATH"]]))
        elif not shutil.which("conda"):
            pytest.skip("no conda on PATH: its stand-in alone was tried")
        patch.setenv("CONDA_CHANNEL_ALIAS", f"{channels.as_uri()}/")
        patch.setenv("CONDA_PKGS_DIRS", str(tmp_path_factory.mktemp("pkgs")))
        yield request.param


@pytest.fixture(scope="module")
def study(conda, project, tmp_path_factory):
    """The working directory of a study that has been run whole with --use-conda."""
    directory = tmp_path_factory.mktemp("study")
    shutil.copytree(ROOT / "config", directory / "config")
    # to compare with
    shutil.copytree(ROOT / "results" / "paper" / "tables", directory / "results" / "paper" / "tables")
    further = (f"data={{mirror: {project / 'mirror'}}}", "published=results/paper")
    where = {"project": project, "directory": directory}
    done = snakemake("--cores", 2, "--use-conda", *TARGETS, *GIVEN, *further, **where)
    assert done.returncode == 0, done.stdout
    return directory


def test_every_rule_runs_in_an_environment_of_its_file(study):
    logs = study / "logs"
    names = {part.split(".")[0] for log in logs.rglob("*.log") for part in log.relative_to(logs).parts}
    assert {name for name, _, _ in RULES} - ON_REQUEST <= names
    made = [path.read_text() for path in (study / ".snakemake" / "conda").glob("*.yaml")]
    assert sorted(made) == sorted(path.read_text() for path in (ROOT / "envs").glob("*.yaml"))


@pytest.mark.parametrize("asked", SPELLINGS)
def test_both_spellings_run_a_job_in_the_same_environment(study, project, monkeypatch, asked):
    monkeypatch.setenv("FAIRDISTILL_VERBOSE", "1")
    made = set((study / ".snakemake" / "conda").iterdir())
    target = "results/tiny/tables/table1.md"
    where = {"project": project, "directory": study}
    # the target goes first: `--sdm` takes every word up to the next option
    done = snakemake(target, "--cores", 1, *asked, "--force", *GIVEN, **where)
    assert done.returncode == 0, done.stdout
    (environment,) = re.findall(r"^Activating conda environment: (\S+)$", done.stdout, flags=re.MULTILINE)
    assert study / environment in made
    assert set((study / ".snakemake" / "conda").iterdir()) == made


def test_an_environment_has_what_its_file_names_and_no_more(study):
    (training,) = (study / "results/tiny/models/digits_s/shufflenet/mfd").rglob("training.json")
    versions = json.loads(training.read_text())["versions"]
    assert {"torch", "torchvision", "safetensors", "scikit-learn", "scipy"} <= set(versions)
    metrics = study / "results/tiny/metrics/digits_s/shufflenet/mfd/seed0.json"
    evaluated = json.loads(metrics.read_text())["evaluation_versions"]
    assert "scipy" in evaluated
    assert not {"torch", "torchvision", "safetensors"} & set(evaluated)


def test_containerize_prints_a_dockerfile_with_every_environment(conda, project):
    done = snakemake("--containerize", *GIVEN, project=project, directory=project)
    assert done.returncode == 0, done.stdout
    assert "\nFROM " in done.stdout
    for path in (ROOT / "envs").glob("*.yaml"):
        (prefix,) = re.findall(
            rf"^COPY envs/{path.name} (/conda-envs/\w+)/environment.yaml$", done.stdout, re.MULTILINE
        )
        assert f"conda env create --prefix {prefix} --file {prefix}/environment.yaml" in done.stdout
