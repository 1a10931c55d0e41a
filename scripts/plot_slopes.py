"""Draw the DEO_A and accuracy of each student on one data set and of its base, one line per seed."""

import argparse
from pathlib import Path

from fairdistill.reporting.figure_files import save
from fairdistill.reporting.pairs import read_paired
from fairdistill.reporting.slopes import plot_slopes
from fairdistill.reporting.summaries import read_summary
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import parse_with_figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paired", type=Path, required=True, help="paired.csv, the students and their bases")
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv of the same models")
    parser.add_argument("--dataset", required=True, help="the data set to draw, as the tables name it")
    args = parse_with_figure(parser)

    figure = plot_slopes(read_paired(args.paired), read_summary(args.summary), args.dataset)
    save(figure, pdf=args.pdf, png=args.png)


if __name__ == "__main__":
    run_script(main)
