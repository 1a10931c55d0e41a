"""The data sets that a configuration can describe, one class per `kind`."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from fairdistill.settings.base import (
    READ_NUMBER,
    READ_WHOLE,
    AtLeastOne,
    Distinct,
    Given,
    NoEffect,
    Number,
    OrNull,
    OwnPath,
    Settings,
    Whole,
    as_float,
)
from fairdistill.settings.training import MAX_SEED

CIFAR_SIZE = 32  # pixels
LARGEST = 1024  # pixels; an image has 3 MB then
AUTHORS_TEST = 100
# the key in `source` of dataset.json for the digest of all that the user's own files hold, as `content_of` computes it
OWN_FILES = "own_files"


def name_draw(per_seed: Sequence[str], seed: int | str) -> str:
    """Return what the name of a data set's folder ends with where the data are drawn for each seed; else nothing."""
    return f".seed{seed}" if per_seed else ""


class DataSet(Settings):
    """What every kind of data set has.

    Attributes
    ----------
    implementation
        The module that makes data sets of this kind: its `prepare(settings, *archives)`.
    archives
        File names of the archives that the data set is made from; empty where nothing has to be downloaded.
    settings_of_paths
        The settings that name the user's own files, where the data set is made from these and from no archive.
    settings_of_folders
        Those of them that name a folder; the others name a file.
    framing
        How an image becomes a square of `image_size` pixels, which new images have to become in the same way:
        `stretch` resizes both edges, `centre` cuts the central square out first.
    origin
        Where the images come from, as Markdown, for the cards of models and data sets.
    terms
        What the images may be used for, as far as it is known.
    terms_url
        Where that is said; empty where it is said nowhere.
    """

    implementation: ClassVar[str]
    archives: ClassVar[tuple[str, ...]] = ()
    settings_of_paths: ClassVar[tuple[str, ...]] = ()
    settings_of_folders: ClassVar[tuple[str, ...]] = ()
    framing: ClassVar[Literal["stretch", "centre"]] = "stretch"
    origin: ClassVar[str] = "images of the user's own"
    terms: ClassVar[str] = "not known here: ask who made the images, and who is shown in them"
    terms_url: ClassVar[str] = ""

    def terms_of_use(self, of_own_images: str | None) -> str:
        """Return what the images may be used for, with what the user says of images of their own, if anything.

        It has no full stop at its end.
        """
        return self.terms if self.terms_url else (of_own_images or "").rstrip(" .") or self.terms

    kind: str
    validation: Number = Field(
        0.0,
        ge=0,
        lt=1,
        description="The share of the training images, of each (class, group) cell, that is set aside as the "
        "validation split; 0 makes none.",
    )
    folds: Whole = Field(
        1,
        ge=1,
        le=1000,
        description="The number of disjoint test splits. With 1 there is one split; with K every model is trained K "
        "times, and each time tested on another part of the images.",
    )
    split_seed: Whole = Field(
        0,
        ge=0,
        le=MAX_SEED,
        description="The seed of the draws that decide which images are tested and which are for validation.",
    )
    per_seed: Distinct[Literal["split", "colour"]] = Field(
        [],
        description="The draws that use the seed of the model instead of their own, so that every seed of the grid "
        "has its own data set: `split` stands for `split_seed`, and with it for the colours if `colour_seed` is null; "
        "`colour` stands for `colour_seed`, if there is one.",
    )
    normalise: Literal["train", "imagenet", "none"] = Field(
        "train",
        description="The mean and standard deviation by which the channels are normalised: those of the training "
        "images, those of ImageNet, or `none`.",
    )
    crop: Annotated[Annotated[int, Field(ge=8, le=LARGEST)] | None, OrNull, READ_WHOLE] = Field(
        None,
        description="The edge, in pixels, of the square that each training image is cropped to, at a new random place "
        "in each epoch; `null` uses the whole image.",
    )
    crop_test: Literal["centre", "whole"] = Field(
        "centre",
        description="How all other images are brought to the size of the crop: `centre` crops them at their centre; "
        "`whole` shrinks the whole image, as the code of the MFD authors does.",
    )

    def drawn_for(self, seed: int | None) -> Self:
        """Return the settings with `seed` in the place of the seeds of those draws that `per_seed` names."""
        return self.model_copy(update={f"{draw}_seed": seed for draw in self.per_seed})

    @model_validator(mode="after")
    def _draws_are_made(self) -> Self:
        for draw in self.per_seed:
            if f"{draw}_seed" not in type(self).model_fields:
                what = "draws a {draw} for each seed, which this kind of data set lacks; leave it out of per_seed"
                raise PydanticCustomError("per_seed", what, {"draw": draw})
        return self

    def without_effect(self) -> dict[str, NoEffect]:
        """Return how images are cropped in tests where none is, and the seeds of draws that use the model's seed."""
        found = {} if self.crop else {"crop_test": NoEffect("crop is null", "give the crop")}
        if idle := self.undrawn:
            found["split_seed"] = NoEffect(*idle)
        for draw in self.per_seed:
            of_model = f"per_seed has {draw}, which uses the seed of the model"
            found[f"{draw}_seed"] = NoEffect(of_model, f"take {draw} out of per_seed")
        return found

    @property
    def undrawn(self) -> tuple[str, str] | None:
        """Why `split_seed` decides nothing, and what to set for it to do so; None where it decides something."""
        return None

    @property
    def own_files(self) -> list[str]:
        """Paths of the user's own files that the data set is made from; empty where archives are downloaded."""
        return [path for name in self.settings_of_paths if (path := getattr(self, name))]

    @property
    def own_table(self) -> tuple[str, str] | None:
        """The table of `own_files` that names the images, and the column in which it does; None without one."""
        return None

    @property
    def has_validation(self) -> bool:
        """Whether the data set has a validation split."""
        return self.validation > 0

    @property
    def network_sees(self) -> int:
        """The edge of the images that a network gets, in pixels."""
        return self.crop or self._size

    @property
    def _size(self) -> int:
        return getattr(self, "image_size", CIFAR_SIZE)

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.crop is not None and self.crop > self._size:
            what = "crops to more pixels than its images have; lower crop or raise image_size"
            raise PydanticCustomError("crop", what)
        return self


class Coloured(DataSet):
    """A data set whose groups are two colours of the same images."""

    colour_seed: Annotated[Annotated[int, Field(ge=0, le=MAX_SEED)] | None, OrNull, READ_WHOLE] = Field(
        None,
        description="The seed of the draws that decide the colour of each training image and, on Digits-S, the noise "
        "of every image, including those of the test split; `null` uses `split_seed`.",
    )

    @property
    def colours_drawn_by(self) -> int:
        """The seed of the draws of colours."""
        return self.split_seed if self.colour_seed is None else self.colour_seed


SKEW = "The share of each class's training images that belong to the class's majority group; 0.5 is no bias."


class Cifar10S(Coloured):
    """CIFAR-10 with a colour bias: in training, some classes are mostly gray and the others mostly in colour.

    Two data sets go by this name. The defaults are those of the code of Jung et al., CVPR 2021; Wang et al., CVPR 2020,
    where the construction comes from, take skew 0.95 and the classes 0, 2, 4, 6 and 8.
    """

    implementation: ClassVar[str] = "fairdistill.data.cifar10s"
    archives: ClassVar[tuple[str, ...]] = ("cifar-10-python.tar.gz",)
    origin: ClassVar[str] = "[CIFAR-10](https://www.cs.toronto.edu/~kriz/cifar.html) (Krizhevsky, 2009), partly grayed"
    terms: ClassVar[str] = "published without a licence; used for research"
    terms_url: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar.html"

    kind: Literal["cifar10s"]
    skew: Number = Field(0.8, gt=0, lt=1, description=SKEW)
    gray_classes: Distinct[Annotated[int, Field(ge=0, le=9), READ_WHOLE]] = Field(
        [0, 1, 2, 3, 4], description="The classes that are mostly gray in training; the others are mostly in colour."
    )
    duplicates: Literal["drop_near", "keep"] = Field(
        "keep",
        description="What happens to training images that are near-copies of a test image: `drop_near` leaves them "
        "out; `keep` keeps them, as most other work with CIFAR-10 does.",
    )

    @property
    def undrawn(self) -> tuple[str, str] | None:
        """The test images are those of CIFAR-10."""
        own_colours = self.colour_seed is not None or "colour" in self.per_seed
        if self.folds > 1 or self.validation > 0 or not own_colours:
            return None
        return "no split is drawn, and the colours have a seed of their own", "set validation or folds"

    @model_validator(mode="after")
    def _split_is_drawn(self) -> Self:
        draws = self.folds > 1 or self.validation > 0 or self.colour_seed is None
        if "split" in self.per_seed and not draws:
            what = "has nothing that split_seed draws, so it is the same for every seed; leave split out of per_seed"
            raise PydanticCustomError("per_seed", what)
        return self


class UTKFace(DataSet):
    """Faces: the class is the age, and the group the ethnicity."""

    implementation: ClassVar[str] = "fairdistill.data.utkface"
    archives: ClassVar[tuple[str, ...]] = ("UTKFace.tar.gz",)
    origin: ClassVar[str] = "[UTKFace](https://susanqq.github.io/UTKFace/) (Zhang, Song, Qi, CVPR 2017), aligned faces"
    terms: ClassVar[str] = "non-commercial research alone; each image belongs to its owner"
    terms_url: ClassVar[str] = "https://susanqq.github.io/UTKFace/"

    kind: Literal["utkface"]
    image_size: Whole = Field(
        64,
        ge=8,
        le=LARGEST,
        description="The edge of the square images, in pixels; the cost of training grows with its square.",
    )
    split: Literal["balanced", "authors"] = Field(
        "balanced",
        description="How the test images are drawn: `balanced` draws them from each (class, group) cell by "
        "`split_seed`, each photograph once; `authors` takes those of the code of the MFD authors, including copies.",
    )
    test_per_cell: Annotated[Annotated[int, Field(ge=1, le=100_000)] | None, OrNull, READ_WHOLE] = Field(
        100,
        description="The number of test images in each (class, group) cell of each fold. `null` tests every image in "
        "one of the folds, of which there must be several; accuracy then gives all cells the same weight.",
    )
    duplicates: Literal["drop_near", "drop", "keep"] = Field(
        "drop_near",
        description="What happens to training images that are copies of a test image: `drop_near` leaves out "
        "byte-identical and near-identical ones, `drop` only byte-identical ones, and `keep` none, which is the leak "
        "in other work.",
    )

    own_copy: Annotated[OwnPath | None, OrNull] = Field(
        None,
        # of no influence on the images, so that no record has it
        exclude=True,
        description="Your own copy of UTKFace: the archive, even if a browser has unpacked it, Kaggle's .zip, or a "
        "folder, with or without `crop_part1` beside the faces; `null` gets the archive from `mirror` or downloads it.",
    )

    @property
    def undrawn(self) -> tuple[str, str] | None:
        """The authors' test images are no draw."""
        if self.split != "authors" or self.validation > 0:
            return None
        return "split is authors, which draws nothing, and validation is 0", "set split to balanced"

    @property
    def own_files(self) -> list[str]:
        """Path of `own_copy`; empty where there is none."""
        return [self.own_copy] if self.own_copy else []

    @model_validator(mode="after")
    def _tests_fit(self) -> Self:
        if self.test_per_cell is None and self.folds == 1:
            raise PydanticCustomError("folds", "has test_per_cell null, which takes several folds; set folds to 4, say")
        if self.split == "authors" and (
            self.folds > 1 or self.test_per_cell != AUTHORS_TEST or self.duplicates != "keep"
        ):
            what = "has the authors' split, which takes folds 1, test_per_cell 100 and duplicates keep"
            raise PydanticCustomError("split", what)
        if self.split == "authors" and "split" in self.per_seed:
            what = "has the authors' split, whose test images are the same for every seed; leave split out of per_seed"
            raise PydanticCustomError("per_seed", what)
        return self


class DigitsS(Coloured):
    """scikit-learn's handwritten digits, enlarged and tinted orange or blue; they need no download."""

    implementation: ClassVar[str] = "fairdistill.data.digits_s"
    origin: ClassVar[str] = (
        "[Optical Recognition of Handwritten Digits](https://doi.org/10.24432/C50P49) (Alpaydin and Kaynak, 1998), the "
        "part of it that comes with scikit-learn, tinted"
    )
    terms: ClassVar[str] = "CC BY 4.0"
    terms_url: ClassVar[str] = "https://creativecommons.org/licenses/by/4.0/"

    kind: Literal["digits_s"]
    skew: Number = Field(0.9, gt=0, lt=1, description=SKEW)
    image_size: Whole = Field(
        32,
        ge=8,
        le=LARGEST,
        description="The edge of the square images, in pixels, to which the digits of 8 px are enlarged.",
    )
    test_fraction: Number = Field(
        0.4,
        gt=0,
        lt=1,
        description="The share of each class that becomes the test split; with several folds, each tests its part of "
        "all images instead.",
    )
    contrast: Number = Field(0.5, gt=0, le=1, description="The brightness of the ink, as a share of full brightness.")
    noise: Number = Field(
        0.2, ge=0, le=1, description="The standard deviation of the sensor noise, as a share of full brightness."
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return the size of the one test split where there are folds as well."""
        found = super().without_effect()
        if self.folds > 1:
            found["test_fraction"] = NoEffect(f"folds is {self.folds}", "set folds to 1")
        return found


# in the order of list_attr_celeba.txt
CelebaAttribute = Literal[
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes",
    "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling",
    "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace",
    "Wearing_Necktie", "Young",
]  # fmt: skip
OFFICIAL = "Takes no other value: the official partition makes all three splits, and nothing is drawn."


class Celeba(DataSet):
    """CelebA, faces of celebrities: the class is whether a face has one attribute, the group whether it has another.

    The training, validation and test split are those of the official partition. The default attributes are those of
    Sagawa et al., ICLR 2020.
    """

    implementation: ClassVar[str] = "fairdistill.data.celeba"
    archives: ClassVar[tuple[str, ...]] = ("img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt")
    framing: ClassVar[Literal["stretch", "centre"]] = "centre"
    origin: ClassVar[str] = (
        "[CelebA](https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html) (Liu et al., ICCV 2015), aligned faces"
    )
    terms: ClassVar[str] = "non-commercial research alone; the images are not the property of those who published them"
    terms_url: ClassVar[str] = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"

    kind: Literal["celeba"]
    validation: Number = Field(0.0, ge=0, lt=1, description=OFFICIAL)
    folds: Whole = Field(1, ge=1, le=1000, description=OFFICIAL)
    split_seed: Whole = Field(0, ge=0, le=MAX_SEED, description=OFFICIAL)
    per_seed: Distinct[Literal["split", "colour"]] = Field([], description=OFFICIAL)
    target: CelebaAttribute = Field(
        "Blond_Hair",
        description="The attribute that is the class: 0 where a face lacks it, 1 where it has it.",
    )
    group: CelebaAttribute = Field("Male", description="The attribute that is the group; it must not be `target`.")
    image_size: Whole = Field(
        64,
        ge=8,
        le=LARGEST,
        description="The edge of the square images, in pixels, to which the central square of 178 px is resized; the "
        "cost of training grows with its square. Sagawa et al. take 224.",
    )
    folder: Annotated[OwnPath | None, OrNull] = Field(
        None,
        # of no influence on the images, so that no record has it
        exclude=True,
        description="A folder with the folder `img_align_celeba` of images and the files `list_attr_celeba.txt` and "
        "`list_eval_partition.txt`, as torchvision leaves them; `null` gets the archives from `mirror`.",
    )

    @property
    def own_files(self) -> list[str]:
        """Paths of the folder of images and of the two lists in `folder`; empty where there is none."""
        return [f"{self.folder}/{name.removesuffix('.zip')}" for name in self.archives] if self.folder else []

    @property
    def has_validation(self) -> bool:
        """True: the official partition has a validation split."""
        return True

    @model_validator(mode="after")
    def _partition_is_official(self) -> Self:
        for key in ("validation", "folds", "split_seed", "per_seed"):
            if getattr(self, key) != type(self).model_fields[key].default:
                what = (
                    "has the official partition, which makes its training, validation and test split; leave {key} out"
                )
                raise PydanticCustomError("official", what, {"key": key})
        return self

    @model_validator(mode="after")
    def _attributes_differ(self) -> Self:
        if self.target == self.group:
            what = "has {name} as target and as group, so that class and group would be one; choose two attributes"
            raise PydanticCustomError("group", what, {"name": self.target})
        return self


# whole numbers are exact up to there
Edge = Annotated[float, Field(ge=-1e15, le=1e15), BeforeValidator(as_float), READ_NUMBER]


def _ascending(edges: list[float]) -> list[float]:
    if not edges or any(low >= high for low, high in pairwise(edges)):
        raise PydanticCustomError("edges", "needs at least one edge, and each edge above the one before it")
    return edges


class Folder(DataSet):
    """Images of one's own: a folder of files, and a table that has the class and the group of each.

    What a row of the table may hold, what is refused, and how images are split is in docs/folder_data_sets.md.
    """

    implementation: ClassVar[str] = "fairdistill.data.folder"
    settings_of_paths: ClassVar[tuple[str, ...]] = ("images", "labels")
    settings_of_folders: ClassVar[tuple[str, ...]] = ("images",)
    framing: ClassVar[Literal["stretch", "centre"]] = "centre"

    kind: Literal["folder"]
    # both of no influence on the images, whose content is recorded, so that no record has them
    images: Annotated[OwnPath | None, OrNull] = Field(
        None,
        exclude=True,
        description="The folder of the images, which may be in subfolders; it is required. Nothing is written there.",
    )
    labels: Annotated[OwnPath | None, OrNull] = Field(
        None,
        exclude=True,
        description="The table with one row for each image, as CSV or TSV in UTF-8, or as Parquet; it is required.",
    )
    image: Given = Field(
        "image", description="The column with the path of each image's file, relative to the folder of the images."
    )
    label: Given = Field("label", description="The column with the class of each image.")
    group: Annotated[
        AtLeastOne[Given],
        BeforeValidator(
            lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=Given | AtLeastOne[Given]
        ),
    ] = Field(
        ["group"],
        description="The column with the group of each image, or a list of columns, whose combinations are the groups.",
    )
    # any name that is not blank: a pattern makes the schema of the mapping one without unknown keys
    bins: dict[Annotated[str, Field(pattern=r"\S")], Annotated[list[Edge], AfterValidator(_ascending)]] = Field(
        {},
        description="The edges of the intervals into which the numbers in a column of classes or groups are divided, "
        "by column: with `{age: [20, 40]}` these are under 20, 20-39, and 40 and over.",
    )
    split: Annotated[Given | None, OrNull] = Field(
        None,
        description="The column that says `train`, `validation` or `test` for each image; `null` draws a test split "
        "with equally many images of each (class, group) cell.",
    )
    subject: Annotated[Given | None, OrNull] = Field(
        None,
        description="The column that identifies the person, or the thing, that an image shows: all images of one "
        "subject are in the same split. `null` treats each image, with its copies, as a subject of its own.",
    )
    # unlike in the other kinds, where null has no meaning
    validation: Annotated[Annotated[float, Field(ge=0, lt=1)] | None, OrNull, READ_NUMBER] = Field(  # type: ignore[assignment]
        None,
        description="The share of the training images, of each (class, group) cell, that is set aside as the "
        "validation split; 0 makes none. `null` takes those that the column `split` marks, and none if there is no "
        "such column.",
    )
    test_per_cell: Annotated[Annotated[int, Field(ge=1, le=100_000)] | None, OrNull, READ_WHOLE] = Field(
        None,
        description="The number of test images in each (class, group) cell of each fold. `null` takes enough to "
        "reveal a DEO of `visible_deo`, but at most half of the smallest cell.",
    )
    visible_deo: Number = Field(
        0.1,
        ge=0.01,
        le=0.9,
        description="The difference in accuracy between two groups of one class that a test split of the chosen size "
        "reveals, by a DEO_M of the model above its fair baseline, with a power of 0.8. The mean accuracy is assumed "
        "to be 0.8.",
    )
    duplicates: Literal["drop_near", "drop", "keep"] = Field(
        "drop_near",
        description="Which images count as copies of one image, which no two splits may share: with `drop_near` "
        "byte-identical and near-identical ones, with `drop` only byte-identical ones, and with `keep` none. If the "
        "test split is drawn, at most one of the copies is tested, and the others are left out.",
    )
    on_error: Literal["stop", "skip"] = Field(
        "stop",
        description="What happens to rows and images with a problem: with `stop` they are reported, and no data set "
        "is made; with `skip` they are reported and left out.",
    )
    image_size: Whole = Field(
        64,
        ge=8,
        le=LARGEST,
        description="The edge of the square images, in pixels, to which the central square of each is resized; the "
        "cost of training grows with its square.",
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return what chooses the size of the test split where that is given as well."""
        found = super().without_effect()
        if self.split is not None:
            found["visible_deo"] = NoEffect("split names a column, which marks the test split", "take split out")
        elif self.test_per_cell is not None:
            found["visible_deo"] = NoEffect(f"test_per_cell is {self.test_per_cell}", "set test_per_cell to null")
        return found

    @property
    def undrawn(self) -> tuple[str, str] | None:
        """A column may mark the test images, and the validation split."""
        if self.split is None or self.validation:
            return None
        return "split names a column, which marks the splits", "set validation to draw that split"

    @property
    def own_table(self) -> tuple[str, str] | None:
        """The table of labels, and its column of images."""
        return (self.labels, self.image) if self.labels else None

    @property
    def has_validation(self) -> bool:
        """Whether a validation split is drawn, or the column `split` has to mark one."""
        return self.split is not None if self.validation is None else self.validation > 0

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        columns = [self.image, self.label, *self.group, *filter(None, (self.split, self.subject))]
        for column in columns:
            if columns.count(column) > 1:
                what = "takes the column {column} for two things; image, label, group, split and subject differ"
                raise PydanticCustomError("columns", what, {"column": column})
        for column in self.bins:
            if column not in (self.label, *self.group):
                known = ", ".join(filter(None, (self.label, *self.group)))
                what = (
                    "has bins of the column {column}, which is neither the label nor a group ({known}); name one of "
                    "these, or leave the bins out"
                )
                raise PydanticCustomError("bins", what, {"column": column, "known": known})
        return self

    @model_validator(mode="after")
    def _draws_fit(self) -> Self:
        if self.split is not None and (self.folds > 1 or self.test_per_cell is not None):
            what = "has the test split that its column `split` marks; leave folds and test_per_cell out, or split"
            raise PydanticCustomError("split", what)
        if self.split is not None and "split" in self.per_seed and not self.validation:
            what = "has nothing that split_seed draws, so it is the same for every seed; leave split out of per_seed"
            raise PydanticCustomError("per_seed", what)
        return self


AnyDataSet = Annotated[Cifar10S | UTKFace | DigitsS | Celeba | Folder, Field(discriminator="kind")]
