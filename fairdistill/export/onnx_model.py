"""A trained model as one ONNX file: pixels in, probabilities of the classes out."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import onnx
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fairdistill.export.preprocessor import GROUP, IMAGES, KEY, PROBABILITIES, Preprocessor
from fairdistill.methods.base import Method, Task, method_class
from fairdistill.networks import Classifier, freeze
from fairdistill.settings.checkpoints import ModelFacts
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.reading import read_settings

# what onnxruntime has read since 1.14 (2023), and phones and browsers do: the operators, and the format of the file
OPSET, IR_VERSION = 18, 8


class Predictor(nn.Module):
    """A network with all that makes its prediction: the normalisation before it, and its method's `predict` behind it.

    Parameters
    ----------
    network
        As `load_network` gives it.
    method
        As `restore_method` gives it.
    facts
        Of the checkpoint.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: Classifier, method: Method, facts: ModelFacts):
        super().__init__()
        self.network, self.method = freeze(network), method
        mean, std = (torch.tensor(values, dtype=torch.float32) for values in (facts.mean, facts.std))
        # as the fast engine normalises
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def forward(self, images: Tensor, group: Tensor | None = None) -> Tensor:
        """Return the probabilities (B, classes) of images (B, size, size, 3), uint8; `group` is (B,), int64."""
        pixels = (images * self.scale + self.shift).permute(0, 3, 1, 2)
        if group is None:
            # of a method that does not read it; `len` would make the batch's size a constant of the exported graph
            group = images.new_zeros(images.shape[0], dtype=torch.int64)
        return self.method.predict(self.network(pixels), group)


def restore_method(facts: ModelFacts, network: Classifier, state: Mapping[str, Tensor]) -> Method:
    """Return the method of a checkpoint, which can predict and nothing else.

    Parameters
    ----------
    facts, network, state
        What `load_facts`, `load_network` and `load_method` read.

    Raises
    ------
    ValueError
        The method's `prediction_state` names something that is none of its parameters or buffers.
    """
    settings = read_settings(AnyMethod, facts.method, where="the checkpoint's method")
    n_classes, n_groups = len(facts.classes), len(facts.groups)
    # What it was trained on and distilled from is not at hand, and no prediction depends on it but through the state:
    # one image of each cell, and the network itself as the base, are enough to make a method of any kind.
    cell = torch.arange(n_classes * n_groups)
    task = Task(n_classes, n_groups, cell // n_groups, cell % n_groups, facts.network_sees, network, network)
    with torch.random.fork_rng(devices=[]):
        method = method_class(settings)(settings, task)
    if unknown := method.load_state_dict(dict(state), strict=False).unexpected_keys:
        raise ValueError(f"method {settings.kind}: prediction_state names {unknown[0]!r}, which the method lacks")
    return method.eval().requires_grad_(False)


def write_onnx(path: Path, predictor: Predictor, preprocessor: Preprocessor) -> None:
    """Write a predictor as an ONNX file whose batch may have any size.

    torch has two exporters. This is the one that it keeps; the other, by TorchScript, is deprecated. Its graphs are
    also the better ones: batch norms are part of the convolutions, and no shape is computed while a model runs.
    """
    # of two images, as torch takes a dimension of 1 for a constant
    inputs = {IMAGES: torch.zeros(2, *[preprocessor.network_sees] * 2, 3, dtype=torch.uint8)}
    if preprocessor.needs_group:
        inputs[GROUP] = torch.zeros(2, dtype=torch.int64)
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        # torch warns of what its own exporter does; that the batch may have any size is checked below
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            predictor,
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[PROBABILITIES],
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            verbose=False,
        )
    # it may be none in the signature alone
    model = cast(torch.onnx.ONNXProgram, program).model_proto
    for value in [*model.graph.input, *model.graph.output]:
        if not value.type.tensor_type.shape.dim[0].dim_param:
            raise ValueError(
                f"method {predictor.method.settings.kind}: the batch has a fixed size in the exported graph; take it "
                "from a tensor's shape, and not by len()"
            )
    write_model(path, model, preprocessor)


def write_model(path: Path, model: onnx.ModelProto, preprocessor: Preprocessor) -> None:
    """Check a model, add the preprocessor to its metadata, and write it."""
    model.ir_version = IR_VERSION
    # notes of torch's exporter: of a later format, and some of them are paths of this machine
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
    onnx.helper.set_model_props(model, {KEY: preprocessor.to_text()})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def count_parameters(predictor: Predictor) -> int:
    """Return the number of weights that a prediction is made with."""
    state = predictor.method.prediction_state().values()
    return sum(weight.numel() for weight in [*predictor.network.parameters(), *state])


def count_flops(predictor: Predictor, preprocessor: Preprocessor) -> int:
    """Return the floating-point operations that one image takes, a multiplication and an addition each counted."""
    size = preprocessor.network_sees
    group = torch.zeros(1, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        predictor(torch.zeros(1, size, size, 3, dtype=torch.uint8), group)
    return counter.get_total_flops()
