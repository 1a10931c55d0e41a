"""One training as a job: the right to write the model, and a GPU."""

import os

from fairdistill.runtime.devices import take_gpu
from fairdistill.runtime.locks import WriterLock
from fairdistill.training.spec import Job


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
