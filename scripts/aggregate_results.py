"""Gather the metrics file of each model into three tidy tables.

runs.csv has one row per model; summary.csv has mean, sd, n and intervals, one row per model and metric; paired.csv
has the gap of each student to its teacher, with intervals and a test over seeds. Everything is read from the files'
fields, never from their paths.
"""

import argparse
import json
from pathlib import Path

from fairdistill.reporting.runs import pair_with_teachers, read_correctness, read_metrics, select, summarise, write_csv
from fairdistill.reporting.tables import paired_markdown
from fairdistill.runtime.errors import run
from fairdistill.runtime.files import write_text


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
    parser.add_argument("--summary", type=Path, required=True, help="means and intervals to write (CSV)")
    parser.add_argument("--paired", type=Path, required=True, help="gaps to the teachers to write (CSV)")
    parser.add_argument("--paired-markdown", type=Path, required=True, help="the same to write as Markdown")
    args = parser.parse_args()

    paths = sorted(args.metrics.rglob("*.json"))
    runs = select(read_metrics(paths), args.grid)
    paired = pair_with_teachers(runs, read_correctness(paths))
    write_csv(args.runs, runs)
    write_csv(args.summary, summarise(runs))
    write_csv(args.paired, paired)
    write_text(args.paired_markdown, paired_markdown(paired))


if __name__ == "__main__":
    run(main)
