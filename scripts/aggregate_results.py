"""Gather the metrics files of a study's models into tidy tables.

runs.csv has one row per training; summary.csv has mean, sd, n and intervals, one row per model and metric; paired.csv
has the difference between each student and its base, with its interval and a test over seeds. Only the metrics files of
the models in --grids are read.
"""

import argparse

from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.grids import read_grids
from fairdistill.reporting.models import read_models
from fairdistill.reporting.pair_pages import paired_markdown
from fairdistill.reporting.pairs import pair_with_bases
from fairdistill.reporting.runs import with_settings
from fairdistill.reporting.summaries import summarise
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import write_text
from fairdistill.settings.arguments import OutputFile, add_model_options, parse_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser, order="tables keep this order")
    parser.add_argument("--runs", type=OutputFile, required=True, help="table of runs to write (CSV)")
    parser.add_argument("--summary", type=OutputFile, required=True, help="means and intervals to write (CSV)")
    parser.add_argument("--paired", type=OutputFile, required=True, help="differences to the bases to write (CSV)")
    parser.add_argument("--paired-markdown", type=OutputFile, required=True, help="the same to write as Markdown")
    parser.add_argument(
        "--validation", type=OutputFile, help="like --runs, to write for the scores on the validation split (CSV)"
    )
    args = parse_options(parser)

    models = read_models(args.metrics, read_grids(args.grids))
    if args.validation:
        if models.validation.empty:
            raise UserError("--validation: no model was scored on a validation split; leave the option out")
        write_csv(args.validation, with_settings(models.validation, models.settings))
    paired = pair_with_bases(models.runs, models.trainings)
    write_csv(args.runs, with_settings(models.runs, models.settings))
    write_csv(args.summary, summarise(models.runs, models.trainings))
    write_csv(args.paired, paired)
    write_text(args.paired_markdown, paired_markdown(paired))


if __name__ == "__main__":
    run_script(main)
