"""On what a training is computed: engine, device, precision, and repeatable to the bit."""

import os
from types import ModuleType
from typing import NamedTuple

import torch

from fairdistill.runtime.errors import UserError
from fairdistill.settings.networks import Network
from fairdistill.settings.training import Training
from fairdistill.training.engines import load_engine
from fairdistill.training.engines.ways import has_bfloat16


class Computing(NamedTuple):
    """How a training is computed, once the machine is known."""

    engine: ModuleType
    device: torch.device
    precision: str  # "fp32" or "bf16"

    def describe(self, threads: int) -> str:
        """The device, the precision and the number of threads, in words."""
        on_gpu = self.device.type == "cuda"
        device = f"the GPU {torch.cuda.get_device_name(self.device)}" if on_gpu else "the CPU"
        return f"{device}, in {self.precision}, with {threads} {'thread' if threads == 1 else 'threads'}"


def choose_device(device: str) -> torch.device:
    """Return the device of a setting; `auto` takes a GPU where there is one.

    Raises
    ------
    UserError
        It is `cuda`, and torch sees no GPU.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("training: device is cuda, but torch sees no GPU; use device: auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def choose_computing(settings: Training, network: Network) -> Computing:
    """What `settings` come to on this machine for a network; a UserError as of `choose_device`."""
    engine, device = load_engine(settings.engine), choose_device(settings.device)
    return Computing(engine, device, choose_precision(settings.precision, device, engine, network.kind))


def choose_precision(precision: str, device: torch.device, engine: ModuleType, kind: str) -> str:
    """`auto` takes bfloat16 where the hardware has it and a network of that kind gains by it."""
    if precision != "auto":
        return precision
    on_gpu = device.type == "cuda"
    native = torch.cuda.is_bf16_supported(including_emulation=False) if on_gpu else has_bfloat16()
    return "bf16" if native and engine.bf16_pays(device, kind) else "fp32"


def be_deterministic(threads: int) -> None:
    """Make torch repeat itself to the bit: the same seed, machine and thread count give the same weights."""
    # read by cuBLAS when it starts
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")
    # nothing here reads memory that it has not written; torch's types do not know the setting
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    # where the precision is fp32, a GPU's convolutions are not to be rounded to ten bits, which is torch's default
    torch.backends.cudnn.allow_tf32 = False
    torch.set_num_threads(threads)
