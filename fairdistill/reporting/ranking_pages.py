"""The comparison of all methods as a page: Markdown and LaTeX of what `fairdistill.reporting.ranking` returns."""

from collections.abc import Iterator, Sequence

import pandas as pd

from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.columns import MEASURED, PLACE
from fairdistill.reporting.csv_files import csv_text
from fairdistill.reporting.labels import count_of_seeds, listed, printed
from fairdistill.reporting.models import Models
from fairdistill.reporting.notes import (
    CORRECTED_DIFFERENCE_NOTE,
    CORRECTED_NOTE,
    INTERVAL_NOTE,
    NOTE,
    alone,
    marked,
    needing_group,
    notes_on,
    with_group_marks,
)
from fairdistill.reporting.printing import latex, markdown, numbers, with_ends, with_sd
from fairdistill.reporting.ranking import STANDARD, UNDECIDED, UNTESTED, cells_table, pareto_front, rank_methods
from fairdistill.settings.methods import TEACHER

INTRODUCTION = (
    "Each table covers one data set and one architecture. Methods are ranked by their mean DEO_A over the seeds; the "
    "teacher is not ranked. Accuracy, DEO_A and DEO_M are fractions: mean ± sd over n seeds, with the 95 % interval. "
    f"{NOTE} {INTERVAL_NOTE} {CORRECTED_NOTE}"
)
READING = [
    "**Front**: the method is on the Pareto front of the students. By the observed means, no other student is at "
    "least as accurate and as fair, and better in one of the two. Teachers are left out; a teacher that surpasses "
    "students on the front is named. Noise is not considered, so methods off the front may belong on it.",
    "**Cost**: training time as a multiple of that of `{standard}`: processor time on a CPU, elapsed time on a GPU; in "
    "brackets, including the trainings of the models that the method is based on. Empty if unknown.",
    "**Needs**: the base of the method; *group*, the group of each image at prediction time; *validation*, a "
    "validation split, on which the method is fitted or its epoch is chosen; *draws labels*, predicted labels are "
    "drawn at random.",
]
COMPARISONS = (
    "**Against another method**: the difference, method minus the other, between models of the same seed, with its "
    f"95 % interval. {CORRECTED_DIFFERENCE_NOTE} p is derived from that interval, and corrected by Holm's method over "
    "all methods that are compared with the same one in that metric on that data set. It requires two trainings in "
    "common; with one, a method is not tested, and counts with a p of 1. Where d0 is given, which requires eight "
    "methods, the intervals are moderated: the variance of all methods' trainings enters that of each, with d0 "
    "additional degrees of freedom. The same two methods then have a different interval, from the pair alone, in "
    "ablations.md (a student and its base also in paired.md): cite the one here. Without d0, p is rarely small with "
    "two or three trainings. A method is called fairer, or less accurate, if the corrected p is below 0.05; otherwise "
    "it is undecided, which does not mean equal."
)
# verdicts of which a page counts the methods, and names none
UNJUDGED = (UNDECIDED, UNTESTED)
# The note where methods have different numbers of seeds.
SEEDS_NOTE = (
    "Not all methods have the same seeds. Each mean, and so the rank, is over the method's own seeds; a difference is "
    "over those that both methods have, and so is the cost; ablations.md compares by those that all methods have. "
    "Methods with one training say nothing of how much trainings vary."
)


def methods_tables(models: Models, references: Sequence[str]) -> dict[str, str]:
    """Return the texts of the tables that compare all methods, by file name; the parameters are `rank_methods`'s."""
    table = rank_methods(models, references)
    return {
        "methods.csv": csv_text(table),
        "methods.md": ranking_markdown(table, references),
        "methods.tex": ranking_latex(table, references),
        "cells.csv": csv_text(cells_table(models)),
    }


def ranking_markdown(table: pd.DataFrame, references: Sequence[str]) -> str:
    """Return what `rank_methods` returned as Markdown: what is clear in words, the ranking, and every comparison."""
    sections = ["# The methods compared", INTRODUCTION]
    reading = "\n".join(f"- {text}" for text in [*READING, COMPARISONS])
    sections.append(reading.format(standard=_standard(table)))
    sections += _notes(table, references)
    for place, methods in _places(table):
        sections += [f"## {place}", "\n".join(_in_words(methods, references)), markdown(_ranking(methods))]
        for reference in references:
            compared = _compared(methods, reference)
            if not compared.empty:
                sections += [f"### {place}: against {reference}", markdown(compared)]
    return "\n\n".join(sections) + "\n"


def ranking_latex(table: pd.DataFrame, references: Sequence[str]) -> str:
    """Return the ranking and the comparisons of `ranking_markdown` as LaTeX floats."""
    reading = " ".join(READING).format(standard=_standard(table))
    notes = " ".join(_notes(table, references))
    plain = f"{INTRODUCTION} {reading} {notes}".replace("*", "").replace("`", "")
    floats = []
    for number, (place, methods) in enumerate(_places(table), start=1):
        caption = f"The methods on {place}. {plain}"
        floats.append(latex(_ranking(methods), caption=caption, label=f"tab:methods-{number}"))
        for reference in references:
            compared = _compared(methods, reference)
            if not compared.empty:
                label = f"tab:methods-{number}-{reference}"
                caption = f"The methods on {place}. {COMPARISONS} {_borrowed(methods, reference)} {notes}"
                caption = " ".join(caption.split()).replace("**", "").replace("`", "")
                caption = caption.replace("Against another method", f"Against {reference}")
                floats.append(latex(compared, caption=caption, label=label))
    return "\n".join(floats)


def _notes(table: pd.DataFrame, references: Sequence[str]) -> list[str]:
    """What the marks mean that any row of the ranking or of a comparison has, and what different seeds do."""
    marks = notes_on(pd.concat([table, *(table.assign(trainings=_trainings(table, name)) for name in references)]))
    return [SEEDS_NOTE, *marks] if (table.groupby(PLACE)["n"].nunique() > 1).any() else marks


def _trainings(table: pd.DataFrame, reference: str) -> pd.Series:
    """The trainings of each method, or 1 where it shares a single one with a reference: then there is no p."""
    name = f"{MEASURED[0]}_minus_{reference}"
    return table["trainings"].mask(table[name].notna() & table[f"{name}_p"].isna(), 1)


def _standard(table: pd.DataFrame) -> str:
    return STANDARD if STANDARD in set(table["method"]) else TEACHER


def _places(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each data set and architecture in words, with its methods."""
    for names, methods in table.groupby(PLACE, sort=False):
        yield f"{', '.join(map(printed, map(str, names)))}, {count_of_seeds(methods['n'])}", methods


def _ranking(methods: pd.DataFrame) -> pd.DataFrame:
    names = with_group_marks(methods["method"], methods)
    page = pd.DataFrame({"#": numbers(methods["rank"], "{:.0f}"), "Method": names})
    if methods["n"].nunique() > 1:
        page["Seeds"] = methods["n"].tolist()
    for metric in MEASURED:
        means = with_sd(methods[metric], methods[f"{metric}_sd"])
        texts = with_ends(means, methods[f"{metric}_low"], methods[f"{metric}_high"])
        page[printed(metric)] = marked(alone(texts, methods["trainings"]), methods.assign(metric=metric))
    page["Front"] = ["yes" if on else "" for on in methods["pareto_front"]]
    page["Cost"] = [_cost(row) for row in methods.to_dict("records")]
    bases = with_group_marks(methods["base"], methods)
    page["Needs"] = [_needs(row) for row in methods.assign(base=bases).to_dict("records")]
    return page


def _cost(row: dict) -> str:
    own, whole = numbers([row["cost"], row["cost_with_bases"]], "{:.2f}")
    return f"{own} ({whole})" if row["base"] and whole else own


def _needs(row: dict) -> str:
    needed = {"group": row["needs_group"], "validation": row["needs_validation"], "draws labels": row["randomised"]}
    return ", ".join([*filter(None, [row["base"]]), *(name for name, needs in needed.items() if needs)])


def _compared(methods: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The comparisons with one reference, as texts; no rows where the data set and architecture lack it."""
    methods = methods[methods[f"{MEASURED[0]}_minus_{reference}"].notna()]
    page = pd.DataFrame({"Method": needing_group(methods["method"], methods["needs_group"])})
    signed, trainings = "{:+.3f}", _trainings(methods, reference)
    for metric in MEASURED:
        name = f"{metric}_minus_{reference}"
        texts = with_ends(numbers(methods[name], signed), methods[f"{name}_low"], methods[f"{name}_high"], signed)
        page[printed(metric)] = alone(texts, trainings)
        page[f"p, {printed(metric)}"] = _p_values(methods[f"{name}_p_holm"])
    page["In words"] = [_words(row, reference) for row in methods.to_dict("records")]
    return page


def _p_values(values: pd.Series) -> list[str]:
    """p-values as texts; a missing one is empty."""
    texts = numbers(values, "{:.3f}")
    return ["<0.001" if value < 0.001 else text for value, text in zip(values, texts, strict=True)]


def _words(row: dict, reference: str) -> str:
    """The verdicts on a method in one phrase: 'less accurate; fairer (DEO_A, DEO_M)'."""
    words: dict[str, list[str]] = {}
    for metric in MEASURED:
        words.setdefault(row[f"{metric}_minus_{reference}_verdict"], []).append(metric)
    found = [f"{word} ({', '.join(map(printed, metrics))})" for word, metrics in words.items() if word not in UNJUDGED]
    # the DEO of a model at chance is not judged, and its accuracy may still be tested or not
    found += [UNTESTED] * (UNTESTED in words)
    return "; ".join(text.replace(" (Accuracy)", "") for text in found) or UNDECIDED


def _in_words(methods: pd.DataFrame, references: Sequence[str]) -> list[str]:
    """What the tables of a place show, as a list."""
    front = methods[methods["pareto_front"]]
    lines = [f"- On the Pareto front of accuracy and DEO_A among the students: {_names(front)}."] if len(front) else []
    lines += [
        f"- The teacher `{name}` surpasses these students on the front, being at least as accurate and as fair by "
        f"DEO_A, and better in one of the two: {_names(surpassed)}."
        for name, surpassed in _surpassed_by_teachers(methods).items()
    ]
    for reference in references:
        compared = methods[methods[f"{MEASURED[0]}_minus_{reference}"].notna()]
        words = {metric: compared[f"{metric}_minus_{reference}_verdict"] for metric in MEASURED}
        lines += [
            f"- {_heading(word, metric, reference)}: {_names(compared[found == word])}."
            for metric, found in words.items()
            for word in found.unique()
            if word not in UNJUDGED
        ]
        if borrowed := _borrowed(methods, reference):
            lines.append(f"- {borrowed}")
        if untested := (words["accuracy"] == UNTESTED).sum():
            lines.append(f"- Not tested against `{reference}`, with one training in common: {untested}.")
        if tested := len(compared) - untested:
            undecided = (pd.DataFrame(words) == UNDECIDED).all(axis=1).sum()
            lines.append(f"- Undecided against `{reference}` in all three metrics: {undecided} of {tested}.")
    return lines


def _heading(verdict: str, metric: str, reference: str) -> str:
    """A verdict in words: 'Fairer by DEO_A than `erm`', or why there is none."""
    if verdict == AT_CHANCE:
        return f"Not judged against `{reference}` by {printed(metric)}, as at least one of the two is at chance"
    by = f" by {printed(metric)}" if metric != "accuracy" else ""
    return f"{verdict.capitalize()}{by} than `{reference}`"


def _surpassed_by_teachers(methods: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The students on the front that a teacher surpasses, by the name of the teacher."""
    front, found = methods[methods["pareto_front"]], {}
    for teacher in methods[(methods["role"] == "teacher") & ~methods["at_chance"]].to_dict("records"):
        # both are on the front of such a pair alone where neither surpasses the other
        surpassed = [
            not pareto_front([teacher["accuracy"], own["accuracy"]], [teacher["deo_a"], own["deo_a"]])[1]
            for own in front.to_dict("records")
        ]
        if any(surpassed):
            found[teacher["method"]] = front[surpassed]
    return found


def _borrowed(methods: pd.DataFrame, reference: str) -> str:
    """The degrees of freedom that the comparisons with a reference owe to all methods, as a sentence."""
    found = {metric: methods[f"{metric}_minus_{reference}_d0"].max() for metric in MEASURED}
    known = [f"{d0:.1f} ({printed(metric)})" for metric, d0 in found.items() if d0 > 0]
    return f"Against `{reference}`, d0 is {listed(known)}." if known else ""


def _names(methods: pd.DataFrame) -> str:
    return listed(needing_group([f"`{name}`" for name in methods["method"]], methods["needs_group"]))
