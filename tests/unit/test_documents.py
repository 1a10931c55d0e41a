"""The JSON schema and the tables of config/README.md: what they say, and that they are not stale."""

import json
import re
from pathlib import Path

import pytest
import yaml

from fairdistill.runtime.errors import UserError
from fairdistill.settings.documents import END, TABLES, readme_text, schema, schema_text
from fairdistill.settings.study import Study
from scripts.describe_settings import README, SCHEMA

ROOT = Path(__file__).parents[2]
CLASSES = [settings for classes in TABLES.values() for settings in classes]
STALE = "is stale: run `make docs` (python -m scripts.describe_settings)"


def parts(schema):
    """Every part of a JSON schema that is a mapping of keywords."""
    yield schema
    for keyword, value in schema.items():
        if keyword in ("properties", "patternProperties", "$defs"):
            for child in value.values():
                yield from parts(child)
        elif keyword in ("anyOf", "oneOf"):
            for child in value:
                yield from parts(child)
        elif keyword == "items":
            yield from parts(value)


def test_the_json_schema_is_up_to_date():
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), f"{SCHEMA} {STALE}"


def test_the_tables_of_the_readme_are_up_to_date():
    readme = README.read_text(encoding="utf-8")
    assert readme == readme_text(readme), f"{README} {STALE}"


def test_tables_are_written_anew_whatever_stands_there():
    readme = README.read_text(encoding="utf-8")
    emptied = re.sub(rf"(<!-- settings: [^>]* -->\n).*?({re.escape(END)})", r"\1\2", readme, flags=re.DOTALL)
    assert len(emptied) < len(readme) / 2
    assert readme_text(emptied) == readme


def test_a_table_without_a_place_is_named():
    with pytest.raises(UserError, match=r"^config/README\.md: the table 'data' has no place"):
        readme_text(README.read_text(encoding="utf-8").replace("settings: data ", "settings: date "))


@pytest.mark.parametrize("settings", CLASSES, ids=[settings.__name__ for settings in CLASSES])
def test_every_setting_has_a_description_and_a_default(settings):
    assert settings.__doc__
    for name, field in settings.model_fields.items():
        if name != "kind":
            # whole sentences, and no bar, which would end a cell of the table
            assert re.fullmatch(r"[A-Z][^|]*\.", field.description), name
            assert not field.is_required(), name


def test_every_class_of_settings_has_a_table():
    assert {settings.__name__ for settings in CLASSES} == {"Study", *schema()["$defs"]}


def test_the_tables_give_default_bounds_and_choices():
    readme = README.read_text(encoding="utf-8")
    rows = {
        "| `epochs` | `20` | The number of passes over the training set. At least 1, at most 100000. |",
        "| `datasets` | `[cifar10s, utkface]` | The data sets of the main grid, names from `data.sets`; "
        "or a kind of data set, which needs no entry there if its default settings are to be used. |",
    }
    assert rows <= set(readme.splitlines())
    assert re.search(r"^\| `validation` \| `0.0` \| .* At least 0, below 1\. \|$", readme, flags=re.MULTILINE)
    assert re.search(r"^\| `skew` \| `0.9` \| .* Above 0, below 1\. \|$", readme, flags=re.MULTILINE)
    assert re.search(r"^\| `gray_classes` \| .* Each at least 0, at most 9\. \|$", readme, flags=re.MULTILINE)
    assert re.search(r"^\| `device` \| `auto` \| .* One of `auto`, `cpu`, `cuda`\. \|$", readme, flags=re.MULTILINE)
    assert re.search(r"^\| `base` \| `{method: teacher, architecture: same}` \| ", readme, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def validator():
    # seconds of it are a grammar that jsonschema has beside it
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())


def test_the_schema_is_one(validator):
    validator.check_schema(schema())


def test_the_schema_has_no_keyword_that_validators_do_not_know():
    known = {"$schema", "$defs", "$ref", "discriminator", "type", "description", "default", "const", "enum", "pattern"}
    known |= {
        "properties",
        "patternProperties",
        "additionalProperties",
        "required",
        "items",
        "uniqueItems",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
    }
    known |= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "anyOf", "oneOf"}
    found = {keyword for part in parts(schema()) for keyword in part}
    assert found - known == {"title"}  # of the classes
    assert not any("title" in part for part in parts(schema()) if part.get("type") != "object")


def test_no_part_of_the_schema_takes_unknown_keys():
    objects = [part for part in parts(schema()) if part.get("type") == "object"]
    assert len(objects) > len(CLASSES)
    assert all(part["additionalProperties"] is False for part in objects)


@pytest.mark.parametrize("name", ["config", "demo", "ablations", "authors", "sweeps_digits", "own_images"])
def test_the_schema_accepts_the_config_files(validator, name):
    config = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert list(validator.iter_errors(config)) == []


@pytest.mark.parametrize(
    "config",
    [
        {"seedz": [0]},
        {"seeds": [-1]},
        {"seeds": [0, 0]},
        {"training": {"epochs": 0}},
        {"training": {"device": "gpu"}},
        {"students": {"mfd": {"kind": "mfd", "lambda": -1}}},
        {"students": {"mfd": {"kind": "mfd", "base": None}}},
        {"students": {"mfd": {"kind": "erm", "lambda": 1}}},
        {"students": {"a b": {"kind": "erm"}}},
        {"data": {"sets": {"c": {"kind": "cifar10s", "gray_classes": [10]}}}},
        {"data": {"sets": {"c": {"kind": "cifar10s", "skew": 0}}}},
    ],
    ids=str,
)
def test_the_schema_refuses_mistakes(validator, config):
    assert not validator.is_valid(config)


def test_the_schema_accepts_a_base_by_name_and_the_earlier_name_of_erm(validator):
    config = {"students": {"a": {"kind": "kd", "base": "b"}, "b": {"kind": "scratch"}}, "teacher": {"kind": "scratch"}}
    assert validator.is_valid(config)


def test_the_defaults_of_the_schema_are_those_of_an_empty_config():
    defaults = {key: part["default"] for key, part in json.loads(schema_text())["properties"].items()}
    assert defaults == Study().to_json()


def test_every_number_and_every_text_of_a_configuration_has_a_bound():
    """Names have theirs in their pattern."""
    lower, upper = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
    bounds = {
        "integer": [lower, upper],
        "number": [lower, upper],
        "string": [{"maxLength", "pattern", "enum", "const"}],
    }
    unbounded = [
        part for part in parts(schema()) for each in bounds.get(part.get("type"), []) if not part.keys() & each
    ]
    assert unbounded == []
    assert {part["pattern"] for part in parts(schema()) if "pattern" in part} == {"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}
