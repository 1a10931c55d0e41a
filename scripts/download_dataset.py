"""Download the archive of a data set, check that it is the published one, and save it."""

import argparse

from fairdistill.data.download import download
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import OutputFile, parse_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", required=True, help="file name of the archive, such as cifar-10-python.tar.gz")
    parser.add_argument("--output", type=OutputFile, required=True, help="file to write")
    parser.add_argument(
        "--mirror",
        help="folder or URL that holds the archive, tried before the public addresses (default: the environment "
        "variable FAIRDISTILL_MIRROR)",
    )
    arguments = parse_options(parser)
    download(arguments.archive, arguments.output, arguments.mirror)


if __name__ == "__main__":
    run_script(main)
