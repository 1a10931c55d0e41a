"""Make the page of a study: one HTML file with its charts, tables and figures, which loads nothing else.

Reads only the metrics files of the models in --grids, and the given tables and figures.
"""

import argparse
from pathlib import Path

from fairdistill.reporting.grids import read_grids
from fairdistill.reporting.models import read_models
from fairdistill.reporting.page.contents import gather
from fairdistill.reporting.page.projections import read_projections
from fairdistill.reporting.page.writing import Study, render
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import write_text
from fairdistill.settings.arguments import OutputFile, add_model_options, parse_options


def read_page(path: Path) -> str:
    """Return a table that was made as Markdown."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no text in UTF-8; make the table again") from None
    if not text.strip():
        raise UserError(f"{path}: is empty; make the table again")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser, order="data sets, architectures and methods keep this order")
    parser.add_argument("--study", required=True, help="name of the study, the title of the page")
    parser.add_argument("--method", required=True, help="the students that the sentence at the top is about")
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv of the same models")
    parser.add_argument("--paired", type=Path, required=True, help="paired.csv of the same models")
    parser.add_argument(
        "--tables",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="tables to show, as Markdown (table1.md, ...)",
    )
    parser.add_argument(
        "--figures", type=Path, nargs="*", default=[], metavar="FILE", help="figures to show (PNG), in this order"
    )
    parser.add_argument(
        "--projections",
        metavar="PATTERN",
        help="path of the projected features of a model, like --metrics for its metrics; without it none are shown",
    )
    parser.add_argument("--html", type=OutputFile, required=True, help="page to write")
    args = parse_options(parser)

    models = read_models(args.metrics, read_grids(args.grids))
    projections = read_projections(args.projections, models.runs)
    contents, paired = gather(models, args.summary, args.paired, projections)
    students = contents.points.loc[contents.points["role"] == "student", "method"].unique().tolist()
    if students and args.method not in students:
        raise UserError(f"--method: {args.method} is none of the students in the metrics files: {', '.join(students)}")
    tables = {path.name: read_page(path) for path in args.tables}
    study = Study(name=args.study, method=args.method, paired=paired, tables=tables, figures=args.figures)
    write_text(args.html, render(study, contents))


if __name__ == "__main__":
    run_script(main)
