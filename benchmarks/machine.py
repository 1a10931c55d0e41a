"""What numbers were measured on, and the folder of that machine's tables."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryFile

import pandas as pd
import torch

from fairdistill.runtime.files import write_text
from fairdistill.runtime.progress import log
from fairdistill.runtime.provenance import commit, hardware, versions

ROOT = Path(__file__).parents[1]
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


def generation(text: str) -> str:
    """Return the name of the CPU's generation of a text with 'cpu family 26, model 2'; empty where it is not known."""
    numbers = re.search(r"cpu family (\d+), model (\d+)", text)
    if not numbers:
        return ""
    family, model = map(int, numbers.groups())
    names = [name for known, first, name in GENERATIONS if known == family and first <= model]
    return names[-1] if names else ""


def folder() -> Path:
    """The folder of this machine's tables, such as results/bench/amd-epyc-zen-5."""
    return RESULTS / (re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-") or "unnamed-processor")


def prepare(*folders: Path) -> None:
    """Make folders and see that they take files, before anything is measured; an OSError says why one does not."""
    for place in folders:
        place.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=place):
            pass


def write(folder: Path, name: str, table: pd.DataFrame, text: str, *, digits: int) -> None:
    """Write a table, with so many digits, and the page that shows it, as <name>.csv and <name>.md; print the page.

    The columns `machine` and `commit` of the table say what each row was measured on, see `provenance`.
    """
    paths = folder / f"{name}.csv", folder / f"{name}.md"
    for path, content in zip(paths, (table.to_csv(index=False, float_format=f"%.{digits}g"), text), strict=True):
        write_text(path, content)
    print(text)
    log(f"Written: {', '.join(map(str, paths))}")


def write_measured(folder: Path, name: str, table: pd.DataFrame, page: Callable[[str], str], *, digits: int) -> None:
    """Write, as `write` does, what was measured just now: `page` makes the page with the line about the machine."""
    measured = provenance()
    write(folder, name, table.assign(**measured), page(describe(measured)), digits=digits)


def provenance() -> dict[str, str]:
    """What numbers are measured on: the `machine`, its hardware and versions in a line, and the code's `commit`."""
    if has_gpu():
        torch.cuda.init()
    found, installed = hardware(), versions()
    instructions = f"{found['instructions']}{', AMX' * has_amx()}"
    parts = [
        f"{found['gpu']}" if found["gpu"] else "no GPU",
        f"{found['cpu']} ({found['cpu_id']}; {instructions}), {found['cores']} cores",
        str(found["platform"]),
        f"Python {installed['python']}, torch {installed['torch']}",
    ]
    return {"machine": "; ".join(parts), "commit": commit() or "unknown"}


def describe(measured: Mapping[str, str]) -> str:
    """The line for the head of a page, of a `provenance`."""
    return f"Measured on: {measured['machine']}; commit {measured['commit']}."
