"""Sharing out the GPUs of a machine: each training takes a slot of one, which is free again when its process ends."""

import errno
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from fairdistill.runtime.errors import printable
from fairdistill.runtime.progress import log

PAUSE = 1.0  # seconds between two looks for a free slot
PATIENCE = 30.0  # seconds for nvidia-smi, which hangs where the driver does
# where the driver itself lists the GPUs, also without nvidia-smi; in the order of CUDA_DEVICE_ORDER=PCI_BUS_ID
LISTED = Path("/proc/driver/nvidia/gpus")
ASK_TORCH = """
import importlib.util, sys
if importlib.util.find_spec("torch"):
    import torch
    sys.exit(not torch.cuda.is_available())
"""


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, by their UUIDs; none without NVIDIA's driver.

    What CUDA_VISIBLE_DEVICES names and the driver does not list, such as a part of a GPU, keeps its name.
    """
    present = _listed_by_nvidia_smi() or _listed_by_the_driver()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None or not present:
        return present
    names = (name.strip() for name in allowed.split(","))
    # CUDA ignores the first invalid name and all after it
    return [_uuid(name, present) for name in takewhile(lambda name: _is_valid(name, present), names)]


def _listed_by_nvidia_smi() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        asked = subprocess.Popen(
            ["nvidia-smi", "-L"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        log(f"warning: nvidia-smi cannot be run: {error.strerror}")
        return []
    try:
        answer, errors = asked.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        asked.kill()
        # not for long: where the driver holds it up, it does not end when it is killed
        with suppress(subprocess.TimeoutExpired):
            asked.communicate(timeout=PAUSE)
        log(f"warning: nvidia-smi did not answer within {PATIENCE:g} s")
        return []
    said = answer + errors
    gpus = re.findall(r"^GPU \d+:.*\(UUID: ([^)]+)\)", answer, flags=re.MULTILINE)
    if not gpus:
        log(f"warning: nvidia-smi lists no GPU, and says: {printable(' '.join(said.split())[:200])}")
    return gpus


def _listed_by_the_driver() -> list[str]:
    found = (
        re.search(r"^GPU UUID:\s*(\S+)", path.read_text(errors="replace"), flags=re.MULTILINE)
        for path in sorted(LISTED.glob("*/information"))
    )
    return [one[1] for one in found if one]


def torch_can_use_them() -> bool:
    """Whether the torch of the program `python`, which runs the jobs, can use a GPU; true where it has no torch.

    It cannot where it is a build for CPUs or for a newer driver.
    """
    try:
        done = subprocess.run(["python", "-c", ASK_TORCH], capture_output=True, check=False, timeout=120)
        return done.returncode == 0
    except (subprocess.TimeoutExpired, OSError):
        return True


def _is_valid(name: str, present: list[str]) -> bool:
    return (name.isdecimal() and int(name) < len(present)) or name.startswith(("GPU-", "MIG-"))


def _uuid(name: str, present: list[str]) -> str:
    if name.isdecimal():
        return present[int(name)]
    return next((gpu for gpu in present if gpu.startswith(name)), name)


def take_gpu(slots: int) -> bool:
    """Take a slot of a visible GPU for as long as this process lives, and hide the other GPUs from it.

    Where there is no GPU it does nothing, and returns that. Call it before torch is imported: torch must not see the
    other GPUs.
    """
    # CUDA numbers GPUs by speed unless told to do it as the driver does
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    gpus = visible_gpus()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[take_slot(gpus, slots)]
    return bool(gpus)


def take_slot(gpus: Sequence[str], slots: int) -> int:
    """Take a slot of one of `gpus` for as long as this process lives, and return the GPU's index.

    Each GPU has `slots` of them; GPUs on which nothing is trained go first. Waits while no slot is free.
    """
    waiting = False
    while True:
        for slot in range(slots):
            for index, gpu in enumerate(gpus):
                if _take(gpu, slot):
                    return index
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
    return True
