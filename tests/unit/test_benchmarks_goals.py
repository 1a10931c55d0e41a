"""The goals, and the estimate of the grid's time."""

import pandas as pd
import pytest
from synthetic_trainings import runs

from benchmarks.goals import PAGES, goals, grid_minutes, makespan, to_markdown, training_seconds
from benchmarks.training_table import medians

JOBS = pd.Series(
    {
        "jobs": 10,
        "planning_seconds": 3.0,
        "job_overhead_seconds": 4.0,
        "training_overhead_seconds": 5.0,
        "grid_minutes": None,
    }
)


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


def test_on_a_cpu_the_gpus_goals_are_unmeasured():
    table = goals(runs(), JOBS)
    unmeasured = table["measured"] == "unmeasured: no GPU"
    assert unmeasured.sum() == 2
    assert (table.loc[unmeasured, "met"].isna()).all()
    met = dict(zip(table["goal"].str.split(":").str[0], table["met"], strict=True))
    assert met["student training, ours / reference, two CPU cores"] is True
    assert met["MFD loss, share of a student's step"] is True
    assert met["the paper's grid, 1 seed, two cores"] is False
    text = to_markdown(table, "Measured on: a machine.")
    assert "(the reference: 50% to 50%)" in text


def test_on_a_gpu_the_cpus_goals_are_left_open():
    table = goals(runs(device="cuda"), pd.Series({**JOBS, "grid_minutes": 5.5}))
    assert (table["measured"] == "5.5 min").any()
    assert table["met"].isna().sum() == 4


def test_one_case_alone_says_nothing_of_the_grid():
    part = runs()
    table = goals(part[part["dataset"] == "utkface"], JOBS)
    assert table.set_index("goal")["met"]["the paper's grid, 1 seed, two cores: <= 60 min"] is None
