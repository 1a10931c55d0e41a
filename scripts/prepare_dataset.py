"""Make a data set: write images.npy, samples.parquet and dataset.json to the output folder.

Prints the number of images in each split, class and group, and notes such as how many files were left out.
"""

import argparse
from pathlib import Path

from fairdistill.data.preparing import describe, prepare_dataset
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import parse_json
from fairdistill.runtime.study_files import OF_A_DATASET
from fairdistill.settings.arguments import OutputFile, output_folder, parse_options, seed_argument
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.reading import read_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--settings",
        required=True,
        help='settings of the data set as JSON, such as {"kind": "cifar10s", "skew": 0.8}; those left out take their '
        "defaults, see config/README.md",
    )
    parser.add_argument(
        "--archives",
        type=Path,
        nargs="+",
        default=[],
        help="downloaded archives, in the order in which the settings' class names them; left out for a data set that "
        "needs none",
    )
    parser.add_argument(
        "--seed",
        type=seed_argument,
        help="seed of the models that the data set is for, where its settings have draws `per_seed`",
    )
    parser.add_argument(
        "--content-cache",
        type=OutputFile,
        metavar="FILE",
        help="file to write the digests of the user's own files to, and to read them from when they are needed again; "
        "with it, dataset.json records what these held",
    )
    parser.add_argument("--output", type=output_folder(*OF_A_DATASET), required=True, help="folder to write to")
    arguments = parse_options(parser)
    if cache := arguments.content_cache:
        for folder in arguments.archives:
            if cache.resolve().is_relative_to(folder.resolve()):
                where = f"{cache} lies in {folder}, whose digest it keeps"
                raise UserError(f"--content-cache: {where}; give a path elsewhere")
    try:
        given = parse_json(arguments.settings)
    except ValueError as error:
        raise UserError(f"--settings: not JSON ({error})") from error
    settings = read_settings(AnyDataSet, given, where="data")
    info = prepare_dataset(
        arguments.output, settings, arguments.archives, arguments.seed, content_cache=arguments.content_cache
    )
    print(describe(info))


if __name__ == "__main__":
    run_script(main)
