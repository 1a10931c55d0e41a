"""One training as a job: the right to write the model, and a GPU."""

import os

from fairdistill.runtime.devices import take_gpu, take_slot
from fairdistill.runtime.imports import uncollected
from fairdistill.runtime.locks import WriterLock
from fairdistill.runtime.progress import log
from fairdistill.training.spec import Job


def run_training(job: Job) -> None:
    """Train a model and write its files, on a GPU of its own where there are GPUs.

    The environment variable FAIRDISTILL_GPU_SLOTS allows more than one training on a GPU.
    """
    with WriterLock(job.output.with_name(f"{job.output.name}.lock")) as lock:
        slots = int(os.environ.get("FAIRDISTILL_GPU_SLOTS", "1"))
        listed = job.training.device != "cpu" and take_gpu(slots)
        with uncollected():
            # loads torch, which must not see the GPUs of others
            import torch

            from fairdistill.training.failures import explained
            from fairdistill.training.publish import train_and_publish

        with explained():
            if job.training.device != "cpu" and not listed and torch.cuda.is_available():
                # the driver lists none: the processes share them out by the numbers that torch gives them
                gpus = [f"number {index}" for index in range(torch.cuda.device_count())]
                torch.cuda.set_device(take_slot(gpus, slots))
            if job.training.device == "auto" and listed and not torch.cuda.is_available():
                # where the plan could not ask torch, as with conda or on a cluster
                log(
                    "warning: there is a GPU, but torch cannot use it: this training runs on the CPU; where others "
                    "wait for it, set training.device to cpu"
                )
            train_and_publish(job, lock=lock)
