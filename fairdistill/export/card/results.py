"""The sections of a card with what was measured of the model, beside its int8 version and its base.

Each function yields the paragraphs of one section. `base` is the model that it was trained from, or the teacher that it
is compared with; None where there is neither.
"""

from collections.abc import Iterator

from fairdistill.evaluation.criteria import MEASURES
from fairdistill.evaluation.crossed import difference
from fairdistill.evaluation.markdown import escape
from fairdistill.evaluation.records import Interval, Scores
from fairdistill.evaluation.rounding import rounded
from fairdistill.evaluation.uncertainty import wilson_interval
from fairdistill.export.card.markdown import interval, signed, table, with_interval
from fairdistill.export.card.model import MeasuredModel
from fairdistill.export.files import INT8, MODEL


def summary(model: MeasuredModel, base: MeasuredModel | None) -> Iterator[str]:
    """Yield the title, the main results of the model and its base, and warnings about either."""
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
    if worse := model.export.int8.worse:
        yield f"> **The int8 version is worse than the float model, beyond chance:** {escape('; '.join(worse))}."
    for caution in model.export.int8.cautions:
        yield f"> **The int8 version:** {escape(caution)}."


def accuracy_and_fairness(model: MeasuredModel, base: MeasuredModel | None) -> Iterator[str]:
    """Yield the tables of scores: overall, of each group, and of each class and group."""
    yield "## Accuracy and fairness"
    yield (
        "On a finite number of images even a fair model has a DEO above 0 on average: the fair baseline is what a "
        "perfectly fair model of the same accuracy would score on these."
    )
    headings, compared = _compared(model, base)
    rows = [["accuracy", *(with_interval(one.metrics(file), "accuracy") for one, file in compared)]]
    for measure in MEASURES:
        of_each = [one.metrics(file) for one, file in compared]
        rows.append([measure.upper(), *(with_interval(metrics, measure) for metrics in of_each)])
        fair = [getattr(metrics.uncertainty, measure).fair_baseline for metrics in of_each]
        rows.append([f"{measure.upper()}, fair baseline", *(interval(one.mean, one) for one in fair)])
        verdicts = [getattr(metrics.uncertainty, measure).verdict for metrics in of_each]
        rows.append([f"{measure.upper()}, verdict", *verdicts])
    for heading, name in (("worst group", "worst_group_accuracy"), ("calibration", "ece")):
        criteria = [one.metrics(file).criteria.of_all(name) for one, file in compared]
        rows.append([heading, *(interval(one.value, one) if one else "" for one in criteria)])
    yield table(["", *headings], rows, escaped=True)
    yield "Calibration is the expected calibration error. Accuracy of each group, with 95 % intervals:"
    per_group = [_group_intervals(one, file) for one, file in compared]
    rows = [[escape(name), *(one[name] for one in per_group)] for name in model.export.groups]
    yield table(["group", *headings], rows, escaped=True)
    yield "Accuracy of this model for each class and group:"
    cells = model.metrics().cell_accuracy
    rows = [[name, *(rounded(cells[group][name], "{:.3f}") for group in cells)] for name in model.export.classes]
    yield table(["class", *cells], rows)


def int8_version(model: MeasuredModel) -> Iterator[str]:
    """Yield how the int8 file was made and what it changes; that it is worse stands in the summary alone."""
    yield "## The int8 version"
    changes = model.export.int8.difference
    shown = "; ".join(_change(metric, one.difference, one.low, one.high) for metric, one in changes.items())
    yield (
        "`model.int8.onnx` was quantised by onnxruntime (static, QDQ, weights per channel), with activation ranges "
        f"from {model.export.calibration_images} training images. int8 minus float: {shown}."
    )
    if not model.export.int8.worse:
        yield "On these test images it is not significantly less accurate or less fair than the float model."


def size_and_speed(model: MeasuredModel, base: MeasuredModel | None) -> Iterator[str]:
    """Yield the table of sizes and latencies, and how latency was measured."""
    yield "## Size and speed"
    headings, compared = _compared(model, base)
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
    measured_with = _runtime_and_machine(model)
    if base and (of_base := _runtime_and_machine(base)) != measured_with:
        measured_with += f", and that of {escape(base.name)} with {of_base}"
    yield (
        "A multiplication and an addition count as two FLOPs. Latency is the shortest of several runs, without reading "
        f"files; it is reliable only if the machine was otherwise idle. It was measured with {measured_with}."
    )


def _compared(model: MeasuredModel, base: MeasuredModel | None) -> tuple[list[str], list[tuple[MeasuredModel, str]]]:
    """The columns of a table: their headings, and the model and the ONNX file that each is of."""
    headings, compared = ["this model", "this model, int8"], [(model, MODEL), (model, INT8)]
    if base:
        headings.append(escape(base.name))
        compared.append((base, MODEL))
    return headings, compared


def _change(metric: str, difference: float, low: float, high: float) -> str:
    """A metric, the difference of two models in it, and the interval of the difference."""
    return f"{metric.upper() if metric in MEASURES else metric} {signed(difference)} ({signed(low)} to {signed(high)})"


def _deo(metrics: Scores) -> str:
    """Both measures of DEO with their intervals and verdicts."""
    return ", ".join(
        f"{measure.upper()} is {with_interval(metrics, measure)}, {getattr(metrics.uncertainty, measure).verdict}"
        for measure in MEASURES
    )


def _group_intervals(model: MeasuredModel, file: str) -> dict[str, str]:
    """The accuracy of each group with its 95 % interval, as texts by the group's name."""
    metrics, classes, groups = model.metrics(file), model.export.classes, model.export.groups
    answers = metrics.answers(classes=classes, groups=groups)
    shown = {}
    for name, count, share in zip(groups, answers.count, answers.share, strict=True):
        weight = share / share.sum()
        # the effective number of images: as many with equal weights would leave the accuracy as uncertain
        n = 1 / (weight**2 / count).sum()
        value = metrics.accuracy_per_group[name]
        low, high = wilson_interval(value, n)
        shown[name] = interval(value, Interval(low=low, high=high))
    return shown


def _runtime_and_machine(model: MeasuredModel) -> str:
    """The version of onnxruntime and the machine with which latency was measured."""
    machine = model.speed.hardware
    most = max(case.threads for cases in model.speed.latency.values() for case in cases)
    # rule measure_model reserves no more cores than these
    others = f", of which other jobs may have used those beyond {most}" if machine.cores > most else ""
    return f"onnxruntime {model.speed.onnxruntime} on {machine.cpu} with {machine.cores} cores{others}"
