"""The page of a study: what it says, and that it holds all that it needs."""

import base64
import html
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import vl_convert
from studies_with_pages import METHODS, make_studys_page, write_projections
from synthetic_results import pattern

from fairdistill.evaluation.projections import project
from fairdistill.evaluation.records import PROJECTED
from fairdistill.evaluation.rounding import rounded
from fairdistill.reporting.columns import MEASURED
from fairdistill.reporting.notes import AT_CHANCE_NOTE
from fairdistill.reporting.page import writing
from fairdistill.reporting.page.claims import claim, evidence
from fairdistill.reporting.page.contents import in_browser
from fairdistill.reporting.page.projections import read_projections
from fairdistill.runtime.errors import UserError
from scripts.make_page import read_page

pytestmark = pytest.mark.usefixtures("rough_intervals")


@pytest.fixture(scope="module")
def page(tmp_path_factory, rough_intervals):
    return make_studys_page(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def text(page):
    return page.read_text(encoding="utf-8")


def specs_of(text):
    (found,) = re.findall(r"^const specs = (.*);$", text, re.MULTILINE)
    return json.loads(found)


def rows_of(spec, **wanted):
    """The data of a chart that have the wanted values."""
    rows = [row for rows in spec["datasets"].values() for row in rows]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def rows_of_table(text, name):
    """The cells of the rows of a table, as the page shows them."""
    (table,) = re.findall(rf'aria-label="{name}">(.*?)</table>', text, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    cells = [[html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]
    return [row for row in cells if row]


def paired(**columns):
    """A table of pairs, all of one method, a row for each value; all else is that of a fair and accurate student."""
    n = len(next(iter(columns.values())))
    table = pd.DataFrame({"dataset": ["utkface"] * n, "architecture": ["resnet"] * n, "method": ["mfd"] * n} | columns)
    known = {
        "base_method": "teacher",
        "base": 0.2,
        "student": 0.1,
        "difference": -0.1,
        "low": -0.12,
        "high": -0.08,
        "n": 3,
        "trainings": 3,
        "at_chance": False,
        "needs_group": False,
    }
    return table.assign(**{name: value for name, value in known.items() if name not in table})


def test_the_claim_says_on_which_side_of_zero_the_intervals_lie():
    table = paired(metric=["deo_a", "accuracy"], low=[-0.1, -0.01], high=[-0.05, 0.01])
    assert claim(table, "mfd") == (
        "`mfd` students minus their teachers: the 95 % interval of the difference in DEO_A (lower is fairer) lies "
        "below zero; that of the difference in accuracy includes zero."
    )
    table = paired(metric=["deo_a", "accuracy"], low=[0.01, 0.002], high=[0.05, 0.01])
    assert "lies above zero; that of the difference in accuracy lies above zero." in claim(table, "mfd")
    assert "`mfd` students minus their bases: " in claim(table.assign(base_method=["teacher", "erm"]), "mfd")
    assert claim(table.assign(trainings=1), "mfd").endswith(
        ". Some models were trained only once; other trainings may differ."
    )
    # zero at an end is within the interval
    table = paired(metric=["deo_a", "accuracy"], low=[-0.1, 0.0], high=[0.0, 0.1])
    assert "fairer) includes zero; that of the difference in accuracy includes zero." in claim(table, "mfd")


def test_the_claim_counts_data_sets_and_architectures():
    table = paired(
        dataset=["a", "a", "b", "b", "c", "c"],
        metric=["deo_a", "accuracy"] * 3,
        low=[-0.1, -0.1, -0.1, 0.01, -0.1, -0.1],
        high=[-0.05, 0.1, 0.05, 0.02, -0.05, 0.1],
    )
    assert claim(table, "mfd") == (
        "`mfd` students minus their teachers, in 3 combinations of data set and architecture: the 95 % interval of the "
        "difference in DEO_A (lower is fairer) lies below zero in 2 of 3 and includes zero in 1 of 3; that of the "
        "difference in accuracy lies above zero in 1 of 3 and includes zero in 2 of 3."
    )


def test_the_deo_of_a_model_at_chance_is_not_judged():
    table = paired(metric=["deo_a", "accuracy"], at_chance=[True, True])
    found = "fairer) is not judged (a model is at chance); that of the difference in accuracy lies below zero."
    assert found in claim(table, "mfd")


def test_a_method_without_pairs_claims_nothing():
    assert claim(paired(metric=["deo_a", "accuracy"]), "kd") == ""
    assert evidence(paired(metric=["deo_a", "accuracy"]), "kd") == []


def test_the_evidence_has_the_numbers():
    table = paired(metric=["deo_a", "deo_m", "accuracy"], student=[0.1, 0.15, 0.25], difference=[-0.1, -0.05, 0.05])
    assert evidence(table, "mfd") == [
        "UTKFace, ResNet (3 seeds): DEO_A from 0.200 to 0.100 (-0.100, 95 % -0.120 to -0.080), DEO_M from 0.200 to "
        "0.150 (-0.050, 95 % -0.120 to -0.080) and accuracy from 0.200 to 0.250 (+0.050, 95 % -0.120 to -0.080)."
    ]
    (sentence,) = evidence(table.assign(trainings=12), "mfd")
    assert sentence.startswith("UTKFace, ResNet (3 seeds, 12 trainings): ")
    (sentence,) = evidence(table.assign(n=1, trainings=1, at_chance=True), "mfd")
    assert sentence.startswith("UTKFace, ResNet (one seed)")
    assert sentence.endswith("At least one of the two is at chance, so DEO says nothing about fairness.")


def test_the_tradeoff_has_the_means_of_the_summary(page, text):
    summary = pd.read_csv(page.parent / "summary.csv").set_index(["dataset", "architecture", "method", "metric"])
    wanted = {"Data set": "UTKFace", "Architecture": "ResNet", "Method": "mfd"}
    (row,) = rows_of(specs_of(text)["tradeoff"], **wanted, shown="means and 95 % intervals")
    for metric in ("accuracy", "deo_a", "deo_m"):
        expected = summary.loc[("utkface", "resnet", "mfd", metric)]
        assert [row[metric], row[f"{metric}_low"], row[f"{metric}_high"]] == pytest.approx(
            expected[["mean", "low", "high"]].tolist(), abs=1e-5
        )
    runs = pd.read_csv(page.parent / "runs.csv").set_index(["dataset", "architecture", "method", "seed"])
    (row,) = rows_of(specs_of(text)["tradeoff"], **wanted, shown="seed 1")
    assert row["deo_a"] == pytest.approx(runs.loc[("utkface", "resnet", "mfd", 1), "deo_a"], abs=1e-5)


def test_the_heat_map_has_the_cells_of_a_model_and_of_its_base(page, text):
    cells = pd.read_csv(page.parent / "cells.csv").set_index(["dataset", "architecture", "method", "group", "class"])
    chosen = {"model": "UTKFace, ResNet: mfd", "class": "old", "group": "Black"}
    (own,) = rows_of(specs_of(text)["cells"], **chosen, row="model, Black")
    (base,) = rows_of(specs_of(text)["cells"], **chosen, row="base, Black")
    for row, method in ((own, "mfd"), (base, "teacher")):
        expected = cells.loc[("utkface", "resnet", method, "Black", "old"), "accuracy"]
        assert row["accuracy"] == pytest.approx(expected, abs=1e-9)
    assert base["of"] == "UTKFace, ResNet: teacher"
    assert not rows_of(specs_of(text)["cells"], model="UTKFace, ResNet: teacher", row="base, Black")


def test_the_criteria_have_calibration_first(text):
    spec = specs_of(text)["criteria"]
    (choice,) = [param for param in spec["params"] if param["name"] == "criterion"]
    assert choice["value"] == "Expected calibration error"
    groups = {row["group"] for row in rows_of(spec, criterion="Brier score", method="mfd")}
    assert groups == {"all images", "White", "Black"}


def test_tables_and_figures_are_in_the_page(page, text):
    for name, heading in (("table1.md", "Table I"), ("paired.md", "Students and their bases")):
        lines = re.findall(r"^\|(.*)\|$", (page.parent / name).read_text(encoding="utf-8"), re.MULTILINE)
        _, _, *rows = [[cell.strip() for cell in line.split("|")] for line in lines]
        assert len(rows) >= 6
        assert rows_of_table(text, heading) == rows
    image = base64.b64encode((page.parent / "tradeoff_utkface.png").read_bytes()).decode()
    assert f"data:image/png;base64,{image}" in text
    # a heading of a table is no title of the page
    assert text.count("<h1>") == 1


def test_the_page_names_nothing_to_load(text):
    page = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)|url\(|@import""", page)


def test_names_cannot_end_a_script_or_begin_an_element():
    found = writing._as_json({"a": "</script><b>\u2028"})
    assert "<" not in found
    assert json.loads(found) == {"a": "</script><b>\u2028"}
    assert writing._markdown("# T\n\n| a |\n| --- |\n| <b>x</b> |\n", "Name").count("<b>") == 0


def test_a_title_is_left_out_and_headings_go_down():
    assert writing._markdown("# Title\n\n## Part\n\ntext\n", "Name") == "<h4>Part</h4>\n<p>text</p>\n"
    assert writing._markdown("text\n", "Name") == "<p>text</p>\n"


def test_many_methods_are_coloured_by_family_and_those_far_off_are_left_out_at_first(text):
    from fairdistill.reporting.page import charts
    from fairdistill.reporting.page.contents import Contents

    n = 12
    points = pd.DataFrame(
        {
            "dataset": "utkface",
            "architecture": "resnet",
            "method": ["teacher", *(f"m{i}" for i in range(n - 1))],
            "role": ["teacher", *["student"] * (n - 1)],
            "family": ["teacher", *["MFD", "distillation"] * 5, "in-processing"],
            "accuracy": [*np.linspace(0.7, 0.8, n - 1), 0.7],
            "deo_a": [0.9, *np.linspace(0.1, 0.2, n - 2), 0.8],
            "deo_m": 0.3,
            "deo_a_fair_baseline": 0.01,
            "deo_m_fair_baseline": 0.02,
            "at_chance": [*[False] * (n - 2), True, False],
            "needs_group": [*[False] * (n - 3), True, False, False],
            "n": 1,
        }
    )
    points = points.assign(
        **{f"{name}_{end}": points[name] for name in ("accuracy", "deo_a", "deo_m") for end in ("low", "high")}
    )
    names = ["dataset", "architecture", "method", "role", "accuracy", "deo_a", "deo_m", "at_chance"]
    runs = points[names].assign(seed=0, fold=0)
    spec = charts.tradeoff(Contents(points, runs, [], pd.DataFrame(), pd.DataFrame(), pd.DataFrame()))
    # the teacher is what the others are looked at beside
    assert {row["Method"] for row in rows_of(spec, far=True)} == {"m10"}
    # what is more accurate or fairer than the median is not left out, unless it is far off and worse with the other DEO
    for metric, value in (("accuracy", 0.9), ("deo_a", 0.0)):
        assert not charts.far_off(points.assign(**{metric: [*points[metric][:-1], value]})).any()
    assert charts.far_off(points.assign(deo_m=[0.3] * (n - 1) + [0.2])).tolist() == [*[False] * (n - 1), True]
    (extent,) = [param for param in spec["params"] if param["name"] == "extent"]
    assert extent["value"] == "without outliers"
    assert spec["layer"][0]["encoding"]["color"]["field"] == "Family"
    assert writing._far_off(points) == "UTKFace, ResNet: m10"
    # and one at chance has a mark beside it
    assert {row["Method"] for row in rows_of(spec, at_chance=True)} == {"m9"}
    assert all(
        row["Of"].endswith(", at chance: DEO says nothing about fairness") for row in rows_of(spec, at_chance=True)
    )
    assert [layer["mark"]["text"] for layer in spec["layer"] if layer["mark"]["type"] == "text"] == ["†"]
    needing = "needs the group to predict"
    assert {row["Method"] for row in rows_of(spec) if row["Of"].endswith(f", {needing}")} == {"m8"}
    notes = {row[2]: row[-1] for row in writing._points(points)["rows"]}
    assert {name: note for name, note in notes.items() if note} == {"m8": needing, "m9": "at chance"}
    # no other page explains the mark
    assert "† at chance" not in text
    # few methods have a colour each, and nothing to choose
    assert specs_of(text)["tradeoff"]["layer"][0]["encoding"]["color"]["field"] == "Method"
    assert not any(row["far"] for row in rows_of(specs_of(text)["tradeoff"]))
    assert "not shown at first" not in text


def test_many_names_are_counted():
    points = pd.DataFrame({"dataset": "utkface", "architecture": "resnet", "method": [f"m{i}" for i in range(60)]})
    points = points.assign(role="student", accuracy=0.8, deo_a=[0.1] * 50 + [0.9] * 10, deo_m=0.3, at_chance=False)
    assert writing._far_off(points).endswith("UTKFace, ResNet: m56 and 3 more")


def test_a_heat_map_of_many_classes_is_wider_than_the_page_and_has_no_numbers():
    from fairdistill.reporting.page import charts
    from fairdistill.reporting.page.contents import Contents

    def heat_map(classes):
        cells = pd.DataFrame({"class": [f"c{i}" for i in range(classes)], "accuracy": 0.5, "group": "g", "base": ""})
        cells = cells.assign(dataset="utkface", architecture="resnet", method="mfd")
        contents = Contents(pd.DataFrame(), pd.DataFrame(), [], cells, pd.DataFrame(), pd.DataFrame())
        return charts.heat_map(contents, "UTKFace, ResNet: mfd")

    assert (heat_map(200)["width"], len(heat_map(200)["layer"])) == (14 * 200, 1)
    assert (heat_map(20)["width"], len(heat_map(20)["layer"])) == ("container", 2)
    # WCAG's contrast of large text, 3, on the scale's colours at which texts change from white to black
    from matplotlib import colormaps

    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colormaps["viridis"](charts.DARK_BELOW)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert 1.05 / (luminance + 0.05) > 4.2
    assert (luminance + 0.05) / 0.05 > 4.2
    # more rows than Altair takes by itself
    assert len(rows_of(heat_map(6000))) == 6000


def test_both_fair_baselines_stand_beside_their_deo(page, text):
    summary = pd.read_csv(page.parent / "summary.csv").set_index(["dataset", "architecture", "method", "metric"])
    wanted = {"Data set": "UTKFace", "Architecture": "ResNet", "Method": "mfd", "shown": "means and 95 % intervals"}
    (row,) = rows_of(specs_of(text)["tradeoff"], **wanted)
    for metric, name in (("deo_a", "DEO_A"), ("deo_m", "DEO_M")):
        expected = summary.loc[("utkface", "resnet", "mfd", metric), "fair_baseline"]
        assert row[f"{name} if fair"] == rounded(expected, "{:.3f}")
    tips = [
        tip["field"] for layer in specs_of(text)["tradeoff"]["layer"] for tip in layer["encoding"].get("tooltip", [])
    ]
    assert "DEO_M if fair" in tips


def test_the_axis_of_deo_has_the_name_of_the_one_that_is_chosen(text):
    spec = specs_of(text)["tradeoff"]
    named = re.findall(r">(DEO[^<]*lower is fairer[^<]*)<", vl_convert.vegalite_to_svg(spec))
    assert named == ["DEO_A (lower is fairer)"]
    (measure,) = [param for param in spec["params"] if param["name"] == "measure"]
    measure["value"] = "DEO_M"
    named = re.findall(r">(DEO[^<]*lower is fairer[^<]*)<", vl_convert.vegalite_to_svg(spec))
    assert named == ["DEO_M (lower is fairer)"]


@pytest.fixture
def contents_and_pairs(tmp_path, page):
    """What a page of one data set and architecture is made from."""
    from fairdistill.reporting.models import read_models
    from fairdistill.reporting.page.contents import gather

    grids = [{"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", "mfd"], "seed": [0, 1]}]
    models = read_models(pattern(page.parent / "metrics"), grids)
    own = [tmp_path / f"{name}.csv" for name in ("summary", "paired")]
    for path in own:
        found = pd.read_csv(page.parent / path.name)
        place = (found["dataset"] == "utkface") & (found["architecture"] == "resnet") & (found["method"] != "balanced")
        found[place].to_csv(path, index=False)
    return gather(models, *own, pd.DataFrame())


def test_trainings_of_mixed_precision_are_said_and_told_apart(contents_and_pairs):
    contents, pairs = contents_and_pairs
    study = writing.Study("s", "mfd", pairs, {})

    def page_of(precisions):
        runs = contents.runs.assign(precision=precisions)
        return writing.render(study, replace(contents, runs=runs)), writing._runs(runs, [])

    for alike in (["bf16"] * 4, [""] * 4, ["bf16", "", "", "bf16"]):
        text, table = page_of(alike)
        assert "differ in precision" not in text
        assert "Precision" not in [heading for heading, _ in table["headings"]]
    text, table = page_of(["fp32", "bf16", "bf16", ""])
    assert "The trainings differ in precision (1 in fp32 and 2 in bf16); " in text
    assert ("Precision", False) in table["headings"]
    assert [row[-1] for row in table["rows"]] == ["fp32", "bf16", "bf16", ""]


def test_models_of_one_kind_are_told_apart_by_the_settings_in_which_they_differ(contents_and_pairs):
    contents, _ = contents_and_pairs
    runs = contents.runs.assign(**{"lambda": "3", "kernel": "rbf"})
    runs.loc[1, ["lambda", "kernel"]] = ["10", ""]
    table = writing._runs(runs, ["lambda", "kernel"])
    assert table["headings"][2:6] == [("Method", False), ("lambda", True), ("kernel", False), ("Seed", True)]
    assert [row[3:5] for row in table["rows"][:2]] == [["3", "rbf"], ["10", ""]]


def test_a_mark_of_models_at_chance_is_explained_where_there_is_one(contents_and_pairs):
    contents, pairs = contents_and_pairs
    study = writing.Study("s", "mfd", pairs, {})
    explained = AT_CHANCE_NOTE
    assert explained not in writing.render(study, contents)
    contents.runs.loc[0, "at_chance"] = True
    assert explained in writing.render(study, contents)


def test_what_a_page_lacks_is_said(text):
    assert "Not on this page: training curves and example images." in text


def test_figures_are_as_wide_as_in_print(page):
    # two inches at 100 dots to the inch, drawn as if there were 300
    found = writing._figure(page.parent / "tradeoff_utkface.png")
    assert (found["width"], found["height"]) == (70, 35)


def test_a_study_of_one_method_has_no_page_of_methods_and_no_features_without_projections(tmp_path):
    text = make_studys_page(tmp_path, methods=("mfd",), projected=False).read_text(encoding="utf-8")
    assert 'id="methods"' not in text
    assert 'id="features"' not in text
    assert set(specs_of(text)) == {"tradeoff", "cells", "criteria"}


def test_the_means_stand_in_a_table_with_their_intervals(page, text):
    summary = pd.read_csv(page.parent / "summary.csv")
    place = (summary["dataset"] == "utkface") & (summary["architecture"] == "resnet") & (summary["method"] == "mfd")
    found = summary[place].set_index("metric")
    cells = ["UTKFace", "ResNet", "mfd", str(found["n"].iloc[0])]
    for metric in ("accuracy", "deo_a", "deo_m"):
        mean, low, high = found.loc[metric, ["mean", "low", "high"]]
        low, mean, high = (rounded(value, "{:.3f}") for value in (low, mean, high))
        cells += [mean, f"{low} to {high}"]
    assert [*cells, ""] in rows_of_table(text, "Means of all models")


def test_the_page_has_the_numbers_of_paired_md(text):
    """Where base and student have the same seeds, as here: a mean on the page is the one beside the other model's."""
    means = {
        tuple(row[:3]): dict(zip(("Accuracy", "DEO_A", "DEO_M"), row[4:10:2], strict=True))
        for row in rows_of_table(text, "Means of all models")
    }
    pairs = rows_of_table(text, "Students and their bases")
    assert len(pairs) == 2 * 2 * 2 * 3
    for dataset, architecture, method, base, metric, of_base, of_student, *_ in pairs:
        assert means[dataset, architecture, base][metric] == of_base
        assert means[dataset, architecture, method][metric] == of_student


def test_a_half_is_rounded_up_wherever_the_page_has_it(contents_and_pairs):
    """As a mean over four seeds often is one, which binary digits leave a little below."""
    contents, pairs = contents_and_pairs
    half = 0.1495
    assert f"{half:.3f}" == "0.149"
    ends = [f"{metric}_{end}" for metric in MEASURED for end in ("low", "high")]
    halves = dict.fromkeys([*MEASURED, *ends, "deo_a_fair_baseline", "deo_m_fair_baseline"], half)
    contents = replace(contents, points=contents.points.assign(**halves))
    text = writing.render(writing.Study("s", "mfd", pairs, {}), contents)
    for row in rows_of_table(text, "Means of all models"):
        assert row[4:10] == ["0.150", "0.150 to 0.150"] * 3
    for row in rows_of(specs_of(text)["tradeoff"], shown="means and 95 % intervals"):
        assert [row[name] for name in ("Accuracy", "DEO_A", "DEO_M")] == ["0.150 [0.150, 0.150]"] * 3
        assert row["DEO_A if fair"] == row["DEO_M if fair"] == "0.150"


def test_students_that_are_not_there_cannot_be_what_the_page_is_about(tmp_path):
    with pytest.raises(UserError, match="--method: mfdx is none of the students in the metrics files: mfd"):
        make_studys_page(tmp_path, methods=("mfd",), about="mfdx")


def test_criteria_that_the_metrics_lack_are_named(text):
    from fairdistill.reporting.page.contents import Contents

    study = writing.Study("s", "mfd", pd.DataFrame(), {})
    nothing = pd.DataFrame()
    found = writing._missing(study, Contents(nothing, nothing, [], nothing, nothing, nothing))
    assert found == "calibration and other criteria, training curves, features and example images"
    assert "Not on this page: calibration" not in text


def test_a_summary_of_other_models_is_refused(page, tmp_path):
    from fairdistill.reporting.models import read_models
    from fairdistill.reporting.page.contents import gather

    grids = [{"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", "mfd"], "seed": [0, 1]}]
    models = read_models(pattern(page.parent / "metrics"), grids)
    tables = [page.parent / f"{name}.csv" for name in ("summary", "paired")]
    other = (
        r"csv: its models or metrics are not those of the metrics files; make it anew with scripts.aggregate_results"
    )
    with pytest.raises(UserError, match=f"summary.{other}"):
        gather(models, *tables, pd.DataFrame())
    # of these models alone
    for table in tables:
        found = pd.read_csv(table)
        place = (found["dataset"] == "utkface") & (found["architecture"] == "resnet") & (found["method"] != "balanced")
        found[place].to_csv(tmp_path / table.name, index=False)
    own = [tmp_path / table.name for table in tables]
    gather(models, *own, pd.DataFrame())
    with pytest.raises(UserError, match=f"paired.{other}"):
        gather(models, own[0], tables[1], pd.DataFrame())
    for table in own:
        whole = pd.read_csv(table)
        number = "high" if table.stem == "summary" else "difference"
        for damaged in (
            whole[whole["metric"] != "deo_a"],
            whole[:0] if table.stem == "paired" else whole[3:],
            whole.assign(low=np.nan),
            whole.assign(**{number: np.nan}),
        ):
            damaged.to_csv(table, index=False)
            with pytest.raises(UserError, match=f"{table.stem}.{other}"):
                gather(models, *own, pd.DataFrame())
        whole.to_csv(table, index=False)


def test_names_that_objects_of_a_browser_have_are_told_from_them():
    names = pd.Series(["constructor", "__proto__", "toString", "cat", "proto"])
    assert in_browser(names).tolist() == ["constructor\u200b", "__proto__\u200b", "toString\u200b", "cat", "proto"]


def test_a_figure_that_is_not_whole_is_named(page, tmp_path):
    content = (page.parent / "tradeoff_utkface.png").read_bytes()
    for damaged in (b"", b"no figure", content[:-10]):
        (tmp_path / "x.png").write_bytes(damaged)
        with pytest.raises(UserError, match=r"x.png: is no whole PNG; make the figure again"):
            writing._figure(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "is empty"), (b" \n", "is empty"), (b"\xff", "is no text in UTF-8")]
)
def test_a_table_that_cannot_be_shown_is_named(tmp_path, content, what):
    path = tmp_path / "table1.md"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"table1.md: {what}; make the table again"):
        read_page(path)


def test_projections_that_are_damaged_or_missing_are_named(page, tmp_path):
    write_projections(tmp_path, METHODS)
    runs = pd.read_csv(page.parent / "runs.csv")
    where = pattern(tmp_path / "features").replace(".json", ".parquet")
    found = read_projections(where, runs)
    assert len(found) == 12 * 60
    assert found["model"].nunique() == 12
    assert read_projections(None, runs).empty
    path = tmp_path / "features/utkface/resnet/mfd/seed0.parquet"
    content = path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"no parquet"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"mfd/seed0.parquet: no table of projected features; make it again with"):
            read_projections(where, runs)
    whole = pd.DataFrame({"class": ["a"], "group": ["b"], "x": [1.0], "y": [1.0], "share": [1.0]})
    for table in (whole[["x"]], whole.assign(x=np.nan), whole.assign(y=np.inf), whole.assign(group=1)):
        table.to_parquet(path)
        with pytest.raises(UserError, match="no table of projected features"):
            read_projections(where, runs)
    path.unlink()
    with pytest.raises(UserError, match=r"mfd/seed0.parquet: no such file; make it with scripts.probe_features"):
        read_projections(where, runs)


def test_a_projection_is_where_the_features_of_a_class_vary_most():
    rng = np.random.default_rng(0)
    along, across = rng.normal(size=(2, 200))
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    features = np.column_stack([5 * along, 0.5 * across]) @ turn
    label = np.repeat([0, 1], 100)
    found = project(features=features, label=label, group=label * 0, classes=["a", "b"], groups=["g"])
    assert list(found) == PROJECTED
    for y, name in enumerate("ab"):
        of_class = found[found["class"] == name]
        assert abs(np.corrcoef(of_class["x"], along[label == y])[0, 1]) > 0.999
        assert of_class["x"].std() == pytest.approx(1)
        assert of_class["y"].std() == pytest.approx(0.1, abs=0.03)
        # in the plane there is all of two dimensions
        assert of_class["share"].unique() == pytest.approx(1)


def test_a_class_whose_features_do_not_differ_is_left_out():
    features = np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 1.0], [1.0, 3.0], [9.0, 9.0]])
    label = np.array([0, 0, 1, 1, 2])
    found = project(features=features, label=label, group=label * 0, classes=["a", "b", "c"], groups=["g"])
    assert found["class"].unique().tolist() == ["b"]
    one = project(features=np.array([[1.0], [3.0]]), label=label[:2], group=label[:2], classes=["a"], groups=["g"])
    assert one["y"].tolist() == [0, 0]
