"""One training as a job: read the inputs, train or go on, publish the outputs whole."""

import argparse
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from fairdistill.data import load_dataset
from fairdistill.errors import UserError
from fairdistill.files import replacing, write_text
from fairdistill.models import load_model, save_model
from fairdistill.progress import log
from fairdistill.provenance import hardware, peak_memory_mb, versions
from fairdistill.resume import ResumeState
from fairdistill.training import TrainedModel, TrainingSettings, train


def settings_argument(text: str) -> dict:
    """A mapping given on the command line: JSON, or a bare name for `{"kind": name}`."""
    if not text.startswith("{"):
        return {"kind": text}
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON ({error}): {text}") from error


def kind_argument(text: str) -> dict:
    """A mapping like `settings_argument`, of one entry at least: `kind`, a name."""
    settings = settings_argument(text)
    if not isinstance(settings.get("kind"), str):
        raise argparse.ArgumentTypeError(f'lacks "kind", the name of one: {text}')
    return settings


def parser(description: str, *, method: str) -> argparse.ArgumentParser:
    """The options that training a teacher and a student share; `method` is the default of `--method`."""
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    settings = {"type": settings_argument, "metavar": "JSON"}
    kind = {"type": kind_argument, "metavar": "JSON"}
    p.add_argument("--data", type=Path, required=True, help="folder of a prepared data set")
    p.add_argument("--output", type=Path, required=True, help="folder for the model and its predictions")
    p.add_argument("--architecture", default="resnet18", help="kind and stem", **kind)
    p.add_argument("--method", default=method, help="kind and settings of the method", **kind)
    p.add_argument("--training", default="{}", help="epochs, batch_size, device, ...", **settings)
    p.add_argument("--seed", type=int, default=0, help="decides initial weights, order and flips")
    p.add_argument("--run", default="{}", help="names to record: study, dataset, architecture, method", **settings)
    p.add_argument("--code", default="", help="version of the code, to record and to guard resume state with")
    return p


def run_training(args: argparse.Namespace, *, role: str) -> None:
    """Train what `args` (of `parser`) describe and write weights, predictions, history and record to its folder.

    An interrupted training left its state beside that folder and goes on from there.
    """
    dataset = load_dataset(args.data)
    settings = TrainingSettings.from_mapping(args.training)
    inputs = {"dataset": dataset.info["sha256"]}
    teacher = None
    if teacher_path := getattr(args, "teacher", None):
        teacher = load_model(teacher_path, architecture=args.teacher_architecture)
        inputs["teacher"] = _sha256(teacher_path)
        if teacher.head.out_features != len(dataset.classes):
            raise UserError(
                f"{teacher_path}: the teacher knows {teacher.head.out_features} classes, "
                f"the data set has {len(dataset.classes)}; give a teacher trained on this data set"
            )
    parameters = {"architecture": args.architecture, "method": args.method, "training": asdict(settings)}
    identity = {
        "parameters": parameters,
        "role": role,
        "seed": args.seed,
        "code": args.code,
        "inputs": inputs,
    }
    resume = ResumeState(args.output.with_name(f"{args.output.name}.resume"), _digest(identity))
    names = {
        "study": None,
        "dataset": args.data.name,
        "architecture": args.architecture["kind"],
        "method": args.method["kind"],
        **args.run,
    }
    log(f"{role} {names['architecture']} on {names['dataset']}, method {args.method['kind']}, seed {args.seed}")

    trained = train(
        dataset,
        args.architecture,
        args.method,
        settings,
        role=role,
        seed=args.seed,
        teacher=teacher,
        resume=resume,
    )

    args.output.mkdir(parents=True, exist_ok=True)
    save_model(args.output / "weights.safetensors", trained.model, args.architecture)
    test = dataset.samples[dataset.samples["split"] == "test"]
    with replacing(args.output / "predictions.parquet") as partial:
        _predictions(test, trained).to_parquet(partial, index=False)
    with replacing(args.output / "history.csv") as partial:
        trained.history.to_csv(partial, index=False)
    record = {
        "run": {**names, "role": role, "seed": args.seed},
        "parameters": parameters,
        "code": args.code,
        "inputs": inputs,
        "data": {key: dataset.info[key] for key in ("kind", "settings", "source")},
        "classes": dataset.classes,
        "groups": dataset.groups,
        "device": trained.device,
        "precision": trained.precision,
        # of all epochs, those before an interruption included
        "seconds": round(float(trained.history["seconds"].sum()), 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "versions": versions(),
        "hardware": hardware(),
    }
    write_text(args.output / "training.json", json.dumps(record, indent=2) + "\n")
    resume.discard()


def _predictions(test: pd.DataFrame, trained: TrainedModel) -> pd.DataFrame:
    columns = [f"p{c}" for c in range(trained.probabilities.shape[1])]
    probabilities = pd.DataFrame(trained.probabilities, columns=columns, index=test.index)
    return test[["sample_id", "image_id", "label", "group"]].join(probabilities)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(value: Mapping) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
