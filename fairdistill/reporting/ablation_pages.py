"""What each part of a study brings as pages: Markdown and LaTeX of what `fairdistill.reporting.ablations` returns."""

import pandas as pd

from fairdistill.reporting.ablations import PARTS
from fairdistill.reporting.columns import MEASURED, PLACE
from fairdistill.reporting.labels import printed
from fairdistill.reporting.tables import (
    CORRECTED_DIFFERENCE_NOTE,
    INTERVAL_NOTE,
    NOTE,
    alone,
    latex,
    markdown,
    marked,
    notes_on,
    numbers,
    with_ends,
    with_sd,
)

# what the two models of a pair differ in, by the name that the tables give it
LEGEND = {
    "sampling": "two methods that differ in how the batches are drawn, and in nothing else",
    "loss": "two methods that differ in any other setting but the base: the kind of the method, its terms and their "
    "weights. One that stands on no base counts as standing on the teacher, so that one of the two may use the base "
    "and the other may not",
    "base": "two methods that differ in the model that they stand on, and in nothing else",
    "method": "a student and its base, or the teacher where it has none, whatever they differ in; where that is one "
    "part alone, the pair is printed under that part. A student of the teacher's own settings, such as one by plain "
    "training, differs from it in the initial weights and the order of the images alone, which follow from the role",
    "several": "two methods, neither of which is the other's base, that differ in more than one of sampling, loss and "
    "base: such a difference is that of no single part",
    "nothing": "two methods that have the same settings under two names: they differ by chance, or not at all",
    "data": "two settings of one data set, by the same method",
    "stem": "two networks that differ in their first layers alone, trained by the same method",
    "weights": "two networks that differ in the weights that training starts from, trained by the same method",
}
UNCORRECTED = (
    "Nothing is corrected for the number of pairs: of a hundred pairs without a difference, about five have an "
    "interval that leaves zero out."
)
INTRODUCTION = (
    "Two models of the study are compared in each row, and `part` says what they differ in. All values are fractions. "
    "A model counts with the seeds that all methods on its data set and architecture have, a difference with those "
    f"that both of its models have. {INTERVAL_NOTE} {CORRECTED_DIFFERENCE_NOTE} {UNCORRECTED} {NOTE}"
)
RANKING = (
    "The interval of two methods is that of the pair by itself. Where the study also ranks its methods (methods.md), "
    "the same two may have another one there, as among eight methods or more the spread of all trainings goes into it; "
    "and its p is corrected for the number of methods. Cite that one."
)
OVERVIEW = (
    "Each row is the mean of one difference over the data sets and architectures that have it; for data, stem and "
    "weights over the methods, too. Rows on methods count only the data sets and architectures that have every method "
    "of the rows on sampling and loss. All of them are then means over the same models and add up: (c - b) and (b - a) "
    "are together (c - a). `comparisons` is the number of differences that a mean is of; in brackets is in how many of "
    "them the interval lies wholly below zero, and wholly above."
)
MODELS = "Each model, mean and sd over n seeds, and what it gains on its base."


def ablations_markdown(table: pd.DataFrame) -> str:
    """Return what `ablations` returned as Markdown: an overview, the models, and every comparison."""
    compared = _compared(table)
    columns = ["part", "difference", *PLACE, "n"]
    # the name that the difference gives already stays out
    for part, name in PARTS.items():
        compared.loc[compared["part"] == part, name] = ""
    comparisons = _side_by_side(compared.assign(**{name: compared[name].map(printed) for name in PLACE}), columns)
    sections = [
        "# What each part brings",
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
    note = "".join(f" {text}" for text in notes_on(table))
    legend = " ".join(f"{part.capitalize()}: {text}." for part, text in _legend(table).items())
    caption = f"What each part brings. {OVERVIEW} {UNCORRECTED} {legend} {NOTE}{note}".replace("`", "")
    return "\n".join(
        [
            latex(_overview(table), caption=caption, label="tab:ablations"),
            latex(_models(table), caption=f"{MODELS}{note}", label="tab:ablation-models"),
        ]
    )


def _legend(table: pd.DataFrame) -> dict[str, str]:
    """What the parts mean that the printed table has."""
    shown = set(_compared(table)["part"])
    return {part: text for part, text in LEGEND.items() if part in shown}


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    """The differences of the table, each once, with the columns difference and text to print."""
    compared = table[table["part"] != "model"].drop_duplicates([*PLACE, "minus", "metric"]).copy()
    signed = "{:+.3f}"
    texts = with_ends(numbers(compared["estimate"], signed), compared["low"], compared["high"], signed)
    compared["text"] = marked(alone(texts, compared["trainings"]), compared)
    names = [printed(row[PARTS[row["part"]]]) for row in compared.to_dict("records")]
    minus = [" ".join(map(printed, name.split(" "))) for name in compared["minus"]]
    compared["difference"] = [f"{name} - {other}" for name, other in zip(names, minus, strict=True)]
    return compared


def _overview(table: pd.DataFrame) -> pd.DataFrame:
    compared = _compared(table)
    place, separate = PLACE[:2], compared[compared["part"].isin(["sampling", "loss"])]
    methods = {*separate["method"], *separate["minus"]}
    whole = table.groupby(place)["method"].agg(lambda names: methods <= set(names))
    compared = compared[(compared["part"].map(PARTS) != "method") | compared[place].apply(tuple, axis=1).map(whole)]
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
    gains = _side_by_side(_compared(table[table["part"] == "method"]), PLACE)
    gain = " - base's"
    page = _side_by_side(models, [*PLACE, "n"]).merge(gains, on=PLACE, how="left", suffixes=("", gain)).fillna("")
    columns = [f"{printed(metric)}{end}" for metric in MEASURED for end in ("", gain)]
    return page[[*PLACE, "n", *columns]].assign(**{name: page[name].map(printed) for name in PLACE})


def _side_by_side(rows: pd.DataFrame, index: list[str]) -> pd.DataFrame:
    """The texts of a row per metric as a row of one column per metric."""
    wide = rows.set_index([*index, "metric"])["text"].unstack("metric", sort=False)[MEASURED]
    return wide.rename(columns=printed).rename_axis(columns=None).reset_index()
