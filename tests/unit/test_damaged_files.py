"""Each kind of file that scripts read of what others wrote, damaged field by field: one line that names the file.

A damage that is taken as if nothing were wrong is listed, with the reason why it does no harm. What a user brings, such
as archives, images, checkpoints and tables of images, has tests of its own.
"""

import copy
import json
import shutil
from fnmatch import fnmatch

import numpy as np
import pandas as pd
import pytest
from synthetic_results import (
    CLASSES,
    GROUPS,
    make_export,
    make_few_scores,
    make_study,
    make_training,
    pattern,
)

from fairdistill.data import load_dataset
from fairdistill.export.files import INT8, MODEL
from fairdistill.export.records import read_exported, read_speed
from fairdistill.reporting.ablations import ablations, compared_runs
from fairdistill.reporting.csv_files import csv_text
from fairdistill.reporting.features import read_features
from fairdistill.reporting.grids import in_order
from fairdistill.reporting.models import read_files, read_models
from fairdistill.reporting.pairs import pair_with_bases, read_paired
from fairdistill.reporting.ranking import cells_table, read_cells
from fairdistill.reporting.runs import read_runs, read_validation, with_settings
from fairdistill.reporting.summaries import read_summary, summarise
from fairdistill.reporting.training_curves import read_histories
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import sha256
from fairdistill.settings.paper import read_paper_values
from fairdistill.settings.training_record import read_training

DROPPED = object()
# what takes the place of a field
DAMAGES = {
    "dropped": DROPPED,
    "null": None,
    "text": "nonsense",
    "negative": -7,
    "number": 0.5,
    "list": [],
    "mapping": {"x": json.loads("[" * 150 + "]" * 150)},
}
# Those that do no harm, as `field damage`, for each kind of file.
OF_ANY_RUN = [
    # names are any text; a model may stand on none
    *("run.study text", "run.dataset text", "run.architecture text", "run.method text"),
    *("run.base.architecture text", "run.base.method text", "run.base null"),
]
OF_ANY_TRAINING = [
    *OF_ANY_RUN,
    # shown to people, and read by nothing
    *("versions.python text", "versions.python dropped", "hardware.cpu text", "hardware.gpu text", "commit text"),
    *("peak_memory_mb *", "evaluation_versions.numpy text", "evaluation_versions.numpy dropped"),
    # another number of the same kind, which only what wrote it knows
    *("seconds number", "cpu_seconds number"),
    # what earlier versions did not write, or what there need not be
    *("training_images dropped", "training_images null", "weighting dropped", "kept_epoch dropped", "kept_epoch null"),
    *("needs_group dropped", "needs_group null", "randomised dropped", "randomised null", "cpu_seconds dropped"),
    *("cpu_seconds null", "device dropped", "device null", "precision dropped", "precision null", "commit dropped"),
    *("commit null", "code null", "hardware.gpu dropped", "hardware.gpu null", "data.source dropped"),
    # what reads a data set's settings reads them as settings, which have tests of their own
    *("data.kind text", "data.settings.variant *", "data.settings mapping", "data.source.archive *"),
]
OF_SCORES = [
    # another number that is possible; scripts.verify_results compares it with the answers
    *("*metrics.*[!n] number", "*.fair_baseline.mean number", "*criteria.* negative"),
    # read by nothing; scripts.verify_results compares it with the answers
    *("*accuracy_per_class*", "*deo_per_class*", "*uncertainty.level *", "*uncertainty.resamples *"),
    *("*uncertainty.seed *", "*criteria.bins *", "*caution *"),
    # metrics files of earlier versions lack them
    *("*criteria dropped", "*criteria.brier dropped", "*criteria.ece* dropped", "*criteria.ece*corrected null"),
]
HARMLESS = {
    "training.json": [
        *OF_ANY_TRAINING,
        # by hand there need be no study
        "run.study null",
        # settings have defaults
        *("parameters.network.stem dropped", "parameters.method.lambda dropped", "parameters.method.lambda number"),
        "parameters.method.sampling dropped",
        # of the evaluation
        "evaluation_versions*",
    ],
    "metrics.json": [
        *OF_ANY_TRAINING,
        *OF_SCORES,
        # shown in tables; they may be of a version that had others, and scripts.verify_results compares them with
        # training.json, which alone says how a model is built
        *("parameters.network.kind text", "parameters.network.stem text", "parameters.method.kind text"),
        *("parameters.method.sampling text", "parameters.method.lambda *"),
        # files of before there were any have none, and scripts.verify_results names a file that is too many
        *("probabilities dropped", "probabilities null"),
    ],
    "features.json": [
        *OF_ANY_RUN,
        # another number, or fewer tests; nothing knows better without the model
        *("features.two_sample.0 dropped", "features.two_sample list", "features.*.mmd2 negative", "features.* number"),
        *("features.consistency.low negative", "features.consistency.high negative"),
        "code *",
    ],
    "export.json": [
        *OF_SCORES,
        # read by nothing; the metrics file says whose model it is
        *("run*", "agreement*"),
        # what is left out is not compared
        *("files.model.safetensors dropped", "int8.difference.* dropped", "int8.difference.* negative"),
        "int8.difference.* number",
        *("int8.worse list", "int8.cautions list"),
    ],
    "speed.json": ["latency.*.ms number", "onnxruntime text", "hardware.cpu text", "hardware.gpu *"],
    # without it, as in data sets of earlier versions, the digest of images and samples is compared alone
    "dataset.json": ["description_sha256 dropped"],
}


def training():
    optional = {"training_images": {group: dict.fromkeys(CLASSES, 5) for group in GROUPS}, "weighting": "images"}
    optional |= {"needs_group": False, "randomised": False, "kept_epoch": 3, "cpu_seconds": 3.0, "device": "cpu"}
    record = make_training(method="mfd") | optional | {"precision": "fp32", "commit": "0" * 40}
    record["data"]["source"] = {"archive": "0" * 64}
    return record


def metrics():
    return training() | {"metrics": make_few_scores(), "probabilities": "0" * 64}


def features():
    test = {"class": CLASSES[0], "group": GROUPS[0], "other_group": GROUPS[1], "mmd2": 0.1, "p_holm": 0.2}
    found = {"two_sample": [test], "consistency": {"value": 0.5, "low": 0.4, "high": 0.6}}
    kept = {name: training()[name] for name in ("run", "inputs", "outputs", "classes", "groups")}
    return kept | {"features": found, "code": "0123456789ab"}


def speed():
    latency = [{"batch": 1, "threads": 1, "ms": 1.5}]
    hardware = {"cpu": "a processor", "cores": 2, "gpu": None}
    return {"latency": {MODEL: latency, INT8: latency}, "onnxruntime": "1", "hardware": hardware}


def read_metrics(path):
    models = read_files([path])
    csv_text(with_settings(models.runs, models.settings))
    csv_text(models.criteria)


READERS = {
    "training.json": (training, read_training),
    "metrics.json": (metrics, read_metrics),
    "features.json": (features, lambda path: read_features([path])),
    "export.json": (make_export, lambda path: read_exported(path.parent)),
    "speed.json": (speed, read_speed),
    "dataset.json": (None, lambda path: load_dataset(path.parent)),
}


@pytest.fixture
def file(request, tmp_path, tiny_folder):
    """A whole file of a kind, by its name: its path, its content, and what reads it."""
    make, read = READERS[request.param]
    path = tmp_path / request.param
    if make is None:
        shutil.copytree(tiny_folder, tmp_path, dirs_exist_ok=True)
        content = json.loads(path.read_text())
    else:
        content = make(tmp_path) if make is make_export else make()
    path.write_text(json.dumps(content))
    read(path)
    return path, content, read


def is_named(read, path):
    """Whether a damaged file is refused; a traceback, or a line without the file's name, fails."""
    try:
        read(path)
    except (UserError, OSError) as error:
        message = str(error)
        assert str(path) in message
        assert "\n" not in message
        return True
    return False


def fields(content, path=()):
    """The keys that lead to each field; of lists, and of mappings by class, group or model, to the first item alone."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for number, (key, value) in enumerate(items):
        if number and (isinstance(content, list) or set(content) <= {*CLASSES, *GROUPS, MODEL, INT8}):
            break
        yield (*path, key)
        yield from fields(value, (*path, key))


def damaged(content, path, damage):
    """A copy of the content with a field replaced or dropped."""
    content = copy.deepcopy(content)
    part = content
    for key in path[:-1]:
        part = part[key]
    if damage is DROPPED:
        del part[path[-1]]
    else:
        part[path[-1]] = damage
    return content


@pytest.mark.parametrize("file", READERS, indirect=True)
def test_a_damaged_field_is_named_or_does_no_harm(file):
    path, content, read = file
    taken = set()
    for keys in fields(content):
        for name, damage in DAMAGES.items():
            changed = damaged(content, keys, damage)
            path.write_text(json.dumps(changed))
            if changed != content and not is_named(read, path):
                taken.add(f"{'.'.join(map(str, keys))} {name}")
    harmless = HARMLESS[path.name]
    assert not [one for one in taken if not any(fnmatch(one, known) for known in harmless)]


@pytest.mark.parametrize("file", READERS, indirect=True)
def test_a_damaged_file_of_fields_is_named(file):
    path, content, read = file
    text = json.dumps(content).encode()
    for damage in (b"", text[: len(text) // 2], b"\xff\xfe" + text, b"[" * 100_000, b"[]", b"{}", b"NaN", b"1" * 5000):
        path.write_bytes(damage)
        assert is_named(read, path), damage[:20]
    path.unlink()
    path.mkdir()
    assert is_named(read, path)


@pytest.mark.parametrize("name", ["weights.safetensors", "predictions.parquet", "history.csv"])
def test_a_damaged_file_of_a_model_is_named(name, tmp_path):
    path, file = tmp_path / "training.json", tmp_path / name
    file.write_bytes(b"content")
    record = training()
    record["outputs"][name] = sha256(file)
    path.write_text(json.dumps(record))
    read_training(path, file)
    for damage in (b"", b"conten", b"Content"):
        file.write_bytes(damage)
        assert is_named(lambda damaged: read_training(path, damaged), file)
    file.unlink()
    assert is_named(lambda missing: read_training(path, missing), file)
    file.mkdir()
    assert is_named(lambda folder: read_training(path, folder), file)


# Of a table, what may be another text or number without harm: names, which nothing else tells, and numbers, which
# scripts.verify_results computes again. A missing number is shown as one that is not there.
PAPER = "table1,cifar10,resnet,teacher,accuracy,0.73,\n"
TABLES = {
    "runs.csv": (read_runs, {"seed", "fold", "role", "n_images", "epochs", "paired", "accuracy", "deo_m_high"}),
    "validation.csv": (read_validation, {"mean_cell_accuracy", "smallest_cell"}),
    "summary.csv": (
        read_summary,
        {"role", "metric", "n", "trainings", "at_chance", "needs_group", "seeds", "values", "mean"},
    ),
    "paired.csv": (read_paired, {"metric", "n", "trainings", "at_chance", "needs_group"}),
    "cells.csv": (read_cells, set()),
    "ablations.csv": (compared_runs, {"metric", "n", "trainings", "at_chance", "needs_group"}),
    "history.csv": (lambda path: read_histories([("resnet", "mfd", path)]), {"epoch"}),
    "paper_values.csv": (read_paper_values, {"role", "metric", "value"}),
}
TEXTS = {
    *("study", "dataset", "architecture", "method", "base_architecture", "base_method", "code", "test_images"),
    *("group", "class", "part", "minus", "source", "note"),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    make_study(folder, datasets=("utkface",), architectures=("resnet",), methods=("mfd", "strong"), seeds=(0, 1))
    names = {"dataset": ["utkface"], "architecture": ["resnet"], "method": ["teacher", "mfd", "strong"]}
    grids = [names | {"seed": [0, 1]}]
    models = read_models(pattern(folder), grids)
    accuracies = {"train_accuracy": [0.5, 0.6], "test_accuracy": [np.nan, 0.5]}
    frames = {
        "runs.csv": models.runs,
        "validation.csv": models.runs.assign(mean_cell_accuracy=0.5, smallest_cell=40),
        "summary.csv": summarise(models.runs, models.trainings),
        "paired.csv": pair_with_bases(models.runs, models.trainings),
        "cells.csv": cells_table(models),
        "ablations.csv": ablations(models, order=in_order(grids, models.runs), sweeps={}),
        "history.csv": pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], **accuracies}),
    }
    header = "source,dataset,architecture,role,metric,value,note\n"
    return {name: csv_text(frame) for name, frame in frames.items()} | {"paper_values.csv": header + PAPER}


def write(path, lines):
    path.write_text("".join(f"{','.join(line)}\n" for line in lines))


@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_field_of_a_table_is_named(name, tables, tmp_path):
    read, exact = TABLES[name]
    path = tmp_path / name
    header, first, *others = tables[name].splitlines()
    for place, column in enumerate(header.split(",")):
        lines = [line.split(",") for line in (header, first, *others)]
        write(path, [line[:place] + line[place + 1 :] for line in lines])
        # a history need not have the accuracy on other splits
        assert is_named(read, path) or column == "test_accuracy", f"{column} dropped"
        for damage in ("nonsense", "-7", "") if column in exact else ("nonsense",):
            lines[1][place] = damage
            write(path, lines)
            known = column in TEXTS or (name in ("paired.csv", "ablations.csv") and column in ("seeds", "values"))
            assert is_named(read, path) or known, f"{column} is {damage!r}"


@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_table_is_named(name, tables, tmp_path):
    read, _ = TABLES[name]
    path, text = tmp_path / name, tables[name].encode()
    cut = text[: text.rindex(b",")]
    for damage in (b"", b"\n\n", cut, b"\xff\xfe" + text, text + b"\xff", b"\0" * 50, b'a,"b\n1,2', text + b"1,2\n"):
        path.write_bytes(damage)
        assert is_named(read, path), damage[-40:]
    path.unlink()
    path.mkdir()
    assert is_named(read, path)
