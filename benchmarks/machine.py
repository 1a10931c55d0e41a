"""What numbers were measured on, and the folder of that machine's tables."""

import re
from pathlib import Path

import pandas as pd
import torch

from fairdistill.runtime.provenance import commit, hardware, versions

RESULTS = Path("results/bench")
# by the maker's family and the first model of a range: (family, model, generation); see the makers' lists of processors
GENERATIONS = [
    *((23, 0x01, "Zen"), (23, 0x31, "Zen 2"), (25, 0x00, "Zen 3"), (25, 0x10, "Zen 4"), (25, 0x20, "Zen 3")),
    *((25, 0x60, "Zen 4"), (26, 0x00, "Zen 5")),
    *((6, 85, "Skylake or Cascade Lake"), (6, 86, ""), (6, 106, "Ice Lake"), (6, 107, ""), (6, 143, "Sapphire Rapids")),
    *((6, 144, ""), (6, 173, "Granite Rapids"), (6, 174, ""), (6, 207, "Emerald Rapids"), (6, 208, "")),
]


def has_gpu() -> bool:
    return torch.cuda.is_available()


def has_amx() -> bool:
    """Whether the CPU multiplies matrices in tiles (Intel AMX)."""
    return torch.cpu._is_amx_tile_supported()


def processor() -> str:
    """Name of the GPU, or of the CPU with its generation, of which a maker gives several one name: AMD EPYC (Zen 5)."""
    if has_gpu():
        return torch.cuda.get_device_name()
    found = hardware()
    name = re.sub(r"\((R|TM)\)|CPU|Processor|@.*", "", str(found["cpu"])).strip()
    known = generation(str(found["cpu_id"]))
    return f"{' '.join(name.split())} ({known or found['instructions']})"


def generation(cpu_id: str) -> str:
    """Return the name of a CPU's generation, as of 'cpu family 26, model 2'; empty where it is not known."""
    numbers = re.match(r"cpu family (\d+), model (\d+)", cpu_id)
    if not numbers:
        return ""
    family, model = map(int, numbers.groups())
    names = [name for known, first, name in GENERATIONS if known == family and first <= model]
    return names[-1] if names else ""


def folder() -> Path:
    """The folder of this machine's tables, such as results/bench/amd-epyc-zen-5."""
    return RESULTS / re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")


def write(folder: Path, name: str, table: pd.DataFrame, text: str, *, digits: int) -> None:
    """Write a table, with so many digits, and the page that shows it, as <name>.csv and <name>.md; print the page."""
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{name}.csv", index=False, float_format=f"%.{digits}g")
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


def describe() -> str:
    """Hardware, versions and commit, in a line for the head of a table."""
    if has_gpu():
        torch.cuda.init()
    machine, installed = hardware(), versions()
    parts = [
        f"{machine['gpu']}" if machine["gpu"] else "no GPU",
        f"{machine['cpu']} ({machine['cpu_id']}; {machine['instructions']}), {machine['cores']} cores",
        str(machine["platform"]),
        f"Python {installed['python']}, torch {installed['torch']}",
        f"commit {commit() or 'unknown'}",
    ]
    return f"Measured on: {'; '.join(parts)}."
