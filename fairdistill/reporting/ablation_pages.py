"""What each part of a study brings as pages: Markdown and LaTeX of what `fairdistill.reporting.ablations` returns."""

from collections.abc import Mapping, Sequence

import pandas as pd

from fairdistill.reporting.ablations import PARTS, ablations
from fairdistill.reporting.columns import MEASURED, MODEL, PLACE
from fairdistill.reporting.csv_files import csv_text
from fairdistill.reporting.labels import printed
from fairdistill.reporting.models import Models
from fairdistill.reporting.notes import (
    CORRECTED_DIFFERENCE_NOTE,
    INTERVAL_NOTE,
    NOTE,
    alone,
    marked,
    notes_on,
    with_group_marks,
)
from fairdistill.reporting.printing import latex, markdown, numbers, with_ends, with_sd
from fairdistill.settings.sweeps import Sweep

# What the models of a pair differ in, for each part that the tables name.
LEGEND = {
    "sampling": "two methods that differ only in how batches are drawn",
    "loss": "two methods with the same base that differ in other settings: the kind of the method, its terms and their "
    "weights. A method without a base counts as having the teacher as its base, so one of the two may use the base and "
    "the other may not",
    "base": "two methods that differ only in their base",
    "method": "a student and its base (the teacher if it has none), whatever they differ in; if they differ in one "
    "part only, the pair is listed under that part. A student with the teacher's own settings, such as one by plain "
    "training, differs from the teacher only in the initial weights and the order of the images, which depend on the "
    "role",
    "several": "two methods, neither the base of the other, that differ in more than one of sampling, loss and base, "
    "so that the difference cannot be attributed to one part",
    "nothing": "two methods with the same settings under two names: any difference is due to chance",
    "data": "two settings of one data set, with the same method",
    "stem": "two networks that differ only in their first layers, trained by the same method",
    "weights": "two networks that start training from different weights, trained by the same method",
}
UNCORRECTED = (
    "Intervals are not corrected for the number of pairs: of a hundred pairs without a true difference, about five "
    "have an interval that excludes zero."
)
INTRODUCTION = (
    "Each row compares two models of the study, and `part` says what they differ in. All values are fractions. Those "
    "of a model are means over the seeds that all methods on its data set and architecture have; a difference is over "
    f"the seeds that both of its models have. {INTERVAL_NOTE} {CORRECTED_DIFFERENCE_NOTE} {UNCORRECTED} {NOTE}"
)
RANKING = (
    "The interval of two methods is from that pair alone. If the study also ranks its methods, cite the comparison in "
    "methods.md instead: from eight methods on its interval is moderated by the trainings of all methods and may "
    "differ from the one here, and its p is corrected for the number of methods."
)
OVERVIEW = (
    "Each row is the mean of one difference over the data sets and architectures that have it; for data, stem and "
    "weights, also over the methods. Rows that compare methods use only the data sets and architectures that have "
    "every method of the rows on sampling and loss. They are therefore means over the same models and add up: (c - b) "
    "+ (b - a) = (c - a). `comparisons` is the number of differences in the mean; the brackets say how many of them "
    "have an interval entirely below zero, and how many entirely above."
)
MODELS = "Each model: mean and sd over n seeds, and the difference to its base."


def ablation_tables(
    models: Models, *, order: Mapping[str, Sequence[str]], sweeps: Mapping[str, Mapping[str, Sweep]]
) -> dict[str, str]:
    """Return the texts of the tables of ablations, by file name; the parameters are `ablations`'s."""
    table = ablations(models, order=order, sweeps=sweeps)
    return {
        "ablations.csv": csv_text(table),
        "ablations.md": ablations_markdown(table),
        "ablations.tex": ablations_latex(table),
    }


def ablations_markdown(table: pd.DataFrame) -> str:
    """Return what `ablations` returned as Markdown: an overview, the models, and every comparison."""
    table = _with_marks(table)
    compared = _compared(table)
    columns = ["part", "difference", *MODEL, "n"]
    # the name that the difference gives already stays out
    for part, name in PARTS.items():
        compared.loc[compared["part"] == part, name] = ""
    comparisons = _side_by_side(compared.assign(**{name: compared[name].map(printed) for name in MODEL}), columns)
    sections = [
        "# What each part contributes",
        INTRODUCTION,
        RANKING,
        "\n".join(f"- `{part}`: {text}." for part, text in _legend(table).items()),
        f"## In short\n\n{OVERVIEW}",
        markdown(_overview(table)),
        f"## The models\n\n{MODELS}",
        markdown(_models(table)),
        "## Every comparison",
        markdown(comparisons),
        *notes_on(table),
    ]
    return "\n\n".join(sections) + "\n"


def ablations_latex(table: pd.DataFrame) -> str:
    """Return the overview and the models of `ablations_markdown` as two LaTeX floats."""
    table = _with_marks(table)
    note = "".join(f" {text}" for text in notes_on(table))
    legend = " ".join(f"{part.capitalize()}: {text}." for part, text in _legend(table).items())
    caption = f"What each part contributes. {OVERVIEW} {UNCORRECTED} {legend} {NOTE}{note}".replace("`", "")
    return "\n".join(
        [
            latex(_overview(table), caption=caption, label="tab:ablations"),
            latex(_models(table), caption=f"{MODELS}{note}", label="tab:ablation-models"),
        ]
    )


def _with_marks(table: pd.DataFrame) -> pd.DataFrame:
    """The table with marks behind the methods that need the group, wherever it names them."""
    return table.assign(**{name: with_group_marks(table[name], table) for name in ("method", "minus")})


def _legend(table: pd.DataFrame) -> dict[str, str]:
    """What the parts mean that the printed table has."""
    shown = set(_compared(table)["part"])
    return {part: text for part, text in LEGEND.items() if part in shown}


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    """The differences of the table, each once, with the columns difference and text to print."""
    compared = table[table["part"] != "model"].drop_duplicates([*MODEL, "minus", "metric"]).copy()
    signed = "{:+.3f}"
    texts = with_ends(numbers(compared["estimate"], signed), compared["low"], compared["high"], signed)
    compared["text"] = marked(alone(texts, compared["trainings"]), compared)
    names = [printed(row[PARTS[row["part"]]]) for row in compared.to_dict("records")]
    minus = [" ".join(map(printed, name.split(" "))) for name in compared["minus"]]
    compared["difference"] = [f"{name} - {other}" for name, other in zip(names, minus, strict=True)]
    return compared


def _overview(table: pd.DataFrame) -> pd.DataFrame:
    compared = _compared(table)
    separate = compared[compared["part"].isin(["sampling", "loss"])]
    methods = {*separate["method"], *separate["minus"]}
    whole = table.groupby(PLACE)["method"].agg(lambda names: methods <= set(names))
    compared = compared[(compared["part"].map(PARTS) != "method") | compared[PLACE].apply(tuple, axis=1).map(whole)]
    compared = compared.assign(below=compared["high"] < 0, above=compared["low"] > 0)
    groups = compared.groupby(["part", "difference", "metric"], sort=False)
    lines = groups.agg(
        estimate=("estimate", "mean"),
        below=("below", "sum"),
        above=("above", "sum"),
        n=("part", "size"),
        at_chance=("at_chance", "any"),
        trainings=("trainings", "min"),
    )
    lines = lines.reset_index().rename(columns={"n": "comparisons"})
    parts = numbers(lines["estimate"], "{:+.3f}"), lines["below"], lines["above"]
    texts = [f"{estimate} ({below} below, {above} above)" for estimate, below, above in zip(*parts, strict=True)]
    lines["text"] = marked(alone(texts, lines["trainings"]), lines)
    return _side_by_side(lines, ["part", "difference", "comparisons"])


def _models(table: pd.DataFrame) -> pd.DataFrame:
    models = table[table["part"] == "model"].copy()
    models["text"] = marked(with_sd(models["estimate"], models["sd"]), models)
    gains = _side_by_side(_compared(table[table["part"] == "method"]), MODEL)
    gain = " - base's"
    page = _side_by_side(models, [*MODEL, "n"]).merge(gains, on=MODEL, how="left", suffixes=("", gain)).fillna("")
    columns = [f"{printed(metric)}{end}" for metric in MEASURED for end in ("", gain)]
    return page[[*MODEL, "n", *columns]].assign(**{name: page[name].map(printed) for name in MODEL})


def _side_by_side(rows: pd.DataFrame, index: list[str]) -> pd.DataFrame:
    """The texts of a row per metric as a row of one column per metric."""
    wide = rows.set_index([*index, "metric"])["text"].unstack("metric", sort=False)[MEASURED]
    return wide.rename(columns=printed).rename_axis(columns=None).reset_index()
