"""Table I in the paper's form, students beside their teachers, and how a table is printed as Markdown or LaTeX."""

import math
import re
from collections.abc import Iterable

import pandas as pd

from fairdistill.evaluation.rounding import halves_up, rounded
from fairdistill.reporting.columns import DEO
from fairdistill.reporting.labels import count_of_seeds, listed, printed
from fairdistill.reporting.summaries import average_datasets
from fairdistill.runtime.errors import UserError

# metric: (heading, decimals, factor from a fraction, unit)
COLUMNS = {"accuracy": ("Accuracy", 1, 100, "%"), "deo_a": ("DEO_A", 3, 1, ""), "deo_m": ("DEO_M", 3, 1, "")}

NOTE = (
    "DEO_A is the mean and DEO_M the maximum over classes of the largest gap between two groups in "
    "Pr(prediction = y | A = a, Y = y); lower is fairer."
)
# stand behind numbers and names in tables, and names in figures
CHANCE_MARK, ALONE_MARK, GROUP_MARK = "†", "‡", "§"
AT_CHANCE_NOTE = (
    f"{CHANCE_MARK} at chance: a model behind this number is no more accurate than always predicting the largest "
    "class, so its DEO says nothing about fairness."
)
GROUP_NOTE = f"{GROUP_MARK} needs the group of each image at prediction time."
FOLDS_NOTE = (
    "With folds, a seed is one training per fold, and its value is that of the predictions of all folds pooled."
)
ALONE_NOTE = (
    f"{ALONE_MARK} one training, or an average that includes a model trained once: for that model only the noise "
    "of the test images is counted, which says nothing about other trainings."
)
# the same of a figure without intervals
ONE_TRAINING_NOTE = f"{ALONE_MARK} one training, not a mean over several."
INTERVAL_NOTE = (
    "Intervals are at 95 %, and account for the variation over trainings and over test images (over test images only "
    "if there is one training)."
)
# of DEO_A and DEO_M themselves, and of their differences
CORRECTED_NOTE = "The interval of a DEO is about its value corrected for noise, not about the observed value printed."
CORRECTED_DIFFERENCE_NOTE = (
    "The interval of a difference in DEO is about its value corrected for noise, not about the observed one printed."
)
# of a LaTeX table: lines of small type below a caption of five, across the 345 pt of an article's page turned sideways
ROWS_ON_A_PAGE = 32
# what an average of DEO over data sets is worth
AVERAGE_NOTE = (
    "An average over data sets serves only to compare the rows: DEO_M is a maximum over the classes, so it grows with "
    "their number, and the data set with the larger DEO dominates the average. summary.csv has each data set by itself."
)


def table1(summary: pd.DataFrame) -> pd.DataFrame:
    """Return Table I: the students and teachers of each architecture, averaged over data sets.

    Columns: #, Model, Model Type; Accuracy (in %), DEO_A and DEO_M, each rounded as in the paper and followed
    by its sd over seeds (ddof = 1, missing for one seed) and the ends of its interval (low, high); Seeds and Trainings
    (their numbers); At chance, whether one of the models is no more accurate than one that names the largest class;
    Needs group, whether the method needs the group of each image at prediction time.
    Where there are several student methods, Model Type names each. As in the paper, students stand before their
    teacher.

    Parameters
    ----------
    summary : DataFrame
        See `fairdistill.reporting.summaries.summarise`.

    Raises
    ------
    UserError
        If a model lacks a data set that another has, or there a seed that it has on another: the averages could not be
        compared.
    """
    _require_complete_grid(summary)
    average = average_datasets(summary, list(summary["dataset"].unique()))
    architectures = list(summary["architecture"].unique())
    # stable: the students of an architecture stay in the order of the runs
    models = sorted(
        average.reset_index("metric").index.unique(),
        key=lambda names: (architectures.index(names[0]), names[1] == "teacher"),
    )
    scores = average.to_dict("index")
    several = len(set(summary.loc[summary["role"] == "student", "method"])) > 1
    rows = []
    for number, (architecture, role, method) in enumerate(models, start=1):
        model_type = f"Student ({method})" if several and role == "student" else role.capitalize()
        row = {"#": number, "Model": printed(architecture), "Model Type": model_type}
        for metric, (heading, decimals, factor, _) in COLUMNS.items():
            found = scores[architecture, role, method, metric]
            values = {f"{heading} {name}": found[name] for name in ("sd", "low", "high")}
            values = {heading: found["mean"]} | values
            row |= {name: round(halves_up(factor * value), decimals) for name, value in values.items()}
        counts = {"Seeds": int(found["n"]), "Trainings": int(found["trainings"])}
        flags = {"At chance": bool(found["at_chance"]), "Needs group": bool(found["needs_group"])}
        rows.append(row | counts | flags)
    return pd.DataFrame(rows)


def table1_markdown(summary: pd.DataFrame) -> str:
    """Return Table I and what it shows as Markdown."""
    return f"{markdown(_as_printed(table1(summary)))}\n\n{_below(summary)}\n"


def table1_latex(summary: pd.DataFrame) -> str:
    """Return Table I and what it shows as a LaTeX float."""
    return latex(_as_printed(table1(summary)), caption=_below(summary), label="tab:models")


def paired_markdown(paired: pd.DataFrame) -> str:
    """Return the gap of each student to its base as Markdown, see `fairdistill.reporting.pairs.pair_with_bases`."""
    table = paired[["dataset", "architecture", "method"]].map(printed)
    table["method"] = with_group_marks(table["method"], paired)
    other = paired["base_architecture"].where(paired["base_architecture"] != paired["architecture"], "")
    bases = with_group_marks(paired["base_method"], paired)
    table["base"] = [
        f"{printed(architecture)} {method}".strip() for architecture, method in zip(other, bases, strict=True)
    ]
    table["metric"] = paired["metric"].map(printed)
    for name in ("base", "student"):
        table[f"{name}'s"] = numbers(paired[name], "{:.3f}")
    table["difference"] = marked(numbers(paired["difference"], "{:+.3f}"), paired)
    table["95 %"] = alone(ranges(paired["low"], paired["high"]), paired["trainings"])
    table["n"] = paired["n"]
    table["sd"] = numbers(paired["sd"], "{:.3f}")
    table["p"] = numbers(paired["p"], "{:.3f}")
    table["p, Holm"] = numbers(paired["p_holm"], "{:.3f}")
    text = (
        "All values are fractions. The difference is student minus base, over the n seeds that both have. The base is "
        f"the model that the student was distilled from, or else the teacher of its architecture. {INTERVAL_NOTE} "
        f"{CORRECTED_DIFFERENCE_NOTE} Each interval is from its pair alone, and is not corrected for the number of "
        "rows. p is that of the exact sign-flip test over seeds, which cannot be below 2 / 2^n; `p, Holm` is "
        f"corrected by Holm's method over the {len(paired)} rows. {NOTE}"
    )
    notes = notes_on(paired)
    return "\n\n".join(["# Students and their bases", markdown(table), text, *notes]) + "\n"


def marked(texts: Iterable[str], rows: pd.DataFrame) -> list[str]:
    """Mark the texts of those rows of a DEO (column metric) behind which a model is at chance (column at_chance)."""
    marks = rows["at_chance"].astype(bool) & rows["metric"].isin(DEO)
    return _with_mark(texts, marks, CHANCE_MARK)


def needing_group(names: Iterable[str], needs_group: Iterable[bool]) -> list[str]:
    """Mark the names of those methods that need the group of each image at prediction time."""
    return _with_mark(names, needs_group, GROUP_MARK)


def with_group_marks(names: Iterable[str], rows: pd.DataFrame) -> list[str]:
    """Mark the names of those methods that need the group by any of the rows (columns method and needs_group).

    A base of another architecture has that before its name.
    """
    needing = set(rows.loc[rows["needs_group"], "method"])
    names = list(names)
    return needing_group(names, [name.split(" ")[-1] in needing for name in names])


def alone(texts: Iterable[str], trainings: Iterable[int]) -> list[str]:
    """Mark the texts of intervals that are of a single training, and so of the test images alone."""
    return [f"{text} {ALONE_MARK}" if text and n == 1 else text for text, n in zip(texts, trainings, strict=True)]


def marked_names(rows: pd.DataFrame) -> list[str]:
    """Return the names of methods as figures without intervals have them, marked by what their rows say of them."""
    names = alone(with_group_marks(rows["method"], rows), rows["trainings"])
    return _with_mark(names, rows["at_chance"], CHANCE_MARK)


def _with_mark(texts: Iterable[str], marked: Iterable[bool], mark: str) -> list[str]:
    return [f"{text} {mark}" if has_mark else text for text, has_mark in zip(texts, marked, strict=True)]


def notes_on_names(rows: pd.DataFrame) -> list[str]:
    """Return what the marks mean that `marked_names` gives the names of these rows."""
    return _notes_on_marks(rows, ONE_TRAINING_NOTE)


def notes_on(rows: pd.DataFrame) -> list[str]:
    """Return what the marks mean that the rows of a table have, and what a seed is where there are folds."""
    has_folds = bool((rows["trainings"] > rows["n"]).any())
    return _notes_on_marks(rows, ALONE_NOTE) + [FOLDS_NOTE] * has_folds


def _notes_on_marks(rows: pd.DataFrame, one_training: str) -> list[str]:
    conditions = {
        AT_CHANCE_NOTE: rows["at_chance"],
        GROUP_NOTE: rows["needs_group"],
        one_training: rows["trainings"] == 1,
    }
    return [note for note, condition in conditions.items() if condition.any()]


def numbers(values: Iterable[float], form: str) -> list[str]:
    """Return numbers as texts, see `fairdistill.evaluation.rounding.rounded`; a missing one is empty."""
    return ["" if pd.isna(value) else rounded(value, form) for value in values]


def with_sd(means: Iterable[float], sds: Iterable[float], form: str = "{:.3f}") -> list[str]:
    """Return means as texts with their sd, such as '0.812 ± 0.004'; of a single value the mean alone."""
    return [a + b for a, b in zip(numbers(means, form), numbers(sds, f" ± {form}"), strict=True)]


def with_ends(texts: Iterable[str], low: Iterable[float], high: Iterable[float], form: str = "{:.3f}") -> list[str]:
    """Return texts of numbers, each with the ends of its interval, such as '0.812 [0.801, 0.823]'."""
    ends = zip(texts, numbers(low, form), numbers(high, form), strict=True)
    return [f"{text} [{a}, {b}]" for text, a, b in ends]


def ranges(low: pd.Series, high: pd.Series) -> list[str]:
    """Return intervals as texts, such as '-0.120 to +0.053'; a missing one is empty."""
    ends = zip(numbers(low, "{:+.3f}"), numbers(high, "{:+.3f}"), strict=True)
    return [f"{a} to {b}" if a else "" for a, b in ends]


def caption(summary: pd.DataFrame) -> str:
    """Return which models, data sets and seeds a summary is of, in a sentence or two."""
    architectures = " vs. ".join(printed(name) for name in summary["architecture"].unique())
    datasets = [printed(name) for name in summary["dataset"].unique()]
    seeds = count_of_seeds(summary["n"])
    return (
        f"{architectures} on {listed(datasets)}{', averaged' if len(datasets) > 1 else ''}. "
        f"{'One seed' if seeds == '1 seed' else f'Mean ± sd over {seeds}'}, and 95 % interval."
    )


def markdown(table: pd.DataFrame) -> str:
    """Return a table of texts as Markdown, aligned so that it reads well on a terminal too."""
    rows = [list(table.columns), *table.astype(str).to_numpy().tolist()]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    lines = [" | ".join(map(str.ljust, row, widths)) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def latex(table: pd.DataFrame, *, caption: str, label: str) -> str:
    """Return a table of texts as LaTeX floats with `booktabs` rules, special characters escaped.

    Tables of intervals are wider than a page. So a float is a page turned sideways, in small type, and a table that
    is wider still is shrunk to its length. A table of more rows than such a page holds goes on in further floats,
    which refer to the first.
    """
    head, *rows = [rf"    {' & '.join(map(_escape, row))} \\" for row in [table.columns, *table.astype(str).to_numpy()]]
    pages = max(1, math.ceil(len(rows) / ROWS_ON_A_PAGE))
    height = max(1, math.ceil(len(rows) / pages))
    lines = [r"% \usepackage{adjustbox,booktabs,rotating}"]
    for page in range(pages):
        first = [rf"  \caption{{{_escape(caption)}}}", rf"  \label{{{label}}}"]
        lines += [
            r"\begin{sidewaystable}",
            r"  \centering",
            r"  \scriptsize",
            r"  \setlength{\tabcolsep}{3pt}",
            *(first if page == 0 else [rf"  Table~\ref{{{label}}}, continued \\"]),
            r"  \begin{adjustbox}{max width=\linewidth}",
            rf"  \begin{{tabular}}{{{'l' * table.shape[1]}}}",
            r"    \toprule",
            head,
            r"    \midrule",
            *rows[page * height : (page + 1) * height],
            r"    \bottomrule",
            r"  \end{tabular}",
            r"  \end{adjustbox}",
            r"\end{sidewaystable}",
        ]
    return "\n".join([*lines, ""])


def _below(summary: pd.DataFrame) -> str:
    """The text below Table I."""
    average = [AVERAGE_NOTE] if summary["dataset"].nunique() > 1 else []
    return " ".join([caption(summary), INTERVAL_NOTE, CORRECTED_NOTE, NOTE, *average, *notes_on(summary)])


def _as_printed(table: pd.DataFrame) -> pd.DataFrame:
    counted = ["Seeds"] if table["Seeds"].nunique() > 1 else []
    texts = table[["#", "Model", "Model Type", *counted]].copy()
    texts["Model Type"] = needing_group(table["Model Type"], table["Needs group"])
    for metric, (heading, decimals, _, unit) in COLUMNS.items():
        form = f"{{:.{decimals}f}}"
        means = [f"{text}{unit}" for text in with_sd(table[heading], table[f"{heading} sd"], form)]
        values = with_ends(means, table[f"{heading} low"], table[f"{heading} high"], form)
        values = alone(values, table["Trainings"])
        texts[heading] = marked(values, pd.DataFrame({"at_chance": table["At chance"], "metric": metric}))
    return texts


def _require_complete_grid(summary: pd.DataFrame) -> None:
    """Each model has the seeds on every data set that it has on any."""
    datasets = summary["dataset"].unique()
    for (architecture, method), model in summary.query("metric == 'accuracy'").groupby(["architecture", "method"]):
        of_datasets = model.set_index("dataset")["seeds"].str.split()
        for seed in of_datasets.explode().unique():
            for dataset in datasets:
                if seed not in of_datasets.get(dataset, []):
                    raise UserError(
                        f"Table I averages over data sets and seeds, but {architecture} {method} has no run on "
                        f"{dataset} with seed {seed}; run it, or aggregate a complete grid"
                    )


def _escape(text: str) -> str:
    text = re.sub(r"([&%$#_{}])", r"\\\1", text.replace("\\", "/"))
    text = text.replace("~", r"\textasciitilde{}").replace("^", r"\textasciicircum{}").replace("±", r"$\pm$")
    text = text.replace("<", r"\textless{}")
    for mark, command in {CHANCE_MARK: r"$\dagger$", ALONE_MARK: r"$\ddagger$", GROUP_MARK: r"\S{}"}.items():
        text = text.replace(mark, command)
    return re.sub(r"DEO\\_([AM])", r"DEO$_\1$", text)
