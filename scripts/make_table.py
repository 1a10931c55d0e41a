"""Write the paper's Table I: accuracy, DEO_A and DEO_M of each architecture's student and teacher.

As in the paper, each number is an average over the data sets, with its mean and sd over seeds and its 95 % interval.
"""

import argparse
from pathlib import Path

from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.summaries import read_summary
from fairdistill.reporting.table1 import table1, table1_latex, table1_markdown
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.settings.arguments import OutputFile, parse_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv, the means over seeds")
    parser.add_argument("--csv", type=OutputFile, required=True, help="Table I to write as CSV, numbers only")
    parser.add_argument("--markdown", type=OutputFile, required=True, help="Table I to write as Markdown")
    parser.add_argument("--tex", type=OutputFile, required=True, help="Table I to write as LaTeX (booktabs)")
    args = parse_options(parser)

    summary = read_summary(args.summary)
    write_csv(args.csv, table1(summary))
    write_text(args.markdown, table1_markdown(summary))
    write_text(args.tex, table1_latex(summary))


if __name__ == "__main__":
    run_script(main)
