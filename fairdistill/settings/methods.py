"""The training methods that a configuration can describe, one class per `kind`."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairdistill.settings.base import Distinct, Name, Number, OrNull, Settings, Whole
from fairdistill.settings.networks import Network

TEACHER = "teacher"
SAME = "same"


class Base(Settings):
    """The model that another one stands on. A bare name is short for `{method: NAME, architecture: same}`."""

    method: Name = Field(TEACHER, description="`teacher`, or a name from `students`.")
    architecture: Name = Field(SAME, description="A name from `networks`; `same` is the student's own.")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value


class Method(Settings):
    """What every kind of method has.

    Attributes
    ----------
    implementation
        The class that trains, as "module:Class"; it is made from these settings.
    needs_validation
        Whether the method chooses or fits anything, for which it reads the validation split.
    """

    implementation: ClassVar[str]
    needs_validation: ClassVar[bool] = False

    kind: str
    sampling: Literal["plain", "balanced"] = Field(
        "plain", description="`plain` shuffles; `balanced` draws equally from every (group, class) cell."
    )

    def parameters(self) -> dict:
        """Return what a training is told of the method, as JSON holds it: all but which model is the base."""
        return {key: value for key, value in self.to_json().items() if key != "base"}

    def problem(self, network: Network, base: Network | None) -> str | None:
        """Say what keeps the method from training `network` on `base`; None where nothing does."""
        return None

    @property
    def stands_on(self) -> Base | None:
        """The base, as the configuration names it; None where the method needs none."""
        return getattr(self, "base", None)


class Distillation(Method):
    """A method that needs a base: the trained model whose outputs its loss reads."""

    base: Annotated[Base | None, OrNull] = Field(
        Base(), description="The model to distil: `teacher`, another student, or `{method: ..., architecture: ...}`."
    )

    @model_validator(mode="after")
    def _has_a_base(self) -> "Distillation":
        if self.base is None:
            raise PydanticCustomError("base", "needs a base, and `base` is null; name one, such as `base: teacher`")
        return self


class Erm(Method):
    """Empirical risk minimisation: cross-entropy alone. `scratch` is another name of this kind."""

    implementation: ClassVar[str] = "fairdistill.methods.erm:ERM"

    kind: Literal["erm"]


class Mfd(Distillation):
    """MMD-based fair feature distillation (Jung et al., CVPR 2021): cross-entropy + (lambda / 2) MFD."""

    implementation: ClassVar[str] = "fairdistill.methods.mfd:MFD"

    kind: Literal["mfd"]
    lambda_: Number = Field(
        3.0, ge=0, alias="lambda", description="Weight of the fairness term; 0 is exactly cross-entropy."
    )
    kernel: Literal["rbf", "polynomial"] = Field("rbf", description="`rbf`, or `polynomial` on L2-normalised features.")
    sigma: Number = Field(
        1.0, gt=0, description="Bandwidth of the rbf kernel, in units of the batch's mean squared distance."
    )
    degree: Whole = Field(2, ge=1, description="Degree of the polynomial kernel (<x, y> + offset)^degree.")
    offset: Number = Field(
        1.0, ge=0, description="Offset of the polynomial kernel; 0 is the MFD authors' code, 1 is ours."
    )
    sampling: Literal["plain", "balanced"] = Field(
        "balanced",
        description="`balanced` draws equally from every (group, class) cell, as the authors do; `plain` shuffles.",
    )


class Kd(Distillation):
    """Knowledge distillation (Hinton, Vinyals, Dean, 2015): the base's softened probabilities as targets."""

    implementation: ClassVar[str] = "fairdistill.methods.kd:KD"

    kind: Literal["kd"]
    temperature: Number = Field(4.0, gt=0, description="Temperature that both models' logits are divided by.")
    alpha: Number = Field(
        0.9, ge=0, le=1, description="Weight of the distillation term; the cross-entropy has the weight 1 - alpha."
    )


class At(Distillation):
    """Attention transfer (Zagoruyko, Komodakis, ICLR 2017): the base's spatial attention maps as targets."""

    implementation: ClassVar[str] = "fairdistill.methods.at:AT"

    kind: Literal["at"]
    beta: Number = Field(1000.0, ge=0, description="Weight of the attention term.")
    layers: Distinct[Name] | None = Field(
        None,
        description="Layers of the student, each compared with the base's at the same distance from its last layer; "
        "null takes all that both networks have.",
    )

    def pairs(self, layers: Sequence[str], base_layers: Sequence[str]) -> dict[str, str]:
        """Return the student's layers that are compared, each with the base's: `layers` and `base_layers` are in order.

        Raises
        ------
        KeyError
            The student has no such layer, or the base none at its distance from the last.
        """
        partners = dict(zip(reversed(layers), reversed(base_layers), strict=False))
        return {layer: partners[layer] for layer in self.layers or reversed(partners)}

    def problem(self, network: Network, base: Network | None) -> str | None:
        """Say which layer has no partner."""
        try:
            self.pairs(network.layers, base.layers if base else ())
        except KeyError as error:
            return f"names the layer {error}, but {network.kind} has the layers {', '.join(network.layers)}"
        return None


class Adversarial(Method):
    """Adversarial debiasing (Zhang, Lemoine, Mitchell, AIES 2018), for equality of odds."""

    implementation: ClassVar[str] = "fairdistill.methods.adversarial:Adversarial"

    kind: Literal["adversarial"]
    alpha: Number = Field(1.0, ge=0, description="Weight of the step against the adversary.")
    adversary_learning_rate: Number = Field(0.001, gt=0, description="Step size of the adversary's Adam at the start.")


AnyMethod = Annotated[Erm | Mfd | Kd | At | Adversarial, Field(discriminator="kind")]
# earlier names of kinds, which configurations may still use
ALIASES = {"scratch": "erm"}
