"""A driver without GPUs."""

import os
import sys
from pathlib import Path


def uuid(index: int) -> str:
    """The name of a GPU that `fake_gpus` lists."""
    return f"GPU-{os.getpid()}-{index}"


def fake_gpus(folder: Path, count: int, *, torch_can_use_them: bool = True) -> None:
    """Put an nvidia-smi that lists `count` GPUs, if any, and a python whose torch says so into `folder`."""
    folder.mkdir(exist_ok=True)
    if count:
        lines = "\\n".join(f"GPU {i}: Fake (UUID: {uuid(i)})" for i in range(count))
        write_program(folder / "nvidia-smi", f"printf '{lines}\\n'")
    asked = f'case "$*" in *torch.cuda.is_available*) exit {int(not torch_can_use_them)} ;; esac'
    write_program(folder / "python", f'{asked}\nexec "{sys.executable}" "$@"')


def write_program(path: Path, script: str) -> None:
    """Write an executable shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
