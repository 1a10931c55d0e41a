"""Compare each number of the paper with ours, with a verdict, and judge its conclusions with --conclusions.

The paper's one DEO is compared with both DEO_A and DEO_M. A number whose model or data set the study lacks keeps its
row, with n = 0.
"""

import argparse
from pathlib import Path

from fairdistill.reporting.pairs import read_paired
from fairdistill.reporting.paper.comparison import paper_tables
from fairdistill.reporting.summaries import read_summary
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.settings.arguments import OutputFile, parse_options, student_argument
from fairdistill.settings.paper import read_paper_values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv, the means over seeds")
    parser.add_argument("--paired", type=Path, required=True, help="paired.csv, the students and their bases")
    parser.add_argument("--paper-values", type=Path, required=True, help="the paper's numbers (CSV)")
    parser.add_argument(
        "--method", type=student_argument, help="the students to compare; without it only the teachers are compared"
    )
    parser.add_argument("--csv", type=OutputFile, required=True, help="comparison to write as CSV")
    parser.add_argument("--markdown", type=OutputFile, required=True, help="comparison to write as Markdown")
    parser.add_argument(
        "--conclusions",
        type=OutputFile,
        help="verdicts on the conclusions of the paper of config/paper_values.csv, to write as CSV",
    )
    args = parse_options(parser)

    texts = paper_tables(
        read_summary(args.summary),
        read_paired(args.paired),
        read_paper_values(args.paper_values),
        method=args.method,
        judges_conclusions=args.conclusions is not None,
    )
    if args.conclusions:
        write_text(args.conclusions, texts["paper_conclusions.csv"])
    write_text(args.csv, texts["paper_vs_reproduced.csv"])
    write_text(args.markdown, texts["paper_vs_reproduced.md"])


if __name__ == "__main__":
    run_script(main)
