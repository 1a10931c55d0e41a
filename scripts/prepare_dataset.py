"""Make a data set from its archive: images.npy, samples.parquet and dataset.json in the output folder.

Prints how many images each cell has, and what was left out.
"""

import argparse
import json
from pathlib import Path

from fairdistill.data.preparing import describe, prepare_dataset
from fairdistill.runtime.errors import UserError, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help='JSON, such as {"kind": "cifar10s", "skew": 0.8}')
    parser.add_argument("--archive", type=Path, help="the downloaded archive; none for an embedded data set")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    arguments = parser.parse_args()
    try:
        settings = json.loads(arguments.settings)
    except json.JSONDecodeError as error:
        raise UserError(f"--settings: not JSON ({error})") from error
    if not isinstance(settings, dict):
        raise UserError(f"--settings: {arguments.settings} is no mapping; name a kind in one")
    print(describe(prepare_dataset(arguments.output, settings, arguments.archive)))


if __name__ == "__main__":
    run(main)
