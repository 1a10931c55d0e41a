"""One model from its checkpoint to the files to take away, each checked on the test images."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from fairdistill.data import ImageDataset
from fairdistill.data.facts import facts_of
from fairdistill.evaluation.correctness import from_metrics
from fairdistill.evaluation.criteria import MEASURES
from fairdistill.evaluation.crossed import Trainings, difference
from fairdistill.evaluation.metrics import evaluate
from fairdistill.evaluation.uncertainty import ABOVE
from fairdistill.export.files import CARD, INT8, MODEL, PAGE, PREPROCESSOR, RECORD, SPEED, WEIGHTS
from fairdistill.export.int8 import choose_calibration, write_int8
from fairdistill.export.onnx_model import (
    OPSET,
    Predictor,
    count_flops,
    count_parameters,
    restore_method,
    write_onnx,
)
from fairdistill.export.pictures import crop
from fairdistill.export.preprocessor import describe
from fairdistill.export.sessions import ExportedModel
from fairdistill.networks import load_facts, load_method, load_network, save_network
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import replacing_together, sha256
from fairdistill.runtime.parallel import threads_of_job
from fairdistill.runtime.progress import Progress, log
from fairdistill.runtime.provenance import commit, hardware, versions
from fairdistill.settings.checkpoints import ModelFacts
from fairdistill.settings.methods import Method
from fairdistill.settings.networks import Network

# what int8 changes is said where its p-value is below
SIGNIFICANT = 0.05
# The largest difference of a probability that is rounding: a training's own predictions may be a GPU's. On one machine
# differences are below 0.00001.
TOLERANCE = 1e-3
# images at a time: as many as stay in a processor's caches
BATCH = 125


def export_model(
    output: Path,
    *,
    weights: Path,
    training: Mapping,
    network: Network,
    method: Method,
    predictions: pd.DataFrame,
    dataset: ImageDataset,
    calibration_images: int,
    code: str | None,
) -> None:
    """Write a model as model.onnx, model.int8.onnx, model.safetensors, preprocessor.json and export.json.

    export.json, which is written last, holds what was measured: how far the ONNX file's predictions are from those of
    the training, and accuracy and DEO of both ONNX files on the test split.

    Parameters
    ----------
    output
        The folder.
    weights
        weights.safetensors of the model; one from before checkpoints said what images they take will do.
    training
        The content of its training.json.
    network, method
        The settings in it.
    predictions
        Those of the test split in its predictions.parquet, in the order of the data set.
    dataset
        The prepared data set that it was trained on.
    calibration_images
        How many training images the ranges of the int8 model are found with.
    code
        Version of this code, to record.

    Raises
    ------
    UserError
        The ONNX file predicts otherwise than the training did.
    """
    facts, state = load_facts(weights) or facts_of(dataset, method), load_method(weights)
    body = load_network(weights, settings=network)
    restored = restore_method(facts, body, state)
    predictor = Predictor(body, restored, facts)
    name = " ".join([training["run"][key] for key in ("dataset", "architecture", "method")])
    preprocessor = describe(facts, name=f"{name} seed {training['run']['seed']}", needs_group=restored.needs_group)
    files = (MODEL, INT8, WEIGHTS, PREPROCESSOR)
    # a card of another model never lies beside this one
    with replacing_together(output, files, RECORD, outdated=(SPEED, CARD, PAGE)) as partial:
        partial[PREPROCESSOR].write_text(preprocessor.to_text(), encoding="utf-8")
        save_network(partial[WEIGHTS], body, network, method=state, facts=facts)
        log(f"writing {MODEL}")
        write_onnx(partial[MODEL], predictor, preprocessor)

        rows, label, group = dataset.split("train")
        chosen = choose_calibration(label, group, calibration_images)
        log(f"writing {INT8}, with ranges from {len(chosen)} training images")
        seen = seen_images(dataset, rows[chosen], facts)
        write_int8(partial[INT8], partial[MODEL], preprocessor, seen, group[chosen])

        found = {file: predict_test(partial[file], dataset, facts, name=file) for file in (MODEL, INT8)}
        log("comparing accuracy and DEO of both on the test images")
        columns = [f"p{number}" for number in range(len(facts.classes))]
        agreement = compare(found[MODEL], predictions[columns].to_numpy(), where=str(output / MODEL))
        metrics = {
            file: evaluate(
                # of a method whose labels are not drawn: the most probable class
                predictions.drop(columns="prediction", errors="ignore").assign(**dict(zip(columns, p.T, strict=True))),
                classes=facts.classes,
                groups=facts.groups,
                weighting=dataset.info["weighting"],
            )
            for file, p in found.items()
        }
        record = {
            **{key: training[key] for key in ("run", "outputs", "classes", "groups")},
            "needs_group": restored.needs_group,
            "image_size": facts.network_sees,
            "opset": OPSET,
            "agreement": agreement,
            "calibration_images": len(chosen),
            "parameters": count_parameters(predictor),
            "flops": count_flops(predictor, preprocessor),
            "files": {file: {"bytes": partial[file].stat().st_size, "sha256": sha256(partial[file])} for file in files},
            "metrics": metrics,
            "int8": what_int8_changes(metrics, classes=facts.classes, groups=facts.groups),
            "code": code,
            "commit": commit(),
            "versions": versions() | {name: version(name) for name in ("onnx", "onnxruntime")},
            "hardware": hardware(),
        }
        if said := [*record["int8"]["worse"], *record["int8"]["cautions"]]:
            log(f"{output / INT8}: {'; '.join(said)}")
        partial[RECORD].write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def seen_images(dataset: ImageDataset, rows: NDArray[np.int64], facts: ModelFacts) -> NDArray[np.uint8]:
    """Return images (n, size, size, 3) of a data set, as a network sees them in evaluation."""
    return np.stack([crop(dataset.images[row], facts) for row in rows])


def predict_test(path: Path, dataset: ImageDataset, facts: ModelFacts, *, name: str) -> NDArray[np.float32]:
    """Return the probabilities (n, classes) that an ONNX file, to be called `name`, gives the test images in turn."""
    model = ExportedModel(path, threads=threads_of_job())
    rows, _, group = dataset.split("test")
    log(f"testing {name} on {len(rows)} images")
    progress = Progress(f"testing {name}", len(rows))
    found = []
    for start in range(0, len(rows), BATCH):
        part = slice(start, start + BATCH)
        found.append(model.predict(seen_images(dataset, rows[part], facts), group[part]))
        progress.step(min(start + BATCH, len(rows)))
    return np.concatenate(found)


def compare(found: NDArray, expected: NDArray, *, where: str) -> dict[str, float]:
    """Compare probabilities (n, classes) of the same images, of an ONNX file and of the training.

    Returns
    -------
    dict
        Ready for JSON: the number of images, the tolerance, the largest difference of a probability, and how many
        images have another most probable class; of these, the two largest probabilities are closer than the tolerance.

    Raises
    ------
    UserError
        A difference is larger than `TOLERANCE`, or a class is another one where the two largest probabilities are
        further apart.
    """
    largest = float(np.abs(found - expected).max())
    second, first = np.sort(expected, axis=1)[:, -2:].T if expected.shape[1] > 1 else (0 * expected[:, 0], 1)
    other = found.argmax(axis=1) != expected.argmax(axis=1)
    if not largest <= TOLERANCE or (other & (first - second > TOLERANCE)).any():
        raise UserError(
            f"{where}: onnxruntime's probabilities differ from the training's by up to {largest:g}, and {TOLERANCE:g} "
            "would be rounding; train the model again with this version of the code, or report an error"
        )
    return {
        "images": len(found),
        "tolerance": TOLERANCE,
        "largest_difference": largest,
        "other_classes": int(other.sum()),
    }


def what_int8_changes(metrics: Mapping[str, Mapping], *, classes: list[str], groups: list[str]) -> dict:
    """Return int8 minus float in accuracy, deo_a and deo_m with their 95 % intervals, and in words what follows.

    `worse` names what got worse beyond chance: a DEO by its interval, and the accuracy where McNemar's exact test of
    the images on which only one of the two is right finds so as well, since intervals are too short where these are
    few. `cautions` names a DEO that is above the fair baseline with int8 alone, though it may have risen by chance.

    Parameters
    ----------
    metrics
        What `evaluate` returns of both, by the name of the file.
    """
    names = {"classes": classes, "groups": groups}
    answers = [from_metrics(metrics[file], **names) for file in (INT8, MODEL)]
    of_both = [
        Trainings([[one]], known=metrics[file]["uncertainty"]) for file, one in zip((INT8, MODEL), answers, strict=True)
    ]
    found = {}
    for metric, estimate in difference(*of_both).items():
        ends = {"low": float(estimate.low), "high": float(estimate.high)}
        found[metric] = {"difference": metrics[INT8][metric] - metrics[MODEL][metric], **ends}
    quantised, exact = (np.concatenate([cell for row in one.right for cell in row]) for one in answers)
    gained, lost = int((quantised & ~exact).sum()), int((exact & ~quantised).sum())
    by_chance = binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    worse, cautions = [], []
    if found["accuracy"]["high"] < 0 and lost > gained and by_chance < SIGNIFICANT:
        worse.append(f"accuracy is lower by {-found['accuracy']['difference']:.3f}")
    for measure in MEASURES:
        after, before = (metrics[file]["uncertainty"][measure]["verdict"] for file in (INT8, MODEL))
        if found[measure]["low"] > 0:
            worse.append(f"{measure.upper()} is higher by {found[measure]['difference']:.3f}")
        elif after == ABOVE != before:
            cautions.append(
                f"{measure.upper()} is above the fair baseline, where that of the float model is not; the change "
                "itself is within chance"
            )
    return {"difference": found, "worse": worse, "cautions": cautions}
