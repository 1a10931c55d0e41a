"""Draw a heat map of accuracy by class, group and method."""

import argparse
from pathlib import Path

from fairdistill.reporting.cell_map import plot_cells
from fairdistill.reporting.figure_files import save
from fairdistill.reporting.ranking import read_cells, read_ranking
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import parse_with_figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=Path, required=True, help="cells.csv, the accuracy of each class and group")
    parser.add_argument("--methods", type=Path, required=True, help="methods.csv, which ranks the methods")
    parser.add_argument("--dataset", required=True, help="the data set to draw, as the tables name it")
    parser.add_argument("--architecture", required=True, help="the architecture to draw, as the tables name it")
    args = parse_with_figure(parser)

    figure = plot_cells(
        read_cells(args.cells),
        methods=read_ranking(args.methods),
        dataset=args.dataset,
        architecture=args.architecture,
    )
    save(figure, pdf=args.pdf, png=args.png)


if __name__ == "__main__":
    run_script(main)
