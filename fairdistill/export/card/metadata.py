"""The YAML head of a card, from which Hugging Face takes a model's tags, license, scores and emissions."""

from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from fairdistill.evaluation.criteria import MEASURES
from fairdistill.export.card.energy import carbon
from fairdistill.export.card.model import MeasuredModel
from fairdistill.export.files import INT8, MODEL
from fairdistill.settings.data import DataSet
from fairdistill.settings.export import Export


def card_data(model: MeasuredModel, data: DataSet, settings: Export) -> ModelCardData:
    """Return the metadata of a card, with the scores of both ONNX files and, where it is known, the carbon."""
    run = model.training.run
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=run.dataset,
            dataset_name=run.dataset,
            dataset_split="test",
            metric_type=metric,
            metric_name=f"{metric} ({kind})",
            metric_config=kind,
            metric_value=round(getattr(model.metrics(file), metric), 6),
        )
        for file, kind in ((MODEL, "float32"), (INT8, "int8"))
        for metric in ("accuracy", *MEASURES)
    ]
    emitted = carbon(model, settings)
    extra: dict[str, Any] = {}
    if emitted is not None:
        extra["co2_eq_emissions"] = {
            "emissions": float(f"{emitted:.3g}"),
            "source": f"processor time at {settings.watts:g} W a core and {settings.carbon_intensity:g} g CO2e per kWh",
            "training_type": "this training only",
            "hardware_used": model.training.hardware.cpu,
        }
    return ModelCardData(
        model_name=f"{run.dataset} {model.name}",
        library_name="onnx",
        pipeline_tag="image-classification",
        tags=["fairness", "knowledge-distillation", "fairdistill"],
        license="other",
        license_name="see-data-and-terms",
        license_link=data.terms_url or None,
        eval_results=results,
        **extra,
    )
