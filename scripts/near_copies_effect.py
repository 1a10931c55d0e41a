"""Measure how test images that have a near-copy among the training images change published numbers.

The data sets of a study are prepared again as its metrics files describe them, and test images are found whose family
(see `fairdistill.data.near_copies`) has a member outside the test split. Accuracy, DEO_A and DEO_M of each model are
computed from the right and wrong answers in its metrics file, with and without those images, and so is the difference
between each model and the teacher of its data set, architecture and seed. Nothing is trained, and no rule runs this
script; it needs the archives of the data sets.
"""

import argparse
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from fairdistill.data.near_copies import families
from fairdistill.evaluation.correctness import Correctness, collect
from fairdistill.evaluation.criteria import deo_a, deo_m, overall
from fairdistill.evaluation.records import read_record
from fairdistill.reporting.columns import MEASURED, MODEL, PLACE
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.progress import log
from fairdistill.runtime.study_files import StudyFiles
from fairdistill.settings.arguments import OutputFile, parse_options, require_unwritten
from fairdistill.settings.data import AnyDataSet, DataSet
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.reading import read_settings

RUN = [*MODEL, "seed"]
WITHOUT = [f"{name}_without" for name in MEASURED]


def images_with_copies(settings: DataSet, archives: Path) -> Correctness:
    """Return which test images have a near-copy outside the test split, in the order of a metrics file's answers.

    `archives` is the folder with the archives of the data sets.
    """
    prepared = import_module(settings.implementation).prepare(
        settings, *(archives / name for name in settings.archives)
    )
    family = families(prepared.images)
    is_test = (prepared.samples["split"] == "test").to_numpy()
    test = prepared.samples[is_test]
    return collect(
        right=np.isin(family[is_test], family[~is_test]),
        label=test["label"].to_numpy(),
        group=test["group"].to_numpy(),
        image_id=test["image_id"].to_numpy(),
        shape=(len(prepared.groups), len(prepared.classes)),
    )


def effect(answers: Correctness, copied: Correctness) -> dict[str, float]:
    """Measure one model on all test images, on those with copies, and without them.

    Parameters
    ----------
    answers, copied
        Whether each image is classified correctly, and whether it has a copy; of the same images.

    Raises
    ------
    UserError
        The images are not the same, or a cell has none without a copy.
    """
    if answers.images != copied.images:
        raise UserError("the model was tested on other images than the data set has; prepare it with the same version")
    cells = [list(zip(*rows, strict=True)) for rows in zip(answers.right, copied.right, strict=True)]
    without = [[right[~copies] for right, copies in row] for row in cells]
    if not all(len(right) for row in without for right in row):
        raise UserError("all images of a (class, group) cell have copies, so that no DEO is left without them")
    on_copies = np.concatenate([right[copies] for row in cells for right, copies in row])
    return {
        "n": int(answers.count.sum()),
        "copies": len(on_copies),
        **dict(zip(MEASURED, measured(answers), strict=True)),
        "accuracy_on_copies": on_copies.mean() if len(on_copies) else np.nan,
        **dict(zip(WITHOUT, measured(replace(answers, right=without, images="")), strict=True)),
    }


def measured(answers: Correctness) -> list[float]:
    """Return accuracy, DEO_A and DEO_M, as `MEASURED` names them."""
    accuracy = answers.accuracy
    return [float(overall(accuracy, answers.share)), float(deo_a(accuracy)), float(deo_m(accuracy))]


def with_gaps(models: pd.DataFrame) -> pd.DataFrame:
    """Return the table of the models, and below it that of their differences to their teachers.

    The column `minus` is empty in rows of models, and names the teacher in rows of differences.
    """
    names = [*PLACE, "seed"]
    pairs = models[models["method"] != TEACHER].merge(
        models[models["method"] == TEACHER], on=names, suffixes=("", "_t")
    )
    values = [*MEASURED, "accuracy_on_copies", *WITHOUT]
    gaps = pairs.assign(minus=TEACHER, **{name: pairs[name] - pairs[f"{name}_t"] for name in values})
    models = models.assign(minus="")[[*MODEL, "minus", "seed", "n", "copies", *values]]
    return pd.concat([models, gaps[models.columns]], ignore_index=True)


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Return means over seeds, and `_moves`: how much each measure changes when the images with copies are left out."""
    models = table.groupby([*MODEL, "minus"], sort=False)
    means, seeds = models.mean(numeric_only=True).reset_index(), models.size().to_numpy()
    moves = {f"{name}_moves": means[f"{name}_without"] - means[name] for name in MEASURED}
    shown = means.assign(seeds=seeds, **moves)
    return shown[[*MODEL, "minus", "seeds", "copies", "accuracy_on_copies", "accuracy_without", *MEASURED, *moves]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="folder of the study, such as results/paper")
    parser.add_argument("--archives", type=Path, required=True, help="folder with the archives of the data sets")
    parser.add_argument(
        "--csv", type=OutputFile, help="table to write, one row per model and per difference to a teacher"
    )
    parser.add_argument("datasets", nargs="+", help="data sets of the study, such as utkface", metavar="DATASET")
    args = parse_options(parser)
    metrics = StudyFiles(args.results).metrics
    require_unwritten(args, "results", f"{metrics}/{{file}}")

    rows = []
    for name in args.datasets:
        paths = sorted((metrics / name).rglob("*.json"))
        if not paths:
            raise UserError(f"{args.results}/metrics/{name} has no metrics files; name a data set of the study")
        copied: dict[str, Correctness] = {}
        for path in paths:
            record = read_record(path)
            settings = read_settings(AnyDataSet, record.data.settings.model_dump(exclude_unset=True), where=str(path))
            if settings.folds > 1 or not settings.archives:
                raise UserError(f"{name} has folds or no archive; name a data set with one test split and an archive")
            drawn = settings.drawn_for(record.run.seed)
            # the models of one data set share it
            key = drawn.model_dump_json()
            if key not in copied:
                require_unwritten(args, "archives", *(args.archives / archive for archive in settings.archives))
                copied[key] = images_with_copies(drawn, args.archives)
            try:
                answers = record.metrics.answers(classes=record.classes, groups=record.groups)
                rows.append({column: getattr(record.run, column) for column in RUN} | effect(answers, copied[key]))
            except UserError as error:
                raise UserError(f"{path}: {error}") from error
        log(f"{name}: {len(paths)} models")
    table = with_gaps(pd.DataFrame(rows))
    if args.csv:
        # without the last bits, which differ from machine to machine
        write_csv(args.csv, table.round(12))
    print(markdown(over_seeds(table).round(4)))


if __name__ == "__main__":
    run_script(main)
