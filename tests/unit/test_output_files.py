"""No script writes over a file that another of its options names."""

import argparse
import importlib
import re
from pathlib import Path

import pytest

from fairdistill.runtime.errors import UserError
from fairdistill.settings.arguments import OutputFile, OutputFolder

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


def outputs(actions):
    """Each option that says what a script writes, with the name of a file in its folder; "" for a file itself."""
    for action in actions:
        if action.type is OutputFile:
            yield action, ""
        elif action.help.startswith("folder"):
            path = action.type and action.type("folder")
            yield from ((action, file) for file in (path.files if isinstance(path, OutputFolder) else ()))


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_output_is_another_file(name, tmp_path, monkeypatch):
    actions = [action for action in parser_of(name)._actions if action.dest != "help"]
    # an option that takes several values would take the positional ones as well
    actions.sort(key=lambda action: bool(action.option_strings))
    for output, file in outputs(actions):
        for other in actions:
            if other is output or other.type not in (Path, OutputFile):
                continue
            options = []
            for action in actions:
                if action is output:
                    options += words(action, tmp_path / "one")
                elif action is other:
                    options += words(action, tmp_path / "one" / file)
                elif action.required:
                    of_a_file = action.type in (Path, OutputFile) or action.help.startswith("folder")
                    options += words(action, tmp_path / action.dest if of_a_file else next(iter(action.choices or "1")))
            with pytest.raises(UserError, match=f"name one file, {tmp_path / 'one' / file}; give each its own$"):
                call(monkeypatch, name, *options)
    assert list(tmp_path.iterdir()) == []


def test_scripts_that_write_to_a_folder_say_which_files():
    names = [name for name in SCRIPTS if any(file for _, file in outputs(parser_of(name)._actions))]
    assert names == ["export_model", "prepare_dataset", "train_model"]


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
            "train_model",
            "--data study --base study/mfd/weights.safetensors --output study/mfd/../mfd",
            "--output and --base name one file, study/mfd/weights.safetensors",
        ),
        (
            "prepare_dataset",
            "--settings {} --archives study t --content-cache t --output study",
            "--content-cache and --archives name one file, t",
        ),
        (
            "plot_examples",
            "--data study --trainings t --predictions p --dataset x --pdf study/images.npy --png z",
            "--pdf and --data name one file, study/images.npy",
        ),
        (
            "probe_features",
            "--data study --weights w --predictions p --training t --output z --projection study/dataset.json",
            "--projection and --data name one file, study/dataset.json",
        ),
        (
            "make_model_card",
            "--metrics p --exported study --speed t --markdown z --html study/model.onnx",
            "--html and --exported name one file, study/model.onnx",
        ),
        (
            "compare_splits",
            "--results study --csv study/models/x/weights.safetensors digits/resnet/mfd/seed0",
            "--csv and --results name one file, study/models/x/weights.safetensors",
        ),
        (
            "near_copies_effect",
            "--results study --archives p --csv study/metrics/utkface/seed0.json utkface",
            "--csv and --results name one file, study/metrics/utkface/seed0.json",
        ),
        (
            "plot_training_curves",
            "--histories study/mfd/{method}.json --grids [] --dataset x --pdf study/mfd/seed0.json --png z",
            "--pdf and --histories name one file, study/mfd/seed0.json",
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


def test_the_probabilities_of_what_is_archived_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("teacher.json", "teacher.parquet"):
        Path(name).write_text(name)
    grids = '[{"dataset": ["d"], "architecture": ["r"], "method": ["teacher"], "seed": [0]}]'
    words = ["--grids", grids, "--study", "s", "--config", "{}", "--folder", ".", "--files", "teacher.json"]
    with pytest.raises(UserError, match=r"^--archive and --metrics name one file, teacher\.parquet; "):
        call(monkeypatch, "archive_study", "--metrics", "{method}.json", *words, "--archive", "teacher.parquet")
    assert all(keeps(Path(name)) for name in ("teacher.json", "teacher.parquet"))


def test_the_digests_of_images_are_not_kept_among_them(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    picture = tmp_path / "images" / "a.png"
    picture.write_text(picture.name)
    given = ["--settings", "{}", "--archives", tmp_path / "images", "--output", tmp_path / "o"]
    with pytest.raises(UserError, match=r"^--content-cache: \S+a\.png lies in \S+images, whose digest it keeps; give"):
        call(monkeypatch, "prepare_dataset", *given, "--content-cache", picture)
    assert keeps(picture)


def test_studies_that_are_compared_stay(tmp_path, monkeypatch):
    table = tmp_path / "a" / "tables" / "summary.csv"
    table.parent.mkdir(parents=True)
    table.write_text(table.name)
    with pytest.raises(UserError, match=r"^--csv and --studies name one file, "):
        call(monkeypatch, "compare_streams", tmp_path / "a", tmp_path / "b", "--csv", table)
    assert keeps(table)
