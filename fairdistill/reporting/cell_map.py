"""The heat map of the accuracy of each class and group by method."""

import textwrap

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from fairdistill.reporting.labels import listed, method_numbers, printed
from fairdistill.reporting.notes import marked_names, notes_on_names
from fairdistill.reporting.style import STYLE, styled
from fairdistill.runtime.errors import UserError

# Least width of a cell with a number, in inches; where more columns than fit the page, cells have none.
NARROWEST = 0.24
# Height of a row, in inches.
ROW = 0.19
# The least accuracy of a method that learned, as a share of the median of all methods.
LEARNED = 2 / 3
# The note on the marks: letters in the width of the figure, and the height of a line in inches.
LETTERS, NOTE = 126, 0.11


def plot_cells(cells: pd.DataFrame, *, methods: pd.DataFrame, dataset: str, architecture: str) -> Figure:
    """Draw the accuracy of each class and group, in per cent, one row per method in the order of its rank.

    The colours span the accuracies of all methods but those that hardly learned (`LEARNED`), whose lower accuracies all
    have the darkest. Beside a name is the method's number in all figures of the data set, see `method_numbers`. Below
    the map stands what the marks behind names mean, and whose accuracies the colours do not span.

    Parameters
    ----------
    cells : DataFrame
        See `fairdistill.reporting.ranking.cells_table`.
    methods : DataFrame
        See `fairdistill.reporting.ranking.rank_methods`.
    dataset, architecture : str
        Of both tables.

    Raises
    ------
    UserError
        If a table has no methods of this data set and architecture.
    """
    chosen = [
        table[(table["dataset"] == dataset) & (table["architecture"] == architecture)] for table in (cells, methods)
    ]
    if any(table.empty for table in chosen):
        raise UserError(f"no methods of {architecture} on {dataset} to draw; make both tables from the same metrics")
    numbers = method_numbers(methods[methods["dataset"] == dataset])
    cells, methods = chosen
    classes, groups = cells["class"].unique(), cells["group"].unique()
    grid = 100 * cells.pivot(index="method", columns=["class", "group"], values="accuracy")
    grid = grid.loc[methods["method"], [(label, group) for label in classes for group in groups]]
    learned = (methods["accuracy"] >= LEARNED * methods["accuracy"].median()).to_numpy()
    lowest = grid[learned].min(axis=None)
    names = [
        f"{marked}  {numbers[name]}" if name in numbers else marked
        for marked, name in zip(marked_names(methods), methods["method"], strict=True)
    ]
    notes = notes_on_names(methods)
    if clipped := (grid < lowest).any(axis=None):
        notes.append(f"The colours span the accuracies of all methods but {listed(list(methods['method'][~learned]))}.")
    notes = textwrap.wrap(" ".join(notes), LETTERS)
    width = 7 - 0.3 - 0.065 * max(map(len, names))
    with styled(STYLE | {"axes.grid": False, "text.parse_math": False}):
        figure = Figure(figsize=(7, 1.5 + ROW * len(names) + NOTE * len(notes)), layout="constrained")
        ax = figure.subplots()
        sns.heatmap(
            grid.set_axis(names),
            ax=ax,
            cmap="mako",
            vmin=lowest,
            annot=width / grid.shape[1] >= NARROWEST,
            fmt=".0f",
            annot_kws={"fontsize": 6},
            cbar_kws={
                "label": "Accuracy (%)",
                "pad": 0.01,
                "aspect": 30,
                "extend": "min" if clipped else "neither",
            },
            # names of groups may have dollars, which seaborn's labels would take for formulas
            xticklabels=False,
            linewidths=0.3,
            linecolor="white",
        )
        for edge in range(len(groups), grid.shape[1], len(groups)):
            ax.axvline(edge, color="white", lw=2.5)
        ax.set_title(f"{printed(dataset)}, {printed(architecture)}: methods ranked by DEO_A, the lowest first")
        ax.set(xlabel="", ylabel="")
        ax.set_xticks(np.arange(grid.shape[1]) + 0.5, grid.columns.get_level_values(1), rotation=90, fontsize=6.5)
        ax.set_yticks(np.arange(len(names)) + 0.5, names, rotation=0)
        ax.tick_params(length=0)
        above = ax.secondary_xaxis("top")
        above.set_xticks((np.arange(len(classes)) + 0.5) * len(groups), classes, fontsize=6.5)
        above.tick_params(length=0)
        above.spines[:].set_visible(False)
        if len(groups) * width / grid.shape[1] < 0.07 * max(map(len, classes)):
            above.tick_params(rotation=45)
        if notes:
            figure.supxlabel("\n".join(notes), fontsize=6)
    return figure
