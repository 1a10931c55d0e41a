"""The training methods that a configuration can describe, one class per `kind`."""

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Annotated, ClassVar, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import (
    Amount,
    AtLeastOne,
    Flag,
    Label,
    LayerName,
    Name,
    NoEffect,
    Number,
    OrNull,
    OwnPath,
    Settings,
    Whole,
    settings_of_kind,
)
from fairdistill.settings.preprocess import Preprocess

TEACHER = "teacher"
SAME = "same"
Sampling = Literal["plain", "balanced", "oversampled", "undersampled", "class_balanced"]
Family = Literal[
    "plain training", "distillation", "MFD", "pre-processing", "in-processing", "post-processing", "imported"
]
# the kernel of an MMD, which `mfd` and `group_mmd` have
Kernel = Literal["rbf", "polynomial"]
KERNEL: Kernel = Field("rbf", description="The kernel of the MMD: `rbf`, or `polynomial` on L2-normalised features.")
BANDWIDTH = Field(
    1.0,
    gt=0,
    description="The bandwidth of the rbf kernel, in units of the batch's mean squared distance; the MFD authors have "
    "1.",
)
DEGREE = Field(2, ge=1, le=100, description="The degree of the polynomial kernel, `(x . y + offset)^degree`.")
OFFSET = Field(1.0, ge=0, description="The offset of the polynomial kernel; the code of the MFD authors has 0.")


class BaseChoice(Settings):
    """The trained model that a student is based on. `base: NAME` is short for `base: {method: NAME}`.

    It names no single model: `same` gives the students of each network a base of their own. `Study.base` returns the
    `ModelName` of the base that a student has.
    """

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


def _same_architecture(base: BaseChoice) -> BaseChoice:
    if base.architecture != SAME:
        what = "has an architecture, but a method of this kind keeps the network of its base; leave it out"
        raise PydanticCustomError("base", what)
    return base


class Method(Settings):
    """What every kind of method has.

    Attributes
    ----------
    implementation
        The class that trains, as "module:Class"; it is made from these settings.
    family
        What kind of remedy the method is, as `family_of` returns it.
    needs_validation
        Whether the method chooses or fits anything, for which it reads the validation split.
    draws_labels
        Whether the label of an image is drawn from probabilities: no file of a network alone can hold such a model.
    needs_checkpoint
        Whether the method trains nothing, and its model is read from a file.
    own_outputs
        What the network puts out where it is not a logit for each class: no other method can stand on such a network.
    layer_setting
        The setting that names layers, if there is one: errors of `pair_layers` are about it.
    """

    implementation: ClassVar[str]
    family: ClassVar[Family] = "in-processing"
    needs_validation: ClassVar[bool] = False
    draws_labels: ClassVar[bool] = False
    needs_checkpoint: ClassVar[bool] = False
    own_outputs: ClassVar[str | None] = None
    layer_setting: ClassVar[str] = "layers"

    kind: str
    sampling: Sampling = Field(
        "plain",
        description="How batches are drawn: `plain` shuffles the training set; `balanced` draws equally often from "
        "every (class, group) cell, as many images in all as there are; `oversampled` does so until the largest cell "
        "is used up, which makes an epoch longer; `undersampled` does so until the smallest cell is used up, which "
        "makes it shorter; `class_balanced` draws equally often from every class, as many images in all as there are.",
    )

    def parameters(self) -> dict:
        """Return what a training is told of the method, as JSON holds it: all but which model is the base."""
        return {key: value for key, value in self.to_json().items() if key != "base"}

    @property
    def stands_on(self) -> BaseChoice | None:
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

    def check_image_size(self, image_size: int) -> None:
        """Raise a UserError where the method cannot work with images of `image_size` pixels' edge."""

    def check_epochs(self, epochs: int) -> None:
        """Raise a UserError where a stage of the training would have none of the `epochs`."""

    def network_gets(self, image_size: int) -> int:
        """Return the edge, in pixels, of what the network gets of images of `image_size` pixels' edge."""
        return image_size


class Distillation(Method):
    """A method that needs a base: the trained model whose outputs its loss reads."""

    family: ClassVar[Family] = "distillation"

    base: Annotated[BaseChoice, BeforeValidator(_read_base, json_schema_input_type=Name | BaseChoice)] = Field(
        BaseChoice(),
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
    for owner, own in (("network", layers), ("base's network", base_layers)):
        if not own:
            raise UserError(
                f"compares maps of layers, and the {owner} has none, as one that cuts images into tokens; choose "
                "another network, or a method that compares none"
            )
    partners = dict(zip(reversed(layers), reversed(base_layers), strict=False))
    for layer in chosen or ():
        if layer not in layers:
            raise UserError(f"names {layer!r}, which the network does not have; choose one of {', '.join(layers)}")
        if layer not in partners:
            raise UserError(
                f"names {layer!r}, but the base has no layer at the same distance from its last; name a later one"
            )
    return {layer: partners[layer] for layer in chosen or reversed(partners)}


def _require_an_epoch(stage: str, setting: str, share: float, own: int, epochs: int) -> None:
    """Raise a UserError where a stage has no epoch of its own, though it is to have a share of the epochs."""
    if share and not own:
        raise UserError(
            f"leaves {stage} without an epoch, as {setting} is {share:g} and training.epochs is {epochs}; raise one of "
            f"the two, or set {setting} to 0"
        )


def _switched_off(weight: str, *settings: str, by_default: bool = False) -> dict[str, NoEffect]:
    """Settings of a term of the loss, or of a stage, that another setting, which is 0, takes away."""
    off = NoEffect(f"{weight} is 0", f"raise {weight}", is_control=True, by_default=by_default)
    return dict.fromkeys(settings, off)


def _of_another_kernel(kernel: str) -> dict[str, NoEffect]:
    """Settings of the kernel that was not chosen, of rbf and polynomial."""
    if kernel == "rbf":
        return dict.fromkeys(("degree", "offset"), NoEffect("kernel is rbf", "set kernel to polynomial"))
    return {"sigma": NoEffect("kernel is polynomial", "set kernel to rbf")}


class Erm(Method):
    """Empirical risk minimisation: cross-entropy alone. `scratch` is another name of this kind."""

    implementation: ClassVar[str] = "fairdistill.methods.erm:ERM"
    family: ClassVar[Family] = "plain training"

    kind: Annotated[Literal["erm", "scratch"], AfterValidator(lambda _: "erm")]


class Mfd(Distillation):
    """MMD-based fair feature distillation (Jung et al., CVPR 2021): the loss is cross-entropy + (lambda / 2) MFD.

    With `kd_weight` above 0 the logits are distilled as well.
    """

    implementation: ClassVar[str] = "fairdistill.methods.mfd:MFD"
    family: ClassVar[Family] = "MFD"

    kind: Literal["mfd"]
    lambda_: Amount = Field(
        3.0,
        ge=0,
        alias="lambda",
        description="Twice the weight of the fairness term; 0 removes it from the loss. The default is that of the MFD "
        "authors on CIFAR-10S and UTKFace; on CelebA they have 7.",
    )
    kernel: Kernel = KERNEL
    sigma: Amount = BANDWIDTH
    degree: Whole = DEGREE
    offset: Amount = OFFSET
    features: Literal["pooled", "flattened"] = Field(
        "pooled",
        description="What the fairness term compares: the last feature map averaged over its pixels (`pooled`), or "
        "all of its values (`flattened`), as in the code of the MFD authors; for maps of one pixel they are the same.",
    )
    layers: Annotated[AtLeastOne[LayerName] | None, OrNull] = Field(
        None,
        description="The layers of the student whose maps are compared instead of the last one's, each with the "
        "base's layer at the same distance from the last; the terms of several layers are added. `null` compares the "
        "last map, as `features` says.",
    )
    joint: Flag = Field(
        False,
        description="Whether the fairness term compares the joint features of a batch, those of all its images at "
        "once, instead of those of each group within each class: `--jointfeature` of the MFD authors' code. The term "
        "then ignores classes and groups.",
    )
    kd_weight: Amount = Field(
        0.0,
        ge=0,
        description="The weight of Hinton's distillation of the logits, `lambda_h` of the MFD authors; their commands "
        "have 0.",
    )
    kd_temperature: Amount = Field(
        3.0, gt=0, description="The temperature of that distillation; the default is that of the MFD authors' code."
    )
    sampling: Sampling = Field(
        "balanced",
        description="How batches are drawn: `balanced` draws equally often from every (class, group) cell, as many "
        "images in all as there are; `oversampled` does so until the largest cell is used up, as the authors of MFD "
        "do, which makes an epoch of UTKFace 2.4 times, and one of CIFAR-10S 1.6 times as long; `plain` shuffles the "
        "training set; `undersampled` and `class_balanced` are as for `kind: erm`.",
    )

    def pair_layers(self, layers: Sequence[str], base_layers: Sequence[str]) -> dict[str, str]:
        """Return the chosen layers, each with the base's; none where the last map alone is compared."""
        return pair_from_the_last(self.layers, layers, base_layers) if self.layers else {}

    def without_effect(self) -> dict[str, NoEffect]:
        """Return those of a term whose weight is 0, and of the other kernel."""
        found = _of_another_kernel(self.kernel)
        if self.lambda_ == 0:
            of_term = ("kernel", "sigma", "degree", "offset", "features", "layers", "joint")
            found = _switched_off("lambda", *of_term) | found
        if self.kd_weight == 0:
            found |= _switched_off("kd_weight", "kd_temperature", by_default=True)
        return found


class Kd(Distillation):
    """Knowledge distillation (Hinton, Vinyals, Dean, 2015): the base's softened probabilities are the targets."""

    implementation: ClassVar[str] = "fairdistill.methods.kd:KD"

    kind: Literal["kd"]
    temperature: Amount = Field(
        4.0, gt=0, description="The temperature, by which the logits of both models are divided."
    )
    alpha: Number = Field(
        0.9, ge=0, le=1, description="The weight of the distillation term; that of the cross-entropy is 1 - alpha."
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return the temperature where nothing is distilled."""
        return _switched_off("alpha", "temperature") if self.alpha == 0 else {}


class LayerDistillation(Distillation):
    """A method that compares where in an image layers are active, by the maps of these."""

    layers: Annotated[AtLeastOne[LayerName] | None, OrNull] = Field(
        None,
        description="The layers of the student, each compared with the base's layer at the same distance from the "
        "last; `null` takes all that both networks have, apart from those with maps of one pixel.",
    )

    def pair_layers(self, layers: Sequence[str], base_layers: Sequence[str]) -> dict[str, str]:
        """Return the student's layers that are compared, each with the base's at the same distance from the last."""
        return pair_from_the_last(self.layers, layers, base_layers)

    def without_single(self, pairs: Mapping[str, str], single: Collection[str], *, image_size: int) -> dict[str, str]:
        """Return the pairs without the layers whose map has one pixel, which does not say where a layer is active.

        Parameters
        ----------
        pairs
            As `pair_layers` has them.
        single
            Those of them whose map, or whose partner's, has one pixel for images of `image_size` pixels' edge.

        Raises
        ------
        UserError
            The settings name such a layer, or there are no others.
        """
        why = f"one pixel for images of {image_size} px, which does not say where in an image the layer is active"
        other = "larger images (image_size, crop), or another network or stem"
        for layer in self.layers or ():
            if layer in single:
                raise UserError(
                    f"names {layer!r}, whose map, or that of the base's layer, has {why}; name an earlier layer, or "
                    f"take {other}"
                )
        if set(pairs) <= set(single):
            raise UserError(f"can have none, as all maps of the network, or of its base's, have {why}; take {other}")
        return {layer: other for layer, other in pairs.items() if layer not in single}


class At(LayerDistillation):
    """Attention transfer (Zagoruyko, Komodakis, ICLR 2017): the base's spatial attention maps are the targets."""

    implementation: ClassVar[str] = "fairdistill.methods.at:AT"

    kind: Literal["at"]
    beta: Amount = Field(
        1000.0, ge=0, description="The weight of the attention term, which is added to the cross-entropy."
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return the layers where none is compared."""
        return _switched_off("beta", "layers") if self.beta == 0 else {}


class FitNets(Distillation):
    """FitNets (Romero et al., ICLR 2015): a stage towards a hint of the base's, then knowledge distillation."""

    implementation: ClassVar[str] = "fairdistill.methods.fitnets:FitNets"
    layer_setting: ClassVar[str] = "layer"

    kind: Literal["fitnets"]
    layer: Annotated[LayerName | None, OrNull] = Field(
        None,
        description="The guided layer of the student, whose hint is the base's layer at the same distance from the "
        "last; `null` takes the middle one.",
    )
    hint_share: Number = Field(
        0.33,
        ge=0,
        lt=1,
        description="The share of the epochs that the hint stage takes; the training after it has at least one epoch. "
        "In the code of the MFD authors it is a third.",
    )
    kd_weight: Amount = Field(
        4.0, ge=0, description="The weight of the distillation of logits in the first epoch after the hint stage."
    )
    final_kd_weight: Amount = Field(
        1.0, ge=0, description="The weight of the distillation in the last epoch; in between it changes linearly."
    )
    temperature: Amount = Field(
        3.0, gt=0, description="The temperature, by which the logits of both models are divided."
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return the layer where there is no hint stage, and the temperature where no logits are distilled."""
        found = _switched_off("hint_share", "layer") if self.hint_share == 0 else {}
        if self.kd_weight == self.final_kd_weight == 0:
            off = NoEffect("kd_weight and final_kd_weight are 0", "raise one of them", is_control=True)
            found |= {"temperature": off}
        return found

    def hint_epochs(self, epochs: int) -> int:
        """Return how many of the epochs the hint stage has; the training after it has one at least."""
        return min(round(self.hint_share * epochs), epochs - 1)

    def check_epochs(self, epochs: int) -> None:
        """Raise a UserError where a hint stage is wanted and has no epoch."""
        _require_an_epoch("the hint stage", "hint_share", self.hint_share, self.hint_epochs(epochs), epochs)

    def pair_layers(self, layers: Sequence[str], base_layers: Sequence[str]) -> dict[str, str]:
        """Return the guided layer with the hint layer."""
        middle = layers[(len(layers) - 1) // 2 : (len(layers) + 1) // 2]
        return pair_from_the_last([self.layer] if self.layer else middle, layers, base_layers)


class Nst(LayerDistillation):
    """Neuron selectivity transfer (Huang, Wang, 2017): where the base's neurons are active is the target."""

    implementation: ClassVar[str] = "fairdistill.methods.nst:NST"

    kind: Literal["nst"]
    beta: Amount = Field(
        50.0, ge=0, description="The weight of the squared MMD between neurons, which is added to the cross-entropy."
    )
    kernel: Literal["polynomial", "rbf", "linear"] = Field(
        "polynomial",
        description="The kernel of the MMD: `polynomial` is `(x . y)^2`; `rbf` has the mean squared distance as its "
        "bandwidth.",
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return all that is about the comparison where its weight is 0."""
        return _switched_off("beta", "layers", "kernel") if self.beta == 0 else {}


class Pkt(Distillation):
    """Probabilistic knowledge transfer (Passalis, Tefas, ECCV 2018): the base's neighbourhoods are the target."""

    implementation: ClassVar[str] = "fairdistill.methods.pkt:PKT"

    kind: Literal["pkt"]
    beta: Amount = Field(
        30000.0,
        ge=0,
        description="The weight of the transfer loss, a mean over all pairs of a batch, which is added to the "
        "cross-entropy.",
    )


class Adversarial(Method):
    """Adversarial debiasing (Zhang, Lemoine, Mitchell, AIES 2018) for equality of odds; it needs no base."""

    implementation: ClassVar[str] = "fairdistill.methods.adversarial:Adversarial"

    kind: Literal["adversarial"]
    alpha: Amount = Field(1.0, ge=0, description="The weight of the step against the adversary.")
    adversary_learning_rate: Amount = Field(
        0.001, gt=0, description="The learning rate of the adversary's Adam at the start."
    )


class Reweighing(Method):
    """Reweighing (Kamiran, Calders, 2012): the loss of an image has the weight P(class) P(group) / P(class, group)."""

    implementation: ClassVar[str] = "fairdistill.methods.reweighing:Reweighing"
    family: ClassVar[Family] = "pre-processing"

    kind: Literal["reweighing"]
    sampling: Literal["plain"] = Field(
        "plain",
        description="How batches are drawn: `plain` shuffles the training set. Any other sampling would change the "
        "shares of the cells, for which the weights compensate.",
    )


class GroupMmd(Method):
    """MMD between the features of the groups of each class, as a penalty: what MFD does, without a base."""

    implementation: ClassVar[str] = "fairdistill.methods.group_mmd:GroupMMD"

    kind: Literal["group_mmd"]
    lambda_: Amount = Field(
        3.0,
        ge=0,
        alias="lambda",
        description="Twice the weight of the penalty, as in `mfd`, from which the default is taken. At the same "
        "`lambda` and under one kernel, `mfd` divides this penalty by the number of groups.",
    )
    kernel: Kernel = KERNEL
    sigma: Amount = BANDWIDTH
    degree: Whole = DEGREE
    offset: Amount = OFFSET
    sampling: Sampling = Field(
        "balanced",
        description="How batches are drawn, as for `kind: erm`; `balanced`, as for `mfd`, gives every batch images of "
        "all groups of a class.",
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return those of the other kernel, and all that are about the penalty where its weight is 0."""
        found = _of_another_kernel(self.kernel)
        return found if self.lambda_ else _switched_off("lambda", "kernel", "sigma", "degree", "offset") | found


def _already_equal(sampling: Sampling) -> dict[str, NoEffect]:
    """The setting `prior_shift` where every class and group is drawn equally often, so that there is no shift."""
    if sampling in ("plain", "class_balanced"):
        return {}
    drawn = f"sampling is {sampling}, which draws every class and group equally often"
    return {"prior_shift": NoEffect(drawn, "set sampling to plain or class_balanced")}


class DomainIndependent(Method):
    """Domain-independent training (Wang et al., CVPR 2020): a head for each group on a shared body."""

    implementation: ClassVar[str] = "fairdistill.methods.domain_independent:DomainIndependent"
    own_outputs: ClassVar[str | None] = "outputs for each group"

    kind: Literal["domain_independent"]
    inference: Literal["sum_scores", "sum_probabilities", "max_probability", "own_group"] = Field(
        "sum_scores",
        description="How the heads predict together: by the sum over groups of their scores before the softmax "
        "(`sum_scores`) or of their probabilities, or by the largest probability; `own_group` takes the head of the "
        "image's group, and so needs the group at prediction time.",
    )
    prior_shift: Flag = Field(
        False,
        description="Whether each head is corrected as if all classes were equally frequent in its group; the "
        "authors' code does not do so.",
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return the correction where there is nothing to correct."""
        return _already_equal(self.sampling)


class DomainDiscriminative(Method):
    """Domain-discriminative training (Wang et al., CVPR 2020): one output for each pair of class and group."""

    implementation: ClassVar[str] = "fairdistill.methods.domain_discriminative:DomainDiscriminative"
    own_outputs: ClassVar[str | None] = "outputs for each group"

    kind: Literal["domain_discriminative"]
    inference: Literal["sum", "max"] = Field(
        "sum", description="Whether a class is predicted by the sum or the largest of its probabilities over groups."
    )
    prior_shift: Flag = Field(
        True,
        description="Whether the probabilities are corrected, from the shares in training, as if all classes and "
        "groups were equally frequent.",
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return the correction where there is nothing to correct."""
        return _already_equal(self.sampling)


class GroupDro(Method):
    """Group distributionally robust optimisation (Sagawa et al., ICLR 2020): the worst groups get the most weight."""

    implementation: ClassVar[str] = "fairdistill.methods.group_dro:GroupDRO"

    kind: Literal["group_dro"]
    over: Literal["cells", "groups"] = Field(
        "cells",
        description="What has a weight: each (class, group) cell (`cells`), as in the paper, or each group (`groups`).",
    )
    step_size: Amount = Field(
        0.01, gt=0, description="The step size of the weights' exponentiated gradient ascent, the authors' by default."
    )
    adjustment: Amount = Field(
        0.0,
        ge=0,
        description="The size C of the adjustment C / sqrt(n) that is added to the loss of a cell or group of n "
        "training images; the paper compares 0 to 5.",
    )
    sampling: Sampling = Field(
        "balanced",
        description="How batches are drawn, as for `kind: erm`; `balanced` draws every cell equally often, as the "
        "authors do.",
    )


def _halved(edge: int) -> tuple[int, int]:
    """Return an edge halved while it stays whole and at least 4, and how often."""
    doublings = 0
    while edge % 2 == 0 and edge >= 8:
        edge, doublings = edge // 2, doublings + 1
    return edge, doublings


def decoder_steps(image_size: int) -> tuple[int, int]:
    """Return the edge of the first map of a decoder of images of `image_size` pixels' edge, and how often it doubles.

    Raises
    ------
    UserError
        No map of 4 to 15 pixels' edge, doubled at least once, has the image's edge.
    """

    def fits(size: int) -> bool:
        edge, doublings = _halved(size)
        return doublings > 0 and edge <= 15

    if not fits(image_size):
        # no image has less than 8 px, which fit; above any size there is a power of 2, which fits
        below = next(size for size in count(image_size - 1, -1) if fits(size))
        above = next(size for size in count(image_size + 1) if fits(size))
        raise UserError(
            f"doubles maps of 4 to 15 px once or more to decode an image, which never makes {image_size} px, the edge "
            f"of the data set's images; change that to {below} or {above} px, by image_size where the data set has it, "
            "or by crop"
        )
    return _halved(image_size)


class Autoencoder(Method):
    """A method whose network encodes images, for a decoder and a classifier of the method's own."""

    family: ClassVar[Family] = "pre-processing"
    own_outputs: ClassVar[str | None] = "a code as its outputs"

    latent_size: Whole = Field(
        50, ge=1, le=10_000, description="The number of dimensions of each latent variable; the paper of `vfae` has 50."
    )

    def check_image_size(self, image_size: int) -> None:
        """Raise a UserError where no decoder makes such images."""
        decoder_steps(image_size)


class Vfae(Autoencoder):
    """The variational fair autoencoder (Louizos et al., ICLR 2016): a code without the group, and its classifier."""

    implementation: ClassVar[str] = "fairdistill.methods.vfae:VFAE"

    kind: Literal["vfae"]
    alpha: Amount = Field(
        200.0,
        ge=0,
        description="The weight of the cross-entropy, relative to the bound on the likelihood of an image; the "
        "default is the paper's for its only photographs.",
    )
    beta: Amount = Field(
        200.0,
        ge=0,
        description="The weight of the squared MMD between the codes of the groups; the default is the paper's for its "
        "only photographs.",
    )
    group_in_encoder: Flag = Field(
        True,
        description="Whether the code depends on the group as well as on the image, as in the paper; the group is "
        "then needed at prediction time.",
    )


class Ffvae(Autoencoder):
    """The flexibly fair VAE (Creager et al., ICML 2019): a code without its sensitive part, then a classifier on it."""

    implementation: ClassVar[str] = "fairdistill.methods.ffvae:FFVAE"

    kind: Literal["ffvae"]
    alpha: Amount = Field(
        100.0, ge=0, description="The weight of the group's prediction from the sensitive part of the code."
    )
    gamma: Amount = Field(
        50.0,
        ge=0,
        description="The weight of the total correlation between the sensitive part and the rest of the code.",
    )
    representation_share: Number = Field(
        0.75,
        ge=0,
        lt=1,
        description="The share of the epochs in which the code is learned; the classifier has the rest, and at least "
        "one epoch.",
    )

    def without_effect(self) -> dict[str, NoEffect]:
        """Return the weights of the representation's loss where none is learned."""
        share = "representation_share"
        return _switched_off(share, "alpha", "gamma") if self.representation_share == 0 else {}

    def representation_epochs(self, epochs: int) -> int:
        """Return how many of the epochs the representation has; the classifier has one at least."""
        return min(round(self.representation_share * epochs), epochs - 1)

    def check_epochs(self, epochs: int) -> None:
        """Raise a UserError where a representation is wanted and has no epoch."""
        own = self.representation_epochs(epochs)
        _require_an_epoch("the representation", "representation_share", self.representation_share, own, epochs)


class PostProcessing(Distillation):
    """A method that trains nothing: it changes the predictions of its base, as it is fitted on the validation split."""

    family: ClassVar[Family] = "post-processing"
    needs_validation: ClassVar[bool] = True

    base: Annotated[
        BaseChoice,
        BeforeValidator(_read_base, json_schema_input_type=Name | BaseChoice),
        AfterValidator(_same_architecture),
    ] = Field(
        BaseChoice(),
        description="The model whose predictions are changed: `teacher`, or a name from `students`; its architecture "
        "is the same.",
    )
    sampling: Literal["plain"] = Field("plain", description="Has no meaning here, as nothing is trained.")


class Hardt(PostProcessing):
    """Equalized odds by post-processing (Hardt, Price, Srebro, NIPS 2016): labels are randomised for each group."""

    implementation: ClassVar[str] = "fairdistill.methods.hardt:Hardt"
    draws_labels: ClassVar[bool] = True

    kind: Literal["hardt"]


class GroupTemperature(PostProcessing):
    """Temperature scaling (Guo et al., ICML 2017) with a temperature for each group: it calibrates the base."""

    implementation: ClassVar[str] = "fairdistill.methods.group_temperature:GroupTemperature"

    kind: Literal["group_temperature"]


class Imported(Method):
    """A model that was trained elsewhere, read from a file; nothing is trained. docs/own_teacher.md explains it."""

    implementation: ClassVar[str] = "fairdistill.methods.imported:Imported"
    family: ClassVar[Family] = "imported"
    needs_checkpoint: ClassVar[bool] = True

    kind: Literal["imported"]
    sampling: Literal["plain"] = Field("plain", description="Has no meaning here, as nothing is trained.")
    checkpoint: Annotated[OwnPath | None, OrNull] = Field(
        None,
        # the SHA-256 of the file is an input of the model, wherever the file is
        exclude=True,
        description="The file with the weights: safetensors, or a state dict saved by `torch.save`, by itself or in a "
        "dictionary. It is required.",
    )
    architecture: Name = Field(
        SAME,
        # a name that the record has by itself
        exclude=True,
        description="The network that the file holds, a name from `networks`; `same` is that of the grid, which then "
        "has one.",
    )
    preprocess: Annotated[Preprocess | None, OrNull] = Field(
        None,
        description="How the model expects its images (see below); `null` uses what a checkpoint of this project "
        "says, and gives any other model the images as the data set normalises them.",
    )
    classes: Annotated[AtLeastOne[Label] | None, OrNull] = Field(
        None,
        description="The names of the model's outputs, in their order, which are the classes of the data set in any "
        "order; `null` takes the names in a checkpoint of this project, and otherwise the classes in the data set's "
        "order.",
    )

    def network_gets(self, image_size: int) -> int:
        """Return what `preprocess` makes of that, where there is one."""
        return self.preprocess.network_gets(image_size) if self.preprocess else image_size


AnyMethod = Annotated[
    Erm
    | Imported
    | Mfd
    | Kd
    | At
    | FitNets
    | Nst
    | Pkt
    | Adversarial
    | Reweighing
    | GroupMmd
    | DomainIndependent
    | DomainDiscriminative
    | GroupDro
    | Vfae
    | Ffvae
    | Hardt
    | GroupTemperature,
    Field(discriminator="kind"),
]


def method_of_kind(kind: object) -> type[Method] | None:
    """The class of settings of a kind of method; None where there is none, as for a record of another version."""
    return cast(type[Method] | None, settings_of_kind(AnyMethod, kind))


def family_of(kind: object, sampling: object) -> Family | Literal[""]:
    """What kind of remedy a method is, for which the comparison of all methods has a colour; "" where none is known.

    Training on data with as many images in every cell is pre-processing, as reweighing is; batches that draw equally
    often from every cell are a variant of plain training.
    """
    if (method := method_of_kind(kind)) is None:
        return ""
    resampled = method is Erm and sampling in ("oversampled", "undersampled")
    return "pre-processing" if resampled else method.family


def _read_teacher(value: object) -> object:
    """A teacher with a checkpoint is imported, whatever kind config/config.yaml, which it is merged with, names."""
    if not isinstance(value, dict) or value.get("checkpoint") in (None, "null"):
        return value
    return {**value, "kind": "imported"}


Teacher = Annotated[Erm | Imported, Field(discriminator="kind"), BeforeValidator(_read_teacher)]
