"""The training methods that a configuration can describe, one class per `kind`."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import AtLeastOne, Name, Number, OrNull, Settings, Whole

TEACHER = "teacher"
SAME = "same"
Sampling = Literal["plain", "balanced", "oversampled"]


class Base(Settings):
    """The trained model that a student stands on. `base: NAME` is short for `base: {method: NAME}`."""

    method: Name = Field(
        TEACHER, description="The method that the base was trained with: `teacher`, or a name from `students`."
    )
    architecture: Name = Field(
        SAME, description="The network of the base: `same` is the student's own; otherwise a name from `networks`."
    )


def _read_base(value: object) -> object:
    if value in (None, "null"):
        what = "is null, but a method of this kind stands on another model; name one, such as `base: teacher`"
        raise PydanticCustomError("base", what)
    return {"method": value} if isinstance(value, str) else value


class Method(Settings):
    """What every kind of method has.

    Attributes
    ----------
    implementation
        The class that trains, as "module:Class"; it is made from these settings.
    needs_validation
        Whether the method chooses or fits anything, for which it reads the validation split.
    layer_setting
        The setting that names layers, if there is one: errors of `pair_layers` are about it.
    """

    implementation: ClassVar[str]
    needs_validation: ClassVar[bool] = False
    layer_setting: ClassVar[str] = "layers"

    kind: str
    sampling: Sampling = Field(
        "plain",
        description="How batches are drawn: `plain` shuffles the training set; `balanced` draws equally often from "
        "every (class, group) cell, as many images in all; `oversampled` draws so until the largest cell is through, "
        "which makes an epoch longer.",
    )

    def parameters(self) -> dict:
        """Return what a training is told of the method, as JSON holds it: all but which model is the base."""
        return {key: value for key, value in self.to_json().items() if key != "base"}

    @property
    def stands_on(self) -> Base | None:
        """The base, as the configuration names it; None where the method needs none."""
        return getattr(self, "base", None)

    def pair_layers(self, layers: Sequence[str], base_layers: Sequence[str]) -> dict[str, str]:
        """Return the layers of the network whose maps the method reads, each with the layer of the base that it needs.

        Parameters
        ----------
        layers, base_layers
            Those that the network and its base have, from the first to the last.

        Raises
        ------
        UserError
            The settings name a layer that one of the two lacks.
        """
        return {}


class Distillation(Method):
    """A method that needs a base: the trained model whose outputs its loss reads."""

    base: Annotated[Base, BeforeValidator(_read_base, json_schema_input_type=Name | Base)] = Field(
        Base(),
        description="The model to distil: `teacher`, a name from `students`, or a mapping of `method` and "
        "`architecture` (see below).",
    )


def pair_from_the_last(
    chosen: Sequence[str] | None, layers: Sequence[str], base_layers: Sequence[str]
) -> dict[str, str]:
    """Return the chosen layers, each with the base's layer at the same distance from the last.

    In ResNets and ShuffleNets of one stem the two have the same resolution.

    Parameters
    ----------
    chosen
        Names from `layers`; None chooses all that have a partner.
    layers, base_layers
        Those that the network and its base have, from the first to the last.

    Raises
    ------
    UserError
        A name that the network lacks, or for which the base has no partner.
    """
    partners = dict(zip(reversed(layers), reversed(base_layers), strict=False))
    for layer in chosen or ():
        if layer not in layers:
            raise UserError(f"names {layer!r}, which the network does not have; choose one of {', '.join(layers)}")
        if layer not in partners:
            raise UserError(
                f"names {layer!r}, but the base has no layer at the same distance from its last; name a later one"
            )
    return {layer: partners[layer] for layer in chosen or reversed(partners)}


class Erm(Method):
    """Empirical risk minimisation: cross-entropy alone. `scratch` is another name of this kind."""

    implementation: ClassVar[str] = "fairdistill.methods.erm:ERM"

    kind: Annotated[Literal["erm", "scratch"], AfterValidator(lambda _: "erm")]


class Mfd(Distillation):
    """MMD-based fair feature distillation (Jung et al., CVPR 2021): the loss is cross-entropy + (lambda / 2) MFD.

    With `kd_weight` above 0 the logits are distilled as well.
    """

    implementation: ClassVar[str] = "fairdistill.methods.mfd:MFD"

    kind: Literal["mfd"]
    lambda_: Number = Field(
        3.0, ge=0, alias="lambda", description="The weight of the fairness term; with 0 the loss is without it."
    )
    kernel: Literal["rbf", "polynomial"] = Field(
        "rbf", description="The kernel of the MMD: `rbf`, or `polynomial` on L2-normalised features."
    )
    sigma: Number = Field(
        1.0, gt=0, description="The bandwidth of the rbf kernel, in units of the batch's mean squared distance."
    )
    degree: Whole = Field(2, ge=1, description="The degree of the polynomial kernel, `(x . y + offset)^degree`.")
    offset: Number = Field(
        1.0, ge=0, description="The offset of the polynomial kernel; the code of the MFD authors has 0."
    )
    features: Literal["pooled", "flattened"] = Field(
        "pooled",
        description="What the fairness term compares: the last feature map averaged over its pixels (`pooled`), or "
        "all of its values (`flattened`), as in the code of the MFD authors; for maps of one pixel they are the same.",
    )
    layers: Annotated[AtLeastOne[Name] | None, OrNull] = Field(
        None,
        description="The layers of the student whose maps are compared in place of the last one's, each with the "
        "base's layer at the same distance from the last; the terms of several layers are added. `null` takes what "
        "`features` says of the last map.",
    )
    kd_weight: Number = Field(
        0.0,
        ge=0,
        description="The weight of Hinton's distillation of the logits, `lambda_h` of the MFD authors; their commands "
        "have 0.",
    )
    kd_temperature: Number = Field(
        3.0, gt=0, description="The temperature of that distillation; the default is that of the MFD authors' code."
    )
    sampling: Sampling = Field(
        "balanced",
        description="How batches are drawn: `balanced` draws equally often from every (class, group) cell, as many "
        "images in all as there are; `oversampled` draws so until the largest cell is through, as the authors of MFD "
        "do, which makes an epoch of UTKFace 2.4 times, and one of CIFAR-10S 1.6 times as long; `plain` shuffles the "
        "training set.",
    )

    def pair_layers(self, layers: Sequence[str], base_layers: Sequence[str]) -> dict[str, str]:
        """Return the chosen layers, each with the base's; none where the last map alone is compared."""
        return pair_from_the_last(self.layers, layers, base_layers) if self.layers else {}


class Kd(Distillation):
    """Knowledge distillation (Hinton, Vinyals, Dean, 2015): the base's softened probabilities are the targets."""

    implementation: ClassVar[str] = "fairdistill.methods.kd:KD"

    kind: Literal["kd"]
    temperature: Number = Field(
        4.0, gt=0, description="The temperature, by which the logits of both models are divided."
    )
    alpha: Number = Field(
        0.9, ge=0, le=1, description="The weight of the distillation term; that of the cross-entropy is 1 - alpha."
    )


class At(Distillation):
    """Attention transfer (Zagoruyko, Komodakis, ICLR 2017): the base's spatial attention maps are the targets."""

    implementation: ClassVar[str] = "fairdistill.methods.at:AT"

    kind: Literal["at"]
    beta: Number = Field(
        1000.0, ge=0, description="The weight of the attention term, which is added to the cross-entropy."
    )
    layers: Annotated[AtLeastOne[Name] | None, OrNull] = Field(
        None,
        description="The layers of the student, each compared with the base's layer at the same distance from the "
        "last; `null` takes all that both networks have.",
    )

    def pair_layers(self, layers: Sequence[str], base_layers: Sequence[str]) -> dict[str, str]:
        """Return the student's layers that are compared, each with the base's at the same distance from the last."""
        return pair_from_the_last(self.layers, layers, base_layers)


class FitNets(Distillation):
    """FitNets (Romero et al., ICLR 2015): a stage towards a hint of the base's, then knowledge distillation."""

    implementation: ClassVar[str] = "fairdistill.methods.fitnets:FitNets"
    layer_setting: ClassVar[str] = "layer"

    kind: Literal["fitnets"]
    layer: Annotated[Name | None, OrNull] = Field(
        None,
        description="The guided layer of the student, whose hint is the base's layer at the same distance from the "
        "last; `null` takes the middle one.",
    )
    hint_share: Number = Field(
        0.33,
        ge=0,
        lt=1,
        description="The share of the epochs that the hint stage has; the code of the MFD authors has a third.",
    )
    kd_weight: Number = Field(
        4.0, ge=0, description="The weight of the distillation of logits in the first epoch after the hint stage."
    )
    final_kd_weight: Number = Field(
        1.0, ge=0, description="The weight of the distillation in the last epoch; in between it changes linearly."
    )
    temperature: Number = Field(
        3.0, gt=0, description="The temperature, by which the logits of both models are divided."
    )

    def pair_layers(self, layers: Sequence[str], base_layers: Sequence[str]) -> dict[str, str]:
        """Return the guided layer with the hint layer."""
        middle = layers[(len(layers) - 1) // 2]
        return pair_from_the_last([self.layer or middle], layers, base_layers)


class Nst(Distillation):
    """Neuron selectivity transfer (Huang, Wang, 2017): where the base's neurons are active is the target."""

    implementation: ClassVar[str] = "fairdistill.methods.nst:NST"

    kind: Literal["nst"]
    beta: Number = Field(
        50.0, ge=0, description="The weight of the squared MMD between neurons, which is added to the cross-entropy."
    )
    kernel: Literal["polynomial", "rbf", "linear"] = Field(
        "polynomial",
        description="The kernel of the MMD: `polynomial` is `(x . y)^2`; `rbf` has the mean squared distance as its "
        "bandwidth.",
    )
    layers: Annotated[AtLeastOne[Name] | None, OrNull] = Field(
        None,
        description="The layers of the student, each compared with the base's layer at the same distance from the "
        "last; `null` takes all that both networks have, apart from those with maps of one pixel.",
    )

    def pair_layers(self, layers: Sequence[str], base_layers: Sequence[str]) -> dict[str, str]:
        """Return the student's layers that are compared, each with the base's at the same distance from the last."""
        return pair_from_the_last(self.layers, layers, base_layers)


class Pkt(Distillation):
    """Probabilistic knowledge transfer (Passalis, Tefas, ECCV 2018): which images the base takes for neighbours."""

    implementation: ClassVar[str] = "fairdistill.methods.pkt:PKT"

    kind: Literal["pkt"]
    beta: Number = Field(
        30000.0,
        ge=0,
        description="The weight of the transfer loss, a mean over all pairs of a batch, which is added to the "
        "cross-entropy.",
    )


class Adversarial(Method):
    """Adversarial debiasing (Zhang, Lemoine, Mitchell, AIES 2018) for equality of odds; it needs no base."""

    implementation: ClassVar[str] = "fairdistill.methods.adversarial:Adversarial"

    kind: Literal["adversarial"]
    alpha: Number = Field(1.0, ge=0, description="The weight of the step against the adversary.")
    adversary_learning_rate: Number = Field(
        0.001, gt=0, description="The learning rate of the adversary's Adam at the start."
    )


AnyMethod = Annotated[Erm | Mfd | Kd | At | FitNets | Nst | Pkt | Adversarial, Field(discriminator="kind")]
