"""Draw the accuracy of all methods on one data set against their DEO_A and DEO_M, with the Pareto front."""

import argparse
from pathlib import Path

from fairdistill.reporting.figure_files import save
from fairdistill.reporting.ranking import read_ranking
from fairdistill.reporting.tradeoff import plot_tradeoff
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import parse_with_figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", type=Path, required=True, help="methods.csv, the comparison of all methods")
    parser.add_argument("--dataset", required=True, help="the data set to draw, as the table names it")
    args = parse_with_figure(parser)

    save(plot_tradeoff(read_ranking(args.methods), args.dataset), pdf=args.pdf, png=args.png)


if __name__ == "__main__":
    run_script(main)
