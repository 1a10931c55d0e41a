"""The sections of a card on what the model is for and what its limits are; a function yields the paragraphs of one."""

from collections.abc import Iterator

from fairdistill.evaluation.markdown import escape
from fairdistill.evaluation.power import ACCURACY, POWER, smallest_difference
from fairdistill.export.card.model import MeasuredModel
from fairdistill.settings.export import Export


def intended_use(model: MeasuredModel, settings: Export) -> Iterator[str]:
    """Yield what the model is for, and how to predict with it."""
    yield "## Intended use"
    yield settings.intended_use or (
        "No intended use has been stated. The model was made to study how bias in training data affects a model, and "
        "is no basis for decisions about people."
    )
    size = model.export.image_size
    yield (
        f"`model.onnx` takes pixels, uint8 (batch, {size}, {size}, 3), and returns the class probabilities; "
        f"normalisation is included, and its opset is {model.export.opset}. `preprocessor.json` says how pictures "
        "become such pixels; `python -m scripts.predict` of the project fairdistill does this:"
    )
    group = " --group GROUP" if model.export.needs_group else ""
    yield f"```\npython -m scripts.predict FOLDER_OF_THIS_CARD IMAGES...{group} --output predictions.csv\n```"
    if model.export.needs_group:
        yield (
            "The model needs the group of each image to predict. Where the group may not be used, this model "
            "cannot be used either."
        )


def limits(model: MeasuredModel) -> Iterator[str]:
    """Yield the list of what the model does not do, and of what its test leaves open."""
    yield "## Limits"
    metrics = model.metrics()
    size = model.export.image_size
    source = "this study's source" if model.trained_elsewhere else "the source that it was trained on"
    listed = [
        f"It knows only its {len(model.export.classes)} classes, and assigns one of them to every image.",
        f"It sees images of {size} x {size} px, and was tested on images from {source}. On others neither its accuracy "
        "nor its fairness is known.",
        "Fairness was measured between the groups above, by equalized odds. It says nothing about other groups, and "
        "other criteria may disagree.",
        "It is a single training: the intervals account for other test images, but not for other trainings. The tables "
        "of the study do.",
    ]
    classes, groups = model.export.classes, model.export.groups
    smallest = int(metrics.answers(classes=classes, groups=groups).count.min())
    shown = smallest_difference(smallest, groups=len(groups), classes=len(classes))
    listed.append(
        f"Its smallest (class, group) cell has {smallest} test images. If all cells had as many, a difference of "
        f"{shown:g} between the accuracies of two groups in one class would be detected with a probability of "
        f"{POWER:g}, at an accuracy of {ACCURACY:g} elsewhere; smaller ones may well be missed."
    )
    if subject := model.training.data.settings.to_json().get("subject"):
        listed.append(
            f"The intervals treat test images as independent, which several of one {escape(subject)} are not: the more "
            "alike these are, the more the intervals are too short."
        )
    if caution := metrics.uncertainty.caution:
        listed.append(f"{caution[0].upper()}{caution[1:]}.")
    yield "\n".join(f"- {limit}" for limit in listed)
