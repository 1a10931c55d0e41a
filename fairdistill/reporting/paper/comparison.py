"""The paper's numbers and ours, side by side, and its gaps between student and teacher, with a verdict on each.

The rule, which docs/statistics.md gives with what was known when it was written: a number is `reproduced` where ours is
within 0.02 of it; else `within noise` where another training, tested on other images, could give it; else `not
reproduced`. The DEO of a model at chance is none of these, as it says nothing about fairness.
"""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.columns import DEO, OTHER, PLACE
from fairdistill.reporting.csv_files import csv_text
from fairdistill.reporting.labels import printed
from fairdistill.reporting.notes import ALONE_NOTE, CHANCE_VERDICT_NOTE, alone
from fairdistill.reporting.paper.conclusions import conclusions_markdown, judge
from fairdistill.reporting.printing import markdown, numbers
from fairdistill.reporting.summaries import average_datasets
from fairdistill.reporting.verdicts import NOISE, NOT_REPRODUCED, REPRODUCED, noise_of_another_run
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.paper import PAPER_DATASETS, PaperValue

# The paper defines DEO_A, while its values are of the size of DEO_M: its DEO is compared with both.
PAPER_METRICS = {"accuracy": ["accuracy"], "deo": ["deo_a", "deo_m"]}

# The paper gives two decimals, and its text and its bars differ by up to 0.01.
TOLERANCE = 0.02

CLAIMED = [*PLACE, "role"]
CLAIM = ["source", *CLAIMED, "metric"]
# What stands in place of a role for student minus teacher.
GAP = "gap"


def paper_tables(
    summary: pd.DataFrame,
    paired: pd.DataFrame,
    paper_values: Sequence[PaperValue],
    *,
    method: str | None,
    judges_conclusions: bool,
) -> dict[str, str]:
    """Return the texts of the comparison with a paper, by file name.

    Parameters
    ----------
    summary, paired, method
        See `compare`.
    paper_values
        The paper's numbers.
    judges_conclusions
        Whether they are those of config/paper_values.csv, so that the conclusions of its paper are judged too.
    """
    comparison = compare(summary, paired, as_table(paper_values), method=method)
    verdicts = judge(paired, method=method) if judges_conclusions else None
    texts = {} if verdicts is None else {"paper_conclusions.csv": csv_text(verdicts)}
    return texts | {
        "paper_vs_reproduced.csv": csv_text(comparison),
        "paper_vs_reproduced.md": comparison_markdown(comparison, verdicts, method=method),
    }


def as_table(values: Sequence[PaperValue]) -> pd.DataFrame:
    """Return the paper's numbers as a table: source, dataset, architecture, role, metric, value (fractions), note."""
    return pd.DataFrame([value.to_json() for value in values])


def compare(
    summary: pd.DataFrame, paired: pd.DataFrame, paper_values: pd.DataFrame, *, method: str | None = None
) -> pd.DataFrame:
    """Set each of the paper's numbers beside ours: one row per row of `paper_values`, in its order, then its gaps.

    A gap is student minus teacher; where the paper has both there is one, with "gap" in the place of the role.

    Columns: source, dataset, architecture, role, metric, paper, n (seeds), trainings; for each of accuracy, deo_a and
    deo_m our mean over seeds, its sd (`_sd`, ddof = 1, missing when n = 1), ours minus the paper's (`_difference`),
    how far another training on another test set may lie from ours (`_noise`) and the `_verdict`; note. A deo row fills
    deo_a and deo_m, an accuracy row accuracy; n = 0 where the study has no counterpart.

    Parameters
    ----------
    summary : DataFrame
        See `fairdistill.reporting.summaries.summarise`.
    paired : DataFrame
        See `fairdistill.reporting.pairs.pair_with_bases`.
    paper_values : DataFrame
        See `as_table`.
    method : str, optional
        The method whose students are compared with the paper's, and with their teachers where they stand on those;
        without it the teachers alone are compared.
    """
    models = pd.concat([summary, _gaps(paired)], ignore_index=True)
    paper_values = pd.concat([paper_values, _claimed_gaps(paper_values)], ignore_index=True)
    names = paper_values["dataset"].unique()
    sets = {name: PAPER_DATASETS.get(name, [name]) for name in names}
    ours = pd.concat({name: average_datasets(models, sets[name]) for name in names}, names=["dataset"])
    ours = ours[ours.index.get_level_values("method").isin([TEACHER, method])].reset_index().set_index(CLAIMED)
    table = paper_values[CLAIM].assign(paper=paper_values["value"], n=0, trainings=0)
    for metric, measures in PAPER_METRICS.items():
        rows = table["metric"] == metric
        for measure in measures:
            # assigning aligns on the index: what is not in `rows` stays missing
            found = table.loc[rows, CLAIMED].join(ours[ours["metric"] == measure], on=CLAIMED)
            for count in ("n", "trainings"):
                table.loc[rows, count] = found[count].fillna(0).astype(int)
            table[measure] = found["mean"]
            table[f"{measure}_sd"] = found["sd"]
            table[f"{measure}_difference"] = found["mean"] - table["paper"]
            ours_may_move = [noise_of_another_run(row) for row in found.to_dict("records")]
            table[f"{measure}_noise"] = pd.Series(ours_may_move, index=found.index, dtype=float)
            chance = found["at_chance"].eq(True).reindex(table.index, fill_value=False)
            columns = table[f"{measure}_difference"], table[f"{measure}_noise"], chance & (measure in DEO)
            table[f"{measure}_verdict"] = [_verdict(*row) for row in zip(*columns, strict=True)]
    return table.assign(note=paper_values["note"])


def comparison_markdown(
    comparison: pd.DataFrame, verdicts: pd.DataFrame | None = None, *, method: str | None = None
) -> str:
    """Return the comparison as Markdown: a table for each of accuracy, DEO_A and DEO_M, the conclusions, and notes.

    Parameters
    ----------
    verdicts : DataFrame, optional
        Those on the paper's conclusions, see `fairdistill.reporting.paper.conclusions.judge`.
    """
    students = f"the students are `{method}`" if method else "no student is compared with the paper's"
    parts = [
        "# The paper's numbers and ours",
        f"All values are fractions; {students}. Ours is the mean over n seeds, with its sd; the difference is ours "
        f"minus the paper's; `{GAP}` is student minus teacher. If n = 0, this study has no such model or data set. The "
        "paper prints one DEO: its formula is that of DEO_A, but its values are of the size of DEO_M. A number is "
        f"`{REPRODUCED}` if ours is within {TOLERANCE} of it; else `{NOISE}` if the difference is within the noise, "
        f"that is, if another training tested on other images could give it; else `{NOT_REPRODUCED}`."
        + f" {CHANCE_VERDICT_NOTE}" * bool((comparison[[f"{deo}_verdict" for deo in DEO]] == AT_CHANCE).any(axis=None))
        + f" {ALONE_NOTE}" * bool((comparison["trainings"] == 1).any()),
    ]
    for metric, measures in PAPER_METRICS.items():
        rows = comparison[comparison["metric"] == metric]
        for measure in measures:
            table = rows[["source", *CLAIMED]].map(_words)
            table = table.assign(paper=numbers(rows["paper"], "{:.3f}"), ours=numbers(rows[measure], "{:.3f}"))
            table["verdict"] = rows[f"{measure}_verdict"]
            table["difference"] = numbers(rows[f"{measure}_difference"], "{:+.3f}")
            table["noise"] = alone(numbers(rows[f"{measure}_noise"], "{:.3f}"), rows["trainings"])
            table = table.assign(sd=numbers(rows[f"{measure}_sd"], "{:.3f}"), n=rows["n"])
            parts += [f"## {printed(measure)}", markdown(table)]
    if verdicts is not None:
        parts += ["## The paper's conclusions", conclusions_markdown(verdicts)]
    noted = comparison[comparison["note"] != ""]
    notes = [f"- {', '.join(map(_words, row[CLAIM]))}: {row['note']}." for _, row in noted.iterrows()]
    parts += ["## Notes on the paper's numbers", "\n".join(notes)] if notes else []
    return "\n\n".join(parts) + "\n"


def _words(name: str) -> str:
    """A name as it is printed; 'fig2' and 'table1' are those of the paper."""
    figure = re.fullmatch(r"fig(\d+)", name)
    return f"Fig. {figure[1]}" if figure else {"table1": "Table I"}.get(name, printed(name).replace("_", " "))


def _gaps(paired: pd.DataFrame) -> pd.DataFrame:
    """Student minus teacher as rows of a summary, with the role `GAP`."""
    gaps = paired[paired["base_method"] == TEACHER]
    return gaps.rename(columns={"difference": "mean"}).assign(role=GAP)


def _claimed_gaps(paper_values: pd.DataFrame) -> pd.DataFrame:
    """Student minus teacher wherever the paper has both, in the columns of `as_table`."""
    names = ["source", *PLACE, "metric"]
    students, teachers = (paper_values[paper_values["role"] == role] for role in ("student", "teacher"))
    pairs = students.merge(teachers, on=names, suffixes=("", OTHER))
    pairs = pairs.assign(role=GAP, value=(pairs["value"] - pairs[f"value{OTHER}"]).round(6), note="")
    return pairs[paper_values.columns]


def _verdict(difference: float, noise: float, at_chance: bool) -> str:
    if np.isnan(difference):
        return ""
    if at_chance:
        return AT_CHANCE
    # 0.75 - 0.73 is more than 0.02 in binary
    if abs(difference) <= TOLERANCE + 1e-9:
        return REPRODUCED
    return NOISE if abs(difference) <= noise else NOT_REPRODUCED
