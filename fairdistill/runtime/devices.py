"""Which GPU a training gets. Every process takes a slot of one; a slot is free again when its process ends, however."""

import errno
import os
import re
import shutil
import socket
import subprocess
import time
from itertools import takewhile

from fairdistill.runtime.progress import log

PAUSE = 1.0  # seconds between two looks for a free slot


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, by their UUIDs; none without NVIDIA's driver.

    What CUDA_VISIBLE_DEVICES names and the driver does not list, such as a part of a GPU, keeps its name.
    """
    if shutil.which("nvidia-smi") is None:
        return []
    listing = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, text=True, check=False).stdout
    present = re.findall(r"^GPU \d+:.*\(UUID: ([^)]+)\)", listing, flags=re.MULTILINE)
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None or not present:
        return present
    names = (name.strip() for name in allowed.split(","))
    # as CUDA reads it, the first invalid name ends the list
    return [_uuid(name, present) for name in takewhile(lambda name: _is_valid(name, present), names)]


def _is_valid(name: str, present: list[str]) -> bool:
    return (name.isdecimal() and int(name) < len(present)) or name.startswith(("GPU-", "MIG-"))


def _uuid(name: str, present: list[str]) -> str:
    if name.isdecimal():
        return present[int(name)]
    return next((gpu for gpu in present if gpu.startswith(name)), name)


def take_gpu(slots: int) -> None:
    """Take one of the `slots` of a visible GPU, for as long as this process lives, and hide the other GPUs from it.

    Waits while no slot is free. GPUs without any training go first. Call it before torch is imported. It does nothing
    where there is no GPU.
    """
    # CUDA numbers GPUs by speed unless told to do it as the driver does
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    gpus = visible_gpus()
    waiting = False
    while gpus and not any(_take(gpu, slot) for slot in range(slots) for gpu in gpus):
        if not waiting:
            log("waiting for a free GPU: other trainings have taken those there are")
        waiting = True
        time.sleep(PAUSE)


_taken: list[socket.socket] = []


def _take(gpu: str, slot: int) -> bool:
    # Linux keeps such a name for one process at a time, whoever's it is, without a file that could stay behind. What
    # SLURM gave a job is the job's.
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
