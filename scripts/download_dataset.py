"""Download a data set's archive, verify it and publish it."""

import argparse
from pathlib import Path

from fairdistill.data.download import download
from fairdistill.runtime.errors import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", required=True, help="its file name, such as cifar-10-python.tar.gz")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    parser.add_argument("--mirror", help="folder or URL to look in first (default: FAIRDISTILL_MIRROR)")
    arguments = parser.parse_args()
    download(arguments.archive, arguments.output, arguments.mirror)


if __name__ == "__main__":
    run(main)
