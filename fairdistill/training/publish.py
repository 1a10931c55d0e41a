"""One training from its inputs to its outputs: read, train or go on, publish whole files."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from fairdistill.data import ImageDataset, load_dataset
from fairdistill.data.facts import facts_of
from fairdistill.data.reading import view_digest
from fairdistill.methods.base import method_class
from fairdistill.networks import Classifier, load_network, save_network
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import parse_json, replacing_together, sha256, write_text
from fairdistill.runtime.locks import WriterLock
from fairdistill.runtime.progress import count_training, log
from fairdistill.runtime.provenance import commit, hardware, packages, peak_gpu_memory_mb, peak_memory_mb, versions
from fairdistill.runtime.study_files import HISTORY, PREDICTIONS, TRAINING_RECORD, WEIGHTS
from fairdistill.settings.networks import Network
from fairdistill.settings.training_record import read_training
from fairdistill.training.computing import Computing, choose_computing
from fairdistill.training.engines import ways
from fairdistill.training.loop import SPLITS, TrainedModel, train
from fairdistill.training.resume import ResumeState
from fairdistill.training.spec import Job

OUTPUTS = (WEIGHTS, PREDICTIONS, HISTORY)


def train_and_publish(job: Job, *, lock: WriterLock) -> None:
    """Train what a job says; write weights, predictions, history and record.

    An interrupted training left its state beside the folder of its outputs, and goes on from there. A training whose
    outputs are there, whole and of just this configuration, is not repeated: a process that outlived Snakemake, or
    that held `lock` before, has finished it.
    """
    dataset = load_dataset(job.data, job.fold)
    computing = choose_computing(job.training, job.network)
    _require_fit(job, dataset)
    inputs, names = _inputs(job, dataset), _names(job)
    computing, resume = _begun(job, _identity(job, dataset, inputs, names), computing, check=lock.check)
    made_of = {key: dataset.info[key] for key in ("kind", "settings", "source")}
    # by hand, without --code, nobody knows whether the code is the same
    if job.code and (record := _done(job.output, resume.identity)):
        log(f"{job.output} holds this very training already; delete it to train anew")
        if record["data"] != made_of:
            # other settings may make the same images and splits
            write_text(job.output / TRAINING_RECORD, _as_text(record | {"data": made_of}))
        # newer than the inputs, as Snakemake expects
        for name in (*OUTPUTS, TRAINING_RECORD):
            (job.output / name).touch()
        _finish(job, resume)
        return
    # recorded now: the checkout may change while we train
    provenance = {"commit": commit(), "packages": packages()}
    fold = f", fold {job.fold}" * (len(dataset.info["folds"]) > 1)
    where = f"{names['architecture']} on {names['dataset']}"
    log(f"{names['role']} {where}, method {job.method.kind}, seed {job.seed}{fold}")
    log(f"on {computing.describe(job.training.threads)}")

    trained = train(
        dataset,
        job.network,
        job.method,
        job.training,
        role=names["role"],
        seed=job.seed,
        fold=job.fold,
        # held by nothing here, so that `train` can let go of it
        base=_load_base(job.base, job.base_network, inputs["base"], dataset) if job.base else None,
        start=functools.partial(_start_from, job, dataset, inputs["checkpoint"]) if job.checkpoint else None,
        computing=computing,
        resume=resume,
    )

    lock.check()
    # the record is removed first and written last: where it is, the other outputs are, and of the same training
    with replacing_together(job.output, OUTPUTS, TRAINING_RECORD) as partial:
        weights = partial[WEIGHTS]
        facts = facts_of(dataset, job.method)
        save_network(weights, trained.network, job.network, method=trained.method.prediction_state(), facts=facts)
        _predictions(dataset, trained).to_parquet(partial[PREDICTIONS], index=False)
        trained.history.to_csv(partial[HISTORY], index=False)
        on_gpu = peak_gpu_memory_mb()
        record = {
            **resume.identity,
            "data": made_of,
            "weighting": dataset.info["weighting"],
            "training_images": _count_cells(dataset),
            "kept_epoch": trained.kept_epoch,
            "needs_group": trained.method.needs_group,
            "randomised": trained.method.randomised,
            "outputs": {name: sha256(partial[name]) for name in OUTPUTS},
            # see `TrainedModel`
            "seconds": round(trained.seconds, 2),
            "cpu_seconds": round(trained.cpu_seconds, 2),
            "peak_memory_mb": round(peak_memory_mb()),
            "peak_gpu_memory_mb": on_gpu and round(on_gpu),
            "hardware": hardware(),
            "processor": ways.processor(),
            "convolutions": computing.engine.convolutions(computing.device, computing.precision),
            **provenance,
        }
        partial[TRAINING_RECORD].write_text(_as_text(record), encoding="utf-8")
        lock.check()
    _finish(job, resume)


def _require_fit(job: Job, dataset: ImageDataset) -> None:
    """Raise a UserError where data are of another seed, the network does not take them, or there are too few epochs."""
    if dataset.info["for_seed"] not in (None, job.seed):
        raise UserError(
            f"{job.data}: is drawn for seed {dataset.info['for_seed']}, not for {job.seed}; prepare one for this seed"
        )
    size = dataset.info["crop"] or dataset.info["image_size"]
    try:
        job.network.check_image_size(job.method.network_gets(size))
    except UserError as error:
        raise UserError(
            f"network {job.network.kind} {error}; choose another network, or prepare other images"
        ) from None
    try:
        job.method.check_epochs(job.training.epochs)
    except UserError as error:
        raise UserError(f"method {job.method.kind} {error}") from None


def _inputs(job: Job, dataset: ImageDataset) -> dict[str, str]:
    """The digests of what a training reads; a UserError says that a file lacks, or is not the one of its record."""
    inputs = {"dataset": dataset.info["sha256"], "normalisation_and_crop": view_digest(dataset)}
    if job.base:
        if job.base_record:
            read_training(job.base_record, job.base)
        inputs["base"] = sha256(job.base)
    if job.checkpoint:
        inputs["checkpoint"] = sha256(job.checkpoint)
    elif job.method.needs_checkpoint:
        raise UserError(
            f"method {job.method.kind} reads its model from a file, and none was given; name it with --checkpoint"
        )
    return inputs


def _names(job: Job) -> dict:
    """The names that the model is filed under; by hand they may be left out."""
    names = job.names.to_json()
    defaults = {
        "dataset": job.data.name,
        "architecture": job.network.kind,
        "method": job.method.kind,
        "role": "student" if job.base else "teacher",
    }
    return names | {key: value for key, value in defaults.items() if names[key] is None}


def _identity(job: Job, dataset: ImageDataset, inputs: Mapping[str, str], names: Mapping) -> dict:
    """All that decides the result, but for what it is computed on."""
    return {
        "run": {**names, "seed": job.seed, "fold": job.fold},
        "parameters": {
            "network": job.network.to_json(),
            "method": job.method.parameters(),
            "training": job.training.to_json(),
        },
        "code": job.code,
        "inputs": inputs,
        # no part of the data set's digest, but of the checkpoint and of all that is made from the record
        "classes": dataset.classes,
        "groups": dataset.groups,
        "versions": versions(),
    }


def _begun(
    job: Job, identity: Mapping, computing: Computing, *, check: Callable[[], None]
) -> tuple[Computing, ResumeState]:
    """On what a training is computed, and its state: on a machine that would take another precision, as it began."""

    def state(on: Computing) -> ResumeState:
        whole = {**identity, "device": on.device.type, "precision": on.precision}
        return ResumeState(job.output.with_name(f"{job.output.name}.resume"), whole, check=check)

    other = computing._replace(precision="fp32" if computing.precision == "bf16" else "bf16")
    if job.training.precision == "auto" and state(other).is_begun():
        log(
            f"going on in {other.precision}, in which the training began; this machine would take {computing.precision}"
        )
        return other, state(other)
    return computing, state(computing)


def _finish(job: Job, resume: ResumeState) -> None:
    resume.discard()
    count_training(str(job.output))


def _as_text(record: Mapping) -> str:
    return json.dumps(record, indent=2) + "\n"


def _done(folder: Path, identity: Mapping) -> dict | None:
    """The record in `folder`, where its outputs are whole and of the training that `identity` describes."""
    try:
        record = parse_json((folder / TRAINING_RECORD).read_bytes())
        whole = record["outputs"] == {name: sha256(folder / name) for name in OUTPUTS}
        return record if whole and identity.items() <= record.items() and record["data"] else None
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        # nothing is there, or what is there is damaged
        return None


def _start_from(job: Job, dataset: ImageDataset, digest: str, network: Classifier) -> None:
    """Load a job's checkpoint into a network, and raise an error where it is not the one that is recorded any more."""
    assert job.checkpoint is not None
    start = method_class(job.method).start_from
    start(job.method, job.checkpoint, network, network_settings=job.network, dataset=dataset)
    _require_unchanged(job.checkpoint, digest)


def _require_unchanged(path: Path, digest: str) -> None:
    if sha256(path) != digest:
        raise UserError(f"{path}: was changed while it was read; run the same command again")


def _load_base(path: Path, network: Network | None, digest: str, dataset: ImageDataset) -> Classifier:
    """The network in a file, whose SHA-256 was recorded before."""
    base = load_network(path, settings=network)
    _require_unchanged(path, digest)
    if base.head.out_features != len(dataset.classes):
        raise UserError(
            f"{path}: the base has {base.head.out_features} outputs, the data set has {len(dataset.classes)} classes; "
            "give a base that was trained on this data set, and that has one output for each class"
        )
    return base


def _count_cells(dataset: ImageDataset) -> dict[str, dict[str, int]]:
    """The number of training images of each group and class."""
    _, label, group = dataset.split("train")
    counts = np.zeros((len(dataset.groups), len(dataset.classes)), dtype=int)
    np.add.at(counts, (group, label), 1)
    return {
        name: dict(zip(dataset.classes, row, strict=True))
        for name, row in zip(dataset.groups, counts.tolist(), strict=True)
    }


def _predictions(dataset: ImageDataset, trained: TrainedModel) -> pd.DataFrame:
    """The samples of the validation and the test split, each with the probabilities of the classes.

    Where labels were drawn from these, the column `prediction` has them.
    """
    columns = [f"p{c}" for c in range(len(dataset.classes))]
    parts = []
    for split in SPLITS:
        samples = dataset.samples[dataset.samples["split"] == split]
        probabilities = pd.DataFrame(trained.probabilities[split], columns=columns, index=samples.index)
        part = samples[["sample_id", "image_id", "split", "label", "group"]].join(probabilities)
        if trained.drawn:
            part["prediction"] = trained.drawn[split].astype("int16")
        parts.append(part)
    return pd.concat(parts)
