"""From the metrics file of each model to tidy tables: one row per model, and mean, sd, n over seeds."""

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from fairdistill.errors import UserError
from fairdistill.files import write_text

METRICS = ["accuracy", "deo_a", "deo_m", "worst_group_accuracy"]
MODEL = ["dataset", "architecture", "role", "method"]
RUN = ["study", *MODEL, "seed"]


def read_json(path: Path | str) -> dict:
    """Return the object in a JSON file; a UserError names a file that is damaged."""
    try:
        record = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON ({error}); delete it and make it again") from error
    if not isinstance(record, dict):
        raise UserError(f"{path}: holds {type(record).__name__}, not an object of named fields")
    return record


def read_metrics(paths: Iterable[Path | str]) -> pd.DataFrame:
    """Return the tidy table of runs, one row per metrics file, sorted; paths are read, never parsed.

    Columns: study, dataset, architecture, role, method, seed; accuracy, deo_a, deo_m and worst_group_accuracy
    (fractions 0..1); n_test (images), epochs, seconds (of training), code (version).

    Raises
    ------
    UserError
        If there is no file, one is damaged or lacks a field, two are of the same model, or studies are mixed.
    """
    source, rows = {}, []
    for path in paths:
        row = _row(path, read_json(path))
        run = tuple(row[name] for name in RUN)
        if run in source:
            raise UserError(f"{path}: the same model as {source[run]} ({', '.join(map(str, run))}); keep one")
        source[run] = path
        rows.append(row)
    if not rows:
        raise UserError("no metrics file to aggregate; give a folder that has some")
    runs = pd.DataFrame(rows)
    if runs["study"].nunique() > 1:
        studies = ", ".join(sorted(runs["study"].unique()))
        raise UserError(f"metrics of several studies ({studies}); aggregate one at a time")
    return _ordered(runs, RUN)


def select(runs: pd.DataFrame, grid: Mapping[str, Collection]) -> pd.DataFrame:
    """Keep the runs of a grid: `grid` names the values that a column (dataset, method, seed, ...) may have.

    Raises
    ------
    UserError
        No run has one of those values.
    """
    for column, values in grid.items():
        if column not in RUN:
            raise UserError(f"--grid: unknown column '{column}'; choose from {', '.join(RUN)}")
        if missing := set(values) - set(runs[column]):
            raise UserError(f"no metrics file has {column} {min(missing)!r}; evaluate that model first")
        runs = runs[runs[column].isin(values)]
    return runs.reset_index(drop=True)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean, sd (ddof = 1; missing when n = 1) and n over seeds, one row per model and metric."""
    tidy = runs.melt(id_vars=[*MODEL, "seed"], value_vars=METRICS, var_name="metric")
    summary = tidy.groupby([*MODEL, "metric"], sort=False)["value"].agg(mean="mean", sd="std", n="size")
    return _ordered(summary.reset_index(), MODEL)


def average_datasets(runs: pd.DataFrame, datasets: Iterable[str]) -> pd.DataFrame:
    """Return mean, sd and n over seeds of each metric's average over `datasets`, as the paper averages them.

    A seed counts where all the data sets have it. Index: architecture, role, method, metric.
    """
    datasets = set(datasets)
    tidy = runs[runs["dataset"].isin(datasets)].melt(id_vars=[*MODEL, "seed"], value_vars=METRICS, var_name="metric")
    seeds = tidy.groupby(["architecture", "role", "method", "metric", "seed"])["value"].agg(["mean", "size"])
    complete = seeds.loc[seeds["size"] == len(datasets), "mean"]
    return complete.groupby(["architecture", "role", "method", "metric"]).agg(mean="mean", sd="std", n="size")


def read_runs(path: Path | str) -> pd.DataFrame:
    """Return the table that `aggregate_results` wrote as runs.csv."""
    runs = pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(["study", *MODEL], str))
    if missing := [name for name in [*RUN, *METRICS] if name not in runs]:
        raise UserError(f"{path}: column '{missing[0]}' is missing; make it with scripts.aggregate_results")
    return runs


def write_csv(path: Path | str, frame: pd.DataFrame) -> None:
    """Write a table with ten significant digits, so that it is the same on every machine."""
    write_text(path, frame.to_csv(index=False, float_format="%.10g"))


def _ordered(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Sort by the named columns, each teacher before its students."""
    return frame.sort_values(by, ascending=[name != "role" for name in by], ignore_index=True)


def _row(path: Path | str, record: dict) -> dict:
    try:
        return {
            **{name: record["run"][name] for name in RUN},
            **{name: record["metrics"][name] for name in METRICS},
            "n_test": record["metrics"]["n"],
            "epochs": record["parameters"]["training"]["epochs"],
            "seconds": record["seconds"],
            "code": record["code"],
        }
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: lacks the field {error}; evaluate the model again") from error
