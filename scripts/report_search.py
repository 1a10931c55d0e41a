"""Show the test scores of the chosen models of a search beside the validation scores that they were chosen by."""

import argparse
from pathlib import Path

from fairdistill.reporting.search import read_search, search_markdown
from fairdistill.reporting.summaries import read_summary
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.settings.arguments import OutputFile, parse_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", type=Path, required=True, help="search.csv, the candidates and what was chosen")
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv, the scores on the test split")
    parser.add_argument("--markdown", type=OutputFile, required=True, help="page to write")
    args = parse_options(parser)

    write_text(args.markdown, search_markdown(read_search(args.search), read_summary(args.summary)))


if __name__ == "__main__":
    run_script(main)
