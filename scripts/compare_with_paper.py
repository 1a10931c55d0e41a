"""Set each number of the paper beside ours, and judge each number and each sentence of its conclusions.

The paper's one DEO stands beside both DEO_A and DEO_M. A number whose model or data set the grid does not
have keeps its row, with n = 0.
"""

import argparse
from pathlib import Path

from fairdistill.reporting.paper.comparison import compare, comparison_markdown, read_paper_values
from fairdistill.reporting.paper.conclusions import judge
from fairdistill.reporting.runs import read_paired, read_runs, write_csv
from fairdistill.runtime.errors import run
from fairdistill.runtime.files import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv, one row per model")
    parser.add_argument("--paired", type=Path, required=True, help="paired.csv, students beside their teachers")
    parser.add_argument("--paper-values", type=Path, required=True, help="the paper's numbers (CSV)")
    parser.add_argument("--method", help="the students to compare; the teachers alone where left out")
    parser.add_argument("--csv", type=Path, required=True, help="comparison to write as CSV")
    parser.add_argument("--conclusions", type=Path, required=True, help="verdicts on the conclusions to write as CSV")
    parser.add_argument("--markdown", type=Path, required=True, help="comparison to write as Markdown")
    args = parser.parse_args()

    paired = read_paired(args.paired)
    comparison = compare(read_runs(args.runs), paired, read_paper_values(args.paper_values), method=args.method)
    verdicts = judge(paired, method=args.method)
    write_csv(args.csv, comparison)
    write_csv(args.conclusions, verdicts)
    write_text(args.markdown, comparison_markdown(comparison, verdicts, method=args.method))


if __name__ == "__main__":
    run(main)
