"""The comparison of all methods of a study: ranked by fairness, with what each costs and needs.

docs/methods.md has the rules that the comparison follows, and docs/statistics.md how its p-values are computed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairdistill.evaluation.crossed import Trainings
from fairdistill.evaluation.moderation import Common, common_spread
from fairdistill.evaluation.seeds import holm
from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.columns import BASE, COUNTS, DEO, IDENTITY, MEASURED, MODEL, OTHER, PLACE, TRAINING, keys
from fairdistill.reporting.csv_files import read_table
from fairdistill.reporting.models import Models
from fairdistill.reporting.pairs import base_names, differences, teachers_of
from fairdistill.reporting.runs import at_chance
from fairdistill.reporting.summaries import beside_each_other, summarise
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import TEACHER, method_of_kind

MAKER = "scripts.rank_methods"
# The method whose training costs 1; the teacher where the study lacks it.
STANDARD = "erm"
ENDS = ["low", "high"]
NEEDS = ["base", "needs_group", "needs_validation", "randomised"]
# The columns of the ranking, without the comparisons.
RANKED = [
    *(*PLACE, "rank", "method", "role", "family", "pareto_front", *COUNTS),
    *(f"{metric}{part}" for metric in MEASURED for part in ("", "_sd", "_low", "_high")),
    *("at_chance", "cost", "cost_with_bases", *NEEDS),
]
CELLS = [*MODEL, "role", "needs_group", "group", "class", "accuracy"]

SIGNIFICANT = 0.05
UNDECIDED, UNTESTED = "undecided", "not tested"
# What a difference below zero is called, and one above.
WORDS = {
    "accuracy": ("less accurate", "more accurate"),
    "deo_a": ("fairer", "less fair"),
    "deo_m": ("fairer", "less fair"),
}


def rank_methods(models: Models, references: Sequence[str]) -> pd.DataFrame:
    """Return the methods on each data set and architecture by their mean DEO_A, one row per method.

    Places with a single student method are left out. A teacher of another architecture, which has no place of its own,
    is beside the students that stand on it, as the method `<its architecture> teacher`.

    Columns: dataset, architecture; rank, 1 for the lowest DEO_A, missing for teachers; method, role, family;
    pareto_front, whether no other student is as accurate and as fair and better in one of the two; n, the number of
    seeds, and trainings; accuracy, deo_a and deo_m, each the mean over seeds (fractions) with `_sd` and the ends of its
    95 % interval, `_low` and `_high`; at_chance, whether one of the models is no more accurate than one that names the
    largest class. Such methods come last, and are on no front: their DEO says nothing.

    cost is the training of the method as a multiple of that of `erm`, or of the teacher where there is no such method,
    and cost_with_bases the same with the trainings of the models that it stands on: of processor time on a CPU and of
    time on a GPU, means over the seeds that both have, and missing where one of the two is not known or they ran on
    different kinds of device. base names the model that the method stands on; needs_group says whether the group of an
    image has to be known when it is classified, needs_validation whether a validation split is needed, on which the
    method is fitted or the epoch of its weights chosen, and randomised whether it draws labels at random.

    For each reference R, and each metric M: M_minus_R, the difference over the seeds that both have, with `_low` and
    `_high`; `_p`, which agrees with the interval (missing for a single training); `_d0`, the degrees of freedom that
    both owe to the trainings of all methods (0 where these are few, see `fairdistill.evaluation.moderation`);
    `_p_holm`, corrected by Holm's method over all methods that are compared with R in this metric on this data set, of
    which those of a single training count with a p of 1; and `_verdict`. A teacher is compared with nothing, and a
    method not with itself.

    Parameters
    ----------
    models : Models
        Of a study, see `fairdistill.reporting.models.read_models`.
    references : sequence of str
        Methods.

    Raises
    ------
    UserError
        If no data set and architecture has two student methods, or a reference is in no run.
    """
    runs = _compared(models.runs)
    # the teacher may be of an architecture without students
    known = dict.fromkeys([*runs["method"], *(name for name in models.runs["method"] if name == TEACHER)])
    if unknown := [name for name in references if name not in known]:
        raise UserError(
            f"--reference: there is no model of the method '{unknown[0]}'; choose one of {', '.join(known)}"
        )
    shown, titles = _shown(models)
    table = beside_each_other(summarise(shown, models.trainings)).merge(_traits(shown, models.trained), on=MODEL)
    table = _relative_costs(_titled(table, titles))
    table = table.sort_values(["at_chance", "deo_a", "accuracy"], ascending=[True, True, False], kind="stable")
    ranks = table[table["role"] == "student"].groupby(PLACE).cumcount() + 1
    table = table.assign(rank=ranks, pareto_front=_on_front(table))[RANKED]
    order = list(dict.fromkeys(keys(runs, PLACE)))
    place = pd.Series([order.index(names) for names in keys(table, PLACE)])
    table = table.iloc[place.argsort(kind="stable")].reset_index(drop=True)
    for reference in references:
        table = table.merge(_differences(runs, models, reference), on=MODEL, how="left")
        verdicts = [f"{metric}_minus_{reference}_verdict" for metric in MEASURED]
        table = table.fillna(dict.fromkeys(verdicts, ""))
    return table


def cells_table(models: Models) -> pd.DataFrame:
    """Return the accuracy of each method on each class and group: means over seeds, for the rows of `rank_methods`."""
    rows = []
    shown, titles = _shown(models)
    for names, trainings in shown.groupby([*MODEL, "role", "needs_group"], sort=False):
        rows += [[*names, *cell] for cell in models.mean_cells(trainings)]
    return _titled(pd.DataFrame(rows, columns=CELLS), titles)


def pareto_front(accuracy: ArrayLike, deo: ArrayLike) -> np.ndarray:
    """Return, for each method, whether no other is at least as accurate and as fair, and better in one of the two."""
    good = np.column_stack([accuracy, -np.asarray(deo)])
    as_good = (good[:, None] >= good).all(axis=2)
    return np.asarray(~(as_good & (good[:, None] > good).any(axis=2)).any(axis=0))


def read_ranking(path: Path | str) -> pd.DataFrame:
    """Return the table that `rank_methods` wrote as methods.csv; a UserError says what is wrong with it."""
    return read_table(path, RANKED, key=MODEL, texts=["base"], maker=MAKER)


def read_cells(path: Path | str) -> pd.DataFrame:
    """Return the table that `rank_methods` wrote as cells.csv; a UserError says what is wrong with it."""
    return read_table(path, CELLS, key=[*MODEL, "group", "class"], maker=MAKER)


def _compared(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the data sets and architectures that have two student methods or more."""
    students = runs["method"].where(runs["role"] == "student")
    several = runs.assign(student=students).groupby(PLACE)["student"].transform("nunique") > 1
    if not several.any():
        raise UserError("--grids: no data set and architecture has two methods to compare; name more methods")
    return runs[several]


def _shown(models: Models) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trainings of all models that have rows; and for each model the places and names of its rows.

    The latter has the columns of `MODEL`, and shown_in and shown_as, an architecture and a method.
    """
    runs = _compared(models.runs)
    own = runs[MODEL].drop_duplicates()
    own = own.assign(shown_in=own["architecture"], shown_as=own["method"])
    # the teachers, of an architecture that has no place, that students stand on
    names = [*PLACE, *BASE]
    others = runs.loc[(runs["role"] == "student") & (runs["base_method"] == TEACHER), names].drop_duplicates()
    others = others.rename(columns={"architecture": "shown_in", **dict(zip(BASE, MODEL[1:], strict=True))})
    others = others.merge(own[PLACE].drop_duplicates(), on=PLACE, how="left", indicator=True)
    others = others[others.pop("_merge") == "left_only"]
    others = others.assign(shown_as=others["architecture"] + " " + others["method"])
    beside = models.runs.merge(others[MODEL].drop_duplicates(), on=MODEL)
    return pd.concat([runs, beside], ignore_index=True), pd.concat([own, others], ignore_index=True)


def _titled(table: pd.DataFrame, titles: pd.DataFrame) -> pd.DataFrame:
    """A table of models with the places and names that they are shown in and as, in place of their own."""
    table = table.merge(titles, on=MODEL)
    return table.assign(architecture=table.pop("shown_in"), method=table.pop("shown_as"))


def _traits(runs: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """What each method is, needs and costs by these runs, one row per data set, architecture and method.

    cost and cost_with_bases are in seconds, by seed, of trainings on `device`.
    """
    of_training = dict(zip(keys(trained, TRAINING), trained.to_dict("records"), strict=True))

    def chain(run: Mapping | None) -> list[Mapping | None]:
        """A training, and those of the models that it stands on; None for one that is not known."""
        if run is None or not run["base_method"]:
            return [run]
        below = run["dataset"], run["base_architecture"], run["base_method"], run["seed"], run["fold"]
        return [run, *chain(of_training.get(below))]

    def seconds(runs: Sequence[Mapping | None]) -> float:
        """What trainings cost; nan where one is not known, or they ran on different kinds of device."""
        known = [run for run in runs if run is not None]
        of_one_kind = len(known) == len(runs) and len({run["device"] for run in known}) == 1
        return sum(run["cost"] for run in known) if of_one_kind else np.nan

    whole = runs[IDENTITY].merge(trained, on=IDENTITY)
    whole = whole.assign(of_all=[seconds(chain(run)) for run in whole.to_dict("records")], base=base_names(whole))
    rows = []
    for names, found in whole.groupby(MODEL, sort=False):
        settings = method_of_kind(found["kind"].iloc[0])
        of_seeds = found.groupby("seed")[["cost", "of_all"]].sum(min_count=1, skipna=False)
        rows.append(
            dict(zip(MODEL, names, strict=True))
            | {name: found[name].iloc[0] for name in ("base", "family", "randomised")}
            | {
                "needs_validation": bool(settings and settings.needs_validation) or bool(found["chosen_epoch"].any()),
                "device": found["device"].iloc[0] if found["device"].nunique() == 1 else "",
                "cost": of_seeds["cost"],
                "cost_with_bases": of_seeds["of_all"],
            }
        )
    return pd.DataFrame(rows)


def _relative_costs(table: pd.DataFrame) -> pd.DataFrame:
    """The table with costs as multiples of that of the standard of each place, on the same kind of device.

    They are compared by the seeds that both have: other seeds may have been trained on other machines.
    """
    relative, costs = table.copy(), ["cost", "cost_with_bases"]
    for _, found in table.groupby(PLACE):
        of_method = found.set_index("method")
        standard = next((of_method.loc[name].to_dict() for name in (STANDARD, TEACHER) if name in of_method.index), {})
        for name in costs:
            relative.loc[found.index, name] = [
                _multiple(own, standard["cost"]) if device == standard.get("device") else np.nan
                for own, device in zip(found[name], found["device"], strict=True)
            ]
    return relative.astype(dict.fromkeys(costs, float))


def _multiple(own: pd.Series, other: pd.Series) -> float:
    """What a method costs as a multiple of another, of both by seed."""
    own, other = own.align(other, join="inner")
    return own.mean(skipna=False) / (other.mean(skipna=False) or np.nan)


def _on_front(table: pd.DataFrame) -> pd.Series:
    """Whether each method is on the front of accuracy and DEO_A of its place's students."""
    front = pd.Series(False, index=table.index)
    for _, found in table[(table["role"] == "student") & ~table["at_chance"]].groupby(PLACE):
        front[found.index] = pareto_front(found["accuracy"], found["deo_a"])
    return front


def _differences(runs: pd.DataFrame, models: Models, reference: str) -> pd.DataFrame:
    """Each student method less the reference, one row per data set, architecture and method."""
    students = runs[(runs["role"] == "student") & (runs["method"] != reference)]
    others = models.runs[models.runs["method"] == reference]
    own = students["architecture"]
    pairs = students.assign(beside=own if reference != TEACHER else teachers_of(own, others)).merge(
        others.assign(beside=others["architecture"]),
        on=["study", "dataset", "beside", "seed", "fold"],
        suffixes=("", OTHER),
    )
    found = differences(pairs, models.trainings, by=MODEL, common=_common(runs, models, reference))
    p = found["p_interval"].astype(float)
    # one that is still to be tested belongs to the family: its test shall not take back what is decided now
    corrected = p.fillna(1).groupby([found["dataset"], found["metric"]]).transform(holm).where(p.notna())
    found = found.assign(p=p, p_holm=corrected)
    found["verdict"] = [_word(row) for row in found.to_dict("records")]
    beside = []
    for metric in MEASURED:
        name = f"{metric}_minus_{reference}"
        parts = {"difference": name} | {part: f"{name}_{part}" for part in (*ENDS, "p", "d0", "p_holm", "verdict")}
        of_metric = found[found["metric"] == metric].set_index(MODEL)
        beside.append(of_metric.rename(columns=parts)[list(parts.values())])
    return pd.concat(beside, axis=1).reset_index()


def _common(runs: pd.DataFrame, models: Models, reference: str) -> dict[tuple, Common | None]:
    """How much trainings differ by those of the reference and all students, by data set, architecture and metric.

    Methods at chance say nothing of others, nor do those that `_distinct_trainings` leaves out.
    """
    compared = runs[(runs["role"] == "student") | (runs["method"] == reference)]
    compared = compared[~at_chance(compared).groupby([compared[name] for name in MODEL]).transform("any")]
    found = {}
    for place, methods in compared.groupby(PLACE):
        distinct = _distinct_trainings(methods, models)
        for metric in MEASURED:
            scores = [pd.Series(model.scores(model.cells, metric).ravel(), seeds) for seeds, model in distinct]
            found[*place, metric] = common_spread(pd.DataFrame(dict(enumerate(scores))).T)
    return found


def _distinct_trainings(runs: pd.DataFrame, models: Models) -> list[tuple[pd.MultiIndex, Trainings]]:
    """The trainings of each method that says how much trainings differ, and their seeds and folds.

    A model that is the same for every seed says nothing of that. Methods whose models answer alike in all trainings
    that the one with fewer has, as those of one model under two names in sweeps, count once.
    """
    distinct: list[tuple[pd.MultiIndex, Trainings]] = []
    known: list[dict] = []
    for _, own in sorted(runs.groupby("method"), key=lambda item: len(item[1]), reverse=True):
        if len(models.trainings.apart(own)) < len(own):
            continue
        trainings = models.trainings.of(own)
        seeds = pd.MultiIndex.from_frame(own.sort_values(["seed", "fold"])[["seed", "fold"]])
        answers = dict(zip(seeds, map(bytes, trainings.cells.reshape(len(own), -1)), strict=True))
        if not any(answers.items() <= others.items() for others in known):
            distinct.append((seeds, trainings))
            known.append(answers)
    return distinct


def _word(row: Mapping) -> str:
    """What a difference is called, by the rules of docs/methods.md."""
    if row["metric"] in DEO and row["at_chance"]:
        return AT_CHANCE
    if np.isnan(row["p_holm"]):
        return UNTESTED
    if not row["p_holm"] < SIGNIFICANT:
        return UNDECIDED
    below, above = WORDS[row["metric"]]
    # p and the interval are of the corrected difference, and the observed one may lie on the other side of zero
    return below if row["corrected"] < 0 else above
