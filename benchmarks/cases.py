"""What is measured: the paper's grid, and the parts of a step."""

from typing import Literal, NamedTuple

from fairdistill.settings.methods import Erm, Mfd


class Dataset(NamedTuple):
    """The shape of a data set: side in pixels, and how many classes, groups and images it has."""

    size: int
    n_classes: int
    n_groups: int
    n_train: int
    n_test: int


DATASETS = {"cifar10s": Dataset(32, 10, 2, 50_000, 20_000), "utkface": Dataset(64, 3, 4, 20_797, 1_200)}
KINDS = ["resnet18", "shufflenet_v2_x1_0"]
# of each role; the settings are the defaults, and so those of config/config.yaml
METHODS = {"teacher": Erm(kind="erm"), "student": Mfd(kind="mfd")}
Engine = Literal["reference", "fast"]
ENGINES: tuple[Engine, ...] = ("reference", "fast")
PARTS = ["data", "teacher", "forward", "backward", "loss", "optimiser"]
# as in config/config.yaml
BATCH_SIZE = 128
EPOCHS = 20
EVALUATIONS = 4  # of the test set, in a training
