"""Draw Figure 1: the frozen teacher, the student, and the losses that connect them. It needs no results."""

import argparse

from fairdistill.reporting.figure_files import save
from fairdistill.reporting.paper.diagram import draw
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import parse_with_figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    args = parse_with_figure(parser)

    save(draw(), pdf=args.pdf, png=args.png)


if __name__ == "__main__":
    run_script(main)
