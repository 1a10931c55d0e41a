"""Show the studies of this folder: the disk space of each, and which trainings are running or were interrupted."""

import argparse

from rich.console import Console
from rich.table import Table

from fairdistill.runtime.errors import run_script
from fairdistill.runtime.studies import (
    LARGE,
    RESULTS,
    begun_trainings,
    files_below,
    megabytes,
    require_study,
    running_trainings,
    studies,
)
from fairdistill.runtime.study_files import TRAINING_RECORD, StudyFiles


def overview(names: list[str]) -> Table:
    """A row for each study: how many models it has, are evaluated, at work and begun, and what its parts take."""
    table = Table(box=None, pad_edge=False, show_footer=True, caption="sizes in MB", caption_justify="left")
    table.add_column("study", footer="all", no_wrap=True, min_width=18)
    rows = []
    for name in names:
        study = RESULTS / name
        running, begun = running_trainings(study), begun_trainings(study)
        found = [path.name for path in files_below(study)]
        counts = [found.count(TRAINING_RECORD), len(StudyFiles(study).all_metrics()), len(running)]
        sizes = [megabytes(study / part) for part in LARGE]
        rows.append([*counts, len({*begun} - {*running}), *sizes, megabytes(study) - sum(sizes)])
    heads = ["trained", "tested", "running", "begun", *LARGE, "rest"]
    for column, head in enumerate(heads):
        total = sum(row[column] for row in rows)
        table.add_column(head, f"{total:,.0f}", justify="right")
    for name, row in zip(names, rows, strict=True):
        table.add_row(name, *(f"{value:,.0f}" for value in row))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help="show only these")
    args = parser.parse_args()
    for name in args.studies:
        require_study(name)
    names = args.studies or studies()
    if names:
        Console().print(overview(names))
    else:
        print(f"no study has results in {RESULTS.resolve()}")


if __name__ == "__main__":
    run_script(main)
