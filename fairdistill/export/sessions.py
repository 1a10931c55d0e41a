"""Exported models, run by onnxruntime on the CPU."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from fairdistill.export.files import MODEL
from fairdistill.export.preprocessor import GROUP, IMAGES, KEY, PROBABILITIES, Preprocessor, read
from fairdistill.runtime.errors import UserError

SEVERE = 3  # of onnxruntime's levels: errors


class ExportedModel:
    """A model from an ONNX file.

    Attributes
    ----------
    preprocessor
        What it takes and gives.
    """

    def __init__(self, path: Path, *, threads: int):
        """Read a file that scripts/export_model.py wrote.

        Raises
        ------
        UserError
            There is no such file, it is another, or its metadata do not fit its graph.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = SEVERE
        if not path.is_file():
            raise UserError(f"{path}: there is no such file; give the folder of an exported model, or its {MODEL}")
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class for each of its errors, and none for all
            reason = " ".join(str(error).split())
            raise UserError(
                f"{path}: not an ONNX model that onnxruntime can read ({reason}); give the folder that snakemake "
                f"export has written, or the {MODEL} in it"
            ) from error
        text = self.session.get_modelmeta().custom_metadata_map.get(KEY)
        if text is None:
            raise UserError(f"{path}: does not say how images become its input; export a model with this project")
        self.preprocessor: Preprocessor = read(text, where=f"{path}: its metadata")
        found = [_described(values) for values in (self.session.get_inputs(), self.session.get_outputs())]
        if found != (wanted := _expected(self.preprocessor)):
            raise UserError(
                f"{path}: its metadata do not fit its graph, which takes {' and '.join(found[0])} and gives "
                f"{' and '.join(found[1])} in place of {' and '.join(wanted[0])} and {' and '.join(wanted[1])}; export "
                "the model again"
            )

    def predict(self, images: NDArray[np.uint8], group: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return the probabilities (n, classes) of images (n, size, size, 3); `group` (n,) where the model needs it."""
        inputs = {IMAGES: images} | ({GROUP: group} if self.preprocessor.needs_group else {})
        (probabilities,) = self.session.run([PROBABILITIES], inputs)
        return probabilities


def _described(values: Iterable[onnxruntime.NodeArg]) -> list[str]:
    """Name, type and shape of each input or output; a dimension of any size is a *."""

    def shape(value: onnxruntime.NodeArg) -> str:
        return ", ".join(str(n) if isinstance(n, int) else "*" for n in value.shape)

    return [f"{value.name}: {value.type} [{shape(value)}]" for value in values]


def _expected(facts: Preprocessor) -> list[list[str]]:
    """The inputs and outputs that a graph has to have, as `_described` gives those that it has."""
    size, classes = facts.network_sees, len(facts.classes)
    inputs = [f"{IMAGES}: tensor(uint8) [*, {size}, {size}, 3]"] + [f"{GROUP}: tensor(int64) [*]"] * facts.needs_group
    return [inputs, [f"{PROBABILITIES}: tensor(float) [*, {classes}]"]]
