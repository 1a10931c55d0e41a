"""The goals of speed and memory against what was measured, and the time of the whole grid. Writes goals.csv and .md.

Reads training.csv, inference.csv and jobs.csv, which the programs of these names wrote on the same machine. README.md
of the folder above sets the goals of all machines side by side.
"""

import argparse
import heapq
from pathlib import Path

import pandas as pd

from benchmarks import machine
from benchmarks.cases import DATASETS, EPOCHS, EVALUATIONS, KINDS, METHODS
from benchmarks.inference import GOAL
from benchmarks.training_table import GOALS, medians, ratios, yes_no
from fairdistill.reporting.tables import markdown
from fairdistill.runtime.provenance import hardware

# jobs after the trainings and their evaluations: one gathers, two make tables, five draw
PAGES = 8
# the least share of the peak, and the most minutes by the processor's generation
SHARE_OF_PEAK, SHARE_OF_PEAK_AMX = 0.5, 0.35
GRID_MINUTES = {"Zen 5": 40, "Sapphire Rapids": 75}
DEMO_MINUTES = {"Zen 5": 2, "Sapphire Rapids": 3}
HOW = (
    "Where a goal is for each case, the worst is shown. The grid's time is estimated: the measured epochs, feature "
    "passes and tests of all eight trainings and the overhead of each job, a student after its teacher, on all cores; "
    "making the data sets from their archives comes on top, once."
)


def training_seconds(rows: pd.DataFrame, dataset: str, kind: str, role: str) -> float:
    """One of our trainings in its process: epochs, the teacher's features, and the tests on the way."""
    row = rows.loc[(dataset, kind, role, "fast"), :]
    # the feature pass goes over each image twice
    inference = rows["feature_ms_per_image"][dataset, kind, "student", "fast"] / 2e3
    machine_seconds = EPOCHS * row["epoch_seconds"] + EVALUATIONS * DATASETS[dataset].n_test * inference
    return machine_seconds * row["processes"]


def makespan(pairs: list[tuple[float, float]], workers: int) -> float:
    """Seconds until the last of (teacher, student) is done, a student after its teacher, the longest left first."""
    ready = [(-teacher - student, teacher, student) for teacher, student in pairs]
    heapq.heapify(ready)
    running: list[tuple[float, float]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            _, seconds, then = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds, then))
        now, student = heapq.heappop(running)
        if student:
            heapq.heappush(ready, (-student, student, 0.0))
    return now


def grid_minutes(rows: pd.DataFrame, jobs: pd.Series) -> float:
    """The paper's grid of one seed on this machine, estimated from `medians` and the overhead of a job."""
    overhead, workers = jobs["job_overhead_seconds"], int(rows["processes"].max())
    pairs = [
        tuple(training_seconds(rows, dataset, kind, role) + overhead for role in METHODS)
        for dataset in DATASETS
        for kind in KINDS
    ]
    others = (2 * len(pairs) + PAGES) * overhead / workers
    return (jobs["planning_seconds"] + makespan(pairs, workers) + others) / 60


def goals(runs: pd.DataFrame, jobs: pd.Series, inference: pd.DataFrame) -> pd.DataFrame:
    """Each goal with the value that decides on it, the worst of its cases; `met` is None where it was not measured."""
    rows, compared = medians(runs), ratios(medians(runs))
    ours, plain = (rows.xs(engine, level="engine") for engine in ("fast", "reference"))
    students = ours.xs("student", level="role")
    on_gpu = (rows["device"] == "cuda").any()
    complete = len(ours) == len(DATASETS) * len(KINDS) * len(METHODS)
    generation = machine.generation(str(hardware()["cpu_id"]))
    found = []

    def add(
        goal: str,
        value: float | None,
        form: str,
        *,
        least: float | None = None,
        most: float | None = None,
        missing: str = "this is a GPU",
    ) -> None:
        """Compare a value with the least or the most that it may be; None is a value that was not measured."""
        met = None
        if value is not None and least is not None:
            met = bool(value >= least)
        elif value is not None and most is not None:
            met = bool(value <= most)
        found.append({"goal": goal, "measured": missing if value is None else form.format(value), "met": met})

    for role, least in GOALS.items():
        worst = None if on_gpu else compared["ratio"].xs(role, level="role").min()
        goal = f"{role} training, ours / reference, all cores: >= {least:g}x for each architecture and size"
        add(goal, worst, "{:.2f}x", least=least)
    share = None if on_gpu else ours["share_of_peak"].xs("resnet18", level="kind").min()
    goal = f"share of the CPU's peak, ResNet: >= {SHARE_OF_PEAK:.0%}, with AMX >= {SHARE_OF_PEAK_AMX:.0%}"
    add(goal, share, "{:.0%}", least=SHARE_OF_PEAK_AMX if machine.has_amx() else SHARE_OF_PEAK)
    costs = plain["distillation_cost"].dropna()
    form = f"{{:.1%}} (the reference: {costs.min():.0%} to {costs.max():.0%})"
    goal = "cost of distillation over plain training, per epoch: <= 5 %"
    add(goal, students["distillation_cost"].max(), form, most=0.05)
    add("MFD loss, share of a student's step: <= 3 %", students["mfd_loss_share"].max(), "{:.1%}", most=0.03)
    for what, name in (("features", "a teacher's features"), ("test", "the test set, in float32")):
        worst = (inference[f"{what}_ms"] / inference["plain_ms"]).max()
        add(f"{name}, ours / a plain pass in bfloat16: <= {GOAL}", worst, "{:.2f}x", most=GOAL)
    worst = None if on_gpu else ours["memory_mb"].max()
    add("memory of a training on a CPU: <= 1.2 GiB", worst, "{:.0f} MiB", most=1.2 * 1024)

    minutes = grid_minutes(rows, jobs) if complete and not on_gpu else None
    goal = f"the paper's grid, 1 seed, two cores: {_by_processor(GRID_MINUTES)}"
    add(goal, minutes, "{:.0f} min (estimated)", most=GRID_MINUTES.get(generation), missing="unmeasured")
    goal = f"the demo, without its environment, two cores: {_by_processor(DEMO_MINUTES)}"
    add(goal, jobs["demo_minutes"], "{:.1f} min", most=None if on_gpu else DEMO_MINUTES.get(generation))
    unmeasured = "unmeasured: no GPU"
    minutes = None if pd.isna(jobs["grid_minutes"]) else jobs["grid_minutes"]
    add("the paper's grid, 5 seeds, one data-centre GPU: <= 6 min", minutes, "{:.1f} min", most=6, missing=unmeasured)
    seconds = max(training_seconds(rows, "cifar10s", "resnet18", role) for role in METHODS) if on_gpu else None
    goal = "a CIFAR-10S ResNet-18 training, 20 epochs, that GPU: <= 12 s"
    add(goal, seconds, "{:.1f} s", most=12, missing=unmeasured)
    return pd.DataFrame(found)


def _by_processor(minutes: dict[str, int]) -> str:
    return ", ".join(f"<= {most} min on {name}" for name, most in minutes.items())


def to_markdown(table: pd.DataFrame, measured_on: str) -> str:
    text = markdown(table.assign(met=[yes_no(met) for met in table["met"]]))
    return f"# Goals\n\n{measured_on}\n\n{text}\n\n{HOW}\n"


def side_by_side(folder: Path) -> str:
    """The tables of all machines that are in `folder`, and their goals beside each other, as a page."""
    parts = [
        "# What was measured, by processor",
        "`make bench` writes the tables of its machine and this page. Each table names its commit; `h100` has what was "
        "measured in half an hour on a GPU.",
        "\n".join(
            f"- `{machine.name}`: " + ", ".join(f"[{page.stem}]({machine.name}/{page.name})" for page in pages)
            for machine in sorted(folder.iterdir())
            if (pages := sorted(machine.glob("*.md")))
        ),
    ]
    columns = {}
    for path in sorted(folder.glob("*/goals.csv")):
        table = pd.read_csv(path, keep_default_na=False).set_index("goal")
        said = {"True": " (met)", "False": " (not met)", "": ""}
        columns[path.parent.name] = table["measured"] + table["met"].map(said)
    if columns:
        shown = pd.DataFrame(columns).fillna("").rename_axis("goal").reset_index()
        parts += ["## Goals", markdown(shown), HOW]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=Path, default=machine.folder(), help="folder of the tables")
    args = parser.parse_args()
    jobs = pd.read_csv(args.output / "jobs.csv").iloc[0]
    runs, inference = (pd.read_csv(args.output / f"{name}.csv") for name in ("training", "inference"))
    table = goals(runs, jobs, inference)
    # the numbers in it are texts
    machine.write(args.output, "goals", table, to_markdown(table, machine.describe()), digits=6)
    (args.output.parent / "README.md").write_text(side_by_side(args.output.parent), encoding="utf-8")


if __name__ == "__main__":
    main()
