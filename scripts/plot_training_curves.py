"""Draw accuracy and loss by epoch for the trainings on one data set, by method, from the models' histories."""

import argparse

from fairdistill.reporting.figure_files import save
from fairdistill.reporting.grids import model_paths, read_grids
from fairdistill.reporting.training_curves import plot_training_curves, read_histories
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import add_grids_option, parse_with_figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--histories",
        required=True,
        metavar="PATTERN",
        help="path of a history, such as x/models/{dataset}/{architecture}/{method}/seed{seed}{fold}/history.csv",
    )
    add_grids_option(parser, order="the panels keep this order")
    parser.add_argument("--dataset", required=True, help="the data set to draw, as the grids name it")
    args = parse_with_figure(parser)

    paths = model_paths(args.histories, read_grids(args.grids))
    files = [(names[1], names[2], path) for path, names in paths.items() if names[0] == args.dataset]
    # the panels of an architecture are beside each other, whatever grids its methods are in
    architectures = [architecture for architecture, *_ in files]
    files.sort(key=lambda file: architectures.index(file[0]))
    save(plot_training_curves(read_histories(files), dataset=args.dataset), pdf=args.pdf, png=args.png)


if __name__ == "__main__":
    run_script(main)
