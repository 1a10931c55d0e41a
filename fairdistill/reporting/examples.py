"""The figure of examples: test images of the cells that a model recognises worst, with what two models make of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fairdistill.data import ImageDataset
from fairdistill.reporting.labels import printed
from fairdistill.reporting.style import STYLE, styled
from fairdistill.runtime.errors import UserError

CELLS, IMAGES = 4, 8
SEED = 0
# In no colour: the images have colours of their own, which may be those of groups.
RIGHT: tuple[str, dict[str, Any]] = ("✓", {"color": "black"})
WRONG: tuple[str, dict[str, Any]] = (
    "✗",
    {"color": "white", "bbox": {"boxstyle": "square,pad=0.12", "fc": "black", "ec": "black", "lw": 0.4}},
)
FONT = 6.5


@dataclass(frozen=True)
class Cell:
    """A class and group: their codes, and the rows in the data set of its test images that are shown."""

    label: int
    group: int
    rows: np.ndarray


def worst_cells(dataset: ImageDataset, prediction: np.ndarray) -> list[Cell]:
    """Return the `CELLS` cells of test images that are recognised least often, the worst first.

    Of each, `IMAGES` images are drawn, with one seed; where it has fewer, all are shown. Cells that are recognised
    alike are in the order of their classes and groups.

    Parameters
    ----------
    prediction
        (n,) the predicted class of each test image, in the order of the data set.
    """
    rows, label, group = dataset.split("test")
    rng = np.random.RandomState(SEED)
    found = []
    for y in range(len(dataset.classes)):
        for a in range(len(dataset.groups)):
            inside = np.flatnonzero((label == y) & (group == a))
            if len(inside):
                shown = np.sort(rng.permutation(inside)[:IMAGES])
                found.append((np.mean(prediction[inside] == y), Cell(y, a, rows[shown])))
    return [cell for _, cell in sorted(found, key=lambda of_cell: of_cell[0])[:CELLS]]


def plot_examples(dataset: ImageDataset, predictions: Mapping[str, np.ndarray], *, name: str) -> Figure:
    """Draw test images of the cells that the first model recognises worst, a row for each cell.

    Below each image is what each model takes it for, with a tick where that is right, and white on black with a cross
    where it is wrong; beside each row how often each model recognises the images of the cell.

    Parameters
    ----------
    dataset
        With the images.
    predictions
        Of one model or more, by the names that they are shown by: (n,) the predicted class of each test image, in the
        order of the data set. The first chooses the cells.
    name
        Of the data set.
    """
    if not predictions:
        raise UserError("no predictions to draw examples of")
    rows, label, group = dataset.split("test")
    cells = worst_cells(dataset, next(iter(predictions.values())))
    place = {row: position for position, row in enumerate(rows)}
    with styled(STYLE | {"axes.grid": False, "text.parse_math": False}):
        height = 0.75 + 0.13 * len(predictions)
        figure = Figure(figsize=(7, 0.5 + height * len(cells)), layout="constrained")
        figure.suptitle(
            f"{printed(name)}, first seed: the cells in which the {next(iter(predictions))} is least accurate",
            fontsize=9,
        )
        axes = figure.subplots(len(cells), IMAGES + 1, squeeze=False, width_ratios=[2.2, *[1] * IMAGES])
        for cell, (beside, *panels) in zip(cells, axes, strict=True):
            inside = (label == cell.label) & (group == cell.group)
            shares = [f"{who}: {np.mean(found[inside] == cell.label):.0%}" for who, found in predictions.items()]
            title = f"class {dataset.classes[cell.label]}, {dataset.groups[cell.group]}"
            beside.text(0, 0.5, "\n".join([title, *shares]), va="center", fontsize=FONT + 0.5, wrap=True)
            for panel in (beside, *panels):
                panel.set_axis_off()
            for panel, row in zip(panels, cell.rows, strict=False):
                panel.imshow(dataset.images[row], interpolation="nearest")
                for line, found in enumerate(predictions.values()):
                    taken_for = found[place[row]]
                    mark, look = RIGHT if taken_for == cell.label else WRONG
                    panel.text(
                        0.5,
                        -0.07 - 0.19 * line,
                        f"{dataset.classes[taken_for]} {mark}",
                        transform=panel.transAxes,
                        ha="center",
                        va="top",
                        fontsize=FONT,
                        **look,
                    )
        figure.supxlabel(
            f"Below each image: the class that each model predicts, in the order on the left; {RIGHT[0]} right; "
            f"{WRONG[0]}, white on black: wrong",
            fontsize=FONT,
        )
    return figure
