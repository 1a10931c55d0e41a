"""How every network is trained, whatever its method."""

from typing import ClassVar, Literal

from pydantic import Field

from fairdistill.settings.base import Flag, Number, Settings, Whole


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

    epochs: Whole = Field(20, ge=1, description="Passes over the training set.")
    keep: Literal["last", "best"] = Field(
        "last",
        description="Epoch whose weights are kept: the `last`, or the `best` by accuracy on the validation split "
        "(`validation` of the data set).",
    )
    # a batch norm on maps of one pixel needs two images
    batch_size: Whole = Field(128, ge=2, description="Images in a step.")
    learning_rate: Number = Field(0.001, gt=0, description="Step size of Adam at the start.")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="Course of the learning rate over the training; `cosine` and `linear` end at zero."
    )
    weight_decay: Number = Field(0.0, ge=0, description="L2 penalty of Adam.")
    flip: Flag = Field(True, description="Mirror each image with probability 1/2.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Arithmetic of the forward and backward passes; `auto` is bf16 where the hardware gains by it.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="`auto` takes a GPU where there is one.")
    threads: Whole = Field(1, ge=1, description="CPU cores of one training.")
    gpu_slots: Whole = Field(
        1, ge=1, exclude=True, description="Trainings that may share a GPU; changing it retrains nothing."
    )
    evaluate_every: Whole = Field(
        5,
        ge=0,
        description="Epochs between two entries of test accuracy in the history; 0 leaves only the last. "
        "Nothing is chosen by it.",
    )
    engine: Literal["fast", "reference"] = Field(
        "fast", description="`reference` is the plain, slow way to train, for comparison: see benchmarks/NOTES.md."
    )
