"""From metrics files to the tidy tables of runs and of means over seeds."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic_results import make_record, make_study

from fairdistill.reporting import runs as results
from fairdistill.runtime.errors import UserError
from scripts import aggregate_results


def test_runs_have_one_row_per_model_read_from_fields_alone(tmp_path):
    paths = make_study(tmp_path, seeds=(0, 1))
    moved = [shutil.copy(path, tmp_path / f"{i}.json") for i, path in enumerate(paths)]

    runs = results.read_metrics(moved)

    assert len(runs) == 2 * 2 * 2 * 2
    pd.testing.assert_frame_equal(runs, results.read_metrics(reversed(paths)))
    first = make_record(dataset="cifar10s", seed=0, accuracy=0.75, bias=0.4)
    row = runs.iloc[0]
    assert (row["dataset"], row["role"], row["method"], row["seed"]) == ("cifar10s", "teacher", "teacher", 0)
    assert [row[name] for name in results.METRICS] == [first["metrics"][name] for name in results.METRICS]
    assert (row["n_test"], row["epochs"], row["seconds"]) == (240, 20, 12.5)


def test_a_teacher_stands_before_its_students(tmp_path):
    runs = results.read_metrics(make_study(tmp_path, methods=("mfd", "zeta")))

    assert runs["method"].tolist() == ["teacher", "mfd", "zeta"] * 4


def test_summary_is_mean_sd_and_n_over_seeds(tmp_path):
    runs = results.read_metrics(make_study(tmp_path, datasets=("utkface",), seeds=range(4)))

    summary = results.summarise(runs)

    assert len(summary) == 2 * 2 * len(results.METRICS)
    row = summary.query("architecture == 'resnet' and method == 'mfd' and metric == 'deo_a'").squeeze()
    values = runs.query("architecture == 'resnet' and method == 'mfd'")["deo_a"]
    assert (row["mean"], row["sd"], row["n"]) == pytest.approx((values.mean(), np.std(values, ddof=1), 4))


def test_one_seed_has_no_sd(tmp_path):
    summary = results.summarise(results.read_metrics(make_study(tmp_path)))

    assert summary["sd"].isna().all()
    assert set(summary["n"]) == {1}


def test_students_are_paired_with_the_teacher_of_their_seed(tmp_path):
    paths = make_study(tmp_path, datasets=("utkface",), seeds=range(4))
    runs, correctness = results.read_metrics(paths), results.read_correctness(paths)
    teacher, student = (runs.query("architecture == 'resnet' and method == @name") for name in ("teacher", "mfd"))
    # the last seed has no teacher; and the order of the rows means nothing
    lacking = runs.drop(teacher.index[3]).sample(frac=1, random_state=0)

    paired = results.pair_with_teachers(lacking, correctness).set_index(["architecture", "metric"])

    row = paired.loc[("resnet", "deo_m")]
    differences = (student["deo_m"].to_numpy() - teacher["deo_m"].to_numpy())[:3]
    assert (row["teacher"], row["student"]) == pytest.approx((teacher["deo_m"][:3].mean(), student["deo_m"][:3].mean()))
    assert (row["difference"], row["sd"], row["n"]) == pytest.approx((differences.mean(), differences.std(ddof=1), 3))
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (row["seeds_low"], row["seeds_high"]) == pytest.approx(tuple(expected))
    assert row["p"] == 0.25
    assert paired.loc[("shufflenet", "deo_m"), "p"] == 0.125
    # 6 rows, of which the smallest p is 0.125
    assert paired["p_holm"].min() == pytest.approx(6 * paired["p"].min())


def test_a_test_set_interval_is_the_mean_of_those_of_the_seeds(tmp_path):
    paths = make_study(tmp_path, datasets=("utkface",), architectures=("resnet",), seeds=(0, 1))
    runs, correctness = results.read_metrics(paths), results.read_correctness(paths)

    both = results.pair_with_teachers(runs, correctness).set_index("metric")
    each = [results.pair_with_teachers(runs.query("seed == @seed"), correctness).set_index("metric") for seed in (0, 1)]

    for end in ("test_low", "test_high"):
        np.testing.assert_allclose(both[end], (each[0][end] + each[1][end]) / 2)
        assert (each[0][end] != each[1][end]).all()


def test_a_student_of_another_architecture_is_paired_with_the_teacher_it_was_distilled_from(tmp_path):
    paths = make_study(tmp_path, datasets=("utkface",), methods=("mfd", "from_resnet"))
    for path in paths:
        record = json.loads(path.read_text())
        if record["run"]["method"] == "from_resnet":
            record["run"]["teacher"] = "resnet"
            path.write_text(json.dumps(record))
    runs = results.read_metrics(paths)

    paired = results.pair_with_teachers(runs, results.read_correctness(paths))

    teachers = runs.query("role == 'teacher'").set_index("architecture")["accuracy"]
    beside = paired.query("metric == 'accuracy'").set_index(["architecture", "method"])["teacher"]
    assert teachers["resnet"] != teachers["shufflenet"]
    assert beside[("shufflenet", "from_resnet")] == teachers["resnet"]
    assert beside[("shufflenet", "mfd")] == teachers["shufflenet"]
    alone = results.pair_with_teachers(runs.query("architecture == 'shufflenet'"), results.read_correctness(paths))
    assert set(alone["method"]) == {"mfd"}


def test_data_sets_are_averaged_seed_by_seed_where_all_have_the_seed(tmp_path):
    runs = results.read_metrics(make_study(tmp_path, architectures=("resnet",), seeds=range(3)))
    lacking = runs.query("not (dataset == 'utkface' and seed == 2)")

    mean, sd, n = results.average_datasets(lacking, ["cifar10s", "utkface"]).loc[("resnet", "student", "mfd", "deo_a")]

    seeds = runs.query("method == 'mfd' and seed < 2").groupby("seed")["deo_a"].mean()
    assert (mean, sd, n) == pytest.approx((seeds.mean(), seeds.std(), 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable as JSON"),
        ("\xff", "not readable as JSON"),
        ("[]", "holds list, not an object"),
        ("{}", "lacks the field 'run'"),
        (json.dumps(make_record() | {"metrics": {}}), "lacks the field 'accuracy'"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(UserError, match=f"bad.json: {message}") as caught:
        results.read_metrics([*make_study(tmp_path / "metrics"), path])

    assert "\n" not in str(caught.value)


def test_two_files_of_one_model_are_both_named(tmp_path):
    path, *_ = make_study(tmp_path)
    again = shutil.copy(path, tmp_path / "again.json")

    with pytest.raises(UserError, match=r"again.json: the same model as .*seed0.json"):
        results.read_metrics([path, again])


def test_studies_do_not_mix(tmp_path):
    paths = make_study(tmp_path / "a", study="demo") + make_study(tmp_path / "b", study="paper")

    with pytest.raises(UserError, match=r"several studies \(demo, paper\)"):
        results.read_metrics(paths)


def test_nothing_to_aggregate_is_said():
    with pytest.raises(UserError, match="no metrics file"):
        results.read_metrics([])


def test_a_table_that_is_not_of_runs_is_named(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("study,dataset\npaper,utkface\n")

    with pytest.raises(UserError, match=r"runs.csv: column 'architecture' is missing"):
        results.read_runs(path)


def test_the_script_reads_a_folder_and_its_table_comes_back(tmp_path, monkeypatch):
    paths = make_study(tmp_path / "metrics", datasets=("NA",), seeds=(0, 1))
    options = {"metrics": "metrics", "runs": "runs.csv", "summary": "sum.csv", "paired": "paired.csv"}
    options["paired-markdown"] = "paired.md"
    arguments = [f"--{option}={tmp_path / name}" for option, name in options.items()]
    monkeypatch.setattr("sys.argv", ["aggregate_results", *arguments])
    aggregate_results.main()

    pd.testing.assert_frame_equal(
        results.read_runs(tmp_path / "runs.csv"), results.read_metrics(paths), check_dtype=False
    )


def test_a_grid_leaves_out_what_else_the_folder_holds(tmp_path):
    runs = results.read_metrics(make_study(tmp_path, seeds=(0, 1, 2)))

    kept = results.select(runs, {"seed": [0, 2], "architecture": ["resnet"]})

    assert len(kept) == 2 * 1 * 2 * 2
    assert set(kept["seed"]) == {0, 2}
    assert set(kept["architecture"]) == {"resnet"}
    pd.testing.assert_frame_equal(results.select(runs, {}), runs)
    with pytest.raises(UserError, match="no metrics file has seed 7"):
        results.select(runs, {"seed": [0, 7]})
    with pytest.raises(UserError, match="unknown column 'sed'"):
        results.select(runs, {"sed": [0]})
