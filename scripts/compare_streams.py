"""Compare how much the results of several studies vary from seed to seed.

In each study one source of randomness, such as the initial weights or the order of the images, varies with the seed,
and the others are fixed (config/streams.yaml). The table has the standard deviation of each metric over the seeds of
each study, with its 95 % interval for normal values: (n - 1) s^2 / sigma^2 is chi-squared with n - 1 degrees of
freedom. With several folds, the value of a seed is that of its predictions on all folds pooled. No rule runs this
script; it reads the tables/summary.csv of each study.
"""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from fairdistill.evaluation.criteria import TAIL
from fairdistill.reporting.columns import MEASURED, MODEL, keys
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.printing import markdown, numbers
from fairdistill.reporting.summaries import read_summary
from fairdistill.reporting.trainings import values_of
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.runtime.study_files import StudyFiles
from fairdistill.settings.arguments import OutputFile, parse_options, require_unwritten


def spread(values: pd.Series) -> dict[str, float]:
    """Return n, mean and sd (ddof = 1) of values over seeds, and the ends of the sd's interval."""
    freedom = len(values) - 1
    low, high = np.sqrt(freedom / stats.chi2.ppf([1 - TAIL, TAIL], freedom)) * values.std()
    return {"n": len(values), "mean": values.mean(), "sd": values.std(), "sd_low": low, "sd_high": high}


def named(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the folder of each study by its name.

    Raises
    ------
    UserError
        Two have the same name, by which the table tells studies apart.
    """
    studies: dict[str, Path] = {}
    for folder in folders:
        # `.` has a name too
        name = Path(os.path.abspath(folder)).name
        if name in studies:
            raise UserError(f"{folder}: has the name of {studies[name]}; name the folder of each study differently")
        studies[name] = folder
    return studies


def compare(studies: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the spread of each metric of each model, one row per study.

    Columns: dataset, architecture, method, metric, study, and those of `spread`.

    Parameters
    ----------
    studies
        The summary of each study by its name, see `fairdistill.reporting.summaries.summarise`.

    Raises
    ------
    UserError
        A model has one seed in a study.
    """
    rows = []
    for study, summary in studies.items():
        for row in summary[summary["metric"].isin(MEASURED)].to_dict("records"):
            model = {name: row[name] for name in MODEL}
            values = values_of(row)
            if len(values) < 2:
                names = " ".join(model.values())
                raise UserError(f"{study}: {names} has one seed, and a spread takes two; train more seeds")
            rows.append(model | {"metric": row["metric"], "study": study} | spread(values))
    order = list(studies)
    table = pd.DataFrame(rows)
    rows_of = keys(table, [*MODEL, "metric"])
    rank = {names: i for i, names in enumerate(dict.fromkeys(rows_of))}
    ranks = np.array([rank[names] for names in rows_of])
    return table.iloc[np.lexsort((table["study"].map(order.index), ranks))].reset_index(drop=True)


def as_markdown(table: pd.DataFrame) -> str:
    """Return what `compare` returned as Markdown."""
    texts = table[[*MODEL, "metric", "study", "n"]].copy()
    for name in ("mean", "sd"):
        texts[name] = numbers(table[name], "{:.4f}")
    ends = zip(numbers(table["sd_low"], "{:.4f}"), numbers(table["sd_high"], "{:.4f}"), strict=True)
    texts["sd, 95 %"] = [f"{low} to {high}" for low, high in ends]
    return markdown(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "studies", type=Path, nargs="+", metavar="STUDY", help="folder of a study, such as results/streams_weights"
    )
    parser.add_argument("--csv", type=OutputFile, help="table to write")
    args = parse_options(parser)
    summaries = {name: StudyFiles(path).summary for name, path in named(args.studies).items()}
    require_unwritten(args, "studies", *summaries.values())
    table = compare({name: read_summary(path) for name, path in summaries.items()})
    if args.csv:
        write_csv(args.csv, table)
    print(as_markdown(table))


if __name__ == "__main__":
    run_script(main)
