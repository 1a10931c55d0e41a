"""Compare this study's numbers with those of a published one, for the models of the same names.

For each model and metric: both means over seeds, their difference, and whether noise could explain it. A model that one
of the studies lacks keeps its row.
"""

import argparse
from pathlib import Path

from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.published import compare_studies, studies_markdown
from fairdistill.reporting.summaries import read_summary
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import write_text
from fairdistill.runtime.study_files import StudyFiles
from fairdistill.settings.arguments import OutputFile, parse_options, require_unwritten


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv of this study")
    parser.add_argument(
        "--published", type=Path, required=True, help="folder of the published study, such as results/paper"
    )
    parser.add_argument("--csv", type=OutputFile, required=True, help="comparison to write as CSV")
    parser.add_argument("--markdown", type=OutputFile, required=True, help="comparison to write as Markdown")
    args = parse_options(parser)

    published = StudyFiles(args.published).summary
    if not published.is_file():
        raise UserError(f"--published: there is no {published}; give the folder of a study that has its tables")
    require_unwritten(args, "published", published)
    comparison = compare_studies(read_summary(published), read_summary(args.summary))
    write_csv(args.csv, comparison)
    write_text(args.markdown, studies_markdown(comparison, published=str(args.published)))


if __name__ == "__main__":
    run_script(main)
