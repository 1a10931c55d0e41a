"""How every network is trained, whatever its method."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fairdistill.settings.base import READ_WHOLE, Amount, Flag, OrNull, Settings, Whole

# torch's generator needs room for the streams that are made of a seed
MAX_SEED = 2**62 - 1
Seed = Annotated[int, Field(ge=0, le=MAX_SEED), READ_WHOLE]
SeedOrNull = Annotated[Annotated[int, Field(ge=0, le=MAX_SEED)] | None, OrNull, READ_WHOLE]


class Training(Settings):
    """How every network is trained, teachers and students alike.

    Attributes
    ----------
    engines
        The module of each `engine`.
    """

    engines: ClassVar[dict[str, str]] = {
        "fast": "fairdistill.training.engines.fast",
        "reference": "fairdistill.training.engines.reference",
    }

    epochs: Whole = Field(20, ge=1, le=100_000, description="The number of passes over the training set.")
    keep: Literal["last", "best"] = Field(
        "last",
        description="The epoch whose weights are kept: the `last`, or the `best` by accuracy on the validation split, "
        "which the data set then needs (`validation`). A method that is fitted on that split, such as `hardt`, is then "
        "fitted on images by which the epoch of its base was chosen.",
    )
    # a batch norm on maps of one pixel needs two images
    batch_size: Whole = Field(128, ge=2, le=100_000, description="The number of images in a step.")
    learning_rate: Amount = Field(0.001, gt=0, description="The learning rate of Adam at the start.")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="The course of the learning rate over the training; `cosine` and `linear` end at zero."
    )
    weight_decay: Amount = Field(0.0, ge=0, description="The L2 penalty of Adam.")
    weights_seed: SeedOrNull = Field(
        None,
        description="The seed of the initial weights of every model; `null` uses the model's own seed, so that they "
        "vary with it.",
    )
    order_seed: SeedOrNull = Field(
        None,
        description="The seed of the order of the images, of their flips and crops, and of what the method draws; "
        "`null` uses the model's own seed.",
    )
    flip: Flag = Field(True, description="Whether to mirror each training image with probability 1/2.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="The arithmetic of the forward and backward passes; `auto` takes bf16 where the hardware gains by "
        "it (docs/processors.md).",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="The device to train on; `auto` takes a GPU where there is one."
    )
    threads: Whole = Field(1, ge=1, le=1024, description="The number of CPU cores of one training.")
    gpu_slots: Whole = Field(
        1,
        ge=1,
        le=1024,
        exclude=True,
        description="The number of trainings that may share a GPU; changing it retrains nothing.",
    )
    memory: Whole = Field(
        3000,
        ge=1,
        le=100_000_000,
        exclude=True,
        description="The main memory for a training, in MB: a cluster is asked for it, and one machine runs no more "
        "trainings at a time than it has memory for. Larger images need more (for the pixels of the data set and, "
        "without a GPU, the feature maps of a batch). Changing it retrains nothing.",
    )
    evaluate_every: Whole = Field(
        5,
        ge=0,
        le=100_000,
        description="The number of epochs between two entries of validation and test accuracy in the history; 0 "
        "records only the last epoch. With `keep: best` every epoch is recorded. Test accuracy decides nothing.",
    )
    engine: Literal["fast", "reference"] = Field(
        "fast",
        description="How a training is computed; `reference` is the plain, slow way, for comparison "
        "(benchmarks/NOTES.md).",
    )
