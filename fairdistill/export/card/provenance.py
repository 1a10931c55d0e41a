"""The sections of a card on where the model comes from: its data, what its training took, and how to repeat it.

Each function yields the paragraphs of one section. `base` is the model that it was trained from, or the teacher that it
is compared with; None where there is neither.
"""

import json
from collections.abc import Iterator

from fairdistill.evaluation.markdown import escape
from fairdistill.export.card.energy import carbon, energy
from fairdistill.export.card.markdown import table
from fairdistill.export.card.model import MeasuredModel
from fairdistill.settings.data import DataSet
from fairdistill.settings.export import Export


def data_and_terms(model: MeasuredModel, data: DataSet, settings: Export) -> Iterator[str]:
    """Yield which images the model was trained on, and what these may be used for."""
    yield "## Data and terms"
    terms = data.terms_of_use(settings.data_terms)
    if model.trained_elsewhere:
        yield (
            "The model was trained elsewhere: which images it has seen, and what they may be used for, is not known "
            f"here. It was tested on images made from {data.origin}. What these may be used for: {terms}."
        )
        return
    counts = model.training.training_images
    total = "" if counts is None else f"{sum(sum(row.values()) for row in counts.values())}, "
    yield (
        f"Training images: {total}made from {data.origin}. What these images may be used for: {terms}. Whether that "
        "extends to a model trained on them is for its publisher to determine; this card grants nothing."
    )
    if counts is None:
        return
    yield "Training images of each class and group:"
    groups = model.export.groups
    rows = [[name, *(str(counts[group][name]) for group in groups)] for name in model.export.classes]
    yield table(["class", *groups], rows)


def time_and_carbon(model: MeasuredModel, base: MeasuredModel | None, settings: Export) -> Iterator[str]:
    """Yield what the trainings of the model and its base took, and the energy and carbon of the model's."""
    yield "## Time and carbon"
    for one in filter(None, (model, base)):
        if one.trained_elsewhere:
            yield f"{escape(one.name)} was trained elsewhere; what that took is not known."
            continue
        record = one.training
        cores = "" if record.cpu_seconds is None else f" and {record.cpu_seconds:g} s of processor time"
        where = record.hardware.gpu or record.hardware.cpu
        yield f"Training {escape(one.name)} took {record.seconds:g} s of wall-clock time{cores}, on {where}."
    used = energy(model, settings)
    if isinstance(used, str):
        yield f"Energy and carbon are not stated, as {used}."
        return
    emitted = carbon(model, settings)
    of_carbon = f", and {emitted:.3g} g CO2e at {settings.carbon_intensity:g} g per kWh" if emitted is not None else ""
    yield (
        f"With {settings.watts:g} W for a busy core, which was assumed and not measured, the training of this model "
        f"took {used:.3g} kWh{of_carbon}. The search for its settings, other seeds, memory, cooling and the model "
        "that it was trained from are not included."
    )


def how_to_reproduce(model: MeasuredModel, base: MeasuredModel | None) -> Iterator[str]:
    """Yield the versions of code and data, the command that makes the model again, and its settings."""
    yield "## How to reproduce"
    record = model.training
    run = record.run
    made = "Trained"
    if model.trained_elsewhere:
        made = f"Imported from a file (SHA-256 {record.inputs.checkpoint})"
    imported_base = ""
    if base and run.base and base.trained_elsewhere:
        # the configuration names a path, where another file may lie by now
        imported_base = f" {escape(base.name)} was imported from a file (SHA-256 {base.training.inputs.checkpoint})."
    yield (
        f"{made} with fairdistill at commit {record.commit or 'unknown'}, version of the training code "
        f"{record.code or 'unknown'}, Python {record.versions.get('python', 'unknown')}, torch "
        f"{record.versions.get('torch', 'unknown')}; data set {record.inputs.dataset[:16]} (start of its "
        f"SHA-256).{imported_base} With the configuration of the study in place of YOURS.yaml, this makes it again:"
    )
    # `export` chooses this model alone; the grids of the study stay as they are
    keys = {"datasets": "dataset", "architectures": "architecture", "methods": "method", "seeds": "seed"}
    chosen = ", ".join(f"{key}: [{getattr(run, column)}]" for key, column in keys.items())
    options = f"study={_as_text(str(run.study))} export='{{{chosen}}}'"
    yield f"```\nsnakemake export --cores all --configfile YOURS.yaml --config {options}\n```"
    yield "The settings, as JSON:"
    recorded = {
        **record.parameters.model_dump(exclude_unset=True),
        "data": record.data.settings.model_dump(exclude_unset=True),
    }
    lines = [f"{part}: {json.dumps(of, sort_keys=True, ensure_ascii=False)}" for part, of in recorded.items()]
    yield "\n".join(["```", *lines, "```"])


def _as_text(name: str) -> str:
    """A name as `--config` takes it for text, even if it looks like a number or a truth value."""
    read_otherwise = not name[0].isalpha() or name.lower() in ("true", "false", "nan", "inf", "infinity")
    return f"'!!str {name}'" if read_otherwise else name
