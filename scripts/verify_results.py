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
import io
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from snakemake.utils import update_config

from fairdistill.data.reading import load_dataset, view_digest
from fairdistill.evaluation.correctness import from_metrics
from fairdistill.evaluation.metrics import SPLITS, evaluate_file, score
from fairdistill.evaluation.probabilities import read_cells
from fairdistill.evaluation.records import read_record
from fairdistill.export.files import OF_A_MODEL, SPEED
from fairdistill.export.records import read_exported, read_speed
from fairdistill.reporting.ablation_pages import ablations_latex, ablations_markdown
from fairdistill.reporting.ablations import ablations, compared_runs
from fairdistill.reporting.columns import BASE, IDENTITY, MEASURED, NAMES, OVER_SEEDS, PLACE
from fairdistill.reporting.criteria import criteria_table
from fairdistill.reporting.features import Features, features_table, read_features, read_probed
from fairdistill.reporting.models import Models, in_grid_order, in_order, path_of_model, read_files
from fairdistill.reporting.pairs import pair_with_bases, read_paired
from fairdistill.reporting.paper.comparison import as_table, compare, comparison_markdown
from fairdistill.reporting.paper.conclusions import judge
from fairdistill.reporting.published import compare_studies, studies_markdown
from fairdistill.reporting.ranking import cells_table, rank_methods
from fairdistill.reporting.ranking_pages import ranking_latex, ranking_markdown
from fairdistill.reporting.runs import AGGREGATE, csv_text, read_runs, read_table, read_validation, with_settings
from fairdistill.reporting.search import Candidates, choose, read_search, search_markdown
from fairdistill.reporting.summaries import read_summary, summarise
from fairdistill.reporting.tables import paired_markdown, table1, table1_latex, table1_markdown
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.files import read_json, sha256
from fairdistill.runtime.provenance import ROOT
from fairdistill.settings.configuration import complete
from fairdistill.settings.data import name_draw
from fairdistill.settings.paper import judges_conclusions, read_paper_values
from fairdistill.settings.study import Study
from fairdistill.settings.training_record import TrainingRecord, read_training

METRICS = "metrics/{dataset}/{architecture}/{method}/seed{seed}{fold}.json"
PREDICTIONS, TRAINING = "predictions.parquet", "training.json"
ROUNDING = 1e-9
# in a table, which has roots of variances: those of models that do not differ are of nothing but rounding
IN_TABLES = 1e-8
# for a bootstrap with other random numbers, or an inference on another machine: one image of 100
DRAWN = 0.01
# tables that take more than the metrics to make, and the script that makes each: which of their rows have scores that
# are in the metrics too (a column and its value), and how close these are, as in other batches or on another machine an
# image may fall on the other side
SCORED = {
    "splits.csv": ("scripts.compare_splits", "split", "test", DRAWN),
    "near_copies.csv": ("scripts.near_copies_effect", "minus", "", ROUNDING),
}
ABLATIONS = ["ablations.csv", "ablations.md", "ablations.tex"]


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

    published = {path.name: path for path in (args.results / "tables").glob("*.*")}
    if "runs.csv" not in published:
        raise UserError(f"{args.results}/tables/runs.csv is missing: there is nothing to verify")
    runs = read_runs(published["runs.csv"])
    study = configuration(args.configfile, runs)
    metrics = sorted((args.results / "metrics").rglob("*.json"))
    models = read_files(metrics)
    wrong = [difference for path in metrics for difference in differences_of_metrics(path, args.results)]
    wrong += left_out(models.runs, runs)
    wrong += lacking(models.runs, runs, args.results)
    unchecked = f"{args.results}: not checked: {'; '.join(not_checked(args.results, published))}"
    published.pop("label_noise.csv", None)
    for name, scored in SCORED.items():
        if name in published:
            wrong += differences_of_scores(published.pop(name), *scored, results=args.results)
    if (args.results / "data").is_dir():
        wrong += differences_of_data(metrics, args.results)
    for folder in sorted({path.parent for path in (args.results / "export").rglob("*.*") if path.name in OF_A_MODEL}):
        wrong += differences_of_export(folder, args.results)
    features = sorted((args.results / "features").rglob("*.json"))
    wrong += [difference for path in features for difference in differences_of_features(path, args.results)]
    probed = read_features(features)
    try:
        again = tables(models, runs, published, study, probed)
    except UserError as error:
        # such as models without metrics that others are compared with; all else is said beside it
        wrong.append(f"the tables cannot be made again: {error}")
        again, published = {}, {}
    if "ablations.csv" in published:
        try:
            again |= ablation_tables(models, published["ablations.csv"], study)
        except UserError as error:
            # which models they are of, the table alone says
            wrong.append(str(error))
            for name in ABLATIONS:
                published.pop(name, None)
    wrong += [f"tables/{name} is of nothing that this configuration makes" for name in published if name not in again]
    for name, text in again.items():
        if name not in published:
            wrong.append(f"tables/{name} is missing")
        elif difference := first_difference(published[name].read_bytes(), text):
            wrong.append(f"tables/{name}: {difference}")
    if wrong:
        print(unchecked)
        sys.exit("\n".join([*wrong, f"error: {len(wrong)} of the results do not follow from what they are made of"]))
    predicted = sum((folder_of(path, args.results) / PREDICTIONS).exists() for path in metrics)
    compared = f"compared with the predictions of {predicted}" if predicted else "there are no predictions to compare"
    print(f"{args.results}: {len(metrics)} metrics files and the tables from them hold; {compared}")
    print(unchecked)


def not_checked(results: Path, published: Collection[str]) -> list[str]:
    """Say what of a study nothing here is compared with."""
    found = [] if (results / "models").is_dir() else ["weights, predictions and histories, as no models are here"]
    found += [] if (results / "data").is_dir() else ["images and splits, as no prepared data are here"]
    found += ["descriptions of data sets (croissant.json)"] * any((results / "data").glob("*/croissant.json"))
    found += ["cards of exported models"] * (results / "export").is_dir()
    found += ["label_noise.csv, which is of the archive alone"] * ("label_noise.csv" in published)
    found += [f"rows of {name} other than those of test images" for name in SCORED if name in published]
    return [*found, "figures"]


def read_settings_file(path: Path) -> dict:
    """Return what a file of settings holds."""
    try:
        read = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())
        raise UserError(f"--configfile: {path} is not readable as YAML ({what}); mend it") from error
    if not isinstance(read, dict):
        raise UserError(f"--configfile: {path} holds no settings; give the study's own file")
    return read


def configuration(files: list[Path], runs: pd.DataFrame) -> Study:
    """Return the study that Snakemake has with these files given as --configfile, of the name and seeds of `runs`."""
    given: dict = {}
    # as Snakemake does: mappings are merged, all else is replaced
    for path in files:
        update_config(given, read_settings_file(path))
    given |= {"study": runs["study"].iat[0], "seeds": sorted(map(int, runs["seed"].unique()))}
    config = read_settings_file(ROOT / "config" / "config.yaml")
    update_config(config, given)
    study = complete(config, given)
    known: dict[str, Collection[str]] = {
        "dataset": study.data.sets,
        "architecture": study.networks,
        "method": ["teacher", *study.students],
    }
    for column, names in known.items():
        for name in runs[column].unique():
            if name not in names:
                raise UserError(
                    f"runs.csv has the {column} {name}, which the configuration does not define; give the study's "
                    "own with --configfile"
                )
    return study


def tables(
    models: Models, listed: pd.DataFrame, published: Mapping[str, Path], study: Study, features: Features
) -> dict[str, str]:
    """Make the text of every table of the study again, by file name; `listed` is what runs.csv has."""
    names = listed[IDENTITY]
    if models.runs.merge(names).empty:
        raise UserError(f"{published['runs.csv']}: none of its models has a metrics file; make it with {AGGREGATE}")
    order = in_order(study.main_grids, models.runs.merge(names))
    runs, validation = (in_grid_order(table.merge(names), order) for table in (models.runs, models.validation))
    paired = pair_with_bases(runs, models.answers)
    texts = {"runs.csv": csv_text(with_settings(runs, models.settings))}
    texts |= {"summary.csv": csv_text(summarise(runs, models.answers))}
    texts |= {"paired.csv": csv_text(paired), "paired.md": paired_markdown(paired)}
    if any(study.data.sets[name].has_validation for name in study.datasets):
        texts["validation.csv"] = csv_text(with_settings(validation, models.settings))
    if study.search:
        texts |= search_tables(texts, study)
    # what follows was made from the tables, with their digits
    summary, paired = read_summary(io.StringIO(texts["summary.csv"])), read_paired(io.StringIO(texts["paired.csv"]))
    texts |= {"table1.csv": csv_text(table1(summary)), "table1.md": table1_markdown(summary)}
    texts["table1.tex"] = table1_latex(summary)
    criteria = in_grid_order(models.criteria.merge(names), order)
    # there only where the models were evaluated since there are criteria
    if "criteria.csv" in published or not criteria.empty:
        texts["criteria.csv"] = csv_text(criteria_table(criteria, models.answers))
    tests, consistency = (in_grid_order(table.merge(names), order) for table in (features.tests, features.consistency))
    # there only where the configuration has them probed, and where the models were there
    if "features.csv" in published or (study.probe_features and not tests.empty):
        texts["features.csv"] = csv_text(features_table(Features(tests, consistency), models.answers))
    if len(study.methods) > 1:
        texts |= methods_tables(replace(models, runs=runs), study)
    if study.paper_values:
        texts |= paper_tables(summary, paired, study, Path(study.paper_values))
    # there only where the published study was, when the tables were made
    if "published_vs_own.csv" in published and study.published:
        comparison = compare_studies(read_summary(Path(study.published, "tables", "summary.csv")), summary)
        texts["published_vs_own.csv"] = csv_text(comparison)
        texts["published_vs_own.md"] = studies_markdown(comparison, published=study.published)
    return texts


def methods_tables(models: Models, study: Study) -> dict[str, str]:
    """Make the comparison of all methods again."""
    table, references = rank_methods(models, study.compared_with), study.compared_with
    texts = {"methods.csv": csv_text(table), "methods.md": ranking_markdown(table, references)}
    return texts | {"methods.tex": ranking_latex(table, references), "cells.csv": csv_text(cells_table(models))}


def search_tables(texts: dict[str, str], study: Study) -> dict[str, str]:
    """Make the tables of what was chosen on the validation split again."""
    validation, summary = (
        read_validation(io.StringIO(texts["validation.csv"])),
        read_summary(io.StringIO(texts["summary.csv"])),
    )
    searches = [Candidates(sweep=name, rule=rule, models=study.sweeps()[name]) for name, rule in study.search.items()]
    search = csv_text(choose(validation, searches, architectures=study.architectures))
    return {"search.csv": search, "search.md": search_markdown(read_search(io.StringIO(search)), summary)}


def ablation_tables(models: Models, published: Path, study: Study) -> dict[str, str]:
    """Make the tables of what each part brings again, of the models that the published one is of."""
    listed = compared_runs(published)
    compared = models.runs.merge(listed)
    if len(compared[[*PLACE, "seed"]].drop_duplicates()) < len(listed):
        raise UserError(f"{published}: is of models that have no metrics file; make it with scripts.make_ablations")
    order = in_order(study.all_grids, compared)
    if unknown := [name for column in PLACE for name in listed[column].unique() if name not in order[column]]:
        raise UserError(
            f"{published}: is of {unknown[0]}, which no grid of the configuration has; give the study's own with "
            "--configfile"
        )
    table = ablations(replace(models, runs=compared), order=order, sweeps=study.sweeps_of_columns)
    return dict(zip(ABLATIONS, [csv_text(table), ablations_markdown(table), ablations_latex(table)], strict=True))


def paper_tables(summary: pd.DataFrame, paired: pd.DataFrame, study: Study, paper_values: Path) -> dict[str, str]:
    """Make the comparison with the paper again; its conclusions are those of the project's own values alone."""
    method, verdicts, texts = study.paper_method, None, {}
    if judges_conclusions(study, ROOT / "config" / "paper_values.csv"):
        verdicts = judge(paired, method=method)
        texts["paper_conclusions.csv"] = csv_text(verdicts)
    comparison = compare(summary, paired, as_table(read_paper_values(paper_values)), method=method)
    texts["paper_vs_reproduced.csv"] = csv_text(comparison)
    texts["paper_vs_reproduced.md"] = comparison_markdown(comparison, verdicts, method=method)
    return texts


def differences_of_metrics(path: Path, results: Path) -> list[str]:
    """Say what in a metrics file does not follow from its correctness and from the predictions of its model."""
    record = read_json(path)  # as `read_files` has checked it
    names = {"classes": record["classes"], "groups": record["groups"]}
    # numpy may draw other numbers in another version
    drawn = ROUNDING if record["evaluation_versions"].get("numpy") == np.__version__ else DRAWN
    folder = folder_of(path, results)
    again = {field: score(from_metrics(record[field], **names), **names) for field in fields_of(record)}
    sources: list[tuple[Path | str, dict]] = [("the correctness", again)]
    others = differences_of_model(path, record, folder) if (results / "models").is_dir() else []
    if (predictions := folder / PREDICTIONS).is_file() and sha256(predictions) == record["outputs"].get(PREDICTIONS):
        options = {"weighting": record.get("weighting", "images"), "training_images": record.get("training_images")}
        sources.append((predictions, evaluate_file(predictions, **names, **options)))
    found = [
        f"{path}: {label(field)}{name} does not follow from {source}"
        for source, scores in sources
        for field in fields_of(record) | fields_of(scores)
        for name in differing(record.get(field, {}), scores.get(field, {}), drawn)
    ]
    found += others + differences_of_probabilities(path, record)
    return found + differences_of_base(path, record, results)


def differences_of_model(path: Path, record: dict, folder: Path) -> list[str]:
    """Say which files of a model are missing, or are not those that its metrics file is of."""
    found = []
    for name in (*record["outputs"], TRAINING):
        if not (file := folder / name).is_file():
            found.append(f"{path}: {file} is missing")
        elif name == TRAINING:
            try:
                trained, _ = read_training(file)
            except UserError as error:
                found.append(str(error))
                continue
            # a metrics file has them all, and more
            fields = dict.fromkeys([*trained, *(TrainingRecord.model_fields.keys() & record.keys())])
            found += [f"{path}: {key} is not that of {file}" for key in fields if trained.get(key) != record.get(key)]
        elif sha256(file) != record["outputs"][name]:
            found.append(f"{path}: {file} is another than the one evaluated")
    return found


def differences_of_data(metrics: Sequence[Path], results: Path) -> list[str]:
    """Say which prepared data sets are missing, damaged, or not those that the models were trained on."""
    # by folder and fold, the digests of what was trained on, each with one of the models
    trained_on: dict[tuple[Path, int], dict[tuple[str, str | None], Path]] = {}
    for path in metrics:
        record = read_record(path)
        draw = name_draw(record.data.settings.per_seed, record.run.seed)
        place = results / "data" / f"{record.run.dataset}{draw}", record.run.fold
        inputs = record.inputs
        trained_on.setdefault(place, {})[inputs.dataset, inputs.normalisation_and_crop] = path
    wrong = []
    for (folder, fold), models in trained_on.items():
        if not folder.is_dir():
            wrong.append(f"{folder} is missing")
            continue
        try:
            dataset = load_dataset(folder, fold)
        except (UserError, OSError) as error:
            wrong.append(str(error))
            continue
        found = dataset.info["sha256"], view_digest(dataset)
        for digests, path in models.items():
            # records of earlier versions have none of the second
            if (digests[0], digests[1] or found[1]) != found:
                wrong.append(f"{path}: {folder} is another data set than the one trained on")
    return list(dict.fromkeys(wrong))


def differences_of_export(folder: Path, results: Path) -> list[str]:
    """Say where the files of an exported model are not those of its record, or of another model."""
    metrics = results / "metrics" / folder.relative_to(results / "export")
    metrics = metrics.with_name(f"{metrics.name}.json")
    try:
        exported = read_exported(folder)
        if (speed := folder / SPEED).exists():
            read_speed(speed)
    except (UserError, OSError) as error:
        return [str(error)]
    if not metrics.exists():
        return [f"{folder}: there is no {metrics}"]
    return [] if exported.outputs == read_record(metrics).outputs else [f"{folder}: is of another model than {metrics}"]


def differences_of_probabilities(path: Path, record: dict) -> list[str]:
    """Say where a metrics file and the file of probabilities beside it do not belong together.

    What is compared is the accuracy of each cell by the correctness, from which all scores follow.
    """
    file, digest = path.with_suffix(".parquet"), record.get("probabilities")
    if not file.exists():
        return [f"{path}: {file} is missing"] if digest else []
    if sha256(file) != digest:
        return [f"{path}: {file} is another than the one evaluated"]
    classes, groups = record["classes"], record["groups"]
    try:
        found = read_cells(file, classes=classes, groups=groups)
    except UserError as error:
        return [str(error)]
    if found.keys() != fields_of(record).keys():
        return [f"{path}: {file} is of other splits"]
    wrong = []
    for field, (least, most, count) in found.items():
        answers = from_metrics(record[field], classes=classes, groups=groups)
        if (answers.count != count).any():
            wrong.append(f"{path}: {label(field)}cell_count does not follow from {file}")
        elif ((answers.accuracy < least - ROUNDING) | (answers.accuracy > most + ROUNDING)).any():
            wrong.append(f"{path}: {label(field)}correctness does not follow from {file}")
    return wrong


def differences_of_features(path: Path, results: Path) -> list[str]:
    """Say where the features that were probed are not those of the model that was evaluated."""
    metrics = results / "metrics" / path.relative_to(results / "features")
    if not metrics.exists():
        return [f"{path}: there is no {metrics}"]
    probed, record = read_probed(path), read_record(metrics)
    same = (probed.run, probed.inputs, probed.outputs) == (record.run, record.inputs, record.outputs)
    return [] if same else [f"{path}: is of another model than {metrics}"]


def fields_of(record: dict) -> dict[str, None]:
    """The fields that hold the scores of a split, in order."""
    return {field: None for field in SPLITS.values() if field in record}


def label(field: str) -> str:
    """How the scores of another split than the test split are named."""
    return "" if field == SPLITS["test"] else f"{field}."


def folder_of(path: Path, results: Path) -> Path:
    """Where the outputs of the model are, if they are kept, whose metrics file is `path`."""
    return results / "models" / path.relative_to(results / "metrics").with_suffix("")


def differences_of_base(path: Path, record: dict, results: Path) -> list[str]:
    """Say where a model stands on another base than the one that the study has evaluated."""
    run, digest = record["run"], record["inputs"].get("base")
    if run["base"] is None:
        return []
    base = results / "metrics" / run["dataset"] / run["base"]["architecture"] / run["base"]["method"]
    base = base / path.name
    evaluated = read_json(base)["outputs"]["weights.safetensors"] if base.exists() else digest
    return [] if digest == evaluated else [f"{path}: its base is another than that of {base}"]


def differences_of_scores(
    path: Path, maker: str, column: str, value: str, tolerance: float, *, results: Path
) -> list[str]:
    """Compare the scores on test images in those rows of a table that have a value with the metrics of the models."""
    texts = [*PLACE, column]
    try:
        table = read_table(path, [*texts, "seed", *MEASURED], texts=texts, whole=["seed"], maker=maker)
    except UserError as error:
        return [str(error)]
    scored = table[table[column] == value]
    if scored.empty:
        return [f"{path}: has no scores on test images; make it with {maker}"]
    wrong = []
    for row in scored.to_dict("records"):
        folder = Path(row["dataset"], row["architecture"], row["method"])
        model = folder / f"seed{row['seed']}.json"
        if not (results / "metrics" / model).exists():
            model = folder / f"seed{row['seed']}-fold{row.get('fold')}.json"
        if not (results / "metrics" / model).exists():
            wrong.append(f"tables/{path.name}: there is no metrics/{model}")
            continue
        metrics = read_record(results / "metrics" / model).metrics
        wrong += [
            f"tables/{path.name}: {name} is not that of metrics/{model}"
            for name in MEASURED
            # nor is a number that is missing
            if not abs(row[name] - getattr(metrics, name)) <= tolerance
        ]
    return wrong


def left_out(metrics: pd.DataFrame, published: pd.DataFrame) -> list[str]:
    """Name the seeds of published models that were evaluated and are not published."""
    of_models = metrics.merge(published[OVER_SEEDS].drop_duplicates())
    runs = set(published[IDENTITY].itertuples(index=False, name=None))
    return [
        f"tables/runs.csv leaves out {' '.join(map(str, run))}"
        for run in of_models[IDENTITY].itertuples(index=False, name=None)
        if run not in runs
    ]


def lacking(metrics: pd.DataFrame, published: pd.DataFrame, results: Path) -> list[str]:
    """Name the metrics files that are not there: of published models, and of the bases of those that were evaluated."""
    bases = metrics[metrics["base_method"] != ""].drop(columns=["architecture", "method"])
    bases = bases.rename(columns={name: name.removeprefix("base_") for name in BASE})
    wanted = pd.concat([published[NAMES], bases[NAMES]]).drop_duplicates()
    folds = wanted.groupby("dataset")["fold"].agg(lambda found: sorted(set(found)))
    paths = [
        path_of_model(f"{results}/{METRICS}", names, folds[names[0]])
        for names in wanted.itertuples(index=False, name=None)
    ]
    return [f"{path} is missing" for path in paths if not Path(path).exists()]


def differing(one: dict, other: dict, drawn: float) -> list[str]:
    """Name the fields that are not the same in both, `uncertainty` and `criteria` to `drawn`.

    Of the right and wrong answers alone follow no `criteria`, and older metrics files have none.
    """
    tolerance = {"uncertainty": drawn, "criteria": drawn}
    names = sorted((one.keys() | other.keys()) - ({"criteria"} - (one.keys() & other.keys())))
    return [name for name in names if not equal(one.get(name), other.get(name), tolerance.get(name, ROUNDING))]


def equal(one: object, other: object, tolerance: float) -> bool:
    """Whether two JSON values are the same, numbers to `tolerance`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(*pair, tolerance) for pair in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance
    return one == other


def same_but_for_rounding(one: str, other: str) -> bool:
    """Whether two lines of a CSV table have the same texts, and numbers that are equal to `IN_TABLES`."""

    def same(part: str, other_part: str) -> bool:
        if part == other_part:
            return True
        try:
            return abs(float(part) - float(other_part)) <= IN_TABLES
        except ValueError:
            return False

    parts, other_parts = (re.split("[, ]", line) for line in (one, other))
    return len(parts) == len(other_parts) and all(map(same, parts, other_parts))


def first_difference(published: bytes, again: str) -> str:
    """Name the first line in which a file and a text differ by more than rounding; empty where there is none."""
    try:
        lines = published.decode().splitlines(), again.splitlines()
    except UnicodeDecodeError as error:
        return f"is no text ({error})"
    for number, (one, other) in enumerate(zip(*lines, strict=False), start=1):
        if one != other and not same_but_for_rounding(one, other):
            return f"line {number} is '{one}', and should be '{other}'"
    return "" if len(lines[0]) == len(lines[1]) else f"has {len(lines[0])} lines, and should have {len(lines[1])}"


if __name__ == "__main__":
    run_script(main)
