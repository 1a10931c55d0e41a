"""Write what each part of a study contributes: its models, and the differences between them by what they differ in.

The parts (sampling, loss, base, data, stem, weights) are read from the models' records. All pairs of methods on a data
set and architecture are compared, even if they differ in several parts, or in none.
"""

import argparse

from fairdistill.reporting.ablation_pages import ablation_tables
from fairdistill.reporting.grids import in_order, read_grids
from fairdistill.reporting.models import read_models
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.settings.arguments import OutputFile, add_model_options, parse_options
from fairdistill.settings.reading import read_json_option
from fairdistill.settings.sweeps import Sweep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser, order="later names are compared with earlier ones")
    parser.add_argument(
        "--sweeps",
        required=True,
        metavar="JSON",
        help='the models of each sweep, of which only neighbours are compared: {"method": {"mfd": {"mfd-lambda0": '
        '{"lambda": 0}, ..}}, "architecture": {..}, "dataset": {..}}',
    )
    parser.add_argument("--csv", type=OutputFile, required=True, help="table to write as CSV, numbers only")
    parser.add_argument("--markdown", type=OutputFile, required=True, help="table to write as Markdown")
    parser.add_argument("--tex", type=OutputFile, required=True, help="table to write as LaTeX (booktabs)")
    args = parse_options(parser)

    grids = read_grids(args.grids)
    models = read_models(args.metrics, grids)
    sweeps = read_json_option(dict[str, dict[str, Sweep]], args.sweeps, option="--sweeps")
    texts = ablation_tables(models, order=in_order(grids, models.runs), sweeps=sweeps)
    write_text(args.csv, texts["ablations.csv"])
    write_text(args.markdown, texts["ablations.md"])
    write_text(args.tex, texts["ablations.tex"])


if __name__ == "__main__":
    run_script(main)
