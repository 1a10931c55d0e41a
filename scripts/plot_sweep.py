"""Draw accuracy, DEO_A and DEO_M of the models of sweeps against the setting that they differ in."""

import argparse
from pathlib import Path

from fairdistill.reporting.figure_files import save
from fairdistill.reporting.search import read_search
from fairdistill.reporting.summaries import read_summary
from fairdistill.reporting.sweep_figures import plot_sweep
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import add_architectures_option, parse_with_figure
from fairdistill.settings.reading import read_json_option
from fairdistill.settings.sweeps import Line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv, the means over seeds")
    parser.add_argument("--setting", required=True, help="name of the setting, for the axis")
    parser.add_argument(
        "--lines",
        required=True,
        metavar="JSON",
        help='the models of each line: [{"label": "mfd", "values": {"mfd-lambda0": 0, ..}, "base": {"method": '
        '"teacher", "architecture": "same"}}, ..]',
    )
    add_architectures_option(parser)
    parser.add_argument("--search", type=Path, help="search.csv, which models were chosen on the validation split")
    args = parse_with_figure(parser)

    figure = plot_sweep(
        read_summary(args.summary),
        setting=args.setting,
        lines=read_json_option(list[Line], args.lines, option="--lines"),
        architectures=args.architectures,
        search=read_search(args.search) if args.search else None,
    )
    save(figure, pdf=args.pdf, png=args.png)


if __name__ == "__main__":
    run_script(main)
