"""Exported models, run by onnxruntime on the CPU."""

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
            There is no such file, or it is another.
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
            raise UserError(f"{path}: not an ONNX model that onnxruntime can read ({reason})") from error
        text = self.session.get_modelmeta().custom_metadata_map.get(KEY)
        if text is None:
            raise UserError(f"{path}: does not say how images become its input; export a model with this project")
        self.preprocessor: Preprocessor = read(text, where=f"{path}: its metadata")
        size = self.preprocessor.network_sees
        said = {IMAGES: [size, size, 3]} | ({GROUP: []} if self.preprocessor.needs_group else {})
        said[PROBABILITIES] = [len(self.preprocessor.classes)]
        # the first dimension is the batch
        found = {one.name: one.shape[1:] for one in [*self.session.get_inputs(), *self.session.get_outputs()]}
        if found != said:
            raise UserError(
                f"{path}: takes and gives {found}, and its metadata say {said}: one of the two was changed; export the "
                "model again"
            )

    def predict(self, images: NDArray[np.uint8], group: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return the probabilities (n, classes) of images (n, size, size, 3); `group` (n,) where the model needs it."""
        inputs = {IMAGES: images} | ({GROUP: group} if self.preprocessor.needs_group else {})
        (probabilities,) = self.session.run([PROBABILITIES], inputs)
        return probabilities
