"""The goals, and the estimate of the grid's time."""

import re
from pathlib import Path

import pandas as pd
import pytest
from synthetic_trainings import runs

from benchmarks import machine
from benchmarks.goals import PAGES, goals, grid_minutes, makespan, side_by_side, to_markdown, training_seconds
from benchmarks.training_table import medians

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
INFERENCE = pd.DataFrame({"test_ms": [1.0, 2.6], "features_ms": [1.0, 2.2], "plain_ms": [1.0, 2.0]})


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
    seconds = training_seconds(rows, "utkface", "resnet18", "teacher")
    # the feature pass looks at an image twice, so a test image takes half of its 2 ms
    assert seconds == pytest.approx(20 * 20_797 * 0.5 / 128 + 4 * 1_200 * 1e-3)


def test_the_grid_fills_all_cores():
    rows = medians(runs())
    work = sum(
        training_seconds(rows, *case) + JOBS["job_overhead_seconds"] for case in rows.xs("fast", level="engine").index
    )
    # four pairs, two of each length, on two cores leave none idle
    assert grid_minutes(rows, JOBS) * 60 == pytest.approx(3 + work / 2 + (8 + PAGES) * 4 / 2)


@pytest.fixture
def zen_5(monkeypatch):
    monkeypatch.setattr(machine, "generation", lambda cpu_id: "Zen 5")


def test_on_a_cpu_the_gpus_goals_are_unmeasured(zen_5):
    table = goals(runs(), JOBS, INFERENCE)
    unmeasured = table["measured"] == "unmeasured: no GPU"
    assert unmeasured.sum() == 2
    assert (table.loc[unmeasured, "met"].isna()).all()
    met = dict(zip(table["goal"].str.split(":").str[0], table["met"], strict=True))
    assert met["student training, ours / reference, all cores"] is True
    assert met["MFD loss, share of a student's step"] is True
    assert met["the paper's grid, 1 seed, two cores"] is False
    assert met["a teacher's features, ours / a plain pass in bfloat16"] is True
    assert met["the test set, in float32, ours / a plain pass in bfloat16"] is False
    assert met["the demo, without its environment, two cores"] is False
    assert met["memory of a training on a CPU"] is True
    text = to_markdown(table, "Measured on: a machine.")
    assert "(the reference: 50% to 50%)" in text


def test_on_a_gpu_the_cpus_goals_are_left_open():
    table = goals(runs(device="cuda"), pd.Series({**JOBS, "grid_minutes": 5.5}), INFERENCE)
    assert (table["measured"] == "5.5 min").any()
    assert table["met"].isna().sum() == 6


def test_one_case_alone_says_nothing_of_the_grid():
    part = runs()
    table = goals(part[part["dataset"] == "utkface"], JOBS, INFERENCE).set_index("goal")
    (grid,) = (name for name in table.index if name.startswith("the paper's grid, 1 seed"))
    assert table.loc[grid].tolist() == ["unmeasured", None]


def test_a_processor_without_goals_of_its_own_has_numbers_alone(monkeypatch):
    monkeypatch.setattr(machine, "generation", lambda cpu_id: "")
    table = goals(runs(), JOBS, INFERENCE)
    demo = table[table["goal"].str.startswith("the demo")].iloc[0]
    assert (demo["measured"], demo["met"]) == ("2.5 min", None)


def test_the_goals_of_all_machines_stand_side_by_side(tmp_path, zen_5):
    for name, demo in (("one", 1.5), ("two", 9.0)):
        (tmp_path / name).mkdir()
        table = goals(runs(), pd.Series({**JOBS, "demo_minutes": demo}), INFERENCE)
        table.to_csv(tmp_path / name / "goals.csv", index=False)
        (tmp_path / name / "goals.md").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "own_images.md").touch()
    text = side_by_side(tmp_path)
    assert "- `one`: [goals](one/goals.md)\n- `other`: [own_images](other/own_images.md)\n- `two`" in text
    (line,) = (line for line in text.splitlines() if "| the demo" in line)
    assert re.search(r"\| 1\.5 min \(met\) +\| 9\.0 min \(not met\) +\|$", line)
    assert "nan" not in text


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
