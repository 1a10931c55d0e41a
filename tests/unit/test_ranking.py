"""The comparison of all methods: their order, what they cost and need, and what they are called."""

import json
import re
import shutil
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.ft2font import FT2Font
from synthetic_results import make_constant, make_record, make_study, pattern

from fairdistill.evaluation import moderation
from fairdistill.evaluation.crossed import difference
from fairdistill.evaluation.seeds import holm
from fairdistill.reporting import pairs as pairing
from fairdistill.reporting import ranking
from fairdistill.reporting.models import read_files, read_models
from fairdistill.reporting.pairs import pair_with_bases
from fairdistill.reporting.ranking import RANKED, cells_table, pareto_front, rank_methods, read_cells, read_ranking
from fairdistill.reporting.ranking_pages import ranking_latex, ranking_markdown
from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete
from scripts import rank_methods as script

pytestmark = pytest.mark.usefixtures("rough_intervals")

METHODS = ("erm", "mfd", "hardt", "adversarial")
GRID = {
    "dataset": ["utkface"],
    "architecture": ["resnet", "shufflenet"],
    "method": ["teacher", *METHODS],
    "seed": [0, 1],
}


# of a page, in points
LONG, SHORT = 550, 345
ROOT = Path(__file__).parents[2]
FONT = FT2Font(str(Path(mpl.get_data_path(), "fonts", "ttf", "cmr10.ttf")))


def points(tex, size):
    """The width of a text in Computer Modern. Small sizes are wider than the one of 10 pt shrunk, by up to 14 %."""
    # a letter for each sign that the font lacks
    plain = re.sub(r"[^\w .,+()\[\]-]|_", "n", re.sub(r"\\text\w+\{\}|\$.*?\$", "M", tex).replace("\\", ""))
    FONT.set_size(size, 72)
    FONT.set_text(plain)
    return 1.14 * FONT.get_width_height()[0] / 64


def edit(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def note(record):
    """What a training on a CPU notes; that of `erm` takes 20 s, of a teacher 10, of others 30 and, after it, none."""
    method, seed = record["run"]["method"], record["run"]["seed"]
    cost = {"erm": 20, "teacher": 10, "hardt": 0}.get(method, 30)
    record |= {"device": "cpu", "cpu_seconds": float(cost * (1 + seed)), "seconds": 1000.0}
    record |= {"needs_group": method == "hardt", "randomised": method == "hardt"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder of metrics files."""
    folder = tmp_path_factory.mktemp("metrics")
    options = {"datasets": GRID["dataset"], "methods": METHODS, "seeds": (0, 1), "bases": {"hardt": ("resnet", "erm")}}
    for path in make_study(folder, architectures=GRID["architecture"], **options):
        edit(path, note)
    return folder


@pytest.fixture(scope="module")
def models(study):
    return read_models(pattern(study), [GRID])


@pytest.fixture(scope="module")
def table(models):
    return rank_methods(models, ["erm", "mfd"])


@pytest.fixture
def paths(study, tmp_path):
    """Files of a study that may be altered."""
    return sorted(shutil.copytree(study, tmp_path / "metrics").rglob("*.json"))


@pytest.fixture
def different(paths):
    """The same, in which no two methods have the same answers."""
    for path in paths:
        run = json.loads(path.read_text())["run"]
        other = make_record(seed=run["seed"], bias=0.1 + 0.1 * GRID["method"].index(run["method"]))
        edit(path, lambda record, other=other: record.update(metrics=other["metrics"]))
    return paths


def of(table, method, architecture="resnet"):
    return table[(table["method"] == method) & (table["architecture"] == architecture)].iloc[0]


def test_methods_are_ranked_by_their_mean_deo_a_and_teachers_have_no_rank(models, table):
    runs = models.runs
    for architecture, rows in table.groupby("architecture", sort=False):
        means = runs[runs["architecture"] == architecture].groupby("method")["deo_a"].mean()
        assert rows["deo_a"].tolist() == pytest.approx(sorted(means))
        students = rows[rows["role"] == "student"]
        assert students["rank"].tolist() == [1, 2, 3, 4]
        assert np.isnan(of(rows, "teacher", architecture)["rank"])


def test_cost_is_that_of_erm_and_bases_are_added(table):
    costs = {method: of(table, method)[["cost", "cost_with_bases"]].tolist() for method in ("teacher", *METHODS)}
    # hardt stands on erm, and mfd on the teacher
    assert costs == {
        "teacher": [0.5, 0.5], "erm": [1, 1], "mfd": [1.5, 2], "hardt": [0, 1], "adversarial": [1.5, 1.5],
    }  # fmt: skip
    assert of(table, "hardt", "shufflenet")["base"] == "resnet erm"


def test_cost_is_of_time_on_a_gpu_and_missing_where_it_cannot_be_compared(paths):
    def on_gpu(record):
        seconds = {"mfd": 150.0, "erm": 100.0}.get(record["run"]["method"], 50.0)
        record |= {"device": "cuda", "seconds": seconds}

    def of_before(record):
        del record["cpu_seconds"]

    for path in paths:
        edit(path, on_gpu if "resnet" in path.parts else lambda record: None)
        if "shufflenet" in path.parts and "mfd" in path.parts:
            edit(path, of_before)

    found = rank_methods(read_files(paths), ["erm"])

    assert of(found, "mfd")[["cost", "cost_with_bases"]].tolist() == [1.5, 2]
    assert of(found, "mfd", "shufflenet")[["cost", "cost_with_bases"]].isna().all()
    # its base ran on a GPU
    assert of(found, "hardt", "shufflenet")["cost"] == 0
    assert np.isnan(of(found, "hardt", "shufflenet")["cost_with_bases"])


def test_cost_with_bases_is_missing_where_a_base_has_no_metrics(paths):
    found = rank_methods(read_files([path for path in paths if {"erm", "mfd"} & {*path.parts}]), ["erm"])

    assert of(found, "mfd")["cost"] == 1.5
    assert np.isnan(of(found, "mfd")["cost_with_bases"])
    assert of(found, "erm")["cost_with_bases"] == 1


def test_without_erm_cost_is_that_of_the_teacher(paths):
    found = rank_methods(read_files([path for path in paths if not {"erm", "hardt"} & {*path.parts}]), ["mfd"])

    assert of(found, "teacher")["cost"] == 1
    assert of(found, "mfd")["cost_with_bases"] == 4
    assert "multiple of that of `teacher`" in ranking_markdown(found, ["mfd"])


def test_what_a_method_needs_is_said(table):
    needs = ["base", "needs_group", "needs_validation", "randomised", "family"]
    assert of(table, "hardt")[needs].tolist() == ["erm", True, True, True, "post-processing"]
    assert of(table, "mfd")[needs].tolist() == ["teacher", False, False, False, "MFD"]
    page = ranking_markdown(table, ["erm", "mfd"])
    assert "| 0.00 (1.00) | erm, group, validation, draws labels |" in page


@pytest.mark.parametrize(
    ("kind", "sampling", "family"),
    [
        ("erm", "plain", "plain training"),
        ("erm", "balanced", "plain training"),
        ("erm", "oversampled", "pre-processing"),
        ("erm", "undersampled", "pre-processing"),
        ("mfd", "oversampled", "MFD"),
        ("reweighing", "plain", "pre-processing"),
        ("vfae", "plain", "pre-processing"),
        ("group_dro", "balanced", "in-processing"),
        ("of another version", "plain", ""),
    ],
)
def test_a_method_belongs_to_the_family_of_its_kind_and_sampling(paths, kind, sampling, family):
    few = [path for path in paths if "resnet" in path.parts and {"teacher", "erm", "mfd"} & {*path.parts}]
    for path in few:
        if "erm" in path.parts:
            edit(path, lambda record: record["parameters"]["method"].update(kind=kind, sampling=sampling))

    assert of(rank_methods(read_files(few), ["mfd"]), "erm")["family"] == family


def test_the_choice_of_an_epoch_needs_a_validation_split(paths):
    few = [path for path in paths if "resnet" in path.parts and {"teacher", "erm", "mfd"} & {*path.parts}]
    for path in few:
        edit(path, lambda record: record["parameters"]["training"].update(keep="best"))
    table = rank_methods(read_files(few), ["erm"])

    assert table["needs_validation"].all()
    assert "| 1.50 (2.00) | teacher, validation " in ranking_markdown(table, ["erm"])


def test_differences_are_those_of_paired_tables_and_p_values_are_of_a_data_set_and_metric(models, table):
    paired = pair_with_bases(models.runs, models.trainings).set_index(["architecture", "method", "metric"])
    for metric in ("accuracy", "deo_a", "deo_m"):
        name = f"{metric}_minus_erm"
        # hardt's base is erm
        row, expected = of(table, "hardt"), paired.loc[("resnet", "hardt", metric)]
        assert row[[name, f"{name}_low", f"{name}_high"]].tolist() == pytest.approx(
            expected[["difference", "low", "high"]].tolist()
        )
        compared = table.dropna(subset=name)
        assert sorted(compared["method"].unique()) == ["adversarial", "hardt", "mfd"]
        # both architectures together
        assert compared[f"{name}_p_holm"].tolist() == pytest.approx(holm(compared[f"{name}_p"]).tolist())
        assert ((compared[f"{name}_p"] < 0.05) == (compared[f"{name}_low"] > 0) | (compared[f"{name}_high"] < 0)).all()


def test_differences_among_many_methods_are_moderated(different, monkeypatch):
    models = read_files(different)
    table = rank_methods(models, ["erm"])
    monkeypatch.setattr(moderation, "FEWEST", 5)
    found = rank_methods(models, ["teacher"])

    for metric in ("accuracy", "deo_a", "deo_m"):
        name = f"{metric}_minus_teacher"
        compared = found.dropna(subset=name)
        # each architecture has one
        assert compared.groupby("architecture")[f"{name}_d0"].nunique().tolist() == [1, 1]
        assert compared[f"{name}_d0"].between(0, 4, inclusive="right").all()
        left_out = (compared[f"{name}_low"] > 0) | (compared[f"{name}_high"] < 0)
        assert ((compared[f"{name}_p"] < 0.05) == left_out).all()
        assert compared[f"{name}_p_holm"].tolist() == pytest.approx(holm(compared[f"{name}_p"]).tolist())
    runs = models.runs[models.runs["architecture"] == "resnet"]
    own = difference(*(models.trainings.of(runs[runs["method"] == method]) for method in ("mfd", "teacher")))["deo_a"]
    assert of(found, "mfd")["deo_a_minus_teacher_p"] < own.p
    # the other methods are too few
    assert table["deo_a_minus_erm_d0"].max() == 0
    said = f"Against `teacher`, d0 is {of(found, 'mfd')['accuracy_minus_teacher_d0']:.1f} (Accuracy), "
    assert f"- {said}" in ranking_markdown(found, ["teacher"])
    assert said.replace("`", "") in ranking_latex(found, ["teacher"])
    assert "Against `erm`, d0" not in ranking_markdown(table, ["erm"])


def test_one_model_under_two_names_counts_once_among_those_that_say_how_trainings_differ(different, monkeypatch):
    monkeypatch.setattr(moderation, "FEWEST", 5)
    assert rank_methods(read_files(different), ["teacher"])["deo_a_minus_teacher_d0"].min() > 0
    for path in different:
        if "adversarial" in path.parts:
            same = json.loads(Path(str(path).replace("adversarial", "mfd")).read_text())
            edit(path, lambda record, same=same: record.update(metrics=same["metrics"]))

    assert rank_methods(read_files(different), ["teacher"])["deo_a_minus_teacher_d0"].max() == 0


def test_so_does_one_that_has_some_of_the_trainings_of_the_other(different, monkeypatch):
    monkeypatch.setattr(moderation, "FEWEST", 5)
    further = []
    for path in different:
        run = json.loads(path.read_text())["run"]
        if run["seed"] == 1 and run["method"] != "adversarial":
            other = make_record(seed=2, bias=0.1 + 0.1 * GRID["method"].index(run["method"]))
            further.append(Path(shutil.copy(path, path.with_name("seed2.json"))))
            edit(further[-1], lambda record, other=other: record.update(metrics=other["metrics"]))
            edit(further[-1], lambda record: record["run"].update(seed=2))
    assert rank_methods(read_files([*different, *further]), ["teacher"])["deo_a_minus_teacher_d0"].min() > 0
    for path in different:
        if "adversarial" in path.parts:
            same = json.loads(Path(str(path).replace("adversarial", "mfd")).read_text())
            edit(path, lambda record, same=same: record.update(metrics=same["metrics"]))

    assert rank_methods(read_files([*different, *further]), ["teacher"])["deo_a_minus_teacher_d0"].max() == 0


def test_words_are_given_where_the_corrected_p_value_is_below_5_percent(paths, monkeypatch):
    """Of two trainings with the same answers, only the images make noise."""
    for path in paths:
        if path.name == "seed1.json":
            same = json.loads(path.with_name("seed0.json").read_text())
            edit(path, lambda record, same=same: record.update(metrics=same["metrics"]))

    table = rank_methods(read_files(paths), ["teacher"])

    for metric, words in {"accuracy": ("less accurate", "more accurate"), "deo_a": ("fairer", "less fair")}.items():
        name = f"{metric}_minus_teacher"
        students = table[table["role"] == "student"]
        clear = students[f"{name}_p_holm"] < 0.05
        named = np.where(students[name] < 0, *words)
        assert students[f"{name}_verdict"].tolist() == np.where(clear, named, "undecided").tolist()
    assert "fairer" in set(table["deo_a_minus_teacher_verdict"])
    assert "- Fairer by DEO_A than `teacher`: " in ranking_markdown(table, ["teacher"])
    assert (table.loc[table["role"] == "teacher", "deo_a_minus_teacher_verdict"] == "").all()

    def observed_on_the_other_side(*pairs, **options):
        found = pairing.differences(*pairs, **options)
        return found.assign(difference=-found["difference"])

    # the interval and p are of the difference freed of noise
    monkeypatch.setattr(ranking, "differences", observed_on_the_other_side)
    other = rank_methods(read_files(paths), ["teacher"])
    for metric in ("accuracy", "deo_a", "deo_m"):
        name = f"{metric}_minus_teacher"
        pd.testing.assert_series_equal(other[f"{name}_verdict"], table[f"{name}_verdict"])
        assert other[name].tolist() == pytest.approx((-table[name]).tolist(), nan_ok=True)


def test_with_a_single_training_nothing_is_tested(paths):
    table = rank_methods(read_files([path for path in paths if path.name == "seed0.json"]), ["erm"])

    assert table["accuracy_minus_erm_p"].isna().all()
    assert set(table["deo_a_minus_erm_verdict"]) == {"not tested", ""}
    page = ranking_markdown(table, ["erm"])
    assert "‡ one training" in page
    assert "- Not tested against `erm`, with one training in common: 3.\n" in page
    assert "- Undecided" not in page


def test_methods_of_fewer_seeds_are_compared_by_those_that_they_share(different, monkeypatch):
    monkeypatch.setattr(moderation, "FEWEST", 4)
    whole = rank_methods(read_files(different), ["erm"])
    fewer = [path for path in different if not ("adversarial" in path.parts and path.name == "seed1.json")]

    table = rank_methods(read_files(fewer), ["erm"])

    assert [of(table, method)["n"] for method in ("erm", "mfd", "adversarial")] == [2, 2, 1]
    untested = of(table, "adversarial")
    assert untested[["deo_a_minus_erm_p", "deo_a_minus_erm_p_holm"]].isna().all()
    # it counts among those that the others are corrected for
    compared = table.dropna(subset="deo_a_minus_erm")
    of_all = holm(compared["deo_a_minus_erm_p"].fillna(1))
    tested = compared["deo_a_minus_erm_p"].notna()
    assert 0 < tested.sum() < len(compared)
    assert compared["deo_a_minus_erm_p_holm"][tested].tolist() == pytest.approx(of_all[tested].tolist())
    # the other seed, in which all trainings took twice as long, is left out of both
    assert of(table, "adversarial")["cost"] == of(whole, "adversarial")["cost"] == 1.5
    # those that have both seeds still say how trainings differ: erm, mfd and hardt are too few by themselves
    assert whole["deo_a_minus_erm_d0"].max() > 0 == table["deo_a_minus_erm_d0"].max()
    page = ranking_markdown(table, ["erm"])
    assert "## UTKFace, ResNet, 1 to 2 seeds" in page
    assert "| #   | Method      | Seeds |" in page
    assert "| Seeds |" not in ranking_markdown(whole, ["erm"])
    (row,) = re.findall(r"^\| adversarial .* not tested .*$", page, flags=re.MULTILINE)[:1]
    assert row.count("‡") == 3
    assert "‡ one training" in page


def test_a_single_seed_in_common_is_marked_where_both_methods_have_several(paths):
    models = [path for path in paths if "resnet" in path.parts]
    for path in models:
        run = json.loads(path.read_text())["run"]
        if run["method"] == "mfd" and run["seed"] == 0:
            path.unlink()
        if run["method"] == "erm" and run["seed"] == 1:
            edit(path, lambda record: record["run"].update(seed=2))
    adversarial = [path for path in models if "adversarial" in path.parts]
    for path in adversarial:
        edit(path, lambda record: record["run"].update(seed=record["run"]["seed"] + 2))

    page = ranking_markdown(rank_methods(read_files([path for path in models if path.exists()]), ["erm"]), ["erm"])

    rows = {line.split()[1]: line for line in page.split("against erm\n")[1].splitlines() if line}
    assert rows["adversarial"].count("‡") == 3
    assert "mfd" not in rows
    assert rows["hardt"].count("‡") == 3


def test_a_method_at_chance_comes_last_and_its_deo_is_called_nothing_else(paths, monkeypatch):
    monkeypatch.setattr(moderation, "FEWEST", 5)
    for path in paths:
        if "mfd" in path.parts:
            path.write_text(json.dumps(make_constant(json.loads(path.read_text()))))

    table = rank_methods(read_files(paths), ["erm"])

    row = of(table, "mfd")
    assert (row["deo_a"], row["rank"], row["pareto_front"]) == (0, 4, False)
    assert row["deo_a_minus_erm_verdict"] == "at chance"
    # of the five methods, four say how much trainings differ
    assert rank_methods(read_files(paths), ["teacher"])["deo_a_minus_teacher_d0"].max() == 0
    page = ranking_markdown(table, ["erm"])
    assert re.search(r"0\.000 ± 0\.000 \[0\.000, 0\.\d\d\d\] †", page)
    assert "- Not judged against `erm` by DEO_A, as at least one of the two is at chance: `mfd`." in page


def test_the_front_has_those_that_no_other_is_better_than():
    accuracy, deo = [0.8, 0.7, 0.9, 0.8, 0.9, 0.6], [0.1, 0.1, 0.3, 0.2, 0.3, 0.0]
    assert pareto_front(accuracy, deo).tolist() == [True, False, True, False, True, True]


@pytest.mark.parametrize(
    ("accuracy", "deo_a", "at_chance", "surpassed"),
    [
        (0.65, 0.05, False, None),
        (0.85, 0.15, False, "`erm`"),
        # as accurate and fairer
        (0.8, 0.15, False, "`erm`"),
        # the same as one of them
        (0.8, 0.2, False, None),
        (0.95, 0.01, False, "`mfd` and `erm`"),
        (0.95, 0.01, True, None),
    ],
)
def test_a_teacher_is_on_no_front_and_where_it_is_better_than_one_there_that_is_said(
    table, accuracy, deo_a, at_chance, surpassed
):
    place = table[table["architecture"] == "resnet"].set_index("method")
    place.loc[["mfd", "erm", "hardt", "adversarial"], "accuracy"] = [0.7, 0.8, 0.6, 0.6]
    place.loc[["mfd", "erm", "hardt", "adversarial"], "deo_a"] = [0.1, 0.2, 0.3, 0.3]
    place["pareto_front"] = place.index.isin(["mfd", "erm"])
    place.loc["teacher", ["accuracy", "deo_a", "at_chance"]] = accuracy, deo_a, at_chance
    page = ranking_markdown(place.loc[["mfd", "erm", "hardt", "adversarial", "teacher"]].reset_index(), [])
    assert "- On the Pareto front of accuracy and DEO_A among the students: `mfd` and `erm`." in page
    lines = [line for line in page.splitlines() if line.startswith("- The teacher ")]
    said = (
        "- The teacher `teacher` surpasses these students on the front, being at least as accurate and as fair by "
        "DEO_A, and better in one of the two: "
    )
    assert lines == ([f"{said}{surpassed}."] if surpassed else [])


def test_cells_are_means_over_seeds(study, models):
    cells = cells_table(models).set_index(["architecture", "method", "group", "class"])["accuracy"]

    records = [json.loads(path.read_text()) for path in (study / "utkface" / "resnet" / "mfd").iterdir()]
    values = [record["metrics"]["cell_accuracy"]["Black"]["old"] for record in records]
    assert cells["resnet", "mfd", "Black", "old"] == pytest.approx(np.mean(values))
    assert len(cells) == 2 * 5 * 6


def test_the_script_writes_what_is_read_back(study, models, table, tmp_path, monkeypatch):
    written = {name: tmp_path / f"methods.{name}" for name in ("csv", "markdown", "tex", "cells")}
    options = {"metrics": pattern(study), "grids": json.dumps([GRID])} | written
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    monkeypatch.setattr("sys.argv", ["rank_methods", *arguments, "--reference", "erm", "--reference", "mfd"])
    script.main()

    assert table["architecture"].unique().tolist() == ["resnet", "shufflenet"]
    pd.testing.assert_frame_equal(read_ranking(written["csv"])[RANKED], table[RANKED], check_dtype=False)
    pd.testing.assert_frame_equal(read_cells(written["cells"]), cells_table(models))
    tex = written["tex"].read_text()
    assert tex == ranking_latex(table, ["erm", "mfd"])
    # the ranking and two comparisons of each architecture
    assert tex.count(r"\begin{sidewaystable}") == 6
    assert "adversarial & 0." in tex
    small = ranking_latex(table.assign(deo_a_minus_erm_p_holm=1e-5), ["erm", "mfd"])
    assert r"& \textless{}0.001 &" in small


def test_thirty_methods_fit_on_a_page_of_latex(table):
    """By the text block of the class article at 10 pt, on letter paper, and the widths of Computer Modern."""
    names = yaml.safe_load((ROOT / "config" / "methods.yaml").read_text())["methods"]
    assert len(names) == 30
    one, hardt = of(table, "mfd"), of(table, "hardt")
    longest = {"base": "resnet34 teacher", "n": 5, "trainings": 5, "at_chance": True, "cost": 10, "cost_with_bases": 20}
    words = {"accuracy": "less accurate", "deo_a": "fairer", "deo_m": "less fair"}
    verdicts = {f"{metric}_minus_erm_verdict": word for metric, word in words.items()}
    rows = [(hardt if name == "hardt" else one).to_dict() | longest | verdicts | {"method": name} for name in names]

    tex = ranking_latex(pd.DataFrame(rows), ["erm"])

    floats = tex.split(r"\begin{sidewaystable}")[1:]
    assert len(floats) == 2
    for text in floats:
        assert r"\scriptsize" in text
        assert r"\begin{adjustbox}{max width=\linewidth}" in text
        rows = [row.split(" & ") for row in re.findall(r"^    (.*) \\\\$", text, flags=re.MULTILINE)]
        assert len(rows) == 31
        columns = zip(*([points(cell, 7) for cell in row] for row in rows), strict=True)
        shrunk = min(1, LONG / sum(2 * 3 + max(column) for column in columns))
        # still to be read
        assert 7 * shrunk > 5
        caption = re.search(r"\\caption\{(.*)\}", text)[1]
        lines = shrunk * len(rows) + 2 + points(caption, 7) / LONG
        assert 8 * lines < SHORT


@pytest.mark.parametrize(
    ("methods", "reference", "what"),
    [
        (("mfd",), "mfd", "no data set and architecture has two methods to compare; name more methods"),
        (("erm", "mfd"), "kd", "--reference: there is no model of the method 'kd'; choose one of erm, mfd, teacher"),
    ],
)
def test_what_cannot_be_compared_is_one_line(paths, methods, reference, what):
    models = read_files([path for path in paths if {"teacher", *methods} & {*path.parts}])
    with pytest.raises(UserError, match=what):
        rank_methods(models, [reference])


@pytest.mark.parametrize(
    ("config", "references"),
    [
        ({"methods": ["mfd", "erm"]}, ["erm", "mfd"]),
        ({"methods": ["erm"]}, ["erm"]),
        ({"methods": ["kd"]}, ["teacher"]),
        ({"methods": ["kd", "erm"], "references": ["teacher", "kd"]}, ["teacher", "kd"]),
    ],
)
def test_methods_are_compared_with_erm_and_mfd_where_nothing_else_is_named(config, references):
    students = {"mfd": {"kind": "mfd"}, "erm": {"kind": "erm"}, "kd": {"kind": "kd"}}
    assert complete(config | {"students": students}).reference_methods == references


def test_a_reference_that_the_grid_lacks_is_one_line():
    with pytest.raises(
        UserError, match=r"^config: references names 'kd', which the main grid lacks \(methods\); choose one of tea"
    ):
        complete({"references": ["kd"]})


def test_the_p_values_of_each_data_set_are_corrected_by_themselves(paths):
    utkface = [path for path in paths if "resnet" in path.parts and {"teacher", "erm", "mfd"} & {*path.parts}]
    cifar10s = [path.with_name(f"cifar10s_{path.name}") for path in utkface]
    for path, other in zip(utkface, cifar10s, strict=True):
        record = json.loads(path.read_text())
        record["run"]["dataset"] = record["data"]["kind"] = "cifar10s"
        other.write_text(json.dumps(record))

    table = rank_methods(read_files([*utkface, *cifar10s]), ["teacher"]).query("role == 'student'")

    p, corrected = "deo_a_minus_teacher_p", "deo_a_minus_teacher_p_holm"
    assert table["dataset"].tolist() == ["utkface", "utkface", "cifar10s", "cifar10s"]
    for _, found in table.groupby("dataset"):
        assert found[corrected].tolist() == pytest.approx(holm(found[p]).tolist())
    # which all of them together would not give
    assert (holm(table[p]) > table[corrected] + 1e-9).any()
