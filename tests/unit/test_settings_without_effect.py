"""Settings that others leave without effect: they have none in a training or data set, and a configuration that gives
one is refused."""

import json
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
import yaml
from method_trainings import SHORT, differing, fit, method_settings, skewed
from own_images import write_images, write_table
from synthetic_archives import accept_cifar, cifar_batches, pack
from test_config import STATED, merged

from fairdistill.data.preparing import set_aside_validation
from fairdistill.networks import build_network
from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import names_of_kinds, settings_of_kind
from fairdistill.settings.configuration import complete
from fairdistill.settings.data import Cifar10S, DigitsS, Folder
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.reading import read_settings
from scripts import train_model

# Kind, the settings with which another has no effect, those with which it has, the other, two of its values. Without
# weight the settings of a kernel have none, whichever kernel it is.
POLYNOMIAL = {"kernel": "polynomial"}
METHODS = [
    ("mfd", POLYNOMIAL, {}, "sigma", (0.1, 10)),
    ("mfd", {}, POLYNOMIAL, "degree", (1, 3)),
    ("mfd", {}, POLYNOMIAL, "offset", (0, 2)),
    ("mfd", {"lambda": 0}, {}, "sigma", (0.1, 10)),
    ("mfd", {"lambda": 0}, {}, "kernel", ("rbf", "polynomial")),
    ("mfd", {"lambda": 0} | POLYNOMIAL, POLYNOMIAL, "degree", (1, 3)),
    ("mfd", {"lambda": 0} | POLYNOMIAL, POLYNOMIAL, "offset", (0, 2)),
    ("mfd", {"lambda": 0, "layers": ["stage3"]}, {"layers": ["stage3"]}, "features", ("pooled", "flattened")),
    ("mfd", {"lambda": 0}, {}, "layers", (None, ["stage3"])),
    ("mfd", {"lambda": 0}, {}, "joint", (False, True)),
    ("mfd", {}, {"kd_weight": 2}, "kd_temperature", (1, 8)),
    ("kd", {"alpha": 0}, {}, "temperature", (1, 8)),
    ("at", {"beta": 0}, {}, "layers", (["stage2"], ["stage3"])),
    ("nst", {"beta": 0}, {}, "layers", (["stage2"], ["stage3"])),
    ("nst", {"beta": 0}, {}, "kernel", ("rbf", "linear")),
    ("fitnets", {"hint_share": 0}, {"hint_share": 0.5}, "layer", ("stage2", "stage3")),
    ("fitnets", {"kd_weight": 0, "final_kd_weight": 0}, {}, "temperature", (1, 8)),
    ("group_mmd", POLYNOMIAL, {}, "sigma", (0.1, 10)),
    ("group_mmd", {}, POLYNOMIAL, "degree", (1, 3)),
    ("group_mmd", {}, POLYNOMIAL, "offset", (0, 2)),
    ("group_mmd", {"lambda": 0}, {}, "sigma", (0.1, 10)),
    ("group_mmd", {"lambda": 0}, {}, "kernel", ("rbf", "polynomial")),
    *(
        (kind, {"sampling": even}, {"sampling": other}, "prior_shift", (False, True))
        for kind in ("domain_independent", "domain_discriminative")
        for even, other in (("balanced", "plain"), ("oversampled", "class_balanced"), ("undersampled", "plain"))
    ),
    ("ffvae", {"representation_share": 0}, {"representation_share": 0.5}, "alpha", (1, 1000)),
    ("ffvae", {"representation_share": 0}, {"representation_share": 0.5}, "gamma", (1, 1000)),
]


@pytest.fixture(scope="module")
def biased(tiny):
    return skewed(tiny, keep=8)


@pytest.fixture(scope="module")
def base():
    torch.manual_seed(5)
    return build_network(SHORT, 3)


@pytest.mark.parametrize(("kind", "idle", "active", "key", "values"), METHODS)
def test_a_setting_of_a_method_has_no_effect_where_it_is_said_to_have_none(
    biased, base, kind, idle, active, key, values
):
    for others, changes in ((idle, False), (active, True)):
        settings = [method_settings(kind=kind, **others | {key: value}) for value in values]
        assert [key in one.without_effect() for one in settings] == [not changes] * 2
        of = {"base": base} if "base" in type(settings[0]).model_fields else {}
        first, second = (fit(biased, one, **of) for one in settings)
        # a correction that is the same for all scores is seen in their rounding
        alike = np.allclose(first.probabilities["test"], second.probabilities["test"], rtol=0, atol=1e-6)
        assert alike != changes
        assert changes or not differing(first.network, second.network)


def test_every_setting_of_a_method_that_may_have_no_effect_is_among_these():
    tested = {(kind, key) for kind, _, _, key, _ in METHODS}
    found = {(kind, name) for kind, idle, *_ in METHODS for name in method_settings(kind=kind, **idle).without_effect()}
    assert found == tested
    # the other kinds have none, whichever of their numbers are 0
    for kind in names_of_kinds(AnyMethod):
        fields = settings_of_kind(AnyMethod, kind).model_json_schema()["properties"].items()
        zero = {key: 0 for key, field in fields if field.get("minimum") == 0}
        assert {(kind, key) for key in method_settings(kind=kind, **zero).without_effect()} <= tested


def samples(settings, *archives, seed=7):
    """The samples of a data set of these settings, for models of a seed."""
    drawn = settings.drawn_for(seed)
    prepared = import_module(settings.implementation).prepare(drawn, *archives)
    return set_aside_validation(prepared, drawn.validation, drawn.split_seed, name="d").samples


@pytest.mark.parametrize(
    ("idle", "active", "key", "values"),
    [
        ({"folds": 2}, {}, "test_fraction", (0.3, 0.6)),
        ({"per_seed": ["split"]}, {}, "split_seed", (0, 1)),
        ({"per_seed": ["colour"]}, {}, "colour_seed", (0, 1)),
    ],
)
def test_a_setting_of_a_data_set_has_no_effect_where_it_is_said_to_have_none(idle, active, key, values):
    for others, changes in ((idle, False), (active, True)):
        settings = [DigitsS(kind="digits_s", image_size=8, **others | {key: value}) for value in values]
        assert [key in one.without_effect() for one in settings] == [not changes] * 2
        first, second = (samples(one) for one in settings)
        assert first.equals(second) != changes


@pytest.mark.parametrize(
    ("others", "changes"),
    [
        ({"colour_seed": 3}, False),
        ({"per_seed": ["colour"]}, False),
        ({}, True),
        ({"colour_seed": 3, "folds": 2}, True),
        ({"colour_seed": 3, "validation": 0.5}, True),
    ],
)
def test_the_seed_of_the_split_of_cifar_draws_what_nothing_else_does(tmp_path, monkeypatch, others, changes):
    batches = cifar_batches()
    accept_cifar(monkeypatch, batches)
    archive = pack(tmp_path / "c.tar.gz", list(batches.items()))
    settings = [Cifar10S(kind="cifar10s", split_seed=seed, **others) for seed in (0, 1)]
    assert ["split_seed" in one.without_effect() for one in settings] == [not changes] * 2
    first, second = (samples(one, archive) for one in settings)
    assert first.equals(second) != changes


@pytest.mark.parametrize(
    ("others", "idle"),
    [
        ({}, []),
        ({"test_per_cell": 4}, ["visible_deo"]),
        ({"split": "part", "validation": 0}, ["split_seed", "visible_deo"]),
        ({"split": "part", "validation": 0.5}, ["visible_deo"]),
    ],
)
def test_what_draws_the_splits_of_own_images_has_no_effect_where_they_are_given(tmp_path, others, idle):
    table = write_images(tmp_path, 22)
    table["part"] = ["train", "test"] * (len(table) // 2)
    own = tmp_path / "photos", write_table(tmp_path, table)
    for key, values in {"split_seed": (0, 1), "visible_deo": (0.9, 0.1)}.items():
        settings = [Folder(kind="folder", image_size=8, **others | {key: value}) for value in values]
        first, second = (samples(one, *own) for one in settings)
        assert [key in one.without_effect() for one in settings] == [key in idle] * 2
        assert first.equals(second) == (key in idle)


@pytest.mark.parametrize(("crop", "changes"), [(None, False), (8, True)])
def test_how_test_images_are_cropped_has_no_effect_without_a_crop(tiny, crop, changes):
    predictions = []
    for way in ("centre", "whole"):
        settings = DigitsS(kind="digits_s", image_size=16, crop=crop, crop_test=way)
        assert ("crop_test" in settings.without_effect()) != changes
        # of whose 8 pixels a crop leaves 6
        dataset = replace(tiny, info=tiny.info | {"crop": crop and 6, "crop_test": way})
        predictions.append(fit(dataset, {"kind": "erm"}).probabilities["test"])
    assert np.array_equal(*predictions) != changes


def given(text):
    """The settings of a user, laid over config/config.yaml, as Snakemake has them."""
    settings = {"paper_method": None} | yaml.safe_load(text)
    return merged(STATED, settings), settings


BOTH = "{cifar10s: {validation: 0.1}, utkface: {validation: 0.1}}"
REFUSED = {
    # a sweep, a value, and one that config/config.yaml has beside it
    "students: {mfd: {kernel: polynomial, sigma: [0.1, 1, 10]}}": "students.mfd.sigma has no effect, as kernel is "
    "polynomial; leave it at its default, 1, or set kernel to rbf",
    "students: {mfd: {kernel: polynomial, sigma: 0.5}}": "students.mfd.sigma has no effect, as kernel is polynomial; "
    "leave it at its default, 1, or set kernel to rbf",
    "students: {mfd: {offset: 0}}": "students.mfd.offset has no effect, as kernel is rbf; leave it at its default, 1, "
    "or set kernel to polynomial",
    "students: {mfd: {kd_temperature: '4'}}": "students.mfd.kd_temperature has no effect, as kd_weight is 0; leave it "
    "at its default, 3, or raise kd_weight",
    "students: {a: {kind: group_mmd, degree: [1, 2]}}": "students.a.degree has no effect, as kernel is rbf; leave it "
    "at its default, 2, or set kernel to polynomial",
    "students: {a: {kind: kd, alpha: 0, temperature: [1, 4]}}": "students.a.temperature has no effect, as alpha is 0; "
    "leave it at its default, 4, or raise alpha",
    "students: {a: {kind: nst, beta: 0, kernel: [linear, rbf]}}": "students.a.kernel has no effect, as beta is 0; "
    "leave it at its default, polynomial, or raise beta",
    "students: {a: {kind: fitnets, kd_weight: 0, final_kd_weight: 0, temperature: [1, 2]}}": "students.a.temperature "
    "has no effect, as kd_weight and final_kd_weight are 0; leave it at its default, 3, or raise one of them",
    # nowhere in the sweep, for a reason that is everywhere
    "students: {mfd: {degree: [1, 2], lambda: [0, 3]}}": "students.mfd.degree has no effect, as kernel is rbf; leave "
    "it at its default, 2, or set kernel to polynomial",
    "students: {mfd: {lambda: 0, kernel: [rbf, polynomial], sigma: 2}}": "students.mfd.kernel has no effect, as lambda "
    "is 0; leave it at its default, rbf, or raise lambda",
    # some models of the sweep would be one
    "students: {mfd: {kernel: [rbf, polynomial], sigma: [0.1, 1]}}": "students.mfd.sigma has several values, but no "
    "effect where kernel is polynomial, so that models would be alike; give that case an entry of its own",
    "students: {a: {kind: domain_independent, sampling: balanced, prior_shift: true}}": "students.a.prior_shift has no "
    "effect, as sampling is balanced, which draws every class and group equally often; leave it at its default, false, "
    "or set sampling to plain or class_balanced",
    "students: {a: {kind: domain_discriminative, sampling: balanced, prior_shift: [true, false]}}": "students.a."
    "prior_shift has no effect, as sampling is balanced, which draws every class and group equally often; leave it at "
    "its default, true, or set sampling to plain or class_balanced",
    "teacher: {checkpoint: a.pth, architecture: resnet, preprocess: {interpolation: bicubic}}": "teacher.preprocess."
    "interpolation has no effect, as size is null; leave it at its default, bilinear, or give the size",
    "students: {a: {kind: imported, checkpoint: a.pth, preprocess: {interpolation: nearest}}}": "students.a.preprocess."
    "interpolation has no effect, as size is null; leave it at its default, bilinear, or give the size",
    "data: {sets: {cifar10s: {crop_test: [centre, whole]}}}": "data.sets.cifar10s.crop_test has no effect, as crop is "
    "null; leave it at its default, centre, or give the crop",
    "data: {sets: {a: {kind: digits_s, folds: 3, test_fraction: 0.3}}}": "data.sets.a.test_fraction has no effect, as "
    "folds is 3; leave it at its default, 0.4, or set folds to 1",
    "data: {sets: {utkface: {split: authors, duplicates: keep, split_seed: 2}}}": "data.sets.utkface.split_seed has no "
    "effect, as split is authors, which draws nothing, and validation is 0; leave it at its default, 0, or set split "
    "to balanced",
    "data: {sets: {cifar10s: {per_seed: [split], split_seed: 2}}}": "data.sets.cifar10s.split_seed has no effect, as "
    "per_seed has split, which uses the seed of the model; leave it at its default, 0, or take split out of per_seed",
    f"search: {{mfd: {{}}}}\nstudents: {{mfd: {{sigma: [1, 2], lambda: 0}}}}\ndata: {{sets: {BOTH}}}": "students.mfd."
    "sigma has no effect, as lambda is 0; leave it at its default, 1, or raise lambda",
    "export: {carbon_intensity: 300}": "export.carbon_intensity has no effect, as watts is null; leave it at its "
    "default, null, or give watts",
}


@pytest.mark.parametrize(("text", "line"), REFUSED.items(), ids=[*REFUSED])
def test_a_setting_without_effect_is_refused_in_one_line(text, line):
    with pytest.raises(UserError) as error:
        complete(*given(text))
    assert str(error.value) == f"config: {line}"


@pytest.mark.parametrize(
    "text",
    [
        # beside what config/config.yaml has, and beside all of its settings, as in a copy of it
        "students: {mfd: {kernel: polynomial}}",
        "students: {mfd: {kernel: polynomial, sigma: 1.0, degree: 3, offset: 0}}",
        # of one model of a sweep; 0 is the control, for each of the other values
        "students: {mfd: {lambda: [0, 1, 3], sigma: 0.5}}",
        "students: {mfd: {lambda: [0, 3], sigma: [0.1, 1, 10]}}",
        "students: {mfd: {lambda: [0, 3], kernel: [rbf, polynomial]}}",
        "students: {mfd: {kd_weight: [0, 1], kd_temperature: 4}}",
        "students: {mfd: {kernel: [rbf, polynomial], sigma: 0.5}}",
        "students: {a: {kind: kd, alpha: [0, 0.9], temperature: 2}}",
        # a control by itself, with what the others have
        "students: {mfd: {lambda: 0, sigma: 0.5, kernel: rbf, features: flattened}}",
        "students: {a: {kind: at, beta: 0, layers: [layer1]}}",
        "students: {a: {kind: fitnets, kd_weight: 0, final_kd_weight: 0, temperature: 1}}",
        # columns of search.csv
        f"search: {{mfd: {{rule: most_accurate, metric: deo_m, margin: 0.1}}}}\nstudents: {{mfd: {{lambda: [0, 1]}}}}\n"
        f"data: {{sets: {BOTH}}}",
        # the base is compared with, whether the loss asks it or not
        "students: {mfd: {lambda: 0, base: {architecture: resnet}}}",
        # `false` claims no effect, and keeps a training from asking for images of every cell
        "students: {a: {kind: domain_discriminative, sampling: balanced, prior_shift: false}}",
        "data: {sets: {cifar10s: {per_seed: [colour], validation: 0.1, split_seed: 2}}}",
        "data: {sets: {cifar10s: {crop: 28, crop_test: whole}}}",
        "teacher: {checkpoint: a.pth, architecture: resnet, preprocess: {size: 64, interpolation: bicubic}}",
        "export: {carbon_intensity: 300, watts: 10}",
    ],
)
def test_a_setting_with_some_effect_is_read(text):
    complete(*given(text))


def test_a_model_of_a_sweep_is_read_again_with_all_of_its_settings(tmp_path):
    """By a training, and from its record: they hold settings that have no effect in that model."""
    study = complete(*given("students: {mfd: {lambda: [0, 3], kernel: [rbf, polynomial], sigma: 0.5, degree: 3}}"))
    for name, method in study.students.items():
        assert method.without_effect()
        parameters = method.parameters()
        assert parameters.keys() >= {"sigma", "degree", "kd_temperature"}
        assert read_settings(AnyMethod, parameters, where=name) == method
        options = ["--data", "d", "--output", str(tmp_path / "o"), "--method", json.dumps(parameters)]
        assert train_model.read_job(options).method == method
