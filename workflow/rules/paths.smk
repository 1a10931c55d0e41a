# Where things lie. Names in braces are wildcards.
from pathlib import Path

from fairdistill.export import files as export_files
from fairdistill.runtime.study_files import (
    DATA_PATH,
    HISTORY,
    MODEL_PATH,
    PREDICTIONS,
    TRAINING_RECORD,
    WEIGHTS,
    StudyFiles,
)
from fairdistill.settings.methods import TEACHER
from fairdistill.settings.study import name_folds

RESULTS = f"results/{STUDY.study}"
LOGS = f"logs/{STUDY.study}"
FILES = StudyFiles(RESULTS)

DATA = f"{FILES.data}/{DATA_PATH}"
DATA_FILES = {
    "images": f"{DATA}/images.npy",
    "samples": f"{DATA}/samples.parquet",
    "info": f"{DATA}/dataset.json",
}
MODEL_FOLDER = f"{FILES.models}/{MODEL_PATH}"
MODEL_FILES = {
    "weights": f"{MODEL_FOLDER}/{WEIGHTS}",
    "predictions": f"{MODEL_FOLDER}/{PREDICTIONS}",
    "history": f"{MODEL_FOLDER}/{HISTORY}",
    "training": f"{MODEL_FOLDER}/{TRAINING_RECORD}",
}
METRICS = str(FILES.metrics_of(MODEL_PATH))
PROBABILITIES = str(FILES.metrics_of(MODEL_PATH).with_suffix(".parquet"))
FEATURES = str(FILES.features_of(MODEL_PATH))
# of some images, to be drawn
PROJECTION = str(FILES.features_of(MODEL_PATH).with_suffix(".parquet"))
# what is to be taken away
EXPORTED = f"{FILES.export}/{MODEL_PATH}"
EXPORT_FILES = {
    "onnx": f"{EXPORTED}/{export_files.MODEL}",
    "int8": f"{EXPORTED}/{export_files.INT8}",
    "weights": f"{EXPORTED}/{export_files.WEIGHTS}",
    "preprocessor": f"{EXPORTED}/{export_files.PREPROCESSOR}",
    "record": f"{EXPORTED}/{export_files.RECORD}",
}
SPEED = f"{EXPORTED}/{export_files.SPEED}"
CARD_FILES = {"markdown": f"{EXPORTED}/{export_files.CARD}", "html": f"{EXPORTED}/{export_files.PAGE}"}
CROISSANT = f"{DATA}/croissant.json"
# the name of a model in the names of log files
MODEL_NAME = "{dataset}.{architecture}.{method}.seed{seed}{fold}"
TABLES = str(FILES.tables)
FIGURES = str(FILES.figures)
PAGE = f"{RESULTS}/page.html"
ARCHIVE = f"{RESULTS}/{STUDY.study}.zip"


wildcard_constraints:
    dataset="|".join(STUDY.data.sets),
    architecture="|".join(STUDY.networks),
    method="|".join([TEACHER, *STUDY.students]),
    seed=r"\d+",
    draw=r"(\.seed\d+)?",
    fold=r"(-fold\d+)?",
    number=r"\d+",
    metric="accuracy|deo",
    # where nothing is swept, no name of a figure fits
    sweep="|".join(STUDY.sweep_figures) or "(?!)",


def paths(pattern, grids):
    """`pattern` for every model of `grids`, teachers and students, each once."""
    found = {}
    for grid in grids:
        found |= dict.fromkeys(expand(pattern, **{**grid, "fold": name_folds(grid["fold"])}))
    return list(found)
