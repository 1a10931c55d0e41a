"""Sweeps and searches in a configuration: which models they stand for, and the one line that each mistake gets."""

import copy
from pathlib import Path

import pytest
import yaml

from fairdistill.reporting.columns import RUNS
from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import kinds
from fairdistill.settings.configuration import complete
from fairdistill.settings.documents import schema
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.study import models_in
from fairdistill.settings.sweeps import SECTIONS, neighbours, sweepable

ROOT = Path(__file__).parents[2]
VALIDATED = {"data": {"sets": {"d": {"kind": "digits_s", "validation": 0.2}}}, "datasets": ["d"]}


def sweep(name="mfd", kind="mfd", **settings):
    return {"students": {name: {"kind": kind, **settings}}, "methods": [name]}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"lambda": [0, 3.0, "10"]}, ["mfd-lambda0", "mfd-lambda3", "mfd-lambda10"]),
        ({"sigma": [0.5, "1e-5", 1e9]}, ["mfd-sigma0p5", "mfd-sigma1em05", "mfd-sigma1000000000"]),
        ({"kernel": ["rbf", "polynomial"]}, ["mfd-kernel_rbf", "mfd-kernel_polynomial"]),
        (
            {"layers": [["layer4"], ["layer3", "layer4"], None]},
            ["mfd-layers_layer4", "mfd-layers_layer3_layer4", "mfd-layers_null"],
        ),
        (
            {"degree": [1, 2], "lambda": [0, 3], "kernel": "polynomial"},
            ["mfd-degree1-lambda0", "mfd-degree1-lambda3", "mfd-degree2-lambda0", "mfd-degree2-lambda3"],
        ),
        ({"lambda": [3]}, ["mfd-lambda3"]),
        # one value of a setting that is a list
        ({"layers": ["layer3", "layer4"]}, ["mfd"]),
    ],
)
def test_a_list_of_values_is_a_model_of_each(settings, names):
    given = sweep(**settings) | {"architectures": ["resnet"]}
    before = copy.deepcopy(given)
    study = complete(given)
    assert given == before
    assert study.methods == [*study.students] == names
    for name in names:
        assert study.students[name].kind == "mfd"


def test_a_layer_whose_name_has_a_dot_is_a_model_of_a_name_without():
    given = sweep(layers=[["features.2"], ["features.3", "features.5"]])
    study = complete(given | {"networks": {"n": {"kind": "efficientnet_b0"}}, "architectures": ["n"]})
    assert study.methods == ["mfd-layers_features_2", "mfd-layers_features_3_features_5"]


def test_each_model_has_its_value_and_the_other_settings_of_the_entry():
    study = complete(sweep(**{"lambda": [0, 0.5], "kernel": "polynomial"}))
    assert {name: method.lambda_ for name, method in study.students.items()} == {"mfd-lambda0": 0, "mfd-lambda0p5": 0.5}
    assert {method.kernel for method in study.students.values()} == {"polynomial"}
    assert study.sweeps() == {"mfd": {"mfd-lambda0": {"lambda": 0.0}, "mfd-lambda0p5": {"lambda": 0.5}}}


def test_a_sweep_of_truth_values_and_one_of_bases():
    students = {
        "di": {"kind": "domain_independent", "prior_shift": [False, "true"]},
        "mfd": {"kind": "mfd", "base": ["teacher", {"method": "teacher", "architecture": "resnet"}, "erm"]},
        "erm": {"kind": "erm"},
    }
    study = complete({"students": students, "methods": ["di", "mfd"]})
    bases = ["mfd-base_teacher", "mfd-base_resnet_teacher", "mfd-base_erm"]
    assert study.methods == ["di-prior_shift_false", "di-prior_shift_true", *bases]
    models = models_in({"architecture": ["shufflenet"], "method": bases[1:]})
    assert [str(study.base(model)) for model in models] == ["teacher (resnet)", "erm (shufflenet)"]


def test_grids_name_all_models_of_a_sweep_or_some_of_them():
    students = {"mfd": {"kind": "mfd", "lambda": [0, 3]}, "erm": {"kind": "erm"}}
    given = {"students": students, "methods": ["mfd-lambda3"], "ablations": [{"methods": ["erm", "mfd"]}]}
    study = complete(given)
    assert [study.methods, study.ablations[0].methods] == [["mfd-lambda3"], ["erm", "mfd-lambda0", "mfd-lambda3"]]
    # the grid of the defaults names mfd
    del given["methods"]
    assert complete(given).methods == ["mfd-lambda0", "mfd-lambda3"]


def test_an_export_names_all_models_of_a_sweep_or_some_of_them():
    swept = sweep(**{"lambda": [0, 1]})
    for named in ("mfd", "mfd-lambda1"):
        study = complete(swept | {"export": {"methods": ["teacher", named]}})
        models = ["mfd-lambda0", "mfd-lambda1"] if named == "mfd" else [named]
        assert study.export.methods == ["teacher", *models]
        assert [name for grid in study.exported for name in grid["method"]] == ["teacher", *models]


def test_networks_and_data_sets_can_be_sweeps():
    study = complete(
        {
            "networks": {"resnet": {"kind": "resnet18", "stem": ["imagenet", "cifar"]}},
            "architectures": ["resnet"],
            "data": {"sets": {"d": {"kind": "digits_s", "skew": [0.5, 0.95]}}},
            "datasets": ["d"],
            "example_images": ["d"],
        }
    )
    assert study.architectures == ["resnet-stem_imagenet", "resnet-stem_cifar"]
    assert "resnet" not in study.networks
    skews = {name: settings.skew for name, settings in study.data.sets.items() if name in study.datasets}
    assert skews == {"d-skew0p5": 0.5, "d-skew0p95": 0.95}
    assert study.datasets == study.example_images == ["d-skew0p5", "d-skew0p95"]


def test_each_swept_setting_has_lines_of_the_models_that_differ_in_it_alone():
    study = complete(sweep(**{"lambda": [0, 3], "kernel": ["rbf", "polynomial"]}))
    lines = {name: [(line.label, line.values) for line in figure.lines] for name, figure in study.sweep_figures.items()}
    assert lines["lambda"] == [
        (f"mfd, kernel {kernel}", {f"mfd-lambda0-kernel_{kernel}": 0.0, f"mfd-lambda3-kernel_{kernel}": 3.0})
        for kernel in ("rbf", "polynomial")
    ]
    assert lines["kernel"][0] == (
        "mfd, lambda 0",
        {"mfd-lambda0-kernel_rbf": "rbf", "mfd-lambda0-kernel_polynomial": "polynomial"},
    )
    # a grid with one model of each line has no figure
    assert complete(sweep(**{"lambda": [0, 3]}) | {"methods": ["mfd-lambda0"]}).sweep_figures == {}


def test_a_line_is_compared_with_the_base_of_all_its_models_or_the_teacher():
    students = {
        "erm": {"kind": "erm"},
        "kd": {"kind": "kd", "base": "erm", "alpha": [0, 1]},
        "bases": {"kind": "kd", "base": ["erm", "teacher"]},
        "mmd": {"kind": "group_mmd", "lambda": [0, 1]},
    }
    figures = complete({"students": students, "methods": ["kd", "bases", "mmd"]}).sweep_figures
    assert {name: figure.lines[0].base.method for name, figure in figures.items()} == {
        "alpha": "erm",
        "base": "teacher",
        "lambda": "teacher",
    }


def test_settings_of_one_name_have_a_figure_for_each_kind():
    students = {
        "kd": {"kind": "kd", "alpha": [0, 1]},
        "vfae": {"kind": "vfae", "alpha": [1, 200]},
        "mfd": {"kind": "mfd", "lambda": [0, 3]},
        "flattened": {"kind": "mfd", "lambda": [0, 3], "features": "flattened"},
    }
    figures = complete({"students": students, "methods": [*students]}).sweep_figures
    drawn = {name: (figure.setting, [line.label for line in figure.lines]) for name, figure in figures.items()}
    assert drawn == {
        "kd-alpha": ("alpha", ["kd"]),
        "vfae-alpha": ("alpha", ["vfae"]),
        # methods of one kind share one
        "lambda": ("lambda", ["mfd", "flattened"]),
    }


def test_neighbours_differ_in_one_setting_and_there_by_the_next_value():
    study = complete(sweep(**{"lambda": [3, 0, 10], "kernel": ["rbf", "polynomial"]}))
    found = neighbours(study.sweeps()["mfd"])
    names = {f"mfd-lambda{value}-kernel_{kernel}" for value in (0, 3, 10) for kernel in ("rbf", "polynomial")}
    assert {name for pair in found for name in pair} == names
    rbf = {pair for pair in found if all(name.endswith("rbf") for name in pair)}
    assert rbf == {(f"mfd-lambda{one}-kernel_rbf", f"mfd-lambda{other}-kernel_rbf") for one, other in ((0, 3), (3, 10))}
    # two steps of lambda for each kernel, and one of the kernel for each lambda
    assert len(found) == 2 * 2 + 3
    assert neighbours({}) == set()


MISTAKES = [
    (sweep(**{"lambda": [0, -1]}), "config: students.mfd.lambda is -1; it must be at least 0"),
    (sweep(**{"lambda": [0, "x"]}), 'config: students.mfd.lambda is "x"; it must be a number'),
    (sweep(**{"lambda": []}), "config: students.mfd.lambda is []; it must be a number"),
    (sweep(**{"lambda": [[0]]}), "config: students.mfd.lambda is [0]; it must be a number"),
    (
        sweep(**{"lambda": [0, 1], "degre": 2}),
        "config: students.mfd has the unknown key 'degre'; did you mean 'degree'?",
    ),
    (sweep(layers=[[]]), "config: students.mfd.layers is empty; name at least one"),
    (
        sweep(**{"lambda": [1, 1.0]}),
        "config: students.mfd has two models of the name 'mfd-lambda1'; leave one of the values of lambda out",
    ),
    (
        {"students": {"mfd": {"kind": "mfd", "lambda": [1, 2]}, "mfd-lambda1": {"kind": "erm"}}},
        "config: students holds 'mfd-lambda1', which is also a model of the sweep 'mfd'; give one of the two entries "
        "another name",
    ),
    (
        sweep(**{"lambda": [*range(40)], "sigma": [*range(1, 41)]}),
        "config: students.mfd stands for 1600 models, and may for 100 at most; give its lists fewer values",
    ),
    (
        {"students": {"mfd": {"kind": "mfd", "lambda": [0, 1]}, "kd": {"kind": "kd", "base": "mfd"}}},
        "config: students.kd.base names 'mfd', which is a sweep over lambda; choose one of mfd-lambda0, mfd-lambda1",
    ),
    (
        {
            "networks": {"r": {"kind": "resnet18", "stem": ["imagenet", "cifar"]}},
            "architectures": ["r"],
            "students": {"kd": {"kind": "kd", "base": {"architecture": "r"}}},
            "methods": ["kd"],
        },
        "config: students.kd.base.architecture names 'r', which is a sweep over stem; choose one of r-stem_imagenet, "
        "r-stem_cifar",
    ),
    (
        sweep(**{"lambda": [0, 1]}) | {"paper_method": "mfd"},
        "config: paper_method names 'mfd', which is a sweep over lambda; choose one of mfd-lambda0, mfd-lambda1",
    ),
    (
        {"teacher": {"kind": "erm", "sampling": ["plain", "balanced"]}},
        'config: teacher.sampling is ["plain", "balanced"]; choose one of plain, balanced, oversampled, '
        "undersampled, class_balanced",
    ),
    (
        sweep(**{"lambda": [0, 1]}) | VALIDATED | {"search": {"mfd-lambda0": {}}},
        "config: search names 'mfd-lambda0', a model of the sweep 'mfd'; name the sweep",
    ),
    (
        sweep() | VALIDATED | {"search": {"mfd": {}}},
        "config: search names 'mfd', which is no sweep of students; give one of its settings a list of values",
    ),
    (
        sweep(**{"lambda": [0, 1]}) | VALIDATED | {"search": {"mdf": {}}},
        "config: search names 'mdf', which is no sweep of students; did you mean 'mfd'?",
    ),
    (
        sweep() | VALIDATED | {"search": {"mdf": {}}},
        "config: search names 'mdf', which is no sweep of students; did you mean 'mfd'?",
    ),
    (
        sweep() | VALIDATED | {"search": {"cubic": {}}},
        "config: search names 'cubic', which is no sweep of students; give a setting of a student a list of values",
    ),
    (
        sweep(**{"lambda": [0, 1]}) | {"datasets": ["utkface"], "search": {"mfd": {}}},
        "config: data.sets.utkface.validation is 0, but search.mfd chooses on the validation split; set it to 0.1, say",
    ),
    (
        sweep("hardt", "hardt", base=["teacher", "kd"]) | VALIDATED | {"search": {"hardt": {}}},
        "config: search.hardt is of a kind that is fitted on the validation split, by which it cannot be chosen too; "
        "leave it out",
    ),
    (
        sweep(**{"lambda": [0, 1]}) | VALIDATED | {"search": {"mfd": {"rule": "smallest"}}},
        "config: search.mfd.rule is \"smallest\"; did you mean 'smallest_deo'?",
    ),
    (
        sweep(**{"lambda": [0, 1]}) | VALIDATED | {"search": {"mfd": {}}, "training": {"keep": "best"}},
        "config: training.keep is 'best', which chooses each model's epoch by the images that search.mfd chooses the "
        "model by; set it to last",
    ),
    (
        {"data": {"sets": {"c": {"kind": "celeba", "folder": ["/a", "/b"]}}}, "datasets": ["c"]},
        'config: data.sets.c.folder is ["/a", "/b"]; it must be text',
    ),
    ({"search": ["mfd"]}, 'config: search is ["mfd"]; it must be a mapping'),
    (
        {"data": {"sets": {"f": {"kind": "folder", "images": "a", "labels": "b", "split": ["x", ":"]}}}},
        "config: data.sets.f has a model of the name 'f-split_:', by the values of split; a name has letters, digits, "
        "_ and - alone, 64 of them at most",
    ),
    # the number of an entry is that in what the user wrote
    (sweep(**{"lambda": [0, 1]}) | {"methods": ["mfd", 3]}, "config: methods.1 is 3; it must be text"),
]


@pytest.mark.parametrize(("given", "line"), MISTAKES, ids=[line for _, line in MISTAKES])
def test_a_mistake_is_one_line(given, line):
    if "hardt" in given.get("students", {}):
        given["students"]["kd"] = {"kind": "kd"}
    with pytest.raises(UserError) as error:
        complete(given)
    assert str(error.value) == line


def test_a_key_that_came_by_merging_is_said_to_be_of_config_yaml():
    stated = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    given = {"students": {"mfd": {"kind": "kd", "alpha": [0, 1]}}}
    stated["students"]["mfd"] |= given["students"]["mfd"]
    with pytest.raises(UserError, match=r"unknown key 'degree'; .*'degree' is not yours: it stands in config/config"):
        complete(stated, given)


def test_the_models_of_a_search_are_in_the_main_grid():
    students = {"mfd": {"kind": "mfd", "lambda": [0, 1]}, "erm": {"kind": "erm"}}
    given = {"students": students, "methods": ["mfd-lambda1", "erm"], **VALIDATED}
    assert complete(given | {"search": {"mfd": {}}}).methods == ["mfd-lambda1", "erm", "mfd-lambda0"]


def test_the_schema_accepts_sweeps_of_entries_and_none_of_the_teacher():
    # seconds of it are a grammar that jsonschema has beside it
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(schema())
    settings = {"lambda": [0, 1], "layers": [["layer4"], None], "base": ["teacher", {"method": "erm"}]}
    given = sweep(**settings) | {"data": {"sets": {"d": {"kind": "digits_s", "skew": [0.5, 0.9]}}}}
    given |= {"networks": {"r": {"kind": "resnet18", "stem": ["imagenet", "cifar"]}}, "search": {"mfd": {"margin": 0}}}
    assert list(validator.iter_errors(given)) == []
    assert not validator.is_valid(sweep(**{"lambda": [0, -1]}))
    assert not validator.is_valid({"teacher": {"kind": "erm", "sampling": ["plain", "balanced"]}})
    # no result depends on it, and no record has it
    assert not validator.is_valid({"data": {"sets": {"c": {"kind": "celeba", "folder": ["/a", "/b"]}}}})


@pytest.mark.parametrize("kind", [one for _, union in SECTIONS.values() for one in kinds(union)])
def test_a_sweep_can_have_several_values_of_whatever_records_have(kind):
    recorded = {name for name, field in kind.model_fields.items() if not field.exclude}
    # a mapping is no value that a name could hold
    assert {key.rstrip("_") for key in recorded} - {"preprocess", "bins"} == {"kind", *sweepable(kind)}


def test_no_setting_of_a_method_is_named_like_another_column_of_the_table_of_runs():
    fields = [item for method in kinds(AnyMethod) for item in method.model_fields.items()]
    # the table has the settings that records have
    names = {field.alias or name for name, field in fields if not field.exclude}
    assert {"kind", "sampling", "lambda"} <= names
    assert not names & set(RUNS)
