"""Probe the features of one model: whether they reveal the group, and whether images with similar features have the
same prediction.

Reads the model's weights, its predictions, the record of its training and the prepared data set. Computes the features
of some of the test images, on the CPU, and writes one JSON file: a two-sample test for each class and pair of groups,
and the consistency of the predictions. The features of some of these images, projected onto the first two principal
components of their class, go into a second file, to be drawn. Features are what the model's classifier receives: those
before the network's head, or the code if the method has its own classifier on a code. The predictions are those of the
model, which need not be the largest of the network's logits. A model whose method trained nothing has the features of
its base.
"""

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairdistill.data import ImageDataset
from fairdistill.data.trained import read_tested
from fairdistill.evaluation import projections
from fairdistill.evaluation.correctness import collect
from fairdistill.evaluation.metrics import cell_accuracy, predicted
from fairdistill.evaluation.probes import choose_images, probe
from fairdistill.methods.base import method_class
from fairdistill.networks import load_method, load_network
from fairdistill.runtime.errors import run_script
from fairdistill.runtime.files import replacing, write_text
from fairdistill.runtime.provenance import versions
from fairdistill.settings.arguments import OutputFile, dataset_folder, parse_options
from fairdistill.settings.methods import Method
from fairdistill.settings.training_record import read_training
from fairdistill.training.computing import be_deterministic
from fairdistill.training.engines.fast import Images
from fairdistill.training.loop import infer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=dataset_folder, required=True, help="folder of the prepared data set")
    parser.add_argument("--weights", type=Path, required=True, help="weights.safetensors of the model")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.parquet of the model")
    parser.add_argument("--training", type=Path, required=True, help="training.json of the model")
    parser.add_argument("--output", type=OutputFile, required=True, help="file to write (JSON)")
    parser.add_argument(
        "--projection", type=OutputFile, required=True, help="file of projected features to write (parquet)"
    )
    parser.add_argument("--code", help="version of this code, written as the field code")
    args = parse_options(parser)

    record, training = read_training(args.training, args.weights, args.predictions)
    dataset, predictions = read_tested(args.data, args.predictions, training=training, record=args.training)
    rows, label, group = dataset.split("test")

    image_id = predictions["image_id"].to_numpy()
    names = {"classes": training.classes, "groups": training.groups}
    prediction = predicted(predictions, len(training.classes))
    cells, _ = cell_accuracy(label=label, group=group, prediction=prediction, **names)
    paired = collect(right=prediction == label, label=label, group=group, image_id=image_id, shape=cells.shape).paired
    images: dict[str, Any] = {"label": label, "group": group, "image_id": image_id, "paired": paired}
    chosen = choose_images(**images)
    features = features_of(args.weights, training.parameters.method, dataset, rows[chosen])
    found = probe(
        features=features,
        prediction=prediction[chosen],
        label=label[chosen],
        group=group[chosen],
        image_id=image_id[chosen],
        paired=paired,
        **names,
    )
    drawn = np.isin(chosen, choose_images(**images, limit=projections.LIMIT))
    plane = projections.project(
        features=features[drawn], label=label[chosen[drawn]], group=group[chosen[drawn]], **names
    )
    kept = {name: record[name] for name in ("run", "inputs", "outputs", "classes", "groups")}
    result = {**kept, "features": found, "code": args.code, "versions": versions()}
    write_text(args.output, json.dumps(result, indent=2, sort_keys=True) + "\n")
    with replacing(args.projection) as partial:
        plane.to_parquet(partial, index=False)


def features_of(weights: Path, method: Method, dataset: ImageDataset, rows: np.ndarray) -> np.ndarray:
    """Return what the classifier sees (n, D) of the test images in these rows of the data set, in their order."""
    be_deterministic(torch.get_num_threads())
    # no other image is classified
    split = dataset.samples["split"].where(np.isin(np.arange(len(dataset.samples)), rows), "")
    images = Images(replace(dataset, samples=dataset.samples.assign(split=split)), "test", torch.device("cpu"))
    # torch's types do not know that a network's layout can be set
    network = load_network(weights).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    represent = partial(method_class(method).representation, method, state=load_method(weights))
    return torch.cat([represent(output, group) for output, _, group in infer(network, images)]).numpy()


if __name__ == "__main__":
    run_script(main)
