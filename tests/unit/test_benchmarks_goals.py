"""The goals, and the estimate of the grid's time."""

import re
from pathlib import Path

import pandas as pd
import pytest
from synthetic_trainings import runs

from benchmarks import goals as program
from benchmarks import machine
from benchmarks.goals import PAGES, goals, grid_minutes, makespan, side_by_side, to_markdown, training_seconds
from benchmarks.training_table import medians
from fairdistill.runtime.errors import run_script

ROOT = Path(__file__).parents[2]
MACHINE = "no GPU; AMD EPYC (cpu family 26, model 2, stepping 1; AVX512), 2 cores"
JOBS = pd.Series(
    {
        "jobs": 10,
        "planning_seconds": 3.0,
        "job_overhead_seconds": 4.0,
        "training_overhead_seconds": 5.0,
        "demo_minutes": 2.5,
        "grid_minutes": None,
    }
)
INFERENCE = pd.DataFrame(
    {
        "dataset": ["cifar10s", "cifar10s", "utkface", "utkface"],
        "kind": 2 * ["resnet18", "shufflenet_v2_x1_0"],
        "test_ms": [1.0, 2.6, 1.0, 1.0],
        "features_ms": [1.0, 2.2, 1.0, 1.0],
        "plain_ms": [1.0, 2.0, 1.0, 1.0],
        "plain_fp32_ms": [1.0, 2.5, 1.0, 1.0],
        "precision": "fp32",
    }
)
MEMORY = pd.DataFrame({"dataset": ["cifar10s", "utkface"], "memory_mb": [1100.0, 1228.0]})
SPEED = INFERENCE.set_index(["dataset", "kind"])
MEMORY_GOAL = "memory of a whole training on a CPU, a ResNet-18 student"
DEMO = [f"the demo with its environment, {how}, two cores" for how in ("made from uv's cache", "downloaded")]


def measured(*, training=None, where=MACHINE, device="cpu", **jobs):
    """The tables of a machine; `jobs` are numbers that differ from `JOBS`."""
    tables = {"training": runs(device=device) if training is None else training, "inference": INFERENCE}
    tables["memory"] = MEMORY
    tables["jobs"] = pd.DataFrame([{**JOBS, **jobs}]).astype({"grid_minutes": float})
    return {
        name: table.assign(machine=where, commit=f"{number}{'a' * 39}")
        for number, (name, table) in enumerate(tables.items())
    }


def of(tables, seconds=None):
    """The measured text and the verdict of each goal, by what is before its colon."""
    table = goals(tables, seconds)
    names = table["goal"].str.split(":").str[0]
    return dict(zip(names, zip(table["measured"], table["met"], strict=True), strict=True))


@pytest.mark.parametrize(
    ("pairs", "workers", "seconds"),
    [
        ([(3, 2)], 2, 5),
        ([(3, 2), (3, 2)], 2, 5),
        ([(3, 2), (3, 2)], 1, 10),
        # the long pair first; the last student runs alone
        ([(1, 1), (4, 4), (1, 1)], 2, 8),
        ([(2, 2), (2, 2), (2, 2)], 2, 6),
    ],
)
def test_a_student_starts_after_its_teacher_on_a_free_core(pairs, workers, seconds):
    assert makespan(pairs, workers) == seconds


def test_a_training_takes_its_epochs_and_its_tests():
    rows = medians(runs())
    # a test image in float32, and not the base's in the precision of training
    speed = SPEED.assign(test_ms=[1.0, 1.0, 7.0, 1.0])
    seconds = training_seconds(rows, speed, "utkface", "resnet18", "teacher")
    assert seconds == pytest.approx(20 * 20_797 * 0.5 / 128 + 4 * 1_200 * 7e-3)


def test_the_grid_fills_all_cores():
    rows, speed = medians(runs()), SPEED.assign(test_ms=1.0)
    work = sum(
        training_seconds(rows, speed, *case) + JOBS["job_overhead_seconds"]
        for case in rows.xs("fast", level="engine").index
    )
    # four pairs, two of each length, on two cores leave none idle
    assert grid_minutes(rows, speed, JOBS) * 60 == pytest.approx(3 + work / 2 + (8 + PAGES) * 4 / 2)


def test_on_a_cpu_the_gpus_goals_are_unmeasured():
    found = of(measured())
    assert sum(measured == "unmeasured: no GPU" for measured, _ in found.values()) == 2
    assert {met for measured, met in found.values() if measured == "unmeasured: no GPU"} == {None}
    assert found["student training, ours / reference, all cores"][1] is True
    assert found["MFD loss, share of a student's step"][1] is True
    assert found["the paper's grid, 1 seed, two cores"][1] is False
    plain = "ours / a plain pass in the precision of training"
    assert found[f"a teacher's features, {plain}"] == ("1.10x (fp32)", True)
    assert found[f"the test set, in float32, {plain}"] == ("1.30x (fp32); 1.04x a plain pass in fp32", False)
    assert found[MEMORY_GOAL] == ("1228 MiB", True)
    assert found["cost of distillation over plain training, per epoch"][0].endswith(
        ", 16.5% by its parts (the reference: 50% to 50%)"
    )


def test_memory_is_that_of_whole_trainings():
    tables = measured()
    tables["training"]["memory_mb"] = 2000.0
    assert of(tables)[MEMORY_GOAL][1] is True
    tables["memory"].loc[0, "memory_mb"] = 1229.0
    assert of(tables)[MEMORY_GOAL] == ("1229 MiB", False)
    tables["memory"] = tables["memory"][1:]
    assert of(tables)[MEMORY_GOAL] == ("unmeasured: 1 of 2 cases in memory.csv", None)


def test_the_demo_counts_with_its_environment_from_a_cache_and_downloaded():
    found = of(measured(demo_minutes=1.75))
    assert found[DEMO[0]] == ("112 s: 105.0 s, and some 7 s of the environment by hand", True)
    assert found[DEMO[1]] == ("165 s: 105.0 s, and some 60 s of the environment by hand", False)
    # where that was not timed, what was measured leaves it out
    elsewhere = of(measured(where=MACHINE.replace("26", "99")))
    assert {elsewhere[name] for name in DEMO} == {("unmeasured: 150.0 s without its environment", None)}


@pytest.mark.parametrize(("seconds", "verdict"), [(1200, ("20.0 min", True)), (1206, ("20.1 min", False))])
def test_the_time_of_all_benchmarks_is_among_the_goals(seconds, verdict):
    goal = "all of `make bench`"
    assert of(measured(), seconds)[goal] == verdict
    assert of(measured())[goal] == ("unmeasured: its programs ran one by one", None)


def test_on_a_gpu_the_cpus_goals_are_left_open():
    table = goals(measured(device="cuda", grid_minutes=5.5))
    assert (table["measured"] == "5.5 min").any()
    assert table["met"].isna().sum() == 7


def test_one_data_set_alone_says_nothing_of_goals_for_each_case():
    part = runs()
    found = of(measured(training=part[part["dataset"] == "utkface"]))
    assert found["student training, ours / reference, all cores"] == ("unmeasured: 2 of 4 cases in training.csv", None)
    missing = "unmeasured: missing in training.csv or inference.csv or jobs.csv"
    assert found["the paper's grid, 1 seed, two cores"] == (missing, None)
    # of other tables
    assert found[DEMO[0]][1] is False


def test_without_students_there_is_no_verdict_on_them():
    part = runs()
    found = of(measured(training=part[part["role"] == "teacher"]))
    none = ("unmeasured: 0 of 4 cases in training.csv", None)
    assert found["student training, ours / reference, all cores"] == none
    assert found["cost of distillation over plain training, per epoch"] == none
    assert found["MFD loss, share of a student's step"] == none
    assert found["teacher training, ours / reference, all cores"][1] is True


def test_what_is_no_number_was_not_measured():
    tables = measured(demo_minutes=float("nan"))
    tables["inference"].loc[0, "test_ms"] = float("nan")
    found = of(tables)
    assert {found[name] for name in DEMO} == {("unmeasured: missing in jobs.csv", None)}
    goal = "the test set, in float32, ours / a plain pass in the precision of training"
    assert found[goal] == ("unmeasured: 3 of 4 cases in inference.csv", None)


def test_the_goals_are_those_of_the_processor_that_was_measured(monkeypatch):
    grid = "the paper's grid, 1 seed, two cores"
    # and not of the one that compares
    monkeypatch.setattr(machine, "hardware", lambda: pytest.fail("asks for this machine"))
    amx = MACHINE.replace("family 26, model 2,", "family 6, model 143,").replace("AVX512", "AVX512, AMX")
    elsewhere, training = MACHINE.replace("26", "99"), runs()
    training["epoch_seconds"] /= 3
    verdicts = [of(measured(training=training, where=where))[grid][1] for where in (MACHINE, elsewhere, amx)]
    assert verdicts == [False, None, True]
    training["share_of_peak"] = 0.4
    goal = "share of the CPU's peak, ResNet"
    verdicts = [of(measured(training=training, where=where))[goal][1] for where in (MACHINE, amx)]
    assert verdicts == [False, True]


def test_the_page_names_machine_and_commit_of_each_table():
    tables = measured()
    table = goals(tables)
    commits = dict(zip(table["goal"].str.split(":").str[0], table["commit"], strict=True))
    assert commits["MFD loss, share of a student's step"] == "0" + "a" * 39
    assert commits[MEMORY_GOAL] == "2" + "a" * 39
    assert commits[DEMO[0]] == "3" + "a" * 39
    assert commits["the paper's grid, 1 seed, two cores"] == ", ".join(f"{number}{'a' * 39}" for number in (0, 1, 3))
    text = to_markdown(table, tables)
    assert f"\n- inference.csv: measured on: {MACHINE}; commit 1{'a' * 39}.\n" in text
    assert re.search(r"\| \d+ min \(estimated\) +\| no +\| 0a{8}, 1a{8}, 3a{8} +\|", text)
    alike = {name: table.assign(commit="b" * 40) for name, table in tables.items()}
    assert f"# Goals\n\nMeasured on: {MACHINE}; commit {'b' * 40}.\n\n| goal" in to_markdown(goals(alike), alike)


def call(monkeypatch, folder):
    monkeypatch.setattr("sys.argv", ["goals", "--output", str(folder)])
    run_script(program.main)


@pytest.fixture
def folder(tmp_path):
    """The tables of a machine, in a folder of the index of a project and beside a README of its own."""
    place = tmp_path / "results" / "bench" / "one"
    place.mkdir(parents=True)
    for name, table in measured().items():
        table.to_csv(place / f"{name}.csv", index=False)
    (place.parent / "README.md").write_text("of somebody else")
    return place


def test_the_index_is_written_where_it_belongs_alone(folder, tmp_path, monkeypatch):
    call(monkeypatch, folder)
    assert (folder / "goals.md").read_text(encoding="utf-8").startswith("# Goals\n")
    assert (folder.parent / "README.md").read_text() == "of somebody else"
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    call(monkeypatch, folder)
    assert (folder.parent / "README.md").read_text(encoding="utf-8").startswith("# What was measured, by processor\n")


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("jobs", None, "there is no such table"),
        ("training", None, "there is no such table"),
        ("inference", lambda text: "", "not readable as a table (No columns to parse from file)"),
        ("inference", lambda text: text.splitlines()[0], "has no rows"),
        ("jobs", lambda text: text.replace("demo_minutes", "x"), "has no demo_minutes"),
        ("training", lambda text: text.replace("role", "x").replace("commit", "y"), "has no role, commit"),
        ("jobs", lambda text: text.replace("2.5", "two"), "not all are numbers in demo_minutes"),
    ],
)
def test_a_table_that_is_missing_or_broken_is_named_with_what_makes_it(folder, monkeypatch, name, change, complaint):
    path = folder / f"{name}.csv"
    text = path.read_text()
    path.unlink()
    if change:
        path.write_text(change(text))
    remedy = f"`python -m benchmarks.{name} --output {folder}` makes it"
    with pytest.raises(SystemExit, match=rf"^error: {re.escape(f'{path}: {complaint}; {remedy}')}( anew)?$"):
        call(monkeypatch, folder)
    assert not (folder / "goals.md").exists()


def test_the_goals_of_all_machines_stand_side_by_side(tmp_path):
    for name, demo in (("one", 1.5), ("two", 9.0)):
        (tmp_path / name).mkdir()
        table = goals(measured(demo_minutes=demo))
        table.to_csv(tmp_path / name / "goals.csv", index=False)
        (tmp_path / name / "goals.md").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "own_images.md").touch()
    text = side_by_side(tmp_path)
    assert "- `one`: [goals](one/goals.md)\n- `other`: [own_images](other/own_images.md)\n- `two`" in text
    line = next(line for line in text.splitlines() if "| the demo" in line)
    assert re.search(r"\| 97 s: .* \(met\) +\| 547 s: .* \(not met\) +\|$", line)
    assert "nan" not in text
    assert "without `make bench`" not in text
    (tmp_path / "gpu").mkdir()
    (tmp_path / "gpu" / "README.md").touch()
    assert "measured without `make bench`: [gpu](gpu/README.md) has" in side_by_side(tmp_path)


@pytest.mark.parametrize(
    ("cpu_id", "name"),
    [
        ("cpu family 25, model 1, stepping 1", "Zen 3"),
        ("cpu family 25, model 17, stepping 1", "Zen 4"),
        ("cpu family 26, model 2, stepping 1", "Zen 5"),
        ("cpu family 6, model 143, stepping 8", "Sapphire Rapids"),
        ("cpu family 6, model 150", ""),
        ("CPU implementer 0x41, CPU part 0xd0c", ""),
    ],
)
def test_generations_are_known_by_their_numbers(cpu_id, name):
    assert machine.generation(cpu_id) == name


def test_the_folder_of_a_machine_is_its_processors_name(monkeypatch):
    monkeypatch.setattr(machine, "has_gpu", lambda: False)
    known = {"cpu": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "cpu_id": "cpu family 6, model 143, stepping 8"}
    monkeypatch.setattr(machine, "hardware", lambda: known | {"instructions": "AVX512"})
    assert machine.processor() == "Intel Xeon Platinum 8481C (Sapphire Rapids)"
    assert machine.folder() == Path("results/bench/intel-xeon-platinum-8481c-sapphire-rapids")
    known["cpu_id"] = ""
    assert machine.processor() == "Intel Xeon Platinum 8481C (AVX512)"
    monkeypatch.setattr(machine, "processor", lambda: "\u9f99\u82af (\u672a\u77e5)")
    assert machine.folder() == Path("results/bench/unnamed-processor")


def test_a_table_and_its_page_are_written_with_what_they_were_measured_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "has_gpu", lambda: False)
    monkeypatch.setattr(machine, "has_amx", lambda: True)
    monkeypatch.setattr(machine, "commit", lambda: "c" * 40)
    where = machine.provenance()
    assert re.match(r"no GPU; .* \(.*, AMX\), \d+ cores; .*; Python 3\.\S+, torch 2\.\S+$", where["machine"])
    table = pd.DataFrame({"x": [1.23456, 2.0]}).assign(**where)
    machine.write(tmp_path, "some", table, machine.describe(where), digits=3)
    read = pd.read_csv(tmp_path / "some.csv")
    assert read["x"].tolist() == [1.23, 2.0]
    assert (read["machine"] == where["machine"]).all()
    assert (tmp_path / "some.md").read_text() == f"Measured on: {where['machine']}; commit {'c' * 40}."
    printed = capsys.readouterr()
    assert printed.err == f"Written: {tmp_path / 'some.csv'}, {tmp_path / 'some.md'}\n"


@pytest.mark.parametrize("path", sorted((ROOT / "results" / "bench").glob("amd-*/*.csv")), ids=lambda path: path.stem)
def test_a_published_table_and_its_page_name_one_machine_and_commit(path):
    table = pd.read_csv(path)
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    rows = table[["machine", "commit"]].dropna().drop_duplicates().to_dict("records")
    if path.stem == "goals":
        # its table is made of several
        assert all(commit[:9] in page for row in rows for commit in row["commit"].split(", "))
    else:
        assert f"\n\n{machine.describe(rows[0])}\n\n" in page
        assert len(rows) == 1


@pytest.mark.parametrize("path", ["README.md", "config/README.md", "config/config.yaml"])
def test_the_time_of_a_seed_is_that_of_the_goals(path):
    table = pd.read_csv(ROOT / "results/bench/amd-epyc-zen-5/goals.csv").set_index("goal")["measured"]
    (grid,) = table[table.index.str.startswith("the paper's grid, 1 seed")]
    minutes = grid.removesuffix(" min (estimated)")
    text = " ".join((ROOT / path).read_text(encoding="utf-8").split())
    assert re.search(rf"some {minutes} minutes( a seed)? on two cores of an AMD EPYC \(Zen 5\)", text)
