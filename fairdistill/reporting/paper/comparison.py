"""The paper's numbers and ours, side by side, and its gaps between student and teacher, with a verdict on each.

The rule, which docs/statistics.md gives with what was known when it was written: a number is `reproduced` where ours is
within 0.02 of it; else `within noise` where another single run on another test set of this size could give it; else
`not reproduced`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from fairdistill.evaluation.seeds import t_quantile
from fairdistill.reporting.labels import printed
from fairdistill.reporting.paper.conclusions import NOISE, NOT_REPRODUCED, REPRODUCED, conclusions_markdown
from fairdistill.reporting.runs import MEASURED, METRICS, OTHER, average_datasets, beside_teachers
from fairdistill.reporting.tables import markdown, numbers
from fairdistill.runtime.errors import UserError

# The paper's names for what it measured on, and the data sets of ours that each stands for.
DATASETS = {"cifar10": ["cifar10s"], "utkface": ["utkface"], "mean_of_both": ["cifar10s", "utkface"]}

# The paper defines DEO_A, while its values are of the size of DEO_M: each is set beside both.
MEASURES = {"accuracy": ["accuracy"], "deo": ["deo_a", "deo_m"]}

# The paper gives two decimals, and its text and its bars differ by up to 0.01.
TOLERANCE = 0.02

MODEL = ["dataset", "architecture", "role"]
CLAIM = ["source", *MODEL, "metric"]
# in the place of a role: student minus teacher
GAP = "gap"


def read_paper_values(path: Path | str) -> pd.DataFrame:
    """Return the paper's numbers: source, dataset, architecture, role, metric, value (fractions), note.

    Raises
    ------
    UserError
        If a column is missing, a value is not a number, or a metric is neither accuracy nor deo.
    """
    values = pd.read_csv(path, keep_default_na=False)
    if missing := [name for name in [*CLAIM, "value", "note"] if name not in values]:
        raise UserError(f"{path}: column '{missing[0]}' is missing")
    if unknown := set(values["metric"]) - set(MEASURES):
        raise UserError(f"{path}: metric '{min(unknown)}' is not one of {', '.join(MEASURES)}")
    if not pd.api.types.is_numeric_dtype(values["value"]):
        raise UserError(f"{path}: column 'value' holds something that is not a number")
    return values


def compare(
    runs: pd.DataFrame, paired: pd.DataFrame, paper_values: pd.DataFrame, *, method: str | None = None
) -> pd.DataFrame:
    """Set each of the paper's numbers beside ours: one row per row of `paper_values`, in its order, then its gaps.

    A gap is student minus teacher; where the paper has both there is one, with "gap" in the place of the role.

    Columns: source, dataset, architecture, role, metric, paper, n (seeds); for each of accuracy, deo_a and
    deo_m our mean over seeds, its sd (`_sd`, ddof = 1, missing when n = 1), ours minus the paper's (`_difference`),
    how far another run on another test set may lie from ours (`_noise`) and the `_verdict`; note. A
    deo row fills deo_a and deo_m, an accuracy row accuracy; n = 0 where the
    grid has no counterpart.

    Parameters
    ----------
    runs : DataFrame
        One row per model, see `fairdistill.reporting.runs.read_metrics`.
    paired : DataFrame
        See `fairdistill.reporting.runs.pair_with_teachers`.
    paper_values : DataFrame
        See `read_paper_values`.
    method : str, optional
        The method whose students stand beside the paper's; without it the teachers stand alone.
    """
    runs = pd.concat([runs, _gaps(runs, paired)], ignore_index=True)
    paper_values = pd.concat([paper_values, _claimed_gaps(paper_values)], ignore_index=True)
    names = paper_values["dataset"].unique()
    sets = {name: DATASETS.get(name, [name]) for name in names}
    ours = pd.concat({name: average_datasets(runs, sets[name]) for name in names}, names=["dataset"])
    ours["test"] = [_test_noise(runs, sets[name], *model) for name, *model in ours.index]
    ours = ours.query("method in ['teacher', @method]").reset_index().set_index(MODEL)
    table = paper_values[CLAIM].assign(paper=paper_values["value"], n=0)
    for metric, measures in MEASURES.items():
        rows = table["metric"] == metric
        for measure in measures:
            # assigning aligns on the index: what is not in `rows` stays missing
            found = table.loc[rows, MODEL].join(ours[ours["metric"] == measure], on=MODEL)
            table.loc[rows, "n"] = found["n"].fillna(0).astype(int)
            table[measure] = found["mean"]
            table[f"{measure}_sd"] = found["sd"]
            table[f"{measure}_difference"] = found["mean"] - table["paper"]
            table[f"{measure}_noise"] = found.apply(lambda row: _noise(row["test"], row["sd"], row["n"]), axis=1)
            columns = table[f"{measure}_difference"], table[f"{measure}_noise"]
            table[f"{measure}_verdict"] = [_verdict(*pair) for pair in zip(*columns, strict=True)]
    return table.assign(note=paper_values["note"])


def comparison_markdown(comparison: pd.DataFrame, verdicts: pd.DataFrame, *, method: str | None = None) -> str:
    """Return the comparison as Markdown: a table for accuracy, one for DEO, the conclusions, and what to note.

    `verdicts` are those on the conclusions, see `fairdistill.reporting.paper.conclusions.judge`.
    """
    students = f"the students are `{method}`" if method else "no student is trained by the paper's method"
    parts = [
        "# The paper's numbers and ours",
        f"All values are fractions; {students}. Ours is the mean over n seeds, with its sd; the difference is ours "
        f"minus the paper's; `{GAP}` is student minus teacher. Where n = 0, this study has no such model or data set. "
        "The paper prints one DEO: its formula is DEO_A's, its values have the size of DEO_M. "
        f"A number is `{REPRODUCED}` where ours is within {TOLERANCE} of it, else `{NOISE}` where it is within the "
        f"noise (another run, tested on other images, could give it), else `{NOT_REPRODUCED}`.",
    ]
    for metric, measures in MEASURES.items():
        rows = comparison[comparison["metric"] == metric]
        table = rows[["source", *MODEL]].assign(paper=rows["paper"].map("{:.3f}".format), n=rows["n"])
        for measure in measures:
            table[printed(measure)] = numbers(rows[measure], "{:.3f}")
            table[f"{printed(measure)} sd"] = numbers(rows[f"{measure}_sd"], "{:.3f}")
            table[f"{printed(measure)} difference"] = numbers(rows[f"{measure}_difference"], "{:+.3f}")
            table[f"{printed(measure)} noise"] = numbers(rows[f"{measure}_noise"], "{:.3f}")
            table[f"{printed(measure)} verdict"] = rows[f"{measure}_verdict"]
        parts += [f"## {printed(metric)}", markdown(table)]
    parts += ["## The paper's conclusions", conclusions_markdown(verdicts)]
    noted = comparison[comparison["note"] != ""]
    notes = [f"- {' '.join(row[CLAIM])}: {row['note']}." for _, row in noted.iterrows()]
    parts += ["## Notes on the paper's numbers", "\n".join(notes)] if notes else []
    return "\n\n".join(parts) + "\n"


def _gaps(runs: pd.DataFrame, paired: pd.DataFrame) -> pd.DataFrame:
    """Student minus teacher as runs with the role `GAP`; the ends of each interval are means over seeds."""
    gaps = beside_teachers(runs).assign(role=GAP)
    gaps[METRICS] -= gaps[[f"{metric}{OTHER}" for metric in METRICS]].to_numpy()
    model = ["dataset", "architecture", "method"]
    for end in ("low", "high"):
        ends = paired.pivot(index=model, columns="metric", values=f"test_{end}").add_suffix(f"_{end}")
        columns = [f"{metric}_{end}" for metric in MEASURED]
        gaps[columns] = gaps[model].join(ends.reindex(columns=columns), on=model)[columns]
    return gaps[[name for name in runs if name in gaps]]


def _claimed_gaps(paper_values: pd.DataFrame) -> pd.DataFrame:
    """Student minus teacher wherever the paper has both, in the columns of `read_paper_values`."""
    place = ["source", "dataset", "architecture", "metric"]
    students, teachers = (paper_values[paper_values["role"] == role] for role in ("student", "teacher"))
    pairs = students.merge(teachers, on=place, suffixes=("", OTHER))
    pairs = pairs.assign(role=GAP, value=(pairs["value"] - pairs[f"value{OTHER}"]).round(6), note="")
    return pairs[paper_values.columns]


def _test_noise(
    runs: pd.DataFrame, datasets: list[str], architecture: str, role: str, method: str, metric: str
) -> float:
    """Half the test-set interval of a metric's average over data sets, whose test sets are independent."""
    if f"{metric}_low" not in runs:
        return np.nan
    models = runs.query("architecture == @architecture and role == @role and method == @method")
    half = (models[f"{metric}_high"] - models[f"{metric}_low"]).groupby(models["dataset"]).mean() / 2
    return float(np.linalg.norm(half[half.index.isin(datasets)]) / len(datasets))


def _noise(test: float, sd: float, n: float) -> float:
    """How far from the mean of n runs on one test set a single run on another may lie, with 95 % probability."""
    seeds = 0.0 if np.isnan(sd) else t_quantile(int(n)) * sd * np.sqrt(1 + 1 / n)
    return float(np.hypot(np.sqrt(2) * test, seeds))


def _verdict(difference: float, noise: float) -> str:
    if np.isnan(difference):
        return ""
    # 0.75 - 0.73 is more than 0.02 in binary
    if abs(difference) <= TOLERANCE + 1e-9:
        return REPRODUCED
    return NOISE if abs(difference) <= noise else NOT_REPRODUCED
