"""Which images are probed, what is written of a model, and the table over seeds."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from method_trainings import fit, method_settings, network_settings
from synthetic_results import CLASSES, GROUPS, make_study, make_training, pattern

from fairdistill.data import load_dataset
from fairdistill.evaluation import probes, projections
from fairdistill.evaluation.probes import choose_images, probe
from fairdistill.evaluation.records import PROJECTED
from fairdistill.evaluation.seeds import holm
from fairdistill.networks import build_network, freeze, save_network
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json, sha256
from scripts import make_features, probe_features


def split(seed, *, n=40, n_groups=2, paired=True):
    """Labels, groups and image ids of a test split, the rows in no order."""
    rng = np.random.default_rng(seed)
    label = np.tile(np.arange(n) % 2, n_groups)
    group = np.repeat(np.arange(n_groups), n)
    image = np.tile(np.arange(n), n_groups) if paired else np.arange(n * n_groups)
    order = rng.permutation(len(label))
    names = np.array([f"i{number:03}" for number in image], dtype=object)
    return {"label": label[order], "group": group[order], "image_id": names[order]}


# which images


def test_copies_are_chosen_together_and_cells_up_to_the_limit(monkeypatch):
    monkeypatch.setattr(probes, "LIMIT", 7)
    test = split(0, n_groups=3)
    chosen = choose_images(**test, paired=True)
    assert (np.diff(chosen) > 0).all()
    table = pd.DataFrame(test).iloc[chosen]
    assert table.groupby(["label", "group"]).size().tolist() == [7] * 6
    assert (table.groupby("image_id")["group"].nunique() == 3).all()
    # the same of every model, whatever the order of its rows
    again = choose_images(**split(1, n_groups=3), paired=True)
    assert set(split(1, n_groups=3)["image_id"][again]) == set(table["image_id"])
    apart = split(0, paired=False)
    table = pd.DataFrame(apart).iloc[choose_images(**apart, paired=False)]
    assert table.groupby(["label", "group"]).size().tolist() == [7] * 4


def test_the_images_that_are_drawn_are_the_same_in_every_version_of_numpy(monkeypatch):
    monkeypatch.setattr(probes, "LIMIT", 3)
    monkeypatch.setattr(probes, "SEED", 0)
    names = np.array([*"abcdefghijkl"])
    one_cell = {"label": np.zeros(12, dtype=int), "group": np.zeros(12, dtype=int), "image_id": names}
    # numbers of the generator that numpy has frozen
    assert choose_images(**one_cell, paired=False).tolist() == [4, 6, 11]


def test_a_cell_below_the_limit_is_taken_whole():
    test = split(2)
    assert choose_images(**test, paired=True).tolist() == list(range(80))


# what is found


def found(test, features, *, paired=True, n_groups=2, prediction=None):
    prediction = test["label"] if prediction is None else prediction
    names = {"classes": ["c0", "c1"], "groups": [f"g{a}" for a in range(n_groups)]}
    return probe(features=features, prediction=prediction, paired=paired, **test, **names)


def test_features_that_one_groups_copies_have_shifted_are_told_apart():
    test = split(3)
    number = np.array([int(name[1:]) for name in test["image_id"]])
    features = np.random.default_rng(4).normal(size=(40, 3))[number]
    features += 0.1 * np.random.default_rng(5).normal(size=features.shape)
    # in class c1 alone; less than what images differ by, more than what copies do
    features[(test["group"] == 1) & (test["label"] == 1)] += 0.3
    result = found(test, features)
    tests = {one["class"]: one for one in result["two_sample"]}
    assert tests["c0"]["p"] > 0.05 >= tests["c1"]["p_holm"]
    assert (tests["c1"]["group"], tests["c1"]["other_group"], tests["c1"]["n"]) == ("g0", "g1", 20)
    # the test that takes them for independent does not see it
    assert {one["class"]: one["p"] for one in found(test, features, paired=False)["two_sample"]}["c1"] > 0.5
    assert (result["images"], result["permutations"], result["paired"]) == (80, 999, True)
    assert result["consistency"]["neighbours"] == 5


def test_each_class_and_pair_of_groups_is_tested_and_all_are_corrected_together(monkeypatch):
    monkeypatch.setattr(probes, "PERMUTATIONS", 99)
    test = split(6, n_groups=4, paired=False)
    result = found(test, np.random.default_rng(7).normal(size=(160, 2)), paired=False, n_groups=4)
    tests = pd.DataFrame(result["two_sample"])
    assert tests.groupby("class").size().tolist() == [6, 6]
    assert len(tests[["group", "other_group"]].drop_duplicates()) == 6
    assert tests["p_holm"].tolist() == pytest.approx(holm(tests["p"]))
    # so many that the smallest p-value can be below 5 % after the correction
    assert result["permutations"] == 12 * 40 - 1
    assert 12 / (1 + result["permutations"]) < 0.05


def test_a_cell_of_one_image_is_not_tested():
    test = split(8, paired=False)
    kept = np.ones(80, dtype=bool)
    kept[np.flatnonzero((test["label"] == 0) & (test["group"] == 1))[1:]] = False
    test = {name: values[kept] for name, values in test.items()}
    result = found(test, np.random.default_rng(9).normal(size=(kept.sum(), 2)), paired=False)
    assert [one["class"] for one in result["two_sample"]] == ["c1"]


def test_a_cell_of_two_images_is_tested():
    test = split(10, paired=False)
    kept = np.ones(80, dtype=bool)
    kept[np.flatnonzero((test["label"] == 0) & (test["group"] == 1))[2:]] = False
    test = {name: values[kept] for name, values in test.items()}
    result = found(test, np.random.default_rng(11).normal(size=(kept.sum(), 2)), paired=False)
    assert [(one["class"], one["n"], one["n_other"]) for one in result["two_sample"]] == [("c0", 20, 2), ("c1", 20, 20)]


def test_the_smallest_p_value_is_that_of_the_number_of_permutations_in_the_file(monkeypatch):
    monkeypatch.setattr(probes, "PERMUTATIONS", 199)
    test = split(12, paired=False)
    features = np.random.default_rng(13).normal(size=(80, 2)) + 10 * test["group"][:, None]
    result = found(test, features, paired=False)
    assert [one["p"] for one in result["two_sample"]] == [1 / 200, 1 / 200]
    assert (result["permutations"], result["limit"], result["seed"]) == (199, 300, 0)


# of a model


@pytest.fixture
def model(tiny_folder, tmp_path):
    """An untrained network with its predictions and record, as options of the script."""
    dataset, folder = load_dataset(tiny_folder), tmp_path / "model"
    folder.mkdir()
    torch.manual_seed(0)
    network = build_network(network_settings(), 3)
    save_network(folder / "weights.safetensors", network, network_settings())
    samples = dataset.samples[dataset.samples["split"] == "test"]
    p = {"p0": 0.2, "p1": 0.5, "p2": 0.3}
    samples.assign(**p).to_parquet(folder / "predictions.parquet", index=False)
    outputs = {path.name: sha256(path) for path in folder.iterdir()} | {"history.csv": "0" * 64}
    record = make_training(dataset="tiny") | {
        "inputs": {"dataset": dataset.info["sha256"]},
        "outputs": outputs,
        "classes": dataset.classes,
        "groups": dataset.groups,
    }
    (folder / "training.json").write_text(json.dumps(record))
    files = {"weights": "weights.safetensors", "predictions": "predictions.parquet", "training": "training.json"}
    options = {name: folder / file for name, file in files.items()}
    outputs = {"output": tmp_path / "features.json", "projection": tmp_path / "features.parquet"}
    return options | {"data": tiny_folder} | outputs


def run(script, options, monkeypatch):
    monkeypatch.setattr("sys.argv", [script.__name__, *(f"--{name}={value}" for name, value in options.items())])
    script.main()


def test_the_features_are_the_networks_of_the_chosen_images(model, tiny):
    torch.manual_seed(0)
    network = freeze(build_network(network_settings(), 3))
    rows = tiny.split("test")[0][::3]
    pixels = (tiny.images[rows] / 255 - tiny.mean) / tiny.std
    expected = network(torch.from_numpy(pixels).float().permute(0, 3, 1, 2)).features
    found = probe_features.features_of(model["weights"], method_settings(kind="kd"), tiny, rows)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("method", [{"kind": "vfae"}, {"kind": "vfae", "group_in_encoder": False}, {"kind": "ffvae"}])
def test_of_a_code_with_a_classifier_of_its_own_the_features_are_the_code(tiny, tmp_path, method):
    """What a fair representation keeps of the group is asked of it, and not of the layers that lead to it."""
    settings = method_settings(latent_size=3, **method)
    network = network_settings()
    trained = fit(tiny, settings, network=network, epochs=1)
    save_network(tmp_path / "w", trained.network, network, method=trained.method.prediction_state())
    rows, *_ = tiny.split("test")
    code = probe_features.features_of(tmp_path / "w", settings, tiny, rows)
    assert code.shape == (len(rows), 3)
    # the classifier makes the predictions of it
    with torch.no_grad():
        predicted = trained.method.classifier(torch.from_numpy(code)).softmax(1)
    np.testing.assert_allclose(predicted, trained.probabilities["test"], atol=1e-5)


def test_the_features_of_some_images_are_kept_in_a_plane(model, monkeypatch):
    monkeypatch.setattr(projections, "LIMIT", 3)
    run(probe_features, model, monkeypatch)
    table = pd.read_parquet(model["projection"])
    assert list(table) == PROJECTED
    assert table.groupby(["class", "group"]).size().tolist() == [3] * 6
    before = model["projection"].read_bytes()
    run(probe_features, model, monkeypatch)
    assert model["projection"].read_bytes() == before


def test_one_file_is_written_of_a_model(model, monkeypatch):
    run(probe_features, model, monkeypatch)
    record = read_json(model["output"])
    assert record["run"] == read_json(model["training"])["run"]
    result = record["features"]
    assert (result["images"], result["paired"]) == (24, False)
    assert [(one["class"], one["n"], one["n_other"]) for one in result["two_sample"]] == [(y, 4, 4) for y in "abc"]
    # the predictions are those of the file, all of one class, whatever the network says
    assert result["consistency"]["value"] == 1
    before = model["output"].read_bytes()
    run(probe_features, model, monkeypatch)
    assert model["output"].read_bytes() == before


def change_predictions(model, change):
    predictions = change(pd.read_parquet(model["predictions"]))
    predictions.to_parquet(model["predictions"], index=False)
    record = read_json(model["training"])
    record["outputs"]["predictions.parquet"] = sha256(model["predictions"])
    model["training"].write_text(json.dumps(record))


def test_labels_that_were_drawn_are_taken_in_place_of_the_most_probable(model, monkeypatch):
    change_predictions(model, lambda table: table.assign(prediction=(np.arange(24) % 2).astype("int16")))
    run(probe_features, model, monkeypatch)
    assert read_json(model["output"])["features"]["consistency"]["value"] < 0.9


def test_files_that_do_not_belong_together_are_one_line(model, tiny_with_validation_folder, monkeypatch):
    with pytest.raises(UserError, match=r"tiny: not the data set of .*training\.json; prepare that one, or train the"):
        run(probe_features, model | {"data": tiny_with_validation_folder}, monkeypatch)
    change_predictions(model, lambda table: table.iloc[::-1])
    with pytest.raises(
        UserError, match=r"predictions\.parquet: not of the test images of .*tiny; train the model agai"
    ):
        run(probe_features, model, monkeypatch)
    model["weights"].write_bytes(b"")
    with pytest.raises(
        UserError, match=r"weights\.safetensors: does not belong to .*training\.json; train the model a"
    ):
        run(probe_features, model, monkeypatch)


# the table


@pytest.fixture
def study(tmp_path):
    """Metrics and features of two methods and two seeds: the mmd2 is seed + 0.1, the p-value of `old` 0.2."""
    for path in make_study(tmp_path / "metrics", datasets=["utkface"], architectures=["resnet"], seeds=(0, 1)):
        record = read_json(path)
        seed = record["run"]["seed"]
        tests = [
            {"class": y, "group": GROUPS[0], "other_group": GROUPS[1], "mmd2": seed + 0.1}
            | {"p": 0.2 if y == "old" else 0.01, "p_holm": 0.2 if y == "old" else 0.02 + 0.04 * seed}
            for y in CLASSES
        ]
        value = 0.8 + 0.1 * seed
        consistency = {"value": value, "low": value - 0.02, "high": value + 0.01}
        to = tmp_path / "features" / path.relative_to(tmp_path / "metrics")
        to.parent.mkdir(parents=True, exist_ok=True)
        kept = {name: record[name] for name in ("run", "inputs", "outputs", "classes", "groups")}
        to.write_text(json.dumps(kept | {"features": {"two_sample": tests, "consistency": consistency}}))
    return tmp_path


def table(study, monkeypatch):
    grid = {"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", "mfd"], "seed": [0, 1]}
    patterns = {name: pattern(study / name) for name in ("metrics", "features")}
    run(make_features, patterns | {"grids": json.dumps([grid]), "csv": study / "features.csv"}, monkeypatch)
    return pd.read_csv(study / "features.csv")


def test_the_table_has_each_test_over_seeds_and_the_consistency(study, monkeypatch):
    rows = table(study, monkeypatch)
    assert rows.groupby(["method", "measure"], sort=False).size().to_dict() == {
        ("teacher", "mmd2"): 3, ("teacher", "consistency"): 1, ("mfd", "mmd2"): 3, ("mfd", "consistency"): 1,
    }  # fmt: skip
    young, _, old, consistency = rows[rows["method"] == "mfd"].to_dict("records")
    assert (young["class"], young["group"], young["other_group"]) == ("young", *GROUPS)
    assert (young["mean"], young["sd"]) == pytest.approx((0.6, np.sqrt(0.5)))
    assert (young["n"], young["trainings"], young["seeds"], young["values"]) == (2, 2, "0 1", "0.1 1.1")
    # 0.02 in one seed and 0.06 in the other
    assert (young["rejected"], young["p_holm_least"], young["p_holm_largest"]) == pytest.approx((1, 0.02, 0.06))
    assert (old["rejected"], old["p_holm_largest"]) == (0, 0.2)
    # the interval has the part of the images, and that of the trainings
    assert consistency["mean"] == pytest.approx(0.85)
    assert consistency["low"] < 0.85 - 0.02 < 0.85 + 0.01 < consistency["high"]
    assert np.isnan(consistency["rejected"])


def change_record(study, change):
    path = study / "features" / "utkface" / "resnet" / "mfd" / "seed1.json"
    record = read_json(path)
    change(record)
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record.pop("features"), "lacks the key 'features'; probe the features of the model again"),
        (lambda record: record["run"].update(seed=0), "is of the model utkface resnet mfd 0 0; probe the features of"),
    ],
)
def test_a_damaged_file_is_one_line(study, monkeypatch, change, words):
    path = change_record(study, change)
    with pytest.raises(UserError) as error:
        table(study, monkeypatch)
    assert str(error.value).startswith(f"{path}")
    assert words in str(error.value)


def test_a_missing_file_is_one_line(study, monkeypatch):
    (study / "features" / "utkface" / "resnet" / "mfd" / "seed1.json").unlink()
    with pytest.raises(UserError, match=r"mfd/seed1\.json: no such file; probe the features of that model first$"):
        table(study, monkeypatch)
