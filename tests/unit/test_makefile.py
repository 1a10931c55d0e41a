"""Which Python `make` takes for the environment, which studies for the figures, and how much it prints."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import pytest
from fake_gpus import write_program

ROOT = Path(__file__).parents[2]


@pytest.fixture
def python(tmp_path):
    """Make a program that runs `-c CODE` as a Python of another version."""

    def of_version(version):
        path = tmp_path / "python"
        path.write_text(f"""#!/bin/sh
exec "{sys.executable}" -c "import sys; sys.version_info = {version}; exec(sys.argv[1])" "$2"
""")
        path.chmod(0o755)
        return path

    return of_version


@pytest.mark.parametrize("version", [(3, 10, 9), (3, 14, 0)])
def test_a_python_that_the_lock_was_not_tried_with_is_refused_in_one_line(tmp_path, python, version):
    given = [f"PYTHON={python(version)}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(
        ["make", "--no-print-directory", "env", *given], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert (
        done.stdout == "error: Python 3.11, 3.12 or 3.13 is needed; install one, or say make PYTHON=/path/to/python\n"
    )
    assert not (tmp_path / "venv").exists()


def made(*targets, **environment):
    """What make prints."""
    return subprocess.run(
        ["make", "--no-print-directory", *targets],
        cwd=ROOT, env=os.environ | {"MAKEFLAGS": ""} | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def venv(tmp_path):
    """A virtual environment that is newer than all that it is made from."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / ".ready").write_text(f"{venv}\n")
    return venv


def is_made_anew(venv):
    done = made("--dry-run", "env", f"VENV={venv}", f"PYTHON={sys.executable}")
    assert done.returncode == 0
    return f'test "" || {{ rm -rf {venv} && {sys.executable} -m venv {venv}; }}\n' in done.stdout


def test_an_environment_that_is_whole_is_not_made_anew(venv):
    assert "Nothing to be done" in made("--dry-run", "env", f"VENV={venv}").stdout


@pytest.mark.parametrize("name", ["a$(touch PWN)b", 'quo"te', "back`touch PWN`tick", "a b", "it's"])
def test_no_shell_reads_the_path_of_the_checkout_as_text(tmp_path, name):
    checkout = tmp_path / name
    (checkout / ".venv" / "bin").mkdir(parents=True)
    for file in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / file, checkout)
    for program in ("python", "uv"):
        write_program(checkout / ".venv" / "bin" / program, "exit 0")
    (checkout / ".venv" / "pyvenv.cfg").touch()
    # the programs are those of one that was made to its end
    (checkout / ".venv" / ".ready").write_text(f"{checkout}/.venv\n")
    os.utime(checkout / ".venv" / ".ready", (0, 0))
    subprocess.run(
        ["make", "--no-print-directory", "env"],
        cwd=checkout, env=os.environ | {"MAKEFLAGS": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    # it was known to be whole, and not made anew
    assert "exit 0" in (checkout / ".venv" / "bin" / "python").read_text()
    assert (checkout / ".venv" / ".ready").read_text() == f"{checkout}/.venv\n"
    assert (checkout / ".venv" / ".ready").stat().st_mtime > 0
    assert not (checkout / "PWN").exists()


def test_one_that_was_moved_was_not_finished_or_is_of_another_python_is_made_anew(venv, python):
    (venv / ".ready").write_text("/elsewhere/.venv\n")
    assert is_made_anew(venv)
    (venv / ".ready").unlink()
    assert is_made_anew(venv)
    (venv / ".ready").write_text(f"{venv}\n")
    (venv / "bin" / "python").unlink()
    assert is_made_anew(venv)
    (venv / "bin" / "python").symlink_to(python((3, 10, 9)))
    assert is_made_anew(venv)


def test_a_folder_that_is_no_environment_stays(tmp_path):
    (tmp_path / "letter.txt").touch()
    done = made("env", f"VENV={tmp_path}", f"PYTHON={sys.executable}")
    assert done.returncode != 0
    assert f"error: {tmp_path} is there and no virtual environment; remove it, or say make VENV=" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("fails", [None, "benchmarks.memory"])
def test_the_goals_are_told_how_long_all_benchmarks_took_and_follow_those_that_succeed(tmp_path, venv, fails):
    (venv / "bin" / "python").unlink()
    write_program(
        venv / "bin" / "python",
        f"""[ "$1" = -m ] || exit 0
echo "$@" >> {tmp_path}/log
[ "$2" != benchmarks.training ] || sleep 1.1
[ "$2" != "{fails}" ]""",
    )
    done = made("bench", f"VENV={venv}")
    *programs, last = (line.split()[1:] for line in (tmp_path / "log").read_text().splitlines())
    assert (done.returncode == 0) == (fails is None)
    if fails:
        assert last == [fails]
        return
    assert programs[0] == ["benchmarks.training"]
    assert last[:2] == ["benchmarks.goals", "--seconds"]
    assert int(last[2]) >= 1.1


def test_the_cores_are_those_of_the_machine_whatever_the_number_of_threads():
    done = made("--dry-run", "demo", "READY=", f"BIN={Path(sys.executable).parent}", OMP_NUM_THREADS="1")
    assert f"snakemake --cores {joblib.cpu_count()} --configfile config/demo.yaml\n" in done.stdout


def test_uv_takes_the_index_that_pip_is_told():
    show = ["--eval", "show: ; @echo $$UV_DEFAULT_INDEX $$UV_INDEX $$UV_INDEX_STRATEGY", "show"]
    environment = {"PIP_INDEX_URL": "https://one.example/simple", "PIP_EXTRA_INDEX_URL": "https://two.example/simple"}
    # pip takes a version from whichever index has it
    wanted = "https://one.example/simple https://two.example/simple unsafe-best-match\n"
    assert made(*show, **environment).stdout == wanted
    own = {"UV_DEFAULT_INDEX": "https://own.example/simple"}
    assert made(*show, **environment, **own).stdout.startswith("https://own.example/simple ")


def test_uv_trusts_what_pip_is_told_to_trust(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    show = ["--eval", "show: ; @echo $$SSL_CERT_FILE $$UV_INSECURE_HOST", "show"]
    environment = {"PIP_CERT": "/ours.pem", "PIP_TRUSTED_HOST": "one.example two.example"}
    assert made(*show, **environment).stdout == "/ours.pem one.example two.example\n"


def test_the_docs_name_what_of_pips_is_handed_on_to_uv():
    handed_on = re.findall(r"^ifdef (PIP_\w+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert handed_on
    assert [name for name in handed_on if f"`{name}`" not in page] == []


@pytest.mark.parametrize("fails", ["*pip*uv==*", "pip*"], ids=["pip", "uv"])
def test_an_index_that_is_not_reached_is_told_in_one_line(tmp_path, fails):
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\ncase "$*" in {fails}) echo No index >&2; exit 1;; esac\n')
    program.chmod(0o755)
    done = made("env", f"VENV={tmp_path / 'venv'}", f"BIN={tmp_path}", f"PYTHON={program}", f"UV={program}")
    assert done.returncode != 0
    assert done.stdout.splitlines()[-1].startswith("error: the packages could not be installed, for the reason above; ")


@pytest.mark.parametrize("target", ["figures", "pages"])
def test_figures_and_pages_are_of_the_published_studies(target):
    done = made("--dry-run", target, "READY=", f"BIN={Path(sys.executable).parent}")
    lines = [line.rstrip() for line in done.stdout.splitlines() if "snakemake" in line]
    # what trains a model is none of the rules
    assert all(f" {target} " in line and f"--allowed-rules {target} " in line for line in lines)
    assert "train_model" not in done.stdout
    assert [line.split("--configfile ")[1] for line in lines] == [
        "config/ablations.yaml config/paper_published.yaml",
        "config/paper_h100.yaml",
        "config/utkface_folds.yaml",
        "config/sweeps_digits.yaml",
        "config/methods.yaml",
        "config/methods.yaml config/methods_utkface.yaml",
        "config/methods.yaml config/methods_digits.yaml",
    ]
    assert done.stderr == ""


@pytest.mark.parametrize("given", [[], ["CONFIG=config/demo.yaml"]])
def test_the_report_is_of_the_configuration_that_is_named(given):
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "report", "READY=", "CORES=2", *given],
        cwd=ROOT, env=os.environ | {"MAKEFLAGS": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    options = [word.replace("CONFIG=", "--configfile ") for word in given] + ["--report report.zip"]
    # between the look for the file and what is said where there is no report
    command = done.stdout.partition("; done\n")[2].partition(" ||")[0]
    assert " ".join(command.split()[3:]) == " ".join(options)


def test_the_report_of_a_study_without_its_models_is_of_a_target(tmp_path):
    write_program(tmp_path / "snakemake", 'echo "$@"; case "$*" in *pages*) ;; *) exit 1; esac')
    given = ("report", f"BIN={tmp_path}", "READY=", "CORES=2", "CONFIG=config/paper_h100.yaml")
    options = "--configfile config/paper_h100.yaml --report report.zip\n"
    said = (
        "error: no report, for the reason above; of a study without its models there is one of the page alone: "
        "say make pages, then make report with TARGET=pages\n"
    )
    done = made(*given)
    assert done.returncode != 0
    assert done.stdout.endswith(f"--cores 2 {options}{said}")
    done = made(*given, "TARGET=pages")
    assert done.returncode == 0
    assert done.stdout.endswith(f"--cores 2 pages {options}")


@pytest.mark.parametrize("given", ["config/none.yaml", "config", "config/demo.yaml none.yaml"])
def test_a_configuration_that_is_not_there_is_named_in_one_line(tmp_path, given):
    write_program(tmp_path / "snakemake", "echo called")
    done = made("report", f"BIN={tmp_path}", "READY=", f"CONFIG={given}")
    assert done.returncode != 0
    missing = given.split()[-1]
    assert done.stdout == f"error: CONFIG: there is no file {missing}; give the path of a study's configuration\n"


@pytest.mark.parametrize(("given", "verbose"), [([], ""), (["VERBOSE=1"], "1")])
def test_full_output_on_request(tmp_path, given, verbose):
    snakemake = tmp_path / "snakemake"
    snakemake.write_text('#!/bin/sh\necho "verbose: $FAIRDISTILL_VERBOSE"\n')
    snakemake.chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", "figures", f"BIN={tmp_path}", "READY=", *given],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"verbose: {verbose}" in done.stdout.splitlines()
