"""What is exported of a study, and what its model cards are told."""

from typing import Annotated

from pydantic import Field

from fairdistill.settings.base import READ_NUMBER, AtLeastOne, Given, Name, NoEffect, OrNull, Settings, Whole
from fairdistill.settings.training import Seed


class Export(Settings):
    """Which models `snakemake export` writes, and what their cards say beside the numbers."""

    seeds: Annotated[AtLeastOne[Seed] | None, OrNull] = Field(
        None, description="Seeds; `null` takes the first of each grid."
    )
    datasets: Annotated[AtLeastOne[Name] | None, OrNull] = Field(None, description="Data sets; `null` takes all.")
    architectures: Annotated[AtLeastOne[Name] | None, OrNull] = Field(
        None, description="Networks; `null` takes all for which there are models of the methods."
    )
    methods: Annotated[AtLeastOne[Name] | None, OrNull] = Field(
        None,
        description="Methods of any grid, `teacher` among them or not; `null` takes all students of the main grid "
        "whose labels are not drawn at random.",
    )
    calibration_images: Whole = Field(
        500,
        ge=1,
        le=1_000_000,
        description="The number of training images with which the ranges of the int8 model are found, drawn as evenly "
        "as possible from the (class, group) cells.",
    )
    intended_use: Annotated[Given | None, OrNull] = Field(
        None,
        description="What the models are for, in sentences for the card; with `null` the card says that no "
        "intended use has been stated.",
    )
    data_terms: Annotated[Given | None, OrNull] = Field(
        None,
        description="What images of your own (`kind: folder`) may be used for; for other kinds it is known.",
    )
    watts: Annotated[Annotated[float, Field(gt=0, le=100_000)] | None, OrNull, READ_NUMBER] = Field(
        None,
        description="The power that a busy processor core is assumed to draw, in W, for the energy in the card; "
        "`null` leaves energy and carbon out.",
    )
    carbon_intensity: Annotated[Annotated[float, Field(gt=0, le=100_000)] | None, OrNull, READ_NUMBER] = Field(
        None,
        description="The carbon intensity of your electricity in g CO2e per kWh, for the carbon in the card; `null` "
        "leaves it out.",
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return what carbon is computed with where there is no energy."""
        return {} if self.watts else {"carbon_intensity": NoEffect("watts is null", "give watts")}

    def for_cards(self) -> dict:
        """Return what cards are told, as JSON holds it."""
        return self.model_dump(mode="json", include={"intended_use", "data_terms", "watts", "carbon_intensity"})
