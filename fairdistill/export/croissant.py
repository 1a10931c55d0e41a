"""Metadata of a prepared data set in the Croissant format, which data set search and machine-learning libraries read.

Akhtar et al., "Croissant: A Metadata Format for ML-Ready Datasets", 2024; docs.mlcommons.org/croissant.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import mlcroissant

from fairdistill.data.reading import split_columns
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import sha256
from fairdistill.runtime.study_files import DATASET_RECORD, IMAGES, SAMPLES
from fairdistill.settings.data import DataSet

PARQUET, NUMPY, JSON_TYPE = "application/x-parquet", "application/octet-stream", "application/json"
RECORDS = "samples"


def croissant_text(folder: Path, info: Mapping, settings: DataSet, *, name: str, terms: str | None = None) -> str:
    """Return croissant.json of a prepared data set; it describes the images and holds none.

    It belongs into the folder of the prepared data set, where its files are. There, or where they were copied to,
    mlcroissant reads the records: a row for each image, with its split, class and group. What is not known of a data
    set that nobody has published, such as the date of that, is left out.

    Parameters
    ----------
    folder
        Of the prepared data set.
    info
        The content of its dataset.json.
    settings
        In it.
    name
        The data set's name.
    terms
        What the user says that images of their own may be used for.

    Raises
    ------
    UserError
        mlcroissant finds an error in the metadata.
    """
    context = mlcroissant.Context()
    files = {
        DATASET_RECORD: (JSON_TYPE, "Settings, names of classes and groups, counts of each split, and notes."),
        SAMPLES: (PARQUET, "A row for each image: its split, class and group."),
        IMAGES: (
            NUMPY,
            f"The images, uint8 ({info['images']}, {info['image_size']}, {info['image_size']}, 3), in the order of the "
            "samples. It is not published with this description; the pipeline makes it anew from its source.",
        ),
    }
    distribution = [
        mlcroissant.FileObject(
            ctx=context,
            id=file,
            name=file,
            description=description,
            content_url=file,
            content_size=f"{(folder / file).stat().st_size} B",
            encoding_formats=[encoding],
            sha256=sha256(folder / file),
        )
        for file, (encoding, description) in files.items()
    ]
    columns = {"sample_id": ("Number of the image, from 0.", mlcroissant.DataType.INTEGER)}
    columns["image_id"] = ("The image in the source that this one was made of.", mlcroissant.DataType.TEXT)
    for split in split_columns(len(info["folds"])):
        columns[split] = ("train, validation or test; empty for neither.", mlcroissant.DataType.TEXT)
    for code, names in (("label", "classes"), ("group", "groups")):
        shown = ", ".join(f"{number}: {one}" for number, one in enumerate(info[names]))
        columns[code] = (f"The {code}, a position in {names} of dataset.json. {shown}", mlcroissant.DataType.INTEGER)
    records = mlcroissant.RecordSet(
        ctx=context,
        id=RECORDS,
        name=RECORDS,
        description="The images, without their pixels.",
        fields=[
            mlcroissant.Field(
                ctx=context,
                id=f"{RECORDS}/{column}",
                name=column,
                description=description,
                data_types=kind,
                source=mlcroissant.Source(
                    ctx=context, file_object=SAMPLES, extract=mlcroissant.Extract(ctx=context, column=column)
                ),
            )
            for column, (description, kind) in columns.items()
        ],
    )
    metadata = mlcroissant.Metadata(
        ctx=context,
        name=name,
        description=describe(info, settings, terms),
        license=[settings.terms_url or settings.terms_of_use(terms)],
        url=settings.terms_url or None,
        distribution=distribution,
        record_sets=[records],
        data_biases=[skew(info)],
        personal_sensitive_information=[f"The groups are {', '.join(info['groups'])}."],
    )
    if metadata.issues.errors:
        raise UserError(f"{folder}: no valid Croissant metadata: {sorted(metadata.issues.errors)[0]}")
    return json.dumps(metadata.to_json(), indent=2, ensure_ascii=False, default=str) + "\n"


def describe(info: Mapping, settings: DataSet, terms: str | None) -> str:
    """Return what the data set is, in sentences."""
    counts = {split: sum(map(sum, table)) for split, table in info["folds"][0]["counts"].items()}
    shown = ", ".join(f"{count} {split}" for split, count in counts.items())
    fold = " (fold 0)" if len(info["folds"]) > 1 else ""
    return (
        f"{info['images']} images of {info['image_size']} px, made of {settings.origin}: {shown}{fold}; "
        f"{len(info['classes'])} classes and {len(info['groups'])} groups. The images: {settings.terms_of_use(terms)}."
    )


def skew(info: Mapping) -> str:
    """Return how unevenly the training images of each class are divided among the groups, in a sentence."""
    table = info["folds"][0]["counts"]["train"]
    parts = []
    for name, row in zip(info["classes"], table, strict=True):
        largest = max(range(len(row)), key=row.__getitem__)
        parts.append(f"{name}: {row[largest] / sum(row):.0%} {info['groups'][largest]}")
    return f"The largest group of each class among the training images: {'; '.join(parts)}."
