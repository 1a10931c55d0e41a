"""Write fairdistill/settings/torchvision_networks.py: what the pipeline has to know about each classifier of
torchvision.

It is written once for each version of torchvision; no rule runs this script.
"""

import argparse

from fairdistill.networks.describing import content, kinds, measure
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.runtime.provenance import ROOT

TARGET = ROOT / "fairdistill/settings/torchvision_networks.py"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_text(TARGET, content({kind: measure(kind) for kind in kinds()}))


if __name__ == "__main__":
    run_script(main)
