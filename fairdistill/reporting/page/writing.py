"""Writing a study's page: its charts, tables and figures in one HTML file that loads nothing from elsewhere."""

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import numpy as np
import pandas as pd
import vl_convert
from markdown_it import MarkdownIt
from markupsafe import Markup

from fairdistill.reporting.columns import MEASURED, MODEL, PLACE, keys
from fairdistill.reporting.figure_files import DPI
from fairdistill.reporting.labels import listed, printed
from fairdistill.reporting.legend import CHANCE, NEEDS_GROUP
from fairdistill.reporting.notes import AT_CHANCE_NOTE, GROUP_NOTE
from fairdistill.reporting.page import charts
from fairdistill.reporting.page.claims import claim, evidence
from fairdistill.reporting.page.contents import Contents, name_model
from fairdistill.reporting.printing import numbers
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import TEACHER

# The version of Vega-Lite as vl-convert names it, without the last of its three numbers.
VEGA_LITE = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
# The Markdown tables that the page shows, in this order: the section and the heading of each.
TABLES = {
    "table1.md": ("results", "Table I"),
    "paper_vs_reproduced.md": ("paper", "The paper's numbers and ours"),
    "methods.md": ("methods", "All methods compared"),
    "search.md": ("methods", "Choice of settings"),
    "ablations.md": ("methods", "Ablations: models compared in pairs"),
    "paired.md": ("results", "Students and their bases"),
    "published_vs_own.md": ("paper", "Published and own results"),
}
# The most models that a sentence names.
MOST_NAMED = 8
# Pixels of the page for an inch of a figure: a figure as wide as a printed page is as wide as a line of text here.
PER_INCH = 105
# The captions of figures, by the form of their names.
FIGURES = {
    "fig1_architecture": "MFD: the student's features of each group of a class are pulled towards the teacher's "
    "features of the class.",
    "fig*_deo": "DEO of teachers and students, and that of an unbiased classifier on as many images.",
    "fig*_accuracy": "Accuracy of teachers and students.",
    "fig*_as_in_paper": "The same in the paper's form, without uncertainty; DEO is DEO_M.",
    "paired_*": "Each student and its base, one line per seed. Arrows stand for what is beyond the axis.",
    "tradeoff_*": "Accuracy against DEO with 95 % intervals; the dashed line is the Pareto front of the students.",
    "cells_*": "Accuracy by class, group and method, the lowest DEO_A first.",
    "*_sweep": "Accuracy and DEO as functions of a setting, with 95 % intervals.",
    "training_curves_*": "Accuracy and loss of each training by epoch.",
    "worst_cells_*": "Test images from the cells in which a model of one seed is least accurate, with its predictions.",
}


@dataclass(frozen=True)
class Study:
    """What a page is made of, beside the numbers of its charts.

    Attributes
    ----------
    name
        Of the study.
    method
        The students that the claim is about.
    paired
        See `fairdistill.reporting.pairs.pair_with_bases`.
    tables
        Markdown, by the name of the file; those of `TABLES` are shown.
    figures
        PNG files, in the order in which they are shown.
    """

    name: str
    method: str
    paired: pd.DataFrame
    tables: Mapping[str, str]
    figures: Sequence[Path] = field(default_factory=list)


def render(study: Study, contents: Contents) -> str:
    """Return the page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fairdistill.reporting.page", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    specs = _charts(study, contents)
    projections = contents.projections
    return environment.get_template("page.html").render(
        study=study,
        claim=_inline(claim(study.paired, study.method)),
        evidence=evidence(study.paired, study.method),
        datasets=[printed(name) for name in contents.points["dataset"].unique()],
        models=len(contents.points),
        methods=contents.points.loc[contents.points["role"] == "student", "method"].nunique(),
        trainings=len(contents.runs),
        precisions=_precisions(contents.runs),
        tables=_tables(study.tables),
        figures=[_figure(path) for path in study.figures],
        points=_points(contents.points),
        far_off=_far_off(contents.points),
        some_at_chance=bool(contents.points["at_chance"].any() or contents.runs["at_chance"].any()),
        chance_note=AT_CHANCE_NOTE,
        some_need_group=bool(contents.points["needs_group"].any()),
        group_note=GROUP_NOTE,
        missing=_missing(study, contents),
        runs=_runs(contents.runs, contents.settings),
        charts=[*specs],
        specs=_as_json(specs),
        projections=_as_json(projections.round(4).to_dict("records")),
        # its types do not know that the snippet may be left out
        script=Markup(vl_convert.javascript_bundle(vl_version=VEGA_LITE)),  # type: ignore[call-arg]
    )


def _charts(study: Study, contents: Contents) -> dict[str, dict]:
    method_of = {name_model(*names): names[-1] for names in keys(contents.points, MODEL)}
    first = next((name for name, method in method_of.items() if method == study.method), next(iter(method_of)))
    found = {
        "tradeoff": charts.tradeoff(contents),
        "cells": charts.heat_map(contents, first),
    }
    if not contents.criteria.empty:
        found["criteria"] = charts.criteria(contents)
    if not contents.projections.empty:
        drawn = list(contents.projections["model"].unique())
        base = next((name for name in drawn if method_of[name] == TEACHER), drawn[0])
        found["features-one"] = charts.features(contents, "features-one", base)
        found["features-other"] = charts.features(contents, "features-other", first if first in drawn else drawn[-1])
    return found


def _tables(texts: Mapping[str, str]) -> dict[str, list[tuple[str, Markup]]]:
    """The Markdown tables as HTML, by the section that they stand in."""
    found: dict[str, list[tuple[str, Markup]]] = {section: [] for section, _ in TABLES.values()}
    for name, (section, heading) in TABLES.items():
        if name in texts:
            found[section].append((heading, _markdown(texts[name], heading)))
    return found


def _markdown(text: str, name: str) -> Markup:
    """Markdown as HTML: its title is left out, other headings go down by two, and its tables, called `name`, scroll."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    if tokens and tokens[0].tag == "h1":
        # the opening, the text and the end
        tokens = tokens[3:]
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
    html = parser.renderer.render(tokens, parser.options, {})
    opening = Markup('<div class="scroll" tabindex="0" role="region" aria-label="{}"><table>').format(name)
    return Markup(html.replace("<table>", opening).replace("</table>", "</table></div>"))


def _far_off(points: pd.DataFrame) -> str:
    """The models that the chart of all models leaves out at first, as they are far from the others."""
    names = [name_model(*names) for names in keys(points[charts.far_off(points)], MODEL)]
    if len(names) > MOST_NAMED:
        names = [*names[: MOST_NAMED - 1], f"{len(names) - MOST_NAMED + 1} more"]
    return listed(names) if names else ""


def _missing(study: Study, contents: Contents) -> str:
    """What the page of another study has, and this one lacks as its models are not at hand or it was not asked for."""
    names = [path.stem for path in study.figures]
    found = {
        "calibration and other criteria": not contents.criteria.empty,
        "training curves": any(name.startswith("training_curves") for name in names),
        "features": not contents.projections.empty,
        "example images": any(name.startswith("worst_cells") for name in names),
    }
    parts = [part for part, is_here in found.items() if not is_here]
    return listed(parts) if parts else ""


def _precisions(runs: pd.DataFrame) -> str:
    """How many trainings were in each precision, where a study mixes several: '40 in bf16 and 8 in fp32'."""
    found = runs.loc[runs["precision"] != "", "precision"].value_counts(sort=False)
    return listed([f"{n} in {name}" for name, n in found.items()]) if len(found) > 1 else ""


def _inline(text: str) -> Markup:
    return Markup(MarkdownIt("commonmark", {"html": False}).renderInline(text))


def _figure(path: Path) -> dict[str, Any]:
    """A figure with what is written below it, its content as a data address, and its size on the page in pixels."""
    words = next((text for form, text in FIGURES.items() if fnmatchcase(path.stem, form)), path.stem)
    content = path.read_bytes()
    if not content.startswith(b"\x89PNG") or content[-8:-4] != b"IEND":
        raise UserError(f"{path}: is no whole PNG; make the figure again")
    width, height = (round(pixels * PER_INCH / DPI) for pixels in struct.unpack(">II", content[16:24]))
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return {"name": path.stem, "words": words, "source": source, "width": width, "height": height}


def _points(points: pd.DataFrame) -> dict[str, list]:
    """The table of models, as `_runs` has that of trainings: means with their intervals."""
    table = points[[*MODEL, "n"]].copy()
    for metric in MEASURED:
        table[metric] = numbers(points[metric], "{:.3f}")
        ends = (numbers(points[f"{metric}_{end}"], "{:.3f}") for end in ("low", "high"))
        table[f"{metric}_interval"] = [f"{low} to {high}" for low, high in zip(*ends, strict=True)]
    notes = {"at_chance": CHANCE, "needs_group": NEEDS_GROUP}
    texts = [np.where(points[flag].astype(bool), text, "") for flag, text in notes.items()]
    table["note"] = [", ".join(filter(None, found)) for found in zip(*texts, strict=True)]
    intervals = {f"{metric}_interval": "95 %" for metric in MEASURED}
    return _table(table, {"n": "Seeds", "note": "", **intervals})


def _runs(runs: pd.DataFrame, settings: Sequence[str]) -> dict[str, list]:
    """The table of trainings: its headings, whether each column is of numbers, and its rows of texts.

    `settings` are columns of `runs` that stand behind the names of methods.
    """
    table = runs[[*MODEL, *settings, "seed", "fold"]].copy()
    for metric in [*MEASURED, "worst_group_accuracy"]:
        table[metric] = numbers(runs[metric], "{:.4f}")
    table["epochs"], table["seconds"] = runs["epochs"], numbers(runs["seconds"], "{:.0f}")
    if _precisions(runs):
        table["precision"] = runs["precision"]
    if (table["fold"] == 0).all():
        table = table.drop(columns="fold")
    headings = {"worst_group_accuracy": "Worst group", "seconds": "Seconds of training"}
    given = {name: table.loc[table[name] != "", name] for name in settings}
    texts = [name for name, values in given.items() if pd.to_numeric(values, errors="coerce").isna().any()]
    return _table(table, headings | {name: name for name in settings}, texts)


def _table(table: pd.DataFrame, headings: Mapping[str, str], further_texts: Sequence[str] = ()) -> dict[str, list]:
    """Headings, and whether each is of numbers, and the rows as texts; `headings` are those that are not the name's."""
    names = {"dataset": "Data set", "deo_a": "DEO_A", "deo_m": "DEO_M", **headings}
    texts = (*MODEL, "precision", "note", *further_texts)
    table = table.assign(**{name: table[name].map(printed) for name in PLACE})
    return {
        "headings": [(names.get(name, printed(name).capitalize()), name not in texts) for name in map(str, table)],
        "rows": table.fillna("").astype(str).to_numpy().tolist(),
    }


def _as_json(value: Any) -> Markup:
    """JSON that may stand within a script element: no text in it ends that."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
