"""A driver without GPUs."""

import os
from pathlib import Path


def uuid(index: int) -> str:
    """The name of a GPU that `fake_gpus` lists."""
    return f"GPU-{os.getpid()}-{index}"


def fake_gpus(folder: Path, count: int) -> None:
    """Put an nvidia-smi into `folder` that lists `count` GPUs; none is put there for 0."""
    folder.mkdir(exist_ok=True)
    if count:
        lines = "\\n".join(f"GPU {i}: Fake (UUID: {uuid(i)})" for i in range(count))
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\nprintf '{lines}\\n'\n")
        program.chmod(0o755)
