"""Measure the latency of an exported model's ONNX files, in float and int8, with batches of 1 and 64.

The latencies hold for onnxruntime on this machine, which the output names, and are reliable only if it is otherwise
idle.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path

from fairdistill.export.speed import measure
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.runtime.parallel import usable_cores
from fairdistill.runtime.provenance import hardware
from fairdistill.settings.arguments import OutputFile, count_argument, parse_options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="ONNX files")
    parser.add_argument(
        "--threads", type=count_argument, default=usable_cores(), help="the most threads to measure with"
    )
    parser.add_argument("--output", type=OutputFile, required=True, help="file to write (JSON)")
    args = parse_options(parser)
    latency = {path.name: measure(path, args.threads) for path in args.models}
    record = {"latency": latency, "onnxruntime": version("onnxruntime"), "hardware": hardware()}
    write_text(args.output, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    run_script(main)
