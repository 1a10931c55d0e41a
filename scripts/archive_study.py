"""Put a study into one ZIP file for a data repository: all that others need to check it and to draw it anew.

It holds the configuration, the code, the list of packages, the metrics, tables and figures, the page, and of each model
the checksums of its weights, predictions and data set, but neither weights nor data sets.
"""

import argparse
import json
from pathlib import Path

import yaml

from fairdistill import __version__
from fairdistill.reporting.archive import code_files, list_models, write_archive
from fairdistill.reporting.models import model_paths, read_grids
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.progress import log
from fairdistill.runtime.provenance import ROOT
from fairdistill.settings.arguments import add_model_options

README = """# {study}

Results of a study made with fairdistill {version}, a Snakemake pipeline for fair image classification by distillation.

| what | where |
| --- | --- |
| the results, to look at in a browser | `page.html` |
| tables and figures | `tables/`, `figures/` |
| the scores of each model, and the record of its training | `metrics/` |
| the checksums of each model's weights, predictions and data set; its code, hardware and packages | `models.csv` |
| the configuration | `config.yaml` |
| the code as git has it, and the versions of the packages (`requirements.lock`) | `code/` |
| the SHA-256 of each file | `manifest-sha256.txt` |

To check the files: `sha256sum --check manifest-sha256.txt`, in this folder.

To make the tables and figures again from the metrics, without training: copy `metrics/` to `results/{study}/metrics/`
in `code/`, and say there

    make env
    export PATH="$PWD/.venv/bin:$PATH"
    snakemake --cores 1 figures --configfile ../config.yaml

Weights and data sets are not here. With the data, `snakemake --cores 8 --configfile ../config.yaml` trains the models
again.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser, order="models.csv keeps this order")
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--config", required=True, metavar="JSON", help="the configuration")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the study")
    parser.add_argument(
        "--files",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="tables, figures and pages within the folder",
    )
    parser.add_argument("--archive", type=Path, required=True, help="archive to write (ZIP)")
    args = parser.parse_args()

    metrics = model_paths(args.metrics, read_grids(args.grids))
    files = [*args.files, *map(Path, metrics)]
    # what has the probabilities of a metrics file, where it has any
    files += [path for path in (Path(name).with_suffix(".parquet") for name in metrics) if path.is_file()]
    contents: dict[str, Path | str] = {path.relative_to(args.folder).as_posix(): path for path in files}
    contents["README.md"] = README.format(study=args.study, version=__version__)
    contents["config.yaml"] = yaml.safe_dump(json.loads(args.config), sort_keys=False, allow_unicode=True)
    contents["models.csv"] = list_models(metrics)
    code = code_files(ROOT)
    if not code:
        log("the code is no git checkout, and is left out: the archive names its version alone")
    write_archive(args.archive, args.study, contents | code)


if __name__ == "__main__":
    run_script(main)
