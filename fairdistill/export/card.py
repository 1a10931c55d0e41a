"""The card of a model: Markdown with a YAML head, as Hugging Face reads it, and the same as one HTML page.

Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from markdown_it import MarkdownIt

from fairdistill.evaluation.criteria import MEASURES
from fairdistill.evaluation.crossed import Trainings, difference
from fairdistill.evaluation.power import ACCURACY, POWER, smallest_difference
from fairdistill.evaluation.records import Interval, Record, Scores
from fairdistill.evaluation.rounding import rounded
from fairdistill.evaluation.uncertainty import AT_CHANCE, wilson_interval
from fairdistill.export.files import INT8, MODEL
from fairdistill.export.records import ExportRecord, SpeedRecord
from fairdistill.runtime.errors import printable
from fairdistill.settings.data import DataSet
from fairdistill.settings.export import Export

SECONDS_PER_KWH = 3.6e6
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h2 {{ margin-top: 2.5rem; border-bottom: 1px solid #8888; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; }}
th, td {{ border: 1px solid #8888; padding: 0.25rem 0.6rem; text-align: left; font-variant-numeric: tabular-nums; }}
code, pre {{ font-family: ui-monospace, monospace; background: #8882; border-radius: 3px; }}
pre {{ padding: 0.8rem; overflow-x: auto; }}
code {{ padding: 0 0.2rem; }}
blockquote {{ margin: 1rem 0; padding: 0.2rem 1rem; border-left: 0.3rem solid #c60; background: #c602; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class Measured:
    """What is known of one exported model.

    Attributes
    ----------
    training
        Its metrics file, which has the record of its training.
    export, speed
        Its export.json and speed.json.
    """

    training: Record
    export: ExportRecord
    speed: SpeedRecord

    @property
    def name(self) -> str:
        """Network and method."""
        return f"{self.training.run.architecture} {self.training.run.method}"

    @property
    def trained_elsewhere(self) -> bool:
        """Whether it was read from a file of another program's."""
        return self.training.parameters.method.kind == "imported"

    @property
    def at_chance(self) -> bool:
        """Whether it is no more accurate than a model that names the largest class for every test image."""
        return self.metrics().uncertainty.deo_m.verdict == AT_CHANCE

    def metrics(self, file: str = MODEL) -> Scores:
        """The scores of one of its ONNX files on the test split."""
        return self.export.metrics[file]

    def trainings(self, file: str = MODEL) -> Trainings:
        """The right and wrong answers of one of its files."""
        metrics = self.metrics(file)
        answers = metrics.answers(classes=self.export.classes, groups=self.export.groups)
        return Trainings([[answers]], known=metrics.uncertainty.to_json())


def model_card(model: Measured, base: Measured | None, data: DataSet, told: Export) -> str:
    """Return the content of README.md.

    Parameters
    ----------
    model
        The model of the card.
    base
        The one that it was distilled from, or the teacher; None for a teacher.
    data
        The settings of the data set.
    told
        What the configuration says for cards.

    Raises
    ------
    ValueError
        huggingface_hub does not read the card as it was meant.
    """
    body = "\n\n".join(paragraph for part in _parts(model, base, data, told) for paragraph in part)
    head = card_data(model, data, told)
    text = f"---\n{head.to_yaml()}\n---\n\n{body}\n"
    # ModelCard.validate would ask Hugging Face's server; that the head is read as it was meant needs none
    if ModelCard(text).data.to_dict() != head.to_dict():
        raise ValueError("huggingface_hub reads the head of the card otherwise than it was written")
    return text


def html_page(card: str) -> str:
    """Return a card as one HTML page that needs no other file."""
    text = ModelCard(card).text.strip()
    title = text.partition("\n")[0].removeprefix("# ").replace("\\", "")
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return PAGE.format(title=html.escape(title), body=body.strip())


def card_data(model: Measured, data: DataSet, told: Export) -> ModelCardData:
    """Return the YAML head."""
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
    emitted = carbon(model, told)
    extra: dict[str, Any] = {}
    if emitted is not None:
        extra["co2_eq_emissions"] = {
            "emissions": float(f"{emitted:.3g}"),
            "source": f"processor time at {told.watts:g} W a core and {told.carbon_intensity:g} g CO2e per kWh",
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


def energy(model: Measured, told: Export) -> float | str:
    """Return the energy of a training in kWh, or why it is not known."""
    training = model.training
    if model.trained_elsewhere:
        return "the model was trained elsewhere"
    if training.device is None:
        return "the record of the training is from before its device was recorded"
    if training.device != "cpu":
        return "the training ran on a GPU, whose power was not measured"
    if training.cpu_seconds is None:
        return "the record of the training is from before processor time was recorded"
    if not told.watts:
        return "no power of a core was given (`export.watts`)"
    return training.cpu_seconds * told.watts / SECONDS_PER_KWH


def carbon(model: Measured, told: Export) -> float | None:
    """Return the carbon of a training in g CO2e; None where its energy is not known, or no intensity was given."""
    used = energy(model, told)
    return None if isinstance(used, str) or told.carbon_intensity is None else used * told.carbon_intensity


def _parts(model: Measured, base: Measured | None, data: DataSet, told: Export) -> Iterator[Iterator[str]]:
    yield _summary(model, base)
    yield _use(model, told)
    yield _data(model, data, told)
    yield _fairness(model, base)
    yield _int8(model)
    yield _size(model, base)
    yield _limits(model)
    yield _time(model, base, told)
    yield _reproduce(model, base)


def _summary(model: Measured, base: Measured | None) -> Iterator[str]:
    run, metrics = model.training.run, model.metrics()
    network, method = model.training.parameters.network.kind, model.training.parameters.method.kind
    yield f"# {escape(model.name)} on {escape(run.dataset)}"
    classes, groups = (", ".join(map(escape, names)) for names in (model.export.classes, model.export.groups))
    made = "trained elsewhere" if model.trained_elsewhere else f"trained with the method {method}, seed {run.seed}"
    yield (
        f"An image classifier ({network}, {made}) that distinguishes "
        f"{len(model.export.classes)} classes: {classes}. Its fairness was measured between "
        f"{len(model.export.groups)} groups: {groups}."
    )
    largest = model.trainings().weight[0].sum(axis=0).max()
    yield (
        f"On {metrics.n} test images its accuracy is {with_interval(metrics, 'accuracy')}; always predicting the "
        f"largest class would give {rounded(largest, '{:.3f}')}. {_deo(metrics)}. DEO_A is the mean and DEO_M the "
        "maximum over classes of the largest gap between two groups in the accuracy on a class; lower is fairer. "
        "Intervals are at 95 %."
    )
    if base:
        of_base = base.metrics()
        which = "model that it was trained from" if run.base else "teacher that it is compared with"
        yield (
            f"The {which}, {escape(base.name)}, has an accuracy of {with_interval(of_base, 'accuracy')} on the same "
            f"images; {_deo(of_base)}."
        )
        found = difference(model.trainings(), base.trainings())
        shown = "; ".join(
            _change(metric, getattr(metrics, metric) - getattr(of_base, metric), one.low, one.high)
            for metric, one in found.items()
        )
        yield (
            f"This model minus {escape(base.name)}: {shown}. If an interval includes zero, it is undecided which "
            "of the two is better."
        )
    for one in filter(None, (model, base)):
        if one.at_chance:
            yield (
                f"> **{escape(one.name)} is at chance:** it is no more accurate than always predicting the largest "
                "class, so its DEO says nothing about fairness."
            )
    for warning in model.export.int8.worse:
        yield f"> **The int8 version is worse:** {escape(warning)}. See below."
    for caution in model.export.int8.cautions:
        yield f"> **The int8 version:** {escape(caution)}."


def _change(metric: str, difference: float, low: float, high: float) -> str:
    """What two models differ by in a metric, with the interval."""
    return f"{metric.upper() if metric in MEASURES else metric} {signed(difference)} ({signed(low)} to {signed(high)})"


def _deo(metrics: Scores) -> str:
    return ", ".join(
        f"{measure.upper()} is {with_interval(metrics, measure)}, {getattr(metrics.uncertainty, measure).verdict}"
        for measure in MEASURES
    )


def _use(model: Measured, told: Export) -> Iterator[str]:
    yield "## Intended use"
    yield told.intended_use or (
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
        yield "The model needs the group of each image to predict. Where the group may not be used, nor can the model."


def _data(model: Measured, data: DataSet, told: Export) -> Iterator[str]:
    yield "## Data and terms"
    terms = data.terms_of_use(told.data_terms)
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


def _fairness(model: Measured, base: Measured | None) -> Iterator[str]:
    yield "## Accuracy and fairness"
    yield (
        "On a finite number of images even a fair model has a DEO above 0 on average: the fair baseline is what a "
        "perfectly fair model of the same accuracy would score on these."
    )
    compared = [(model, MODEL), (model, INT8)] + ([(base, MODEL)] if base else [])
    headings = ["this model", "this model, int8"] + ([escape(base.name)] if base else [])
    rows = [["accuracy", *(with_interval(one.metrics(file), "accuracy") for one, file in compared)]]
    for measure in MEASURES:
        of_each = [one.metrics(file) for one, file in compared]
        rows.append([measure.upper(), *(with_interval(metrics, measure) for metrics in of_each)])
        fair = [getattr(metrics.uncertainty, measure).fair_baseline for metrics in of_each]
        rows.append(
            [
                f"{measure.upper()}, fair baseline",
                *(interval(one.mean, one) for one in fair),
            ]
        )
        rows.append(
            [f"{measure.upper()}, verdict", *(getattr(metrics.uncertainty, measure).verdict for metrics in of_each)]
        )
    for heading, name in (("worst group", "worst_group_accuracy"), ("calibration", "ece")):
        criteria = [one.metrics(file).criteria.of_all(name) for one, file in compared]
        rows.append([heading, *(interval(one.value, one) if one else "" for one in criteria)])
    yield table(["", *headings], rows, escaped=True)
    yield "Calibration is the expected calibration error. Accuracy of each group, with 95 % intervals:"
    per_group = [group_intervals(one, file) for one, file in compared]
    rows = [[escape(name), *(one[name] for one in per_group)] for name in model.export.groups]
    yield table(["group", *headings], rows, escaped=True)
    yield "Accuracy of this model for each class and group:"
    cells = model.metrics().cell_accuracy
    rows = [[name, *(rounded(cells[group][name], "{:.3f}") for group in cells)] for name in model.export.classes]
    yield table(["class", *cells], rows)


def _int8(model: Measured) -> Iterator[str]:
    yield "## The int8 version"
    changes, worse = model.export.int8.difference, model.export.int8.worse
    shown = "; ".join(_change(metric, one.difference, one.low, one.high) for metric, one in changes.items())
    yield (
        "`model.int8.onnx` was quantised by onnxruntime (static, QDQ, weights per channel), with activation ranges "
        f"from {model.export.calibration_images} training images. int8 minus float: {shown}."
    )
    if worse:
        yield f"> **It is worse than the float model, beyond chance:** {escape('; '.join(worse))}."
    else:
        yield "On these test images it is not significantly less accurate or less fair than the float model."


def _size(model: Measured, base: Measured | None) -> Iterator[str]:
    yield "## Size and speed"
    compared = [(model, MODEL), (model, INT8)] + ([(base, MODEL)] if base else [])
    headings = ["this model", "this model, int8"] + ([escape(base.name)] if base else [])
    rows = [["network", *(one.training.parameters.network.kind for one, _ in compared)]]
    rows.append(["file, MB", *(f"{one.export.files[file].bytes / 1e6:.1f}" for one, file in compared)])
    rows.append(["parameters, millions", *(f"{one.export.parameters / 1e6:.2f}" for one, _ in compared)])
    rows.append(["GFLOPs per image", *(f"{one.export.flops / 1e9:.4g}" for one, _ in compared)])
    latency = [{(case.threads, case.batch): case.ms for case in one.speed.latency[file]} for one, file in compared]
    # the two may have been measured on machines with other numbers of cores
    for threads, batch in sorted({case for cases in latency for case in cases}):
        cells = [f"{cases[threads, batch]:.2f}" if (threads, batch) in cases else "" for cases in latency]
        rows.append([f"ms for a batch of {batch}, {threads} thread{'s' if threads > 1 else ''}", *cells])
    yield table(["", *headings], rows, escaped=True)
    measured = _measured(model)
    if base and (of_base := _measured(base)) != measured:
        measured += f", and that of {escape(base.name)} with {of_base}"
    yield (
        "A multiplication and an addition count as two FLOPs. Latency is the shortest of several runs, without reading "
        f"files; it is reliable only if the machine was otherwise idle. It was measured with {measured}."
    )


def _measured(model: Measured) -> str:
    """With what, and on which machine, latency was measured."""
    machine = model.speed.hardware
    most = max(case.threads for cases in model.speed.latency.values() for case in cases)
    # rule measure_model takes no more of a large machine
    others = f", of which other jobs may have used those beyond {most}" if machine.cores > most else ""
    return f"onnxruntime {model.speed.onnxruntime} on {machine.cpu} with {machine.cores} cores{others}"


def _limits(model: Measured) -> Iterator[str]:
    yield "## Limits"
    metrics = model.metrics()
    size = model.export.image_size
    source = "this study's source" if model.trained_elsewhere else "the source that it was trained on"
    limits = [
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
    limits.append(
        f"Its smallest (class, group) cell has {smallest} test images. If all cells had as many, a difference of "
        f"{shown:g} between the accuracies of two groups in one class would be detected with a probability of "
        f"{POWER:g}, at an accuracy of {ACCURACY:g} elsewhere; smaller ones may well be missed."
    )
    if subject := model.training.data.settings.to_json().get("subject"):
        limits.append(
            f"The intervals treat test images as independent, which several of one {escape(subject)} are not: the more "
            "alike these are, the more the intervals are too short."
        )
    if caution := metrics.uncertainty.caution:
        limits.append(f"{caution[0].upper()}{caution[1:]}.")
    yield "\n".join(f"- {limit}" for limit in limits)


def _time(model: Measured, base: Measured | None, told: Export) -> Iterator[str]:
    yield "## Time and carbon"
    for one in filter(None, (model, base)):
        if one.trained_elsewhere:
            yield f"{escape(one.name)} was trained elsewhere; what that took is not known."
            continue
        record = one.training
        cores = "" if record.cpu_seconds is None else f" and {record.cpu_seconds:g} s of processor time"
        where = record.hardware.gpu or record.hardware.cpu
        yield f"Training {escape(one.name)} took {record.seconds:g} s of wall-clock time{cores}, on {where}."
    used = energy(model, told)
    if isinstance(used, str):
        yield f"Energy and carbon are not stated, as {used}."
        return
    emitted = carbon(model, told)
    of_carbon = f", and {emitted:.3g} g CO2e at {told.carbon_intensity:g} g per kWh" if emitted is not None else ""
    yield (
        f"With {told.watts:g} W for a busy core, which was assumed and not measured, the training of this model took "
        f"{used:.3g} kWh{of_carbon}. The search for its settings, other seeds, memory, cooling and the model that it "
        "was trained from are not included."
    )


def _reproduce(model: Measured, base: Measured | None) -> Iterator[str]:
    yield "## How to reproduce"
    record = model.training
    run = record.run
    made = "Trained"
    if model.trained_elsewhere:
        made = f"Imported from a file (SHA-256 {record.inputs.checkpoint})"
    stands_on = ""
    if base and run.base and base.trained_elsewhere:
        # another file in its place would be another teacher
        stands_on = f" {base.name} was imported from a file (SHA-256 {base.training.inputs.checkpoint})."
    yield (
        f"{made} with fairdistill at commit {record.commit or 'unknown'}, version of the training code "
        f"{record.code or 'unknown'}, Python {record.versions.get('python', 'unknown')}, torch "
        f"{record.versions.get('torch', 'unknown')}; data set {record.inputs.dataset[:16]} (start of its "
        f"SHA-256).{escape(stands_on)} With the configuration of the study in place of YOURS.yaml, this makes it again:"
    )
    # of the grids of the study, which stay as they are, this model alone
    keys = {"datasets": "dataset", "architectures": "architecture", "methods": "method", "seeds": "seed"}
    chosen = ", ".join(f"{key}: [{getattr(run, column)}]" for key, column in keys.items())
    options = f"study={_as_text(str(run.study))} export='{{{chosen}}}'"
    yield f"```\nsnakemake export --cores all --configfile YOURS.yaml --config {options}\n```"
    yield "The settings, as JSON:"
    settings = {
        **record.parameters.model_dump(exclude_unset=True),
        "data": record.data.settings.model_dump(exclude_unset=True),
    }
    lines = [f"{part}: {json.dumps(of, sort_keys=True, ensure_ascii=False)}" for part, of in settings.items()]
    yield "\n".join(["```", *lines, "```"])


def _as_text(name: str) -> str:
    """Return a name as `--config` takes it for text, and not for the number or truth value that it looks like."""
    read_otherwise = not name[0].isalpha() or name.lower() in ("true", "false", "nan", "inf", "infinity")
    return f"'!!str {name}'" if read_otherwise else name


def with_interval(metrics: Scores, metric: str) -> str:
    """Return a score and its 95 % interval as text."""
    return interval(getattr(metrics, metric), getattr(metrics.uncertainty, metric))


def signed(value: float) -> str:
    """Return a difference as text; one that rounds to zero has no sign, as in the tables."""
    return rounded(value, "{:+.3f}")


def interval(value: float, ends: Interval) -> str:
    """Return a number with its 95 % interval as text."""
    value_text, low, high = (rounded(number, "{:.3f}") for number in (value, ends.low, ends.high))
    return f"{value_text} ({low} to {high})"


def group_intervals(model: Measured, file: str) -> dict[str, str]:
    """Return the accuracy of each group with its 95 % interval, as texts by the group's name."""
    metrics, classes, groups = model.metrics(file), model.export.classes, model.export.groups
    answers = metrics.answers(classes=classes, groups=groups)
    shown = {}
    for name, count, share in zip(groups, answers.count, answers.share, strict=True):
        weight = share / share.sum()
        # the number of images that would leave the accuracy as uncertain if all counted the same
        n = 1 / (weight**2 / count).sum()
        value = metrics.accuracy_per_group[name]
        low, high = wilson_interval(value, n)
        shown[name] = interval(value, Interval(low=low, high=high))
    return shown


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, escaped: bool = False) -> str:
    """Return a Markdown table; names in it are escaped here unless they are already."""
    lines = [list(headings), *map(list, rows)]
    if not escaped:
        lines = [[escape(text) for text in line] for line in lines]
    lines.insert(1, ["---"] * len(headings))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(text: str) -> str:
    """Return a text that Markdown takes as it is, such as the name of a class."""
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", printable(" ".join(str(text).split())))
