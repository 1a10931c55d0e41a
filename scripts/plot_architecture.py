"""Draw Figure 1: the frozen teacher, the student, and the losses that join them. It needs no results."""

import argparse
from pathlib import Path

from fairdistill.reporting.figure_files import save
from fairdistill.reporting.paper.diagram import draw
from fairdistill.runtime.errors import run_script


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pdf", type=Path, required=True, help="figure to write as PDF")
    parser.add_argument("--png", type=Path, required=True, help="figure to write as PNG")
    args = parser.parse_args()

    save(draw(), pdf=args.pdf, png=args.png)


if __name__ == "__main__":
    run_script(main)
