# Where things lie. Names in braces are wildcards.
from pathlib import Path

RESULTS = f"results/{STUDY.study}"
LOGS = f"logs/{STUDY.study}"

DATA = f"{RESULTS}/data/{{dataset}}"
DATA_FILES = {
    "images": f"{DATA}/images.npy",
    "samples": f"{DATA}/samples.parquet",
    "info": f"{DATA}/dataset.json",
}
MODEL_FOLDER = f"{RESULTS}/models/{{dataset}}/{{architecture}}/{{method}}/seed{{seed}}"
MODEL_FILES = {
    "weights": f"{MODEL_FOLDER}/weights.safetensors",
    "predictions": f"{MODEL_FOLDER}/predictions.parquet",
    "history": f"{MODEL_FOLDER}/history.csv",
    "training": f"{MODEL_FOLDER}/training.json",
}
METRICS = f"{RESULTS}/metrics/{{dataset}}/{{architecture}}/{{method}}/seed{{seed}}.json"
# the name of a model in the names of log files
MODEL_NAME = "{dataset}.{architecture}.{method}.seed{seed}"
TABLES = f"{RESULTS}/tables"
FIGURES = f"{RESULTS}/figures"


wildcard_constraints:
    dataset="|".join(STUDY.data.sets),
    architecture="|".join(STUDY.networks),
    method="|".join(["teacher", *STUDY.students]),
    seed=r"\d+",
    number=r"\d+",
    metric="accuracy|deo",


def paths(pattern, grids):
    """`pattern` for every model of `grids`, teachers and students, each once."""
    return list(dict.fromkeys(path for grid in grids for path in expand(pattern, **grid)))
