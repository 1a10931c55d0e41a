"""Write what the features of a study's models reveal about the groups, and how consistent their predictions are.

The models and their order follow from their metrics files; the numbers are those that `probe_features` wrote for each.
"""

import argparse

from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.features import features_table, read_features
from fairdistill.reporting.grids import paths_of, read_grids
from fairdistill.reporting.models import read_models
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import OutputFile, add_model_options, parse_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser, order="the table keeps this order")
    parser.add_argument(
        "--features",
        required=True,
        metavar="PATTERN",
        help="path of a file of probe_features, with the same words in braces as that of a metrics file",
    )
    parser.add_argument("--csv", type=OutputFile, required=True, help="table to write (CSV)")
    args = parse_options(parser)

    models = read_models(args.metrics, read_grids(args.grids))
    found = read_features(paths_of(args.features, models.runs))
    write_csv(args.csv, features_table(found, models))


if __name__ == "__main__":
    run_script(main)
