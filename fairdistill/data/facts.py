"""What a checkpoint says of the data set that its model was trained on."""

from typing import cast

from fairdistill.data.reading import ImageDataset
from fairdistill.settings.base import settings_of_kind
from fairdistill.settings.checkpoints import ModelFacts
from fairdistill.settings.data import AnyDataSet, DataSet
from fairdistill.settings.methods import Method


def facts_of(dataset: ImageDataset, method: Method) -> ModelFacts:
    """Return what images a model of this data set and method takes, and what its outputs mean."""
    # a kind that the settings do not know, such as that of a test, makes its squares as most do
    kind = cast(type[DataSet], settings_of_kind(AnyDataSet, dataset.info["kind"]) or DataSet)
    return ModelFacts(
        classes=dataset.classes,
        groups=dataset.groups,
        framing=kind.framing,
        mean=dataset.mean.tolist(),
        std=dataset.std.tolist(),
        method=method.parameters(),
        image_size=dataset.info["image_size"],
        crop=dataset.info["crop"],
        crop_test=dataset.info["crop_test"],
    )
