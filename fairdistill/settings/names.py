"""The names that a model is filed under."""

from typing import Literal

from pydantic import Field

from fairdistill.settings.base import Settings, Text

Role = Literal["teacher", "student"]


class ModelName(Settings, extra="ignore"):
    """The names that tell a model from others of its data set, seed and fold. Any further ones are ignored."""

    architecture: Text
    method: Text

    def __str__(self) -> str:
        return f"{self.method} ({self.architecture})"


class Names(Settings):
    """The names that the record of a training is filed under; the workflow gives them all."""

    study: Text | None = Field(None, description="Name of the study.")
    dataset: Text | None = Field(None, description="Name of the data set.")
    architecture: Text | None = Field(None, description="Name of the network.")
    method: Text | None = Field(None, description="Name of the method.")
    role: Role | None = Field(
        None, description="Role of the model; it also decides, with the seed, the initial weights and the order."
    )
    base: ModelName | None = Field(None, description="Names of the model that it stands on; null for none.")
