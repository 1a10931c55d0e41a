"""Made-up results of a small study, for the tests of everything that comes after the predictions."""

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from fairdistill.evaluation.metrics import evaluate
from fairdistill.export.files import INT8, MODEL
from fairdistill.runtime.files import sha256

METHODS = {
    "teacher": {"kind": "erm", "sampling": "plain"},
    "balanced": {"kind": "erm", "sampling": "balanced"},
    "mfd": {"kind": "mfd", "lambda": 3.0, "sampling": "balanced"},
    "mfd_plain": {"kind": "mfd", "lambda": 3.0, "sampling": "plain"},
    "strong": {"kind": "mfd", "lambda": 9.0, "sampling": "balanced"},
}
KINDS = {"resnet": "resnet18", "shufflenet": "shufflenet_v2_x1_0"}
CLASSES, GROUPS = ["young", "middle", "old"], ["White", "Black"]


def make_predictions(
    *, seed: int = 0, n: int = 240, accuracy: float = 0.7, bias: float = 0.2, split: str = "test"
) -> pd.DataFrame:
    """Return predictions that are right with probability `accuracy` +- `bias` / 2 in the two groups."""
    rng = np.random.default_rng(seed)
    sample = np.arange(n)
    label, group = sample % len(CLASSES), sample // len(CLASSES) % len(GROUPS)
    right = rng.random(n) < accuracy + bias * (0.5 - group)
    prediction = np.where(right, label, (label + rng.integers(1, len(CLASSES), n)) % len(CLASSES))
    probability = 0.1 + 0.7 * (prediction[:, None] == np.arange(len(CLASSES)))
    return pd.DataFrame(
        {
            "sample_id": sample.astype("int32"),
            "image_id": [f"{i}.jpg" for i in sample],
            "split": split,
            "label": label.astype("int16"),
            "group": group.astype("int16"),
            **{f"p{y}": probability[:, y].astype("float32") for y in range(len(CLASSES))},
        }
    )


def make_training(
    *, study="paper", dataset="utkface", architecture="resnet", method="teacher", seed=0, base=None
) -> dict:
    """Return what a training writes about itself, as far as the evaluation cares.

    A name such as `utkface_leaky` is of a variant of the data set, `resnet_cifar` is ResNet with that stem. Methods of
    the kind `mfd` stand on the teacher, others on none, unless `base`, (architecture, method), says otherwise.
    """
    settings = dict(METHODS.get(method, {"kind": method, "sampling": "plain"}))
    if base is None and settings["kind"] == "mfd":
        base = architecture, "teacher"
    stem = "cifar" if architecture.endswith("_cifar") else "imagenet"
    network = architecture.removesuffix("_cifar")
    role = "teacher" if method == "teacher" else "student"
    return {
        "run": {
            "study": study,
            "dataset": dataset,
            "architecture": architecture,
            "method": method,
            "role": role,
            "seed": seed,
            "base": base and dict(zip(("architecture", "method"), base, strict=True)),
        },
        "parameters": {
            "network": {"kind": KINDS.get(network, network), "stem": stem},
            "method": settings,
            "training": {"epochs": 20},
        },
        "code": "0123456789ab",
        "versions": {"python": "3.11"},
        "hardware": {"cpu": "a processor", "cores": 2, "gpu": None},
        "inputs": {"dataset": hashlib.sha256(dataset.encode()).hexdigest()},
        # the files of two seeds differ
        "outputs": dict.fromkeys(["history.csv", "predictions.parquet", "weights.safetensors"], f"{seed:064x}"),
        "evaluation_versions": {"numpy": "2.4"},
        "seconds": 12.5,
        "peak_memory_mb": 900.0,
        "classes": CLASSES,
        "groups": GROUPS,
        "data": {"kind": dataset.split("_")[0], "settings": {"variant": dataset.partition("_")[2]}},
    }


def make_record(*, accuracy: float = 0.7, bias: float = 0.2, **run) -> dict:
    """Return the metrics file's content for one model."""
    return make_training(**run) | {"metrics": json.loads(_metrics(run.get("seed", 0), accuracy, bias))}


def make_few_scores() -> dict:
    """Return scores on a split with few criteria."""
    scores = make_record()["metrics"]
    names = ("bins", "brier", "ece", "ece_per_group")
    return scores | {"criteria": {name: scores["criteria"][name] for name in names}}


def make_export(folder: Path) -> dict:
    """Write what stands for the files of an exported model; return the content of its export.json."""
    files = {}
    for name in (MODEL, INT8, "model.safetensors"):
        (folder / name).write_bytes(b"model")
        files[name] = {"bytes": 5, "sha256": sha256(folder / name)}
    changes = {metric: {"difference": 0.0, "low": 0.0, "high": 0.0} for metric in ("accuracy", "deo_a", "deo_m")}
    record = make_training()
    return {name: record[name] for name in ("run", "outputs", "classes", "groups")} | {
        "needs_group": False,
        "image_size": 32,
        "opset": 18,
        "agreement": {"images": 240},
        "calibration_images": 5,
        "parameters": 5,
        "flops": 5,
        "files": files,
        "metrics": {MODEL: make_few_scores(), INT8: make_few_scores()},
        "int8": {"difference": changes, "worse": [], "cautions": []},
    }


@cache
def _metrics(seed: int, accuracy: float, bias: float) -> str:
    """The metrics of made-up predictions as JSON, which many models of a study share."""
    predictions = make_predictions(seed=seed, accuracy=accuracy, bias=bias)
    return json.dumps(evaluate(predictions, classes=CLASSES, groups=GROUPS, resamples=50))


def make_constant(record: dict) -> dict:
    """Return the record of a model that names the first class for every image: it is at chance, its DEO 0."""
    predictions = make_predictions(seed=0).assign(p0=0.8, p1=0.1, p2=0.1)
    return record | {"metrics": evaluate(predictions, classes=CLASSES, groups=GROUPS, resamples=50)}


def pattern(folder: Path) -> str:
    """The path of the metrics files of a study below `folder`, as the scripts take it."""
    return f"{folder}/{{dataset}}/{{architecture}}/{{method}}/seed{{seed}}{{fold}}.json"


def make_study(
    folder: Path,
    *,
    study="paper",
    datasets=("cifar10s", "utkface"),
    architectures=("resnet", "shufflenet"),
    methods=("mfd",),
    seeds=(0,),
    bases=None,
) -> list[Path]:
    """Write the metrics file of each model of a grid below `folder`; students are fairer than teachers.

    `bases` gives the (architecture, method) that the methods stand on that it names.
    """
    paths = []
    for dataset in datasets:
        for architecture in architectures:
            for method in ("teacher", *methods):
                for seed in seeds:
                    record = make_record(
                        study=study,
                        dataset=dataset,
                        architecture=architecture,
                        method=method,
                        seed=seed,
                        base=(bases or {}).get(method),
                        accuracy=0.75 - 0.1 * (architecture == "shufflenet"),
                        bias=0.4 if method == "teacher" else 0.1,
                    )
                    path = Path(pattern(folder).format(**record["run"] | {"fold": ""}))
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(json.dumps(record))
                    paths.append(path)
    return paths
