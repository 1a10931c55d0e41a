"""Table I in the paper's form."""

import pandas as pd

from fairdistill.evaluation.rounding import halves_up
from fairdistill.reporting.labels import count_of_seeds, listed, printed
from fairdistill.reporting.notes import CORRECTED_NOTE, INTERVAL_NOTE, NOTE, alone, marked, needing_group, notes_on
from fairdistill.reporting.printing import latex, markdown, with_ends, with_sd
from fairdistill.reporting.summaries import average_datasets
from fairdistill.runtime.errors import UserError

# metric: (heading, decimals, factor from a fraction, unit)
COLUMNS = {"accuracy": ("Accuracy", 1, 100, "%"), "deo_a": ("DEO_A", 3, 1, ""), "deo_m": ("DEO_M", 3, 1, "")}
# The note on an average of DEO over data sets.
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


def caption(summary: pd.DataFrame) -> str:
    """Return which models, data sets and seeds a summary is of, in a sentence or two."""
    architectures = " vs. ".join(printed(name) for name in summary["architecture"].unique())
    datasets = [printed(name) for name in summary["dataset"].unique()]
    seeds = count_of_seeds(summary["n"])
    return (
        f"{architectures} on {listed(datasets)}{', averaged' if len(datasets) > 1 else ''}. "
        f"{'One seed' if seeds == '1 seed' else f'Mean ± sd over {seeds}'}, and 95 % interval."
    )


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
