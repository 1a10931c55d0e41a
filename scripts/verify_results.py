"""Recompute what a study publishes, and say what does not match.

The tables are made again from the metrics of the models that runs.csv lists, which may leave out no seed of them, and
compared to the letter. All numbers in each metrics file are held against the correctness in it, and against the
predictions of its model where those are there; what another version of numpy drew, whose random numbers are others, to
0.01. Files of a model must have the checksums in its metrics file, and a student's teacher must be the study's.
Exits with status 1 where anything differs.
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from snakemake.utils import update_config

from fairdistill.evaluation.correctness import from_metrics
from fairdistill.evaluation.metrics import evaluate_file, score
from fairdistill.reporting.ablations import (
    ablations,
    ablations_latex,
    ablations_markdown,
    compared_runs,
    in_order,
    read_parts,
)
from fairdistill.reporting.paper.comparison import compare, comparison_markdown, read_paper_values
from fairdistill.reporting.paper.conclusions import judge
from fairdistill.reporting.runs import (
    MEASURED,
    MODEL,
    RUN,
    csv_text,
    pair_with_teachers,
    read_correctness,
    read_metrics,
    read_paired,
    read_runs,
    summarise,
)
from fairdistill.reporting.tables import paired_markdown, table1, table1_latex, table1_markdown
from fairdistill.runtime.errors import UserError, run
from fairdistill.runtime.files import read_json, sha256
from fairdistill.settings.reading import complete, grids, method_of_paper

ROOT = Path(__file__).parents[1]
PREDICTIONS = "predictions.parquet"
ROUNDING = 1e-9
# what was drawn by another numpy, whose random numbers are others, or inferred on another machine: an image of 100
DRAWN = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/paper"), help="folder of the study")
    parser.add_argument(
        "--configfile", nargs="*", type=Path, default=[], help="of the study, read on top of config/config.yaml"
    )
    args = parser.parse_args()
    config = configuration(args.configfile)

    metrics = sorted((args.results / "metrics").rglob("*.json"))
    wrong = [difference for path in metrics for difference in differences_of_metrics(path, args.results)]
    published = {path.name: path for path in (args.results / "tables").glob("*.*")}
    if "runs.csv" not in published:
        raise UserError(f"{args.results}/tables/runs.csv is missing: there is nothing to verify")
    everything = read_metrics(metrics)
    wrong += left_out(everything, read_runs(published["runs.csv"]))
    if "splits.csv" in published:
        wrong += differences_of_splits(published.pop("splits.csv"), args.results)
    again = tables(everything, metrics, published, config)
    wrong += [f"tables/{name} is of nothing that this configuration makes" for name in published if name not in again]
    for name, text in again.items():
        if name not in published:
            wrong.append(f"tables/{name} is missing")
        elif difference := first_difference(published[name].read_text(encoding="utf-8"), text):
            wrong.append(f"tables/{name}: {difference}")
    if wrong:
        sys.exit("\n".join([*wrong, f"error: {len(wrong)} of the results do not follow from what they are made of"]))
    predicted = sum((folder_of(path, args.results) / PREDICTIONS).exists() for path in metrics)
    print(f"{args.results}: {len(metrics)} metrics files and the tables from them hold, {predicted} with predictions")


def configuration(files: list[Path]) -> dict:
    """Return the configuration that Snakemake has with these files given as --configfile."""
    config: dict = {}
    for path in [ROOT / "config" / "config.yaml", *files]:
        update_config(config, yaml.safe_load(path.read_text(encoding="utf-8")))
    return complete(config)


def tables(everything: pd.DataFrame, metrics: list[Path], published: dict[str, Path], config: dict) -> dict[str, str]:
    """Make the text of every table of the study again, by file name; `everything` is read from the files `metrics`."""
    runs = everything.merge(read_runs(published["runs.csv"])[RUN].drop_duplicates())
    correctness = read_correctness(metrics)
    paired = pair_with_teachers(runs, correctness)
    texts = {"runs.csv": csv_text(runs), "summary.csv": csv_text(summarise(runs))}
    texts |= {"paired.csv": csv_text(paired), "paired.md": paired_markdown(paired)}
    # what follows was made from the tables, with their digits
    runs, paired = read_runs(io.StringIO(texts["runs.csv"])), read_paired(io.StringIO(texts["paired.csv"]))
    texts |= {"table1.csv": csv_text(table1(runs)), "table1.md": table1_markdown(runs)}
    texts["table1.tex"] = table1_latex(runs)
    if "ablations.csv" in published:
        compared = everything.merge(compared_runs(published["ablations.csv"]))
        table = ablations(compared, correctness, read_parts(metrics), order=in_order(grids(config)))
        texts |= {"ablations.csv": csv_text(table), "ablations.md": ablations_markdown(table)}
        texts["ablations.tex"] = ablations_latex(table)
    if config["paper_values"]:
        method = method_of_paper(config)
        comparison = compare(runs, paired, read_paper_values(config["paper_values"]), method=method)
        verdicts = judge(paired, method=method)
        texts |= {"paper_vs_reproduced.csv": csv_text(comparison), "paper_conclusions.csv": csv_text(verdicts)}
        texts["paper_vs_reproduced.md"] = comparison_markdown(comparison, verdicts, method=method)
    return texts


def differences_of_metrics(path: Path, results: Path) -> list[str]:
    """Say what in a metrics file does not follow from its correctness and from the predictions of its model."""
    record = read_json(path)
    names = {"classes": record["classes"], "groups": record["groups"]}
    metrics = record["metrics"]
    again = score(from_metrics(metrics, **names), **names)
    source = "the correctness"
    if "correctness" not in metrics:
        # of an earlier version, which held no more than these
        source, again = "the cells", {name: again[name] for name in again if name not in ("correctness", "uncertainty")}
    same_draws = record.get("evaluation_versions", {}).get("numpy") == np.__version__
    drawn = ROUNDING if same_draws else DRAWN
    found = [f"{path}: {name} does not follow from {source}" for name in differing(metrics, again, drawn)]
    folder = folder_of(path, results)
    if (predictions := folder / PREDICTIONS).exists():
        again = evaluate_file(predictions, **names)
        found += [f"{path}: {name} does not follow from {predictions}" for name in differing(metrics, again, drawn)]
    for name, digest in record.get("outputs", {}).items():
        if (file := folder / name).exists() and sha256(file) != digest:
            found.append(f"{path}: {file} is another than the one evaluated")
    return found + differences_of_teacher(path, record, results)


def folder_of(path: Path, results: Path) -> Path:
    """Where the outputs of the model are, if they are kept, whose metrics file is `path`."""
    return results / "models" / path.relative_to(results / "metrics").with_suffix("")


def differences_of_teacher(path: Path, record: dict, results: Path) -> list[str]:
    """Say where a student was distilled from another teacher than the one that the study has evaluated."""
    run, digest = record["run"], record.get("inputs", {}).get("teacher")
    place = results / "metrics" / run["dataset"] / run.get("teacher", run["architecture"])
    teacher = place / "teacher" / f"seed{run['seed']}.json"
    evaluated = read_json(teacher).get("outputs", {}).get("weights.safetensors") if teacher.exists() else None
    if None in (digest, evaluated) or digest == evaluated:
        return []
    return [f"{path}: its teacher is another than that of {teacher}"]


def differences_of_splits(path: Path, results: Path) -> list[str]:
    """Hold what scripts.compare_splits measured on test images against the metrics; the rest needs the weights."""
    wrong = []
    for row in pd.read_csv(path).query("split == 'test'").to_dict("records"):
        model = Path(row["dataset"], row["architecture"], row["method"], f"seed{row['seed']}.json")
        metrics = read_json(results / "metrics" / model)["metrics"]
        # in other batches or on another machine an image may fall on the other side
        wrong += [
            f"tables/{path.name}: {name} is not that of metrics/{model}"
            for name in MEASURED
            if abs(row[name] - metrics[name]) > DRAWN
        ]
    return wrong


def left_out(metrics: pd.DataFrame, published: pd.DataFrame) -> list[str]:
    """Name the seeds of published models that were evaluated and are not published."""
    of_models = metrics.merge(published[MODEL].drop_duplicates())
    runs = set(published[RUN].itertuples(index=False, name=None))
    return [
        f"tables/runs.csv leaves out {' '.join(map(str, run))}"
        for run in of_models[RUN].itertuples(index=False, name=None)
        if run not in runs
    ]


def differing(one: dict, other: dict, drawn: float) -> list[str]:
    """Name the fields that are not the same in both, `uncertainty` to `drawn`."""
    tolerance = {"uncertainty": drawn}
    names = sorted(one.keys() | other.keys())
    return [name for name in names if not equal(one.get(name), other.get(name), tolerance.get(name, ROUNDING))]


def equal(one: object, other: object, tolerance: float) -> bool:
    """Whether two JSON values are the same, numbers to `tolerance`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(*pair, tolerance) for pair in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance
    return one == other


def first_difference(published: str, again: str) -> str:
    """Name the first line in which two texts differ; empty where they are the same."""
    lines = published.splitlines(), again.splitlines()
    for number, (one, other) in enumerate(zip(*lines, strict=False), start=1):
        if one != other:
            return f"line {number} is '{one}', and should be '{other}'"
    return "" if len(lines[0]) == len(lines[1]) else f"has {len(lines[0])} lines, and should have {len(lines[1])}"


if __name__ == "__main__":
    run(main)
