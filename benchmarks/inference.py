"""The speed of inference: the test set and a teacher's features, beside a plain forward pass. Writes inference.csv/.md.

The plain pass is a lower bound that needs no engine: torch's own network in evaluation mode, without gradients, in
channels-last layout and the precision of training, on pixels that are ready, in that batch of `BATCHES` which is
fastest. Ours makes its batches from stored images, and that is counted. The test set is classified in float32 all the
same, so that its probabilities are those of the weights that are kept; a plain pass in float32 tells what of its time
is the precision's, and what the engine's. One process of one thread, or one GPU.
"""

import argparse
from functools import partial

import pandas as pd
import torch
from tqdm import tqdm

from benchmarks import machine
from benchmarks.cases import DATASETS, KINDS, METHODS
from benchmarks.training_worker import Clock, set_up
from fairdistill.networks import build_network
from fairdistill.reporting.printing import markdown
from fairdistill.runtime.errors import run_script
from fairdistill.settings.arguments import folder_argument
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import read_settings
from fairdistill.training.loop import predict

BATCHES = (32, 64, 125, 250, 500, 1000)
# batches that a plain pass is timed over, after one that is not
REPEATS = 3
# ours may take so many times as long
GOAL = 1.2


@torch.no_grad()
def plain_ms(network: torch.nn.Module, pixels: torch.Tensor, clock: Clock) -> float:
    """Milliseconds that an image takes in a forward pass of a batch."""
    network(pixels)
    clock.start()
    for _ in range(REPEATS):
        network(pixels)
    clock.stop()
    return 1e3 * clock.seconds / REPEATS / len(pixels)


def measure(dataset: str, kind: str) -> dict:
    """Time the fast engine's passes over random images, and the plain one over some of them."""
    subject = set_up("fast", dataset, kind, METHODS["student"], steps=4, threads=1)
    images, clock = subject.images, Clock(subject.device)
    n_classes = DATASETS[dataset].n_classes
    predict(subject.network, subject.method, images)
    clock.start()
    predict(subject.network, subject.method, images)
    clock.stop()
    found = {"test_ms": 1e3 * clock.seconds / len(images)}
    # the features of both orientations are read
    found["features_ms"] = 1e3 * subject.feature_seconds / len(images) / 2

    plain = build_network(read_settings(AnyNetwork, {"kind": kind}, where="kind"), n_classes)
    # torch's types do not know that a network's layout can be set
    plain = plain.eval().to(subject.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    order = torch.arange(max(BATCHES), device=images.device) % len(images)
    _, _, pixels = next(iter(images.batches(order, None, len(order))))
    precision = "bf16" if subject.network.bf16 else "fp32"
    fastest = {}
    for computed_in in dict.fromkeys([precision, "fp32"]):
        plain.bf16_evaluation = computed_in == "bf16"
        fastest[computed_in] = min((plain_ms(plain, pixels[:batch], clock), batch) for batch in BATCHES)
    milliseconds, batch = fastest[precision]
    found |= {"plain_ms": milliseconds, "plain_fp32_ms": fastest["fp32"][0]}
    return {**found, "batch": batch, "precision": precision}


def to_markdown(table: pd.DataFrame, measured_on: str) -> str:
    """The table as a page."""
    shown = table[["dataset", "kind"]].rename(columns={"dataset": "data set", "kind": "architecture"})
    headings = {"test_ms": "test images", "features_ms": "a teacher's features", "plain_ms": "plain pass"}
    headings["plain_fp32_ms"] = "plain pass in fp32"
    for column, heading in headings.items():
        shown[f"{heading}, ms"] = table[column].map("{:.3f}".format)
    shown["its batch"], shown["its precision"] = table["batch"], table["precision"]
    for ours, plain in (("test", "plain"), ("test", "plain_fp32"), ("features", "plain")):
        heading = f"{ours} / {plain.replace('_', ' in ')}"
        shown[heading] = (table[f"{ours}_ms"] / table[f"{plain}_ms"]).map("{:.2f}".format)
    how = (
        "Milliseconds that an image takes, of one thread (or a GPU). The plain pass is torch's own network in "
        "channels-last layout and the precision of training, on pixels that are ready, in the batch that is fastest. "
        "Ours makes its batches from stored images, and classifies the test set in float32, so that its probabilities "
        f"are those of the weights that are kept. The goal is {GOAL} times the plain pass at the most; the ratio of "
        "the test set to the plain pass in fp32 is what the engine itself takes."
    )
    return "\n\n".join(["# The speed of inference", measured_on, how, markdown(shown)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", type=folder_argument, default=machine.folder(), help="folder for the tables")
    args = parser.parse_args()
    machine.prepare(args.output)
    cases = [(dataset, kind) for dataset in DATASETS for kind in KINDS]
    table = pd.DataFrame(
        [
            {"dataset": dataset, "kind": kind} | measure(dataset, kind)
            for dataset, kind in tqdm(cases, desc="inference", unit="case")
        ]
    )
    machine.write_measured(args.output, "inference", table, partial(to_markdown, table), digits=5)


if __name__ == "__main__":
    run_script(main)
