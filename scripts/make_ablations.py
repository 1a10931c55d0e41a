"""Write what each part of a study brings: its models, and the differences between those that differ in one part.

The parts (sampling, loss, teacher, data, stem) are read from the models' records.
"""

import argparse
import json
from pathlib import Path

from fairdistill.ablations import ablations, ablations_latex, ablations_markdown, read_parts
from fairdistill.errors import run
from fairdistill.files import write_text
from fairdistill.results import read_outcomes, read_runs, write_csv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv, one row per model")
    parser.add_argument("--metrics", type=Path, required=True, help="folder of the models' metrics files (JSON)")
    parser.add_argument(
        "--order",
        type=json.loads,
        required=True,
        metavar="JSON",
        help='names of the runs, such as {"dataset": [...], "architecture": [...], "method": ["teacher", ...]}: later '
        "ones are compared with earlier ones",
    )
    parser.add_argument("--csv", type=Path, required=True, help="table to write as CSV, numbers only")
    parser.add_argument("--markdown", type=Path, required=True, help="table to write as Markdown")
    parser.add_argument("--tex", type=Path, required=True, help="table to write as LaTeX (booktabs)")
    args = parser.parse_args()

    paths = sorted(args.metrics.rglob("*.json"))
    table = ablations(read_runs(args.runs), read_outcomes(paths), read_parts(paths), order=args.order)
    write_csv(args.csv, table)
    write_text(args.markdown, ablations_markdown(table))
    write_text(args.tex, ablations_latex(table))


if __name__ == "__main__":
    run(main)
