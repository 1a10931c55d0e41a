"""How a network that was trained elsewhere expects its images."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from fairdistill.settings.base import READ_NUMBER, READ_WHOLE, NoEffect, OrNull, Settings, as_float
from fairdistill.settings.data import LARGEST

# of ImageNet's training images, as all networks of torchvision that were trained on them expect
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# the largest value of a pixel, on the scale that is refused
PIXEL = 255
# pixels of 0 to 255 are divided by 1/255
SMALLEST_STD = 0.001


class Preprocess(Settings):
    """How the network of a checkpoint expects its images: what was done to them in the program that trained it."""

    size: Annotated[Annotated[int, Field(ge=8, le=LARGEST)] | None, OrNull, READ_WHOLE] = Field(
        None,
        description="The edge, in pixels, to which the whole image is resized; `null` leaves the data set's size.",
    )
    crop: Annotated[Annotated[int, Field(ge=8, le=LARGEST)] | None, OrNull, READ_WHOLE] = Field(
        None,
        description="The edge, in pixels, of the square then cut out at the centre, such as 224 of `size: 256`; "
        "`null` keeps the whole image.",
    )
    mean: Annotated[
        list[Annotated[float, Field(ge=-PIXEL, le=PIXEL), BeforeValidator(as_float), READ_NUMBER]],
        Field(min_length=3, max_length=3),
    ] = Field(
        list(IMAGENET_MEAN),
        description="What was subtracted from the red, green and blue channel, on the scale 0 to 1; the default is "
        "ImageNet's.",
    )
    std: Annotated[
        list[Annotated[float, Field(gt=0, le=PIXEL), BeforeValidator(as_float), READ_NUMBER]],
        Field(min_length=3, max_length=3),
    ] = Field(
        list(IMAGENET_STD),
        description="What each channel was then divided by; the default is ImageNet's, and of `ToTensor` alone mean "
        "and standard deviation are `[0, 0, 0]` and `[1, 1, 1]`.",
    )
    interpolation: Literal["bilinear", "bicubic", "nearest"] = Field(
        "bilinear", description="How the image is resized."
    )

    def network_gets(self, image_size: int) -> int:
        """Return the edge of what the network gets of images of `image_size`, in pixels."""
        return self.crop or self.size or image_size

    def without_effect(self) -> dict[str, NoEffect]:
        """Return how images are resized where they are not."""
        return {} if self.size else {"interpolation": NoEffect("size is null", "give the size")}

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.crop and self.crop > (self.size or 0):
            has = f"has a crop of {self.crop} and " + (f"a size of {self.size}" if self.size else "no size")
            raise PydanticCustomError("crop", f"{has}; give the size to which images are resized, {self.crop} or more")
        return self

    @model_validator(mode="after")
    def _on_the_scale(self) -> Self:
        if any(not 0 <= value <= 1 for value in self.mean) or any(not SMALLEST_STD <= value <= 1 for value in self.std):
            what = "has a mean or std beyond the scale 0 to 1; divide those of pixels of 0 to 255 by 255"
            raise PydanticCustomError("scale", what)
        return self
