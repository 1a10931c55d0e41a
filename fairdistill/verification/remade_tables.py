"""Whether the tables that follow from a study's metrics are the same when they are made again."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from fairdistill.reporting.ablation_pages import ablation_tables
from fairdistill.reporting.ablations import compared_runs
from fairdistill.reporting.columns import IDENTITY, MODEL
from fairdistill.reporting.criteria import criteria_table
from fairdistill.reporting.csv_files import AGGREGATE, csv_text
from fairdistill.reporting.features import Features, features_table
from fairdistill.reporting.grids import in_grid_order, in_order
from fairdistill.reporting.models import Models
from fairdistill.reporting.pair_pages import paired_markdown
from fairdistill.reporting.pairs import pair_with_bases, read_paired
from fairdistill.reporting.paper.comparison import paper_tables
from fairdistill.reporting.published import compare_studies, studies_markdown
from fairdistill.reporting.ranking_pages import methods_tables
from fairdistill.reporting.runs import read_validation, with_settings
from fairdistill.reporting.search import choose, read_search, search_markdown
from fairdistill.reporting.summaries import read_summary, summarise
from fairdistill.reporting.table1 import table1, table1_latex, table1_markdown
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.provenance import ROOT
from fairdistill.runtime.study_files import StudyFiles
from fairdistill.settings.paper import judges_conclusions, read_paper_values
from fairdistill.settings.study import Study
from fairdistill.verification.comparing import first_difference


def differences_of_tables(
    published: Mapping[str, Path], models: Models, listed: pd.DataFrame, study: Study, features: Features
) -> list[str]:
    """Say which tables are missing, differ from those made again, or are none that the configuration makes.

    Parameters
    ----------
    published
        The path of each table, by file name; runs.csv is among them.
    models, features
        What the metrics files and the files of probed features hold.
    listed
        The content of runs.csv.
    study
        The configuration.
    """
    try:
        again = remake_tables(published, models, listed, study, features)
    except UserError as error:
        # such as a base without metrics, which is named elsewhere as well
        return [f"the tables cannot be made again: {error}"]
    wrong, compared = [], dict(published)
    if "ablations.csv" in published:
        try:
            again |= remake_ablations(published["ablations.csv"], models, study)
        except UserError as error:
            wrong.append(str(error))
            compared = {name: path for name, path in published.items() if path.stem != "ablations"}
    wrong += [f"tables/{name} is of nothing that this configuration makes" for name in compared if name not in again]
    for name, text in again.items():
        if name not in compared:
            wrong.append(f"tables/{name} is missing")
        elif difference := first_difference(compared[name].read_bytes(), text):
            wrong.append(f"tables/{name}: {difference}")
    return wrong


def remake_tables(
    published: Mapping[str, Path], models: Models, listed: pd.DataFrame, study: Study, features: Features
) -> dict[str, str]:
    """Return the text of every table of a study but the ablations, by file name; see `differences_of_tables`.

    Raises
    ------
    UserError
        A table cannot be made from these models.
    """
    # a model that is listed, and has features, may lack its metrics file
    names = models.runs[IDENTITY].merge(listed[IDENTITY])
    if names.empty:
        raise UserError(f"{published['runs.csv']}: none of its models has a metrics file; make it with {AGGREGATE}")
    order = in_order(study.main_grids, models.runs.merge(names))
    runs, validation = (in_grid_order(table.merge(names), order) for table in (models.runs, models.validation))
    paired = pair_with_bases(runs, models.trainings)
    texts = {"runs.csv": csv_text(with_settings(runs, models.settings))}
    texts |= {"summary.csv": csv_text(summarise(runs, models.trainings))}
    texts |= {"paired.csv": csv_text(paired), "paired.md": paired_markdown(paired)}
    if study.has_validation:
        texts["validation.csv"] = csv_text(with_settings(validation, models.settings))
    # the tables below were made from those above as they are printed, with ten digits
    summary, paired = read_summary(io.StringIO(texts["summary.csv"])), read_paired(io.StringIO(texts["paired.csv"]))
    if study.search:
        validation = read_validation(io.StringIO(texts["validation.csv"]))
        texts["search.csv"] = csv_text(choose(validation, study.searches, architectures=study.architectures))
        texts["search.md"] = search_markdown(read_search(io.StringIO(texts["search.csv"])), summary)
    texts |= {"table1.csv": csv_text(table1(summary)), "table1.md": table1_markdown(summary)}
    texts["table1.tex"] = table1_latex(summary)
    criteria = in_grid_order(models.criteria.merge(names), order)
    # metrics files of earlier versions have no criteria
    if "criteria.csv" in published or not criteria.empty:
        texts["criteria.csv"] = csv_text(criteria_table(criteria, models.trainings))
    tests, consistency = (in_grid_order(table.merge(names), order) for table in (features.tests, features.consistency))
    # features are probed only if the configuration says so, and only where the models exist
    if "features.csv" in published or (study.probe_features and not tests.empty):
        texts["features.csv"] = csv_text(features_table(Features(tests, consistency), models))
    if study.compares_methods:
        texts |= methods_tables(replace(models, runs=runs), study.reference_methods)
    if study.paper_values:
        judges = judges_conclusions(study, ROOT / "config" / "paper_values.csv")
        values, method = read_paper_values(study.paper_values), study.paper_method
        texts |= paper_tables(summary, paired, values, method=method, judges_conclusions=judges)
    # made only where the other study's tables existed
    if "published_vs_own.csv" in published and study.published:
        comparison = compare_studies(read_summary(StudyFiles(study.published).summary), summary)
        texts["published_vs_own.csv"] = csv_text(comparison)
        texts["published_vs_own.md"] = studies_markdown(comparison, published=study.published)
    return texts


def remake_ablations(published: Path, models: Models, study: Study) -> dict[str, str]:
    """Return the texts of the tables of ablations, by file name, of the models that the `published` one is of.

    Raises
    ------
    UserError
        The published table cannot be read, or is of models that have no metrics file or are in no grid of the study.
    """
    listed = compared_runs(published)
    compared = models.runs.merge(listed)
    if len(compared[[*MODEL, "seed"]].drop_duplicates()) < len(listed):
        raise UserError(f"{published}: is of models that have no metrics file; make it with scripts.make_ablations")
    order = in_order(study.all_grids, compared)
    if unknown := [name for column in MODEL for name in listed[column].unique() if name not in order[column]]:
        raise UserError(
            f"{published}: is of {unknown[0]}, which no grid of the configuration has; give the study's own with "
            "--configfile"
        )
    return ablation_tables(replace(models, runs=compared), order=order, sweeps=study.sweeps_of_columns)
