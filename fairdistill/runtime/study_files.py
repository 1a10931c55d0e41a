"""Where the files of a study lie in its folder. Names in braces stand for those of a data set or model."""

from pathlib import Path

# `draw` is empty, or names the seed of the models where each seed has a data set of its own
DATA_PATH = "{dataset}{draw}"
# `fold` is empty where the data set has one split
MODEL_PATH = "{dataset}/{architecture}/{method}/seed{seed}{fold}"
# what lies in the folder of a data set
IMAGES, SAMPLES, DATASET_RECORD = "images.npy", "samples.parquet", "dataset.json"
OF_A_DATASET = (IMAGES, SAMPLES, DATASET_RECORD)
# what lies in the folder of a model
WEIGHTS, PREDICTIONS, HISTORY = "weights.safetensors", "predictions.parquet", "history.csv"
TRAINING_RECORD = "training.json"
OF_A_TRAINING = (WEIGHTS, PREDICTIONS, HISTORY, TRAINING_RECORD)


class StudyFiles:
    """The files of the study in the folder `root`.

    Attributes
    ----------
    data
        Folder of the data sets, each a folder named as `DATA_PATH`.
    models, export
        Folders of the models, and of what is exported of them, each a folder named as `MODEL_PATH`.
    metrics, features
        Folders of their metrics and of their probed features, each a file: see `metrics_of` and `features_of`.
    tables, figures
        Folders of the tables and figures.
    summary
        The table of means over seeds.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.data = self.root / "data"
        self.models = self.root / "models"
        self.metrics = self.root / "metrics"
        self.features = self.root / "features"
        self.export = self.root / "export"
        self.tables = self.root / "tables"
        self.figures = self.root / "figures"
        self.summary = self.tables / "summary.csv"

    def metrics_of(self, model: str) -> Path:
        """Return the metrics file of a model, named as `MODEL_PATH`; of `MODEL_PATH` itself, the pattern of all."""
        return self.metrics / f"{model}.json"

    def features_of(self, model: str) -> Path:
        """Return the file with the probed features of a model; see `metrics_of`."""
        return self.features / f"{model}.json"

    def all_metrics(self) -> list[Path]:
        """Return the metrics files that are there, sorted."""
        return sorted(self.metrics.rglob("*.json"))

    def model_of(self, path: Path) -> str:
        """Return the model, named as `MODEL_PATH`, whose metrics file, file of probed features or folder `path` is."""
        _, _, name = path.relative_to(self.root).as_posix().partition("/")
        return name.removesuffix(".json")
