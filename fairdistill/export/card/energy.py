"""The energy and carbon of a training, from the processor time in its record and what the configuration assumes."""

from fairdistill.export.card.model import MeasuredModel
from fairdistill.settings.export import Export

JOULES_PER_KWH = 3.6e6


def energy(model: MeasuredModel, settings: Export) -> float | str:
    """Return the energy of a training in kWh, or the reason why it is not known."""
    training = model.training
    if model.trained_elsewhere:
        return "the model was trained elsewhere"
    if training.device is None:
        return "the record of the training is from before its device was recorded"
    if training.device != "cpu":
        return "the training ran on a GPU, whose power was not measured"
    if training.cpu_seconds is None:
        return "the record of the training is from before processor time was recorded"
    if not settings.watts:
        return "no power of a core was given (`export.watts`)"
    return training.cpu_seconds * settings.watts / JOULES_PER_KWH


def carbon(model: MeasuredModel, settings: Export) -> float | None:
    """Return the emissions of a training in g CO2e; None if its energy is unknown or no carbon intensity was given."""
    used = energy(model, settings)
    return None if isinstance(used, str) or settings.carbon_intensity is None else used * settings.carbon_intensity
