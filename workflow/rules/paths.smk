# Where things lie. Names in braces are wildcards.
from pathlib import Path

from fairdistill.settings.study import name_folds

RESULTS = f"results/{STUDY.study}"
LOGS = f"logs/{STUDY.study}"

# `draw` is empty, or names the seed of the models where each seed has a data set of its own
DATA = f"{RESULTS}/data/{{dataset}}{{draw}}"
DATA_FILES = {
    "images": f"{DATA}/images.npy",
    "samples": f"{DATA}/samples.parquet",
    "info": f"{DATA}/dataset.json",
}
# `fold` is empty where the data set has one split
MODEL_FOLDER = f"{RESULTS}/models/{{dataset}}/{{architecture}}/{{method}}/seed{{seed}}{{fold}}"
MODEL_FILES = {
    "weights": f"{MODEL_FOLDER}/weights.safetensors",
    "predictions": f"{MODEL_FOLDER}/predictions.parquet",
    "history": f"{MODEL_FOLDER}/history.csv",
    "training": f"{MODEL_FOLDER}/training.json",
}
METRICS = f"{RESULTS}/metrics/{{dataset}}/{{architecture}}/{{method}}/seed{{seed}}{{fold}}.json"
PROBABILITIES = METRICS.replace(".json", ".parquet")
FEATURES = f"{RESULTS}/features/{{dataset}}/{{architecture}}/{{method}}/seed{{seed}}{{fold}}.json"
# of some images, to be drawn
PROJECTION = FEATURES.replace(".json", ".parquet")
# what is to be taken away
EXPORTED = f"{RESULTS}/export/{{dataset}}/{{architecture}}/{{method}}/seed{{seed}}{{fold}}"
EXPORT_FILES = {
    "onnx": f"{EXPORTED}/model.onnx",
    "int8": f"{EXPORTED}/model.int8.onnx",
    "weights": f"{EXPORTED}/model.safetensors",
    "preprocessor": f"{EXPORTED}/preprocessor.json",
    "record": f"{EXPORTED}/export.json",
}
SPEED = f"{EXPORTED}/speed.json"
CARD_FILES = {"markdown": f"{EXPORTED}/README.md", "html": f"{EXPORTED}/model_card.html"}
CROISSANT = f"{DATA}/croissant.json"
# the name of a model in the names of log files
MODEL_NAME = "{dataset}.{architecture}.{method}.seed{seed}{fold}"
TABLES = f"{RESULTS}/tables"
FIGURES = f"{RESULTS}/figures"
PAGE = f"{RESULTS}/page.html"
ARCHIVE = f"{RESULTS}/{STUDY.study}.zip"


wildcard_constraints:
    dataset="|".join(STUDY.data.sets),
    architecture="|".join(STUDY.networks),
    method="|".join(["teacher", *STUDY.students]),
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
