"""The int8 version of an exported model: a quarter of its size, and faster on processors that have such arithmetic."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from fairdistill.export.onnx_model import write_model
from fairdistill.export.preprocessor import GROUP, IMAGES, Preprocessor
from fairdistill.runtime.progress import Progress

# Nearly all of the work. The normalisation before them and the prediction behind them are computed as they are.
QUANTISED = ["Conv", "Gemm", "MatMul", "Add", "MaxPool", "Concat", "Split", "Reshape", "Transpose", "Relu"]
# images at a time, as the ranges of all layers are kept for each
BATCH = 50


def choose_calibration(label: NDArray, group: NDArray, wanted: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the positions of images for the calibration, in order: as many of each cell, as far as there are.

    Ranges that were found on the images of the majority would suit the others less.

    Parameters
    ----------
    label, group
        (n,), of the training images.
    wanted
        The number of images; of every cell one at least is taken.
    """
    rng = np.random.default_rng(seed)
    cells = [np.flatnonzero((label == y) & (group == a)) for y in np.unique(label) for a in np.unique(group)]
    cells = [rng.permutation(cell) for cell in cells if len(cell)]
    chosen: list[int] = []
    # round by round, so that what small cells lack is taken from larger ones
    for turn in range(max(map(len, cells))):
        chosen += [int(cell[turn]) for cell in cells if turn < len(cell)]
        if len(chosen) >= wanted:
            break
    return np.sort(chosen[: max(wanted, len(cells))])


class _Images(CalibrationDataReader):
    def __init__(self, images: NDArray[np.uint8], group: NDArray[np.int64], preprocessor: Preprocessor):
        self.batches = self._batches(images, group, needs_group=preprocessor.needs_group)

    @staticmethod
    def _batches(images: NDArray, group: NDArray, *, needs_group: bool) -> Iterator[dict[str, NDArray]]:
        progress = Progress("reading training images for the ranges", len(images))
        for start in range(0, len(images), BATCH):
            if start:
                progress.step(start)
            part = slice(start, start + BATCH)
            yield {IMAGES: images[part]} | ({GROUP: group[part]} if needs_group else {})

    def get_next(self) -> dict[str, NDArray] | None:
        return next(self.batches, None)


def write_int8(
    path: Path, model: Path, preprocessor: Preprocessor, images: NDArray[np.uint8], group: NDArray[np.int64]
) -> None:
    """Quantise an ONNX file by onnxruntime's static quantisation, and write the result to `path`.

    Weights are of int8 with a scale for each channel, activations of uint8 with a scale for each layer, whose range is
    that over the calibration images. The file is in the QDQ format, which other runtimes read as well.

    Parameters
    ----------
    images, group
        (n, size, size, 3) and (n,), of the training split: the calibration images, as the network sees them.
    """
    with TemporaryDirectory() as folder, _quiet():
        inferred, quantised = Path(folder, "inferred.onnx"), Path(folder, "quantised.onnx")
        # shapes alone; torch's exporter has simplified the graph
        quant_pre_process(model, inferred, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            inferred,
            quantised,
            _Images(images, group, preprocessor),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        write_model(path, onnx.load(quantised), preprocessor)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out onnxruntime's advice on what is done here already."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
