"""From metrics files to the tidy tables of runs, of means over seeds and of gaps."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from synthetic_results import CLASSES, GROUPS, make_constant, make_predictions, make_record, make_study, pattern

from fairdistill.evaluation.criteria import deo_m
from fairdistill.evaluation.crossed import difference
from fairdistill.evaluation.metrics import evaluate
from fairdistill.reporting.ablation_pages import ablations_latex, ablations_markdown
from fairdistill.reporting.ablations import ablations
from fairdistill.reporting.columns import DEO, IDENTITY, METRICS, MODEL, RUNS, TRAINING, VALIDATION
from fairdistill.reporting.criteria import criteria_table
from fairdistill.reporting.features import Features, features_table
from fairdistill.reporting.grids import in_order, read_grids
from fairdistill.reporting.models import read_files, read_models
from fairdistill.reporting.pair_pages import paired_markdown
from fairdistill.reporting.pairs import pair_with_bases, read_paired
from fairdistill.reporting.published import compare_studies, studies_markdown
from fairdistill.reporting.ranking import cells_table, rank_methods
from fairdistill.reporting.ranking_pages import ranking_latex, ranking_markdown
from fairdistill.reporting.runs import read_runs, telling_apart
from fairdistill.reporting.search import choose, search_markdown
from fairdistill.reporting.summaries import average_datasets, combine, summarise
from fairdistill.reporting.table1 import table1_latex, table1_markdown
from fairdistill.reporting.trainings import values_of
from fairdistill.runtime.errors import UserError
from fairdistill.settings.sweeps import Candidates
from scripts import aggregate_results

pytestmark = pytest.mark.usefixtures("rough_intervals")

GRID = {
    "dataset": ["cifar10s", "utkface"],
    "architecture": ["resnet", "shufflenet"],
    "method": ["teacher", "mfd"],
    "seed": [0],
}


def rewrite(path, edit):
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))


def aggregate(monkeypatch, folder, *grids, **options):
    """Run the script on metrics files below `folder`; its tables go there too."""
    options = {"metrics": pattern(folder / "metrics"), "grids": json.dumps(grids)} | options
    options |= {"runs": folder / "runs.csv", "summary": folder / "summary.csv"}
    options |= {"paired": folder / "paired.csv", "paired-markdown": folder / "paired.md"}
    monkeypatch.setattr("sys.argv", ["aggregate_results", *(f"--{name}={value}" for name, value in options.items())])
    aggregate_results.main()


def test_runs_have_one_row_per_model_read_from_fields_alone(tmp_path):
    paths = make_study(tmp_path, seeds=(0, 1))
    moved = [shutil.copy(path, tmp_path / f"{i}.json") for i, path in enumerate(paths)]

    runs = read_files(moved).runs

    assert len(runs) == 2 * 2 * 2 * 2
    pd.testing.assert_frame_equal(runs, read_models(pattern(tmp_path), [GRID | {"seed": [1, 0]}]).runs)
    first = make_record(dataset="cifar10s", seed=0, accuracy=0.75, bias=0.4)
    row = runs.iloc[0]
    assert (row["dataset"], row["role"], row["method"], row["seed"]) == ("cifar10s", "teacher", "teacher", 0)
    assert [row[name] for name in METRICS] == [first["metrics"][name] for name in METRICS]
    assert (row["n_images"], row["epochs"], row["seconds"]) == (240, 20, 12.5)
    assert runs.columns.tolist() == RUNS


def test_the_order_is_that_of_the_grids_the_teacher_first_and_seeds_numeric(tmp_path):
    grid = {
        "dataset": ["utkface", "cifar10s"],
        "architecture": ["shufflenet", "resnet"],
        "method": ["zeta", "teacher", "mfd", "alpha"],
        "seed": [10, 9],
    }
    make_study(tmp_path, methods=("alpha", "mfd", "zeta"), seeds=(9, 10))

    models = read_models(pattern(tmp_path), [grid])
    runs = models.runs

    assert runs["dataset"].unique().tolist() == grid["dataset"]
    assert runs["architecture"].unique().tolist() == grid["architecture"]
    assert runs["method"].unique().tolist() == ["teacher", "zeta", "mfd", "alpha"]
    assert runs["seed"].tolist()[:2] == [9, 10]
    assert summarise(runs, models.trainings)["method"].unique().tolist() == ["teacher", "zeta", "mfd", "alpha"]


def test_a_base_that_its_own_grid_names_stands_before_what_stands_on_it():
    # kd stands on at, at on another network's erm; mfd and plain are the user's own order
    models = [("small", "mfd", "", ""), ("small", "kd", "small", "at"), ("small", "at", "large", "erm")]
    runs = pd.DataFrame(models, columns=["architecture", "method", "base_architecture", "base_method"])
    grids = [
        {"dataset": ["d"], "architecture": ["small"], "method": ["teacher", "mfd", "kd", "plain"]},
        {"dataset": ["d"], "architecture": ["small"], "method": ["at"]},
        {"dataset": ["d"], "architecture": ["large"], "method": ["erm"]},
    ]

    order = in_order(grids, runs)

    assert order["method"] == ["teacher", "mfd", "erm", "at", "kd", "plain"]
    assert order["architecture"] == ["large", "small"]


def test_the_order_of_one_grid_is_kept_whatever_stands_on_what():
    runs = pd.DataFrame({"architecture": ["r"], "method": ["kd"], "base_architecture": ["r"], "base_method": ["mfd"]})

    order = in_order([{"dataset": ["d"], "architecture": ["r"], "method": ["teacher", "kd", "mfd"]}], runs)

    assert order["method"] == ["teacher", "kd", "mfd"]


def test_only_the_files_of_the_grids_are_read(tmp_path):
    paths = make_study(tmp_path, seeds=(0, 1, 2))
    for path in paths:
        if path.stem == "seed1":
            path.write_text("damaged")
    (tmp_path / "notes.json").write_text("[")

    runs = read_models(pattern(tmp_path), [GRID | {"architecture": ["resnet"], "seed": [0, 2]}] * 2).runs

    assert len(runs) == 2 * 1 * 2 * 2
    assert set(runs["seed"]) == {0, 2}
    assert set(runs["architecture"]) == {"resnet"}


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"seed": [0, 7]}, r"cifar10s/resnet/teacher/seed7\.json: no such file; evaluate that model first"),
        ({"method": ["teacher", "kd"]}, r"cifar10s/resnet/kd/seed0\.json: no such file"),
    ],
)
def test_a_model_that_was_not_evaluated_is_named(tmp_path, grid, message):
    make_study(tmp_path)

    with pytest.raises(UserError, match=message):
        read_models(pattern(tmp_path), [GRID | grid])


def test_a_file_in_the_place_of_another_model_is_named(tmp_path):
    path, *_ = make_study(tmp_path, seeds=(3,))
    shutil.copy(path, path.with_name("seed0.json"))

    is_of, belongs = "cifar10s resnet teacher 3", "cifar10s resnet teacher 0"
    with pytest.raises(UserError, match=rf"seed0\.json: is of the model {is_of}, where that of {belongs} belongs"):
        read_models(pattern(tmp_path), [GRID])


def edit(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["inputs"].update(dataset="1" * 64),
        lambda record: record["classes"].reverse(),
        lambda record: record["groups"].reverse(),
    ],
)
def test_a_model_of_another_data_set_of_the_same_name_is_named(tmp_path, change):
    make_study(tmp_path)
    path = tmp_path / "cifar10s" / "resnet" / "mfd" / "seed0.json"
    edit(path, change)
    with pytest.raises(UserError, match=r"mfd/seed0\.json: is of another data set cifar10s than .*teacher/seed0\.json"):
        read_models(pattern(tmp_path), [GRID])


def test_seeds_have_data_sets_of_their_own_where_draws_are_made_for_each(tmp_path):
    paths = make_study(tmp_path, datasets=("cifar10s",), architectures=("resnet",), seeds=(0, 1))

    def redraw(record):
        record["inputs"]["dataset"] = f"{record['run']['seed']:064x}"
        record["data"]["settings"]["per_seed"] = ["split"]

    for path in paths:
        edit(path, redraw)
    grid = GRID | {"dataset": ["cifar10s"], "architecture": ["resnet"], "seed": [0, 1]}
    assert len(read_models(pattern(tmp_path), [grid]).runs) == 4
    edit(paths[-1], lambda record: record["inputs"].update(dataset="0" * 64))
    with pytest.raises(UserError, match=r"mfd/seed1\.json: is of another data set cifar10s than .*teacher/seed1\.json"):
        read_models(pattern(tmp_path), [grid])


def test_a_base_that_the_grids_lack_is_named(tmp_path):
    make_study(tmp_path)
    path = tmp_path / "cifar10s" / "resnet" / "mfd" / "seed0.json"
    edit(path, lambda record: record["run"].update(base={"architecture": "resnet", "method": "kd"}))
    with pytest.raises(UserError, match=r"mfd/seed0\.json: stands on cifar10s resnet kd 0, which the grids lack"):
        read_models(pattern(tmp_path), [GRID])


def test_a_pattern_by_which_models_would_share_a_file_is_refused():
    with pytest.raises(UserError, match=r"--metrics: metrics/\{method\}\.json lacks \{dataset\}"):
        read_models("metrics/{method}.json", [GRID])


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ("[", "--grids: not readable as JSON"),
        ([{**GRID, "sed": [0]}], "--grids: 0 has the unknown key 'sed'; did you mean 'seed'?"),
        ([{name: GRID[name] for name in MODEL}], "--grids: 0 lacks the key 'seed'"),
        ([GRID | {"seed": ["x"]}], '--grids: 0.seed.0 is "x"; it must be a whole number'),
        ([GRID | {"method": []}], "--grids: 0.method is empty; name at least one"),
    ],
)
def test_grids_that_cannot_be_used_are_named(grids, message):
    with pytest.raises(UserError) as caught:
        read_grids(grids if isinstance(grids, str) else json.dumps(grids))

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_summary_is_mean_sd_and_n_over_seeds(tmp_path):
    models = read_files(make_study(tmp_path, datasets=("utkface",), seeds=range(4)))
    runs = models.runs

    summary = summarise(runs, models.trainings)

    assert len(summary) == 2 * 2 * len(METRICS)
    row = summary.query("architecture == 'resnet' and method == 'mfd' and metric == 'deo_a'").squeeze()
    values = runs.query("architecture == 'resnet' and method == 'mfd'")["deo_a"]
    assert (row["mean"], row["sd"], row["n"]) == pytest.approx((values.mean(), np.std(values, ddof=1), 4))
    trained = models.trainings.of(runs.query("architecture == 'resnet' and method == 'mfd'")).mean["deo_a"]
    assert (row["low"], row["corrected"], row["high"]) == (trained.low, trained.corrected, trained.high)
    assert row["low"] < row["corrected"] < row["high"]
    assert values_of(row).tolist() == pytest.approx(values.tolist())


def test_one_seed_has_no_sd(tmp_path):
    models = read_files(make_study(tmp_path))
    summary = summarise(models.runs, models.trainings)

    assert summary["sd"].isna().all()
    assert set(summary["n"]) == {1}


def test_students_are_paired_with_the_teacher_of_their_seed(tmp_path):
    models = read_files(make_study(tmp_path, datasets=("utkface",), seeds=range(4)))
    runs = models.runs
    teacher, student = (runs.query("architecture == 'resnet' and method == @name") for name in ("teacher", "mfd"))
    # the last seed has no teacher; and the order of the rows means nothing
    lacking = runs.drop(teacher.index[3]).sample(frac=1, random_state=0)

    paired = pair_with_bases(lacking, models.trainings).set_index(["architecture", "metric"])

    row = paired.loc[("resnet", "deo_m")]
    differences = (student["deo_m"].to_numpy() - teacher["deo_m"].to_numpy())[:3]
    assert (row["base_architecture"], row["base_method"]) == ("resnet", "teacher")
    assert (row["base"], row["student"]) == pytest.approx((teacher["deo_m"][:3].mean(), student["deo_m"][:3].mean()))
    assert (row["difference"], row["sd"], row["n"]) == pytest.approx((differences.mean(), differences.std(ddof=1), 3))
    pairs = (models.trainings.of(rows.iloc[:3]) for rows in (student, teacher))
    expected = difference(*pairs)["deo_m"]
    assert (row["low"], row["high"], row["trainings"]) == (expected.low, expected.high, 3)
    assert row["p"] == 0.25
    assert paired.loc[("shufflenet", "deo_m"), "p"] == 0.125
    # 6 rows, of which the smallest p is 0.125
    assert paired["p_holm"].min() == pytest.approx(6 * paired["p"].min())


def test_one_training_is_marked_wherever_its_interval_is_printed(tmp_path):
    models = read_files(make_study(tmp_path, datasets=("utkface",), architectures=("resnet",), seeds=(0, 1)))

    def page(runs):
        return paired_markdown(pair_with_bases(runs, models.trainings))

    assert page(models.runs).count("‡") == 0
    alone = page(models.runs.query("seed == 0"))
    assert [line.count("‡") for line in alone.splitlines() if line.startswith("| UTKFace")] == [1, 1, 1]
    assert "‡ one training, or an average that includes a model trained once: " in alone


def fold_of(paths, fold, seed):
    """Turn the metrics files of a study into those of a fold: other images, and answers of their own."""
    for path in paths:
        record = json.loads(path.read_text())
        record["run"]["fold"] = fold
        predictions = make_predictions(seed=seed + record["run"]["seed"], accuracy=0.75, bias=0.3)
        predictions["image_id"] = f"{fold}-" + predictions["image_id"]
        record["metrics"] = evaluate(predictions, classes=CLASSES, groups=GROUPS, resamples=50)
        path.unlink()
        path.with_stem(f"{path.stem}-fold{fold}").write_text(json.dumps(record))


def test_folds_are_pooled_to_one_value_of_each_seed(tmp_path):
    for fold in range(3):
        fold_of(make_study(tmp_path, datasets=("utkface",), architectures=("resnet",), seeds=(0, 1)), fold, 10 * fold)
    grid = GRID | {"dataset": ["utkface"], "architecture": ["resnet"], "seed": [0, 1], "fold": [0, 1, 2]}

    models = read_models(pattern(tmp_path), [grid])

    assert models.runs[["seed", "fold"]].drop_duplicates().to_numpy().tolist() == [
        [s, f] for s in (0, 1) for f in range(3)
    ]
    summary = summarise(models.runs, models.trainings).set_index(["method", "metric"])
    row = summary.loc[("mfd", "deo_m")]
    assert (row["n"], row["trainings"], row["seeds"]) == (2, 6, "0 1")
    folds = [json.loads(path.read_text())["metrics"] for path in sorted(tmp_path.rglob("mfd/seed0-fold*.json"))]
    cells = np.mean([[list(of_group.values()) for of_group in one["cell_accuracy"].values()] for one in folds], axis=0)
    assert values_of(row)["0"] == pytest.approx(deo_m(cells))
    # three times as many images: a fair classifier scores lower
    assert row["fair_baseline"] < 0.8 * models.runs["deo_m_fair_baseline"].mean()
    worst = summary.loc[("mfd", "worst_group_accuracy")]
    assert values_of(worst)["0"] == pytest.approx(cells.mean(axis=1).min())
    paired = pair_with_bases(models.runs, models.trainings).set_index("metric")
    assert (paired.loc["accuracy", "n"], paired.loc["accuracy", "trainings"]) == (2, 6)


def test_a_seed_that_lacks_a_fold_is_named(tmp_path):
    for fold in range(2):
        fold_of(make_study(tmp_path, datasets=("utkface",), architectures=("resnet",)), fold, fold)
    (tmp_path / "utkface" / "resnet" / "mfd" / "seed0-fold1.json").unlink()
    grid = GRID | {"dataset": ["utkface"], "architecture": ["resnet"], "fold": [0, 1]}

    with pytest.raises(UserError, match=r"mfd/seed0-fold1\.json: no such file; evaluate that model first"):
        read_models(pattern(tmp_path), [grid])
    with pytest.raises(UserError, match=r"--metrics: .* lacks \{fold\}"):
        read_models(pattern(tmp_path).replace("{fold}", ""), [grid])


def test_a_fold_that_the_metrics_or_the_runs_lack_is_named(tmp_path):
    for fold in range(2):
        fold_of(make_study(tmp_path, datasets=("utkface",), architectures=("resnet",), seeds=(0, 1)), fold, fold)
    paths = sorted(tmp_path.rglob("*.json"))
    models = read_files(paths)
    lacking = models.runs.query("not (method == 'mfd' and seed == 1 and fold == 0)")

    message = (
        r"^paper: utkface resnet mfd seed 1 lacks fold 0; train and evaluate that fold, and make the tables again$"
    )
    for make in (summarise, pair_with_bases):
        with pytest.raises(UserError, match=message):
            make(lacking, models.trainings)

    # with one seed no other tells which folds there are, and the settings of the data set do
    one_seed = [path for path in paths if "seed0" in path.name]
    for path in one_seed:
        record = json.loads(path.read_text())
        record["data"]["settings"]["folds"] = 2
        path.write_text(json.dumps(record))
    read_files(one_seed)
    with pytest.raises(
        UserError, match=r"^paper: utkface resnet mfd seed 0 lacks fold 1; train and evaluate that fold"
    ):
        read_files([path for path in one_seed if not (path.parent.name == "mfd" and "fold1" in path.name)])


@pytest.mark.parametrize(
    ("settings", "differs"),
    [
        ({"normalise": "train", "crop": None, "folds": 1}, None),
        ({"normalise": "none"}, "normalise"),
        ({"crop": 48}, "crop"),
    ],
)
def test_models_that_read_the_images_otherwise_are_of_another_data_set(tmp_path, settings, differs):
    """The digest of the images does not tell; records of before these settings have what is their default now."""
    paths = make_study(tmp_path, datasets=("utkface",), architectures=("resnet",))
    record = json.loads(paths[1].read_text())
    record["data"]["settings"] |= settings
    paths[1].write_text(json.dumps(record))

    if differs is None:
        assert len(read_files(paths).runs) == 2
    else:
        message = rf"mfd/seed0\.json: is of another data set utkface than .*teacher/seed0\.json \({differs} differs\)"
        with pytest.raises(UserError, match=message):
            read_files(paths)


def test_a_model_is_paired_with_its_base_and_without_one_with_the_teacher_of_its_architecture(tmp_path):
    bases = {"from_resnet": ("resnet", "teacher"), "on_mfd": ("shufflenet", "mfd")}
    models = read_files(
        make_study(tmp_path, datasets=("utkface",), methods=("mfd", "erm", "from_resnet", "on_mfd"), bases=bases)
    )
    runs = models.runs

    paired = pair_with_bases(runs, models.trainings)

    accuracy = runs.set_index(["architecture", "method"])["accuracy"]
    assert accuracy["resnet", "teacher"] != accuracy["shufflenet", "teacher"]
    rows = paired.query("metric == 'accuracy'").set_index(["architecture", "method"])
    for student, base in {
        "mfd": ("shufflenet", "teacher"),
        "erm": ("shufflenet", "teacher"),
        "from_resnet": ("resnet", "teacher"),
        "on_mfd": ("shufflenet", "mfd"),
    }.items():
        row = rows.loc[("shufflenet", student)]
        assert (row["base_architecture"], row["base_method"]) == base
        assert row["base"] == accuracy[base]
    alone = pair_with_bases(runs.query("architecture == 'shufflenet'"), models.trainings)
    assert set(alone["method"]) == {"mfd", "erm", "on_mfd"}
    lines = [[cell.strip() for cell in line.split("|")[2:5]] for line in paired_markdown(paired).splitlines()]
    assert ["ShuffleNet", "from_resnet", "ResNet teacher"] in lines
    assert ["ShuffleNet", "on_mfd", "mfd"] in lines


def test_data_sets_are_averaged_as_independent_estimates(tmp_path):
    models = read_files(make_study(tmp_path, architectures=("resnet",), seeds=range(3)))
    lacking = models.runs.query("not (dataset == 'utkface' and seed == 2)")
    summary = summarise(lacking, models.trainings)

    row = average_datasets(summary, ["cifar10s", "utkface"]).loc[("resnet", "student", "mfd", "deo_a")]

    first, second = summary.query("method == 'mfd' and metric == 'deo_a'").to_dict("records")
    seeds = models.runs.query("method == 'mfd' and seed < 2").groupby("seed")["deo_a"].mean()
    assert (row["mean"], row["sd"], row["n"]) == pytest.approx((first["mean"] / 2 + second["mean"] / 2, seeds.std(), 2))
    down = [one["corrected"] - one["low"] for one in (first, second)]
    up = [one["high"] - one["corrected"] for one in (first, second)]
    centre = (first["corrected"] + second["corrected"]) / 2
    assert (row["low"], row["high"]) == pytest.approx((centre - np.hypot(*down) / 2, centre + np.hypot(*up) / 2))


def test_a_negative_weight_exchanges_the_ends():
    def row(mean, down, up, **parts):
        return {"mean": mean, "corrected": mean, "low": mean - down, "high": mean + up} | {
            "n": 4, "trainings": 4, "images": 0.03, "between": 0.02, "run": 0.05} | parts  # fmt: skip

    found = combine([(0.5, row(0.1, 0.01, 0.04)), (-0.5, row(0.3, 0.03, 0.2, trainings=8))])

    assert (found["mean"], found["trainings"]) == (pytest.approx(-0.1), 4)
    assert found["low"] == pytest.approx(-0.1 - np.hypot(0.005, 0.1))
    assert found["high"] == pytest.approx(-0.1 + np.hypot(0.02, 0.015))
    # one more training: its own images, and the spread of trainings, not of their mean
    assert found["another"] == pytest.approx(np.sqrt(2 * 0.05**2 + (4 + 8) * 0.02**2) / 2)


def without(*path):
    """The text of a metrics file that lacks a field."""
    record = make_record()
    *parents, field = path
    part = record
    for name in parents:
        part = part[name]
    del part[field]
    return json.dumps(record)


def other(field, value):
    return json.dumps(make_record() | {field: value})


def folds(number):
    record = make_record()
    record["data"]["settings"]["folds"] = number
    return json.dumps(record)


def empty_cell(split):
    """The text of a metrics file in which a class of a group has no image."""
    record = make_record()
    scores = json.loads(json.dumps(record["metrics"]))
    scores["cell_count"]["White"]["young"], scores["correctness"]["right"]["White"]["young"] = 0, ""
    return json.dumps(record | {split: scores})


def unequal_copies():
    """The text of a metrics file of copies of images, of which the last group lacks one."""
    scores = json.loads(json.dumps(make_record()["metrics"]))
    scores["correctness"]["paired"] = True
    scores["cell_count"]["Black"]["old"] -= 1
    return other("metrics", scores)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", ": not readable as JSON"),
        ("\xff", ": not readable as JSON"),
        ("[]", ": holds list, not an object"),
        ("{}", " lacks the key 'classes'"),
        (other("metrics", {}), ": metrics lacks the key 'accuracy'"),
        (without("metrics", "uncertainty"), ": metrics lacks the key 'uncertainty'"),
        (without("metrics", "correctness"), ": metrics lacks the key 'correctness'"),
        (without("run", "base"), ": run lacks the key 'base'"),
        (without("parameters", "network"), ": parameters lacks the key 'network'"),
        (without("parameters", "method", "sampling"), ": parameters.method lacks the key 'sampling'"),
        (other("seconds", "long"), ': seconds is "long"; it must be a number'),
        (other("outputs", {}), ": outputs lacks the key 'history.csv'"),
        (without("outputs", "weights.safetensors"), ": outputs lacks the key 'weights.safetensors'"),
        (without("evaluation_versions"), " lacks the key 'evaluation_versions'"),
        (
            other("evaluation_versions", []),
            ": evaluation_versions is .*; it must be a mapping; evaluate the model again",
        ),
        (folds("2"), ': data.settings.folds is "2"; it must be a whole number; evaluate the model again'),
        (folds(None), ": data.settings.folds is null; it must be a whole number"),
        (folds(0), ": data.settings.folds is 0; it must be at least 1"),
        (folds(10**12), ": data.settings.folds is 10{12}; it must be at most 1000"),
        (
            empty_cell("metrics"),
            ": metrics.cell_count.White.young is 0; it must be at least 1; evaluate the model again",
        ),
        (empty_cell("validation"), ": validation.cell_count.White.young is 0; it must be at least 1"),
        (
            other("validation", make_record()["metrics"] | {"cell_count": {}}),
            r" has validation\.cell_count that is not of its classes and groups",
        ),
        (
            without("metrics", "cell_accuracy", "White"),
            r" has metrics\.cell_accuracy that is not of its classes and groups",
        ),
        (
            without("metrics", "accuracy_per_group", "Black"),
            r" has metrics\.accuracy_per_group that is not of its groups",
        ),
        (
            unequal_copies(),
            r" has metrics\.correctness\.paired, but groups of different numbers of images",
        ),
        (
            without("metrics", "correctness", "right", "White"),
            r" has metrics\.correctness\.right that is not of its classes and groups",
        ),
        (
            json.dumps(make_record()).replace('"right": {"White": {"young": "', '"right": {"White": {"young": "00'),
            r" has metrics\.correctness that does not fit its cell_count .6 bytes for 40 images",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(UserError, match=f"bad.json{message}") as caught:
        read_files([*make_study(tmp_path / "metrics", seeds=(1,)), path])

    assert "\n" not in str(caught.value)


def test_two_files_of_one_model_are_both_named(tmp_path):
    path, *_ = make_study(tmp_path)
    again = shutil.copy(path, tmp_path / "again.json")

    with pytest.raises(UserError, match=r"again.json: the same model as .*seed0.json"):
        read_files([path, again])


def test_studies_do_not_mix(tmp_path):
    paths = make_study(tmp_path / "a", study="demo") + make_study(tmp_path / "b", study="paper")

    with pytest.raises(UserError, match=r"several studies \(demo, paper\)"):
        read_files(paths)


def test_nothing_to_gather_is_said():
    with pytest.raises(UserError, match="no metrics file"):
        read_files([])


def test_a_table_that_is_not_of_runs_is_named(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("study,dataset\npaper,utkface\n")

    with pytest.raises(UserError, match=r"runs.csv: column 'architecture' is missing"):
        read_runs(path)


def test_the_scripts_tables_come_back(tmp_path, monkeypatch):
    make_study(tmp_path / "metrics", datasets=("NA",), seeds=(0, 1))
    grid = GRID | {"dataset": ["NA"], "seed": [0, 1]}

    aggregate(monkeypatch, tmp_path, grid)

    models = read_models(pattern(tmp_path / "metrics"), [grid])
    pd.testing.assert_frame_equal(read_runs(tmp_path / "runs.csv")[RUNS], models.runs, check_dtype=False)
    paired = pair_with_bases(models.runs, models.trainings)
    pd.testing.assert_frame_equal(read_paired(tmp_path / "paired.csv"), paired, check_dtype=False)
    assert (tmp_path / "paired.md").read_text() == paired_markdown(paired)


def test_runs_say_in_which_precision_each_was_trained(tmp_path, monkeypatch):
    paths = make_study(tmp_path / "metrics", datasets=("utkface",), architectures=("resnet",), seeds=(0, 1))
    given = {("teacher", 0): "bf16", ("mfd", 1): "fp32"}
    for path in paths:
        # older records have none
        if precision := given.get((path.parts[-2], int(path.stem.removeprefix("seed")))):
            rewrite(path, lambda record, precision=precision: record | {"precision": precision})

    aggregate(monkeypatch, tmp_path, GRID | {"dataset": ["utkface"], "architecture": ["resnet"], "seed": [0, 1]})

    found = read_runs(tmp_path / "runs.csv").set_index(["method", "seed"])["precision"].to_dict()
    assert found == {("teacher", 0): "bf16", ("teacher", 1): "", ("mfd", 0): "", ("mfd", 1): "fp32"}


def test_the_settings_of_each_method_follow_the_other_columns(tmp_path, monkeypatch):
    paths = make_study(tmp_path / "metrics", datasets=("utkface",), architectures=("resnet",), methods=("mfd", "at"))
    grid = GRID | {"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", "mfd", "at"]}
    newer = {"kind": "at", "sampling": "plain", "beta": 0.001, "layers": ["layer3", "layer4"], "base": "teacher"}
    for path in paths:
        if path.parts[-2] == "at":
            rewrite(path, lambda record: record | {"parameters": record["parameters"] | {"method": newer}})

    aggregate(monkeypatch, tmp_path, grid)

    table = read_runs(tmp_path / "runs.csv").set_index("method")
    settings = [name for name in table.columns if name not in RUNS]
    assert table.columns.tolist()[-len(settings) :] == settings
    assert settings[:3] == ["kind", "sampling", "lambda"]
    assert "base" not in settings
    # the record of mfd is older than some of its settings, which have their defaults
    names = ["kind", "sampling", "lambda", "sigma", "degree", "layers", "beta"]
    assert table[names].astype(str).to_numpy().tolist() == [
        ["erm", "plain", "", "", "", "", ""],
        ["mfd", "balanced", "3", "1", "2", "null", ""],
        ["at", "plain", "", "", "", "layer3 layer4", "0.001"],
    ]


def test_the_validation_split_has_a_table_of_its_own_that_changes_no_other(tmp_path, monkeypatch):
    paths = make_study(tmp_path / "metrics")
    aggregate(monkeypatch, tmp_path, GRID)
    tables = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    with pytest.raises(UserError, match="--validation: no model was scored on a validation split"):
        aggregate(monkeypatch, tmp_path, GRID, validation=tmp_path / "validation.csv")
    scores = evaluate(make_predictions(seed=5, n=60), classes=CLASSES, groups=GROUPS, resamples=50)
    for path in paths:
        if "utkface" in str(path):
            rewrite(path, lambda record: record | {"validation": scores})

    aggregate(monkeypatch, tmp_path, GRID, validation=tmp_path / "validation.csv")

    assert {name: (tmp_path / name).read_bytes() for name in tables} == tables
    validation, runs = read_runs(tmp_path / "validation.csv"), read_runs(tmp_path / "runs.csv")
    pd.testing.assert_frame_equal(
        validation[TRAINING], runs.query("dataset == 'utkface'")[TRAINING].reset_index(drop=True)
    )
    assert validation.columns.tolist() == [*VALIDATION, *runs.columns[len(RUNS) :]]
    cells = np.array([[*of.values()] for of in scores["cell_accuracy"].values()])
    assert validation["mean_cell_accuracy"].to_numpy() == pytest.approx(cells.mean())
    assert set(validation["smallest_cell"]) == {60 // cells.size}
    assert set(validation["n_images"]) == {60}
    assert validation["accuracy"].unique() == pytest.approx([scores["accuracy"]])


def test_models_at_chance_are_marked_in_every_table(tmp_path, monkeypatch):
    paths = make_study(tmp_path / "metrics", methods=("mfd", "kd"), seeds=(0, 1))
    for path in paths:
        # one seed of two
        if path.parts[-4:] == ("utkface", "resnet", "mfd", "seed1.json"):
            rewrite(path, make_constant)

    aggregate(monkeypatch, tmp_path, GRID | {"method": ["teacher", "mfd", "kd"], "seed": [0, 1]})

    model = "dataset == 'utkface' and architecture == 'resnet' and method == 'mfd'"
    runs = read_runs(tmp_path / "runs.csv")
    assert (runs[[f"{deo}_verdict" for deo in DEO]] == "at chance").all(axis=1).sum() == 1
    assert runs.query(f"{model} and seed == 1")["deo_m_verdict"].tolist() == ["at chance"]
    summary = pd.read_csv(tmp_path / "summary.csv").query("verdict == 'at chance'")
    assert summary["metric"].tolist() == DEO
    assert len(summary.query(model)) == 2
    paired = read_paired(tmp_path / "paired.csv")
    assert paired.query("at_chance").equals(paired.query(model))
    page = (tmp_path / "paired.md").read_text()
    marked = [line for line in page.splitlines() if line.startswith("|") and "†" in line]
    assert [line.count("UTKFace") for line in marked] == [1, 1]
    assert all(cells(line)[4] in ("DEO_A", "DEO_M") for line in marked)
    assert page.count("† at chance:") == 1


def test_methods_that_need_the_group_are_marked_in_every_table(tmp_path):
    names = {"dataset": ["utkface"], "architecture": ["resnet"]}
    methods = ["hardt", "mfd", "kd"]
    # one that a user adds may be a base
    bases = {"kd": ("resnet", "hardt")}
    for path in make_study(tmp_path, methods=methods, datasets=["utkface"], architectures=["resnet"], bases=bases):
        rewrite(path, lambda record: record | {"needs_group": record["run"]["method"] == "hardt"})
        rewrite(path, lambda record: record | {"validation": record["metrics"]})
    grid = GRID | names | {"method": ["teacher", *methods]}
    models = read_models(pattern(tmp_path), [grid])

    summary, paired = summarise(models.runs, models.trainings), pair_with_bases(models.runs, models.trainings)
    parts = ablations(models, order=in_order([grid], models.runs), sweeps={})
    ranking = rank_methods(models, ["mfd", "hardt"])
    rule = {"sweep": "s", "rule": {"rule": "smallest_deo"}, "models": {"hardt": {"lambda": 1}, "mfd": {"lambda": 2}}}
    search = choose(models.validation, [Candidates(**rule)], architectures=["resnet"])
    studies = compare_studies(summary, summary)

    criteria = criteria_table(models.criteria, models.trainings)
    runs = models.runs[IDENTITY]
    tests = runs.assign(**{"class": "young", "group": "a", "other_group": "b", "mmd2": 0.1, "p_holm": 0.01})
    consistency = runs.assign(criterion="consistency", group="", value=0.8, low=0.7, corrected=0.8, high=0.9)
    features = features_table(Features(tests, consistency), models)
    cells = cells_table(models)
    for table in (models.runs, summary, paired, criteria, features, parts, ranking, cells, search, studies):
        assert table["needs_group"].equals(table["method"] == "hardt")
    pages = {
        table1_markdown(summary): table1_latex(summary),
        paired_markdown(paired): "",
        ablations_markdown(parts): ablations_latex(parts),
        ranking_markdown(ranking, ["mfd", "hardt"]): ranking_latex(ranking, ["mfd", "hardt"]),
        search_markdown(search, summary): "",
        studies_markdown(studies, published="results/paper"): "",
    }
    for page, in_latex in pages.items():
        # "against hardt" names what the others are compared with
        named = re.findall(r"(?<!against )(?<!against `)(?<!than `)\bhardt`?\)?(?: §)?", page)
        assert {name[-2:] for name in named} == {" §"}, page
        assert page.count("§ needs the group of each image at prediction time.") == 1
        named = re.findall(r"(?<!against )(?<!than )(?<!Against )(?<!-)\bhardt\)?(?: \\S{})?", in_latex)
        assert all(name.endswith(r" \S{}") for name in named)
        floats = in_latex.split(r"\begin{sidewaystable}")[1:]
        assert all(r"\S{} needs the group" in text for text in floats)


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_settings_tell_models_apart_where_two_of_one_kind_differ():
    mfd = {"kind": "mfd", "lambda": 3.0, "sigma": 1.0, "kernel": "rbf"}
    settings = [mfd, mfd | {"lambda": 10.0}, mfd | {"kernel": "polynomial"}, mfd | {"lambda": 3}]
    # another kind has another value
    settings += [{"kind": "group_mmd", "lambda": 1.0, "sigma": 0.1, "kernel": "rbf"}]
    assert telling_apart(settings) == ["lambda", "kernel"]
    assert telling_apart([mfd, mfd]) == []
