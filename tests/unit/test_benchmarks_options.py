"""The command lines of the benchmarks: what is refused, and that it is refused before anything is measured."""

import pytest

from benchmarks import (
    convolutions,
    equivalence,
    goals,
    gpu_steps,
    inference,
    jobs,
    machine,
    memory,
    methods,
    own_images,
    peak,
    training,
    training_worker,
    workflow,
)
from fairdistill.runtime.errors import run_script

# what each calls first to measure
MEASURES = {
    training: "peak.measure",
    methods: "run",
    inference: "measure",
    memory: "measure",
    jobs: "tiny_study",
    convolutions: "measure",
    equivalence: "trainings",
    own_images: "cost_of_steps",
    workflow: "plan",
}
COUNTS = [
    (training, "--rounds"),
    (training, "--steps"),
    (methods, "--rounds"),
    (methods, "--steps"),
    (convolutions, "--repeats"),
    (equivalence, "--seeds"),
    (equivalence, "--epochs"),
    (equivalence, "--processes"),
    (own_images, "--images"),
    (own_images, "--many"),
    (workflow, "--trainings"),
    (gpu_steps, "--steps"),
    (peak, "--threads"),
    (goals, "--seconds"),
    (training_worker, "--threads"),
    (training_worker, "--steps"),
]


def name(value):
    return value.__name__.rpartition(".")[2] if hasattr(value, "__name__") else None


def call(monkeypatch, module, *arguments):
    monkeypatch.setattr("sys.argv", [module.__name__, *arguments])
    run_script(module.main)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "99999999999"])
@pytest.mark.parametrize(("module", "option"), COUNTS, ids=name)
def test_a_number_of_things_is_one_at_least(monkeypatch, capsys, module, option, text):
    with pytest.raises(SystemExit, match=r"^2$"):
        call(monkeypatch, module, option, text)
    assert f"argument {option}: must be a whole number from 1 to 1000000: {text}" in capsys.readouterr().err


@pytest.fixture(params=MEASURES, ids=name)
def module(request, monkeypatch):
    """A program that must not measure anything."""
    monkeypatch.setattr(f"{request.param.__name__}.{MEASURES[request.param]}", lambda *a, **b: pytest.fail("measures"))
    return request.param


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_measured(tmp_path, monkeypatch, module):
    def refuse(*folders):
        assert tmp_path / "new" in folders
        raise PermissionError(13, "Permission denied", str(folders[0]))

    monkeypatch.setattr(machine, "prepare", refuse)
    with pytest.raises(SystemExit, match=rf"^error: {tmp_path}/new: Permission denied; get the right to it"):
        call(monkeypatch, module, "--output", str(tmp_path / "new"))


def test_a_file_is_no_folder_for_tables(tmp_path, monkeypatch, capsys, module):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"^2$"):
        call(monkeypatch, module, "--output", str(tmp_path / "file" / "folder"))
    assert "is to be a folder, and" in capsys.readouterr().err


def test_folders_are_made_and_nothing_is_left_in_them(tmp_path):
    machine.prepare(tmp_path / "a" / "b", tmp_path / "c")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["a", "a/b", "c"]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        machine.prepare(tmp_path / "file" / "folder")


def test_a_folder_that_takes_no_files_is_found_out(tmp_path, monkeypatch):
    def full(dir):
        raise OSError(28, "No space left on device", str(dir))

    monkeypatch.setattr(machine, "TemporaryFile", full)
    with pytest.raises(OSError, match="No space left on device"):
        machine.prepare(tmp_path)


@pytest.mark.parametrize("module", [*MEASURES, goals], ids=name)
def test_the_help_has_each_option_with_its_default(monkeypatch, capsys, module):
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit, match=r"^0$"):
        call(monkeypatch, module, "--help")
    text = capsys.readouterr().out
    options = [line.strip() for line in text.partition("\noptions:\n")[2].splitlines()]
    for number, line in enumerate(options):
        if line.startswith("--"):
            # a help text stands beside a short option, and below a long one
            said = line if "  " in line else options[number + 1]
            assert "(default: " in said, line
            assert not said.partition("  ")[2].strip().startswith("(default") or said is not line, line
    assert "on three seeds" not in text
