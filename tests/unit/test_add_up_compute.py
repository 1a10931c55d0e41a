"""The sum of all compute, discarded trainings included."""

import json
import subprocess

import pytest

from fairdistill.runtime.errors import UserError
from scripts.add_up_compute import add_up, committed, trainings

FILE = "results/s/metrics/d/resnet/mfd/seed0.json"


def write(root, seconds, path=FILE, **fields):
    record = {"seconds": seconds, "hardware": {"cpu": "x"}, "parameters": {"training": {"threads": 2}}} | fields
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(json.dumps(record))


@pytest.fixture
def commit(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    git("init")
    git("config", "user.email", "a@b")
    git("config", "user.name", "a")

    def commit():
        git("add", "-A")
        git("commit", "-m", "m")

    return commit


def test_a_training_counts_once_whatever_became_of_its_file(tmp_path, commit):
    write(tmp_path, 3600.0)
    write(tmp_path, 50.0, "results/s/tables/seed0.json")
    commit()
    # scored anew: the same training
    write(tmp_path, 3600.0, metrics={})
    commit()
    # trained anew, and a study that is gone
    write(tmp_path, 1800.0)
    write(tmp_path, 5400.0, FILE.replace("/s/", "/gone/"))
    commit()
    (tmp_path / FILE.replace("/s/", "/gone/")).unlink()
    commit()
    assert len(committed(tmp_path)) == 4
    table = add_up(trainings(tmp_path))
    assert table.to_dict("records") == [
        {"study": "gone", "state": "discarded", "trainings": 1, "core_hours": 3.0, "gpu_training_hours": 0.0},
        {"study": "s", "state": "discarded", "trainings": 1, "core_hours": 2.0, "gpu_training_hours": 0.0},
        {"study": "s", "state": "kept", "trainings": 1, "core_hours": 1.0, "gpu_training_hours": 0.0},
        {"study": "all", "state": "", "trainings": 3, "core_hours": 6.0, "gpu_training_hours": 0.0},
    ]


def test_without_a_history_what_is_there_counts(tmp_path):
    write(tmp_path, 3600.0)
    assert add_up(trainings(tmp_path))["core_hours"].tolist() == [2.0, 2.0]


def test_trainings_on_a_gpu_are_no_core_hours(tmp_path):
    write(tmp_path, 7200.0, device="cuda")
    assert add_up(trainings(tmp_path)).iloc[-1][["core_hours", "gpu_training_hours"]].tolist() == [0.0, 2.0]


def test_nothing_to_add_up_is_said(tmp_path):
    with pytest.raises(UserError, match="no metrics file in results"):
        trainings(tmp_path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", ": not readable as JSON (Expecting property name"),
        ("\xff", ": not readable as JSON ("),
        ("[]", " is []; it must be a mapping"),
        ("{}", " lacks the key 'parameters'"),
        ('{"seconds": 1, "parameters": {}}', ": parameters lacks the key 'training'"),
        ('{"seconds": "x", "parameters": {"training": {}}}', ': seconds is "x"; it must be a number'),
        ('{"seconds": -1, "parameters": {"training": {}}}', ": seconds is -1; it must be at least 0"),
    ],
)
def test_a_file_that_does_not_say_what_it_took_is_named(tmp_path, capsys, commit, content, what):
    write(tmp_path, 3600.0)
    bad = tmp_path / FILE.replace("seed0", "seed1")
    bad.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError) as caught:
        trainings(tmp_path)
    assert str(caught.value).startswith(f"{bad.relative_to(tmp_path)}{what}")
    assert str(caught.value).endswith("; evaluate the model again")

    # nobody can mend it in the history
    commit()
    bad.unlink()
    assert len(trainings(tmp_path)) == 1
    assert f"in the git history: {caught.value}; left out" in capsys.readouterr().err


def test_before_the_first_commit_what_is_there_counts(tmp_path, commit):
    write(tmp_path, 3600.0)
    assert add_up(trainings(tmp_path))["core_hours"].tolist() == [2.0, 2.0]


def test_a_history_that_git_cannot_read_is_one_line(tmp_path):
    write(tmp_path, 3600.0)
    (tmp_path / ".git").write_text("gitdir: nowhere")
    with pytest.raises(UserError, match=r": its git history cannot be read \(fatal: .*\); mend it") as caught:
        trainings(tmp_path)
    assert "\n" not in str(caught.value)
