"""A configuration: its defaults, what it is read as, and the one line that each mistake gets."""

import copy
import errno
import importlib
import itertools
import os
import re
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml

from fairdistill.runtime.errors import UserError
from fairdistill.settings.config_files import check_config_file
from fairdistill.settings.configuration import complete
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.documents import kinds
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.names import ModelName
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import UnreadableSettings, read_settings
from fairdistill.settings.study import models_in
from fairdistill.settings.training import Training

ROOT = Path(__file__).parents[2]
STATED = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))


def student(**settings):
    return {"students": {"mfd": {"kind": "mfd", **settings}}}


def dataset(**settings):
    return {"data": {"sets": {"cifar10s": settings}}, "datasets": ["cifar10s"]}


def layers(named, **settings):
    return {"students": {"at": {"kind": "at", "layers": named, **settings}}, "methods": ["at"]}


def merged(below, above):
    """What Snakemake makes of a configuration that is laid over another one."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: merged(below.get(key), value) for key, value in above.items()}
    return above


def with_seeds(**given):
    students = {"erm": {"kind": "erm"}, "kd": {"kind": "kd"}, "stands": {"kind": "mfd", "base": "erm"}}
    students["swept"] = {"kind": "mfd", "lambda": [1, 3]}
    common = {"datasets": ["cifar10s"], "architectures": ["resnet"], "students": students}
    return common | {"seeds": [0, 1, 2], "methods": ["erm", "mfd", "kd", "stands", "swept"]} | given


def test_a_method_may_have_some_of_the_seeds_alone():
    own = {"erm": [0, 1], "stands": [1, 2], "swept": [1], "swept-lambda1": [0, 1]}
    study = complete(with_seeds(method_seeds=own))

    found = {}
    for grid in study.main_grids:
        for model in models_in(grid):
            found.setdefault(model.method, set()).update(grid["seed"])
    assert found.pop("teacher") == {0, 1, 2}
    # the base of a model is of its seed
    assert found.pop("erm") == {0, 1, 2}
    own |= {"mfd": [0, 1, 2], "kd": [0, 1, 2], "swept-lambda3": own.pop("swept")}
    assert found == {name: set(seeds) for name, seeds in own.items() if name != "erm"}
    # tables keep the order of the methods
    order = [model.method for grid in study.grids[-1] for model in models_in(grid)]
    assert order == ["teacher", *study.methods]
    # the other grids have seeds by themselves
    beside = complete(with_seeds(method_seeds=own, ablations=[{"methods": ["stands"]}]))
    assert [grid["seed"] for grid in beside.grids[0]] == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("own", "what"),
    [
        ({"teacher": [0]}, "config: method_seeds names the teacher, which has all seeds; leave it out"),
        (
            {"erl": [0]},
            r"config: method_seeds names 'erl', which the main grid lacks \(methods\); did you mean 'erm'\? \(null",
        ),
        ({"pkt": [0]}, r"config: method_seeds names 'pkt', which the main grid lacks \(methods\); choose one of"),
        ({"kd": [0, 3]}, "config: method_seeds.kd has 3, which seeds lacks; add it there, leave it out, or"),
        ({"kd": []}, "config: method_seeds.kd"),
        ({"erm": [0], "kd": [1, 2]}, r"config: method_seeds.erm is \[0\], but there is no seed that all methods have"),
    ],
)
def test_seeds_of_what_the_grid_lacks_are_one_line(own, what):
    with pytest.raises(UserError, match=f"^{what}"):
        complete(with_seeds(method_seeds=own))


def test_seeds_of_methods_are_taken_back_by_null():
    study = complete(with_seeds(seeds=[0], method_seeds={"kd": None, "swept": "null", "left_out": None}))
    assert [study.seeds_of(name) for name in study.methods] == [[0]] * 6
    assert complete(with_seeds(method_seeds={"swept": [1], "swept-lambda1": None})).seeds_of("swept-lambda1") == [1]


def test_a_base_that_the_grid_has_is_named_and_exported_once():
    study = complete(with_seeds(method_seeds={"stands": [2, 1], "kd": [1]}))
    assert len(study.main_grids) == len(study.grids[-1])
    exported = {(model.method, *grid["seed"]) for grid in study.exported for model in models_in(grid)}
    swept = {("swept-lambda1", 0), ("swept-lambda3", 0)}
    assert exported == {("erm", 0), ("mfd", 0), ("kd", 1), ("stands", 2), *swept}
    # the base lacks a seed there
    other = complete(with_seeds(method_seeds={"erm": [0, 1], "stands": [1, 2]}))
    assert other.main_grids.count({**other.grids[-1][-1], "method": ["erm"], "seed": [1, 2]}) == 1


@pytest.mark.parametrize("name", ["swept", "swept-lambda1"])
def test_models_that_a_search_compares_have_the_same_seeds(name):
    config = with_seeds(search={"swept": {}}, data={"sets": {"cifar10s": {"kind": "cifar10s", "validation": 0.1}}})
    complete(config)
    with pytest.raises(UserError, match=f"^config: method_seeds.{name} is given, but search.swept compares models"):
        complete(config | {"method_seeds": {name: [0]}})


def test_an_empty_config_is_the_papers_grid():
    compared = {"paper_values": "config/paper_values.csv", "paper_method": "mfd", "published": "results/paper"}
    assert complete(STATED).to_json() == complete({}).to_json() | compared


def compared_with(**given):
    given |= {"study": "named"}
    study = complete(merged(STATED, given), given)
    return study.paper_values, study.paper_method, study.published


def test_a_study_of_other_data_sets_is_compared_with_the_paper_only_where_that_is_said():
    paper = ("config/paper_values.csv", "mfd", "results/paper")
    sets = {"sets": {"digits": {"kind": "digits_s"}}}
    assert compared_with(data=sets, datasets=["digits"]) == (None, None, None)
    assert compared_with(data=sets, datasets=["digits", "utkface"]) == compared_with(seeds=[0]) == paper
    asked = {"paper_values": "mine.csv", "paper_method": "mfd"}
    assert compared_with(data=sets, datasets=["digits"], **asked) == ("mine.csv", "mfd", None)
    assert compared_with(data=sets, datasets=["digits"], paper_values="mine.csv") == ("mine.csv", "mfd", None)
    assert compared_with(data=sets, datasets=["digits"], paper_method="mfd")[:2] == paper[:2]
    # of which the paper's method would have to be one
    swept = {"mfd": {"lambda": [1, 3]}}
    assert compared_with(data=sets, datasets=["digits"], students=swept) == (None, None, None)


@pytest.mark.parametrize(
    "name",
    ["demo", "methods_demo", "ablations", "authors", "utkface_folds", "methods", "sweeps_digits", "own_images"],
)
def test_a_config_file_is_valid_over_the_papers_grid(name):
    given = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8"))
    complete(merged(STATED, given), given)


def test_what_the_template_for_own_images_has_as_comments_is_valid():
    text = (ROOT / "config" / "own_images.yaml").read_text(encoding="utf-8")
    given = yaml.safe_load(re.sub(r"# ((?:bins|split|subject): .+)", r"\1", text).replace("label: label", "label: age"))
    photos = complete(merged(STATED, given)).data.sets["photos"]
    assert (photos.bins, photos.split, photos.subject) == ({"age": [20, 40]}, "split", "person")


@pytest.mark.parametrize(
    ("study", "files"),
    [
        ("paper", ["ablations", "paper_published"]),
        ("methods", ["methods"]),
        ("methods_utkface", ["methods", "methods_utkface"]),
        ("methods_digits", ["methods", "methods_digits"]),
    ],
)
def test_the_configuration_of_a_published_study_is_of_the_models_that_were_trained(study, files):
    config = STATED
    for name in files:
        config = merged(config, yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8")))
    keys = ("dataset", "architecture", "method", "seed")
    models = {model for grid in complete(config).all_grids for model in itertools.product(*map(grid.get, keys))}
    assert complete(config).study == study
    metrics = ROOT / "results" / study / "metrics"
    published = {path.relative_to(metrics).with_suffix("").parts for path in metrics.glob("*/*/*/*.json")}
    assert {(*parts[:3], int(parts[3].removeprefix("seed"))) for parts in published} == models


@pytest.mark.parametrize("source", ["weights", "order", "split", "colour", "all"])
def test_a_config_file_of_a_stream_is_valid_over_the_demo(source):
    config = STATED
    for name in ("demo", "streams", f"streams/{source}"):
        config = merged(config, yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8")))
    assert complete(config).study == f"streams_{source}"


@pytest.mark.parametrize("name", ["digits", "utkface"])
def test_the_comparison_of_methods_is_of_the_same_methods_on_other_data(name):
    config, studies = STATED, []
    for file in ("methods", f"methods_{name}"):
        config = merged(config, yaml.safe_load((ROOT / "config" / f"{file}.yaml").read_text(encoding="utf-8")))
        studies.append(complete(config))
    whole, part = studies
    assert part.students == whole.students
    assert set(part.methods) <= set(whole.methods)
    assert part.study == f"methods_{name}"


def test_the_demo_stands_alone_and_is_compared_with_nothing():
    demo = complete(yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8")))
    assert demo.study == "demo"
    assert (demo.paper_values, demo.paper_method, demo.published) == (None, None, None)


def test_the_authors_protocol_is_a_grid_of_their_network_for_each_of_their_data_sets():
    given = yaml.safe_load((ROOT / "config" / "authors.yaml").read_text(encoding="utf-8"))
    study = complete(merged(STATED, given), given)
    assert [(grid["dataset"], grid["architecture"], grid["method"]) for grid in study.all_grids] == [
        (["cifar10s"], ["cifar_net"], ["teacher", "mfd"]),
        (["utkface"], ["resnet"], ["teacher", "mfd"]),
    ]
    assert (study.teacher.sampling, study.students["mfd"].sampling) == ("plain", "oversampled")


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"kind": "utkface"}, 64),
        ({"kind": "utkface", "image_size": 256, "crop": 176}, 176),
        ({"kind": "utkface", "image_size": 32, "crop": 28}, 28),
        ({"kind": "cifar10s", "crop": 28}, 28),
        ({"kind": "digits_s", "image_size": 33}, 33),
    ],
)
@pytest.mark.parametrize("place", ["main", "ablation", "base"])
def test_a_network_gets_no_images_of_a_size_that_it_does_not_take(settings, size, place):
    given = {"datasets": ["d"], "data": {"sets": {"d": settings}}}
    given["networks"] = {"resnet": {"kind": "resnet18"}, "small": {"kind": "cifar_net"}}
    given["architectures"] = ["small"] if place == "main" else ["resnet"]
    if place == "ablation":
        given["ablations"] = [{"architectures": ["small"]}]
    if place == "base":
        given |= student(base={"method": "teacher", "architecture": "small"})
    with pytest.raises(UserError) as error:
        complete(given)
    assert str(error.value) == (
        f"config: networks.small takes images of 32 px, and those of data.sets.d have {size}; choose another network "
        "for this data set, or change its image_size or crop"
    )


@pytest.mark.parametrize(
    "settings",
    [{"kind": "cifar10s"}, {"kind": "digits_s"}, {"kind": "utkface", "image_size": 40, "crop": 32}],
)
def test_a_network_gets_images_of_the_size_that_it_takes(settings):
    given = {"datasets": ["d"], "data": {"sets": {"d": settings}}}
    given |= {"networks": {"small": {"kind": "cifar_net"}}, "architectures": ["small"]}
    assert complete(given).data.sets["d"].network_sees == 32


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (lambda path: {"paper_values": path}, "paper_values"),
        (lambda path: {"published": path}, "published"),
        (lambda path: {"teacher": {"checkpoint": path}}, "teacher.checkpoint"),
        (lambda path: {"networks": {"a": {"kind": "resnet18", "weights": path}}}, "networks.a.weights"),
        (lambda path: dataset(kind="utkface", own_copy=path), "data.sets.cifar10s.own_copy"),
        (lambda path: dataset(kind="celeba", folder=path), "data.sets.cifar10s.folder"),
        (lambda path: dataset(kind="folder", images=path, labels="b"), "data.sets.cifar10s.images"),
        (lambda path: dataset(kind="folder", images="b", labels=path), "data.sets.cifar10s.labels"),
    ],
)
def test_a_path_that_no_file_system_takes_is_refused_when_it_is_read(settings, key):
    architectures = {"architectures": ["resnet"]}
    complete(settings("é" * 127 + "a/b") | architectures)
    long = "has the name of a folder or file in it that has 256 bytes; a file system takes 255: shorten it"
    whole = "is a path of 4096 bytes; the system takes 4095: put the file where its path is shorter"
    for path, what in (("a/" + "é" * 128 + "/b", long), ("a/" * 2048, whole)):
        with pytest.raises(UserError, match=f"^config: {re.escape(f'{key} {what}')}"):
            complete(settings(path) | architectures)


@pytest.mark.parametrize(
    ("mirror", "what"),
    [
        ("a" * 300, "has the name of a folder or file in it that has 300 bytes"),
        ("/b" * 2040 + "/" * 16, "is a path of 4096 bytes"),
        (f"https://a.example/{'c' * 1983}", "is an address of 2001 characters; servers take 2000: "),
    ],
)
def test_a_mirror_that_is_longer_than_paths_or_addresses_may_be_is_refused(mirror, what):
    with pytest.raises(UserError, match=f"^config: data.mirror {re.escape(what)}"):
        complete({"data": {"mirror": mirror}})
    # a token in an address may be longer than a name
    complete({"data": {"mirror": f"https://a.example/?{'t' * 1900}"}})


def test_the_given_config_is_left_as_it_is():
    given = {"training": {"epochs": 3}, "students": {"mfd": {"kind": "scratch"}}}
    before = copy.deepcopy(given)
    completed = complete(given)
    assert (completed.training.epochs, completed.training.batch_size) == (3, 128)
    assert given == before


def test_defaults_are_not_shared_between_configs():
    complete({}).seeds.append(7)
    assert complete({}).seeds == [0, 1, 2, 3, 4]


def test_settings_do_not_change_once_they_are_read():
    with pytest.raises(ValueError, match="frozen"):
        complete({}).training.epochs = 1


def test_text_is_read_as_what_is_wanted():
    """YAML takes 1e-3 for text, and Snakemake's --config every value in a list or mapping."""
    completed = complete(
        {
            "seeds": ["0", "1"],
            "paper_values": "null",
            "paper_method": "null",
            "published": "null",
            "data": {"mirror": "null", "sets": {"c": {"kind": "cifar10s", "gray_classes": ["3"], "skew": "0.9"}}},
            "datasets": ["c"],
            "training": {"epochs": "3", "learning_rate": "1e-3", "flip": "false"},
            "students": {"at": {"kind": "at", "layers": "null", "beta": "10"}},
            "methods": ["at"],
            "ablations": [{"seeds": "null", "architectures": "null"}],
        }
    )
    assert completed.seeds == [0, 1]
    assert (completed.paper_values, completed.paper_method, completed.published) == (None, None, None)
    assert completed.data.mirror is None
    assert (completed.data.sets["c"].gray_classes, completed.data.sets["c"].skew) == ([3], 0.9)
    training = completed.training
    assert (training.epochs, training.learning_rate, training.flip) == (3, 1e-3, False)
    assert (completed.students["at"].layers, completed.students["at"].beta) == (None, 10)
    assert completed.grids[0][0]["seed"] == [0, 1]


def test_a_whole_number_is_the_same_configuration_as_its_float():
    whole, fraction, text = (repr(complete(student(**{"lambda": value}))) for value in (3, 3.0, "3"))
    assert whole == fraction == text


def test_scratch_is_another_name_of_erm():
    old, new = (
        complete({"teacher": {"kind": kind}, "students": {"mfd": {"kind": kind}}}) for kind in ("scratch", "erm")
    )
    assert old == new
    assert old.students["mfd"].to_json() == {"kind": "erm", "sampling": "plain"}
    assert read_settings(AnyMethod, {"kind": "scratch"}, where="--method").kind == "erm"


def test_settings_are_written_under_the_names_of_a_configuration():
    assert complete(student(**{"lambda": 7})).students["mfd"].to_json() == {
        "kind": "mfd",
        "sampling": "balanced",
        "base": {"method": "teacher", "architecture": "same"},
        "lambda": 7.0,
        "kernel": "rbf",
        "sigma": 1.0,
        "degree": 2,
        "offset": 1.0,
        "features": "pooled",
        "layers": None,
        "joint": False,
        "kd_weight": 0.0,
        "kd_temperature": 3.0,
    }


@pytest.mark.parametrize("key", ["gpu_slots", "memory"])
def test_what_only_the_scheduler_needs_is_not_among_what_a_training_is_told(key):
    assert getattr(complete({"training": {key: 4}}).training, key) == 4
    assert key not in Training().to_json()


def test_the_name_of_a_base_is_short_for_a_mapping():
    students = {"kd": {"kind": "kd"}, "short": {"kind": "kd", "base": "kd"}, "long": {"kind": "kd", "base": {}}}
    study = complete({"students": students, "methods": ["short", "long"]})
    short, long, kd, teacher = models_in({"architecture": ["resnet"], "method": ["short", "long", "kd", "teacher"]})
    assert study.base(short) == kd
    assert study.base(long) == study.base(kd) == teacher
    assert study.base(teacher) is None


def test_the_grids_are_the_ablations_and_the_main_one():
    study = complete(
        {
            "ablations": [{"seeds": [7], "methods": ["erm"]}],
            "students": {"mfd": {"kind": "mfd"}, "erm": {"kind": "erm"}},
        }
    )
    every = {"dataset": ["cifar10s", "utkface"], "architecture": ["resnet", "shufflenet"], "fold": [0]}
    assert study.grids == [
        [{**every, "method": ["teacher", "erm"], "seed": [7]}],
        [{**every, "method": ["teacher", "mfd"], "seed": [0, 1, 2, 3, 4]}],
    ]


def test_data_sets_with_other_folds_have_a_grid_of_their_own():
    kinds = {"a": {"kind": "digits_s"}, "b": {"kind": "digits_s", "folds": 3}, "c": {"kind": "digits_s", "folds": 3}}
    study = complete({"data": {"sets": kinds}, "datasets": ["a", "b", "c"]})
    assert [(grid["dataset"], grid["fold"]) for grid in study.main_grids] == [(["a"], [0]), (["b", "c"], [0, 1, 2])]


def test_a_data_set_is_drawn_once_for_all_grids_or_for_each_of_their_seeds():
    kinds = {"same": {"kind": "digits_s"}, "drawn": {"kind": "digits_s", "per_seed": ["colour"]}}
    study = complete(
        {
            "data": {"sets": kinds},
            "datasets": ["same", "drawn"],
            "seeds": [0, 1],
            "ablations": [{"datasets": ["drawn"], "seeds": [1, 7]}],
        }
    )
    assert study.draws(study.main_grids) == [("same", ""), ("drawn", ".seed0"), ("drawn", ".seed1")]
    assert sorted(study.draws(study.all_grids)) == [("drawn", f".seed{n}") for n in (0, 1, 7)] + [("same", "")]


def test_a_grid_brings_the_models_that_its_own_stand_on():
    students = {
        "first": {"kind": "kd", "base": {"architecture": "resnet"}},
        "second": {"kind": "kd", "base": {"method": "first"}},
    }
    study = complete({"students": students, "methods": ["second"], "architectures": ["shufflenet"]})
    (main,) = study.grids[-1]
    others = [(part["architecture"], part["method"]) for part in study.with_bases(main)[1:]]
    assert others == [(["shufflenet"], ["first"]), (["resnet"], ["teacher"])]
    assert study.with_bases(main)[0] == main
    assert all(part["seed"] == main["seed"] and part["dataset"] == main["dataset"] for part in study.with_bases(main))


def test_names_that_are_not_given_keep_their_defaults():
    given = {
        "networks": {"small": {"kind": "shufflenet_v2_x0_5"}},
        "students": {"erm": {"kind": "erm"}},
        "data": {"sets": {"digits": {"kind": "digits_s"}}},
    }
    study, default = complete(given), complete({})
    assert list(study.networks) == ["resnet", "shufflenet", "small"]
    assert study.students["mfd"] == default.students["mfd"]
    assert list(study.data.sets) == [*default.data.sets, "digits"]
    # what is given by a name is all that counts for it
    other = complete({"students": {"mfd": {"kind": "kd"}}})
    assert (other.methods, other.students["mfd"].kind) == (["mfd"], "kd")


def own(**settings):
    """A data set of the user's own images, as a part of a configuration."""
    return dataset(kind="folder", images="photos", labels="labels.csv", **settings)


def test_a_kind_that_a_grid_names_needs_no_entry():
    given = {
        "methods": ["erm", "kd", "mfd"],
        "students": {"mfd": {"kind": "mfd", "lambda": 7.0}},
        "ablations": [{"architectures": ["resnet50"], "methods": ["group_dro"]}],
    }
    study = complete(given)

    written = {"erm": {"kind": "erm"}, "kd": {"kind": "kd"}, "group_dro": {"kind": "group_dro"}}
    whole = given | {"students": given["students"] | written}
    whole["networks"] = {"resnet50": {"kind": "resnet50"}}
    assert study == complete(whole)
    assert study.students["mfd"].lambda_ == 7


def test_the_settings_of_images_of_ones_own():
    study = complete(own(group="sex", bins={"sex": ["1", 2]}) | {"datasets": ["cifar10s"]})
    settings = study.data.sets["cifar10s"]
    assert settings.group == ["sex"]
    assert settings.bins == {"sex": [1.0, 2.0]}
    assert settings.own_files == ["photos", "labels.csv"]
    assert {"images", "labels"}.isdisjoint(settings.to_json())
    assert not settings.has_validation
    for given in ({"split": "part"}, {"validation": 0.1}, {"split": "part", "validation": "null"}):
        assert complete(own(**given)).data.sets["cifar10s"].has_validation
    assert not complete(own(split="part", validation=0)).data.sets["cifar10s"].has_validation


def test_every_path_may_begin_with_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    sets = {
        "own": {"kind": "folder", "images": "~/photos", "labels": "~/labels.csv"},
        "utkface": {"kind": "utkface", "own_copy": "~/faces.zip"},
        "celeba": {"kind": "celeba", "folder": "~/celeba"},
    }
    study = complete(
        {
            "data": {"sets": sets},
            "datasets": ["utkface"],
            "architectures": ["resnet"],
            "networks": {"resnet": {"kind": "resnet18", "weights": "~/start.pth"}},
            "teacher": {"checkpoint": "~/biased.pth"},
            "paper_values": "~/values.csv",
            "published": "~/study",
        }
    )
    teacher = study.file_of(ModelName(architecture="resnet", method="teacher"))
    paths = [*study.files.values(), teacher, study.paper_values, study.published]
    paths += [path for name in sets for path in study.data.sets[name].own_files]
    assert len(paths) == 11
    assert all(path.startswith("/home/someone/") for path in paths)


NAME = "text of letters, digits, _ and - that begins with a letter or digit, and has at most 64 characters"
MISTAKES = [
    ({"seedz": [0]}, "config has the unknown key 'seedz'; did you mean 'seeds'?"),
    ({"models": {}}, "config has the unknown key 'models'; it is called 'networks' now"),
    (student(teacher="same"), "config: students.mfd has the unknown key 'teacher'; it is called 'base' now"),
    (
        {"networks": {"resnet": {"kind": "resnet18"}, "ResNet": {"kind": "resnet18"}}, "architectures": ["resnet"]},
        "config: networks holds 'resnet' and 'ResNet', which are too much alike",
    ),
    (
        {
            "data": {"sets": {"faces": {"kind": "digits_s"}, "faces_small": {"kind": "digits_s"}}},
            "networks": {"resnet": {"kind": "resnet18"}, "small_resnet": {"kind": "resnet18"}},
            "datasets": ["faces", "faces_small"],
            "architectures": ["resnet", "small_resnet"],
        },
        "config: datasets has 'faces_small', whose figures with 'resnet' would be called as those of 'faces' with "
        "'small_resnet'; rename one of the four",
    ),
    ({"study": "bench"}, "config: study is 'bench', where benchmarks are kept; choose another"),
    ({"study": "Bench"}, "config: study is 'Bench', where benchmarks are kept; choose another"),
    ({"paper_values": ""}, "config: paper_values is empty; give a path, or leave it out"),
    ({"data": {"mirror": ""}}, "config: data.mirror is empty; give a path, or leave it out"),
    (
        {"networks": {"resnet": {"kind": "resnet18", "weights": ""}}},
        "config: networks.resnet.weights is empty; give a path, or leave it out",
    ),
    (
        dataset(kind="utkface", own_copy=""),
        "config: data.sets.cifar10s.own_copy is empty; give a path, or leave it out",
    ),
    ({"training": {"epoch": 1}}, "config: training has the unknown key 'epoch'; did you mean 'epochs'?"),
    ({"training": {"epochs": 0}}, "config: training.epochs is 0; it must be at least 1"),
    ({"training": {"epochs": 1.0}}, "config: training.epochs is 1.0; it must be a whole number"),
    ({"training": {"epochs": "1e3"}}, 'config: training.epochs is "1e3"; it must be a whole number'),
    ({"training": {"epochs": True}}, "config: training.epochs is true; it must be a whole number"),
    ({"training": {"epochs": 10**30}}, f"config: training.epochs is {10**30}; it must be at most 100000"),
    ({"training": {"threads": 10**30}}, f"config: training.threads is {10**30}; it must be at most 1024"),
    ({"training": {"batch_size": 1}}, "config: training.batch_size is 1; it must be at least 2"),
    ({"training": {"device": "gpu"}}, "config: training.device is \"gpu\"; did you mean 'cpu'?"),
    ({"training": {"flip": "maybe"}}, 'config: training.flip is "maybe"; it must be true or false'),
    ({"training": {"flip": 1}}, "config: training.flip is 1; it must be true or false"),
    ({"training": {"epochs": 0, "epoch": 1}}, "config: training has the unknown key 'epoch'; did you mean 'epochs'?"),
    ({"training": None}, "config: training is null; it must be a mapping"),
    ({"seeds": []}, "config: seeds is empty; name at least one"),
    ({"seeds": [0, 0]}, "config: seeds is [0, 0]; an entry comes twice"),
    ({"seeds": ["0", 0]}, 'config: seeds is ["0", 0]; an entry comes twice'),
    ({"seeds": ["a"]}, 'config: seeds.0 is "a"; it must be a whole number'),
    ({"seeds": "0"}, 'config: seeds is "0"; it must be a list'),
    ({"seeds": 0}, "config: seeds is 0; it must be a list"),
    ({"seeds": {0: 1}}, 'config: seeds is {"0": 1}; it must be a list'),
    ({"seeds": [-1]}, "config: seeds.0 is -1; it must be at least 0"),
    ({"seeds": [2**62]}, f"config: seeds.0 is {2**62}; it must be at most {2**62 - 1}"),
    ({"seeds": [[0]]}, "config: seeds.0 is [0]; it must be a whole number"),
    ({"seeds": [0, {}]}, "config: seeds.1 is {}; it must be a whole number"),
    ({"study": "a/b"}, f'config: study is "a/b"; it must be {NAME}'),
    ({"study": "a\n"}, f'config: study is "a\\n"; it must be {NAME}'),
    ({"study": "-x"}, f'config: study is "-x"; it must be {NAME}'),
    ({"study": "x" * 65}, f'config: study is "{"x" * 65}"; it must be {NAME}'),
    (
        {"data": {"mirror": "a\0"}},
        "config: data.mirror holds a NUL character, which no path and no argument can; leave",
    ),
    (student(degree=10**20), "config: students.mfd.degree is 100000000000000000000; it must be at most 100"),
    (student(sigma="1e400"), 'config: students.mfd.sigma is "1e400"; it must be a number'),
    ({"study": 1}, "config: study is 1; it must be text"),
    ({"study": "\ud800"}, 'config: study is "\\ud800"; it must be text'),
    ({"datasets": ["cifar10"]}, "config: datasets names 'cifar10', which data.sets does not define; did you mean"),
    ({"datasets": [["cifar10s"]]}, 'config: datasets.0 is ["cifar10s"]; it must be text'),
    ({"datasets": [{}]}, "config: datasets.0 is {}; it must be text"),
    (
        {"architectures": ["resnet5"]},
        "config: architectures names 'resnet5', which networks does not define; choose one of resnet50, wide_",
    ),
    (
        {"ablations": [{}, {"dataset": []}]},
        "config: ablations.1 has the unknown key 'dataset'; did you mean 'datasets'?",
    ),
    ({"ablations": [{"seeds": [-1]}]}, "config: ablations.0.seeds.0 is -1; it must be at least 0"),
    ({"ablations": [{"methods": ["no"]}]}, "config: ablations.0.methods names 'no', which students does not define"),
    ({"ablations": {}}, "config: ablations is {}; it must be a list"),
    ({"ablations": [[]]}, "config: ablations.0 is []; it must be a mapping"),
    (
        {"methods": ["x"]},
        "config: methods names 'x', which students does not define; choose one of mfd, or a kind of method "
        "(config/README.md has them all)",
    ),
    (
        {"methods": ["adversariel"]},
        "config: methods names 'adversariel', which students does not define; did you mean 'adversarial'?",
    ),
    (
        {"ablations": [{"methods": ["mdf"]}]},
        "config: ablations.0.methods names 'mdf', which students does not define; did you mean 'mfd'?",
    ),
    (
        {"methods": ["domain"]},
        "config: methods names 'domain', which students does not define; choose one of domain_independent, "
        "domain_discriminative",
    ),
    (
        {"datasets": ["celeba1"]},
        "config: datasets names 'celeba1', which data.sets does not define; did you mean 'celeba'?",
    ),
    (
        {"architectures": ["x"]},
        "config: architectures names 'x', which networks does not define; choose one of resnet, shufflenet, or a kind "
        "of network (config/README.md has them all)",
    ),
    # elsewhere a kind has to be defined first
    (
        student(base="group_dr"),
        "config: students.mfd.base names 'group_dr', which students does not define; choose one",
    ),
    ({"methods": ["imported"]}, "config: students.imported lacks the key 'checkpoint'"),
    ({"methods": ["KD"]}, "config: methods names 'KD', which students does not define; 'kd' is a kind of method"),
    (
        {"architectures": ["vit_b_16"]},
        "config: networks.vit_b_16 takes images of 224 px, and those of data.sets.cifar10s have 32",
    ),
    ({"datasets": ["folder"]}, "config: data.sets.folder lacks the key 'images'"),
    (
        {"students": {"mfd": {"kind": "mfd", "base": "group_dro"}}},
        "config: students.mfd.base names 'group_dro', which students does not define; it is a kind of method: define "
        "it there, as `group_dro: {kind: group_dro}`, or name it in methods",
    ),
    ({"networks": {"a b": {"kind": "resnet18"}}}, f'config: networks holds the name "a b"; a name is {NAME}'),
    ({"networks": {"a\nb": {"kind": "x"}}}, f'config: networks holds the name "a\\nb"; a name is {NAME}'),
    ({"networks": {1: {"kind": "resnet18"}}}, f"config: networks holds the name 1; a name is {NAME}"),
    (
        {"students": {True: {"kind": "kd"}}},
        f"config: students holds the name true; a name is {NAME}, and YAML reads yes, no, on and off as truth values "
        "unless they are quoted",
    ),
    ({"networks": {"same": {"kind": "resnet18"}}}, "config: networks holds the name 'same', which is reserved"),
    ({"networks": {"r": {"kind": "resnet51"}}}, "config: networks.r.kind is \"resnet51\"; did you mean 'resnet50'?"),
    ({"networks": {"r": {"kind": "ResNet50"}}}, "config: networks.r.kind is \"ResNet50\"; did you mean 'resnet50'?"),
    ({"networks": {"r": {"kind": "VGG-16"}}}, "config: networks.r.kind is \"VGG-16\"; did you mean 'vgg16'?"),
    (
        {"architectures": ["ResNet50"]},
        "config: architectures names 'ResNet50', which networks does not define; 'resnet50' is a kind of network: "
        "write it so, or define 'ResNet50' there",
    ),
    ({"networks": {"r": {"kind": "ViT-B/16"}}}, "config: networks.r.kind is \"ViT-B/16\"; did you mean 'vit_b_16'?"),
    (
        {"networks": {"r": {"kind": "mobilenet_v3"}}},
        'config: networks.r.kind is "mobilenet_v3"; choose one of mobilenet_v3_large, mobilenet_v3_small',
    ),
    ({"networks": {"r": {"kind": ["resnet18"]}}}, 'config: networks.r.kind is ["resnet18"]; did you'),
    ({"networks": {"r": {}}}, "config: networks.r lacks the key 'kind'"),
    ({"networks": {"r": {"kind": "resnet18", "resnet18": 1}}}, "config: networks.r has the unknown key 'resnet18'"),
    ({"networks": ["resnet"]}, 'config: networks is ["resnet"]; it must be a mapping'),
    (student(**{"lambda": -1}), "config: students.mfd.lambda is -1; it must be at least 0"),
    (student(**{"lambda": float("nan")}), "config: students.mfd.lambda is NaN; it must be a number"),
    (student(**{"lambda": float("inf")}), "config: students.mfd.lambda is Infinity; it must be a number"),
    (student(**{"lambda": "inf"}), 'config: students.mfd.lambda is "inf"; it must be a number'),
    (student(**{"lambda": True}), "config: students.mfd.lambda is true; it must be a number"),
    (student(**{"lambda": 10**400}), "config: students.mfd.lambda is 1000000"),
    (student(lambda_=1), "config: students.mfd has the unknown key 'lambda_'; did you mean 'lambda'?"),
    (student(sigma=0), "config: students.mfd.sigma is 0; it must be above 0"),
    (student(kind="mdf"), "config: students.mfd.kind is \"mdf\"; did you mean 'mfd'?"),
    (student(base="resnett"), "config: students.mfd.base names 'resnett', which students does not define"),
    (student(base="a b"), f'config: students.mfd.base is "a b"; it must be {NAME}'),
    (student(base=None), "config: students.mfd.base is null, but a method of this kind stands on another model; name"),
    (student(base="null"), "config: students.mfd.base is null, but a method of this kind stands on another model"),
    (student(base=[["teacher"]]), 'config: students.mfd.base is ["teacher"]; it must be a mapping'),
    (student(base={"methd": "mfd"}), "config: students.mfd.base has the unknown key 'methd'; did you mean 'method'?"),
    (student(base={"method": ["x"]}), 'config: students.mfd.base.method is ["x"]; it must be text'),
    (
        student(base={"architecture": "resnett"}),
        "config: students.mfd.base.architecture names 'resnett', which networks does not define; did you mean",
    ),
    (student(base="mfd"), "config: students.mfd.base leads in a circle: mfd (resnet), on mfd (resnet); name a model"),
    (
        {"students": {"a": {"kind": "kd", "base": "b"}, "b": {"kind": "mfd", "base": "a"}}, "methods": ["a"]},
        "config: students.a.base leads in a circle: a (resnet), on b (resnet), on a (resnet); name a model",
    ),
    ({"students": {"mfd": {"lambda": 3}}}, "config: students.mfd lacks the key 'kind'"),
    ({"students": {"teacher": {"kind": "mfd"}}}, "config: students holds the name 'teacher', which is"),
    ({"students": {"s": {"kind": "erm", "base": "teacher"}}}, "config: students.s has the unknown key 'base'"),
    ({"students": {"s": {"kind": "scratch", "base": "teacher"}}}, "config: students.s has the unknown key 'base'"),
    ({"students": {"s": "mfd"}}, 'config: students.s is "mfd"; it must be a mapping'),
    ({"teacher": {"kind": "mfd"}}, 'config: teacher.kind is "mfd"; choose one of erm, scratch'),
    ({"teacher": {}}, "config: teacher lacks the key 'kind'"),
    (
        layers(["layer1", "x"]),
        "config: students.at.layers names 'x', which the network does not have; choose one of layer1,",
    ),
    (
        student(kind="hardt", base={"architecture": "shufflenet"}),
        "config: students.mfd.base has an architecture, but a method of this kind keeps the network of its base; leave",
    ),
    (student(kind="hardt", sampling="balanced"), 'config: students.mfd.sampling is "balanced"; it must be plain'),
    (student(kind="hardt"), "config: data.sets.cifar10s.validation is 0, but students.mfd is of a kind that is fitted"),
    (
        {"students": {"a": {"kind": "kd", "base": "b"}, "b": {"kind": "group_temperature"}}, "methods": ["a"]},
        "config: students.a.base is 'b', whose network is that of its own base, as its kind changes nothing but "
        "predictions; name that base, 'teacher'",
    ),
    (layers(["layer4"]), "config: students.at.layers names 'layer4', which the network does not have; choose one of"),
    (layers("layer4"), 'config: students.at.layers is "layer4"; it must be a list'),
    (layers([]), "config: students.at.layers is empty; name at least one"),
    (
        layers(["layer1"], base={"architecture": "shufflenet"}) | {"architectures": ["resnet"]},
        "config: students.at.layers names 'layer1', but the base has no layer at the same",
    ),
    (
        layers(["layer4"]) | {"architectures": ["resnet"], "ablations": [{"architectures": ["shufflenet"]}]},
        "config: students.at.layers names 'layer4', which the network does not have",
    ),
    (dataset(kind="cifar10s", skew=0), "config: data.sets.cifar10s.skew is 0; it must be above 0"),
    (dataset(kind="cifar10s", skew=1.5), "config: data.sets.cifar10s.skew is 1.5; it must be below 1"),
    (dataset(kind="cifar10s", gray_classes=[10]), "config: data.sets.cifar10s.gray_classes.0 is 10; it"),
    (dataset(kind="cifar10s", gray_classes=[1, 1]), "config: data.sets.cifar10s.gray_classes is [1, 1]; an"),
    (dataset(kind="cifar10s", validation=1), "config: data.sets.cifar10s.validation is 1; it must be below 1"),
    (dataset(kind="cifar10"), "config: data.sets.cifar10s.kind is \"cifar10\"; did you mean 'cifar10s'?"),
    (dataset(kind="digits_s", test_fraction=1), "config: data.sets.cifar10s.test_fraction is 1; it must be below 1"),
    (dataset(kind="folder", images="photos"), "config: data.sets.cifar10s lacks the key 'labels'"),
    (own(group=[]), "config: data.sets.cifar10s.group is empty; name at least one"),
    (own(group=3), "config: data.sets.cifar10s.group is 3; it must be a list"),
    (own(group=["a", "label"]), "config: data.sets.cifar10s takes the column label for two things; image, label,"),
    (own(bins={"age": [20]}), "config: data.sets.cifar10s has bins of the column age, which is neither the label nor"),
    (own(bins={"group": [20, 20]}), "config: data.sets.cifar10s.bins.group needs at least one edge, and each edge"),
    (own(bins={"group": [20, "x"]}), 'config: data.sets.cifar10s.bins.group.1 is "x"; it must be a number'),
    (own(bins=[40]), "config: data.sets.cifar10s.bins is [40]; it must be a mapping"),
    (own(bins=[{"group": [40]}]), 'config: data.sets.cifar10s.bins is [{"group": [40]}]; it must be a mapping'),
    (own(split="part", folds=2), "config: data.sets.cifar10s has the test split that its column `split` marks; leave"),
    (own(split="part", per_seed=["split"]), "config: data.sets.cifar10s has nothing that split_seed draws, so"),
    (own(on_error="go on"), 'config: data.sets.cifar10s.on_error is "go on"; choose one of stop, skip'),
    (own() | {"training": {"keep": "best"}}, "config: data.sets.cifar10s.validation is 0, but training.keep is best"),
    ({"data": []}, "config: data is []; it must be a mapping"),
    ({"data": {"sets": []}}, "config: data.sets is []; it must be a mapping"),
    ({"data": {"sets": {"c": []}}}, "config: data.sets.c is []; it must be a mapping"),
    ({"data": {"mirror": 1}}, "config: data.mirror is 1; it must be text"),
    (
        {"paper_method": "mfdd"},
        "config: paper_method names 'mfdd', which students does not define; did you mean 'mfd'?",
    ),
    ({"paper_values": []}, "config: paper_values is []; it must be text"),
    (
        {"training": {"keep": "best"}},
        "config: data.sets.cifar10s.validation is 0, but training.keep is best, which needs a validation split",
    ),
    (
        {"training": {"keep": "best"}, "ablations": [{"datasets": ["utkface"]}]}
        | dataset(kind="cifar10s", validation=0.1)
        | {"data": {"sets": {"cifar10s": {"kind": "cifar10s", "validation": 0.1}, "utkface": {"kind": "utkface"}}}},
        "config: data.sets.utkface.validation is 0, but training.keep is best",
    ),
    ({1: 2}, "config has the unknown key 1; choose one of study,"),
    ({None: 2}, "config has the unknown key 'None'; choose one of study,"),
    ({"training": {3: 4}}, "config: training has the unknown key 3; choose one of epochs,"),
    ({"a\nb": 1}, "config has the unknown key 'a\\nb'; choose one of study,"),
    ([], "config is []; it must be a mapping"),
    (None, "config is null; it must be a mapping"),
]


@pytest.mark.parametrize(
    ("network", "settings"),
    [
        ("efficientnet_b0", {"kind": "mfd", "layers": ["features.2", "features.3"]}),
        ("mobilenet_v2", {"kind": "at", "layers": ["features.6"]}),
        ("vgg11", {"kind": "fitnets", "layer": "features.9"}),
    ],
)
def test_a_layer_inside_of_another_module_is_named_as_torch_has_it(network, settings):
    given = {
        "networks": {"n": {"kind": network}},
        "architectures": ["n"],
        "students": {"s": settings},
        "methods": ["s"],
    }
    assert complete(given | {"datasets": ["cifar10s"]}).students["s"].to_json().items() >= settings.items()
    name = "layers" if "layers" in settings else "layer"
    wrong = ["features.99"] if name == "layers" else "features.99"
    with pytest.raises(UserError, match=rf"students\.s\.{name} names 'features\.99', which the network does not have"):
        complete(given | {"students": {"s": settings | {name: wrong}}})


@pytest.mark.parametrize(("given", "line"), MISTAKES, ids=[ascii(line) for _, line in MISTAKES])
def test_each_mistake_gets_one_line_that_names_the_key(given, line):
    with pytest.raises(UserError, match="^" + re.escape(line)) as error:
        complete(given)
    assert "\n" not in str(error.value)


def test_a_number_beyond_those_of_the_machine_is_out_of_bounds():
    for number, bound in ((10**400, "at most 1000000000"), (-(10**400), "above 0")):
        with pytest.raises(UserError, match=rf"training\.learning_rate is .*; it must be {bound}$"):
            complete({"training": {"learning_rate": number}})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1\nb: {c: 1, d: 2,\n c: 3}\n", "line 3: the key 'b.c' comes twice, first in line 2"),
        ('{"a": [{"b": 1}, {"b": 1,\n"b": 1}]}', "line 2: the key 'a.1.b' comes twice, first in line 1"),
        ("a: &x {b: 1}\nc: {<<: *x, b: 2}\nd: {b: 3}\n", None),
        ("a: 1\nb: &x {c: [3]}\nd: [*x, *x]\n1: 2\n'1': 3\n", None),
        ('{\n\t"a": 1}', None),
        ('{\n\t"a": {"b": 1, "b": 2}}', "the key 'b' comes twice in one mapping"),
    ],
)
def test_a_key_that_comes_twice_in_one_mapping_is_named(tmp_path, text, found):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{path}: {found}; keep one")) if found else nullcontext():
        check_config_file(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"study: caf\xe9\n", r": is no text in UTF-8 \(at byte 10\); save it as UTF-8"),
        ("study: x".encode("utf-16"), r": is no text in UTF-8"),
        (b"\x00\x01\x02", r": is not YAML \(unacceptable character"),
        (b"seeds: [0\nstudy: x\n", r": is not YAML \(line 2: expected"),
        (b"\tstudy: x\n", r": is not YAML \("),
        (b"", r": has to hold settings"),
        (b"just text", r": has to hold settings, as `key: value`; a file without any has to hold {}"),
        (b"- study", r": has to hold settings"),
        (b"[" * 1000, r": is nested too deeply; give a file of settings"),
        (b"study: x\ndata: &all {sets: *all}\n", r": line 2: holds itself, by an anchor within it; take that out"),
        (b"a: 1\nseeds: [" + b"1" * 5001 + b"]\n", r": a value cannot be read \(line 2: '1{77}\.\.\.' is no !!int; "),
        (b'a: !!int ""', r": a value cannot be read \(line 1: '' is no !!int; put what is text in quotes, without"),
        (b"a: !!timestamp x", r": a value cannot be read \(line 1: 'x' is no !!timestamp; "),
        (b"a:\n- !!bool maybe", r": a value cannot be read \(line 2: 'maybe' is no !!bool; "),
        (b"a: 2001-99-99", r": a value cannot be read \(line 1: '2001-99-99' is no !!timestamp; "),
        (b"a: " + b"1:" * 200 + b"1.5", r": a value cannot be read \(line 1: '1:.*' is no !!float; "),
        (b"a: !no x", r": a value cannot be read \(line 1: could not determine a constructor for the tag '!no'"),
        (b"{[a]: 1}", r": a value cannot be read \(line 1: found unhashable key"),
        (b"{a: " * 60 + b"1" + b"}" * 60, r": line 1: is nested too deeply"),
        (None, r": is a folder; name a file of settings"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(tmp_path, content, words):
    path = tmp_path / "config.yaml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(path)) + words) as error:
        check_config_file(path)
    assert "\n" not in str(error.value)


def test_a_file_that_may_not_be_read_is_one_line_and_one_that_is_missing_is_known_as_such(tmp_path, monkeypatch):
    path = tmp_path / "config.yaml"
    with pytest.raises(FileNotFoundError):
        check_config_file(path)
    path.write_text("study: x")
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}/inside: Not a directory; give a path whose"):
        check_config_file(path / "inside")
    # who runs the tests may have all rights
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    monkeypatch.setattr(Path, "read_text", Mock(side_effect=error))
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: Permission denied; get the right to it, or"):
        check_config_file(path)


def test_a_pipe_or_a_device_in_the_place_of_a_config_file_is_not_read(tmp_path):
    path = tmp_path / "config.yaml"
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        make(path)
        with pytest.raises(
            UserError, match=f"^{re.escape(str(path))}: is a pipe or a device; save the settings in a file"
        ):
            check_config_file(path)
        path.unlink()


@pytest.mark.parametrize("text", ["{}", '{\n\t"study": "x"\n}', "study: x"])
def test_yaml_and_json_are_taken(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    check_config_file(path)


def test_a_password_in_a_url_is_not_shown():
    with pytest.raises(UserError) as error:
        complete({"data": {"mirror": ["https://me:secret@host"]}})
    assert str(error.value) == 'config: data.mirror is ["https://***@host"]; it must be text'


def test_a_long_value_is_cut_short():
    with pytest.raises(UserError, match=r"it must be a whole number$") as error:
        complete({"training": {"epochs": "9" * 5000}})
    assert len(str(error.value)) < 200


NOT_YOURS = "is not yours: it stands in config/config.yaml, and mappings are merged; give your entry another name than"


def test_a_key_that_came_by_merging_is_said_to_be_no_ones_mistake():
    given = {"students": {"mfd": {"kind": "kd", "temperature": 2}}}
    with pytest.raises(UserError, match=f"students.mfd has the unknown key '.*; .* \\('.*' {NOT_YOURS} 'mfd'\\)$"):
        complete(merged(STATED, given), given)
    given = {"data": {"sets": {"utkface": {"kind": "digits_s"}}}, "datasets": ["utkface"]}
    with pytest.raises(UserError, match=f"'duplicates'; .* \\('duplicates' {NOT_YOURS} 'utkface'\\)$"):
        complete(merged(STATED, given), given)


def test_a_study_of_other_data_than_the_papers_is_named():
    unused = {"data": {"sets": {"mine": own()["data"]["sets"]["cifar10s"]}}}
    complete(merged(STATED, unused), unused)
    given = unused | {"datasets": ["mine"]}
    with pytest.raises(UserError, match=r"^config: study is left out, so that data\.sets\.mine, of kind folder, would"):
        complete(merged(STATED, given), given)
    named = given | {"study": "reproduction"}
    assert complete(merged(STATED, named), named).study == "reproduction"


@pytest.mark.parametrize(
    "given",
    [
        {"training": {"epoch": 1}},  # the key is the user's
        {"students": {"kd": {"temperature": 1}}},  # what is missing came from nowhere
        {"trainin": {}},
    ],
)
def test_a_mistake_of_the_users_own_is_not_put_down_to_merging(given):
    with pytest.raises(UserError) as error:
        complete(merged(STATED, given), given)
    assert "not yours" not in str(error.value)


def test_settings_of_one_thing_are_read_with_a_place_of_their_own():
    assert read_settings(Training, {"epochs": "2"}, where="--training").epochs == 2
    with pytest.raises(UnreadableSettings, match=r"^--training has the unknown key 'epoch'; did you mean 'epochs'\?$"):
        read_settings(Training, {"epoch": 2}, where="--training")
    with pytest.raises(UnreadableSettings, match=r"^--network lacks the key 'kind'$"):
        read_settings(AnyNetwork, {}, where="--network")
    with pytest.raises(UnreadableSettings, match=r"^--method: lambda is -1; it must be at least 0$"):
        read_settings(AnyMethod, {"kind": "mfd", "lambda": -1}, where="--method")
    with pytest.raises(UnreadableSettings, match=r"^--method has the unknown key 'mfd'; choose one of kind, "):
        read_settings(AnyMethod, {"kind": "mfd", "mfd": -1}, where="--method")


CLASSES = [*kinds(AnyDataSet), *kinds(AnyNetwork), *kinds(AnyMethod)]


@pytest.mark.parametrize("settings", CLASSES, ids=[settings.__name__ for settings in CLASSES])
def test_the_code_that_settings_belong_to_is_there(settings):
    module, _, name = settings.implementation.partition(":")
    code = importlib.import_module(module)
    if settings in kinds(AnyMethod):
        assert isinstance(getattr(code, name), type)
    else:
        assert callable(code.prepare if settings in kinds(AnyDataSet) else code.build)


def test_every_engine_is_a_module():
    assert list(Training.engines) == ["fast", "reference"]
    for module in Training.engines.values():
        importlib.import_module(module)
