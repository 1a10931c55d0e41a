"""What each part of a study brings: pairs of models, by the part that they differ in.

The parts are read from the models' records: the sampling and the loss of a method, the base that it stands on, the
settings of the data set, the stem of the network and the weights that it starts from. Every two methods on a data set
and architecture are compared, those too that differ in several of these or in none; `LEGEND` says what each part means.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from fairdistill.reporting.columns import COUNTS, ESTIMATE, IDENTITY, MEASURED, OTHER, PLACE
from fairdistill.reporting.labels import printed
from fairdistill.reporting.models import Models
from fairdistill.reporting.pairs import base_names, differences, pair_with_bases, runs_of
from fairdistill.reporting.runs import read_table
from fairdistill.reporting.summaries import summarise
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
from fairdistill.runtime.errors import UserError
from fairdistill.settings.sweeps import Sweep, neighbours

# each part, and the column whose name differs between models that differ in the part
PARTS = {
    "sampling": "method",
    "loss": "method",
    "base": "method",
    "method": "method",
    "several": "method",
    "nothing": "method",
    "data": "dataset",
    "stem": "architecture",
    "weights": "architecture",
}
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
COLUMNS = ["part", *PLACE, "minus", "metric", "estimate", *ESTIMATE, "seeds", "at_chance"]

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


def ablations(
    models: Models, *, order: Mapping[str, Sequence[str]], sweeps: Mapping[str, Mapping[str, Sweep]]
) -> pd.DataFrame:
    """Return each model's means and each difference between two models, one row per metric.

    Columns: part; dataset, architecture, method; minus; metric (accuracy, deo_a, deo_m); estimate, and the columns
    `ESTIMATE`; seeds; at_chance, whether a model is, in any of the trainings, no more accurate than one that names the
    largest class. Where `part` is "model" the estimate is the mean over the model's `seeds`. Else it is a difference,
    and `minus` is what the other model has in the place of the method ("sampling", "loss", "base", "method" for the
    difference to its base, "several" to a method that differs in more than one of these, and "nothing" to one that has
    the same settings under another name), of the data set ("data") or of the architecture ("stem"); a base of another
    architecture has that before its method. So every two methods on one data set and architecture are compared, unless
    they are of one sweep: of its models, as of data sets and architectures of one sweep, those are compared that are
    neighbours in one setting (see `fairdistill.settings.sweeps.neighbours`), or a model and its base. Of each data set
    and architecture the seeds count that all methods have there, so that differences between methods are of the same
    models and add up.

    Parameters
    ----------
    models : Models
        See `fairdistill.reporting.models.read_models`.
    order : mapping
        All names of each column of `PLACE`, in the order of the table; later ones are compared with earlier ones.
    sweeps : mapping
        The sweeps of each column of `PLACE`, by name.

    Raises
    ------
    UserError
        If the methods on one data set and architecture have no seed in common.
    """
    runs = _shared_seeds(models.runs)
    rank = {column: {name: i for i, name in enumerate(names)} for column, names in order.items()}
    rank["part"] = {part: i for i, part in enumerate(["model", *PARTS])}
    rank["minus"] = {"": -1, **rank["dataset"], **rank["architecture"], **rank["method"]}
    means = summarise(runs, models.answers).query("metric in @MEASURED").rename(columns={"mean": "estimate"})
    gaps = pair_with_bases(runs, models.answers).assign(part="method", minus=base_names)
    pairs = pd.concat([_pairs(runs, models.parts, name, rank, sweeps.get(name, {})) for name in PLACE])
    changes = differences(pairs, models.answers, by=["part", *PLACE, "minus"])
    # a model differs from its base in several parts, too
    names = [*PLACE, "minus"]
    with_base = changes["part"].isin(["several", "nothing"]) & changes[names].apply(tuple, axis=1).isin(
        gaps[names].itertuples(index=False, name=None)
    )
    compared = pd.concat([changes[~with_base], gaps]).rename(columns={"difference": "estimate"})
    means = means.assign(part="model", minus="")
    table = pd.concat([means, compared.assign(seeds="")])[COLUMNS]

    def places(names: pd.Series) -> pd.Series:
        place = rank[str(names.name)]
        # of the base of another architecture, by its method
        return names.map(lambda name: place[name.split(" ")[-1]])

    return table.sort_values(["part", *PLACE, "minus"], key=places, kind="stable", ignore_index=True)


def compared_runs(path: Path | str) -> pd.DataFrame:
    """Return the runs that a table of `ablations`, written as CSV, is of: dataset, architecture, method, seed.

    Raises
    ------
    UserError
        If the file is not such a table.
    """
    maker = "scripts.make_ablations"
    texts = ["part", *PLACE, "minus", "metric", "seeds"]
    table = read_table(path, COLUMNS, texts=texts, whole=COUNTS, flags=["at_chance"], maker=maker)
    models = table[table["part"] == "model"]
    runs = models.assign(seed=models["seeds"].str.split()).explode("seed")
    if runs.empty or not runs["seed"].str.fullmatch(r"\d+").eq(True).all():
        raise UserError(f"{path}: the rows of its models do not have their seeds; make it with {maker}")
    return runs.astype({"seed": int})[[*PLACE, "seed"]].drop_duplicates(ignore_index=True)


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


def _shared_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the seeds that all methods on their data set and architecture have."""
    place = PLACE[:2]
    methods = runs.groupby(place)["method"].transform("nunique")
    shared = runs[runs.groupby([*place, "seed"])["method"].transform("nunique") == methods]
    for names, found in runs.groupby(place):
        if names not in set(shared[place].itertuples(index=False, name=None)):
            have = ", ".join(found["method"].unique())
            raise UserError(
                f"no seed on {' '.join(map(str, names))} that all its methods ({have}) have; train them on one"
            )
    return shared.reset_index(drop=True)


def _pairs(
    runs: pd.DataFrame,
    parts: Mapping[tuple, Mapping],
    name: str,
    rank: Mapping[str, Mapping],
    sweeps: Mapping[str, Sweep],
) -> pd.DataFrame:
    """Pairs of runs whose `name` differs, and no part of another column, with columns part and minus.

    Runs of a seed are paired fold by fold, but each with each where two data sets have other numbers of folds: there
    no two folds belong together. Of `sweeps` only neighbours are paired.
    """
    same = [column for column in PLACE if column != name]
    folds = runs.assign(folds=runs.groupby("dataset")["fold"].transform("nunique"))
    pairs = folds.merge(folds, on=["study", *same, "seed"], suffixes=("", OTHER))
    pairs = pairs[(pairs["fold"] == pairs[f"fold{OTHER}"]) | (pairs["folds"] != pairs[f"folds{OTHER}"])]
    pairs = pairs[pairs[name].map(rank[name]) > pairs[f"{name}{OTHER}"].map(rank[name])]
    pairs = pairs[_are_compared(pairs, runs, name, sweeps)]
    pairs = pairs.assign(**{f"{column}{OTHER}": pairs[column] for column in same})
    found = [_part(pair, parts) for pair in pairs.to_dict("records")]
    pairs = pairs.assign(part=pd.Series(found, index=pairs.index, dtype=object), minus=pairs[f"{name}{OTHER}"])
    return pairs[pairs["part"].isin(PARTS)]


def _are_compared(pairs: pd.DataFrame, runs: pd.DataFrame, name: str, sweeps: Mapping[str, Sweep]) -> pd.Series:
    """Whether each pair is of neighbours among a sweep's models that are there, or not of one sweep."""
    same = [column for column in PLACE if column != name]
    sweep_of = {model: entry for entry, sweep in sweeps.items() for model in sweep}
    near = {
        (*place, pair)
        for place, there in runs.groupby(same)[name]
        for sweep in sweeps.values()
        for pair in map(frozenset, neighbours({model: sweep[model] for model in sweep if model in set(there)}))
    }
    found = [
        sweep_of.get(one, one) != sweep_of.get(other, other) or (*place, frozenset([one, other])) in near
        for *place, one, other in pairs[[*same, name, f"{name}{OTHER}"]].itertuples(index=False)
    ]
    return pd.Series(found, index=pairs.index, dtype=bool)


def _part(pair: Mapping, parts: Mapping[tuple, Mapping]) -> str | None:
    """The part in which the two runs of a pair differ; None where they differ in more than their methods."""
    one, other = (parts[tuple(run[name] for name in IDENTITY)] for run in runs_of(pair))
    changed = [part for part in one if one[part] != other[part]]
    if not changed and one["kinds"] == other["kinds"] and pair["method"] != pair[f"method{OTHER}"]:
        return "nothing"
    if len(changed) > 1 and all(PARTS.get(part) == "method" for part in changed):
        return "several"
    return changed[0] if len(changed) == 1 else None


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
