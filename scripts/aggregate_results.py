"""Gather the metrics file of each model into two tidy tables.

runs.csv has one row per model; summary.csv has mean, sd and n over seeds, one row per model and metric.
Everything is read from the files' fields, never from their paths.
"""

import argparse
import json
from pathlib import Path

from fairdistill.errors import run
from fairdistill.results import read_metrics, select, summarise, write_csv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, required=True, help="folder; every .json below it is read")
    parser.add_argument(
        "--grid",
        type=json.loads,
        default={},
        metavar="JSON",
        help='keep these models alone, such as {"dataset": ["utkface"], "seed": [0, 1]}; a folder may hold more',
    )
    parser.add_argument("--runs", type=Path, required=True, help="table of runs to write (CSV)")
    parser.add_argument("--summary", type=Path, required=True, help="means over seeds to write (CSV)")
    args = parser.parse_args()

    runs = select(read_metrics(sorted(args.metrics.rglob("*.json"))), args.grid)
    write_csv(args.runs, runs)
    write_csv(args.summary, summarise(runs))


if __name__ == "__main__":
    run(main)
