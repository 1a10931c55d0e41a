"""Which models are compared as differing in one part alone, and what the table says of each comparison."""

import io
import json
import re
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from synthetic_results import CLASSES, GROUPS, METHODS, make_constant, make_predictions, make_study, pattern

from fairdistill.evaluation.metrics import evaluate
from fairdistill.reporting.ablation_pages import LEGEND, ablations_latex, ablations_markdown
from fairdistill.reporting.ablations import PARTS, ablations
from fairdistill.reporting.columns import IDENTITY
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.features import Features, read_features
from fairdistill.reporting.models import read_files, read_models
from fairdistill.reporting.pairs import pair_with_bases
from fairdistill.reporting.runs import read_runs, with_settings
from fairdistill.reporting.summaries import summarise
from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete
from fairdistill.verification.remade_tables import remake_ablations, remake_tables
from scripts import make_ablations

pytestmark = pytest.mark.usefixtures("rough_intervals")

ORDER = {
    "dataset": ["utkface", "utkface_leaky", "cifar10s"],
    "architecture": ["resnet", "resnet_cifar"],
    "method": ["teacher", "balanced", "mfd_plain", "mfd"],
}
NAMES = ["dataset", "architecture", "method", "minus"]


def grid(folder, seeds=(0,), bases=None, **names):
    chosen = ORDER | names
    datasets, architectures, (_, *methods) = chosen["dataset"], chosen["architecture"], chosen["method"]
    options = {"datasets": datasets, "architectures": architectures, "methods": methods}
    return make_study(folder, **options, seeds=seeds, bases=bases)


def table_of(paths, order=ORDER, sweeps=None):
    return ablations(read_files(paths), order=order, sweeps=sweeps or {})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of(grid(tmp_path_factory.mktemp("metrics")))


def compared(table, part):
    return set(table.loc[table["part"] == part, NAMES].itertuples(index=False, name=None))


def test_models_are_compared_that_differ_in_one_part_alone(table):
    places = [(dataset, architecture) for dataset in ORDER["dataset"] for architecture in ORDER["architecture"]]
    methods = ORDER["method"]

    assert compared(table, "sampling") == {
        (*place, *pair) for place in places for pair in (("balanced", "teacher"), ("mfd", "mfd_plain"))
    }
    assert compared(table, "loss") == {
        (*place, *pair) for place in places for pair in (("mfd_plain", "teacher"), ("mfd", "balanced"))
    }
    assert compared(table, "method") == {(*place, method, "teacher") for place in places for method in methods[1:]}
    # in sampling and loss; mfd differs from its base in both, too, and is compared with it above
    assert compared(table, "several") == {(*place, "mfd_plain", "balanced") for place in places}
    assert compared(table, "data") == {
        ("utkface_leaky", architecture, method, "utkface")
        for architecture in ORDER["architecture"]
        for method in methods
    }
    assert compared(table, "stem") == {
        (dataset, "resnet_cifar", method, "resnet") for dataset in ORDER["dataset"] for method in methods
    }
    assert compared(table, "model") == {(*place, method, "") for place in places for method in methods}


def test_students_that_differ_in_their_base_alone_are_compared(tmp_path):
    order = {
        "dataset": ["utkface"],
        "architecture": ["resnet", "shufflenet"],
        "method": ["teacher", "mfd", "from_resnet", "on_mfd"],
    }
    paths = grid(tmp_path, **order, bases={"from_resnet": ("resnet", "teacher"), "on_mfd": ("shufflenet", "mfd")})
    for path in paths:
        record = json.loads(path.read_text())
        if record["run"]["method"] in ("from_resnet", "on_mfd"):
            record["parameters"]["method"] = METHODS["mfd"]
            path.write_text(json.dumps(record))

    table = table_of(paths, order)

    assert compared(table, "base") == {
        ("utkface", "shufflenet", "from_resnet", "mfd"),
        ("utkface", "shufflenet", "on_mfd", "mfd"),
        ("utkface", "shufflenet", "on_mfd", "from_resnet"),
        # ResNet's from_resnet stands on the very teacher that its mfd stands on
        ("utkface", "resnet", "on_mfd", "mfd"),
        ("utkface", "resnet", "on_mfd", "from_resnet"),
    }
    assert not compared(table, "sampling") | compared(table, "loss")
    # what a whole method brings is its gap to what it stands on
    assert {names for names in compared(table, "method") if names[1] == "shufflenet"} == {
        ("utkface", "shufflenet", "mfd", "teacher"),
        ("utkface", "shufflenet", "from_resnet", "resnet teacher"),
        ("utkface", "shufflenet", "on_mfd", "mfd"),
    }
    assert "| from_resnet - ResNet teacher " in ablations_markdown(table)


@pytest.mark.parametrize(
    ("features", "part"), [("pooled", {("utkface", "resnet", "mfd", "mfd_plain")}), ("flattened", set())]
)
def test_a_record_of_before_a_setting_has_its_default(tmp_path, features, part):
    """The record of mfd_plain has no `features`, and that of mfd has."""
    order = ORDER | {"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", "mfd_plain", "mfd"]}
    paths = grid(tmp_path, **order)
    record = json.loads(paths[-1].read_text())
    record["parameters"]["method"]["features"] = features
    paths[-1].write_text(json.dumps(record))

    assert compared(table_of(paths, order), "sampling") == part


def test_data_sets_of_before_a_setting_differ_in_what_was_set_alone(tmp_path):
    order = ORDER | {"dataset": ["utkface", "utkface_leaky"], "architecture": ["resnet"], "method": ["teacher"]}
    paths = grid(tmp_path, **order)
    record = json.loads(paths[1].read_text())
    record["data"]["settings"] = {"variant": "", "normalise": "train", "crop": None}
    paths[1].write_text(json.dumps(record))

    assert compared(table_of(paths, order), "data") == set()


def test_a_difference_is_the_mean_over_seeds_with_the_intervals_of_paired_tables(tmp_path):
    order = ORDER | {"dataset": ["utkface"], "architecture": ["resnet"]}
    paths = grid(tmp_path, seeds=range(3), **order)
    models = read_files(paths)
    runs = models.runs

    table = table_of(paths, order).set_index(["part", "method", "minus", "metric"])

    values = runs.set_index(["method", "seed"])["deo_a"]
    differences = values["mfd"] - values["balanced"]
    row = table.loc[("loss", "mfd", "balanced", "deo_a")]
    assert (row["estimate"], row["sd"], row["n"]) == pytest.approx((differences.mean(), differences.std(), 3))
    ends = ["sd", "trainings", "low", "corrected", "high", "images", "between", "run", "shared"]
    paired = pair_with_bases(runs, models.trainings).set_index(["method", "metric"]).loc[("balanced", "deo_m")]
    for part in ("sampling", "method"):
        row = table.loc[(part, "balanced", "teacher", "deo_m")]
        assert row[ends].tolist() == pytest.approx(paired[ends].tolist())
        assert row["estimate"] == pytest.approx(paired["difference"])
    mean = summarise(runs, models.trainings).query("method == 'mfd' and metric == 'deo_m'").squeeze()
    row = table.loc[("model", "mfd", "", "deo_m")]
    assert row[["estimate", *ends]].tolist() == pytest.approx(mean[["mean", *ends]].tolist())
    assert "‡" not in ablations_markdown(table.reset_index())


def test_data_sets_with_other_numbers_of_folds_are_compared_by_all_folds_of_each(tmp_path):
    order = ORDER | {"dataset": ["utkface", "utkface_folds"], "architecture": ["resnet"], "method": ["teacher", "mfd"]}
    paths = []
    for path in grid(tmp_path, seeds=(0, 1), **order):
        record = json.loads(path.read_text())
        if record["run"]["dataset"] == "utkface":
            paths.append(path)
            continue
        record["data"]["settings"]["folds"] = 3
        for fold in range(3):
            record["run"]["fold"] = fold
            predictions = make_predictions(seed=7 * fold + record["run"]["seed"], accuracy=0.75, bias=0.3)
            predictions["image_id"] = f"{fold}-" + predictions["image_id"]
            record["metrics"] = evaluate(predictions, classes=CLASSES, groups=GROUPS, resamples=50)
            paths.append(path.with_stem(f"{path.stem}-fold{fold}"))
            paths[-1].write_text(json.dumps(record))

    models = read_files(paths)
    table = ablations(models, order=order, sweeps={}).set_index(["part", "dataset", "method", "minus", "metric"])

    summary = summarise(models.runs, models.trainings).set_index(["dataset", "method", "metric"])
    for method, metric in product(order["method"], ["accuracy", "deo_a", "deo_m"]):
        row = table.loc[("data", "utkface_folds", method, "utkface", metric)]
        one, other = (summary.loc[(name, method, metric)] for name in ("utkface_folds", "utkface"))
        assert (one["trainings"], other["trainings"], row["trainings"], row["n"]) == (6, 2, 2, 2)
        assert row["estimate"] == pytest.approx(one["mean"] - other["mean"])
        assert row["between"] == pytest.approx(np.hypot(one["between"], other["between"]))
    # within a data set, fold by fold
    assert table.loc[("method", "utkface_folds", "mfd", "teacher", "deo_a"), "trainings"] == 6


def test_later_names_are_compared_with_earlier_ones(tmp_path):
    order = ORDER | {"dataset": ["utkface"], "architecture": ["resnet"]}
    paths = grid(tmp_path, **order)

    turned = table_of(paths, order | {"method": ORDER["method"][::-1]})

    assert ("utkface", "resnet", "teacher", "balanced") in compared(turned, "sampling")
    names = turned.loc[turned["part"] == "model", "method"].unique().tolist()
    assert names == ORDER["method"][::-1]


def test_the_overview_counts_the_comparisons_that_are_clear(table):
    # students of all methods are made alike, and much fairer than their teachers
    page = ablations_markdown(table)

    lines = {
        tuple(cell.strip() for cell in line.split("|")[1:3]): line for line in page.splitlines() if "above)" in line
    }
    assert "| 6 " in lines["sampling", "balanced - teacher"]
    # both DEOs, and not the accuracy; of one training each
    assert lines["sampling", "balanced - teacher"].count("(6 below, 0 above) ‡") == 2
    assert lines["loss", "mfd - balanced"].count("(0 below, 0 above)") == 3
    assert "| 0.000 (0 below, 0 above)" in lines["data", "utkface_leaky - UTKFace"]
    # in the overview once, as what sampling brings
    assert ("method", "balanced - teacher") not in lines
    latex = ablations_latex(table)
    assert latex.count(r"\begin{sidewaystable}") == 2
    assert r"utkface\_leaky - UTKFace" in latex


def test_numbers_of_models_at_chance_are_marked(tmp_path):
    order = ORDER | {"dataset": ["utkface"], "architecture": ["resnet"]}
    paths = grid(tmp_path, seeds=(0, 1), **order)
    for path in paths:
        if (path.parent.name, path.stem) == ("mfd", "seed1"):
            path.write_text(json.dumps(make_constant(json.loads(path.read_text()))))

    table = table_of(paths, order)

    assert {*table.loc[table["at_chance"], "method"], *table.loc[table["at_chance"], "minus"]} >= {"mfd"}
    touched = (table["method"] == "mfd") | (table["minus"] == "mfd")
    assert table["at_chance"].equals(touched)
    page = ablations_markdown(table)
    lines = [line for line in page.splitlines() if line.startswith("|")]
    # of the accuracy no number is marked; each line on mfd has marks on DEO_A and DEO_M, in all its columns of them
    assert {line.count("†") for line in lines if " mfd " in line} == {2, 4}
    assert {line.count("†") for line in lines if " mfd " not in line} == {0}
    assert page.count("† at chance: ") == 1
    assert ablations_latex(table).count(r"$\dagger$ at chance: ") == 2


def test_grids_of_unequal_names_and_seeds_make_one_table_that_verifies(tmp_path, monkeypatch):
    """The order of names is that of the grids, and models on the disk that no grid names are left out."""
    place = {"dataset": ["utkface", "cifar10s"], "architecture": ["resnet"]}
    paths = grid(tmp_path / "metrics", seeds=range(3), **place, method=list(METHODS))
    settings = {
        "study": "paper",
        "paper_values": None,
        "seeds": [0, 1],
        "datasets": ["utkface", "cifar10s"],
        "architectures": ["resnet"],
        "methods": ["mfd"],
        "ablations": [{"datasets": ["utkface"], "methods": ["strong"], "seeds": [1]}, {"methods": ["balanced", "mfd"]}],
        "students": {"mfd": {"kind": "mfd"}, "strong": {"kind": "mfd"}, "balanced": {"kind": "erm"}},
    }
    study = complete(settings)
    script(monkeypatch, tmp_path, study.all_grids)

    table = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    models = table.query("part == 'model' and metric == 'accuracy'")
    assert models[["dataset", "method", "seeds"]].to_numpy().tolist() == [
        *(["utkface", method, "1"] for method in ("teacher", "strong", "balanced", "mfd")),
        *(["cifar10s", method, "0 1"] for method in ("teacher", "balanced", "mfd")),
    ]
    losses = table.query("part == 'loss' and metric == 'accuracy'")
    assert losses[["dataset", "method", "minus", "n"]].to_numpy().tolist() == [
        ["utkface", "balanced", "strong", 1], ["utkface", "mfd", "strong", 1], ["utkface", "mfd", "balanced", 1],
        ["cifar10s", "mfd", "balanced", 2],
    ]  # fmt: skip
    assert re.search(r"^\| loss +\| mfd - balanced +\| 1 ", (tmp_path / "a.md").read_text(), flags=re.MULTILINE)
    found = read_models(pattern(tmp_path / "metrics"), study.main_grids)
    write_csv(tmp_path / "runs.csv", with_settings(found.runs, found.settings))
    published = {"runs.csv": tmp_path / "runs.csv"}
    listed = read_runs(published["runs.csv"])
    again = remake_tables(published, read_files(paths), listed, study, read_features([]))
    again |= remake_ablations(tmp_path / "a.csv", read_files(paths), study)
    assert again["runs.csv"] == (tmp_path / "runs.csv").read_text()
    for name, path in {"ablations.csv": "a.csv", "ablations.md": "a.md", "ablations.tex": "a.tex"}.items():
        assert again[name] == (tmp_path / path).read_text()


def test_features_of_a_model_without_metrics_are_in_no_table_that_is_made_anew(tmp_path):
    """The verification names the metrics file that is missing, and has to get there."""
    order = ORDER | {"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", "mfd"]}
    paths = grid(tmp_path, seeds=(0,), **order)
    study = complete({"datasets": ["utkface"], "architectures": ["resnet"], "methods": ["mfd"], "seeds": [0]})
    listed = read_files(paths).runs
    found = {"criterion": "consistency", "group": "", "value": 0.8, "low": 0.7, "corrected": 0.8, "high": 0.9}
    consistency = listed[IDENTITY].assign(**found)
    none = consistency.iloc[:0].assign(**{"class": "", "other_group": "", "mmd2": 0.0, "p_holm": 0.0})
    without = read_files([path for path in paths if path.parent.name != "mfd"])
    again = remake_tables({"features.csv": tmp_path}, without, listed, study, Features(none, consistency))
    table = pd.read_csv(io.StringIO(again["features.csv"]))
    assert set(table["method"]) == {"teacher"}


def test_the_differences_between_methods_add_up(tmp_path):
    order = ORDER | {"dataset": ["utkface"], "architecture": ["resnet"]}
    paths = grid(tmp_path, seeds=range(3), **order)
    paths = [path for path in paths if (path.parent.name, path.stem) != ("balanced", "seed2")]

    table = table_of(paths, order).query("metric == 'deo_a'").set_index(["part", "method", "minus"])["estimate"]

    parts = table["sampling", "balanced", "teacher"] + table["loss", "mfd", "balanced"]
    assert parts == pytest.approx(table["method", "mfd", "teacher"])


def test_methods_without_a_seed_in_common_are_named(tmp_path):
    order = ORDER | {"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", "mfd"]}
    paths = [path for path in grid(tmp_path, seeds=(0, 1), **order) if (path.parent.name, path.stem) in
             [("teacher", "seed0"), ("mfd", "seed1")]]  # fmt: skip

    with pytest.raises(UserError, match=r"no seed on utkface resnet that all its methods \(teacher, mfd\) have"):
        table_of(paths, order)


def script(monkeypatch, folder, grids, sweeps="{}"):
    files = {"csv": "a.csv", "markdown": "a.md", "tex": "a.tex"}
    options = {name: folder / file for name, file in files.items()}
    options |= {"metrics": pattern(folder / "metrics"), "grids": json.dumps(grids), "sweeps": sweeps}
    monkeypatch.setattr("sys.argv", ["make_ablations", *(f"--{name}={value}" for name, value in options.items())])
    make_ablations.main()


def test_the_script_writes_each_form(tmp_path, monkeypatch):
    order = ORDER | {"dataset": ["utkface"], "architecture": ["resnet"]}
    paths = grid(tmp_path / "metrics", seeds=(0, 1), **order)
    methods = {"method": ["teacher", "balanced", "mfd_plain"]}
    grids = [order | methods | {"seed": [0, 1]}, order | {"method": ["teacher", "mfd"], "seed": [0, 1]}]
    script(monkeypatch, tmp_path, grids)

    table = table_of(paths, order)
    written = pd.read_csv(tmp_path / "a.csv", keep_default_na=False, na_values={"sd": ""}, dtype={"seeds": str})
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    assert (tmp_path / "a.md").read_text() == ablations_markdown(table)
    assert (tmp_path / "a.tex").read_text() == ablations_latex(table)


def test_every_two_methods_of_a_study_are_compared_whatever_they_differ_in(tmp_path):
    """`kd` and `nst` differ in the loss, `mfd` from both in sampling too, and `again` has the settings of `mfd`."""
    order = ORDER | {"dataset": ["utkface"], "architecture": ["resnet"]}
    order["method"] = ["teacher", "erm", "kd", "nst", "mfd", "mfd_plain", "strong", "on_mfd", "again"]
    paths = grid(tmp_path, **order, bases={"on_mfd": ("resnet", "mfd"), "again": ("resnet", "teacher")})
    for path in paths:
        record = json.loads(path.read_text())
        if record["run"]["method"] in ("again", "erm"):
            record["parameters"]["method"] = METHODS["mfd" if record["run"]["method"] == "again" else "teacher"]
            path.write_text(json.dumps(record))

    table = table_of(paths, order)

    pairs = table.loc[table["minus"] != "", ["method", "minus"]].itertuples(index=False, name=None)
    assert {frozenset(pair) for pair in pairs} == {frozenset(pair) for pair in combinations(order["method"], 2)}
    assert compared(table, "nothing") == {("utkface", "resnet", "again", "mfd")}
    # its base by the rule of the tables, and so compared as such
    assert ("utkface", "resnet", "erm", "teacher") in compared(table, "method")
    assert "| nothing " in ablations_markdown(table)


def test_the_page_says_what_each_part_means_that_it_has_and_no_other(table):
    page = ablations_markdown(table)
    parts = re.findall(r"^- `(\w+)`: ", page, flags=re.MULTILINE)
    assert parts == ["sampling", "loss", "method", "several", "data", "stem"]
    assert [*LEGEND] == [*PARTS]
    # a pair of base and student that differs in one part alone is in the overview as of that part
    assert "Intervals are not corrected for the number of pairs" in page
    latex = ablations_latex(table)
    assert ("Several: two methods, neither" in latex, "Nothing: " in latex) == (True, False)


@pytest.mark.parametrize("all_pairs", [2, 3])
def test_models_of_a_large_sweep_are_compared_with_their_neighbours_and_all_other_methods(
    tmp_path, monkeypatch, all_pairs
):
    monkeypatch.setattr("fairdistill.reporting.ablations.ALL_PAIRS", all_pairs)
    order = ORDER | {"dataset": ["utkface"], "architecture": ["resnet"]}
    order["method"] = ["teacher", "mfd", "s10", "s1", "s30", "of_another"]
    # no model of s3 is there, so that s1 and s10 are neighbours
    sweeps = {"s": {f"s{value}": {"lambda": value} for value in (10, 3, 1, 30)}, "other": {"of_another": {"lambda": 3}}}

    table = table_of(grid(tmp_path, **order), order, {"method": sweeps})

    pairs = table.loc[table["minus"] != "", ["method", "minus"]].itertuples(index=False, name=None)
    every = set(map(frozenset, combinations(order["method"], 2)))
    # three of the four models of the sweep are there
    assert set(map(frozenset, pairs)) == every - ({frozenset(["s1", "s30"])} if all_pairs < 3 else set())
