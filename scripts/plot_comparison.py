"""Draw one of Figures 2 to 5: accuracy or DEO of one architecture's teacher and students on each data set.

Bars are means over seeds, dots are single seeds, and whiskers are 95 % intervals (with one training, over test images
only). The paper's values and models at chance are marked.
"""

import argparse
from pathlib import Path

from fairdistill.reporting.figure_files import save
from fairdistill.reporting.figures import plot_comparison
from fairdistill.reporting.paper.comparison import PAPER_METRICS, as_table
from fairdistill.reporting.summaries import read_summary
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import parse_with_figure, student_argument
from fairdistill.settings.paper import read_paper_values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv, the means over seeds")
    parser.add_argument("--architecture", required=True, help="the architecture to draw, as the summary names it")
    parser.add_argument("--metric", choices=PAPER_METRICS, required=True, help="deo draws both DEO_A and DEO_M")
    parser.add_argument("--paper-values", type=Path, help="the paper's numbers (CSV), to mark")
    parser.add_argument(
        "--method",
        type=student_argument,
        help="the students that the paper's values are marked on; without it none are marked",
    )
    args = parse_with_figure(parser)

    figure = plot_comparison(
        read_summary(args.summary),
        architecture=args.architecture,
        metric=args.metric,
        paper_values=as_table(read_paper_values(args.paper_values)) if args.paper_values else None,
        method=args.method,
    )
    save(figure, pdf=args.pdf, png=args.png)


if __name__ == "__main__":
    run_script(main)
