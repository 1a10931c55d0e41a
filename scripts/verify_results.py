"""Recompute what a study publishes, and say what does not match.

The tables are made again from the metrics of the models in runs.csv, and must be the same except for rounding, as sums
may end in another digit on another processor. runs.csv must have every seed of these models, and each of them and of
their bases must have its metrics. All numbers in each metrics file are compared with the correctness in it, and with
the model's predictions if they exist: to rounding, or to 0.01 if the bootstrap was computed with another version of
numpy, whose random numbers differ. The accuracy of each cell is also compared with the file of probabilities beside the
metrics file, which must exist if the metrics file names one; half precision leaves open only whether an image is right
if it has made the image's most probable classes equal.

The base of a student must be the one that the study has evaluated; probed features and exported models must belong to
the models that were evaluated. If the study's models exist, each must have its files, with the checksums in its metrics
file, and the training.json that this file begins with. If the prepared data exist, they must be complete and those that
the models were trained on.

One line says what was not checked. The exit status is 1 if anything differs.
"""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd
import yaml
from snakemake.utils import update_config

from fairdistill.reporting.runs import read_runs
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.provenance import ROOT
from fairdistill.runtime.study_files import StudyFiles
from fairdistill.settings.config_files import check_config_file
from fairdistill.settings.configuration import complete
from fairdistill.settings.study import Study
from fairdistill.verification.completeness import require_defined
from fairdistill.verification.study import verify


def read_settings_file(path: Path) -> dict:
    """Return the settings in a configuration file, read as Snakemake reads it: as JSON, or else as YAML."""
    check_config_file(path)
    text = path.read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


def read_study(files: list[Path], runs: pd.DataFrame) -> Study:
    """Return the study that Snakemake would have with these --configfile, with the name and seeds of `runs`.

    Of the seeds that methods have by themselves those are left that `runs` has: the others are still to be trained.
    """
    given: dict = {}
    # like Snakemake, this merges mappings and replaces all else
    for path in files:
        update_config(given, read_settings_file(path))
    seeds = sorted(map(int, runs["seed"].unique()))
    given |= {"study": runs["study"].iat[0], "seeds": seeds}
    if isinstance(own := given.get("method_seeds"), dict):
        given["method_seeds"] = {
            name: ([seed for seed in of if seed in seeds] or None) if isinstance(of, list) else of
            for name, of in own.items()
        }
    config = read_settings_file(ROOT / "config" / "config.yaml")
    update_config(config, given)
    study = complete(config, given)
    require_defined(study, runs)
    return study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/paper"), help="folder of the study")
    parser.add_argument(
        "--configfile",
        nargs="*",
        type=Path,
        default=[],
        help="configuration of the study, read on top of config/config.yaml",
    )
    args = parser.parse_args()

    table = StudyFiles(args.results).tables / "runs.csv"
    if not table.exists():
        raise UserError(f"{table} is missing: there is nothing to verify")
    runs = read_runs(table)
    found = verify(args.results, read_study(args.configfile, runs), runs)
    unchecked = f"{args.results}: not checked: {'; '.join(found.not_checked)}"
    if found.wrong:
        print(unchecked)
        count = f"error: {len(found.wrong)} of the results do not follow from what they are made of"
        sys.exit("\n".join([*found.wrong, count]))
    none = "there are no predictions to compare"
    compared = f"compared with the predictions of {found.predictions}" if found.predictions else none
    print(f"{args.results}: {found.metrics} metrics files and the tables from them hold; {compared}")
    print(unchecked)


if __name__ == "__main__":
    run_script(main)
