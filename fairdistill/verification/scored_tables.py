"""Whether tables that need more than the metrics to be made agree with the metrics where both have the same scores."""

from dataclasses import dataclass
from pathlib import Path

from fairdistill.evaluation.records import read_record
from fairdistill.reporting.columns import MEASURED, MODEL
from fairdistill.reporting.csv_files import read_table
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.study_files import MODEL_PATH, StudyFiles
from fairdistill.verification.comparing import DRAWN, ROUNDING


@dataclass(frozen=True)
class ScoredTable:
    """A table of which some rows have scores that are in the metrics, too.

    Attributes
    ----------
    maker
        The script that makes the table.
    column, value
        The rows with scores of the metrics are those that have `value` in `column`.
    tolerance
        How far these may be from the metrics.
    """

    maker: str
    column: str
    value: str
    tolerance: float


SCORED = {
    # which predicts again: in other batches, or on another machine, an image may get another class
    "splits.csv": ScoredTable("scripts.compare_splits", "split", "test", DRAWN),
    "near_copies.csv": ScoredTable("scripts.near_copies_effect", "minus", "", ROUNDING),
}


def differences_of_scores(path: Path, scored: ScoredTable, results: Path) -> list[str]:
    """Say which scores of a table are not those of the metrics.

    Parameters
    ----------
    path
        The table.
    scored
        What it is.
    results
        The folder of its study.
    """
    try:
        table = read_table(path, [*MODEL, scored.column, "seed", *MEASURED], maker=scored.maker)
    except UserError as error:
        return [str(error)]
    rows = table[table[scored.column] == scored.value]
    if rows.empty:
        return [f"{path}: has no scores on test images; make it with {scored.maker}"]
    wrong, files = [], StudyFiles(results)
    for row in rows.to_dict("records"):
        names = {name: row[name] for name in (*MODEL, "seed")}
        model = MODEL_PATH.format(**names, fold="")
        if not files.metrics_of(model).exists():
            model = MODEL_PATH.format(**names, fold=f"-fold{row.get('fold')}")
        if not files.metrics_of(model).exists():
            wrong.append(f"tables/{path.name}: there is no metrics/{model}.json")
            continue
        metrics = read_record(files.metrics_of(model)).metrics
        wrong += [
            f"tables/{path.name}: {name} is not that of metrics/{model}.json"
            for name in MEASURED
            # true of a missing number as well, which is NaN
            if not abs(row[name] - getattr(metrics, name)) <= scored.tolerance
        ]
    return wrong
