"""The schema, its defaults, and the one line that each mistake gets."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from fairdistill.data import KINDS
from fairdistill.methods import METHODS
from fairdistill.runtime.errors import UserError
from fairdistill.settings import reading as config

ROOT = Path(__file__).parents[2]


def kinds(definition):
    """The kinds of an entry, each with what the schema says of it."""
    names = config.schema()["$defs"][definition]["properties"]["kind"]["enum"]
    return {name: config.resolve({"$ref": f"#/$defs/{definition}"}, {"kind": name}) for name in names}


def keys(part, path=""):
    """Every key of a part of the schema with its description and default, as (path, resolved part)."""
    for name, child in part.get("properties", {}).items():
        child = config.resolve(child)
        yield f"{path}{name}", child
        yield from keys(child, f"{path}{name}.")


ENTRIES = [(f"{kind}.", part) for entry in ("dataset", "architecture", "method") for kind, part in kinds(entry).items()]
KEYS = [*keys(config.schema()), *(pair for path, part in ENTRIES for pair in keys(part, path))]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(config.schema())


def test_no_part_of_the_schema_takes_unknown_keys():
    for _, part in [("", config.schema()), *KEYS, *ENTRIES]:
        if "properties" in part:
            assert part["additionalProperties"] is False


@pytest.mark.parametrize(("path", "part"), KEYS, ids=[path for path, _ in KEYS])
def test_every_key_has_a_description_and_a_default(path, part):
    assert part["description"] if not path.endswith("kind") else True
    assert "default" in part or path.endswith("kind")


@pytest.mark.parametrize("path", sorted({path for path, _ in KEYS}))
def test_every_key_is_explained_in_the_readme(path):
    readme = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    assert f"`{path.rpartition('.')[2]}`" in readme


def readme_defaults():
    """The tables of config/README.md: the path of each key that has a default -> that default."""
    defaults, owners = {}, []
    for line in (ROOT / "config" / "README.md").read_text(encoding="utf-8").splitlines():
        if section := re.match(r"## (?:`(\w+)`)?|`kind: (\w+)`", line):
            name = section[1] or section[2]
            owners = list(kinds("architecture")) if name == "models" else [name]
        elif row := re.match(r"\| `(\w+)` \| `(.+?)` \|", line):
            key, default = row.groups()
            if key != "sets":  # listed there by name alone
                defaults |= {f"{owner}.{key}" if owner else key: yaml.safe_load(default) for owner in owners}
    return defaults


def test_the_readme_gives_the_defaults_of_the_schema():
    defaults = {path: part["default"] for path, part in KEYS if "default" in part}
    for path in ("data", "data.sets", "models", "teacher", "teacher.sampling", "students", "training"):
        del defaults[path]  # what has a section of its own there, or is explained with its kind
    # as text: 3 is not 3.0
    assert sorted(map(repr, readme_defaults().items())) == sorted(map(repr, defaults.items()))


def test_an_empty_config_is_the_papers_grid():
    stated = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    assert config.complete({}) == config.complete(stated) == stated


def test_the_demo_is_valid_over_the_papers_grid_and_alone():
    demo = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
    assert config.complete(demo)["study"] == "demo"
    assert demo["paper_values"] is None


def test_kinds_are_the_modules_of_their_package():
    """The rules take the module of a kind by its name."""
    assert {kind: f"fairdistill.data.{kind}" for kind in kinds("dataset")} == KINDS
    assert list(kinds("method")) == list(METHODS)
    for kind, target in METHODS.items():
        assert target.split(":")[0] == f"fairdistill.methods.{kind}"


@pytest.mark.parametrize("kind", list(KINDS))
def test_settings_of_a_data_set_are_those_of_its_module(kind):
    parameters = inspect.signature(importlib.import_module(KINDS[kind]).prepare).parameters
    defaults = {n: p.default for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    defaults = {n: list(d) if isinstance(d, tuple) else d for n, d in defaults.items()}
    completed = config.complete({"data": {"sets": {"it": {"kind": kind}}}, "datasets": ["it"]})
    assert completed["data"]["sets"]["it"] == {"kind": kind, **defaults}


@pytest.mark.parametrize("kind", list(METHODS))
def test_settings_of_a_method_are_those_of_its_class(kind):
    module, name = METHODS[kind].split(":")
    parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    defaults = {n.rstrip("_"): p.default for n, p in parameters.items() if n != "shape"}
    students = {"it": {"kind": kind}}
    settings = config.complete({"students": students, "methods": ["it"]})["students"]["it"]
    settings.pop("teacher", None)
    assert settings == {"kind": kind, **defaults}


def test_training_settings_are_those_of_the_loop():
    from fairdistill.training.loop import TrainingSettings

    settings = config.complete({})["training"]
    # how many share a GPU is no matter of the loop
    settings.pop("gpu_slots")
    assert TrainingSettings(**settings) == TrainingSettings()


def test_architectures_are_those_of_the_models():
    from fairdistill.networks import ARCHITECTURES

    assert config.schema()["$defs"]["architecture"]["properties"]["kind"]["enum"] == list(ARCHITECTURES)


def test_the_given_config_is_left_as_it_is():
    given = {"training": {"epochs": 3}}
    completed = config.complete(given)
    assert completed["training"]["epochs"] == 3
    assert completed["training"]["batch_size"] == 128
    assert given == {"training": {"epochs": 3}}


def test_defaults_are_not_shared_between_configs():
    config.complete({})["seeds"].append(7)
    assert config.complete({})["seeds"] == [0, 1, 2, 3, 4]


def test_text_is_read_as_what_the_schema_wants():
    """YAML takes 1e-3 for text, and Snakemake's --config every value in a list or map."""
    completed = config.complete(
        {
            "seeds": ["0", "1"],
            "paper_values": "null",
            "training": {"epochs": "3", "learning_rate": "1e-3", "flip": "false"},
        }
    )
    assert completed["seeds"] == [0, 1]
    assert completed["paper_values"] is None
    training = completed["training"]
    assert (training["epochs"], training["learning_rate"], training["flip"]) == (3, 1e-3, False)


def student(**settings):
    return {"students": {"mfd": {"kind": "mfd", **settings}}}


def dataset(**settings):
    return {"data": {"sets": {"cifar10s": settings}}, "datasets": ["cifar10s"]}


MISTAKES = [
    ({"seedz": [0]}, "config has the unknown key 'seedz'; did you mean 'seeds'?"),
    ({"training": {"epoch": 1}}, "config: training has the unknown key 'epoch'; did you mean 'epochs'?"),
    ({"training": {"epochs": 0}}, "config: training.epochs is 0; it must be at least 1"),
    ({"training": {"epochs": 1.0}}, "config: training.epochs is 1.0; it must be a whole number"),
    ({"training": {"epochs": True}}, "config: training.epochs is true; it must be a whole number"),
    ({"training": {"device": "gpu"}}, "config: training.device is \"gpu\"; did you mean 'cpu'?"),
    ({"training": {"flip": "maybe"}}, 'config: training.flip is "maybe"; it must be true or false'),
    ({"training": None}, "config: training is null; it must be a mapping"),
    ({"seeds": []}, "config: seeds is empty; name at least one"),
    ({"seeds": [0, 0]}, "config: seeds is [0, 0]; an entry comes twice"),
    ({"seeds": 0}, "config: seeds is 0; it must be a list"),
    ({"seeds": [-1]}, "config: seeds.0 is -1; it must be at least 0"),
    ({"study": "a/b"}, 'config: study is "a/b"; it must be of letters, digits, _ and -'),
    ({"datasets": ["cifar10"]}, "config: datasets names 'cifar10', which data.sets does not define"),
    ({"architectures": ["resnet50"]}, "config: architectures names 'resnet50', which models does not"),
    (
        {"ablations": [{}, {"dataset": []}]},
        "config: ablations.1 has the unknown key 'dataset'; did you mean 'datasets'?",
    ),
    ({"ablations": [{"seeds": [-1]}]}, "config: ablations.0.seeds.0 is -1; it must be at least 0"),
    ({"ablations": [{"methods": ["kd"]}]}, "config: ablations.0.methods names 'kd', which students does not define"),
    ({"methods": ["kd"]}, "config: methods names 'kd', which students does not define; choose one of mfd"),
    ({"models": {"a b": {"kind": "resnet18"}}}, 'config: models holds the name "a b"; a name is'),
    ({"models": {1: {"kind": "resnet18"}}}, "config: models holds the name 1; a name is text"),
    ({"models": {"same": {"kind": "resnet18"}}}, "config: models holds the name 'same', which is reserved"),
    ({"models": {"r": {"kind": "resnet50"}}}, "config: models.r.kind is \"resnet50\"; did you mean 'resnet18'?"),
    (student(**{"lambda": -1}), "config: students.mfd.lambda is -1; it must be at least 0"),
    (student(**{"lambda": float("nan")}), "config: students.mfd.lambda is NaN; it must be a number"),
    (student(sigma=0), "config: students.mfd.sigma is 0; it must be above 0"),
    (student(kind="mdf"), "config: students.mfd.kind is \"mdf\"; did you mean 'mfd'?"),
    (student(teacher="resnett"), "config: students.mfd.teacher names 'resnett', which models does not"),
    ({"students": {"mfd": {"lambda": 3}}}, "config: students.mfd lacks the key 'kind'"),
    ({"students": {"teacher": {"kind": "mfd"}}}, "config: students holds the name 'teacher', which is"),
    ({"students": {"s": {"kind": "scratch", "teacher": "same"}}}, "config: students.s has the unknown key"),
    ({"teacher": {"kind": "mfd"}}, 'config: teacher.kind is "mfd"; it must be scratch'),
    (dataset(kind="cifar10s", skew=0), "config: data.sets.cifar10s.skew is 0; it must be above 0"),
    (dataset(kind="cifar10s", skew=1.5), "config: data.sets.cifar10s.skew is 1.5; it must be at most 1"),
    (dataset(kind="cifar10s", gray_classes=[10]), "config: data.sets.cifar10s.gray_classes.0 is 10; it"),
    (dataset(kind="cifar10s", gray_classes=[1, 1]), "config: data.sets.cifar10s.gray_classes is [1, 1]; an"),
    (dataset(kind="cifar10"), "config: data.sets.cifar10s.kind is \"cifar10\"; did you mean 'cifar10s'?"),
    (dataset(kind="digits_s", test_fraction=1), "config: data.sets.cifar10s.test_fraction is 1; it must be below 1"),
]


@pytest.mark.parametrize(("given", "line"), MISTAKES, ids=[line for _, line in MISTAKES])
def test_each_mistake_gets_one_line_that_names_the_key(given, line):
    with pytest.raises(UserError, match="^" + re.escape(line)) as error:
        config.complete(given)
    assert "\n" not in str(error.value)


def test_a_whole_number_is_the_same_configuration_as_its_float():
    whole, given = ({"students": {"mfd": {"kind": "mfd", "lambda": value}}} for value in (3, 3.0))
    assert repr(config.complete(whole)) == repr(config.complete(given))
