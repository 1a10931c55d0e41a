"""One training from its inputs to its outputs: read, train or go on, publish whole files."""

import argparse
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from fairdistill.data import load_dataset
from fairdistill.networks import load_model, save_model
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import replacing, sha256, write_text
from fairdistill.runtime.locks import WriterLock
from fairdistill.runtime.progress import count_training, log
from fairdistill.runtime.provenance import commit, hardware, packages, peak_memory_mb, versions
from fairdistill.training.loop import TrainedModel, TrainingSettings, choose_computing, train
from fairdistill.training.resume import ResumeState

OUTPUTS = ("weights.safetensors", "predictions.parquet", "history.csv")
# removed first and written last: where it is, the other outputs are, and of the same training
RECORD = "training.json"


def train_and_publish(args: argparse.Namespace, *, role: str, lock: WriterLock) -> None:
    """Train what `args` (of `job.parser`) describe; write weights, predictions, history and record.

    An interrupted training left its state beside the folder of its outputs, and goes on from there. A training whose
    outputs are there, whole and of just this configuration, is not repeated: a process that outlived Snakemake, or
    that held `lock` before, has finished it.
    """
    dataset = load_dataset(args.data)
    settings = TrainingSettings.from_mapping(args.training)
    computing = choose_computing(settings, args.architecture)
    inputs = {"dataset": dataset.info["sha256"]}
    teacher = None
    if teacher_path := getattr(args, "teacher", None):
        teacher = load_model(teacher_path, architecture=args.teacher_architecture)
        inputs["teacher"] = sha256(teacher_path)
        if teacher.head.out_features != len(dataset.classes):
            raise UserError(
                f"{teacher_path}: the teacher knows {teacher.head.out_features} classes, "
                f"the data set has {len(dataset.classes)}; give a teacher trained on this data set"
            )
    names = {
        "study": None,
        "dataset": args.data.name,
        "architecture": args.architecture["kind"],
        "method": args.method["kind"],
        **args.run,
    }
    identity = {
        "run": {**names, "role": role, "seed": args.seed},
        "parameters": {"architecture": args.architecture, "method": args.method, "training": asdict(settings)},
        "code": args.code,
        "inputs": inputs,
        "versions": versions(),
        "device": computing.device.type,
        "precision": computing.precision,
    }
    resume = ResumeState(args.output.with_name(f"{args.output.name}.resume"), _digest(identity), check=lock.check)
    # by hand, without --code, nobody knows whether the code is the same
    if args.code and _is_done(args.output, identity):
        log(f"{args.output} holds this very training already; delete it to train anew")
        # newer than the inputs, as Snakemake expects
        for name in (*OUTPUTS, RECORD):
            (args.output / name).touch()
        _finish(args, resume)
        return
    # as they are now: an edit during a long training is not what trained
    provenance = {"commit": commit(), "packages": packages()}
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

    lock.check()
    (args.output / RECORD).unlink(missing_ok=True)
    save_model(args.output / "weights.safetensors", trained.model, args.architecture)
    test = dataset.samples[dataset.samples["split"] == "test"]
    with replacing(args.output / "predictions.parquet") as partial:
        _predictions(test, trained).to_parquet(partial, index=False)
    with replacing(args.output / "history.csv") as partial:
        trained.history.to_csv(partial, index=False)
    record = {
        **identity,
        "data": {key: dataset.info[key] for key in ("kind", "settings", "source")},
        "classes": dataset.classes,
        "groups": dataset.groups,
        "outputs": {name: sha256(args.output / name) for name in OUTPUTS},
        # of all epochs, those before an interruption included
        "seconds": round(float(trained.history["seconds"].sum()), 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "hardware": hardware(),
        **provenance,
    }
    lock.check()
    write_text(args.output / RECORD, json.dumps(record, indent=2) + "\n")
    _finish(args, resume)


def _finish(args: argparse.Namespace, resume: ResumeState) -> None:
    resume.discard()
    count_training(str(args.output))


def _is_done(folder: Path, identity: Mapping) -> bool:
    """Whether the outputs in `folder` are whole and of the training that `identity` describes."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        return identity.items() <= record.items() and record["outputs"] == {
            name: sha256(folder / name) for name in OUTPUTS
        }
    except (FileNotFoundError, ValueError, KeyError):
        return False


def _predictions(test: pd.DataFrame, trained: TrainedModel) -> pd.DataFrame:
    columns = [f"p{c}" for c in range(trained.probabilities.shape[1])]
    probabilities = pd.DataFrame(trained.probabilities, columns=columns, index=test.index)
    return test[["sample_id", "image_id", "label", "group"]].join(probabilities)


def _digest(value: Mapping) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
