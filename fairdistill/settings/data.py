"""The data sets that a configuration can describe, one class per `kind`."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from fairdistill.settings.base import Distinct, Number, Settings, Whole


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
        description="Share of the training images, of each (class, group) cell, that is set aside as validation split.",
    )
    split_seed: Whole = Field(0, ge=0, description="Seed of every draw that the making of the data set needs.")


Skew = Annotated[
    Number,
    Field(
        gt=0,
        le=1,
        description="Share of each class that is of its majority group in training; 0.5 is no bias.",
    ),
]


class Cifar10S(DataSet):
    """CIFAR-10 with a colour bias: some classes mostly gray in training, the others mostly in colour.

    Two data sets go by this name. The defaults are those of the code of Jung et al., CVPR 2021; Wang et al., CVPR 2020,
    where the construction comes from, take skew 0.95 and the classes 0, 2, 4, 6 and 8.
    """

    implementation: ClassVar[str] = "fairdistill.data.cifar10s"
    archive: ClassVar[str | None] = "cifar-10-python.tar.gz"

    kind: Literal["cifar10s"]
    skew: Skew = 0.8
    gray_classes: Distinct[Annotated[Whole, Field(ge=0, le=9)]] = Field(
        [0, 1, 2, 3, 4], description="Classes that are mostly gray in training; the others are mostly in colour."
    )


class UTKFace(DataSet):
    """Faces, by age class and ethnicity, with a balanced test split."""

    implementation: ClassVar[str] = "fairdistill.data.utkface"
    archive: ClassVar[str | None] = "UTKFace.tar.gz"

    kind: Literal["utkface"]
    image_size: Whole = Field(
        64, ge=8, description="Edge of the square images, in pixels; the cost of training grows with its square."
    )
    test_per_cell: Whole = Field(100, ge=1, description="Test images of each (age class, ethnicity) cell.")
    duplicates: Literal["drop", "keep"] = Field(
        "drop",
        description="`drop` keeps copies of test images out of training; `keep` leaves them there, on the same test "
        "images: the leak that other work has.",
    )


class DigitsS(DataSet):
    """scikit-learn's handwritten digits, enlarged and tinted; part of every installation."""

    implementation: ClassVar[str] = "fairdistill.data.digits_s"

    kind: Literal["digits_s"]
    skew: Skew = 0.9
    image_size: Whole = Field(
        32, ge=8, description="Edge of the square images, in pixels, to which the 8 px digits are enlarged."
    )
    test_fraction: Number = Field(0.4, gt=0, lt=1, description="Share of each class that is kept for the test.")
    contrast: Number = Field(0.5, gt=0, le=1, description="Brightness of the ink; 1 is full.")
    noise: Number = Field(
        0.2, ge=0, le=1, description="Standard deviation of the sensor noise, as a share of full brightness."
    )


AnyDataSet = Annotated[Cifar10S | UTKFace | DigitsS, Field(discriminator="kind")]
# every class of that union
DATA_SETS: tuple[type[DataSet], ...] = get_args(get_args(AnyDataSet)[0])
