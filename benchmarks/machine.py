"""What numbers were measured on."""

import torch

from fairdistill.runtime.provenance import commit, hardware, versions


def has_gpu() -> bool:
    return torch.cuda.is_available()


def describe() -> str:
    """Hardware, versions and commit, in a line for the head of a table."""
    if has_gpu():
        torch.cuda.init()
    machine, installed = hardware(), versions()
    parts = [
        f"{machine['gpu']}" if machine["gpu"] else "no GPU",
        f"{machine['cpu']} ({machine['instructions']}), {machine['cores']} cores",
        str(machine["platform"]),
        f"Python {installed['python']}, torch {installed['torch']}",
        f"commit {commit() or 'unknown'}",
    ]
    return f"Measured on: {'; '.join(parts)}."
