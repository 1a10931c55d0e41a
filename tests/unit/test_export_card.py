"""The cards of exported models, and the metadata of their data sets."""

import copy
import json
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import mlcroissant
import pytest
import yaml
from huggingface_hub import ModelCard
from snakemake.cli import parse_config
from snakemake.utils import update_config

from fairdistill.evaluation.metrics import evaluate_file
from fairdistill.evaluation.power import smallest_difference
from fairdistill.evaluation.records import Interval, Record
from fairdistill.export.card import writing
from fairdistill.export.card.markdown import escape, interval, signed
from fairdistill.export.card.model import MeasuredModel, read_measured
from fairdistill.export.card.writing import html_page
from fairdistill.export.croissant import croissant_text
from fairdistill.export.files import INT8, MODEL, RECORD
from fairdistill.export.records import ExportRecord, SpeedRecord
from fairdistill.reporting.printing import numbers
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import read_json
from fairdistill.settings.configuration import complete
from fairdistill.settings.data import Celeba, DigitsS, Folder
from fairdistill.settings.export import Export
from fairdistill.settings.reading import read_settings
from scripts import make_model_card

DATA = DigitsS(kind="digits_s")


@pytest.fixture(scope="session")
def files(trained, exported, tmp_path_factory):
    """Paths of the metrics, the exported folder and the speed of a model on `tiny`."""
    folder = tmp_path_factory.mktemp("card")
    record = read_json(trained / "training.json")
    names = {"classes": record["classes"], "groups": record["groups"]}
    record |= evaluate_file(trained / "predictions.parquet", **names)
    record["data"]["settings"] = DATA.to_json()
    record["run"]["study"] = "tiny"
    record["evaluation_versions"] = {}
    (folder / "metrics.json").write_text(json.dumps(record))
    cases = [{"batch": batch, "threads": threads, "ms": 1.5} for threads in (1, 2) for batch in (1, 64)]
    machine = {"cpu": "a processor", "cores": 2}
    speed = {"latency": {MODEL: cases, INT8: cases}, "onnxruntime": "1", "hardware": machine}
    (folder / "speed.json").write_text(json.dumps(speed))
    return folder / "metrics.json", exported, folder / "speed.json"


@dataclass
class Contents:
    """What the files of a model hold, to be altered."""

    training: dict
    export: dict
    speed: dict

    @property
    def read(self):
        parts = {"training": Record, "export": ExportRecord, "speed": SpeedRecord}
        read = {part: read_settings(kind, vars(self)[part], where=part) for part, kind in parts.items()}
        return MeasuredModel(**read)


def model_card(model, base, data, settings):
    return writing.model_card(model.read, base and base.read, data, settings)


@pytest.fixture
def model(files):
    metrics, exported, speed = files
    return Contents(read_json(metrics), read_json(exported / RECORD), read_json(speed))


def as_teacher(model):
    """The same numbers of a model of another name."""
    other = copy.deepcopy(model)
    other.training["run"] |= {"method": "teacher", "architecture": "resnet"}
    return other


def test_hugging_face_reads_the_head(model):
    card = ModelCard(model_card(model, None, DATA, Export()))
    head = card.data.to_dict()
    assert (head["library_name"], head["pipeline_tag"], head["license"]) == ("onnx", "image-classification", "other")
    assert head["license_link"] == DATA.terms_url
    assert "co2_eq_emissions" not in head
    results = {(one.metric_type, one.metric_config): one.metric_value for one in card.data.eval_results}
    assert len(results) == 6
    for file, kind in ((MODEL, "float32"), (INT8, "int8")):
        for metric in ("accuracy", "deo_a", "deo_m"):
            assert results[metric, kind] == pytest.approx(model.export["metrics"][file][metric], abs=1e-6)


def test_the_card_has_what_a_reader_asks_for(model):
    base = as_teacher(model)
    base.export["metrics"][MODEL]["accuracy"] = 0.777
    text = model_card(model, base, DATA, Export(intended_use="To sort digits."))
    headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert headings == [
        "Intended use", "Data and terms", "Accuracy and fairness", "The int8 version", "Size and speed", "Limits",
        "Time and carbon", "How to reproduce",
    ]  # fmt: skip
    metrics = model.export["metrics"][MODEL]
    ends = "{low:.3f} to {high:.3f}".format(**metrics["uncertainty"]["deo_m"])
    assert f"{metrics['deo_m']:.3f} ({ends})" in text
    for said in (
        "To sort digits.",
        "CC BY 4.0",
        "opset is 18",
        model.training["commit"],
        "on a processor with 2 cores",
    ):
        assert said in text
    # the teacher beside it, with the difference
    assert "| this model | this model, int8 | resnet teacher |" in text
    assert f"This model minus resnet teacher: accuracy {metrics['accuracy'] - 0.777:+.3f} (" in text
    # and at the top, as `snakemake export` makes no table that compares the two
    opening, _, _ = text.partition("## Intended use")
    assert f"This model minus resnet teacher: accuracy {metrics['accuracy'] - 0.777:+.3f} (" in opening
    largest = model.read.trainings().weight[0].sum(axis=0).max()
    assert f"; always predicting the largest class would give {largest:.3f}. DEO_A is " in opening
    for measure in ("deo_a", "deo_m"):
        assert re.search(rf"{measure.upper()} is [^,]+, {metrics['uncertainty'][measure]['verdict']}", opening)
    said = ", resnet teacher, has an accuracy of 0.777 ("
    assert f"The teacher that it is compared with{said}" in opening
    model.training["run"]["base"] = {"architecture": "resnet", "method": "teacher"}
    assert f"The model that it was trained from{said}" in model_card(model, base, DATA, Export())
    assert "a (class, group) cell has only 4 images" in text.replace("A (class", "a (class")
    for group in ("g", "h"):
        assert re.search(rf"^\| {group} \| 0\.\d+ \(0\.\d+ to [01]\.\d+\) \|", text, flags=re.MULTILINE)


def rows_of_speed(text):
    """The cells of the rows of latencies, by what is measured."""
    found = re.findall(r"^\| ms for a batch of (\d+, \d+ threads?) \| (.*) \|$", text, flags=re.MULTILINE)
    return {case: cells.split(" | ") for case, cells in found}


def timed(threads, ms):
    return [{"batch": batch, "threads": number, "ms": ms} for number in threads for batch in (1, 64)]


def test_latencies_of_the_same_batch_and_threads_stand_beside_each_other(model):
    """The teacher was measured on another machine."""
    base = as_teacher(model)
    base.speed["latency"][MODEL] = timed((1, 4), 7.25)
    rows = rows_of_speed(model_card(model, base, DATA, Export()))
    assert rows["1, 1 thread"] == rows["64, 1 thread"] == ["1.50", "1.50", "7.25"]
    assert rows["64, 2 threads"] == ["1.50", "1.50", ""]
    assert rows["64, 4 threads"] == ["", "", "7.25"]
    assert len(rows) == 6
    base.speed["latency"][MODEL] = timed((1,), 7.25)
    assert len(rows_of_speed(model_card(model, base, DATA, Export()))) == 4


def test_the_machines_that_latencies_were_measured_on_are_all_named(model):
    base = as_teacher(model)
    assert "It was measured with onnxruntime 1 on a processor with 2 cores.\n" in model_card(
        model, base, DATA, Export()
    )
    # rule measure_model has no more than eight cores, whatever the machine has
    speed = {**base.speed, "hardware": {"cpu": "another", "cores": 16}, "onnxruntime": "2"}
    assert (
        "with onnxruntime 1 on a processor with 2 cores, and that of resnet teacher with onnxruntime 2 on another "
        "with 16 cores, of which other jobs may have used those beyond 2.\n"
    ) in model_card(model, replace(base, speed=speed), DATA, Export())


def test_models_at_chance_are_named_at_the_top_as_their_deo_would_look_fair(model):
    """The model of the tests is at chance."""
    base = as_teacher(model)
    for expected in ([model.read.name, base.read.name], [base.read.name]):
        opening, _, _ = model_card(model, base, DATA, Export()).partition("## Intended use")
        assert re.findall(r"^> \*\*(.*) is at chance:\*\*", opening, flags=re.MULTILINE) == expected
        model.export["metrics"][MODEL]["uncertainty"]["deo_m"]["verdict"] = "above fair baseline"


def test_the_smallest_difference_that_the_test_would_find_is_said(model):
    text = model_card(model, None, DATA, Export())
    found = re.search(r"smallest \(class, group\) cell has (\d+) test images.* a difference of (\S+) between", text)
    count = min(n for row in model.export["metrics"][MODEL]["cell_count"].values() for n in row.values())
    groups, classes = len(model.export["groups"]), len(model.export["classes"])
    assert int(found[1]) == count
    assert float(found[2]) == smallest_difference(count, groups=groups, classes=classes)


def test_images_of_one_subject_are_said_not_to_be_independent(model):
    assert "treat test images as independent" not in model_card(model, None, DATA, Export())
    model.training["data"]["settings"]["subject"] = "person_id"
    assert "as independent, which several of one person_id are not" in model_card(model, None, DATA, Export())


def test_an_int8_version_that_is_worse_is_said_once_and_at_the_top(model):
    assert "> **The int8" not in model_card(model, None, DATA, Export())
    model.export["int8"]["worse"] = ["accuracy is lower by 0.100", "DEO_M is higher by 0.200"]
    text = model_card(model, None, DATA, Export())
    warning = (
        "> **The int8 version is worse than the float model, beyond chance:** accuracy is lower by 0.100; DEO_M is "
        "higher by 0.200.\n"
    )
    assert warning in text.partition("## Intended use")[0]
    assert text.count("is worse") == text.count("lower by 0.100") == text.count("higher by 0.200") == 1
    assert "is not significantly less accurate or less fair" not in text
    assert html_page(text).count("<blockquote>") == text.count("\n> ")
    model.export["int8"] |= {"worse": [], "cautions": ["DEO_A is above the fair baseline"]}
    text = model_card(model, None, DATA, Export())
    assert "> **The int8 version:** DEO_A is above the fair baseline." in text.partition("## Intended use")[0]
    assert text.count("DEO_A is above the fair baseline") == 1
    assert "is not significantly less accurate or less fair" in text


@pytest.mark.parametrize(
    ("settings", "device", "seconds", "said"),
    [
        ({}, "cpu", 7200.0, "Energy and carbon are not stated, as no power of a core was given"),
        ({"watts": 50.0}, "cuda", 7200.0, "not stated, as the training ran on a GPU"),
        ({"watts": 50.0}, "cpu", None, "not stated, as the record of the training is from before"),
        ({"watts": 50.0}, "cpu", 7200.0, "took 0.1 kWh."),
        ({"watts": 50.0, "carbon_intensity": 300.0}, "cpu", 7200.0, "took 0.1 kWh, and 30 g CO2e at 300 g per kWh."),
    ],
)
def test_energy_and_carbon_are_stated_where_they_follow_from_what_is_known(model, settings, device, seconds, said):
    model.training["device"] = device
    if seconds is None:
        del model.training["cpu_seconds"]
    else:
        model.training["cpu_seconds"] = seconds
    text = model_card(model, None, DATA, Export(**settings))
    assert said in text
    emitted = ModelCard(text).data.to_dict().get("co2_eq_emissions")
    assert (emitted is not None) == ("g CO2e" in said)
    assert emitted is None or emitted["emissions"] == 30


def test_what_is_not_known_of_a_model_from_elsewhere_is_not_stated(model):
    settings = Export(watts=50.0, carbon_intensity=300.0)
    teacher = as_teacher(model)
    teacher.training["parameters"]["method"] = {"kind": "imported", "sampling": "plain"}
    teacher.training["inputs"]["checkpoint"] = "0123abcd" * 8
    model.training["run"]["base"] = {"architecture": "resnet", "method": "teacher"}
    beside = model_card(model, teacher, DATA, settings)
    assert beside.count(" of wall-clock time") == 1
    assert "resnet teacher was trained elsewhere; what that took is not known." in beside
    assert f"SHA-256). resnet teacher was imported from a file (SHA-256 {'0123abcd' * 8}). With the" in beside
    text = model_card(teacher, None, DATA, settings)
    assert "co2_eq_emissions" not in ModelCard(text).data.to_dict()
    assert "not stated, as the model was trained elsewhere" in text
    assert f"Imported from a file (SHA-256 {'0123abcd' * 8}) with fairdistill" in text
    assert "which images it has seen, and what they may be used for, is not known here" in text
    for unknown in ("Training images", "that it was trained on", " of wall-clock time", "seed 0)"):
        assert unknown not in text, unknown


# of a grid, of a further one, and of another network than the grid's; with and without an `export` of its own; of
# studies whose names look like numbers and like a truth value
OF_THE_DEMO = [
    ("2024", "resnet", "mfd", 1, {"seeds": [0, 1]}),
    ("1e5", "small", "from_resnet", 0, {"architectures": ["small", "resnet"], "intended_use": "To sort digits."}),
    ("True", "resnet", "teacher", 0, {"datasets": ["digits_s"]}),
]


@pytest.mark.parametrize(("name", "architecture", "method", "seed", "settings"), OF_THE_DEMO)
def test_the_command_to_reproduce_makes_this_model_of_the_study_and_no_other(
    model, name, architecture, method, seed, settings
):
    run = {"study": name, "dataset": "digits_s", "architecture": architecture, "method": method, "seed": seed}
    model.training["run"] |= run
    (line,) = re.findall("^snakemake .*$", model_card(model, None, DATA, Export()), flags=re.MULTILINE)
    command, given = shlex.split(line), yaml.safe_load(Path("config/demo.yaml").read_text(encoding="utf-8"))
    update_config(given, {"export": settings})
    whole = complete(given)
    update_config(given, parse_config(command[command.index("--config") + 1 :]))
    study = complete(given)
    assert study.grids == whole.grids
    assert study.study == name
    assert study.export.intended_use == settings.get("intended_use")
    names = {"dataset": ["digits_s"], "architecture": [architecture], "method": [method], "seed": [seed], "fold": [0]}
    # several grids may have it
    assert all(grid == names for grid in study.exported)


class Page(HTMLParser):
    """Tags, links, and what would be loaded."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.loaded = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]
        self.loaded += [value for name, value in attrs if name == "src"]


def test_the_page_needs_no_network_and_names_are_no_markup(model):
    name = "<script>alert(1)</script> | **b** [x](http://x) _y_"
    text = json.dumps({"training": model.training, "export": model.export}).replace('"a"', json.dumps(name))
    whole = json.loads(text)
    page = Page(html_page(model_card(Contents(**whole, speed=model.speed), None, DATA, Export())))
    assert not {"script", "link", "img"} & set(page.tags)
    assert page.tags.count("table") == 5
    assert page.loaded == []
    assert "http://x" not in page.links
    shown = html_page(model_card(Contents(**whole, speed=model.speed), None, DATA, Export()))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | **b** [x](http://x) _y_" in shown
    assert "<title>resnet18 erm on tiny</title>" in shown


def test_escaped_text_is_read_as_it_is():
    assert escape("a|b\n*c*") == "a\\|b \\*c\\*"


def test_files_of_two_models_are_one_line(files, tmp_path):
    metrics, exported, speed = files
    record = read_json(metrics)
    record["outputs"]["weights.safetensors"] = "0" * 64
    (tmp_path / "m.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"export\.json: is of another model than .*m\.json; export the model again"):
        read_measured(tmp_path / "m.json", exported, speed)
    (tmp_path / RECORD).write_text((exported / RECORD).read_text())
    with pytest.raises(UserError, match=r"model\.onnx: is not the file of "):
        read_measured(metrics, tmp_path, speed)


def test_the_script_writes_both_and_needs_the_base_for_neither(files, tmp_path, monkeypatch):
    options = dict(zip(("metrics", "exported", "speed"), files, strict=True))
    options |= {"markdown": tmp_path / "README.md", "html": tmp_path / "card.html", "settings": '{"watts": 20}'}
    monkeypatch.setattr(sys, "argv", ["make_model_card", *(f"--{name}={value}" for name, value in options.items())])
    make_model_card.main()
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "With 20 W for a busy core, which was assumed" in card
    assert (tmp_path / "card.html").read_text(encoding="utf-8") == html_page(card)


# data sets


# what mlcroissant uses of rdflib and of pandas
@pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning", "ignore:The inplace keyword")
def test_croissant_is_valid_and_has_the_records_and_no_image(tiny_folder, tiny, tmp_path):
    text = croissant_text(tiny_folder, read_json(tiny_folder / "dataset.json"), DATA, name="tiny")
    # beside the files it gives the records; away from them it is valid, too
    whole = shutil.copytree(tiny_folder, tmp_path / "whole")
    for folder in (whole, tmp_path):
        (folder / "croissant.json").write_text(text, encoding="utf-8")
        assert not mlcroissant.Dataset(jsonld=folder / "croissant.json").metadata.issues.errors
    records = list(mlcroissant.Dataset(jsonld=whole / "croissant.json").records("samples"))
    assert [one["samples/label"] for one in records] == tiny.samples["label"].tolist()
    assert [one["samples/split"].decode() for one in records] == tiny.samples["split"].tolist()
    found = json.loads(text)
    assert {each["name"] for each in found["distribution"]} == {"dataset.json", "samples.parquet", "images.npy"}
    assert found["license"] == DATA.terms_url
    assert "a: 50% g" in found["rai:dataBiases"]
    assert len(text) < 10_000


def test_terms_of_the_configuration_are_those_of_images_of_ones_own_alone(tiny_folder, model):
    info = read_json(tiny_folder / "dataset.json")
    names = {"images": "photos", "labels": "labels.csv", "image": "file", "label": "label", "group": "group"}
    own = Folder(kind="folder", **names)
    for settings, said in ((own, "ask me"), (Celeba(kind="celeba"), Celeba.terms)):
        found = json.loads(croissant_text(tiny_folder, info, settings, name="tiny", terms="ask me"))
        assert f"The images: {said}." in found["description"]
        assert found["license"] == (settings.terms_url or "ask me")
        assert f"may be used for: {said}." in model_card(model, None, settings, Export(data_terms="ask me."))


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.0, "0.000"), (0.0004, "0.000"), (-0.0004, "0.000"), (0.0006, "+0.001"), (-0.12, "-0.120"), (0.1495, "+0.150")],
)
def test_a_difference_is_rounded_as_in_the_tables(value, text):
    assert signed(value) == text
    assert numbers([value], "{:+.3f}") == [text]


def test_an_interval_is_rounded_as_in_the_tables():
    assert interval(0.1495, Interval(low=-0.0001, high=0.2775)) == "0.150 (0.000 to 0.278)"
