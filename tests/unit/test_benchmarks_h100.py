"""results/bench/h100: its page says what its tables hold."""

from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parents[2] / "results" / "bench" / "h100"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def rows_below(heading):
    """The cells of the first table below a heading of the page, less its head."""
    lines = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    table = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in table[2:]]


def test_each_step_is_on_the_page_with_its_ratio():
    steps = pd.read_csv(FOLDER / "steps.csv")
    steps["ratio"] = steps["eager_ms"] / steps["recorded_ms"]
    wanted = [
        [row.role, row.precision, row.layout, f"{row.eager_ms:.2f}", f"{row.recorded_ms:.2f}", f"{row.ratio:.1f}"]
        for row in steps.itertuples()
    ]
    found = [[*row[2:5], *row[6:]] for row in rows_below("A step")[: len(steps)]]
    assert sorted(found) == sorted(wanted)


def test_what_is_profiled_adds_up():
    kernels = pd.read_csv(FOLDER / "kernels.csv")
    shares = kernels[kernels["kernel"].str.contains("batch_norm|bn_")].groupby(["dataset", "kind", "precision"])
    milliseconds = [f"{us / 1e3:.2f} ms" for us in shares["us_a_step"].sum()]
    assert sorted(row[3].split(" (")[0] for row in rows_below("A step")[-3:]) == sorted(milliseconds)


def test_each_kind_of_training_of_the_grid_is_on_the_page():
    grid = pd.read_csv(FOLDER / "trainings.csv").query("run == 'grid'")
    groups = grid.assign(student=grid["method"] == "mfd").groupby(["dataset", "architecture", "student"])
    wanted = [
        [
            "MFD" if student else "teacher",
            "{:.1f} ({:.1f} to {:.1f})".format(*group["epoch_seconds"].agg(["median", "min", "max"])),
            f"{group['job_seconds'].median():.1f}",
            f"{group['peak_gpu_memory_mb'].max():,}",
            f"{group['peak_memory_mb'].max():,}",
        ]
        for (_, _, student), group in groups
    ]
    assert [row[2:] for row in rows_below("Whole workflows")[-8:]] == wanted


def test_the_runs_are_the_sums_of_their_trainings():
    trainings = pd.read_csv(FOLDER / "trainings.csv")
    wanted = [
        [str(len(run)), *(f"{run[name].sum():,.0f} s" for name in ("job_seconds", "epoch_seconds", "cpu_seconds"))]
        for _, run in sorted(trainings.groupby("run"), key=lambda pair: ["grid", "folds", "demo"].index(pair[0]))
    ]
    assert [[row[1], *row[4:]] for row in rows_below("Whole workflows")[:3]] == wanted
