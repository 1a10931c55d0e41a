"""Where a step's time goes, drawn."""

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from benchmarks.cases import BATCH_SIZE, PARTS
from benchmarks.training_table import medians


def draw(runs: pd.DataFrame, path: Path) -> None:
    """The parts of a step, engine beside engine."""
    rows = medians(runs).sort_index(level=["dataset", "kind", "role", "engine"], ascending=[True, True, True, False])
    labels = [
        f"{dataset}, {kind.split('_')[0]}, {role}: {'ours' if engine == 'fast' else engine}"
        for dataset, kind, role, engine in rows.index
    ]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    ax = figure.subplots()
    left = np.zeros(len(rows))
    for part, colour in zip(PARTS, sns.color_palette("colorblind", len(PARTS)), strict=True):
        width = rows[f"{part}_ms"].to_numpy() / BATCH_SIZE
        ax.barh(labels, width, left=left, color=colour, label=part)
        left = left + width
    ax.invert_yaxis()
    ax.set_xlabel("ms per image, of the whole machine")
    ax.tick_params(labelsize=7)
    figure.legend(loc="outside upper center", ncols=len(PARTS), frameon=False, fontsize=8)
    sns.despine(figure)
    figure.savefig(path, dpi=200)
