"""Draw one of Figures 2 to 5 in the paper's form: a bar for the teacher and one for the student on each data set."""

import argparse
from pathlib import Path

from fairdistill.reporting.figure_files import save
from fairdistill.reporting.paper.bars import MEASURES, plot_paper_bars
from fairdistill.reporting.summaries import read_summary
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import parse_with_figure, student_argument


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv, the means over seeds")
    parser.add_argument("--architecture", required=True, help="the architecture to draw, as the summary names it")
    parser.add_argument("--metric", choices=MEASURES, required=True, help="deo draws DEO_M")
    parser.add_argument("--method", type=student_argument, required=True, help="the students to draw")
    args = parse_with_figure(parser)

    chosen = {"architecture": args.architecture, "metric": args.metric, "method": args.method}
    save(plot_paper_bars(read_summary(args.summary), **chosen), pdf=args.pdf, png=args.png)


if __name__ == "__main__":
    run_script(main)
