"""Write the JSON schema of a configuration, and the tables of config/README.md, from the classes of settings.

Both are written from `fairdistill.settings`; run it after a change there:

    python -m scripts.describe_settings
"""

import argparse

from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import write_text
from fairdistill.runtime.provenance import ROOT
from fairdistill.settings.documents import readme_text, schema_text

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.json"
README = ROOT / "config" / "README.md"


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    write_text(SCHEMA, schema_text())
    write_text(README, readme_text(README.read_text(encoding="utf-8")))
    print(f"wrote {SCHEMA.relative_to(ROOT)} and the tables of {README.relative_to(ROOT)}")


if __name__ == "__main__":
    run_script(main)
