"""Write what each part of a study brings: its models, and the differences between those that differ in one part.

The parts (sampling, loss, base, data, stem) are read from the models' records.
"""

import argparse
from pathlib import Path

from fairdistill.reporting.ablations import ablations, ablations_latex, ablations_markdown
from fairdistill.reporting.models import in_order, read_grids, read_models
from fairdistill.reporting.runs import write_csv
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.settings.arguments import add_model_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser, order="later names are compared with earlier ones")
    parser.add_argument("--csv", type=Path, required=True, help="table to write as CSV, numbers only")
    parser.add_argument("--markdown", type=Path, required=True, help="table to write as Markdown")
    parser.add_argument("--tex", type=Path, required=True, help="table to write as LaTeX (booktabs)")
    args = parser.parse_args()

    grids = read_grids(args.grids)
    models = read_models(args.metrics, grids)
    table = ablations(models, order=in_order(grids, models.runs))
    write_csv(args.csv, table)
    write_text(args.markdown, ablations_markdown(table))
    write_text(args.tex, ablations_latex(table))


if __name__ == "__main__":
    run_script(main)
