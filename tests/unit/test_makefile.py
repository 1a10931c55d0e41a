"""Which Python `make` takes for the environment, which study and seeds for the figures, and how much it prints."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("table", "given"),
    [("study,seed,accuracy\npaper,10,0.5\npaper,2,0.5\npaper,2,0.6\n", " seeds='[2,10]'"), (None, "")],
)
def test_figures_are_of_the_published_study_and_its_seeds(tmp_path, table, given):
    shutil.copy(ROOT / "Makefile", tmp_path)
    if table:
        path = tmp_path / "results" / "paper" / "tables" / "runs.csv"
        path.parent.mkdir(parents=True)
        path.write_text(table)
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "figures", "READY="],
        cwd=tmp_path, env=os.environ | {"MAKEFLAGS": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    paper, *others = done.stdout.splitlines()
    assert " figures " in paper
    assert paper.rstrip().endswith(f" --config study=paper{given}")
    assert [line.split("--configfile ")[1] for line in others] == [
        "config/paper_h100.yaml",
        "config/utkface_folds.yaml",
        "config/sweeps_digits.yaml",
    ]
    assert ("seeds" in done.stdout) == bool(given)
    assert done.stderr == ""


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
