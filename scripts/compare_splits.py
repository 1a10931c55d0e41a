"""Compare how trained models do on their training, validation and test images.

For each split of a data set: accuracy, DEO_A, DEO_M, and how far apart the groups' features are, as the share of the
features' variance that lies between the groups of a class. A bias that the model also has on its training images was
learned; one that appears only on new images was not. The network predicts its largest logit, and images are not
mirrored. No rule runs this script; it needs the weights and the prepared data sets, a study's `models` and `data`.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fairdistill.data.reading import SPLITS
from fairdistill.data.trained import load_trained
from fairdistill.evaluation.criteria import deo_a, deo_m
from fairdistill.evaluation.metrics import cell_accuracy
from fairdistill.networks import load_network
from fairdistill.reporting.columns import TRAINING
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.progress import log
from fairdistill.runtime.study_files import TRAINING_RECORD, WEIGHTS, StudyFiles
from fairdistill.settings.arguments import OutputFile, parse_options, require_unwritten
from fairdistill.settings.training_record import read_training
from fairdistill.training.computing import choose_device
from fairdistill.training.engines.fast import Images
from fairdistill.training.loop import infer


def between_groups(features: np.ndarray, label: np.ndarray, group: np.ndarray) -> float:
    """Return the mean squared distance of a (class, group) mean to its class's mean, as a share of all variance.

    The means are of few images, and chance alone sets those of the groups apart. What it adds on average to a distance
    follows from the variance within the groups, and is taken off; so where groups do not differ the share is zero on
    average, and may be below.

    Parameters
    ----------
    features
        (n, D).
    label, group
        (n,) int.
    """
    distances = []
    for y in np.unique(label):
        of_class = features[label == y]
        groups = group[label == y]
        parts = [of_class[groups == a] for a in np.unique(groups)]
        # a group's mean has the variance v / n, v that of one of its images; the class's mean is that of all of them
        share = np.array([len(part) / len(of_class) for part in parts])
        noise = np.array([_variance(part) / len(part) for part in parts])
        chance = noise * (1 - 2 * share) + (share**2 * noise).sum()
        centre = of_class.mean(axis=0)
        distances += list([np.square(part.mean(axis=0) - centre).sum() for part in parts] - chance)
    return float(np.mean(distances) / features.var(axis=0).sum())


def _variance(features: np.ndarray) -> float:
    """The variance of one image of a group, over all features; that of a single one is not known, and taken as none."""
    return float(features.var(axis=0, ddof=1).sum()) if len(features) > 1 else 0.0


def splits(results: Path, name: str) -> list[dict]:
    """Measure the model `name` of a study on each split that its data set has: one row each."""
    folder = StudyFiles(results).models / name
    training = read_training(folder / TRAINING_RECORD, folder / WEIGHTS)[1]
    names = {column: getattr(training.run, column) for column in TRAINING}
    dataset = load_trained(training.data_of(results), training=training, record=folder / TRAINING_RECORD)
    device = choose_device("auto")
    network = load_network(folder / WEIGHTS)
    # torch's types do not know that a network's layout can be set
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows = []
    for split in SPLITS:
        images = Images(dataset, split, device)
        if not len(images):
            continue
        outputs = [output for output, _, _ in infer(network, images)]
        features = torch.cat([output.features for output in outputs]).cpu().numpy()
        prediction = torch.cat([output.logits for output in outputs]).argmax(1).cpu().numpy()
        label, group = images.label.cpu().numpy(), images.group.cpu().numpy()
        of = {"classes": dataset.classes, "groups": dataset.groups}
        cells, _ = cell_accuracy(label=label, group=group, prediction=prediction, **of)
        accuracy = cells.mean() if dataset.info["weighting"] == "cells" else (prediction == label).mean()
        measured = {"accuracy": accuracy, "deo_a": deo_a(cells), "deo_m": deo_m(cells)}
        measured["between_groups"] = between_groups(features, label, group)
        rows.append({**names, "split": split, **measured})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="folder of the study, such as results/paper")
    parser.add_argument("--csv", type=OutputFile, help="table to write")
    parser.add_argument(
        "models", nargs="+", help="models of the study, such as utkface/shufflenet/teacher/seed0", metavar="MODEL"
    )
    args = parse_options(parser)
    study = StudyFiles(args.results)
    require_unwritten(args, "results", f"{study.models}/{{file}}", f"{study.data}/{{file}}")

    rows = []
    for model in args.models:
        rows += splits(args.results, model)
        log(f"{model}: done")
    table = pd.DataFrame(rows)
    if args.csv:
        write_csv(args.csv, table)
    print(markdown(table.round(3)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_script(main)
