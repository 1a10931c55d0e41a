# What rules and targets take as input, as it follows from the configuration. Of the user's own paths it is asked by
# os.path whether they are there: where a folder may not be entered, pathlib's methods raise an error.
import functools
import os.path
import sys
from pathlib import Path

from fairdistill.settings.data import name_draw
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.names import ModelName
from fairdistill.settings.paper import judges_conclusions
from fairdistill.settings.study import MOST_STUDENTS, models_in, name_folds

# The models of the main grid, and those that they stand on: what the tables of the study are made from.
MAIN_GRIDS = STUDY.main_grids
# The same for every grid, the main one's last: what the table of ablations is made from.
ALL_GRIDS = STUDY.all_grids
HAS_ABLATIONS = len(STUDY.methods) > 1 or bool(STUDY.ablations)


def published_summary():
    """The summary of the published study that this one is compared with; None where there is none.

    A study is not compared with itself. The folder that config/config.yaml names may lack results, as in a working
    directory other than the checkout; one that the user names may not.
    """
    if STUDY.published is None or os.path.realpath(STUDY.published) == os.path.realpath(RESULTS):
        return None
    summary = str(StudyFiles(STUDY.published).summary)
    if os.path.isfile(summary):
        return summary
    if "published" in GIVEN:
        sys.exit(
            f"error: config: published is {STUDY.published}, which has no tables/summary.csv; name a study's folder"
        )
    return None


PUBLISHED_SUMMARY = published_summary()
JUDGES_CONCLUSIONS = judges_conclusions(STUDY, Path(ROOT, "config/paper_values.csv"))


def require_weights():
    """Stop where the file that a model starts from is missing, unless the model or its metrics are there already.

    So a study that was computed elsewhere has its tables and figures without the files. A model of other settings is
    not there: it would stay as it is, and what stands on it be made anew.
    """
    for grid in ALL_GRIDS:
        for model in models_in(grid):
            file = STUDY.file_of(model)
            if file is None or os.path.isfile(file):
                continue
            models = [{**grid, "architecture": [model.architecture], "method": [model.method]}]
            files = (METRICS, MODEL_FILES["weights"], MODEL_FILES["training"])
            made = list(zip(*(paths(pattern, models) for pattern in files)))
            if not all(
                (os.path.isfile(metrics) or os.path.isfile(weights)) and record not in CHANGED_SETTINGS
                for metrics, weights, record in made
            ):
                of_others = any(record in CHANGED_SETTINGS for *_, record in made)
                why = ", and what was read from it is of other settings or images" if of_others else ""
                sys.exit(
                    f"error: config: {key_of_weights(file)} is {file}, and there is no such file{why}; give the path of "
                    "the weights, from the folder that snakemake runs in"
                )


require_weights()


def archives_of(wildcards):
    """The raw archives that a data set is made from; none where nothing has to be downloaded."""
    settings = STUDY.data.sets[wildcards.dataset]
    # An archive that was copied anew is no other archive: its contents are checked. Of the user's own files the contents
    # are compared, see `planned_content_of_own_files`.
    return [] if settings.own_files else [ancient(f"resources/{name}") for name in settings.archives]


def base_of(wildcards):
    """The weights and the record of the model that a model stands on, of the same data set, seed and fold, if any."""
    base = STUDY.base(ModelName(**wildcards))
    if base is None:
        return {}
    names = dict(wildcards) | base.to_json()
    files = {"base": MODEL_FILES["weights"], "base_record": MODEL_FILES["training"]}
    return {name: path.format(**names) for name, path in files.items()}


def checkpoint_of(wildcards):
    """The file with the weights that a model starts from, or that it is; none where its weights are drawn."""
    return STUDY.file_of(ModelName(**wildcards)) or []


def data_of(wildcards):
    """The files of the data set that a model is trained on."""
    return data_files(wildcards.dataset, wildcards.seed)


def data_files(dataset, seed):
    """The files of the data set that models of a seed are trained on."""
    draw = name_draw(STUDY.data.sets[dataset].per_seed, seed)
    return {name: path.format(dataset=dataset, draw=draw) for name, path in DATA_FILES.items()}


def compared_with(model):
    """The model that a model is compared with: its base, or the teacher."""
    home = STUDY.home(TEACHER) or model.architecture
    return STUDY.base(model) or ModelName(architecture=home, method=TEACHER)


def beside(wildcards):
    """The files of the model that a card compares its own with; none for a teacher."""
    if wildcards.method == TEACHER:
        return {}
    names = dict(wildcards) | compared_with(ModelName(**wildcards)).to_json()
    patterns = {"base_metrics": METRICS, "base_record": EXPORT_FILES["record"], "base_speed": SPEED}
    return {name: pattern.format(**names) for name, pattern in patterns.items()}


def exported():
    """The files to take away: models with their cards, and descriptions of their data sets."""
    # of several folds the first
    grids = [{**grid, "fold": name_folds(grid["fold"])[:1]} for grid in STUDY.exported]
    models = [path for grid in grids for pattern in CARD_FILES.values() for path in expand(pattern, **grid)]
    draws = sorted(STUDY.draws(grids))
    return models + [CROISSANT.format(dataset=dataset, draw=draw) for dataset, draw in draws]


def files_of(rule, **wildcards):
    """The outputs of a rule that was read, for all combinations of the values of its wildcards."""
    # as text: in a path that is marked for the report, the folder would be joined to that of its caption again
    return expand([str(path) for path in rule.output], **wildcards)


def tables():
    made = [rules.aggregate_results, rules.make_table]
    if STUDY.search:
        made += [rules.choose_settings, rules.report_search]
    if HAS_ABLATIONS:
        made += [rules.make_ablations]
    if STUDY.compares_methods:
        made += [rules.rank_methods]
    if STUDY.paper_values:
        made += [rules.compare_with_paper]
    if PUBLISHED_SUMMARY:
        made += [rules.compare_with_published]
    return [path for rule in made for path in files_of(rule)]


def figures():
    files = files_of(rules.plot_architecture)
    counts = {name: len(STUDY.students_of.get(name, [])) for name in STUDY.architectures}
    bars = [rules.plot_comparison, rules.plot_paper_bars] if JUDGES_CONCLUSIONS else [rules.plot_comparison]
    for number, architecture in enumerate(STUDY.networks, start=1):
        if 0 < counts.get(architecture, 0) <= MOST_STUDENTS:
            for drawn in bars:
                files += files_of(drawn, number=2 * number, architecture=architecture, metric="deo")
                files += files_of(drawn, number=2 * number + 1, architecture=architecture, metric="accuracy")
    files += files_of(rules.plot_slopes, dataset=STUDY.datasets)
    if STUDY.compares_methods:
        several = [name for name, count in counts.items() if count > 1]
        files += files_of(rules.plot_tradeoff, dataset=STUDY.datasets)
        files += files_of(rules.plot_cells, dataset=STUDY.datasets, architecture=several)
    return files + files_of(rules.plot_sweep, sweep=list(STUDY.sweep_figures))


def method_of_page():
    """The students that the page is about first of all: the paper's, else the first of the paper's family."""
    if STUDY.paper_method in STUDY.methods:
        return STUDY.paper_method
    settings = {name: STUDY.method(name) for name in STUDY.methods}
    of_family = (name for name in settings if settings[name].family == "MFD")
    # where its weight is zero, a loss has no effect
    weighted = (name for name in of_family if settings[name].parameters().get("lambda") != 0)
    return next(weighted, STUDY.methods[0])


PAGE_METHOD = method_of_page()


def from_models():
    """What takes the models, and not their metrics alone; criteria do so where the metrics are older than these."""
    features = files_of(rules.make_features) if STUDY.probe_features else []
    curves = files_of(rules.plot_training_curves, dataset=STUDY.datasets)
    return [*files_of(rules.make_criteria), *features, *curves, *example_figures()]


@functools.cache
def has_models():
    """Whether the models of the study are here, or will be: not where there are metrics alone and those are enough.

    It is for functions that Snakemake calls when it plans, as the target `all` asks for the models themselves.
    """
    files = zip(*(paths(pattern, MAIN_GRIDS) for pattern in (METRICS, MODEL_FILES["weights"])))
    return is_target("all") or all(
        os.path.isfile(weights) or not os.path.isfile(metrics) for metrics, weights in files
    )


def drawn_projections():
    """The projected features of the first training of each model, where features are probed."""
    firsts = [
        grid | {"seed": [min(grid["seed"])], "fold": name_folds(grid["fold"])[:1]} for grid in MAIN_GRIDS
    ]
    return [path for grid in firsts for path in expand(PROJECTION, **grid)] if STUDY.probe_features else []


def inputs_of_page(wildcards):
    """What the page shows beside the metrics. Without the models, what is made from them may be here all the same."""
    shown = {
        "tables": [path for path in tables() if path.endswith(".md")],
        "figures": [path for path in figures() if path.endswith(".png")],
    }
    if has_models():
        shown["figures"] += [path for path in from_models() if path.endswith(".png")]
        shown["projections"] = drawn_projections()
    return shown


def example_figures():
    """The figures with images, of data sets that may be shown."""
    return files_of(
        rules.plot_examples,
        dataset=[name for name in STUDY.datasets if name in STUDY.example_images],
        # a model from elsewhere is of one architecture
        architecture=[name for name in STUDY.architectures if STUDY.home(PAGE_METHOD) in (None, name)],
    )


def models_of_examples(wildcards):
    """The data set, and the predictions of the page's student and of its base, of the first seed and fold."""
    names = {"dataset": wildcards.dataset, "seed": STUDY.seeds_of(PAGE_METHOD)[0]}
    names["fold"] = name_folds(range(STUDY.data.sets[wildcards.dataset].folds))[0]
    student = ModelName(architecture=wildcards.architecture, method=PAGE_METHOD)
    models = dict.fromkeys([compared_with(student), student])
    return data_files(wildcards.dataset, names["seed"]) | {
        name: [MODEL_FILES[file].format(**names, **model.to_json()) for model in models]
        for name, file in (("trainings", "training"), ("predictions", "predictions"))
    }


def inputs_of_archive(wildcards):
    """What an archive has beside the metrics; what is made from the models only where these are here."""
    return [*tables(), *figures(), *(from_models() if has_models() else []), PAGE]


def histories_of(wildcards):
    """The histories of the main grid's models on a data set, and of their bases."""
    grids = [
        grid | {"dataset": [wildcards.dataset]} for grid in MAIN_GRIDS if wildcards.dataset in grid["dataset"]
    ]
    return paths(MODEL_FILES["history"], grids)
