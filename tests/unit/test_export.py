"""Exported models: what they predict, what is measured of them, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from conftest import write_tiny
from exported_models import export
from method_trainings import fit, method_settings, network_settings
from small_network import Small
from torchvision import models
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import MBConvConfig

from fairdistill.data import load_dataset
from fairdistill.data.facts import facts_of
from fairdistill.evaluation.metrics import evaluate
from fairdistill.evaluation.uncertainty import ABOVE, FAIR
from fairdistill.export import exporting, speed
from fairdistill.export.exporting import compare, seen_images, what_int8_changes
from fairdistill.export.files import CARD, INT8, MODEL, PREPROCESSOR, RECORD, WEIGHTS
from fairdistill.export.int8 import choose_calibration
from fairdistill.export.onnx_model import OPSET, Predictor, restore_method, write_onnx
from fairdistill.export.preprocessor import KEY, describe
from fairdistill.export.sessions import ExportedModel
from fairdistill.methods.base import method_class
from fairdistill.networks import Output, build_network, freeze, load_facts, load_network, save_network
from fairdistill.networks.preprocess import Preprocess
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json, sha256
from fairdistill.settings.base import kinds
from fairdistill.settings.checkpoints import ModelFacts
from fairdistill.settings.configuration import complete
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.preprocess import Preprocess as Expected
from fairdistill.settings.reading import read_settings
from fairdistill.training.engines import fast

# what is in the files


def test_a_checkpoint_says_what_images_it_takes_and_what_its_outputs_mean(trained, tiny):
    facts = load_facts(trained / "weights.safetensors")
    assert (facts.classes, facts.groups) == (["a", "b", "c"], ["g", "h"])
    assert (facts.image_size, facts.crop, facts.framing, facts.network_sees) == (8, None, "stretch", 8)
    np.testing.assert_array_equal([facts.mean, facts.std], [tiny.mean, tiny.std])
    assert facts.method["kind"] == "erm"


def test_a_checkpoint_from_before_that_is_read_as_before(tmp_path):
    settings = network_settings("resnet18")
    save_network(tmp_path / "old", build_network(settings, 3), settings)
    assert load_facts(tmp_path / "old") is None
    assert load_network(tmp_path / "old", settings=settings).head.out_features == 3


def test_the_exported_checkpoint_is_the_model_and_says_what_it_takes(trained, exported, exported_of_group):
    before, after = (load_network(path).state_dict() for path in (trained / "weights.safetensors", exported / WEIGHTS))
    assert all(torch.equal(before[name], after[name]) for name in before)
    facts = load_facts(exported_of_group / WEIGHTS)
    assert (facts.crop, facts.network_sees, facts.method["inference"]) == (8, 8, "own_group")


def test_a_checkpoint_whose_facts_are_wrong_is_one_line(tmp_path, tiny):
    settings = network_settings("resnet18")
    facts = facts_of(tiny, method_settings(kind="erm"))
    save_network(tmp_path / "w", build_network(settings, 3), settings, facts=facts.model_copy(update={"mean": [0.0]}))
    with pytest.raises(UserError, match=r"w: its model: mean "):
        load_facts(tmp_path / "w")


def test_no_card_of_an_earlier_model_stays_beside_it(exported):
    assert not (exported / CARD).exists()


def test_the_onnx_file_is_what_its_record_says(exported):
    model, record = onnx.load(exported / MODEL), read_json(exported / RECORD)
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", record["opset"])] == [("", OPSET)]
    assert {each.key for each in model.metadata_props} == {KEY}
    # onnxruntime 1.15.1 refuses a format above 9
    assert model.ir_version == 8
    # of this machine
    for file in (MODEL, INT8):
        assert str(Path(__file__).parents[2]).encode() not in (exported / file).read_bytes()
    assert record["files"][MODEL] == {"bytes": (exported / MODEL).stat().st_size, "sha256": sha256(exported / MODEL)}
    # ResNet-18 for three classes
    assert record["parameters"] == 11_178_051
    kinds_of_nodes = {node.op_type for node in onnx.load(exported / INT8).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds_of_nodes
    assert (exported / INT8).stat().st_size < 0.3 * (exported / MODEL).stat().st_size


@pytest.mark.parametrize("n", [1, 7])
def test_it_normalises_and_predicts_batches_of_any_size(exported, trained, n):
    images = np.random.default_rng(n).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    found = ExportedModel(exported / MODEL, threads=1).predict(images)
    facts = load_facts(trained / "weights.safetensors")
    pixels = torch.from_numpy((images / 255 - facts.mean) / facts.std).float().permute(0, 3, 1, 2)
    expected = freeze(load_network(trained / "weights.safetensors"))(pixels).logits.softmax(1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_it_agrees_with_the_training_on_the_test_images(exported):
    agreement = read_json(exported / RECORD)["agreement"]
    assert (agreement["images"], agreement["other_classes"]) == (24, 0)
    assert agreement["largest_difference"] < 1e-5


def test_a_model_that_needs_the_group_takes_it_as_a_second_input(exported_of_group, cropped_folder):
    model, dataset = ExportedModel(exported_of_group / MODEL, threads=1), load_dataset(cropped_folder)
    assert model.preprocessor.needs_group
    rows, _, group = dataset.split("test")
    images = seen_images(dataset, rows, model.preprocessor)
    assert images.shape == (24, 8, 8, 3)
    own, other = model.predict(images, group), model.predict(images, 1 - group)
    assert np.abs(own - other).max() > 1e-4
    # by the training's own predictions
    assert read_json(exported_of_group / RECORD)["agreement"]["largest_difference"] < 1e-5


@pytest.mark.parametrize("crop_test", ["centre", "whole"])
@pytest.mark.parametrize("crop", [None, 8, 7, 5])
def test_images_are_cropped_as_in_training(tiny, crop, crop_test):
    dataset = replace(tiny, info=tiny.info | {"crop": crop, "crop_test": crop_test})
    images = fast.Images(dataset, "test", torch.device("cpu"))
    ((_, _, expected),) = images.batches(torch.arange(24), None, 24)
    found = seen_images(dataset, tiny.split("test")[0], facts_of(dataset, method_settings(kind="erm")))
    pixels = torch.from_numpy((found / 255 - tiny.mean) / tiny.std).float().permute(0, 3, 1, 2)
    torch.testing.assert_close(pixels, expected, check_stride=False, atol=1e-5, rtol=0)


# small ones of the families that are made in another way, each behind what an imported model may have
OTHERS = {
    "vit_b_16": (
        lambda: models.VisionTransformer(32, 16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=3),
        {"size": 36, "crop": 32, "interpolation": "bicubic"},
    ),
    "convnext_tiny": (
        lambda: models.ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=3),
        {"size": 29, "interpolation": "nearest"},
    ),
    "efficientnet_b0": (
        lambda: models.EfficientNet([MBConvConfig(4, 3, 2, 8, 16, 1)], dropout=0.1, num_classes=3),
        {"size": 20, "crop": 16, "interpolation": "bilinear"},
    ),
}


class Mean(torch.nn.Module):
    """What several predict, as one: an export takes seconds, of whatever size."""

    def __init__(self, predictors):
        super().__init__()
        self.predictors = torch.nn.ModuleList(predictors)

    def forward(self, images):
        return torch.stack([predictor(images) for predictor in self.predictors]).mean(0)


@pytest.mark.long
def test_networks_of_other_families_with_all_ways_to_resize_predict_as_here(tiny, tmp_path, monkeypatch):
    torch.manual_seed(4)
    facts = facts_of(tiny, method_settings(kind="imported"))
    predictors = []
    for kind, (small, expected) in OTHERS.items():
        monkeypatch.setattr(models, "get_model", lambda *_, small=small, **__: small())
        network = build_network(read_settings(AnyNetwork, {"kind": kind}, where="network"), 3)
        # as large as those of a trained one, so that answers differ from image to image
        network.head.weight.data.normal_()
        values = read_settings(Expected, expected, where="preprocess")
        network.preprocess = Preprocess(values, data_mean=facts.mean, data_std=facts.std)
        predictors.append(Predictor(network, restore_method(facts, network, {}), facts))
    write_onnx(tmp_path / MODEL, Mean(predictors), describe(facts, name="three", needs_group=False))
    images = tiny.images[:7]
    with torch.no_grad():
        each = [predictor(torch.from_numpy(images)) for predictor in predictors]
    assert all(here.std(0).min() > 1e-3 for here in each)
    found = ExportedModel(tmp_path / MODEL, threads=1).predict(images)
    np.testing.assert_allclose(found, sum(each) / len(each), atol=1e-5)


# methods


@pytest.mark.parametrize(
    "method",
    [
        {"kind": "erm"},
        {"kind": "kd"},
        {"kind": "domain_independent", "prior_shift": True},
        {"kind": "domain_independent", "inference": "sum_probabilities"},
        {"kind": "domain_independent", "inference": "max_probability"},
        {"kind": "domain_independent", "inference": "own_group", "prior_shift": True},
        {"kind": "domain_discriminative"},
        {"kind": "vfae"},
        {"kind": "vfae", "group_in_encoder": False},
        {"kind": "ffvae"},
        {"kind": "group_temperature"},
        {"kind": "hardt"},
    ],
    ids=lambda method: " ".join(map(str, method.values())),
)
def test_a_restored_method_predicts_as_the_trained_one(tiny_with_validation, method):
    settings = method_settings(**method)
    dataset = replace(tiny_with_validation, classes=["a", "b", "c"])
    base = freeze(build_network(Small(), 3)) if settings.stands_on else None
    trained = fit(dataset, settings, network=Small(), base=base, epochs=2)
    restored = restore_method(facts_of(dataset, settings), trained.network, trained.method.prediction_state())
    n = trained.network.head.out_features
    output = Output(torch.zeros(8, 8), torch.randn(8, n, generator=torch.Generator().manual_seed(0)), {})
    group = torch.arange(8) % 2
    assert restored.needs_group == trained.method.needs_group
    with torch.no_grad():
        assert torch.equal(restored.predict(output, group), trained.method.predict(output, group))


@pytest.mark.parametrize("settings", kinds(AnyMethod), ids=lambda settings: settings.__name__)
def test_a_method_of_every_kind_is_restored_without_its_base_and_leaves_random_numbers_alone(settings):
    (kind, *_) = settings.model_fields["kind"].annotation.__args__
    method = method_settings(kind=kind)
    network = build_network(network_settings("resnet18"), method_class(method).n_outputs(method, 2, 2))
    values = {"image_size": 32, "framing": "stretch", "crop": None, "crop_test": "centre"}
    names = {"classes": ["a", "b"], "groups": ["g", "h"], "mean": [0.5] * 3, "std": [0.5] * 3}
    before = torch.get_rng_state()
    restored = restore_method(ModelFacts(**values, **names, method=method.parameters()), network, {})
    assert torch.equal(before, torch.get_rng_state())
    # whether it can be exported is known without torch
    assert method.draws_labels == restored.randomised
    with pytest.raises(ValueError, match="names 'nonsense', which the method lacks"):
        restore_method(ModelFacts(**values, **names, method=method.parameters()), network, {"nonsense": torch.ones(1)})


# int8


def scores(right):
    """`evaluate` of 2 classes x 2 groups of 100 images, of which so many of each cell (group, class) are right."""
    label, group = np.repeat([0, 0, 1, 1], 100), np.repeat([0, 1, 0, 1], 100)
    correct = np.concatenate([np.arange(100) < right[a][y] for y in (0, 1) for a in (0, 1)])
    p1 = np.where(correct, label, 1 - label).astype(float)
    table = {"image_id": [f"{i:03}" for i in range(400)], "label": label, "group": group, "p0": 1 - p1, "p1": p1}
    return evaluate(pd.DataFrame(table), classes=["x", "y"], groups=["g", "h"], resamples=500)


@pytest.mark.parametrize(
    ("int8", "worse"),
    [
        ([[90, 90], [90, 90]], []),
        ([[95, 95], [95, 95]], []),
        ([[80, 80], [80, 80]], ["accuracy is lower by 0.100"]),
        ([[99, 90], [60, 90]], ["accuracy is lower by 0.0", "DEO_A is higher by 0.195", "DEO_M is higher by 0.390"]),
    ],
)
def test_an_int8_model_that_lost_accuracy_or_fairness_is_named(int8, worse):
    metrics = {MODEL: scores([[90, 90], [90, 90]]), INT8: scores(int8)}
    found = what_int8_changes(metrics, classes=["x", "y"], groups=["g", "h"])
    assert len(found["worse"]) == len(worse)
    assert all(text.startswith(start) for text, start in zip(found["worse"], worse, strict=True))
    assert found["cautions"] == []
    change = found["difference"]["accuracy"]
    assert change["difference"] == pytest.approx(metrics[INT8]["accuracy"] - metrics[MODEL]["accuracy"])
    assert change["low"] <= change["difference"] <= change["high"]


def test_int8_is_measured_on_the_test_images_beside_the_float_model(exported, tiny):
    record = read_json(exported / RECORD)
    rows, label, _ = tiny.split("test")
    for file in (MODEL, INT8):
        found = ExportedModel(exported / file, threads=1).predict(tiny.images[rows])
        assert record["metrics"][file]["accuracy"] == pytest.approx((found.argmax(1) == label).mean())
        assert {"deo_a", "deo_m", "accuracy"} <= record["metrics"][file]["uncertainty"].keys()
    assert record["calibration_images"] == 30


def test_calibration_images_are_of_all_cells_alike_as_far_as_there_are():
    label, group = np.array([0] * 50 + [1] * 50), np.array([0] * 48 + [1] * 2 + [0] * 10 + [1] * 40)
    chosen = choose_calibration(label, group, 32)
    assert len(set(chosen.tolist())) == len(chosen) == 32
    cells = pd.Series(2 * label[chosen] + group[chosen]).value_counts().sort_index()
    assert cells.tolist() == [10, 2, 10, 10]
    assert len(choose_calibration(label, group, 1)) == 4
    assert len(choose_calibration(label, group, 1000)) == 100


# what is refused


def test_probabilities_that_are_not_the_trainings_are_refused():
    expected = np.array([[0.6, 0.4], [0.5004, 0.4996]])
    with pytest.raises(UserError, match=r"m: onnxruntime's probabilities differ from the training's by up to 0\.01, "):
        compare(expected + np.array([[0.01, -0.01], [0, 0]]), expected, where="m")
    with pytest.raises(UserError, match="differ"):
        compare(np.full((2, 2), np.nan), expected, where="m")
    # a tie may fall to either side
    assert compare(expected - np.array([[0, 0], [0.0009, 0]]), expected, where="m")["other_classes"] == 1


def test_a_model_that_fails_its_test_leaves_the_earlier_export_as_it_was(trained, tiny_folder, tmp_path, monkeypatch):
    files = (MODEL, INT8, WEIGHTS, PREPROCESSOR, RECORD, CARD)
    for file in files:
        (tmp_path / file).write_text("earlier")
    monkeypatch.setattr(exporting, "write_onnx", lambda path, *_: path.write_text("wrong"))
    monkeypatch.setattr(exporting, "write_int8", lambda path, *_: path.write_text("wrong"))
    monkeypatch.setattr(exporting, "predict_test", lambda _, dataset, facts, name: np.ones((24, len(facts.classes))))
    with pytest.raises(UserError, match="onnxruntime's probabilities differ"):
        export(tiny_folder, trained, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(files, "earlier")


def test_a_model_whose_labels_are_drawn_is_refused(tiny_folder, trained, tmp_path):
    record = read_json(trained / "training.json")
    record["parameters"]["method"] = method_settings(kind="hardt").parameters()
    for path in trained.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "training.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="a model of kind hardt draws its labels at random"):
        export(tiny_folder, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_that_do_not_belong_together_are_refused(tiny_folder, trained, tmp_path):
    for path in trained.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "predictions.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"predictions\.parquet: does not belong to "):
        export(tiny_folder, tmp_path, tmp_path / "out")
    other = write_tiny(tmp_path / "other", validation=24)
    with pytest.raises(UserError, match=r"other: not the data set of "):
        export(other, trained, tmp_path / "out")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"methods": ["mdf"]}, "export.methods names 'mdf', which no grid of the study has; did you mean 'mfd'?"),
        ({"seeds": [9]}, "export.seeds names 9, which no grid of the study has; choose one of 0, 1, 2, 3, 4"),
        ({"datasets": ["celeba"]}, "export.datasets names 'celeba', which no grid of the study has"),
        ({"watts": 0}, "export.watts is 0; it must be above 0"),
        ({"carbon_intensity": "much"}, 'export.carbon_intensity is "much"; it must be a number'),
    ],
)
def test_settings_that_are_wrong_are_one_line(given, line):
    with pytest.raises(UserError) as error:
        complete({"export": given})
    assert str(error.value).startswith(f"config: {line}")


def test_the_students_of_the_first_seed_are_exported_unless_their_labels_are_drawn():
    sets = {
        "utkface": {"kind": "utkface", "validation": 0.1, "folds": 2},
        "cifar10s": {"kind": "cifar10s", "validation": 0.1},
    }
    students = {"mfd": {"kind": "mfd"}, "drawn": {"kind": "hardt"}}
    config = {"data": {"sets": sets}, "students": students, "methods": ["mfd", "drawn"], "seeds": [3, 4]}
    study = complete(config)
    assert [(grid["dataset"], grid["method"], grid["seed"]) for grid in study.exported] == [
        (["cifar10s"], ["mfd"], [3]),
        (["utkface"], ["mfd"], [3]),
    ]
    assert complete(config | {"methods": ["drawn"]}).exported[0]["method"] == ["teacher"]
    with pytest.raises(UserError, match=r"export\.methods names 'drawn', whose labels are drawn at random"):
        complete(config | {"export": {"methods": ["drawn"]}})


def test_every_kind_of_data_set_says_where_its_images_are_from_and_what_they_may_be_used_for():
    for kind in kinds(AnyDataSet):
        assert kind.origin, kind
        assert kind.terms, kind


# speed


def test_latency_is_of_both_batches_on_one_thread_and_on_all(exported, monkeypatch):
    monkeypatch.setattr(speed, "LEAST_SECONDS", 0)
    found = speed.measure(exported / MODEL, 2)
    assert [(case["batch"], case["threads"]) for case in found] == [(1, 1), (64, 1), (1, 2), (64, 2)]
    assert all(case["ms"] > 0 for case in found)


@pytest.mark.parametrize(("lost", "named"), [(4, False), (5, False), (6, True)])
def test_a_loss_of_a_few_images_is_named_where_an_exact_test_finds_it(lost, named):
    """p is 0.125, 0.063 and 0.031, and none was gained."""
    metrics = {MODEL: scores([[90, 90], [90, 90]]), INT8: scores([[90 - lost, 90], [90, 90]])}
    found = what_int8_changes(metrics, classes=["x", "y"], groups=["g", "h"])
    assert any(text.startswith("accuracy") for text in found["worse"]) == named


def test_a_deo_that_passes_the_fair_baseline_by_chance_is_a_caution():
    metrics = {MODEL: scores([[90, 90], [82, 90]]), INT8: scores([[90, 90], [78, 90]])}
    assert [metrics[file]["uncertainty"]["deo_m"]["verdict"] for file in (MODEL, INT8)] == [FAIR, ABOVE]
    found = what_int8_changes(metrics, classes=["x", "y"], groups=["g", "h"])
    assert found["difference"]["deo_m"]["low"] < 0
    assert found["worse"] == []
    (caution,) = found["cautions"]
    assert caution.startswith("DEO_M is above the fair baseline")
