"""The data sets that a configuration can describe, one class per `kind`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fairdistill.settings.base import READ_WHOLE, Distinct, Number, Settings, Whole


class DataSet(Settings):
    """What every kind of data set has.

    Attributes
    ----------
    implementation
        The module that makes data sets of this kind: its `prepare(settings, archive)`.
    archive
        File name of the archive that the data set is made from; None where nothing has to be downloaded.
    """

    implementation: ClassVar[str]
    archive: ClassVar[str | None] = None

    kind: str
    validation: Number = Field(
        0.0,
        ge=0,
        lt=1,
        description="The share of the training images, of each (class, group) cell, that is set aside as the "
        "validation split; 0 makes none.",
    )
    split_seed: Whole = Field(0, ge=0, description="The seed of every random draw in making the data set.")


SKEW = "The share of each class's training images that belong to the class's majority group; 0.5 is no bias."


class Cifar10S(DataSet):
    """CIFAR-10 with a colour bias: in training, some classes are mostly gray and the others mostly in colour.

    Two data sets go by this name. The defaults are those of the code of Jung et al., CVPR 2021; Wang et al., CVPR 2020,
    where the construction comes from, take skew 0.95 and the classes 0, 2, 4, 6 and 8.
    """

    implementation: ClassVar[str] = "fairdistill.data.cifar10s"
    archive: ClassVar[str | None] = "cifar-10-python.tar.gz"

    kind: Literal["cifar10s"]
    skew: Number = Field(0.8, gt=0, lt=1, description=SKEW)
    gray_classes: Distinct[Annotated[int, Field(ge=0, le=9), READ_WHOLE]] = Field(
        [0, 1, 2, 3, 4], description="The classes that are mostly gray in training; the others are mostly in colour."
    )


class UTKFace(DataSet):
    """Faces: the class is the age, the group the ethnicity, and every (class, group) cell has as many test images."""

    implementation: ClassVar[str] = "fairdistill.data.utkface"
    archive: ClassVar[str | None] = "UTKFace.tar.gz"

    kind: Literal["utkface"]
    image_size: Whole = Field(
        64, ge=8, description="The edge of the square images, in pixels; the cost of training grows with its square."
    )
    test_per_cell: Whole = Field(100, ge=1, description="The number of test images in each (class, group) cell.")
    duplicates: Literal["drop", "keep"] = Field(
        "drop",
        description="What becomes of training images that are byte-identical to a test image: `drop` leaves them out; "
        "`keep` keeps them, which is the leak that other work has. The test images are the same.",
    )


class DigitsS(DataSet):
    """scikit-learn's handwritten digits, enlarged and tinted orange or blue; they need no download."""

    implementation: ClassVar[str] = "fairdistill.data.digits_s"

    kind: Literal["digits_s"]
    skew: Number = Field(0.9, gt=0, lt=1, description=SKEW)
    image_size: Whole = Field(
        32, ge=8, description="The edge of the square images, in pixels, to which the digits of 8 px are enlarged."
    )
    test_fraction: Number = Field(0.4, gt=0, lt=1, description="The share of each class that becomes the test split.")
    contrast: Number = Field(0.5, gt=0, le=1, description="The brightness of the ink, as a share of full brightness.")
    noise: Number = Field(
        0.2, ge=0, le=1, description="The standard deviation of the sensor noise, as a share of full brightness."
    )


AnyDataSet = Annotated[Cifar10S | UTKFace | DigitsS, Field(discriminator="kind")]
