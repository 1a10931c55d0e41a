"""Show the progress of this folder's latest Snakemake run, with a line for each running training.

It reads the plan of the run and the log files of the trainings, so it works in another terminal beside `make paper`,
and on a cluster whose nodes share the folder.
"""

import argparse
import math
import re
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.progress import TRAININGS, grid_progress, lines

EPOCH = re.compile(r"epoch (\d+)/(\d+)(?:, step (\d+)/(\d+))?  (.*)")
SHOWN = re.compile(r"(?<!\S)(?:loss \S+|\S+ images/s|(?:\d+ h )?\d+ (?:min|s) left)")
HOUR = 3600
SILENT = 300  # seconds without a new line after which a training is taken to have been killed


def share_done(line: str) -> tuple[float, str] | None:
    """The share of a training that is done, 0 to 1, and the loss, speed and time left, from a line of its log.

    None where the line does not say how far the training is.
    """
    if not (match := EPOCH.fullmatch(line)):
        return None
    epoch, epochs, step, steps = (int(number or 0) for number in match.groups()[:4])
    whole = epoch - 1 + step / steps if steps else epoch
    return whole / epochs, "  ".join(SHOWN.findall(match[5]))


def running(logs: list[str], since: float, now: float) -> dict[str, str]:
    """The last line in the log of each running training, by the name of the training.

    A training is running whose log was written to after `since` and in the last `SILENT` seconds before `now` (both in
    seconds since the epoch), and does not say that it is done.
    """
    found = {}
    for path in map(Path, logs):
        if path.exists() and (written := path.stat().st_mtime) > since and now - written < SILENT:
            said = lines(path)
            if said and not any(" trainings done" in line for line in said[-2:]):
                found[path.stem] = said[-1]
    return found


def table(logs: list[str], run_name: str) -> Group:
    """What is shown: the running trainings, and below them how many are done."""
    rows = Table.grid(padding=(0, 2))
    for _ in range(4):
        rows.add_column(no_wrap=True)
    for name, line in running(logs, int(run_name) / 1e9, time.time()).items():
        share, rest = share_done(line) or (0, line)
        rows.add_row(name, ProgressBar(total=1, completed=share, width=24), f"{share:.0%}", rest)
    return Group(rows, grid_progress(run_name))


def seconds(text: str) -> float:
    """A time to wait."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= HOUR:
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0 to {HOUR}: {text}")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--every", type=seconds, default=2, metavar="SECONDS", help="how often to look")
    parser.add_argument("--once", action="store_true", help="show the state once, and exit")
    args = parser.parse_args()
    plans = sorted(TRAININGS.glob("[0-9]*.planned"), key=lambda path: int(path.stem))
    if not plans:
        raise UserError(f"{TRAININGS}: no run of Snakemake has planned trainings in this folder; start one first")
    name, logs = plans[-1].stem, lines(plans[-1])
    # where a training fails, not all get done: Ctrl-C ends this then
    with suppress(KeyboardInterrupt), Live(table(logs, name), auto_refresh=False) as live:
        while not args.once and len(set(lines(plans[-1].with_suffix(".done")))) < len(logs):
            time.sleep(args.every)
            live.update(table(logs, name), refresh=True)
        live.update(table(logs, name), refresh=True)


if __name__ == "__main__":
    run_script(main)
