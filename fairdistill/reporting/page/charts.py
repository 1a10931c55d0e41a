"""The charts of a study's page, as Vega-Lite specifications that filter and answer in the browser.

Each is drawn as SVG, so that the page's style sheet gives text and lines the colours of a light or a dark page and of
print. The choices of a chart are put into the element `#<name>-choices`, above it.
"""

from collections.abc import Iterable
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import seaborn as sns

from fairdistill.reporting import fences
from fairdistill.reporting.columns import DEO, MEASURED, MODEL, PLACE, keys
from fairdistill.reporting.labels import printed
from fairdistill.reporting.legend import CHANCE, NEEDS_GROUP
from fairdistill.reporting.notes import CHANCE_MARK, SAYS_NOTHING, needing_group
from fairdistill.reporting.page.contents import Contents, name_model
from fairdistill.reporting.printing import numbers, with_ends
from fairdistill.reporting.tradeoff import COLOURS

# Up to so many methods have a colour each; of more, families have.
MOST_COLOURS = 8
# With more models than these on a data set, those that are far off are left out at first.
MOST_SHOWN = 8
# The colours of models, without the grey, which would be taken for the teacher's.
PALETTE = [colour for colour in sns.color_palette("colorblind").as_hex() if colour != "#949494"]
# A grey that is legible on a light and on a dark page.
TEACHER_GREY = "#808080"
MEANS, ALL_SEEDS = "means and 95 % intervals", "all seeds"
NEAR = "without outliers"
ALL_IMAGES = "all images"
# The title of an axis until the name of what was chosen replaces it.
AS_CHOSEN = "DEO as chosen above"
# The accuracy of a cell of the heat map below which its text is white, as the scale is dark at its low end.
DARK_BELOW = 0.45
# The most classes of a heat map that fits the page and has numbers.
MOST_NUMBERED = 20
# Pixels of a class in a heat map of more.
NARROW = 14
CRITERIA = {
    "ece": "Expected calibration error",
    "brier": "Brier score",
    "accuracy": "Accuracy",
    "worst_group_accuracy": "Accuracy of the worst group",
    "overall_accuracy_equality": "Overall accuracy equality (difference)",
    "statistical_parity_a": "Statistical parity, mean over classes",
    "statistical_parity_m": "Statistical parity, worst class",
    "predictive_parity_a": "Predictive parity, mean over classes",
    "predictive_parity_m": "Predictive parity, worst class",
    "equal_opportunity": "Equal opportunity",
    "equalized_odds_difference": "Equalized odds difference",
    "bias_amplification": "Bias amplification",
    "counterfactual_flip_rate": "Counterfactual flip rate",
}


def tradeoff(contents: Contents) -> dict:
    """Return accuracy against DEO: a point per model, or per training, filtered by data set, architecture and seed."""
    table = _tradeoff_rows(contents)
    colour, scale = _colours(contents.points)
    dataset = _choice("dataset", "Data set", table["Data set"].unique(), "tradeoff")
    architectures = [*table["Architecture"].unique()]
    several = ["all", *architectures] if len(architectures) > 1 else architectures
    architecture = _choice("architecture", "Architecture", several, "tradeoff")
    measure = _choice("measure", "Measure", [printed(deo) for deo in DEO], "tradeoff")
    method = _choice("method", "Method", ["all", *table.loc[table["Role"] == "student", "Method"].unique()], "tradeoff")
    near = NEAR if table["far"].any() else "all"
    extent = _choice("extent", "Models", [*dict.fromkeys([near, "all"])], "tradeoff")
    seeds = [f"seed {seed}" for seed in sorted(contents.runs["seed"].unique())]
    shown = _choice("shown", "Points", [MEANS, *([ALL_SEEDS, *seeds] if len(seeds) > 1 else [])], "tradeoff")
    picked = alt.selection_point(name="picked", fields=[colour], bind="legend")
    zoomed = alt.selection_interval(name="zoomed", bind="scales", zoom="wheel![event.shiftKey]")
    base = (
        alt.Chart(table)
        .add_params(dataset, architecture, method, measure, shown, extent)
        .transform_filter("datum['Data set'] == dataset")
        .transform_filter("architecture == 'all' || datum.Architecture == architecture")
        .transform_filter("method == 'all' || datum.Role == 'teacher' || datum.Method == method")
        .transform_filter(
            "extent == 'all' || !datum.far || method == datum.Method || architecture == datum.Architecture"
        )
        .transform_filter(f"shown == datum.shown || (shown == '{ALL_SEEDS}' && datum.shown != '{MEANS}')")
        .transform_calculate(
            deo=f"measure == '{printed(DEO[0])}' ? datum.deo_a : datum.deo_m",
            low=f"measure == '{printed(DEO[0])}' ? datum.deo_a_low : datum.deo_m_low",
            high=f"measure == '{printed(DEO[0])}' ? datum.deo_a_high : datum.deo_m_high",
        )
    )
    scale_of_data, few = alt.Scale(zero=False, nice=True), alt.Axis(tickCount=8)
    x = alt.X("deo:Q", title=AS_CHOSEN, scale=scale_of_data, axis=few)
    y = alt.Y("accuracy:Q", title="Accuracy", scale=scale_of_data, axis=few)
    shapes = alt.Legend(orient="top", symbolFillColor=TEACHER_GREY, symbolStrokeColor=TEACHER_GREY)
    marked = alt.Color(f"{colour}:N", scale=scale, legend=_legend())
    opacity = alt.condition(picked, alt.value(1), alt.value(0.12))
    lines: dict[str, Any] = {"strokeWidth": 1, "opacity": 0.5}
    across = base.mark_rule(**lines).encode(x=alt.X("low:Q"), x2="high:Q", y=y, color=marked, opacity=opacity)
    upright = base.mark_rule(**lines).encode(
        x=x, y=alt.Y("accuracy_low:Q"), y2="accuracy_high:Q", color=marked, opacity=opacity
    )
    tips = ["Data set", "Architecture", "Method", "Of", "Accuracy"]
    # trainings alone have no fair baseline
    of_seeds = [*tips, *map(printed, DEO)]
    of_means = [*tips, *(name for deo in DEO for name in (printed(deo), f"{printed(deo)} if fair"))]
    points = base.mark_point(filled=True, size=90, stroke="black", strokeWidth=0.5).encode(
        x=x,
        y=y,
        color=marked,
        opacity=opacity,
        shape=alt.Shape("Architecture:N", legend=shapes if len(architectures) > 1 else None),
    )
    means = points.transform_filter(f"datum.shown == '{MEANS}'").encode(tooltip=[f"{name}:N" for name in of_means])
    runs = points.transform_filter(f"datum.shown != '{MEANS}'").encode(tooltip=[f"{name}:N" for name in of_seeds])
    marks = (
        base.transform_filter("datum.at_chance")
        .mark_text(text=CHANCE_MARK, dx=9, dy=-7)
        .encode(x=x, y=y, opacity=opacity)
    )
    chart = alt.layer(across, upright, means.add_params(picked, zoomed), runs, marks)
    spec = _spec(chart, height=420, description="Accuracy against DEO of each model")
    # Vega takes an expression there and Vega-Lite hands it on, although its schema, which Altair checks, has texts only
    for layer in spec["layer"]:
        if layer["encoding"]["x"].get("title") == AS_CHOSEN:
            layer["encoding"]["x"]["title"] = {"signal": "measure + ' (lower is fairer)'"}
    return spec


def heat_map(contents: Contents, first: str) -> dict:
    """Return the accuracy of each class and group of a model, above those of its base; `first` is shown at first."""
    cells = contents.cells
    cells = cells.assign(model=[name_model(*names) for names in keys(cells, MODEL)])
    beside = cells[["model", "base"]].drop_duplicates().query("base != ''")
    below = beside.merge(cells.drop(columns="base"), left_on="base", right_on="model", suffixes=("", "_of"))
    rows = pd.concat([cells.assign(side="model"), below.assign(side="base")], ignore_index=True)
    rows["row"] = rows["side"] + ", " + rows["group"]
    rows["of"] = rows["model_of"].fillna(rows["model"])
    order = [f"{side}, {group}" for side in ("model", "base") for group in cells["group"].unique()]
    # what is not a few letters would not fit a phone
    angle = -45 if cells["class"].str.len().max() > 3 else 0
    most = 2 * cells.groupby("dataset")["group"].nunique().max()
    classes = int(cells.groupby("dataset")["class"].nunique().max())
    model = _choice("model", "Model", cells["model"].unique(), "cells", first)
    base = (
        alt.Chart(rows[["model", "row", "of", "group", "class", "accuracy"]])
        .add_params(model)
        .transform_filter("datum.model == model")
        .transform_calculate(percent="100 * datum.accuracy")
        .encode(
            x=alt.X(
                "class:N", title="Class", sort=None, axis=alt.Axis(labelAngle=angle, labelLimit=90, labelOverlap=True)
            ),
            y=alt.Y("row:N", title=None, sort=order),
        )
    )
    boxes = base.mark_rect().encode(
        color=alt.Color(
            "percent:Q",
            title="Accuracy, %",
            scale=alt.Scale(scheme="viridis", domain=[0, 100]),
            legend=alt.Legend(orient="bottom", gradientLength=220),
        ),
        tooltip=["of:N", "group:N", "class:N", alt.Tooltip("accuracy:Q", format=".1%")],
    )
    texts = base.mark_text(fontSize=11).encode(
        text=alt.Text("percent:Q", format=".0f"),
        # a fixed colour, which the style sheet leaves alone
        color=alt.condition(f"datum.accuracy < {DARK_BELOW}", alt.value("#ffffff"), alt.value("#000000")),
    )
    chart = alt.layer(boxes) if classes > MOST_NUMBERED else alt.layer(boxes, texts)
    width = NARROW * classes if classes > MOST_NUMBERED else None
    return _spec(
        chart,
        height=30 * int(most),
        width=width,
        description="Accuracy of each class and group of a model",
    )


def criteria(contents: Contents) -> dict:
    """Return each criterion, calibration first, of the models of a data set and architecture that are chosen."""
    table = contents.criteria
    # a group may have that name
    everywhere = ALL_IMAGES if ALL_IMAGES not in set(table["group"]) else f"{ALL_IMAGES} of all groups"
    known = [name for name in CRITERIA if name in set(table["criterion"])]
    known += [name for name in table["criterion"].unique() if name not in known]
    rows = table.assign(
        place=[f"{printed(d)}, {printed(a)}" for d, a in keys(table, PLACE)],
        criterion=table["criterion"].map(lambda name: CRITERIA.get(name, name)),
        group=table["group"].where(table["group"] != "", everywhere),
        method=needing_group(table["method"], table["needs_group"]),
    )[["place", "method", "criterion", "group", "mean", "low", "high", "n"]]
    groups = [everywhere, *(name for name in rows["group"].unique() if name != everywhere)]
    most = rows.groupby("place")["method"].nunique().max()
    place = _choice("place", "Models", rows["place"].unique(), "criteria")
    criterion = _choice("criterion", "Criterion", [CRITERIA.get(name, name) for name in known], "criteria")
    base = (
        # the table below the chart rounds these to three digits, and nothing is to be rounded twice
        alt.Chart(rows.round(9))
        .add_params(place, criterion)
        .transform_filter("datum.place == place && datum.criterion == criterion")
        .encode(
            y=alt.Y("method:N", title=None, sort=None),
            yOffset=alt.YOffset("group:N", sort=groups),
            color=alt.Color(
                "group:N",
                title="Group",
                sort=groups,
                scale=alt.Scale(range=[TEACHER_GREY, *_of_groups(len(groups) - 1)]),
                legend=alt.Legend(orient="top"),
            ),
        )
    )
    value = alt.X(
        "mean:Q",
        title="Mean and 95 % interval",
        axis=alt.Axis(tickCount=8),
        scale=alt.Scale(zero=True),
    )
    intervals = base.mark_rule(opacity=0.6).encode(x=alt.X("low:Q"), x2="high:Q")
    ends = [alt.Tooltip(f"{name}:Q", format=".4f") for name in ("mean", "low", "high")]
    points = base.mark_point(filled=True, size=45).encode(
        x=value, tooltip=["method:N", "group:N", *ends, alt.Tooltip("n:Q", title="seeds")]
    )
    height = int(most) * (10 * len(groups) + 8)
    return _spec(alt.layer(intervals, points), height=height, description="A criterion of each model and group")


def features(contents: Contents, name: str, first: str) -> dict:
    """Return a model's features of the images of a class, coloured by group; `first` is the model at first."""
    rows = contents.projections
    model = _choice("model", "Model", rows["model"].unique(), name, first)
    label = _choice("label", "Class", rows["class"].unique(), name)
    groups = _of_groups(rows["group"].nunique())
    # the page holds the images' values once for all of these charts
    base = (
        alt.Chart(alt.NamedData(name="projections"))
        .add_params(model, label)
        .transform_filter("datum.model == model && datum.class == label")
    )
    points = base.mark_point(filled=True, size=28, opacity=0.7).encode(
        x=alt.X("x:Q", title="First principal component", scale=alt.Scale(zero=False)),
        y=alt.Y("y:Q", title="Second principal component", scale=alt.Scale(zero=False)),
        color=alt.Color("group:N", title="Group", scale=alt.Scale(range=groups), legend=alt.Legend(orient="top")),
        tooltip=["group:N", "class:N"],
    )
    share = (
        base.transform_aggregate(share="mean(share)")
        .transform_calculate(text="format(datum.share, '.0%') + ' of the variance'")
        .mark_text(align="right", baseline="top")
        .encode(text="text:N", x=alt.value("width"), y=alt.value(4))
    )
    return _spec(alt.layer(points, share), height=300, description="Features of a model's test images, by group")


def _tradeoff_rows(contents: Contents) -> pd.DataFrame:
    """The points of the trade-off: models, and the trainings of each, with texts for whom points at them."""
    means = contents.points.assign(shown=MEANS, Of=contents.points["n"].map(lambda n: f"{n} seed{'s' * (n != 1)}"))
    runs = contents.runs.assign(
        shown=[f"seed {seed}" for seed in contents.runs["seed"]],
        Of=[
            f"seed {seed}, fold {fold}" for seed, fold in zip(contents.runs["seed"], contents.runs["fold"], strict=True)
        ],
    )
    if contents.runs["fold"].nunique() == 1:
        runs["Of"] = runs["shown"]
    ends = [f"{metric}_{end}" for metric in MEASURED for end in ("low", "high")]
    kept = [*MODEL, "at_chance", "shown", "Of", *MEASURED]
    baselines = {f"{deo}_fair_baseline": f"{printed(deo)} if fair" for deo in DEO}
    table = pd.concat([means[[*kept, *ends, *baselines]], runs[kept]], ignore_index=True)
    of_models = contents.points.assign(far=far_off(contents.points))
    table = table.merge(of_models[[*MODEL, "role", "family", "far", "needs_group"]], on=MODEL)
    table = table.rename(columns={"method": "Method", "role": "Role", "family": "Family"})
    table["Data set"], table["Architecture"] = table.pop("dataset").map(printed), table.pop("architecture").map(printed)
    for metric in MEASURED:
        low, high = table[f"{metric}_low"], table[f"{metric}_high"]
        texts = numbers(table[metric], "{:.3f}")
        # a training has no interval here
        table[printed(metric)] = np.where(low.isna(), texts, with_ends(texts, low, high))
    for name, text in baselines.items():
        table[text] = numbers(table.pop(name), "{:.3f}")
    table["at_chance"] = table["at_chance"].astype(bool)
    table.loc[table["at_chance"], "Of"] += f", {CHANCE}: DEO {SAYS_NOTHING}"
    table.loc[table.pop("needs_group").astype(bool), "Of"] += f", {NEEDS_GROUP}"
    return table.round(5)


def far_off(points: pd.DataFrame) -> pd.Series:
    """Return which models the chart of their data set leaves out until a reader chooses to see all.

    They are those that are far off (`fairdistill.reporting.fences.far_off`) with one of the two DEO. Few models are all
    shown, and so are the teachers beside students of their architecture.

    Parameters
    ----------
    points
        See `fairdistill.reporting.page.contents.Contents`.
    """
    far = pd.Series(False, index=points.index)
    for _, found in points.groupby("dataset"):
        if len(found) > MOST_SHOWN:
            for deo in DEO:
                far |= fences.far_off(found, deo).reindex(far.index, fill_value=False)
    beside_students = (
        (points["role"] == "student").groupby([points["dataset"], points["architecture"]]).transform("any")
    )
    return far & ~((points["role"] == "teacher") & beside_students)


def _colours(points: pd.DataFrame) -> tuple[str, alt.Scale]:
    """What a colour stands for, the method or its family, and the colours."""
    methods = [*points.loc[points["role"] == "student", "method"].unique()]
    teachers = [*points.loc[points["role"] == "teacher", "method"].unique()]
    if len(methods) <= MOST_COLOURS:
        return "Method", alt.Scale(
            domain=[*methods, *teachers], range=[*PALETTE[: len(methods)], *[TEACHER_GREY] * len(teachers)]
        )
    known = sns.color_palette([colour for family, colour in COLOURS.items() if family]).as_hex()
    of_families = {
        **dict(zip([name for name in COLOURS if name], known, strict=True)),
        "": "#ffffff",
        "teacher": TEACHER_GREY,
    }
    families = [name for name in of_families if name in set(points["family"])]
    return "Family", alt.Scale(domain=families, range=[of_families[name] for name in families])


def _of_groups(n: int) -> list[str]:
    """As many colours as there are groups; only those of `PALETTE` can be told apart by all who see."""
    return PALETTE if n <= len(PALETTE) else sns.color_palette("husl", n).as_hex()


def _legend() -> alt.Legend:
    # two columns fit a phone
    return alt.Legend(orient="bottom", columns=2, symbolLimit=60, title="Click a name to highlight it")


def _choice(name: str, title: str, options: Iterable, chart: str, first: Any = None) -> alt.Parameter:
    """A drop-down list above a chart, where there is anything to choose."""
    values = list(map(str, options))
    value = values[0] if first is None else first
    if len(values) == 1:
        return alt.param(name=name, value=value)
    return alt.param(
        name=name,
        value=value,
        bind=alt.binding_select(options=values, name=f"{title} ", element=f"#{chart}-choices"),
    )


def _spec(chart: alt.LayerChart | alt.FacetChart, height: int, description: str, width: int | None = None) -> dict:
    """A chart as a specification, as wide as the page or as `width` says; the description is for screen readers."""
    size = alt.AutoSizeParams(type="fit-x" if width is None else "pad", contains="padding")
    chart = chart.properties(width=width or "container", height=height, background="transparent", autosize=size)
    chart = chart.properties(description=description)
    chart = chart.configure_view(stroke=None).configure_axis(labelFontSize=11, titleFontSize=12)
    chart = chart.configure_legend(labelFontSize=11)
    # the page holds all rows of a large study; Altair's limit is for notebooks
    with alt.data_transformers.enable("default", max_rows=None):
        return chart.to_dict()
