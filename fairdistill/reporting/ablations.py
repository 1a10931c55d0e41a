"""What each part of a study brings: pairs of models that differ in that part, and in nothing else.

The parts are read from the models' records: the sampling and the loss of a method, the architecture of the teacher that
it was distilled from, the settings of the data set, the stem of the architecture.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from fairdistill.evaluation.correctness import Correctness
from fairdistill.reporting.labels import printed
from fairdistill.reporting.runs import (
    ESTIMATE,
    MEASURED,
    OTHER,
    RUN,
    differences,
    margins,
    pair_with_teachers,
    runs_of,
    summarise,
)
from fairdistill.reporting.tables import NOTE, latex, markdown, numbers
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json

MODEL = ["dataset", "architecture", "method"]
# each part, and the name that differs between models that differ in it; `method` is the whole of one, less its teacher
PARTS = {
    "sampling": "method",
    "loss": "method",
    "teacher": "method",
    "method": "method",
    "data": "dataset",
    "stem": "architecture",
}
COLUMNS = ["part", *MODEL, "minus", "metric", "estimate", *ESTIMATE, "seeds"]

INTRODUCTION = (
    "Two models are compared where they differ in one part alone; all values are fractions. A model counts with the "
    "seeds that all methods on its data set and architecture have, a difference with those that both of its models "
    "have. The interval, at 95 %, joins the noise of the test set with that of the seeds, where there are several. "
    f"{NOTE}"
)
OVERVIEW = (
    "Mean of the difference over data sets, architectures and, for data and stem, methods; methods are compared where "
    "all of those that differ in sampling or loss are, so that their differences add up. In brackets, in how many "
    "comparisons the interval lies wholly below zero, and wholly above."
)
MODELS = "Each model, mean and sd over n seeds, and what it gains on its teacher."


def read_parts(paths: Iterable[Path | str]) -> dict[tuple, dict]:
    """Return the parts that each model is made of, by the values of `RUN`; a UserError names a file that lacks one."""
    found = {}
    for path in paths:
        record = read_json(path)
        try:
            method, architecture = dict(record["parameters"]["method"]), record["parameters"]["architecture"]
            found[tuple(record["run"][name] for name in RUN)] = {
                "sampling": method.pop("sampling"),
                "loss": method,
                "teacher": record["run"].get("teacher"),
                "data": record["data"]["settings"],
                "stem": architecture["stem"],
                # between kinds nothing is compared
                "kinds": (record["data"]["kind"], architecture["kind"]),
            }
        except KeyError as error:
            raise UserError(f"{path}: lacks the field {error}; train the model again") from error
    return found


def ablations(
    runs: pd.DataFrame,
    correctness: Mapping[tuple, Correctness],
    parts: Mapping[tuple, Mapping],
    *,
    order: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """Return each model's means and each difference between models that one part makes, one row per metric.

    Columns: part; dataset, architecture, method; minus; metric (accuracy, deo_a, deo_m); estimate, sd, n; seeds_low
    and seeds_high, its t-interval; test_low and test_high, its test-set interval. Where `part` is "model" the
    estimate is the mean over the model's `seeds`. Else it is a difference, and the other model has `minus` in the
    place of the method ("sampling", "loss", "teacher", and "method" for the difference to the teacher), of the data
    set ("data") or of the architecture ("stem"). Of each data set and architecture the seeds count that all methods
    have there, so that differences between methods are of the same models and add up.

    Parameters
    ----------
    runs : DataFrame
        One row per model, see `fairdistill.reporting.runs.read_metrics`.
    correctness, parts : mappings
        See `fairdistill.reporting.runs.read_correctness` and `read_parts`.
    order : mapping
        All names of each column of `MODEL`, in the order of the table; later ones are compared with earlier ones.

    Raises
    ------
    UserError
        If the methods on one data set and architecture have no seed in common.
    """
    runs = _shared_seeds(runs)
    rank = {column: {name: i for i, name in enumerate(names)} for column, names in order.items()}
    rank["part"] = {part: i for i, part in enumerate(["model", *PARTS])}
    rank["minus"] = {"": -1, **rank["dataset"], **rank["architecture"], **rank["method"]}
    models = summarise(runs).query("metric in @MEASURED").rename(columns={"mean": "estimate"})
    gaps = pair_with_teachers(runs, correctness).assign(part="method", minus="teacher")
    pairs = pd.concat([_pairs(runs, parts, name, rank) for name in MODEL])
    changes = differences(pairs, correctness, by=["part", *MODEL, "minus"])
    compared = pd.concat([changes, gaps]).rename(columns={"difference": "estimate"})
    seeds = runs.groupby(MODEL)["seed"].agg(lambda seeds: " ".join(map(str, sorted(seeds)))).rename("seeds")
    models = models.assign(part="model", minus="").join(seeds, on=MODEL)
    table = pd.concat([models, compared.assign(seeds="")])[COLUMNS]
    by = ["part", *MODEL, "minus"]
    return table.sort_values(by, key=lambda names: names.map(rank[names.name]), kind="stable", ignore_index=True)


def compared_runs(path: Path | str) -> pd.DataFrame:
    """Return the runs that a table of `ablations`, written as CSV, is of: dataset, architecture, method, seed.

    Raises
    ------
    UserError
        If a column is missing, as in a table of an earlier version.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [name for name in COLUMNS if name not in table]:
        raise UserError(f"{path}: column '{missing[0]}' is missing; make it again with scripts.make_ablations")
    models = table[table["part"] == "model"]
    runs = models.assign(seed=models["seeds"].str.split()).explode("seed").astype({"seed": int})
    return runs[[*MODEL, "seed"]].drop_duplicates(ignore_index=True)


def in_order(grids: Sequence[Mapping[str, Sequence[str]]]) -> dict[str, list[str]]:
    """The names of all grids of a study, each where it first comes: the order that `ablations` takes."""
    return {name: list(dict.fromkeys(value for grid in grids for value in grid[name])) for name in MODEL}


def ablations_markdown(table: pd.DataFrame) -> str:
    """Return what `ablations` returned as Markdown: an overview, the models, and every comparison."""
    compared = _compared(table)
    columns = ["part", "difference", *MODEL, "n"]
    # the name that the difference gives already
    for part, name in PARTS.items():
        compared.loc[compared["part"] == part, name] = ""
    comparisons = _side_by_side(compared.assign(**{name: compared[name].map(printed) for name in MODEL}), columns)
    sections = [
        "# What each part brings",
        INTRODUCTION,
        f"## In short\n\n{OVERVIEW}",
        markdown(_overview(table)),
        f"## The models\n\n{MODELS}",
        markdown(_models(table)),
        "## Every comparison",
        markdown(comparisons),
    ]
    return "\n\n".join(sections) + "\n"


def ablations_latex(table: pd.DataFrame) -> str:
    """Return the overview and the models of `ablations_markdown` as two LaTeX floats."""
    return "\n".join(
        [
            latex(_overview(table), caption=f"What each part brings. {OVERVIEW} {NOTE}", label="tab:ablations"),
            latex(_models(table), caption=MODELS, label="tab:ablation-models"),
        ]
    )


def _shared_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the seeds that all methods on their data set and architecture have."""
    place = MODEL[:2]
    methods = runs.groupby(place)["method"].transform("nunique")
    shared = runs[runs.groupby([*place, "seed"])["method"].transform("nunique") == methods]
    for names, found in runs.groupby(place):
        if names not in set(shared[place].itertuples(index=False, name=None)):
            methods = ", ".join(sorted(found["method"].unique()))
            raise UserError(f"no seed on {' '.join(names)} that all its methods ({methods}) have; train them on one")
    return shared.reset_index(drop=True)


def _pairs(runs: pd.DataFrame, parts: Mapping[tuple, Mapping], name: str, rank: Mapping[str, Mapping]) -> pd.DataFrame:
    """Pairs of runs whose `name` differs, and of whose parts just one, with the columns part and minus."""
    same = [column for column in MODEL if column != name]
    pairs = runs.merge(runs, on=["study", *same, "seed"], suffixes=("", OTHER))
    pairs = pairs[pairs[name].map(rank[name]) > pairs[f"{name}{OTHER}"].map(rank[name])]
    pairs = pairs.assign(**{f"{column}{OTHER}": pairs[column] for column in same})
    found = [_part(pair, parts) for pair in pairs.to_dict("records")]
    pairs = pairs.assign(part=pd.Series(found, index=pairs.index, dtype=object), minus=pairs[f"{name}{OTHER}"])
    return pairs[pairs["part"].isin(PARTS)]


def _part(pair: Mapping, parts: Mapping[tuple, Mapping]) -> str | None:
    """The one part in which the two runs of a pair differ; None where there is not just one."""
    one, other = (parts[tuple(run[name] for name in RUN)] for run in runs_of(pair))
    changed = [part for part in one if one[part] != other[part]]
    return changed[0] if len(changed) == 1 else None


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    """The differences of the table, each once, with the columns difference, low, high and text to print."""
    compared = table[table["part"] != "model"].drop_duplicates([*MODEL, "minus", "metric"]).copy()
    ends = [margins(row | {"difference": row["estimate"]}) for row in compared.to_dict("records")]
    ends = pd.DataFrame(ends, columns=["down", "up"], index=compared.index, dtype=float)
    compared["low"], compared["high"] = compared["estimate"] - ends["down"], compared["estimate"] + ends["up"]
    parts = (numbers(compared[name], "{:+.3f}") for name in ("estimate", "low", "high"))
    compared["text"] = [f"{estimate} [{low}, {high}]" for estimate, low, high in zip(*parts, strict=True)]
    names = [printed(row[PARTS[row["part"]]]) for row in compared.to_dict("records")]
    compared["difference"] = [
        f"{name} - {printed(minus)}" for name, minus in zip(names, compared["minus"], strict=True)
    ]
    return compared


def _overview(table: pd.DataFrame) -> pd.DataFrame:
    compared = _compared(table)
    place, separate = MODEL[:2], compared[compared["part"].isin(["sampling", "loss"])]
    methods = {*separate["method"], *separate["minus"]}
    whole = table.groupby(place)["method"].agg(lambda names: methods <= set(names))
    compared = compared[(compared["part"].map(PARTS) != "method") | compared[place].apply(tuple, axis=1).map(whole)]
    compared = compared.assign(below=compared["high"] < 0, above=compared["low"] > 0)
    groups = compared.groupby(["part", "difference", "metric"], sort=False)
    lines = groups.agg(
        estimate=("estimate", "mean"), below=("below", "sum"), above=("above", "sum"), n=("part", "size")
    )
    lines = lines.reset_index().rename(columns={"n": "comparisons"})
    parts = numbers(lines["estimate"], "{:+.3f}"), lines["below"], lines["above"]
    lines["text"] = [
        f"{estimate} ({below} below, {above} above)" for estimate, below, above in zip(*parts, strict=True)
    ]
    return _side_by_side(lines, ["part", "difference", "comparisons"])


def _models(table: pd.DataFrame) -> pd.DataFrame:
    models = table[table["part"] == "model"].copy()
    parts = numbers(models["estimate"], "{:.3f}"), numbers(models["sd"], " ± {:.3f}")
    models["text"] = [f"{mean}{sd}" for mean, sd in zip(*parts, strict=True)]
    gains = _side_by_side(_compared(table[table["part"] == "method"]), MODEL)
    gain = " - teacher's"
    page = _side_by_side(models, [*MODEL, "n"]).merge(gains, on=MODEL, how="left", suffixes=("", gain)).fillna("")
    columns = [f"{printed(metric)}{end}" for metric in MEASURED for end in ("", gain)]
    return page[[*MODEL, "n", *columns]].assign(**{name: page[name].map(printed) for name in MODEL})


def _side_by_side(rows: pd.DataFrame, index: list[str]) -> pd.DataFrame:
    """The texts of a row per metric as a row of one column per metric."""
    wide = rows.set_index([*index, "metric"])["text"].unstack("metric", sort=False)[MEASURED]
    return wide.rename(columns=printed).rename_axis(columns=None).reset_index()
