"""Every command of `scripts`: its help, and options that it refuses in one line."""

import importlib
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def call(monkeypatch, name, *arguments):
    """Call a command, which ends by itself; return its exit status."""
    main = importlib.import_module(f"scripts.{name}").main
    monkeypatch.setattr("sys.argv", [name, *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


@pytest.mark.parametrize("name", sorted(path.stem for path in SCRIPTS.glob("[!_]*.py")))
def test_every_command_has_help(name, monkeypatch, capsys):
    assert call(monkeypatch, name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: {name} ")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        *(
            ("watch_trainings", ["--every", every], "--every: must be a number of seconds from 0 to 3600")
            for every in ("-1", "nan", "1e9", "soon")
        ),
        ("measure_model", ["--threads", "0"], "--threads: must be a whole number from 1 to"),
        ("export_model", ["--calibration-images", "0"], "--calibration-images: must be a whole number from 1 to"),
    ],
)
def test_a_number_that_is_none_is_refused(name, arguments, message, monkeypatch, capsys):
    assert call(monkeypatch, name, *arguments) == 2
    assert message in capsys.readouterr().err
