"""A configuration that has everything, changed in one place: it is read, or one line names the place."""

import copy
import re
from typing import get_args

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st
from test_config import STATED, merged

from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import Settings, kinds, settings_of_kind
from fairdistill.settings.configuration import complete
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.export import Export
from fairdistill.settings.methods import AnyMethod, BaseChoice, Erm
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.preprocess import Preprocess
from fairdistill.settings.study import Ablation, Data, Study
from fairdistill.settings.sweeps import SECTIONS, Search
from fairdistill.settings.training import Training


def stated(value):
    """Settings as a configuration may state them: every key, those that records leave out too."""
    if isinstance(value, Settings):
        fields = type(value).model_fields.items()
        return {field.alias or name: stated(getattr(value, name)) for name, field in fields}
    if isinstance(value, dict):
        return {key: stated(each) for key, each in value.items()}
    return [stated(each) for each in value] if isinstance(value, list) else value


def kinds_of(settings):
    """The kinds that a class of settings has."""
    return get_args(settings.model_fields["kind"].annotation)


def one_of_each(union, **given):
    """An entry for each class of settings, under the name of its kind; of several kinds, the first."""
    names = {kinds_of(settings)[0]: settings for settings in kinds(union)}
    assert given.keys() <= names.keys()
    return {name: stated(settings(kind=name, **given.get(name, {}))) for name, settings in names.items()}


VALIDATED = {"validation": 0.1}
SETS = one_of_each(
    AnyDataSet,
    cifar10s=VALIDATED,
    utkface=VALIDATED | {"own_copy": "faces"},
    digits_s=VALIDATED,
    celeba={"folder": "celeba"},
    folder=VALIDATED | {"images": "photos", "labels": "labels.csv", "bins": {"label": [20.0]}, "subject": "person"},
)
NETWORKS = one_of_each(AnyNetwork, resnet18={"weights": "start.pth"})
METHODS = one_of_each(
    AnyMethod,
    imported={
        "checkpoint": "model.pth",
        "architecture": "resnet18",
        "preprocess": Preprocess(size=64, crop=32),
        "classes": ["a", "b"],
    },
    kd={"base": {"method": "erm", "architecture": "resnet18"}},
    at={"layers": ["layer3"], "base": "kd"},
)
MIXED = Study(
    study="full",
    datasets=[*SETS],
    architectures=["resnet18", "shufflenet_v2_x0_5"],
    methods=[name for name in METHODS if name != "at"],
    references=["teacher", "erm"],
    ablations=[
        # the layers that it names are a ResNet's
        Ablation(seeds=[9], datasets=["folder"], architectures=["resnet18"], methods=["at"]),
        # it takes images of 32 pixels alone
        Ablation(datasets=["cifar10s"], architectures=["cifar_net"], methods=["erm"]),
    ],
    data=Data(mirror="mirror"),
    search={"mfd": Search()},
    probe_features=True,
    example_images=["folder"],
    paper_values="values.csv",
    paper_method="kd",
    published="results/paper",
    export=Export(
        seeds=[0],
        datasets=["folder"],
        architectures=["resnet18"],
        methods=["kd"],
        intended_use="a test",
        data_terms="none",
        watts=10.0,
        carbon_intensity=400.0,
    ),
)
FULL = stated(MIXED) | {"data": {"mirror": "mirror", "sets": SETS}, "networks": NETWORKS, "students": METHODS}
# a sweep of methods, one of data sets and one of networks
FULL["students"]["mfd"]["lambda"] = [0.0, 3.0]
FULL["data"]["sets"]["digits_s"]["skew"] = [0.8, 0.9]
FULL["networks"]["resnet34"]["stem"] = ["imagenet", "cifar"]


def places(value, path=()):
    """The paths to every value in a configuration."""
    yield path
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, (*path, key))


def replaced(value, path, new):
    """A copy of a configuration with another value in one place."""
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = replaced(value[path[0]], path[1:], new)
    return value


def value_at(path, value=FULL):
    for key in path:
        value = value[key]
    return value


PLACES = list(places(FULL))
MAPPINGS = [path for path in PLACES if isinstance(value_at(path), dict)]
WORDS = [str(path[-1]) for path in PLACES if path] + ["null", "true", "nan", "1e-3", "same", "[key]", "-1", "scratch"]
TEXT = st.sampled_from(WORDS) | st.text(max_size=5)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
KEYS = TEXT | st.none() | st.booleans() | st.integers() | st.floats()
JSON = st.recursive(
    SCALARS, lambda child: st.lists(child, max_size=3) | st.dictionaries(KEYS, child, max_size=3), max_leaves=6
)


def line_about(config, *, over_stated=False):
    """The line that a configuration is refused with; None where it is read, as the settings that it has then are.

    With `over_stated` it is the user's, laid over config/config.yaml.
    """
    # Snakemake takes no configuration that is no mapping
    laid = over_stated and isinstance(config, dict)
    try:
        study = complete(merged(STATED, config), config) if laid else complete(config)
    except UserError as error:
        (line,) = str(error).splitlines()
        assert line.startswith("config")
        return line
    # what is searched is no sweep any more, but its models
    read = stated(study) | {"search": {}}
    try:
        again, refused = stated(complete(read)), None
    except UserError as error:
        again, refused = None, str(error)
    if refused is not None:
        # a setting that only other models of the sweep use
        assert re.match(rf"config: \S*{SWEPT.pattern}\.\w+ has no effect, as ", refused)
        return None
    # the name of a sweep, which a configuration that does not have it gets as a default again
    for found, named in ((again, read), (again["data"], read["data"])):
        for key in {"networks", "students", "sets"} & found.keys():
            found[key] = {name: value for name, value in found[key].items() if name in named[key]}
    assert again == read
    return None


SWEPT = re.compile(r"\b(mfd|digits_s|resnet34)-[\w-]+")
GRID = ("datasets", "architectures", "methods")


def without_values(line):
    """A line in which a model of a sweep, whose name ends with its values, is called as the sweep."""
    return SWEPT.sub(r"\1", line)


def key_of(path):
    """The path to the key that a place belongs to: a list is one, whichever its entry."""
    keys = [*path]
    while keys and isinstance(keys[-1], int):
        keys.pop()
    return keys


def names(line, path):
    """Whether a line names the key that `path` leads to, by the keys to it or by itself, or what it decides."""
    line, keys = without_values(line), key_of(path)
    words = re.findall(r"\w+", line)
    if not keys or ".".join(map(str, keys)) in line or keys[-1] in words:
        return True
    if keys[-1] == "kind":
        # it decides which keys its entry may have
        return keys[-2] in words
    if keys[-2:] == ["base", "method"]:
        # `base: NAME` is short for it
        return "base" in words
    if keys == ["students", "mfd", "lambda"]:
        return "search names 'mfd', which is no sweep" in line
    # a grid brings together what each is right by itself
    return keys[-1] in GRID and re.search(r"\b(data\.sets|networks|students)\.\w", line) is not None


def test_there_is_every_kind_of_data_set_network_and_method():
    assert complete(FULL).study == "full"
    for path, union in SECTIONS.values():
        assert {settings_of_kind(union, entry["kind"]) for entry in value_at(path).values()} == {*kinds(union)}
    assert all(complete(FULL).sweeps(key) for key in SECTIONS)
    assert FULL.keys() == {field.alias or name for name, field in Study.model_fields.items()}
    # of which some have several kinds
    for kind in [kind for settings in kinds(AnyNetwork) for kind in kinds_of(settings)]:
        assert complete({"networks": {"other": {"kind": kind}}}).networks["other"].kind == kind


@generated(st.sampled_from(PLACES), JSON, st.booleans())
def test_any_value_in_any_place_is_read_or_the_place_is_named(path, value, over_stated):
    line = line_about(replaced(FULL, path, value), over_stated=over_stated)
    assert line is None or names(line, path), line


def test_what_no_setting_is_gets_a_line_that_names_its_place():
    for path in PLACES:
        for value in ([[{}]], {"no such key": [None]}):
            line = line_about(replaced(FULL, path, value))
            assert line is not None
            assert ".".join(map(str, key_of(path))) in without_values(line), (path, line)


@generated(st.sampled_from(MAPPINGS), KEYS, JSON, st.booleans())
def test_any_key_in_any_mapping_is_read_or_named(path, key, value, over_stated):
    line = line_about(replaced(FULL, path, value_at(path) | {key: value}), over_stated=over_stated)
    assert line is None or names(line, path) or repr(key) in line or names(line, (*path, str(key))), line


def described():
    """The paths to the settings in the configuration that their classes describe, each with its part of a schema."""
    classes = {(): Study, ("data",): Data, ("training",): Training, ("export",): Export, ("teacher",): Erm}
    classes |= {("search", "mfd"): Search, ("students", "imported", "preprocess"): Preprocess}
    classes |= {("students", name, "base"): BaseChoice for name, method in METHODS.items() if "base" in method}
    classes |= {("ablations", number): Ablation for number in range(len(FULL["ablations"]))}
    for path, union in SECTIONS.values():
        for name, entry in value_at(path).items():
            classes[*path, name] = settings_of_kind(union, entry["kind"])
    for path, settings in classes.items():
        for key, part in settings.model_json_schema()["properties"].items():
            yield (*path, key), part


def allowed(part):
    """The values that a part of a JSON schema allows; None where it is of more than bounds and choices."""
    if "anyOf" in part:
        alternatives = [allowed(alternative) for alternative in part["anyOf"]]
        return None if None in alternatives else st.one_of(alternatives)
    if "enum" in part or "const" in part:
        return st.sampled_from(part.get("enum", [part.get("const")]))
    if part.get("type") == "integer" and "minimum" in part:
        return st.integers(part["minimum"], part["maximum"])
    if part.get("type") == "number":
        return st.floats(
            part.get("minimum", part.get("exclusiveMinimum")),
            part.get("maximum", part.get("exclusiveMaximum")),
            exclude_min="exclusiveMinimum" in part,
            exclude_max="exclusiveMaximum" in part,
        )
    return {"boolean": st.booleans(), "null": st.none()}.get(part.get("type"))


# what other settings have a say in: the size of images, splits, stages, and what a kind of network or method has
BOUND_TO_OTHERS = {
    *("kind", "stem", "sampling", "keep", "image_size", "size", "crop", "validation", "folds", "split_seed"),
    *("split", "duplicates", "test_per_cell", "target", "group", "epochs", "hint_share", "representation_share"),
    # what has no effect, or leaves others without one
    *("degree", "offset", "kd_temperature", "beta", "crop_test", "watts"),
}
# the values of a sweep are more than one
SINGLE = [(path, part) for path, part in described() if not isinstance(value_at(path), list)]
VALID = {path: values for path, part in SINGLE if (values := allowed(part)) is not None}
BY_ITSELF = ("it must be", "has the unknown key")


@generated(st.data())
def test_what_the_types_allow_is_read(data):
    path = data.draw(st.sampled_from(sorted(VALID, key=str)))
    line = line_about(replaced(FULL, path, data.draw(VALID[path])), over_stated=data.draw(st.booleans()))
    if line is not None:
        assert path[-1] in BOUND_TO_OTHERS, line
        assert names(line, path), line
        assert not any(words in line for words in BY_ITSELF), line


def nested(keys, value):
    """A configuration with a value in one place alone."""
    for key in reversed(keys):
        value = {key: value}
    return value


@pytest.mark.parametrize(("section", "union"), SECTIONS.values(), ids=SECTIONS)
def test_a_wrong_key_is_that_of_config_yaml_or_the_users(section, union):
    for name, entry in value_at(section, STATED).items():
        for kind, own in value_at(section).items():
            known = {field.alias or key for key, field in settings_of_kind(union, own["kind"]).model_fields.items()}
            line = line_about(nested(section, {name: own}) | {"study": "named"}, over_stated=True) or ""
            merged_in = [key for key in entry if f"{key!r} is not yours: it stands in config/config.yaml" in line]
            assert bool(merged_in) == bool(entry.keys() - known), (kind, line)
            assert known.isdisjoint(merged_in)
            line = line_about(nested(section, {name: own | {"a_wrong_key": 1}}), over_stated=True)
            assert "has the unknown key 'a_wrong_key'" in line
            assert "not yours" not in line


@pytest.mark.parametrize("kind", SETS)
def test_data_of_other_kinds_than_the_papers_have_a_study_of_their_own(kind):
    given = {"datasets": [kind], "data": {"sets": {kind: SETS[kind]}}}
    line = line_about(given, over_stated=True)
    is_the_papers = kind in STATED["datasets"]
    assert (line is None) == is_the_papers
    assert is_the_papers or (line.startswith("config: study is left out") and names(line, ("data", "sets", kind)))
    named = given | {"study": "named"}
    study = complete(merged(STATED, named), named)
    compared = [key for key in ("paper_values", "paper_method", "published") if getattr(study, key) is not None]
    assert bool(compared) == is_the_papers
