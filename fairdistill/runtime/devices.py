"""Sharing out the GPUs of a machine: each training takes a slot of one, which is free again when its process ends."""

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
    # CUDA ignores the first invalid name and all after it
    return [_uuid(name, present) for name in takewhile(lambda name: _is_valid(name, present), names)]


def _is_valid(name: str, present: list[str]) -> bool:
    return (name.isdecimal() and int(name) < len(present)) or name.startswith(("GPU-", "MIG-"))


def _uuid(name: str, present: list[str]) -> str:
    if name.isdecimal():
        return present[int(name)]
    return next((gpu for gpu in present if gpu.startswith(name)), name)


def take_gpu(slots: int) -> None:
    """Take a slot of a visible GPU for as long as this process lives, and hide the other GPUs from it.

    Each GPU has `slots` of them; GPUs on which nothing is trained go first. Waits while no slot is free. Where there is
    no GPU it does nothing. Call it before torch is imported: torch must not see the other GPUs.
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
    # An abstract socket: Linux lets one process at a time, of any user, bind its name, and no file stays behind. The
    # name has SLURM's job in it, because GPUs that SLURM gave to two jobs may have the same name in both.
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
