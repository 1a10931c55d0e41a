"""Report how accurate and how fair the predictions in a table are, with intervals and the fair baseline.

The table (CSV, TSV or Parquet) has a row for each image, with its true class, its predicted class and its group. The
output of `python -m scripts.predict` has no true classes and no groups; `--labels` names the table that has them, and
rows are matched by the paths of the images. Prints the report, and writes it to the files of --csv and --markdown.
"""

import argparse
import itertools
from pathlib import Path

import pandas as pd

from fairdistill.data.label_table import read_label_table
from fairdistill.evaluation.fairness_report import FairnessReport, report
from fairdistill.evaluation.markdown import escape
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import UserError, printable, run_script
from fairdistill.runtime.files import write_text
from fairdistill.runtime.progress import log
from fairdistill.settings.arguments import OutputFile, parse_options

# the column of the images' paths in what `scripts.predict` writes
PATH = "path"


def read(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    """Return columns of a table, none of whose values is missing; `columns` is as for `read_label_table`."""
    table = read_label_table(path, columns)
    if table.ragged:
        raise UserError(f"{path}: line {table.ragged[0]} has more or fewer fields than the header; mend it")
    for name, values in table.values.items():
        if (missing := values == "").any():
            where, written = f"{table.numbered} {missing.idxmax()}", table.missing[str(name)]
            taken = f" ({written[0]!r} is taken for a missing value)" if written else ""
            raise UserError(
                f"{path}: {where} has no value in the column {name!r}; give it one, or remove the row{taken}"
            )
    return table.values.reset_index(drop=True)


def read_labels(labels: Path, predictions: Path, *, key: str, columns: dict[str, str]) -> pd.DataFrame:
    """Return columns of the table `labels` for each image of the table of predictions, in the order of the latter."""
    known = read(labels, {key: "--column"} | columns)
    known[key] = known[key].map(printable)
    paths = read(predictions, {PATH: "--predictions"})[PATH]
    for file, values in {labels: known[key], predictions: paths}.items():
        if (twice := values.duplicated()).any():
            raise UserError(f"{file}: has two rows of {values[twice].iat[0]!r}; keep one of them")
    found = known.set_index(key).reindex(paths)
    if (lacking := found.isna().any(axis=1)).any():
        raise UserError(f"{labels}: has no row of {lacking.idxmax()!r}, which {predictions} has; add it")
    if left := len(known) - len(paths):
        log(f"{left} of the {len(known)} images of {labels} have no prediction and are left out")
    return found.reset_index(drop=True)


def in_order(texts: pd.Series) -> list[str]:
    """The distinct texts: numbers by their size, all else by its characters."""
    names = sorted(set(texts))
    numbers = pd.to_numeric(pd.Series(names), errors="coerce")
    return names if numbers.isna().any() else [names[i] for i in numbers.argsort(kind="stable")]


def require_cells(file: Path, labels: pd.DataFrame, *, target: str, group: str) -> None:
    """Refuse labels, read from `file`, of one class or one group, or of which a group has no image of a class."""
    for column, what in ((target, "classes"), (group, "groups")):
        names = in_order(labels[column])
        if len(names) < 2:
            raise UserError(
                f"{file}: has {names[0]!r} alone in the column {column!r}, and DEO compares at least two {what}; name "
                f"the column of the {what}, or give a table with images of others"
            )
    there = set(zip(labels[target], labels[group], strict=True))
    for cell in itertools.product(in_order(labels[target]), in_order(labels[group])):
        if cell not in there:
            raise UserError(
                f"{file}: has no image with {cell[0]!r} in the column {target!r} and {cell[1]!r} in {group!r}, and DEO "
                "needs one at least of every class in every group; add some, or join classes or groups"
            )


def read_probabilities(file: Path, prefix: str, classes: list[str]) -> pd.DataFrame:
    """Return the probabilities of classes in a table, in the columns that have their names behind a prefix."""
    texts = read(file, {f"{prefix}{name}": "--probabilities" for name in classes})
    numbers = texts.apply(pd.to_numeric, errors="coerce")
    for column in numbers:
        if (wrong := ~numbers[column].between(0, 1)).any():
            raise UserError(
                f"{file}: has {texts[column][wrong].iat[0]!r} in the column {column!r}, which is no probability; write "
                "numbers from 0 to 1, or leave --probabilities out"
            )
    return numbers


def report_markdown(predictions: Path, found: FairnessReport) -> str:
    """The report as a page."""
    parts = [f"# Fairness of {predictions.name}", found.summary]
    for title, table in found.tables().items():
        parts += [f"## {title}", markdown(table.rename(columns=escape).map(escape))]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="table of predictions")
    parser.add_argument("--target", required=True, help="column of the true classes")
    parser.add_argument("--group", required=True, help="column of the groups")
    parser.add_argument("--prediction", default="prediction", help="column of the predicted classes (%(default)s)")
    parser.add_argument(
        "--probabilities",
        metavar="PREFIX",
        help="prefix of the columns of probabilities, before the class: p_ in the output of scripts.predict; without "
        "it there is no calibration",
    )
    parser.add_argument("--labels", type=Path, help="table with --target and --group, if --predictions lacks them")
    parser.add_argument("--column", default=PATH, help="column of the paths in --labels (%(default)s)")
    parser.add_argument("--csv", type=OutputFile, help="write all numbers as one table (CSV)")
    parser.add_argument("--markdown", type=OutputFile, help="write the report as a page (Markdown)")
    args = parse_options(parser)

    columns = {args.target: "--target", args.group: "--group"}
    if args.labels and args.column in columns:
        raise UserError(f"--column is {args.column!r}, and so is {columns[args.column]}; name the column of the paths")
    if args.labels is None:
        labels = read(args.predictions, columns)
    else:
        labels = read_labels(args.labels, args.predictions, key=args.column, columns=columns)
    predicted = read(args.predictions, {args.prediction: "--prediction"})[args.prediction]
    classes = in_order(labels[args.target])
    if (other := ~predicted.isin(classes)).any():
        raise UserError(
            f"{args.predictions}: has {predicted[other].iat[0]!r} in the column {args.prediction!r}, which is none of "
            f"the true classes, {', '.join(map(repr, classes))}; write each class alike in both"
        )
    probabilities = None
    if args.probabilities is not None:
        probabilities = read_probabilities(args.predictions, args.probabilities, classes)
    require_cells(args.labels or args.predictions, labels, target=args.target, group=args.group)
    groups = pd.Categorical(labels[args.group], in_order(labels[args.group]))
    try:
        found = report(labels[args.target], predicted, groups, probabilities=probabilities, classes=classes)
    except UserError as error:
        raise UserError(f"{args.predictions}: {error}") from error
    print("\n".join(map(printable, str(found).splitlines())))
    if args.csv:
        write_csv(args.csv, found.to_frame())
    if args.markdown:
        write_text(args.markdown, report_markdown(args.predictions, found))


if __name__ == "__main__":
    run_script(main)
