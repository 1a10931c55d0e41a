"""Write the card of an exported model: README.md, as Hugging Face reads it, and the same as one HTML page.

The card has the intended use, the data and their terms, accuracy and fairness with intervals, the effect of int8, size
and speed beside the model that it was trained from, limits, time and carbon, and how to make the model again.
"""

import argparse
from pathlib import Path

from fairdistill.export.card.model import read_measured
from fairdistill.export.card.writing import html_page, model_card
from fairdistill.export.files import EXPORTED
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.settings.arguments import OutputFile, input_folder, parse_options
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.export import Export
from fairdistill.settings.reading import read_json_option, read_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for prefix, whose in (("", "the model"), ("base-", "the model that it was trained from, or of the teacher")):
        required = not prefix
        parser.add_argument(f"--{prefix}metrics", type=Path, required=required, help=f"metrics file of {whose}")
        parser.add_argument(
            f"--{prefix}exported",
            type=input_folder(*EXPORTED),
            required=required,
            help=f"exported folder of {whose}",
        )
        parser.add_argument(f"--{prefix}speed", type=Path, required=required, help=f"measured speed of {whose}")
    parser.add_argument("--settings", default="{}", metavar="JSON", help="what the configuration says under `export`")
    parser.add_argument("--markdown", type=OutputFile, required=True, help="card to write as Markdown")
    parser.add_argument("--html", type=OutputFile, required=True, help="card to write as an HTML page")
    args = parse_options(parser)
    model = read_measured(args.metrics, args.exported, args.speed)
    base = read_measured(args.base_metrics, args.base_exported, args.base_speed) if args.base_metrics else None
    settings = model.training.data.settings.model_dump(exclude_unset=True)
    data = read_settings(AnyDataSet, settings, where=f"{args.metrics}: data")
    card = model_card(model, base, data, read_json_option(Export, args.settings, option="--settings"))
    write_text(args.markdown, card)
    write_text(args.html, html_page(card))


if __name__ == "__main__":
    run_script(main)
