"""The archive of a study: one ZIP file with all that others need to check and to redraw it, for a data repository.

It has no images but those in figures, and no weights: these are named by their checksums. The same files give the same
bytes, so that two archives of a study can be compared.
"""

import hashlib
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fairdistill.evaluation.records import read_record
from fairdistill.reporting.columns import NAMES
from fairdistill.reporting.models import read_files
from fairdistill.reporting.runs import csv_text
from fairdistill.runtime.files import replacing

MANIFEST = "manifest-sha256.txt"
# of ZIP's times the first
BEGINNING = (1980, 1, 1, 0, 0, 0)
# what a study is made with, beside the packages
CODE = (
    *("Snakefile", "fairdistill", "scripts", "workflow", "envs", "config", "profiles", "notebooks"),
    *("Makefile", "pyproject.toml", "requirements.in", "requirements.lock", "LICENSE", "CITATION.cff", "README.md"),
)
MODELS = [*NAMES, "role", "dataset_sha256", "weights_sha256", "predictions_sha256", "code", "commit"]
MODELS += ["precision", "device", "cpu", "gpu", "packages"]


def list_models(files: Mapping[str, tuple]) -> str:
    """Return a table, as CSV, of the models of a study: their checksums, code, hardware and packages.

    Parameters
    ----------
    files
        The metrics file of each model, and the values of `NAMES` of the model: see
        `fairdistill.reporting.models.model_paths`.

    Raises
    ------
    UserError
        If a metrics file is missing, damaged or of another model.
    """
    read_files(files)
    rows = []
    for path, names in files.items():
        record = read_record(path)
        rows.append(
            dict(zip(NAMES, names, strict=True))
            | {"role": record.run.role, "dataset_sha256": record.inputs.dataset}
            | {"weights_sha256": record.outputs.weights, "predictions_sha256": record.outputs.predictions}
            | {name: getattr(record, name) for name in ("code", "commit", "precision", "device")}
            | {"cpu": record.hardware.cpu, "gpu": record.hardware.gpu}
            | {"packages": " ".join(f"{name}={version}" for name, version in sorted(record.versions.items()))}
        )
    return csv_text(pd.DataFrame(rows, columns=MODELS))


def code_files(root: Path) -> dict[str, Path]:
    """Return the files of the code below a checkout, by their names in an archive.

    They are those that git tracks: what else lies in these folders, as a configuration with a password, is the user's
    own. Without git, or in a copy that is no checkout, there are none.
    """
    try:
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--", *CODE], capture_output=True, text=True, check=True
        ).stdout
        # within another project's checkout, git would list nothing or that project's files
        if not (root / ".git").exists():
            return {}
    except (OSError, subprocess.CalledProcessError):
        return {}
    files = {name: root / name for name in listed.split("\0") if name}
    return {f"code/{name}": file for name, file in files.items() if file.is_file() and not file.is_symlink()}


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
