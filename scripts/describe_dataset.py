"""Describe a prepared data set in the Croissant format."""

import argparse

from fairdistill.data.reading import load_dataset
from fairdistill.export.croissant import croissant_text
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.runtime.study_files import DATASET_RECORD
from fairdistill.settings.arguments import OutputFile, dataset_folder, parse_options
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.reading import read_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=dataset_folder, required=True, help="folder of the prepared data set")
    parser.add_argument("--name", required=True, help="name of the data set")
    parser.add_argument("--terms", help="what images of one's own may be used for")
    parser.add_argument(
        "--output",
        type=OutputFile,
        required=True,
        help="file to write (JSON); it belongs into the folder of the data set",
    )
    args = parse_options(parser)
    info = load_dataset(args.data).info
    settings = read_settings(AnyDataSet, info["settings"], where=f"{args.data / DATASET_RECORD}: settings")
    text = croissant_text(args.data, info, settings, name=args.name, terms=args.terms)
    write_text(args.output, text)


if __name__ == "__main__":
    run_script(main)
