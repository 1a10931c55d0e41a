"""The goals of speed and memory against what was measured, and the time of the whole grid. Writes goals.csv and .md.

Reads training.csv, inference.csv, memory.csv and jobs.csv, which the programs of these names wrote on the same machine;
where a table lacks cases, the goals that need them are unmeasured. README.md of results/bench sets the goals of all
machines side by side, and is written where the tables are in a folder of it.
"""

import argparse
import heapq
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from pandas.api.types import is_numeric_dtype

from benchmarks import machine
from benchmarks.cases import DATASETS, ENGINES, EPOCHS, EVALUATIONS, KINDS, METHODS, PARTS
from benchmarks.inference import GOAL
from benchmarks.training_table import CASE, GOALS, medians, ratios, yes_no
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import write_text
from fairdistill.runtime.progress import log
from fairdistill.settings.arguments import count_argument, folder_argument

# the columns that are read of each table: texts, and numbers
TEXTS = {
    "training": [*CASE, "engine", "precision", "device", "machine", "commit"],
    "inference": ["dataset", "kind", "precision", "machine", "commit"],
    "memory": ["dataset", "machine", "commit"],
    "jobs": ["machine", "commit"],
}
NUMBERS = {
    "training": ["round", "processes", "images_per_second", "epoch_seconds", "share_of_peak"],
    "inference": ["test_ms", "features_ms", "plain_ms", "plain_fp32_ms"],
    "memory": ["memory_mb"],
    "jobs": ["planning_seconds", "job_overhead_seconds", "demo_minutes", "grid_minutes"],
}
NUMBERS["training"] += ["mfd_loss_share", "feature_ms_per_image", *(f"{part}_ms" for part in PARTS)]
IMAGES = pd.MultiIndex.from_product([DATASETS, KINDS], names=["dataset", "kind"])
RUNS = pd.MultiIndex.from_product([DATASETS, KINDS, METHODS, ENGINES], names=[*CASE, "engine"])
# jobs after the trainings and their evaluations: one gathers, two make tables, five draw
PAGES = 8
# the least share of the peak, and the most minutes and seconds by the processor's generation
SHARE_OF_PEAK, SHARE_OF_PEAK_AMX = 0.5, 0.35
GRID_MINUTES = {"Zen 5": 40, "Sapphire Rapids": 75}
DEMO_SECONDS = {"Zen 5": 120, "Sapphire Rapids": 180}
# by the processor's generation, how long making the environment took there, by hand: see NOTES.md
ENVIRONMENT_SECONDS = {"made from uv's cache": {"Zen 5": 7}, "downloaded": {"Zen 5": 60}}
BENCH_MINUTES = 20
HOW = (
    "If a goal covers several cases, the worst is shown. The share of the peak is of useful operations, without kernel "
    "taps that meet padding. The grid's time is estimated from the measured epochs, feature passes and tests of all "
    "eight trainings and the overhead of each job, with a student after its teacher, on all cores; making the data "
    "sets from their archives is not included, and is needed once. `make bench` measures what a table lacks, but "
    "not the making of the environment, which was timed by hand. The cost of distillation is a student's epoch over a "
    "teacher's, measured one after the other, so that the machine's noise is in it; by its parts it is what the "
    "teacher's features and the MFD loss take of a student's own step, which is too low. Where it is said of a number "
    "neither that it meets a goal nor that it does not, there is no goal for that processor."
)


def training_seconds(rows: pd.DataFrame, inference: pd.DataFrame, dataset: str, kind: str, role: str) -> float:
    """One of our trainings in its process: epochs, the teacher's features, and the tests on the way.

    `rows` are `medians`. `inference` has by data set and kind, as `test_ms`, the milliseconds that a test image takes
    in float32, of one process with none beside it.
    """
    row = rows.loc[(dataset, kind, role, "fast"), :]
    tests = EVALUATIONS * DATASETS[dataset].n_test * inference["test_ms"][dataset, kind] / 1e3
    # the epochs are those of the whole machine
    return EPOCHS * row["epoch_seconds"] * row["processes"] + tests


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


def grid_minutes(rows: pd.DataFrame, inference: pd.DataFrame, jobs: pd.Series) -> float:
    """The paper's grid of one seed on this machine, estimated as in `training_seconds` with the overhead of a job.

    NaN where one of these was not measured.
    """
    overhead, processes = jobs["job_overhead_seconds"], rows.xs("fast", level="engine")["processes"].max()
    pairs = [
        tuple(training_seconds(rows, inference, dataset, kind, role) + overhead for role in METHODS)
        for dataset, kind in IMAGES
    ]
    if pd.isna([processes, *sum(pairs, ())]).any():
        return float("nan")
    workers = int(processes)
    others = (2 * len(pairs) + PAGES) * overhead / workers
    return (jobs["planning_seconds"] + makespan(pairs, workers) + others) / 60


def read(folder: Path, name: str) -> pd.DataFrame:
    """Return a table of a machine; a UserError says that it is missing or incomplete, and what makes it."""
    path = folder / f"{name}.csv"
    remedy = f"`python -m benchmarks.{name} --output {folder}` makes it"
    if not path.exists():
        raise UserError(f"{path}: there is no such table; {remedy}")
    try:
        table = pd.read_csv(path)
    except ValueError as error:
        raise UserError(f"{path}: not readable as a table ({error}); {remedy} anew") from error
    if missing := [column for column in [*TEXTS[name], *NUMBERS[name]] if column not in table]:
        raise UserError(f"{path}: has no {', '.join(missing)}; {remedy} anew")
    if table.empty:
        raise UserError(f"{path}: has no rows; {remedy} anew")
    if texts := [column for column in NUMBERS[name] if not is_numeric_dtype(table[column])]:
        raise UserError(f"{path}: not all are numbers in {', '.join(texts)}; {remedy} anew")
    return table


def goals(tables: Mapping[str, pd.DataFrame], seconds: float | None = None) -> pd.DataFrame:
    """Each goal with the value that decides on it, the worst of its cases; `met` is None where it was not measured.

    `machine` and `commit` are those of the tables that a value is from. `seconds` is what all of `make bench` took.
    """
    rows = medians(tables["training"]).reindex(RUNS)
    compared, jobs = ratios(rows), tables["jobs"].iloc[0]
    inference = tables["inference"].groupby(["dataset", "kind"])[NUMBERS["inference"]].median().reindex(IMAGES)
    ours, plain = (rows.xs(engine, level="engine") for engine in ("fast", "reference"))
    students = ours.xs("student", level="role")
    on_gpu = (rows["device"] == "cuda").any()
    measured_on = {
        name: {column: _joined(table[column]) for column in ("machine", "commit")} for name, table in tables.items()
    }
    generation = machine.generation(measured_on["training"]["machine"])
    found = []

    def add(
        goal: str,
        values: pd.Series | float,
        form: str,
        *,
        of: tuple[str, ...] = ("training",),
        least: float | None = None,
        most: float | None = None,
        unmeasured: str = "",
    ) -> None:
        """Compare the worst of the values, of which NaN was not measured, with the least or the most that it may be.

        `of` are the tables that the values are from, and `unmeasured` the reason why there can be none.
        """
        values = pd.Series(values, dtype=float)
        known, worst = values.notna().sum(), values.min() if least is not None else values.max()
        row: dict = {"goal": goal, "measured": form.format(worst), "met": None}
        if unmeasured:
            row["measured"] = unmeasured
        elif known < len(values):
            names = " or ".join(f"{name}.csv" for name in of)
            how_many = f"{known} of {len(values)} cases" if len(values) > 1 else "missing"
            row["measured"] = f"unmeasured: {how_many} in {names}"
        elif least is not None:
            row["met"] = bool(worst >= least)
        elif most is not None:
            row["met"] = bool(worst <= most)
        for column in ("machine", "commit"):
            row[column] = "" if unmeasured else _joined(pd.Series([measured_on[name][column] for name in of]))
        found.append(row)

    of_cpus = "this is a GPU" if on_gpu else ""
    for role, at_least in GOALS.items():
        goal = f"{role} training, ours / reference, all cores: >= {at_least:g}x for each architecture and size"
        add(goal, compared["ratio"].xs(role, level="role"), "{:.2f}x", least=at_least, unmeasured=of_cpus)
    goal = f"share of the CPU's peak, ResNet: >= {SHARE_OF_PEAK:.0%}, with AMX >= {SHARE_OF_PEAK_AMX:.0%}"
    share = SHARE_OF_PEAK_AMX if "AMX" in measured_on["training"]["machine"] else SHARE_OF_PEAK
    add(goal, ours["share_of_peak"].xs("resnet18", level="kind"), "{:.0%}", least=share, unmeasured=of_cpus)
    costs = plain["distillation_cost"].dropna()
    by_parts = students["cost_by_parts"].max()
    form = "{:.1%}" + ("" if pd.isna(by_parts) else f", {by_parts:.1%} by its parts")
    form += f" (the reference: {costs.min():.0%} to {costs.max():.0%})" if len(costs) else ""
    goal = "cost of distillation over plain training, per epoch: <= 5 %"
    add(goal, students["distillation_cost"], form, most=0.05)
    add("MFD loss, share of a student's step: <= 3 %", students["mfd_loss_share"], "{:.1%}", most=0.03)
    form = f"{{:.2f}}x ({_joined(tables['inference']['precision'])})"
    in_fp32 = (inference["test_ms"] / inference["plain_fp32_ms"]).max()
    beside = {"features": "", "test": f"; {in_fp32:.2f}x a plain pass in fp32"}
    for what, name in (("features", "a teacher's features"), ("test", "the test set, in float32")):
        goal = f"{name}, ours / a plain pass in the precision of training: <= {GOAL}"
        add(goal, inference[f"{what}_ms"] / inference["plain_ms"], form + beside[what], of=("inference",), most=GOAL)
    goal = "memory of a whole training on a CPU, a ResNet-18 student: <= 1.2 GiB"
    memory = tables["memory"].groupby("dataset")["memory_mb"].max().reindex(list(DATASETS))
    add(goal, memory, "{:.0f} MiB", of=("memory",), most=1.2 * 1024)

    goal = f"the paper's grid, 1 seed, two cores: {_by_processor(GRID_MINUTES, 'min')}"
    limit, needed = GRID_MINUTES.get(generation), ("training", "inference", "jobs")
    minutes = grid_minutes(rows, inference, jobs)
    add(goal, minutes, "{:.0f} min (estimated)", of=needed, most=limit, unmeasured=of_cpus)
    demo, limit = 60 * jobs["demo_minutes"], DEMO_SECONDS.get(generation)
    alone = "" if pd.isna(demo) else f"unmeasured: {demo:.1f} s without its environment"
    for how, by_hand in ENVIRONMENT_SECONDS.items():
        goal = f"the demo with its environment, {how}, two cores: {_by_processor(DEMO_SECONDS, 's')}"
        if on_gpu or generation not in by_hand:
            add(goal, float("nan"), "", of=("jobs",), unmeasured=alone)
        else:
            made = by_hand[generation]
            form = f"{{:.0f}} s: {demo:.1f} s, and some {made} s of the environment by hand"
            add(goal, demo + made, form, of=("jobs",), most=limit)
    one_by_one = "unmeasured: its programs ran one by one" if seconds is None else ""
    goal, every = f"all of `make bench`: <= {BENCH_MINUTES} min", tuple(tables)
    add(goal, (seconds or 0) / 60, "{:.1f} min", of=every, most=BENCH_MINUTES, unmeasured=one_by_one)
    no_gpu = "unmeasured: no GPU"
    goal = "the paper's grid, 5 seeds, one data-centre GPU: <= 6 min"
    minutes = jobs["grid_minutes"]
    add(goal, minutes, "{:.1f} min", of=("jobs",), most=6, unmeasured=no_gpu if pd.isna(minutes) and not on_gpu else "")
    times = pd.Series([training_seconds(rows, inference, "cifar10s", "resnet18", role) for role in METHODS])
    goal = "a CIFAR-10S ResNet-18 training, 20 epochs, that GPU: <= 12 s"
    add(goal, times, "{:.1f} s", of=("training", "inference"), most=12, unmeasured="" if on_gpu else no_gpu)
    return pd.DataFrame(found)


def _joined(texts: pd.Series) -> str:
    """The different texts of a column."""
    return ", ".join(texts.dropna().unique())


def _by_processor(most: dict[str, int], unit: str) -> str:
    return ", ".join(f"<= {limit} {unit} on {name}" for name, limit in most.items())


def to_markdown(table: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> str:
    """The goals as a page; `tables` are those that they were read from."""
    # the first digits of a commit are enough to find it
    commits = table["commit"].str.replace(r"\b([0-9a-f]{9})[0-9a-f]+", r"\1", regex=True)
    shown = table[["goal", "measured"]].assign(met=[yes_no(met) for met in table["met"]], commit=commits)
    heads: dict[str, list[str]] = {}
    for name, each in tables.items():
        measured = {column: _joined(each[column]) for column in ("machine", "commit")}
        heads.setdefault(machine.describe(measured), []).append(f"{name}.csv")
    lines = "\n".join(f"- {', '.join(names)}: {head[0].lower()}{head[1:]}" for head, names in heads.items())
    return f"# Goals\n\n{lines if len(heads) > 1 else next(iter(heads))}\n\n{markdown(shown)}\n\n{HOW}\n"


def side_by_side(folder: Path) -> str:
    """The tables of all machines that are in `folder`, and their goals beside each other, as a page."""
    parts = [
        "# What was measured, by processor",
        "`make bench` writes this page and the tables of its machine, but for `convolutions`, `equivalence`, "
        "`own_images` and `workflow`, whose programs are run one by one, and those of a GPU. Each page names the "
        "machine and the commit. [NOTES.md](../../benchmarks/NOTES.md) says why goals are missed, and what an earlier "
        "engine took on a Sapphire Rapids.",
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
        by_hand = [f"[{page.parent.name}]({page.parent.name}/README.md)" for page in sorted(folder.glob("*/README.md"))]
        if by_hand:
            parts.append(f"Goals of a GPU were measured without `make bench`: {', '.join(by_hand)} has the results.")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=folder_argument, default=machine.folder(), help="folder of the tables")
    parser.add_argument("--seconds", type=count_argument, help="what all of `make bench` took until now")
    args = parser.parse_args()
    tables = {name: read(args.output, name) for name in NUMBERS}
    table = goals(tables, args.seconds)
    # the numbers in it are texts
    machine.write(args.output, "goals", table, to_markdown(table, tables), digits=6)
    folder = args.output.resolve().parent
    if folder == (machine.ROOT / machine.RESULTS).resolve():
        write_text(folder / "README.md", side_by_side(folder))
        log(f"Written: {folder / 'README.md'}")


if __name__ == "__main__":
    run_script(main)
