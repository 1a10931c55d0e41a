"""Choose the settings of methods by the scores on the validation split, and write every candidate's scores.

Only validation.csv is read, which has no score on the test split.
"""

import argparse
from pathlib import Path

from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.runs import read_validation
from fairdistill.reporting.search import choose
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import OutputFile, add_architectures_option, parse_options
from fairdistill.settings.reading import read_json_option
from fairdistill.settings.sweeps import Candidates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--validation", type=Path, required=True, help="validation.csv, a row per training")
    parser.add_argument(
        "--searches",
        required=True,
        metavar="JSON",
        help='what is chosen: [{"sweep": "mfd", "rule": {"rule": "smallest_deo", "metric": "deo_a", "margin": 0.01}, '
        '"models": {"mfd-lambda0": {"lambda": 0}, ..}}, ..]',
    )
    add_architectures_option(parser)
    parser.add_argument("--csv", type=OutputFile, required=True, help="table of the candidates to write")
    args = parse_options(parser)

    candidates = read_json_option(list[Candidates], args.searches, option="--searches")
    found = choose(read_validation(args.validation), candidates, architectures=args.architectures)
    write_csv(args.csv, found)


if __name__ == "__main__":
    run_script(main)
