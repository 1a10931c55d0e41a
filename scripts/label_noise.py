"""Estimate the label noise of UTKFace from photographs that occur twice, and its effect on accuracy and DEO.

If the archive has a photograph under several names, each name is a separate labelling, and how often two labellings
disagree shows how often one is wrong. The noise is estimated from two kinds of families: byte-identical files, and
near-identical files that are not byte-identical (see `fairdistill.data.near_copies`). Each family counts once, with all
its pairs together. Intervals are at 95 %, by a bootstrap over families.

The noise model: a labelling mistakes the class and the group independently of each other and of other labellings, and
as many images are mistaken one way as the other. The transition matrix from the first labelling to the second is then
the square of that from the truth to a labelling, which is obtained as its square root. Errors that the labellings of a
photograph share remain invisible. Each true cell is assumed to have as many images as are labelled so.

The measured scores of a classifier whose predictions depend only on the truth then follow from the mixture of true
cells in each labelled cell. "perfect" is always right; "fair" is right with probability `ACCURACY` in every cell, and
its errors are spread evenly over the other classes; "biased" is like "fair" except in one cell, where its accuracy is
lower by `GAP`. It has twelve variants, one for each cell, and values are means over them.

No rule runs this script; it needs UTKFace.tar.gz.
"""

import argparse
import hashlib
import io
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from fairdistill.data import utkface
from fairdistill.data.near_copies import families
from fairdistill.evaluation.criteria import deo_a, deo_m
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import UserError, run_script
from fairdistill.settings.arguments import OutputFile, parse_options

CLASSES, GROUPS = utkface.CLASSES, [*utkface.GROUPS, "Others"]
# the groups that the data set has
USED = len(utkface.GROUPS)
ACCURACY, GAP = 0.85, 0.4
RESAMPLES = 1000
# test images of each cell as in the published study, and how many such test sets are drawn
PER_CELL, DRAWS = 100, 200
COLUMNS = ["families", "part", "measure", "group", "class", "n", "value", "low", "high"]


def read_faces(archive: Path) -> pd.DataFrame:
    """Return the labelling that each file's name is: label, group, content and family, one row per file.

    `content` is the digest of the file, and `family` that of `fairdistill.data.near_copies`.
    """
    members = utkface.verified_members(archive)
    matches = {name: match for name in members if (match := utkface.NAME.match(name))}
    images = (np.asarray(Image.open(io.BytesIO(members[name])).convert("RGB")) for name in matches)
    return pd.DataFrame(
        {
            "label": np.searchsorted(utkface.AGE_EDGES, [int(m["age"]) for m in matches.values()], side="right"),
            "group": [int(m["race"]) for m in matches.values()],
            "content": [hashlib.sha256(members[name]).hexdigest() for name in matches],
            "family": families(images),
        }
    )


def labelled_twice(faces: pd.DataFrame, *, identical: bool) -> NDArray[np.float64]:
    """Return how often each family's first and second labellings name each two cells, over all its ordered pairs.

    Parameters
    ----------
    faces
        See `read_faces`.
    identical
        Whether the two files of a pair have the same content; or else they are of one family with other content.

    Returns
    -------
    (n_families, n_cells, n_cells)
        Sums to 1 over the cells, and is symmetric. The cell of a class and a group is group * n_classes + class.
    """
    n_cells = len(GROUPS) * len(CLASSES)
    tables = []
    for _, files in faces.groupby("content" if identical else "family"):
        cell = (files["group"] * len(CLASSES) + files["label"]).to_numpy()
        same = files["content"].to_numpy()[:, None] == files["content"].to_numpy()
        first, second = np.nonzero(same & ~np.eye(len(files), dtype=bool) if identical else ~same)
        if len(first):
            table = np.zeros((n_cells, n_cells))
            np.add.at(table, (cell[first], cell[second]), 1 / len(first))
            tables.append(table)
    return np.array(tables)


def confusion(twice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of a label given the truth, (k, k) with rows that sum to 1.

    Parameters
    ----------
    twice
        (k, k) symmetric: how often the first and the second labelling of one photograph have each two values.
    """
    scale = np.sqrt(twice.sum(axis=1))
    values, vectors = np.linalg.eigh(twice / np.outer(scale, scale))
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    probability = (root * scale / scale[:, None]).clip(0)
    return probability / probability.sum(axis=1, keepdims=True)


def mixtures(twice: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of each true cell among the images of each labelled cell: [group, class, true group, class].

    Parameters
    ----------
    twice
        (n_cells, n_cells), see `labelled_twice`; summed over families.
    count
        (n_groups, n_classes) images of each cell.
    """
    shape = (len(GROUPS), len(CLASSES)) * 2
    of_group = confusion(twice.reshape(shape).sum(axis=(1, 3)))
    of_class = confusion(twice.reshape(shape).sum(axis=(0, 2)))
    images = np.einsum("ay,ab,yz->bzay", count, of_group, of_class)
    return images / images.sum(axis=(2, 3), keepdims=True)


def measured(mixture: NDArray[np.float64], accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the accuracy that is measured in each labelled cell of the groups that are used, (n_used, n_classes).

    Parameters
    ----------
    mixture
        See `mixtures`.
    accuracy
        (n_groups, n_classes): of each true cell. A wrong answer is as likely to be one other class as another.
    """
    right = np.eye(len(CLASSES))[None]
    answer = right * accuracy[..., None] + (1 - right) * (1 - accuracy[..., None]) / (len(CLASSES) - 1)
    return np.einsum("bzay,ayz->bz", mixture, answer)[:USED]


def classifiers() -> dict[str, list[NDArray[np.float64]]]:
    """Return the true accuracies, (n_groups, n_classes), of the variants of each simulated classifier."""
    fair = np.full((len(GROUPS), len(CLASSES)), ACCURACY)
    biased = []
    for cell in np.ndindex(USED, len(CLASSES)):
        biased.append(fair.copy())
        biased[-1][cell] -= GAP
    return {"perfect": [np.ones_like(fair)], "fair": [fair], "biased": biased}


def scores(cells: list[NDArray[np.float64]], rng: np.random.Generator) -> dict[str, float]:
    """Return accuracy, DEO_A and DEO_M of a classifier, means over its variants; DEO_M also the extremes over them.

    With endlessly many images, and, where the name ends in `_drawn`, with `PER_CELL` images a cell.

    Parameters
    ----------
    cells
        Of each variant, the accuracy of each cell, (n_used, n_classes).
    """
    exact = np.array(cells)
    drawn = rng.binomial(PER_CELL, exact, size=(DRAWS, *exact.shape)) / PER_CELL
    return {
        "accuracy": exact.mean(),
        "deo_a": deo_a(exact).mean(),
        "deo_m": deo_m(exact).mean(),
        "deo_m_lowest": deo_m(exact).min(),
        "deo_m_highest": deo_m(exact).max(),
        "deo_a_drawn": deo_a(drawn).mean(),
        "deo_m_drawn": deo_m(drawn).mean(),
    }


def estimate(twice: NDArray[np.float64], count: NDArray[np.int64]) -> dict[tuple[str, str, str, str], float]:
    """Return every estimate as {(part, measure, group, class): value}; see `mixtures` for the arguments."""
    table = (twice / twice.sum()).reshape((len(GROUPS), len(CLASSES)) * 2)
    by = {"class": table.sum(axis=(0, 2)), "group": table.sum(axis=(1, 3)), "cell": twice / twice.sum()}
    found = {("disagreement", name, "", ""): 1 - np.trace(joint) for name, joint in by.items()}
    for name in ("class", "group"):
        found["error", name, "", ""] = 1 - by[name].sum(axis=1) @ np.diag(confusion(by[name]))
    mixture = mixtures(twice, count)
    for (a, group), (y, label) in itertools.product(enumerate(utkface.GROUPS), enumerate(CLASSES)):
        pairs = table[a, y].sum()
        second = table[a, y] / pairs if pairs else np.full_like(table[a, y], np.nan)
        for part, cells in (("disagreement", second), ("error", mixture[a, y])):
            found[part, "class", group, label] = 1 - cells[:, y].sum()
            found[part, "group", group, label] = 1 - cells[a].sum()
    rng = np.random.default_rng(0)
    for name, variants in classifiers().items():
        for source, cells in (
            ("truth", [accuracy[:USED] for accuracy in variants]),
            ("labels", [measured(mixture, accuracy) for accuracy in variants]),
        ):
            for measure, value in scores(cells, rng).items():
                found[f"{name} by {source}", measure, "", ""] = value
    return found


def table_of(faces: pd.DataFrame) -> pd.DataFrame:
    """Return every estimate from both kinds of families, with its interval: the columns `COLUMNS`."""
    count = pd.crosstab(faces["group"], faces["label"]).to_numpy()
    rng = np.random.default_rng(0)
    rows = []
    for kind in ("identical", "near-identical"):
        families_of = labelled_twice(faces, identical=kind == "identical")
        n = len(families_of)
        flat = families_of.reshape(n, -1)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
        again = [estimate((w @ flat).reshape(families_of.shape[1:]), count) for w in weights]
        in_cell = (families_of.sum(axis=2) > 0).sum(axis=0).reshape(len(GROUPS), len(CLASSES))
        for key, value in estimate(families_of.sum(axis=0), count).items():
            part, measure, group, label = key
            of_cell = in_cell[GROUPS.index(group), CLASSES.index(label)] if group else n
            low, high = np.nanquantile([one[key] for one in again], [0.025, 0.975])
            rows.append((kind, part, measure, group, label, of_cell, value, low, high))
    return pd.DataFrame(rows, columns=COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, required=True, help="UTKFace.tar.gz")
    parser.add_argument("--csv", type=OutputFile, help="table to write")
    args = parse_options(parser)

    if not args.archive.is_file():
        raise UserError(f"--archive: there is no file {args.archive}; give UTKFace.tar.gz")
    table = table_of(read_faces(args.archive))
    if args.csv:
        write_csv(args.csv, table)
    print(markdown(table.round(3)))


if __name__ == "__main__":
    run_script(main)
