"""From the metrics file of each model to tidy tables: one row per model, its means over seeds, its gap to the teacher.

Intervals are at 95 %. Those of the test set say what other test images could have given, those of seeds what other
seeds could have: `uncertainty` and `seeds` of `fairdistill.evaluation`.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from fairdistill.evaluation.correctness import Correctness, from_metrics
from fairdistill.evaluation.seeds import holm, sign_flip_p, t_interval
from fairdistill.evaluation.uncertainty import ENDS, assess, gap_intervals, verdict
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json, write_text

METRICS = ["accuracy", "deo_a", "deo_m", "worst_group_accuracy"]
MODEL = ["dataset", "architecture", "role", "method"]
RUN = ["study", *MODEL, "seed"]
# what has an interval from the test set
MEASURED = ["accuracy", "deo_a", "deo_m"]
DEO = ["deo_a", "deo_m"]
UNCERTAINTY = [
    *(f"{metric}_{end}" for metric in MEASURED for end in ("low", "high")),
    *(
        f"{deo}_{part}"
        for deo in DEO
        for part in ("corrected", "fair_baseline", "fair_baseline_low", "fair_baseline_high", "verdict")
    ),
]
# marks the second model's columns in a table of pairs
OTHER = "_other"
ESTIMATE = ["sd", "n", "seeds_low", "seeds_high", "test_low", "test_high"]
DIFFERENCE = ["metric", "value", "other", "difference", *ESTIMATE, "p"]
PAIRED = [
    *("dataset", "architecture", "method", "metric", "teacher", "student", "difference"),
    *(*ESTIMATE, "p", "p_holm"),
]


def read_metrics(paths: Iterable[Path | str]) -> pd.DataFrame:
    """Return the tidy table of runs, one row per metrics file, sorted; paths are read, never parsed.

    Columns: study, dataset, architecture, role, method, seed; teacher (the architecture of the teacher that a student
    stands beside: its own, if it was not distilled from another); accuracy, deo_a, deo_m and worst_group_accuracy
    (fractions 0..1); the test-set interval of the first three (`_low`, `_high`), and of each DEO the `_corrected`
    value, the mean and 95 % range of a fair classifier's (`_fair_baseline`, `_fair_baseline_low`,
    `_fair_baseline_high`) and the `_verdict`; paired (whether copies of an image are known as such), n_test (images),
    epochs, seconds (of training), code (version). Files of an earlier version have no uncertainty: it is computed from
    their cells.

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


def read_correctness(paths: Iterable[Path | str]) -> dict[tuple, Correctness]:
    """Return the correctness of each model, by the values of `RUN`, from files that `read_metrics` has accepted."""
    found = {}
    for path in paths:
        record = read_json(path)
        try:
            found[tuple(record["run"][name] for name in RUN)] = _correctness(record)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: its correctness is damaged ({error}); evaluate the model again") from error
    return found


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Return each metric over seeds, one row per model and metric.

    Columns: mean, sd (ddof = 1), n; seeds_low and seeds_high, the t-interval of the mean. From the test set, as means
    over seeds: test_low and test_high; for DEO corrected, fair_baseline, fair_baseline_low and fair_baseline_high, and
    the verdict on the mean. sd and t-interval are missing where n = 1.
    """
    rows = []
    for model, seeds in runs.groupby(MODEL, sort=False):
        for metric in METRICS:
            row = dict(zip(MODEL, model, strict=True)) | {"metric": metric} | _over_seeds(seeds[metric])
            if metric in MEASURED:
                row |= {f"test_{end}": seeds[f"{metric}_{end}"].mean() for end in ("low", "high")}
            if metric in DEO:
                parts = ("corrected", "fair_baseline", "fair_baseline_low", "fair_baseline_high")
                row |= {part: seeds[f"{metric}_{part}"].mean() for part in parts}
                row["verdict"] = verdict(row["mean"], row["fair_baseline_high"])
            rows.append(row)
    return _ordered(pd.DataFrame(rows), MODEL)


def beside_teachers(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the students, each row with its teacher's in the columns with the suffix `OTHER`.

    A student's teacher is the one of its data set, seed and architecture, or of the architecture that it was
    distilled from; seeds that lack either do not count.
    """
    students, teachers = (runs[runs["role"] == role] for role in ("student", "teacher"))
    return students.merge(
        teachers,
        left_on=["study", "dataset", "teacher", "seed"],
        right_on=["study", "dataset", "architecture", "seed"],
        suffixes=("", OTHER),
    )


def pair_with_teachers(runs: pd.DataFrame, correctness: Mapping[tuple, Correctness]) -> pd.DataFrame:
    """Return student minus teacher over seeds, one row per student and metric (accuracy, deo_a, deo_m).

    Which teacher: see `beside_teachers`.

    Columns: dataset, architecture, method, metric; teacher, student (means over the seeds that count); difference and
    what follows it as of `differences`; p, of the exact sign-flip test, and p_holm, corrected over the table.

    Parameters
    ----------
    runs : DataFrame
        One row per model, see `read_metrics`.
    correctness : mapping
        See `read_correctness`.
    """
    table = differences(beside_teachers(runs), correctness, by=PAIRED[:3])
    table = table.rename(columns={"value": "student", "other": "teacher"})[PAIRED[:-1]]
    return table.assign(p_holm=holm(table["p"].astype(float)))


def differences(pairs: pd.DataFrame, correctness: Mapping[tuple, Correctness], *, by: list[str]) -> pd.DataFrame:
    """Return the difference between the two models of each pair, over seeds: one row per group of pairs and metric.

    Columns: those of `by`; metric; value, other (means over seeds) and difference; sd, n; seeds_low and seeds_high, the
    t-interval of the difference; test_low and test_high, its test-set interval (mean over seeds of the ends); p, of
    the exact sign-flip test. What needs two seeds is missing where n = 1.

    Parameters
    ----------
    pairs : DataFrame
        One row per pair and seed: the columns of one run and, with the suffix `OTHER`, those of the other.
    correctness : mapping
        See `read_correctness`.
    by : names of the columns that tell groups of pairs apart
    """
    gaps = [_gaps(pair, correctness) for pair in pairs.to_dict("records")]
    rows = []
    for names, seeds in pairs.reset_index(drop=True).groupby(by, sort=False):
        for metric in MEASURED:
            value, other = seeds[metric], seeds[f"{metric}{OTHER}"]
            ends = pd.DataFrame([gaps[i][metric] for i in seeds.index], columns=["low", "high"]).mean()
            over = _over_seeds(value - other)
            rows.append(
                {
                    **dict(zip(by, names, strict=True)),
                    "metric": metric,
                    "value": value.mean(),
                    "other": other.mean(),
                    "difference": over.pop("mean"),
                    **over,
                    "test_low": ends["low"],
                    "test_high": ends["high"],
                    "p": sign_flip_p(value - other),
                }
            )
    return pd.DataFrame(rows, columns=[*by, *DIFFERENCE])


def runs_of(pair: Mapping) -> tuple[Mapping, Mapping]:
    """Return the two runs of one row of a table of pairs, see `differences`."""
    return pair, {name: pair.get(f"{name}{OTHER}", value) for name, value in pair.items()}


def margins(difference: Mapping) -> tuple[float, float]:
    """Return how far below and above a difference its joined 95 % interval reaches.

    The noise of the test set and, over several seeds, of the seeds, in quadrature.

    Parameters
    ----------
    difference : mapping
        A row of `differences`.
    """
    value = difference["difference"]
    seeds = np.nan_to_num(difference["seeds_high"] - value)
    # the corrected difference may lie beside the raw one, whose interval then reaches no further than it
    down, up = (max(0.0, end) for end in (value - difference["test_low"], difference["test_high"] - value))
    return float(np.hypot(down, seeds)), float(np.hypot(up, seeds))


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
    if missing := [name for name in [*RUN, *METRICS, *UNCERTAINTY] if name not in runs]:
        raise UserError(f"{path}: column '{missing[0]}' is missing; make it with scripts.aggregate_results")
    return runs


def read_paired(path: Path | str) -> pd.DataFrame:
    """Return the table that `aggregate_results` wrote as paired.csv."""
    paired = pd.read_csv(
        path, dtype=dict.fromkeys(PAIRED[:4], str), keep_default_na=False, na_values=dict.fromkeys(PAIRED[4:], "")
    )
    if missing := [name for name in PAIRED if name not in paired]:
        raise UserError(f"{path}: column '{missing[0]}' is missing; make it with scripts.aggregate_results")
    return paired


def csv_text(frame: pd.DataFrame) -> str:
    """Return a table as CSV with ten significant digits, so that it is the same on every machine."""
    return frame.to_csv(index=False, float_format="%.10g")


def write_csv(path: Path | str, frame: pd.DataFrame) -> None:
    """Write a table as `csv_text`."""
    write_text(path, csv_text(frame))


def _ordered(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Sort by the named columns, each teacher before its students."""
    return frame.sort_values(by, ascending=[name != "role" for name in by], ignore_index=True)


def _over_seeds(values: pd.Series) -> dict:
    # equal differences have an sd of zero, not of rounding
    values = values.round(12)
    low, high = t_interval(values)
    return {"mean": values.mean(), "sd": values.std(), "n": len(values), "seeds_low": low, "seeds_high": high}


def _gaps(pair: Mapping, correctness: Mapping[tuple, Correctness]) -> dict[str, tuple[float, float]]:
    """The test-set interval of each difference between the two models of a pair, of one seed."""
    runs = runs_of(pair)
    models = [correctness[tuple(run[name] for name in RUN)] for run in runs]
    known = [{deo: {end: run[f"{deo}_{end}"] for end in ENDS} for deo in DEO} for run in runs]
    return gap_intervals(*models, *known)


def _correctness(record: Mapping) -> Correctness:
    return from_metrics(record["metrics"], classes=record["classes"], groups=record["groups"])


def _uncertainty(record: Mapping) -> dict:
    """The uncertainty of one model in one row: the columns `UNCERTAINTY`."""
    found = record["metrics"].get("uncertainty") or assess(_correctness(record))
    row = {f"{metric}_{end}": found[metric][end] for metric in MEASURED for end in ("low", "high")}
    for deo in DEO:
        baseline = found[deo]["fair_baseline"]
        row[f"{deo}_corrected"] = found[deo]["corrected"]
        row |= {
            f"{deo}_fair_baseline": baseline["mean"],
            f"{deo}_fair_baseline_low": baseline["low"],
            f"{deo}_fair_baseline_high": baseline["high"],
        }
        row[f"{deo}_verdict"] = found[deo]["verdict"]
    return row


def _row(path: Path | str, record: dict) -> dict:
    try:
        return {
            **{name: record["run"][name] for name in RUN},
            "teacher": record["run"].get("teacher", record["run"]["architecture"]),
            **{name: record["metrics"][name] for name in METRICS},
            **_uncertainty(record),
            "paired": record["metrics"].get("correctness", {}).get("paired", False),
            "n_test": record["metrics"]["n"],
            "epochs": record["parameters"]["training"]["epochs"],
            "seconds": record["seconds"],
            "code": record["code"],
        }
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: lacks the field {error}; evaluate the model again") from error
