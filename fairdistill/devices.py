"""Which GPU a training gets. Every process takes a slot of one; a slot is free again when its process ends, however."""

import errno
import os
import shutil
import socket
import subprocess
import time
from itertools import takewhile

from fairdistill.progress import log

PAUSE = 1.0  # seconds between two looks for a free slot


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none without NVIDIA's driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    listing = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, text=True, check=False).stdout
    present = [line for line in listing.splitlines() if line.startswith("GPU ")]
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None or not present:
        return [str(index) for index in range(len(present))]
    # as CUDA reads it, the first invalid name ends the list
    return list(takewhile(lambda gpu: gpu and gpu != "-1", (gpu.strip() for gpu in allowed.split(","))))


def take_gpu(slots: int) -> None:
    """Take one of the `slots` of a visible GPU, for as long as this process lives, and hide the other GPUs from it.

    Waits while no slot is free. GPUs without any training go first. Call it before torch is imported. It does nothing
    where there is no GPU, and leaves CUDA_VISIBLE_DEVICES as it is where that names but one, as in a job of SLURM.
    """
    gpus = visible_gpus()
    waiting = False
    while gpus and not any(_take(gpu, slot) for slot in range(slots) for gpu in gpus):
        if not waiting:
            log("waiting for a free GPU: other trainings have taken those there are")
        waiting = True
        time.sleep(PAUSE)


_taken: list[socket.socket] = []


def _take(gpu: str, slot: int) -> bool:
    # Linux keeps such a name for one process at a time, whoever's it is, without a file that could stay behind. In a
    # job of SLURM, GPUs are numbered among the job's own.
    name = f"\0fairdistill/{os.environ.get('SLURM_JOB_ID', 'machine')}/gpu{gpu}/slot{slot}"
    place = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        place.bind(name)
    except OSError as error:
        place.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    _taken.append(place)
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    return True
