"""The archive of a study: one ZIP file with all that others need to check and to redraw it, for a data repository.

It has no images but those in figures, and no weights: these are named by their checksums. The same files give the same
bytes, so that two archives of a study can be compared.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd

from fairdistill import __version__
from fairdistill.evaluation.records import read_record
from fairdistill.reporting.columns import TRAINING
from fairdistill.reporting.csv_files import csv_text
from fairdistill.reporting.labels import listed
from fairdistill.reporting.models import gather
from fairdistill.runtime import provenance
from fairdistill.runtime.files import replacing

MANIFEST = "manifest-sha256.txt"
# The first time that a ZIP file can hold, which all entries have.
BEGINNING = (1980, 1, 1, 0, 0, 0)
README = """# {study}

Results of a study made with fairdistill {version}, a Snakemake pipeline for fair image classification by distillation.

| what | where |
| --- | --- |
| the results, as a page for the browser | `page.html` |
| tables and figures | `tables/`, `figures/` |
| the scores of each model, and the record of its training | `metrics/` |
| the checksums of each model's weights, predictions and data set; its code, hardware and packages | `models.csv` |
| the configuration | `config.yaml` |
| {code} |
| the SHA-256 of each file | `manifest-sha256.txt` |

To check the files, run `sha256sum --check manifest-sha256.txt` in this folder.

To regenerate the tables and figures from the metrics, without training, copy `metrics/` to `results/{study}/metrics/`
in {where}, and run there

    make env
    export PATH="$PWD/.venv/bin:$PATH"
    snakemake --cores 1 figures{targets} --configfile {config}

{lacking}{compared}{untracked}Weights and data sets are not included. With the data, this trains the models again:

    snakemake --cores 8 --configfile {config}
"""
COMPARED = """`tables/published_vs_own.*` cannot be made from this archive alone, as the study that this one is
compared with is not included. Without that study these tables are left out; if `config.yaml` names it, as
`published`, remove that line first.

"""
UNTRACKED = """The following code files were also present and may have been run. They are not included, as git
does not track them. Their SHA-256:

{files}

"""
# What is made from the models, by the names of its files in the archive.
OF_MODELS = {
    "tables/features.csv": "`tables/features.csv`",
    "figures/training_curves_*": "the training curves",
    "figures/worst_cells_*": "the example images",
}
CRITERIA = "tables/criteria.csv"
MODELS = [*TRAINING, "role", "dataset_sha256", "weights_sha256", "predictions_sha256", "code", "commit"]
MODELS += ["precision", "device", "cpu", "gpu", "packages"]


def list_models(files: Mapping[str, tuple]) -> str:
    """Return a table, as CSV, of the models of a study: their checksums, code, hardware and packages.

    Parameters
    ----------
    files
        The metrics file of each model, and the values of `TRAINING` of the model: see
        `fairdistill.reporting.grids.model_paths`.

    Raises
    ------
    UserError
        If a metrics file is missing, damaged or of another model.
    """
    records = {path: read_record(path) for path in files}
    gather(records.items(), names_of=files)
    rows = []
    for path, names in files.items():
        record = records[path]
        rows.append(
            dict(zip(TRAINING, names, strict=True))
            | {"role": record.run.role, "dataset_sha256": record.inputs.dataset}
            | {"weights_sha256": record.outputs.weights, "predictions_sha256": record.outputs.predictions}
            | {name: getattr(record, name) for name in ("code", "commit", "precision", "device")}
            | {"cpu": record.hardware.cpu, "gpu": record.hardware.gpu}
            | {"packages": " ".join(f"{name}={version}" for name, version in sorted(record.versions.items()))}
        )
    return csv_text(pd.DataFrame(rows, columns=MODELS))


def code_files() -> dict[str, Path]:
    """Return the files of the code, by their names in an archive; none where the code is no git checkout.

    They are those that git tracks: what else lies in these folders, as a configuration with a password, is the user's
    own.
    """
    files = {f"code/{name}": provenance.ROOT / name for name in provenance.tracked_files()}
    return {name: file for name, file in files.items() if file.is_file() and not file.is_symlink()}


def readme(
    study: str, contents: Iterable[str], *, state: str | None, has_code: bool, untracked: Mapping[str, str]
) -> str:
    """Return the README.md of an archive: what is in it, and how it is checked and drawn anew.

    Parameters
    ----------
    contents
        The names of the files in the archive.
    state
        Of the code, see `fairdistill.runtime.provenance.tracked_state`.
    has_code
        Whether the code is in the archive.
    untracked
        The SHA-256 of files of code that are not in it, see `fairdistill.runtime.provenance.untracked_code`.
    """
    names = set(contents)
    lacking = [what for form, what in OF_MODELS.items() if any(fnmatchcase(name, form) for name in names)]
    files = [f"    {digest}  {name}" for name, digest in untracked.items()]
    commit, _, changes = (state or "").partition("-modified-")
    of_commit = f", commit `{commit}`" if commit else ""
    if changes:
        of_commit += f" with changes that are in no commit (their digest: {changes})"
    code = f"the code that git tracks{of_commit}, and the versions of the packages (`requirements.lock`) | `code/`"
    return README.format(
        study=study,
        version=__version__,
        code=code
        if has_code
        else f"the code of fairdistill {__version__} | not included, as it was not a git checkout",
        where="`code/`" if has_code else f"the code of fairdistill {__version__}",
        config="../config.yaml" if has_code else "/path/to/config.yaml",
        targets=f" results/{study}/{CRITERIA}" if CRITERIA in names else "",
        lacking=f"Cannot be regenerated without the models: {listed(lacking)}.\n\n" if lacking else "",
        compared=COMPARED if "tables/published_vs_own.csv" in names else "",
        untracked=UNTRACKED.format(files="\n".join(files)) if files else "",
    )


def write_archive(path: Path, folder: str, contents: Mapping[str, Path | str]) -> None:
    """Write a ZIP file with a manifest of its files' SHA-256, as `sha256sum --check` reads it.

    Parameters
    ----------
    folder
        What all names in the archive begin with.
    contents
        By its name in the archive: a file, or a text.
    """
    with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        manifest = []
        for name, content in sorted(contents.items()):
            data = content.encode() if isinstance(content, str) else content.read_bytes()
            manifest.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
            archive.writestr(_entry(f"{folder}/{name}"), data)
        archive.writestr(_entry(f"{folder}/{MANIFEST}"), "".join(manifest))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, BEGINNING)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
