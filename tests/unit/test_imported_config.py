"""What a configuration may say of imported models and of networks that start from a file."""

import pytest

from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete
from fairdistill.settings.methods import Imported
from fairdistill.settings.names import ModelName
from fairdistill.settings.study import models_in

STUDY = {
    "seeds": [0, 1],
    "datasets": ["digits"],
    "architectures": ["small"],
    "methods": ["mfd"],
    "data": {"sets": {"digits": {"kind": "digits_s", "validation": 0.1}}},
    "networks": {"small": {"kind": "shufflenet_v2_x0_5"}, "large": {"kind": "resnet18"}, "vit": {"kind": "vit_b_16"}},
}
CHECKPOINT = {"checkpoint": "model.pth"}
LARGE = {**CHECKPOINT, "architecture": "large"}


def with_teacher(teacher, **others):
    return complete({**STUDY, "teacher": teacher, **others})


def names_in(grids):
    """The architecture and the method of each model of some grids."""
    return {(model.architecture, model.method) for grid in grids for model in models_in(grid)}


def named(architecture, method):
    return ModelName(architecture=architecture, method=method)


# as config/config.yaml has it, with which what a user gives is merged
@pytest.mark.parametrize("merged", [{}, {"kind": "erm", "sampling": "plain"}])
def test_a_teacher_with_a_checkpoint_is_imported(merged):
    study = with_teacher({**merged, **CHECKPOINT})
    assert isinstance(study.teacher, Imported)
    assert study.file_of(named("small", "teacher")) == "model.pth"
    assert names_in(study.main_grids) == {("small", "teacher"), ("small", "mfd")}
    # where the file is has no influence on the model
    assert study.teacher.parameters() == {"kind": "imported", "sampling": "plain", "preprocess": None, "classes": None}


def test_there_is_one_of_the_network_that_the_file_holds():
    study = with_teacher(LARGE, architectures=["small", "large"])
    assert names_in(study.main_grids) == {("large", "teacher"), ("small", "mfd"), ("large", "mfd")}
    assert study.base(named("small", "mfd")) == study.base(named("large", "mfd")) == named("large", "teacher")
    assert all(len(set(map(str, grid["seed"]))) == 2 and grid["dataset"] == ["digits"] for grid in study.main_grids)


def test_a_student_can_be_imported_and_be_a_base():
    students = {"earlier": {"kind": "imported", **LARGE}, "mfd": {"kind": "mfd", "base": "earlier"}}
    study = complete({**STUDY, "students": students})
    assert names_in(study.main_grids) == {("small", "teacher"), ("small", "mfd"), ("large", "earlier")}
    assert study.base(named("small", "mfd")) == named("large", "earlier")


def test_methods_are_compared_where_a_network_has_several():
    earlier = {"students": {"earlier": {"kind": "imported", **LARGE}}, "methods": ["mfd", "earlier"]}
    apart = complete({**STUDY, **earlier})
    assert apart.students_of == {"small": ["mfd"], "large": ["earlier"]}
    assert not apart.compares_methods
    together = complete({**STUDY, **earlier, "architectures": ["small", "large"]})
    assert together.students_of == {"small": ["mfd"], "large": ["mfd", "earlier"]}
    assert together.compares_methods
    # a base is a student, too, also where no grid names it
    students = {"first": {"kind": "erm"}, "mfd": {"kind": "mfd", "base": "first"}}
    assert complete({**STUDY, "students": students}).students_of == {"small": ["mfd", "first"]}


def test_weights_of_a_network_are_those_that_its_trainings_start_from():
    networks = {"small": {"kind": "shufflenet_v2_x0_5", "weights": "w.pth"}}
    students = {"mfd": {"kind": "mfd"}, "calibrated": {"kind": "group_temperature"}}
    study = complete({**STUDY, "networks": networks, "students": students})
    assert study.files == {"networks.small.weights": "w.pth"}
    assert study.file_of(named("small", "mfd")) == study.file_of(named("small", "teacher")) == "w.pth"
    assert study.file_of(named("small", "calibrated")) is None
    assert study.networks["small"].to_json() == {"kind": "shufflenet_v2_x0_5", "stem": "imagenet"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": {"kind": "imported"}}, "teacher lacks the key 'checkpoint', the file that the model is read from"),
        (
            {"teacher": {"checkpoint": "{seed}.pth"}},
            "teacher.checkpoint is '{seed}.pth', which has braces, which Snakemake takes for a wildcard; give the",
        ),
        ({"paper_values": "{x}.csv"}, "paper_values is '{x}.csv', which has braces, which Snakemake takes for a"),
        ({"published": "results/}"}, "published is 'results/}', which has braces, which Snakemake takes for a"),
        (
            {"teacher": CHECKPOINT, "architectures": ["small", "large"]},
            "teacher.architecture is 'same', but the file holds one network, and the models are of large and small",
        ),
        (
            {"teacher": {**CHECKPOINT, "architecture": "larger"}},
            "teacher.architecture names 'larger', which networks does not define; did you mean 'large'?",
        ),
        ({"teacher": {**CHECKPOINT, "clases": []}}, "teacher has the unknown key 'clases'; did you mean 'classes'?"),
        (
            {"teacher": {**CHECKPOINT, "classes": ["a", "a"]}},
            'teacher.classes is ["a", "a"]; an entry comes twice',
        ),
        (
            {"teacher": {**CHECKPOINT, "preprocess": {"mean": [0.5]}}},
            "teacher.preprocess.mean is [0.5]; it must have 3 values",
        ),
        ({"teacher": {"checkpoint": ""}}, "teacher.checkpoint is empty; give a path, or leave it out"),
        *(
            (
                {"teacher": {**CHECKPOINT, "preprocess": wrong}},
                "teacher.preprocess has a mean or std beyond",
            )
            for wrong in ({"mean": [123.7, 116.3, 103.5]}, {"std": [58.4, 57.1, 57.4]}, {"std": [1e-45] * 3})
        ),
        *(
            (
                {"teacher": {**CHECKPOINT, "preprocess": wrong}},
                f"teacher.preprocess has a crop of 224 and {size}; give the size to which images are resized, 224 or",
            )
            for wrong, size in (({"crop": 224}, "no size"), ({"size": 200, "crop": 224}, "a size of 200"))
        ),
        (
            {"teacher": {**CHECKPOINT, "preprocess": {"std": [0, 1, 1]}}},
            "teacher.preprocess.std.0 is 0; it must be above 0",
        ),
        ({"teacher": {**CHECKPOINT, "sampling": "balanced"}}, 'teacher.sampling is "balanced"; it must be plain'),
        (
            {"teacher": LARGE, "students": {"mfd": {"kind": "mfd", "base": {"architecture": "small"}}}},
            "students.mfd.base.architecture is 'small', but 'teacher' is imported as 'large'",
        ),
        (
            {"teacher": LARGE, "students": {"mfd": {"kind": "hardt"}}},
            "students.mfd.base is imported as the network 'large', which a method of this kind keeps, and the grid has",
        ),
        (
            {"teacher": {**CHECKPOINT, "architecture": "vit"}},
            "networks.vit takes images of 224 px, and those of data.sets.digits have 32; choose another",
        ),
        (
            {
                "teacher": {**CHECKPOINT, "architecture": "vit", "preprocess": {"size": 224}},
                "students": {"mfd": {"kind": "at"}},
            },
            "students.mfd.layers compares maps of layers, and the base's network has none, as one that cuts",
        ),
        (
            {"teacher": CHECKPOINT, "architectures": ["vit"], "students": {"mfd": {"kind": "fitnets"}}},
            "students.mfd.layer compares maps of layers, and the network has none, as one that cuts",
        ),
    ],
)
def test_what_cannot_be_is_one_line(changes, message):
    with pytest.raises(UserError) as error:
        complete({**STUDY, **changes})
    assert str(error.value).startswith(f"config: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("preprocess", [{"size": 224}, {"size": 256, "crop": 224}])
def test_an_imported_vit_gets_images_of_its_size(preprocess):
    study = with_teacher({**CHECKPOINT, "architecture": "vit", "preprocess": preprocess})
    assert study.base(named("small", "mfd")) == named("vit", "teacher")


def test_what_an_imported_model_expects_is_no_sweep():
    students = {"mfd": {"kind": "imported", **CHECKPOINT, "preprocess": [{"size": 32}, {"size": 64}]}}
    with pytest.raises(UserError, match=r"students\.mfd\.preprocess is .*; it must be a mapping"):
        complete({**STUDY, "students": students})


def test_what_is_exported_are_models_of_the_study():
    """The teacher is of another network than the students, of which the study has none of that network."""
    assert names_in(with_teacher(LARGE).exported) == {("small", "mfd")}
    assert names_in(with_teacher(LARGE, export={"methods": ["teacher"]}).exported) == {("large", "teacher")}
    both = with_teacher(LARGE, export={"methods": ["teacher", "mfd"]})
    assert names_in(both.exported) == names_in(both.main_grids)
    with pytest.raises(
        UserError, match=r"^config: export .*no grid of the study has its architectures and methods together"
    ):
        with_teacher(LARGE, export={"methods": ["mfd"], "architectures": ["large"]})


def test_what_a_further_grid_has_is_exported_by_its_name():
    ablations = [{"architectures": ["vit"], "methods": ["kd"]}]
    students = {"mfd": {"kind": "mfd"}, "kd": {"kind": "kd"}}
    config = {**STUDY, "students": students, "ablations": ablations}
    config["networks"] = {**STUDY["networks"], "vit": {"kind": "mobilenet_v3_small"}}
    assert names_in(complete(config).exported) == {("small", "mfd")}
    assert names_in(complete({**config, "export": {"methods": ["kd"]}}).exported) == {("vit", "kd")}
    assert all(grid["seed"] == [0] for grid in complete(config).exported)


def test_names_of_classes_may_look_like_numbers():
    assert with_teacher({**CHECKPOINT, "classes": [3, 1, "2"]}).teacher.classes == ["3", "1", "2"]
