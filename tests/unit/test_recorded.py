"""What was made with other settings than a study's is found by the records of its data sets and models."""

import json

import pytest

from fairdistill.runtime.differences import differences, some_of
from fairdistill.settings.configuration import complete
from fairdistill.settings.names import ModelName
from fairdistill.settings.recorded import changed_metrics, changed_settings

DATA = "{dataset}{draw}/dataset.json"
MODEL = "{dataset}/{architecture}/{method}/seed{seed}{fold}/training.json"
GIVEN = {
    "study": "s",
    "datasets": ["digits"],
    "architectures": ["resnet"],
    "methods": ["mfd"],
    "seeds": [0, 1],
    "data": {"sets": {"digits": {"kind": "digits_s"}}},
}


def study(**given):
    return complete(GIVEN | given)


def write_records(folder, made, seeds=(0, 1)):
    """Write the records of a study as far as settings go."""
    records = {DATA.format(dataset="digits", draw=""): {"settings": made.data.sets["digits"].to_json()}}
    for method in ("teacher", "mfd"):
        base = made.base(ModelName(architecture="resnet", method=method))
        record = {
            "run": {"method": method, "base": base and base.to_json()},
            "parameters": {
                "network": made.networks["resnet"].to_json(),
                "method": made.method(method).parameters(),
                "training": made.training.to_json(),
            },
            "data": {"settings": made.data.sets["digits"].to_json()},
        }
        for seed in seeds:
            name = MODEL.format(dataset="digits", architecture="resnet", method=method, seed=seed, fold="")
            records[name] = record
    for name, record in records.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))


@pytest.fixture
def found(tmp_path):
    """Returns what of the study GIVEN was made with other settings than those of another configuration."""
    write_records(tmp_path, study())
    return lambda **given: changes_in(tmp_path, study(**given))


def changes_in(folder, study, own_files=lambda dataset: None, weights=lambda file: None):
    """What `changed_settings` finds, by paths from `folder`."""
    found = changed_settings(study, f"{folder}/{DATA}", f"{folder}/{MODEL}", own_files, weights)
    return {path.removeprefix(f"{folder}/"): changes for path, changes in found.items()}


def models(*methods, seeds=(0, 1)):
    return {f"digits/resnet/{method}/seed{seed}/training.json" for method in methods for seed in seeds}


def test_a_study_that_goes_on_with_more_has_nothing_of_other_settings(found):
    more = {"seeds": [0, 1, 2], "methods": ["mfd", "at"], "architectures": ["resnet", "shufflenet"]}
    assert found() == {}
    assert found(**more, students={"at": {"kind": "at"}}, training={"gpu_slots": 3, "memory": 9000}) == {}


@pytest.mark.parametrize(
    ("given", "records", "change"),
    [
        (
            {"training": {"epochs": 5}},
            models("teacher", "mfd"),
            "training.epochs was 20 and is now 5",
        ),
        (
            {"students": {"mfd": {"kind": "mfd", "lambda": 9}}},
            models("mfd"),
            "students.mfd.lambda was 3.0 and is now 9.0",
        ),
        (
            {"students": {"mfd": {"kind": "erm"}}},
            models("mfd"),
            "students.mfd.kind was mfd and is now erm",
        ),
        (
            {"students": {"mfd": {"kind": "mfd", "base": "other"}, "other": {"kind": "erm"}}},
            models("mfd"),
            "students.mfd.base.method was teacher and is now other",
        ),
        (
            {"networks": {"resnet": {"kind": "resnet34"}}},
            models("teacher", "mfd"),
            "networks.resnet.kind was resnet18 and is now resnet34",
        ),
        (
            {"data": {"sets": {"digits": {"kind": "digits_s", "noise": 0.5}}}},
            models("teacher", "mfd") | {"digits/dataset.json"},
            "data.sets.digits.noise was 0.2 and is now 0.5",
        ),
    ],
)
def test_what_was_made_with_other_settings_is_named_with_what_differs(found, given, records, change):
    assert found(**given).keys() == records
    assert all(change in changes for changes in found(**given).values())


def test_what_was_made_of_other_content_of_the_users_own_files_is_named(tmp_path):
    """As where a file changed between the plan and the job that read it, and was changed back."""
    own = study(teacher={"kind": "imported", "checkpoint": "teacher.pt"})
    data, teacher = DATA.format(dataset="digits", draw=""), models("teacher", seeds=[0]).pop()
    for name, record in {
        data: {"source": {"own_files": "a" * 64}},
        teacher: {"data": {"source": {"own_files": "a" * 64}}, "inputs": {"checkpoint": "b" * 64}},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(record))
    same = {"own_files": {"digits": "a" * 64}.get, "weights": {"teacher.pt": "b" * 64}.get}
    assert changes_in(tmp_path, own, **same) == {}
    # files that are not there any more tell nothing
    assert changes_in(tmp_path, own) == {}
    other = {"own_files": {"digits": "c" * 64}.get, "weights": {"teacher.pt": "c" * 64}.get}
    assert changes_in(tmp_path, own, **other) == {
        data: ["another content of the files of data.sets.digits"],
        teacher: ["another content of the files of data.sets.digits", "another content of teacher.pt"],
    }


def test_metrics_are_compared_where_their_models_are_gone(tmp_path):
    write_records(tmp_path, study())
    patterns = [f"{tmp_path}/{{dataset}}/{{architecture}}/{{method}}/{name}" for name in ("metrics{seed}.json", "gone")]
    gone = tmp_path / "digits/resnet/mfd"
    for folder in (gone, tmp_path / "digits/resnet/teacher"):
        (folder / "seed0/training.json").rename(folder / "metrics0.json")
    (tmp_path / "digits/resnet/teacher/gone").touch()
    unknown = {"own_files": lambda dataset: None, "weights": lambda file: None}
    changed = changed_metrics(study(training={"epochs": 5}), *patterns, **unknown)
    assert changed == {f"{gone}/metrics0.json": ["training.epochs was 20 and is now 5"]}
    assert changed_metrics(study(), *patterns, **unknown) == {}


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"settings": {}, "parameters": null}', None])
def test_a_record_that_cannot_be_read_is_left_to_what_reads_it_next(tmp_path, found, content):
    for path in tmp_path.rglob("*.json"):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    assert found(training={"epochs": 5}) == {}


def test_a_setting_that_a_record_does_not_have_yet_makes_no_difference():
    then, now = {"a": {"b": 1, "gone": 2}}, {"a": {"b": 1, "new": 2}}
    assert list(differences(then, now, shared=True)) == []
    assert list(differences(then, now)) == ["a.gone was 2 and is now None", "a.new was None and is now 2"]
    assert list(differences({"a": "x" * 40}, {"a": "y" * 40})) == ["another a"]


def test_of_many_differences_three_are_shown():
    assert some_of(["a", "b", "c"]) == "a, b, c"
    assert some_of(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
