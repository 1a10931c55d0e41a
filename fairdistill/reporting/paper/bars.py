"""Figures 2 to 5 in the paper's form: a bar for the teacher and one for the student, of one DEO, and nothing else."""

import pandas as pd
from matplotlib.figure import Figure

from fairdistill.reporting.labels import printed
from fairdistill.reporting.style import PALETTE, STYLE, TEACHER_COLOUR, styled
from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import TEACHER

# the one DEO of the paper is taken as DEO_M, see docs/reproduction.md
MEASURES = {
    "deo": ("deo_m", "DEO Comparison", "DEO"),
    "accuracy": ("accuracy", "Testing Accuracy Comparison", "Accuracy"),
}
# in the paper's order
DATASETS = ("utkface", "cifar10s")
WIDTH = 0.35


def plot_paper_bars(summary: pd.DataFrame, *, architecture: str, metric: str, method: str) -> Figure:
    """Draw the means over seeds of one architecture's teacher and student on each data set, with their values.

    Parameters
    ----------
    summary : DataFrame
        See `fairdistill.reporting.summaries.summarise`.
    metric : "accuracy" or "deo"
        DEO is DEO_M.
    method : str
        The students.

    Raises
    ------
    UserError
        If the summary lacks the teacher or the student on all data sets.
    """
    measure, title, label = MEASURES[metric]
    models = summary[(summary["architecture"] == architecture) & (summary["metric"] == measure)]
    values = models.pivot(index="dataset", columns="method", values="mean").reindex(columns=[TEACHER, method]).dropna()
    if values.empty:
        raise UserError(
            f"no data set has a teacher and a student '{method}' of {architecture} to draw; train both on one"
        )
    order = sorted(values.index, key=lambda name: DATASETS.index(name) if name in DATASETS else len(DATASETS))
    with styled(STYLE):
        figure = Figure(figsize=(3.5, 2.6), layout="constrained")
        ax = figure.subplots()
        for side, (name, colour, text) in enumerate(
            [(TEACHER, TEACHER_COLOUR, "Teacher"), (method, PALETTE[0], "Student")]
        ):
            at = [place + (side - 0.5) * WIDTH for place in range(len(order))]
            bars = ax.bar(
                at, values.loc[order, name], WIDTH, label=text, color=colour, edgecolor="black", linewidth=0.6
            )
            ax.bar_label(bars, fmt="{:.2f}", fontsize=7, padding=1)
        # in one line it would be wider than the figure
        ax.set(title=f"{printed(architecture)} Teacher vs. Student:\n{title}", ylabel=label)
        ax.set_xticks(range(len(order)), map(printed, order))
        ax.tick_params(axis="x", length=0)
        ax.margins(y=0.12)
        figure.legend(loc="outside lower center", ncols=2)
    return figure
