"""What has to be done to an image before a model sees it: the content of preprocessor.json.

The same text is in the metadata of the ONNX files, so that each of them is enough to predict.
"""

import json
from typing import Literal

from pydantic import Field

from fairdistill.runtime.errors import UserError
from fairdistill.runtime.files import parse_json
from fairdistill.settings.base import Text
from fairdistill.settings.checkpoints import ModelFacts
from fairdistill.settings.reading import read_settings

# the key of the metadata of an ONNX file
KEY = "fairdistill"
IMAGES, GROUP, PROBABILITIES = "images", "group", "probabilities"


class Preprocessor(ModelFacts):
    """What images a model takes, and how they are made of pictures.

    The fields without an alternative are for readers of the file, so that nobody has to know this project.
    """

    version: Literal[1] = Field(1, description="Version of this file's format.")
    name: Text = Field(description="Names of the model: data set, network, method and seed.")
    needs_group: bool = Field(description="Whether the model takes the group of each image as a second input.")
    resample: Literal["bilinear"] = Field("bilinear", description="Pillow's filter, which is antialiased.")
    rescale: Literal["inside"] = Field(
        "inside", description="Pixels are divided by 255 and normalised by mean and std inside of model.onnx."
    )
    input: Text = Field(description="The inputs of model.onnx.")
    output: Text = Field("probabilities: float32 (batch, classes)", description="The output of model.onnx.")

    def to_text(self) -> str:
        """Return the content of preprocessor.json."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"


def describe(facts: ModelFacts, *, name: str, needs_group: bool) -> Preprocessor:
    """Return the preprocessor of a model."""
    size = facts.network_sees
    inputs = f"{IMAGES}: uint8 (batch, {size}, {size}, 3), RGB"
    if needs_group:
        inputs += f"; {GROUP}: int64 (batch,), the position of the image's group in groups, from 0"
    return Preprocessor(**facts.to_json(), name=name, needs_group=needs_group, input=inputs)


def read(text: str, *, where: str) -> Preprocessor:
    """Return what `Preprocessor.to_text` has written; a UserError that begins with `where` says what is wrong."""
    try:
        values = parse_json(text)
    except ValueError as error:
        raise UserError(f"{where}: not readable as JSON ({error}); export the model again") from error
    return read_settings(Preprocessor, values, where=where)
