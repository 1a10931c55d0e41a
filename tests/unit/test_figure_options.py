"""Options that the scripts which draw have in common."""

import argparse
import importlib
import re
from pathlib import Path

import pytest
from studies_with_pages import run

from fairdistill.runtime.errors import UserError
from fairdistill.settings import arguments
from fairdistill.settings.arguments import parse_with_figure, student_argument
from scripts import compare_with_paper, plot_comparison, plot_paper_bars, plot_slopes

SCRIPTS = sorted(path.stem for path in Path(plot_slopes.__file__).parent.glob("plot_*.py"))


def parsed(monkeypatch, **files):
    parser = argparse.ArgumentParser()
    parser.add_argument("--summary", type=Path, required=True)
    parser.add_argument("--other-tables", type=Path, nargs="*")
    words = [word for name, path in files.items() for word in (f"--{name.replace('_', '-')}", str(path))]
    monkeypatch.setattr("sys.argv", ["draw", *words])
    return parse_with_figure(parser)


def test_a_figure_has_two_files_of_its_own(tmp_path, monkeypatch):
    found = parsed(monkeypatch, summary="s.csv", pdf="x.pdf", png="x.png")
    assert (found.pdf, found.png) == (Path("x.pdf"), Path("x.png"))
    (tmp_path / "link").symlink_to(tmp_path / "s.csv")
    for files, message in [
        ({"pdf": "x", "png": "./x"}, "--pdf and --png name one file, x; give each its own"),
        ({"pdf": tmp_path / "s.csv", "png": "x"}, f"--pdf and --summary name one file, {tmp_path / 's.csv'}; "),
        ({"pdf": "x", "png": tmp_path / "link"}, f"--png and --summary name one file, {tmp_path / 's.csv'}; "),
        ({"pdf": "x", "png": "a", "other_tables": "a"}, "--png and --other-tables name one file, a; give each its own"),
    ]:
        with pytest.raises(UserError, match="^" + re.escape(message)):
            parsed(monkeypatch, summary=tmp_path / "s.csv", **files)
    # what is thrown away may be thrown away together
    assert parsed(monkeypatch, summary="s.csv", pdf="/dev/null", png="/dev/null").png == Path("/dev/null")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_that_draws_sees_to_that(name):
    assert importlib.import_module(f"scripts.{name}").parse_with_figure is arguments.parse_with_figure


def test_the_same_file_twice_is_refused_before_anything_is_read(tmp_path):
    files = dict.fromkeys(("pdf", "png"), tmp_path / "x")
    with pytest.raises(UserError, match="--pdf and --png name one file"):
        run(plot_slopes, paired=tmp_path / "none.csv", summary=tmp_path / "no.csv", dataset="utkface", **files)
    assert list(tmp_path.iterdir()) == []


def test_the_teacher_is_no_student():
    assert student_argument("mfd") == "mfd"
    figure = {"summary": "s.csv", "architecture": "resnet", "metric": "deo", "pdf": "x", "png": "y"}
    tables = {"summary": "s.csv", "paired": "p.csv", "paper_values": "v.csv", "csv": "x", "markdown": "y"}
    for script, files in [(plot_paper_bars, figure), (plot_comparison, figure), (compare_with_paper, tables)]:
        with pytest.raises(UserError, match="--method: 'teacher' names no students; name the method of some"):
            run(script, method="teacher", **files)
