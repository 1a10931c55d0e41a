"""The page of a made-up study, for the tests of what it says and of how a browser shows it."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from synthetic_results import CLASSES, GROUPS, make_study, pattern

from fairdistill.evaluation.projections import project
from scripts import aggregate_results, make_page, make_table, rank_methods

METHODS = ("balanced", "mfd")
DATASETS, ARCHITECTURES, SEEDS = ("cifar10s", "utkface"), ("resnet", "shufflenet"), (0, 1)


def run(script, **options):
    """Run a script's main with options; a list is several values of one."""
    words = []
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    with patch("sys.argv", [script.__name__, *words]), redirect_stdout(io.StringIO()):
        script.main()


def make_studys_page(folder: Path, *, methods=METHODS, projected=True, about="mfd") -> Path:
    """Write the metrics and tables of a made-up study below `folder`, and return its page."""
    metrics = folder / "metrics"
    make_study(metrics, datasets=DATASETS, architectures=ARCHITECTURES, methods=methods, seeds=SEEDS)
    grid = f'[{{"dataset": {[*DATASETS]}, "architecture": {[*ARCHITECTURES]}, "method": {["teacher", *methods]}, '
    grids = (grid + f'"seed": {[*SEEDS]}}}]').replace("'", '"')
    models = {"metrics": pattern(metrics), "grids": grids}
    tables = {name: folder / f"{name}.csv" for name in ("runs", "summary", "paired")}
    run(aggregate_results, **models, **tables, paired_markdown=folder / "paired.md")
    run(
        make_table,
        summary=tables["summary"],
        csv=folder / "table1.csv",
        markdown=folder / "table1.md",
        tex=folder / "table1.tex",
    )
    shown = [folder / "table1.md", folder / "paired.md"]
    if len(methods) > 1:
        ranking = {name: folder / f"methods.{name}" for name in ("csv", "tex")} | {"markdown": folder / "methods.md"}
        run(rank_methods, **models, reference="mfd", **ranking, cells=folder / "cells.csv")
        shown.append(folder / "methods.md")
    figure = Figure(figsize=(2, 1))
    figure.savefig(folder / "tradeoff_utkface.png")
    options = {}
    if projected:
        write_projections(folder, methods)
        options["projections"] = pattern(folder / "features").replace(".json", ".parquet")
    page = folder / "page.html"
    run(
        make_page,
        **models,
        study="made-up",
        method=about,
        summary=tables["summary"],
        paired=tables["paired"],
        tables=shown,
        figures=[folder / "tradeoff_utkface.png"],
        **options,
        html=page,
    )
    return page


def write_projections(folder, methods):
    rng = np.random.default_rng(0)
    label, group = (found.ravel() for found in np.indices((len(CLASSES), len(GROUPS), 10))[:2])
    names = {"label": label, "group": group, "classes": CLASSES, "groups": GROUPS}
    table: pd.DataFrame = project(features=rng.normal(size=(len(label), 4)), **names)
    for dataset in DATASETS:
        for architecture in ARCHITECTURES:
            for method in ("teacher", *methods):
                path = folder / "features" / dataset / architecture / method / f"seed{SEEDS[0]}.parquet"
                path.parent.mkdir(parents=True)
                table.to_parquet(path, index=False)
