"""Whether the results of the fast engine differ from the reference engine's: accuracy and DEO over several seeds.

Teacher and MFD student of each architecture are trained on the embedded digits by both engines, with config/demo.yaml's
settings. Engines share seeds, and so initial weights and the order of images, but rounding parts their trainings after
some steps: what is left between them should be noise as between seeds.

The test, fixed before anything was run: for each of accuracy, DEO_A and DEO_M the differences fast - reference of all
pairs (architecture x role x seed, n of them) go into one two-sided t-test of mean 0. The engines agree if none of the
three p-values, corrected by Holm's method, is below 0.05. A student's difference may follow its teacher's; the pairs
count as independent all the same, which makes the test stricter. Where the two are the same, it fails once in 20 times.

"Agree" is the rule's word for a test that found no difference. That is no proof that there is none: the intervals say
how large a difference they leave room for, and are too narrow where a student's difference follows its teacher's.

On hardware with bfloat16 the fast engine's bf16 is compared with the reference's fp32 too, by a test of its own over
the architectures that `precision: auto` would compute so. Writes equivalence.csv and equivalence.md, which also has the
difference of each architecture and role by itself; these were no part of the rule.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import yaml
from scipy import stats
from tqdm import tqdm

from benchmarks import machine
from benchmarks.training_table import number, yes_no
from fairdistill.data import load_dataset
from fairdistill.data.preparing import prepare_dataset
from fairdistill.evaluation.metrics import cell_accuracy
from fairdistill.evaluation.seeds import holm
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import count_argument, folder_argument
from fairdistill.settings.configuration import complete
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.reading import read_settings
from fairdistill.settings.study import Study
from fairdistill.settings.training import Training
from fairdistill.training.computing import choose_device, choose_precision
from fairdistill.training.engines import fast, reference
from fairdistill.training.loop import TrainedModel, train

CONFIG = Path(__file__).parents[1] / "config" / "demo.yaml"
DATASET, STUDENT = "digits_s", "mfd"
METRICS = ["accuracy", "deo_a", "deo_m"]
SIGNIFICANCE_LEVEL = 0.05
PAIR = ["architecture", "role", "seed"]
SMALLEST = 5  # p-values of single cells that the page shows


def read_config() -> Study:
    """The demo's settings, with the defaults of all that it leaves out."""
    return complete(yaml.safe_load(CONFIG.read_text(encoding="utf-8")))


def train_pair(
    folder: Path, architecture: str, seed: int, engine: str, precision: str, epochs: int | None
) -> list[dict]:
    """Train a teacher and its student in this process; their test metrics."""
    study = read_config()
    changes = {"engine": engine, "precision": precision, "device": "auto", "evaluate_every": 0}
    if epochs:
        changes["epochs"] = epochs
    settings = read_settings(Training, study.training.to_json() | changes, where="training")
    # the same batches; beside another training there is no core left to load them on
    reference.WORKERS = 0
    dataset, network = load_dataset(folder), study.networks[architecture]
    rows, base = [], None
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        for role, name in (("teacher", TEACHER), ("student", STUDENT)):
            trained = train(dataset, network, study.method(name), settings, role=role, seed=seed, base=base)
            base = trained.network
            rows.append({"architecture": architecture, "role": role, "seed": seed, "engine": engine})
            rows[-1] |= {"precision": precision, **test_metrics(trained, folder)}
            rows[-1]["seconds"] = trained.seconds
    return rows


def test_metrics(trained: TrainedModel, folder: Path) -> dict[str, float]:
    """Accuracy and DEO on the test set, as in `fairdistill.evaluation.metrics.evaluate`."""
    dataset = load_dataset(folder)
    _, label, group = dataset.split("test")
    accuracy, count = cell_accuracy(
        label=label,
        group=group,
        prediction=trained.probabilities["test"].argmax(1),
        classes=dataset.classes,
        groups=dataset.groups,
    )
    gap = np.ptp(accuracy, axis=0)
    return {"accuracy": np.average(accuracy, weights=count), "deo_a": gap.mean(), "deo_m": gap.max()}


def pair(runs: pd.DataFrame, precision: str) -> pd.DataFrame:
    """The models that both the reference and the fast engine in `precision` trained: their metrics, side by side."""
    plain = runs[runs["engine"] == "reference"].set_index(PAIR)[METRICS]
    fast = runs[(runs["engine"] == "fast") & (runs["precision"] == precision)].set_index(PAIR)[METRICS]
    return pd.concat({"reference": plain, "fast": fast}, axis=1, join="inner").sort_index()


def compare(pairs: pd.DataFrame) -> pd.DataFrame:
    """The test of the docstring, a row for each metric; `different` says whether it found a difference."""
    rows = []
    for metric in METRICS:
        difference = pairs["fast", metric] - pairs["reference", metric]
        # over seeds, on average over architectures and roles
        noise = np.sqrt(pairs["reference", metric].groupby(level=["architecture", "role"]).var().mean())
        rows.append({"metric": metric, **estimate(difference), "seed_sd": noise})
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"])
    table["different"] = table["p_holm"] < SIGNIFICANCE_LEVEL
    return table


def estimate(difference: pd.Series) -> dict[str, float]:
    """The mean of differences with its 95 % interval, and p of the two-sided t-test of mean 0."""
    found = {"n": len(difference), "difference": difference.mean(), "low": 0.0, "high": 0.0, "p": 1.0}
    if difference.any():
        test = stats.ttest_1samp(difference, 0)
        low, high = test.confidence_interval()
        found |= {"low": low, "high": high, "p": test.pvalue}
    return found


def cells(runs: pd.DataFrame) -> pd.DataFrame:
    """The differences of each architecture, role, metric and precision by itself, p by Holm's method over all of them.

    `p_holm_of_precision` is over those of one precision alone.
    """
    rows = []
    for precision in _precisions(runs):
        pairs = pair(runs, precision)
        for (architecture, role), part in pairs.groupby(level=["architecture", "role"]):
            case = {"precision": precision, "architecture": architecture, "role": role}
            for metric in METRICS:
                rows.append({**case, "metric": metric, **estimate(part["fast", metric] - part["reference", metric])})
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"])
    table["p_holm_of_precision"] = table.groupby("precision")["p"].transform(holm)
    return table


def to_markdown(runs: pd.DataFrame, measured_on: str) -> str:
    """The test of each precision, what it leaves room for, the means behind it, and single cells."""
    seeds = runs["seed"].nunique()
    rule = [" ".join(part.split()) for part in __doc__.split("\n\n") if part.startswith(("The test", '"Agree"'))]
    sections = ["# The engines' results", measured_on, *rule]
    for precision in _precisions(runs):
        pairs = pair(runs, precision)
        table = compare(pairs)
        verdict = "**a difference was found**" if table["different"].any() else "no difference was found"
        sections += [
            f"## Fast in {precision} against reference in fp32: {verdict}",
            markdown(_test(table)),
            _room(table),
        ]
        sections.append(f"Mean over {seeds} seeds, reference / fast, and the reference's sd over seeds:")
        sections.append(markdown(_means(pairs)))
    if seeds > 1:
        table = cells(runs)
        sections += [
            "## Single cells",
            "The rule averages over architectures and roles. This table was not fixed beforehand and is no part of it: "
            f"of the {len(table)} cells, each an architecture, a role and a metric in one precision, those with the "
            f"smallest p of a paired t-test over {seeds} seeds. Holm's correction is over all cells, and in the last "
            "column over those of the same precision.",
            markdown(_cells(table)),
        ]
    return "\n\n".join(sections) + "\n"


def _precisions(runs: pd.DataFrame) -> list[str]:
    """Those of the fast engine."""
    return sorted(runs.loc[runs["engine"] == "fast", "precision"].unique(), reverse=True)


def _estimates(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": table["n"],
            "fast - reference": [number(value, "+.4f") for value in table["difference"]],
            "95 % interval": [
                f"{low:+.4f} to {high:+.4f}" for low, high in zip(table["low"], table["high"], strict=True)
            ],
        }
    )


def _test(table: pd.DataFrame) -> pd.DataFrame:
    text = table[["metric"]].join(_estimates(table))
    text["sd over seeds"] = [number(value, ".4f") for value in table["seed_sd"]]
    text["p"] = [number(value, ".3f") for value in table["p"]]
    text["p, Holm"] = [number(value, ".3f") for value in table["p_holm"]]
    text["difference found"] = [yes_no(different) for different in table["different"]]
    return text


def _room(table: pd.DataFrame) -> str:
    """The largest differences within the intervals, as a sentence."""
    largest = table[["low", "high"]].abs().max(axis=1)
    parts = [f"{value:.3f} in {metric}" for metric, value in zip(table["metric"], largest, strict=True)]
    return (
        f"The intervals leave room for differences of up to {', '.join(parts)}, averaged over architectures and roles."
    )


def _cells(table: pd.DataFrame) -> pd.DataFrame:
    shown = table.sort_values("p", kind="stable", ignore_index=True).head(SMALLEST)
    text = shown[["precision", "architecture", "role", "metric"]].join(_estimates(shown))
    for heading, column in (("p", "p"), ("p, Holm", "p_holm"), ("p, Holm, precision", "p_holm_of_precision")):
        text[heading] = [number(value, ".4f") for value in shown[column]]
    return text


def _means(pairs: pd.DataFrame) -> pd.DataFrame:
    groups = pairs.groupby(level=["architecture", "role"])
    mean, sd = groups.mean(), groups.std()
    text = mean.index.to_frame(index=False)
    for metric in METRICS:
        columns = zip(mean["reference", metric], mean["fast", metric], sd["reference", metric], strict=True)
        text[metric] = [f"{plain:.3f} / {fast:.3f} (sd {number(noise, '.3f')})" for plain, fast, noise in columns]
    return text


def trainings(precisions: list[str] | None, seeds: range) -> list[tuple[str, int, str, str]]:
    """(architecture, seed, engine, precision) of each pair to train; without `precisions` all that pay here."""
    study, device = read_config(), choose_device("auto")
    found = []
    for architecture in study.architectures:
        auto = choose_precision("auto", device, fast, study.networks[architecture].kind)
        wanted = precisions or sorted({"fp32", auto}, reverse=True)
        for seed in seeds:
            found.append((architecture, seed, "reference", "fp32"))
            found += [(architecture, seed, "fast", precision) for precision in wanted]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    by_default = "(default: %(default)s)"
    parser.add_argument(
        "--output", type=folder_argument, default=machine.folder(), help=f"folder for the tables {by_default}"
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16"),
        nargs="+",
        help="of the fast engine (default: fp32, and what `precision: auto` takes on this machine)",
    )
    parser.add_argument("--seeds", type=count_argument, default=3, help=f"how many seeds, from 0 on {by_default}")
    parser.add_argument(
        "--epochs", type=count_argument, help="fewer than the demo's, to try this program (default: the demo's)"
    )
    parser.add_argument(
        "--processes", type=count_argument, default=os.cpu_count(), help=f"trainings at a time {by_default}"
    )
    args = parser.parse_args()
    machine.prepare(args.output)
    jobs = trainings(args.precision, range(args.seeds))
    rows = []
    # torch must not be forked, and the fast engine changes how a process keeps memory
    pool = ProcessPoolExecutor(args.processes, mp_context=get_context("spawn"), max_tasks_per_child=1)
    with TemporaryDirectory() as folder, pool:
        prepare_dataset(Path(folder), read_config().data.sets[DATASET])
        # the slowest first
        jobs.sort(key=lambda job: (job[2] == "fast", job[0]))
        futures = [pool.submit(train_pair, Path(folder), *job, args.epochs) for job in jobs]
        for future in tqdm(as_completed(futures), total=len(futures), desc="equivalence", unit="pair", file=sys.stderr):
            rows += future.result()
    runs = pd.DataFrame(rows).sort_values([*PAIR, "engine", "precision"], ignore_index=True)
    machine.write_measured(args.output, "equivalence", runs, partial(to_markdown, runs), digits=6)


if __name__ == "__main__":
    run_script(main)
