"""Write what each part of a study brings: its models, and the differences between those that differ in one part.

The parts (sampling, loss, teacher, data, stem) are read from the models' records.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from fairdistill.reporting.ablations import ablations, ablations_latex, ablations_markdown, in_order, read_parts
from fairdistill.reporting.runs import RUN, read_correctness, read_metrics, select, write_csv
from fairdistill.runtime.errors import run
from fairdistill.runtime.files import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metrics", type=Path, required=True, help="folder of the models' metrics files (JSON)")
    parser.add_argument(
        "--grids",
        type=json.loads,
        required=True,
        metavar="JSON",
        help='which models, such as [{"dataset": [...], "architecture": [...], "method": ["teacher", ...], '
        '"seed": [...]}, ...]: later names are compared with earlier ones',
    )
    parser.add_argument("--csv", type=Path, required=True, help="table to write as CSV, numbers only")
    parser.add_argument("--markdown", type=Path, required=True, help="table to write as Markdown")
    parser.add_argument("--tex", type=Path, required=True, help="table to write as LaTeX (booktabs)")
    args = parser.parse_args()

    paths = sorted(args.metrics.rglob("*.json"))
    runs = read_metrics(paths)
    runs = pd.concat([select(runs, grid) for grid in args.grids]).drop_duplicates(RUN)
    table = ablations(runs, read_correctness(paths), read_parts(paths), order=in_order(args.grids))
    write_csv(args.csv, table)
    write_text(args.markdown, ablations_markdown(table))
    write_text(args.tex, ablations_latex(table))


if __name__ == "__main__":
    run(main)
