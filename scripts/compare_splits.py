"""Say how a trained model does on its training images beside its test images.

For each split: accuracy, DEO_A, DEO_M, the accuracy of each cell, and how far apart the groups' features lie, as the
share of the features' variance that is between the groups of one class. It tells a bias that was learnt from one that
appears on new images alone. No rule runs it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fairdistill.data import load_dataset
from fairdistill.engines import load_engine
from fairdistill.errors import run
from fairdistill.methods import Shape, build_method
from fairdistill.metrics import cell_accuracy
from fairdistill.models import Output, load_model
from fairdistill.training import choose_device, infer
from fairdistill.uncertainty import deo_a, deo_m


def between_groups(features: np.ndarray, label: np.ndarray, group: np.ndarray) -> float:
    """Mean squared distance of a (class, group) mean to its class's mean, as a share of the variance of all.

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
        centre = of_class.mean(axis=0)
        distances += [np.square(of_class[groups == a].mean(axis=0) - centre).sum() for a in np.unique(groups)]
    return float(np.mean(distances) / features.var(axis=0).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the prepared data set")
    parser.add_argument("--weights", type=Path, required=True, help="weights.safetensors of a model trained on it")
    args = parser.parse_args()

    dataset, model = load_dataset(args.data), load_model(args.weights)
    device, engine = choose_device("auto"), load_engine("fast")
    shape = Shape(len(dataset.classes), len(dataset.groups), model.width)
    model, _ = engine.prepare(model, build_method({"kind": "scratch"}, shape), device)
    for split in ("train", "test"):
        images = engine.Images(dataset, split, device)
        output = Output(*map(torch.cat, zip(*infer(model, images), strict=True)))
        label, group = images.label.cpu().numpy(), images.group.cpu().numpy()
        prediction = output.logits.argmax(1).cpu().numpy()
        names = {"classes": dataset.classes, "groups": dataset.groups}
        cells, _ = cell_accuracy(label=label, group=group, prediction=prediction, **names)
        spread = between_groups(output.features.cpu().numpy(), label, group)
        print(
            f"{split}: accuracy {(prediction == label).mean():.3f}, DEO_A {deo_a(cells):.3f}, "
            f"DEO_M {deo_m(cells):.3f}, between groups {spread:.4f} of the features' variance"
        )
        print(pd.DataFrame(cells, index=dataset.groups, columns=dataset.classes).round(3).to_string(), "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(main)
