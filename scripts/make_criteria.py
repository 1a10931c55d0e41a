"""Write the scores of a study's models by fairness criteria other than DEO, and how well the models are calibrated.

The criteria and their intervals are read from the models' metrics files.
"""

import argparse

from fairdistill.reporting.columns import IDENTITY
from fairdistill.reporting.criteria import criteria_table
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.grids import read_grids
from fairdistill.reporting.models import read_models
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.settings.arguments import OutputFile, add_model_options, parse_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser, order="the table keeps this order")
    parser.add_argument("--csv", type=OutputFile, required=True, help="table to write (CSV)")
    args = parse_options(parser)

    models = read_models(args.metrics, read_grids(args.grids))
    if len(models.criteria.drop_duplicates(IDENTITY)) < len(models.runs):
        raise UserError("--metrics: a metrics file has no criteria; evaluate the models again")
    write_csv(args.csv, criteria_table(models.criteria, models.trainings))


if __name__ == "__main__":
    run_script(main)
