"""Compare all methods of a study: ranked by DEO_A, with the cost and needs of each, and against reference methods.

The rules are in docs/methods.md. Only the metrics files of the models in --grids are read.
"""

import argparse

from fairdistill.reporting.grids import read_grids
from fairdistill.reporting.models import read_models
from fairdistill.reporting.ranking_pages import methods_tables
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.settings.arguments import OutputFile, add_model_options, parse_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser, order="data sets and architectures keep this order")
    parser.add_argument(
        "--reference",
        action="append",
        required=True,
        metavar="METHOD",
        help="a method that all others are compared with; may be given several times",
    )
    parser.add_argument("--csv", type=OutputFile, required=True, help="table to write as CSV, numbers only")
    parser.add_argument("--markdown", type=OutputFile, required=True, help="page to write as Markdown")
    parser.add_argument("--tex", type=OutputFile, required=True, help="tables to write as LaTeX (booktabs)")
    parser.add_argument(
        "--cells", type=OutputFile, required=True, help="accuracy of each class and group to write (CSV)"
    )
    args = parse_options(parser)

    models = read_models(args.metrics, read_grids(args.grids))
    texts = methods_tables(models, args.reference)
    write_text(args.csv, texts["methods.csv"])
    write_text(args.markdown, texts["methods.md"])
    write_text(args.tex, texts["methods.tex"])
    write_text(args.cells, texts["cells.csv"])


if __name__ == "__main__":
    run_script(main)
