"""One training as a job: what it is told, the right to write the model, and a GPU."""

import os
from dataclasses import dataclass
from pathlib import Path

from fairdistill.runtime.devices import take_gpu
from fairdistill.runtime.locks import WriterLock
from fairdistill.settings.methods import Method
from fairdistill.settings.names import Names
from fairdistill.settings.networks import Network
from fairdistill.settings.training import Training


@dataclass(frozen=True)
class Job:
    """What one training is told.

    Attributes
    ----------
    data
        Folder of a prepared data set.
    output
        Folder for the model and its predictions.
    base
        weights.safetensors of the model that the method stands on; None where it stands on none.
    base_network
        What the base must be; None leaves it unchecked.
    names
        The names that the model is filed under.
    code
        Version of the code, to record and to guard the state of an interrupted training with; empty if unknown.
    """

    data: Path
    output: Path
    network: Network
    method: Method
    training: Training
    seed: int
    names: Names
    base: Path | None = None
    base_network: Network | None = None
    code: str = ""


def run_training(job: Job) -> None:
    """Train a model and write its files, on a GPU of its own where there are GPUs.

    The environment variable FAIRDISTILL_GPU_SLOTS allows more than one training on a GPU.
    """
    with WriterLock(job.output.with_name(f"{job.output.name}.lock")) as lock:
        if job.training.device != "cpu":
            take_gpu(int(os.environ.get("FAIRDISTILL_GPU_SLOTS", "1")))
        # loads torch, which must not see the GPUs of others
        from fairdistill.training.publish import train_and_publish

        train_and_publish(job, lock=lock)
