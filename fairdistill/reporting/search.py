"""Choosing the settings of a method by the scores on the validation split, and what the chosen models then do in test.

`choose` gets the scores on the validation split and nothing else. The scores on the test split come in afterwards, in
`search_markdown`, by the names of the models that were chosen.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import pandas as pd

from fairdistill.reporting.columns import BASE, DEO, MEASURED, METRICS, MODEL, PLACE, keys
from fairdistill.reporting.csv_files import read_table
from fairdistill.reporting.labels import printed
from fairdistill.reporting.notes import AT_CHANCE_NOTE, GROUP_NOTE, NOTE, alone, marked, needing_group
from fairdistill.reporting.pairs import teachers_of
from fairdistill.reporting.printing import markdown, numbers, with_ends, with_sd
from fairdistill.reporting.runs import at_chance
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.sweeps import Candidates, Search, as_text

MAKER = "scripts.choose_settings"
# the accuracy that a rule compares
ACCURACY = {"cells": "mean_cell_accuracy", "images": "accuracy"}
# The scores of a model on the validation split: means and standard deviations over its trainings.
MEASURED_THERE = ["mean_cell_accuracy", *METRICS]
SCORES = [name for metric in MEASURED_THERE for name in (metric, f"{metric}_sd")]
FAIR = [f"{deo}_fair_baseline" for deo in DEO]
OF_BASE = [f"base_{metric}" for metric in (*ACCURACY.values(), *DEO)]
RULE = ["rule", "metric", "accuracy_of", "margin"]
# all of search.csv, before the columns of the swept settings
SEARCH = [
    *("sweep", *RULE, *MODEL, *BASE, "trainings", "smallest_cell", *SCORES, *FAIR, *OF_BASE),
    *("at_chance", "needs_group", "within_margin", "chosen", "why"),
]
# decimals to which two means are equal: those that tables have of a fraction
DIGITS = 9
HEADINGS = {
    "mean_cell_accuracy": "accuracy of cells",
    "accuracy": "accuracy of images",
    "deo_a": "DEO_A",
    "deo_m": "DEO_M",
    "worst_group_accuracy": "worst group",
}

INTRODUCTION = (
    "The models of each sweep with their scores on the validation split, as means ± sd over all trainings (seeds and "
    "folds). One model is chosen for each data set and architecture, by these scores alone. The accuracy of cells is "
    "the mean over the (class, group) cells; the accuracy of images is that over all images of the split, which is as "
    "biased as the training split. `base` is the base's value of the accuracy that the rule compares. If the smallest "
    "cell has few images, a DEO here is mostly noise: `if fair` is what a fair classifier of the same accuracy would "
    "score on average in the DEO that the rule uses. If the chosen model's DEO is no higher than that, the choice may "
    "be due to chance."
)
TEST = (
    "The chosen models and their bases on the test split, which played no part in the choice: mean over seeds and 95 % "
    "interval."
)
CAVEAT = (
    "A test interval treats the chosen setting as if it had been fixed beforehand. The test images do not flatter it, "
    "but the trainings that decided the choice are the ones that are tested, and the interval does not include "
    "that other validation images or seeds might have led to another setting. See docs/statistics.md."
)


def choose(validation: pd.DataFrame, searches: Sequence[Candidates], *, architectures: Sequence[str]) -> pd.DataFrame:
    """Return the scores of every candidate on the validation split, which of them is chosen, and why.

    A model is chosen for each search, data set and architecture of the main grid; the rules are explained in
    config/README.md.

    Columns: sweep; rule, metric, accuracy_of and margin, those of the search; dataset, architecture, method;
    base_architecture and base_method, of the model whose accuracy it is compared with, the teacher where it stands on
    none; trainings, their number; smallest_cell, the least number of images of a (class, group) cell;
    mean_cell_accuracy, accuracy, deo_a, deo_m and worst_group_accuracy, means over the trainings, each followed by its
    sd (ddof = 1); deo_a_fair_baseline and deo_m_fair_baseline, what a fair classifier of the same accuracy would score
    on so many images on average; base_mean_cell_accuracy, base_accuracy, base_deo_a and base_deo_m; at_chance, whether
    one of the trainings is no more accurate than one that names the largest class; needs_group, whether the method
    needs the group of each image at prediction time; within_margin; chosen; why, in words; the swept settings, as
    texts.

    Parameters
    ----------
    validation
        One row per training, its scores on the validation split: see `fairdistill.reporting.models.Models`.
    architectures
        Those of the main grid. Others have bases alone, of which some may be models of a sweep.

    Raises
    ------
    UserError
        If a candidate or its base has no scores on the validation split.
    """
    means = _means(validation)
    rows = []
    for search in searches:
        is_candidate = means["method"].isin(search.models) & means["architecture"].isin(architectures)
        places = dict.fromkeys(keys(means[is_candidate], PLACE))
        if not places:
            raise UserError(f"no model of {search.sweep} has scores on the validation split; train and evaluate them")
        for dataset, architecture in places:
            of_place = means[(means["dataset"] == dataset) & (means["architecture"] == architecture)]
            of_method = of_place.set_index("method")
            candidates = []
            for method, values in search.models.items():
                if method not in of_method.index:
                    raise UserError(
                        f"{dataset} {architecture} {method} has no scores on the validation split; train and evaluate "
                        "that model"
                    )
                row = of_method.loc[method].to_dict()
                base = _base_of(row, means)
                candidates.append(
                    {"sweep": search.sweep, "accuracy_of": search.rule.accuracy}
                    | search.rule.model_dump(include={"rule", "metric", "margin"})
                    | {"method": method, **row}
                    | dict(zip(BASE, base[MODEL[1:]], strict=True))
                    | {name: base[name.removeprefix("base_")] for name in OF_BASE}
                    | {name: as_text(value) for name, value in values.items()}
                )
            rows += judge(candidates, search.rule)
    settings = dict.fromkeys(name for search in searches for values in search.models.values() for name in values)
    return pd.DataFrame(rows, columns=[*SEARCH, *settings])


def _means(validation: pd.DataFrame) -> pd.DataFrame:
    """One row per model: its names, its base's, and the means and sds of its scores."""
    rows = []
    for names, trainings in validation.groupby(MODEL, sort=False):
        row = dict(zip(MODEL, names, strict=True)) | trainings.iloc[0][BASE].to_dict()
        row |= {"trainings": len(trainings), "at_chance": bool(at_chance(trainings).any())}
        row["needs_group"] = trainings["needs_group"].any()
        row["smallest_cell"] = trainings["smallest_cell"].min()
        row |= {name: trainings[name].mean() for name in FAIR}
        for metric in MEASURED_THERE:
            row |= {metric: round(trainings[metric].mean(), DIGITS), f"{metric}_sd": trainings[metric].round(12).std()}
        rows.append(row)
    return pd.DataFrame(rows)


def _base_of(model: Mapping, means: pd.DataFrame) -> pd.Series:
    """The scores of the model that another stands on; of the teacher where it stands on none."""
    names = (model["base_architecture"], model["base_method"]) if model["base_method"] else None
    architecture, method = names or (teachers_of(pd.Series([model["architecture"]]), means).iloc[0], TEACHER)
    found = means[
        (means["dataset"] == model["dataset"]) & (means["architecture"] == architecture) & (means["method"] == method)
    ]
    if found.empty:
        raise UserError(
            f"{model['dataset']} {architecture} {method} has no scores on the validation split; train and evaluate "
            "that model"
        )
    return found.iloc[0]


def judge(candidates: Sequence[Mapping], rule: Search) -> list[dict]:
    """Return the candidates of one choice, of which one is chosen, with the reason.

    One that is at chance is chosen only where all are, whatever the rule. Of several that are best the more accurate is
    chosen, and of those the first.

    Parameters
    ----------
    candidates
        Means on the validation split: accuracy and mean_cell_accuracy, both also of the base (`base_`), deo_a, deo_m
        and worst_group_accuracy; at_chance.
    """
    accuracy = ACCURACY[rule.accuracy]
    within = [round(row[f"base_{accuracy}"] - row[accuracy], DIGITS) <= rule.margin for row in candidates]
    # the DEO of a model at chance says nothing
    able = [i for i, row in enumerate(candidates) if not row["at_chance"]]
    near, some_at_chance = [i for i in able if within[i]], len(able) < len(candidates)
    margin = f"at most {rule.margin:g} below the base's accuracy"
    among: Sequence[int]
    score: str
    if rule.rule == "smallest_deo" and near:
        among, score, sign = near, rule.metric, -1
        reason = f"smallest {printed(rule.metric)} of the {len(near)} {margin}"
        reason += " and not at chance" * some_at_chance
    else:
        among, sign = able or range(len(candidates)), 1
        score, reason = {"best_worst_group": ("worst_group_accuracy", "best accuracy of the worst group")}.get(
            rule.rule, (accuracy, "most accurate")
        )
        if some_at_chance:
            reason += " of those not at chance" if able else "; all are at chance"
        if rule.rule == "smallest_deo" and able:
            reason += f", as none {'of these ' * some_at_chance}is {margin}"
    best = max(among, key=lambda i: (sign * candidates[i][score], candidates[i][accuracy]))
    return [
        {**row, "within_margin": within[i], "chosen": i == best, "why": reason if i == best else ""}
        for i, row in enumerate(candidates)
    ]


def read_search(path: Path | str | IO[str]) -> pd.DataFrame:
    """Return the table that `choose_settings` wrote as search.csv; a UserError says what is wrong with it."""
    return read_table(path, SEARCH, key=["sweep", *MODEL], maker=MAKER)


def search_markdown(search: pd.DataFrame, summary: pd.DataFrame) -> str:
    """Return a search, and what the chosen models do on the test split, as Markdown.

    Parameters
    ----------
    search
        What `choose` has returned.
    summary
        Of the test split: see `fairdistill.reporting.summaries.summarise`.

    Raises
    ------
    UserError
        If the summary lacks a chosen model or its base.
    """
    chosen = search[search["chosen"]]
    models = pd.concat(
        [
            chosen.assign(model="chosen"),
            chosen.assign(model="base", **{name: chosen[f"base_{name}"] for name in MODEL[1:]}),
        ]
    ).sort_index(kind="stable")
    parts = [
        "# Settings chosen on the validation split",
        INTRODUCTION,
        markdown(_curve(search)),
        *([AT_CHANCE_NOTE] if search["at_chance"].any() else []),
        *([GROUP_NOTE] if search["needs_group"].any() else []),
        "## The chosen models on the test split",
        markdown(_on_test(models, summary)),
        f"{TEST} {CAVEAT}",
        NOTE,
    ]
    return "\n\n".join(parts) + "\n"


def _curve(search: pd.DataFrame) -> pd.DataFrame:
    """Every candidate's scores on the validation split, as texts."""
    page = pd.DataFrame({name: search[name].map(printed) for name in ["sweep", *MODEL]})
    page["method"] = needing_group(page["method"], search["needs_group"])
    for metric, heading in HEADINGS.items():
        page[heading] = marked(with_sd(search[metric], search[f"{metric}_sd"]), search.assign(metric=metric))
    rows = search.to_dict("records")
    page["smallest cell"] = search["smallest_cell"]
    fair = numbers([row[f"{row['metric']}_fair_baseline"] for row in rows], "{:.3f}")
    page["if fair"] = [f"{printed(row['metric'])} {value}" for row, value in zip(rows, fair, strict=True)]
    page["base"] = numbers([row[f"base_{ACCURACY[row['accuracy_of']]}"] for row in rows], "{:.3f}")
    page["chosen as"] = [f"{row['why']}{_may_be_chance(row)}" for row in rows]
    return page


def _may_be_chance(row: Mapping) -> str:
    """What is added to the reason of a choice by a DEO that a fair classifier would have, too; else nothing."""
    metric = row["metric"]
    if not row["chosen"] or row["rule"] != "smallest_deo" or row[metric] > row[f"{metric}_fair_baseline"]:
        return ""
    return f"; its {printed(metric)} is no higher than a fair classifier's, so the choice may be due to chance"


def _on_test(models: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Models with their scores on the test split, as texts."""
    scores = summary.set_index([*MODEL, "metric"])
    page = pd.DataFrame({name: models[name].map(printed) for name in ["sweep", "model", *MODEL]})
    for metric in MEASURED:
        names = [(*model, metric) for model in keys(models, MODEL)]
        if missing := [name for name in names if name not in scores.index]:
            raise UserError(f"the summary lacks {' '.join(missing[0])}, which the search names; make both tables again")
        rows = scores.loc[names].reset_index()
        page["method"] = needing_group(models["method"], rows["needs_group"])
        texts = with_ends(numbers(rows["mean"], "{:.3f}"), rows["low"], rows["high"])
        page[printed(metric)] = marked(alone(texts, rows["trainings"]), rows)
    return page
