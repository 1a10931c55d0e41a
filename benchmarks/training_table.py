"""The measured trainings as tables."""

from collections.abc import Mapping

import pandas as pd

from benchmarks.cases import BATCH_SIZE, DATASETS, EPOCHS, METHODS, PARTS
from fairdistill.reporting.printing import markdown

CASE = ["dataset", "kind", "role"]
# the least ratio of ours to the reference
GOALS = {"student": 4.0, "teacher": 3.0}


def summarise(results: list[dict], dataset: str, peaks: Mapping[str, float]) -> dict:
    """One row of the processes of one run: what the whole machine does, and what one process takes.

    The teacher's features of both orientations, computed once per training, are spread over its epochs and counted
    as the teacher's part of a step. Milliseconds are of the whole machine: where two processes train at once, each
    takes twice as long. `peaks` are those of the whole machine by precision, in GFLOP/s.
    """
    first, n = results[0], len(results)
    steps_per_ms = sum(1 / result["step_ms"] for result in results)
    features = sum(result["feature_ms_per_image"] for result in results) / n**2
    parts = {part: sum(result["parts_ms"][part] / result["step_ms"] for result in results) for part in PARTS}
    parts = {part: share / n / steps_per_ms for part, share in parts.items()}
    parts["teacher"] += features * BATCH_SIZE / EPOCHS
    images_per_second = 1e3 * BATCH_SIZE / sum(parts.values())
    return {
        "precision": first["precision"],
        "device": first["device"],
        "processes": n,
        "images_per_second": images_per_second,
        "epoch_seconds": DATASETS[dataset].n_train / images_per_second,
        "share_of_peak": 1e3 * steps_per_ms * first["gflop_per_step"] / peaks[first["precision"]],
        "memory_mb": max(result["memory_mb"] for result in results),
        "gpu_memory_mb": first["gpu_memory_mb"],
        "mfd_loss_share": sum((result["mfd_loss_ms"] or 0) / result["step_ms"] for result in results) / n,
        "feature_ms_per_image": features,
        **{f"{part}_ms": spent for part, spent in parts.items()},
    }


def medians(runs: pd.DataFrame) -> pd.DataFrame:
    """Over rounds, a row for each case and engine, with two columns that students alone have.

    `distillation_cost` is a student's time over a teacher's, less 1: of two processes, one after the other, between
    which a machine's speed may change. `cost_by_parts` is what the teacher's features and the MFD loss take of a step,
    over all else in it: the loss is timed alone, forward and backward, on features that the cache still has. On a GPU,
    where operations that are timed alone take longer than recorded ones, it says nothing.
    """
    keys = [*CASE, "engine"]
    whole = runs[[f"{part}_ms" for part in PARTS]].sum(axis=1)
    # the pass that computed the features is in the whole, but no part of the step that the loss was compared with
    loss = runs["mfd_loss_share"] * (whole - runs["feature_ms_per_image"] * BATCH_SIZE / EPOCHS)
    added = runs["teacher_ms"] + loss
    known = (runs["role"] == "student") & (runs["device"] == "cpu")
    runs = runs.assign(cost_by_parts=(added / (whole - added)).where(known))
    texts = [name for name in ("precision", "device", "machine", "commit") if name in runs]
    rows = runs.groupby(keys)[list(runs.columns.difference(["round", *texts, *keys]))].median()
    rows = rows.join(runs.groupby(keys)[texts].first())
    seconds = rows["epoch_seconds"].unstack("role").reindex(columns=list(METHODS))
    longer = pd.DataFrame({"student": seconds["student"] / seconds["teacher"] - 1}).rename_axis(columns="role").stack()
    # the types of pandas know the levels of a series by their numbers alone
    rows["distillation_cost"] = longer.reorder_levels(keys).reindex(rows.index)  # type: ignore[arg-type]
    return rows


def ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Ours to the reference in images per second, of `medians`, with the goal and whether it is met."""
    speed = rows["images_per_second"].unstack("engine")
    table = (speed["fast"] / speed["reference"]).rename("ratio").to_frame()
    table["goal"] = table.index.get_level_values("role").map(GOALS)
    table["met"] = table["ratio"] >= table["goal"]
    return table


def to_markdown(runs: pd.DataFrame, measured_on: str) -> str:
    """All of it as a page."""
    rows = medians(runs)
    return "\n\n".join(
        [
            "# The speed of training",
            measured_on,
            "The reference is one process with torch's threads on all cores and two workers that load images. Ours "
            "is one process of one thread on each core at once, their speeds summed (on a GPU, one process). Each "
            f"number is {over_rounds(runs['round'].nunique())}. An epoch is of the real data set's size. Each engine "
            "computes in the precision that stands beside it, so that where these differ a ratio is one of precision, "
            "too. Ours computes the teacher's features once in a training, in both orientations: "
            f"that pass is counted, spread over {EPOCHS} epochs.",
            "## Ours beside the reference",
            markdown(_speed(rows)),
            "Of peak: the useful operations of the convolutions and matrix products in a step of each engine (the "
            "reference's teacher among them), over the speed of the fastest of many products and convolutions in the "
            "same precision on as many threads. A kernel tap counts only where it meets the map and not its padding, "
            "which oneDNN skips; where an engine multiplies by the zeros of padding all the same, that counts as "
            "nothing done.",
            "## Memory and the cost of distillation",
            markdown(_costs(rows)),
            "Memory is the peak of the steps of one training: resident, with its loading workers' own pages, and with "
            "the teacher's features of all training images. Images mapped from the disk are not counted, nor is what "
            "the start, evaluations and saved state of a whole training need ([memory.md](memory.md)). Distillation "
            "costs what a student's epoch takes more than a teacher's. That is seen in two processes, one after the "
            "other, so that a machine that is faster or slower in between shows in it as well. By its parts it costs "
            "what the teacher's features and the MFD loss take of a student's step, over all else in it; where that is "
            "more than by two runs, the difference is noise between these. The MFD loss is timed alone, forward and "
            "backward, on features that the cache still has, so that this is too low; it is shown over a student's "
            "step.",
            f"## Milliseconds of a step of {BATCH_SIZE} images",
            markdown(_parts(rows)),
            "Of the whole machine: where several processes train at once, each takes as many times longer. Data is the "
            "time that the training waits for images; the reference's workers load beside it and slow the rest. "
            "Backward is what no other part is, the bookkeeping of an epoch too.\n",
        ]
    )


def over_rounds(number: int) -> str:
    """What a number of so many rounds is; the median of two is their mean."""
    what = {1: "of one round", 2: "the mean of two rounds"}.get(number, f"the median of {number} rounds")
    return f"{what}, in which the engines alternate"


def number(value: float | str, form: str) -> str:
    return "" if pd.isna(value) else format(value, form)


def yes_no(met: bool | None) -> str:
    return "" if met is None else "yes" if met else "no"


def _side_by_side(rows: pd.DataFrame, columns: dict[str, tuple[str, str]]) -> pd.DataFrame:
    """For each heading of `columns` its (column, format), the reference's and ours."""
    wide = rows.unstack("engine")
    table = wide.index.to_frame(index=False).rename(columns={"dataset": "data set", "kind": "architecture"})
    for heading, (name, form) in columns.items():
        for engine, whose in (("reference", "reference"), ("fast", "ours")):
            if wide[name, engine].notna().any():
                table[f"{heading}, {whose}"] = [number(value, form) for value in wide[name, engine]]
    return table


def _speed(rows: pd.DataFrame) -> pd.DataFrame:
    columns = {"precision": ("precision", "s"), "images/s": ("images_per_second", ".0f")}
    table = _side_by_side(rows, columns | {"s per epoch": ("epoch_seconds", ".1f")})
    compared = ratios(rows)
    table["ratio"] = [number(value, ".2f") for value in compared["ratio"]]
    table["goal"] = [f">= {value}" for value in compared["goal"]]
    table["met"] = [yes_no(met) for met in compared["met"]]
    shares = _side_by_side(rows, {"of peak": ("share_of_peak", ".0%")})
    return table.join(shares.iloc[:, len(CASE) :])


def _costs(rows: pd.DataFrame) -> pd.DataFrame:
    # a teacher has no such loss
    rows = rows.assign(mfd_loss_share=rows["mfd_loss_share"].where(rows.index.get_level_values("role") == "student"))
    return _side_by_side(
        rows,
        {
            "memory, MB": ("memory_mb", ".0f"),
            "on the GPU, MB": ("gpu_memory_mb", ".0f"),
            "distillation, by two runs": ("distillation_cost", ".1%"),
            "by its parts": ("cost_by_parts", ".1%"),
            "MFD loss": ("mfd_loss_share", ".1%"),
        },
    )


def _parts(rows: pd.DataFrame) -> pd.DataFrame:
    table = rows.index.to_frame(index=False).rename(columns={"dataset": "data set", "kind": "architecture"})
    table["engine"] = table["engine"].replace("fast", "ours")
    table["precision"] = rows["precision"].to_numpy()
    spent = rows[[f"{part}_ms" for part in PARTS]].rename(columns=lambda name: name.removesuffix("_ms"))
    spent["all"] = spent.sum(axis=1)
    for name in spent:
        table[name] = [number(value, ".2f") for value in spent[name]]
    return table
