"""What each part of a study brings: pairs of models, by the part that they differ in.

The parts are read from the models' records: the sampling and the loss of a method, the base that it stands on, the
settings of the data set, the stem of the network and the weights that it starts from. Every two methods on a data set
and architecture are compared, those too that differ in several of these or in none. What each part means is said by
`fairdistill.reporting.ablation_pages.LEGEND`.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd

from fairdistill.reporting.columns import ESTIMATE, IDENTITY, MEASURED, MODEL, OTHER, PLACE, keys
from fairdistill.reporting.csv_files import read_table
from fairdistill.reporting.models import Models
from fairdistill.reporting.pairs import base_names, differences, pair_with_bases, runs_of
from fairdistill.reporting.summaries import summarise
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
# Of a sweep of up to so many models, every two are compared. In a large one there are thousands of pairs, which take a
# third of a second each.
ALL_PAIRS = 20
COLUMNS = ["part", *MODEL, "minus", "metric", "estimate", *ESTIMATE, "seeds", "at_chance", "needs_group"]


def ablations(
    models: Models, *, order: Mapping[str, Sequence[str]], sweeps: Mapping[str, Mapping[str, Sweep]]
) -> pd.DataFrame:
    """Return each model's means and each difference between two models, one row per metric.

    Columns: part; dataset, architecture, method; minus; metric (accuracy, deo_a, deo_m); estimate, and the columns
    `ESTIMATE`; seeds; at_chance, whether a model is, in any of the trainings, no more accurate than one that names the
    largest class; needs_group, whether `method` needs the group of each image at prediction time. Where `part` is
    "model" the estimate is the mean over the model's `seeds`. Else it is a difference, and `minus` is what the other
    model has in the place of the method ("sampling", "loss", "base", "method" for the difference to its base, "several"
    to a method that differs in more than one of these, and "nothing" to one that has the same settings under another
    name), of the data set ("data") or of the architecture ("stem"); a base of another architecture has that before its
    method. So every two methods on one data set and architecture are compared, but of a sweep of more than `ALL_PAIRS`
    models, as of so many data sets or architectures of one sweep, only those that are neighbours in one setting (see
    `fairdistill.settings.sweeps.neighbours`), and a model and its base. Of each data set and architecture the seeds
    count that all methods have there, so that differences between methods are of the same models and add up.

    Parameters
    ----------
    models : Models
        See `fairdistill.reporting.models.read_models`.
    order : mapping
        All names of each column of `MODEL`, in the order of the table; later ones are compared with earlier ones.
    sweeps : mapping
        The sweeps of each column of `MODEL`, by name.

    Raises
    ------
    UserError
        If the methods on one data set and architecture have no seed in common.
    """
    runs = _shared_seeds(models.runs)
    rank = {column: {name: i for i, name in enumerate(names)} for column, names in order.items()}
    rank["part"] = {part: i for i, part in enumerate(["model", *PARTS])}
    rank["minus"] = {"": -1, **rank["dataset"], **rank["architecture"], **rank["method"]}
    means = summarise(runs, models.trainings).rename(columns={"mean": "estimate"})
    gaps = pair_with_bases(runs, models.trainings).assign(part="method", minus=base_names)
    pairs = pd.concat([_pairs(runs, models.parts, name, rank, sweeps.get(name, {})) for name in MODEL])
    changes = differences(pairs, models.trainings, by=["part", *MODEL, "minus"])
    # a model differs from its base in several parts, too
    names = [*MODEL, "minus"]
    with_base = changes["part"].isin(["several", "nothing"]) & changes[names].apply(tuple, axis=1).isin(
        keys(gaps, names)
    )
    compared = pd.concat([changes[~with_base], gaps]).rename(columns={"difference": "estimate"})
    means = means[means["metric"].isin(MEASURED)].assign(part="model", minus="")
    table = pd.concat([means, compared.assign(seeds="")])[COLUMNS]

    def ranks(names: pd.Series) -> pd.Series:
        known = rank[str(names.name)]
        # of the base of another architecture, by its method
        return names.map(lambda name: known[name.split(" ")[-1]])

    return table.sort_values(["part", *MODEL, "minus"], key=ranks, kind="stable", ignore_index=True)


def compared_runs(path: Path | str) -> pd.DataFrame:
    """Return the runs that a table of `ablations`, written as CSV, is of: dataset, architecture, method, seed.

    Raises
    ------
    UserError
        If the file is not such a table.
    """
    maker = "scripts.make_ablations"
    table = read_table(path, COLUMNS, maker=maker)
    models = table[table["part"] == "model"]
    runs = models.assign(seed=models["seeds"].str.split()).explode("seed")
    if runs.empty or not runs["seed"].str.fullmatch(r"\d+").eq(True).all():
        raise UserError(f"{path}: the rows of its models do not have their seeds; make it with {maker}")
    return runs.astype({"seed": int})[[*MODEL, "seed"]].drop_duplicates(ignore_index=True)


def _shared_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the seeds that all methods on their data set and architecture have."""
    methods = runs.groupby(PLACE)["method"].transform("nunique")
    shared = runs[runs.groupby([*PLACE, "seed"])["method"].transform("nunique") == methods]
    for names, found in runs.groupby(PLACE):
        if names not in set(keys(shared, PLACE)):
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
    no two folds belong together. Of a large one of `sweeps` only neighbours are paired.
    """
    same = [column for column in MODEL if column != name]
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
    """Whether each pair is of two sweeps, or of a small one, or of neighbours, each among the models that are there."""
    same = [column for column in MODEL if column != name]
    sweep_of = {model: entry for entry, sweep in sweeps.items() for model in sweep}
    within = set()
    for place, there in runs.groupby(same)[name]:
        for whole in sweeps.values():
            sweep = {model: values for model, values in whole.items() if model in set(there)}
            chosen = combinations(sweep, 2) if len(sweep) <= ALL_PAIRS else neighbours(sweep)
            within |= {(*place, frozenset(pair)) for pair in chosen}
    found = [
        sweep_of.get(one, one) != sweep_of.get(other, other) or (*place, frozenset([one, other])) in within
        for *place, one, other in keys(pairs, [*same, name, f"{name}{OTHER}"])
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
