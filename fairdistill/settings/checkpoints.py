"""What a checkpoint says of its model beside the network: with it, the file alone is enough to predict."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairdistill.settings.base import AtLeastOne, Settings, Text
from fairdistill.settings.data import LARGEST

Framing = Literal["stretch", "centre"]
Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


class ModelFacts(Settings):
    """What images a model takes, and what its outputs mean."""

    classes: AtLeastOne[Text] = Field(description="Names of the classes, in the order of the probabilities.")
    groups: AtLeastOne[Text] = Field(description="Names of the groups, in the order of their codes.")
    image_size: int = Field(
        ge=1, le=LARGEST, description="The edge of the square that an image is first resized to, in pixels."
    )
    framing: Framing = Field(
        description="How an image becomes a square: `stretch` resizes both edges, `centre` cuts the central square out."
    )
    crop: Annotated[int, Field(ge=1)] | None = Field(
        description="The edge of what the network sees, in pixels; null where it sees the whole square."
    )
    crop_test: Literal["centre", "whole"] = Field(
        description="How the square comes to that size: cut out at its `centre`, or the `whole` of it shrunk."
    )
    mean: Channels = Field(description="Mean of each colour channel, of pixel values from 0 to 1.")
    std: Channels = Field(description="Standard deviation of each colour channel.")
    method: dict = Field(description="The method, with its settings: it says how outputs become probabilities.")

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.network_sees > self.image_size:
            raise PydanticCustomError("crop", "crops to more pixels than image_size has")
        return self

    @property
    def network_sees(self) -> int:
        """The edge of the images that the network gets, in pixels."""
        return self.crop or self.image_size
