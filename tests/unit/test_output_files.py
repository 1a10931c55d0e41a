"""No script writes over a file that another of its options names."""

import argparse
import importlib
import re
from pathlib import Path

import pytest

from fairdistill.runtime.errors import UserError
from fairdistill.settings.arguments import OutputFile

SCRIPTS = sorted(path.stem for path in (Path(__file__).parents[2] / "scripts").glob("[!_]*.py"))
# compares what it writes with each image, too, see `check_output`
BY_ITSELF = ["predict"]


class Asked(Exception):
    """Raised in the place of parsing; its argument is the parser."""


def parser_of(name):
    def ask(parser, *args, **kwargs):
        raise Asked(parser)

    main = importlib.import_module(f"scripts.{name}").main
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", ask)
        with pytest.raises(Asked) as asked:
            main()
    return asked.value.args[0]


def words(action, value):
    return [*action.option_strings[:1], str(value)]


def call(monkeypatch, name, *options):
    monkeypatch.setattr("sys.argv", [name, *map(str, options)])
    importlib.import_module(f"scripts.{name}").main()


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in BY_ITSELF])
def test_a_file_to_write_is_declared_as_one(name):
    for action in parser_of(name)._actions:
        says_so = re.search(r"\bwrite\b", action.help) and not action.help.startswith("folder to write to")
        assert (action.type is OutputFile) == bool(says_so), action.help


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_output_is_another_file(name, tmp_path, monkeypatch):
    actions = [action for action in parser_of(name)._actions if action.dest != "help"]
    # an option that takes several values would take the positional ones as well
    actions.sort(key=lambda action: bool(action.option_strings))
    for output in [action for action in actions if action.type is OutputFile]:
        for other in actions:
            if other is output or other.type not in (Path, OutputFile):
                continue
            options = []
            for action in actions:
                if action in (output, other):
                    options += words(action, tmp_path / "one")
                elif action.required:
                    of_a_file = action.type in (Path, OutputFile)
                    options += words(action, tmp_path / action.dest if of_a_file else next(iter(action.choices or "1")))
            with pytest.raises(UserError, match=f"name one file, {tmp_path / 'one'}; give each its own$"):
                call(monkeypatch, name, *options)
    assert list(tmp_path.iterdir()) == []


def keeps(path):
    """Whether a file is as `test_what_is_read_stays` wrote it."""
    return path.read_text() == path.name


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        (
            "evaluate_model",
            "--predictions p --training t --output p --probabilities q",
            "--output and --predictions name one file, p",
        ),
        (
            "evaluate_model",
            "--predictions p --training t --output t --probabilities q",
            "--output and --training name one file, t",
        ),
        (
            "evaluate_model",
            "--predictions p --training t --output o --probabilities p",
            "--probabilities and --predictions name one file, p",
        ),
        (
            "evaluate_model",
            "--predictions p --training t --output z --probabilities ./z",
            "--output and --probabilities name one file, z",
        ),
        (
            "compare_with_published",
            "--summary p --published study --csv p --markdown q",
            "--csv and --summary name one file, p",
        ),
        (
            "compare_with_published",
            "--summary p --published study --csv study/tables/summary.csv --markdown q",
            "--csv and --published name one file, study/tables/summary.csv",
        ),
        (
            "describe_dataset",
            "--data study --name x --output study/dataset.json",
            "--output and --data name one file, study/dataset.json",
        ),
        (
            "make_criteria",
            "--metrics study/{method}/seed{seed}{fold}.json --grids [] --csv study/mfd/seed0.json",
            "--csv and --metrics name one file, study/mfd/seed0.json",
        ),
    ],
)
def test_what_is_read_stays(name, options, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [
        Path(file) for file in ("p", "t", "study/tables/summary.csv", "study/dataset.json", "study/mfd/seed0.json")
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.name)
    with pytest.raises(UserError, match=f"^{re.escape(named)}; give each its own$"):
        call(monkeypatch, name, *options.split())
    assert all(map(keeps, files))


def test_studies_that_are_compared_stay(tmp_path, monkeypatch):
    table = tmp_path / "a" / "tables" / "summary.csv"
    table.parent.mkdir(parents=True)
    table.write_text(table.name)
    with pytest.raises(UserError, match=r"^--csv and --studies name one file, "):
        call(monkeypatch, "compare_streams", tmp_path / "a", tmp_path / "b", "--csv", table)
    assert keeps(table)
