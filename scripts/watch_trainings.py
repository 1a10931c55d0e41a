"""Show the trainings of this folder's latest run of Snakemake: a line for each that is running, and the whole grid.

It reads the plan and the logs alone, so it works beside `make paper` in another terminal, and on a cluster.
"""

import argparse
import re
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from fairdistill.runtime.errors import UserError, run
from fairdistill.runtime.progress import TRAININGS, describe_grid, lines

EPOCH = re.compile(r"epoch (\d+)/(\d+)(?:, step (\d+)/(\d+))?  (.*)")
SHOWN = re.compile(r"(?<!\S)(?:loss \S+|\S+ images/s|\S+ min left)")
SILENT = 300  # seconds after which a log is of a training that waits or was killed


def share_done(line: str) -> tuple[float, str] | None:
    """How much of a training is done, 0 to 1, and what else a line of its log says; None for another line."""
    if not (match := EPOCH.fullmatch(line)):
        return None
    epoch, epochs, step, steps = (int(number or 0) for number in match.groups()[:4])
    whole = epoch - 1 + step / steps if steps else epoch
    return whole / epochs, "  ".join(SHOWN.findall(match[5]))


def running(logs: list[str], since: float, now: float) -> dict[str, str]:
    """The last line of each log that was written to after `since` and of late, and whose training is not done."""
    found = {}
    for path in map(Path, logs):
        if path.exists() and (written := path.stat().st_mtime) > since and now - written < SILENT:
            said = lines(path)
            if said and not any(" trainings done" in line for line in said[-2:]):
                found[f"{path.parent.name.removesuffix('_student')} {path.stem}"] = said[-1]
    return found


def table(logs: list[str], run_name: str) -> Group:
    """What is shown: the running trainings, and how far the grid is."""
    rows = Table.grid(padding=(0, 2))
    for _ in range(4):
        rows.add_column(no_wrap=True)
    for name, line in running(logs, int(run_name) / 1e9, time.time()).items():
        share, rest = share_done(line) or (0, line)
        rows.add_row(name, ProgressBar(total=1, completed=share, width=24), f"{share:.0%}", rest)
    return Group(rows, describe_grid(run_name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--every", type=float, default=2, metavar="SECONDS", help="how often to look")
    parser.add_argument("--once", action="store_true", help="show the state once, and end")
    args = parser.parse_args()
    plans = sorted(TRAININGS.glob("[0-9]*.planned"), key=lambda path: int(path.stem))
    if not plans:
        raise UserError(f"{TRAININGS}: no run of Snakemake has planned trainings here; start one in this folder")
    name, logs = plans[-1].stem, lines(plans[-1])
    # a grid that fails never ends: whoever looks on ends it with Ctrl-C
    with suppress(KeyboardInterrupt), Live(table(logs, name), auto_refresh=False) as live:
        while not args.once and len(set(lines(plans[-1].with_suffix(".done")))) < len(logs):
            time.sleep(args.every)
            live.update(table(logs, name), refresh=True)
        live.update(table(logs, name), refresh=True)


if __name__ == "__main__":
    run(main)
