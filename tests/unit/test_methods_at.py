"""Attention transfer, compared with numpy, for maps of any size and any pair of architectures."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_trainings import KINDS, assert_same_bits, fit, method_settings, network_settings
from torchdistill.losses.mid_level import ATLoss

from fairdistill.methods.at import attention_loss, attention_map
from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.networks import build_network, freeze
from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete
from fairdistill.training.engines import load_engine


def maps_of(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def by_numpy(base, student):
    """The authors' at_loss; F_sum^2 of the paper is a sum over channels, which the norm makes the same as a mean."""

    def q(maps):
        flat = (maps**2).sum(1).reshape(len(maps), -1)
        return flat / np.linalg.norm(flat, axis=1, keepdims=True)

    return ((q(base) - q(student)) ** 2).mean()


def loss(base, student):
    return attention_loss(*(attention_map(torch.from_numpy(maps)) for maps in (base, student))).item()


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 6),
    channels=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
@settings(max_examples=40)
def test_equals_the_authors_loss_for_any_numbers_of_channels(seed, n, channels, size):
    base, student = (maps_of(seed + i, n, k, *size) for i, k in enumerate(channels))
    assert loss(base, student) == pytest.approx(by_numpy(base, student), rel=1e-9, abs=1e-14)


def test_is_the_papers_squared_norm_by_image_and_pixel():
    base, student = maps_of(0, 5, 4, 3, 2), maps_of(1, 5, 8, 3, 2)
    norms = [by_numpy(b[None], s[None]) * 6 for b, s in zip(base, student, strict=True)]
    assert loss(base, student) == pytest.approx(sum(norms) / (5 * 6))


def test_is_zero_where_it_has_to_be():
    base = maps_of(2, 4, 3, 5, 5)
    assert loss(base, base) == 0
    # up to a factor for each image, up to signs, and in whatever channel
    factors = np.array([0.1, 1.0, 5.0, 30.0])[:, None, None, None]
    assert loss(base, -factors * base[:, ::-1]) == pytest.approx(0, abs=1e-14)
    # a map of one pixel says nothing of where the network looks
    assert loss(maps_of(3, 4, 3, 1, 1), maps_of(4, 4, 9, 1, 1)) == pytest.approx(0, abs=1e-14)
    assert loss(base, base[:, :, ::-1].copy()) > 1e-3


def test_the_largest_value_is_that_of_maps_without_a_common_pixel():
    base, student = np.zeros((1, 1, 2, 2)), np.zeros((1, 1, 2, 2))
    base[..., 0, 0], student[..., 1, 1] = 3.0, 7.0
    assert loss(base, student) == pytest.approx(2 / 4)


def test_a_dead_map_gives_no_nan():
    student = torch.zeros(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    value = attention_loss(attention_map(torch.from_numpy(maps_of(5, 2, 3, 4, 4))), attention_map(student))
    value.backward()
    assert value.item() == pytest.approx(1 / 16)
    assert torch.isfinite(student.grad).all()


def test_equals_torchdistills_loss():
    base, student = (torch.from_numpy(maps_of(seed, 6, width, 4, 4)) for seed, width in ((1, 5), (2, 7)))
    pair = {"teacher": {"io": "output", "path": "map"}, "student": {"io": "output", "path": "map"}, "weight": 1.0}
    theirs = ATLoss({"map": pair}, mode="code")
    found = theirs({"map": {"output": student}}, {"map": {"output": base}})
    assert attention_loss(attention_map(base), attention_map(student)).item() == pytest.approx(found.item(), rel=1e-12)


def resizing(size, wanted):
    """(wanted, size): bilinear interpolation along one axis between the centres of pixels, constant beyond them."""
    centres = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(size)))


@pytest.mark.parametrize(("size", "wanted"), [((4, 4), (8, 8)), ((8, 8), (4, 4)), ((3, 5), (7, 4)), ((1, 1), (3, 3))])
def test_the_bases_map_is_resized_bilinearly_to_the_students(size, wanted):
    base, student = maps_of(6, 3, 4, *size), maps_of(7, 3, 2, *wanted)
    rows, columns = (resizing(*pair) for pair in zip(size, wanted, strict=True))
    resized = np.einsum("ih,bhw,jw->bij", rows, (base**2).sum(1), columns)
    # as one channel whose square it is
    expected = by_numpy(np.sqrt(resized)[:, None], student)
    assert loss(base, student) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [(3, 3), (5, 2)])
def test_gradient(size):
    base = attention_map(torch.from_numpy(maps_of(8, 2, 3, *size)))
    student = torch.from_numpy(maps_of(9, 2, 2, 3, 3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda maps: attention_loss(base, attention_map(maps)), student)


@pytest.mark.parametrize("size", [(3, 3), (5, 2)])
def test_no_gradient_reaches_the_base(size):
    base, student = (torch.from_numpy(maps_of(s, 2, 3, *n)).requires_grad_() for s, n in ((0, size), (1, (3, 3))))
    attention_loss(attention_map(base), attention_map(student)).backward()
    assert base.grad is None
    assert student.grad.abs().sum() > 0


def make(network, base, **values):
    torch.manual_seed(0)
    network, base = build_network(network, 3), freeze(build_network(base, 3))
    chosen = method_settings(kind="at", **values)
    label = torch.arange(4) % 3
    return network, base, method_class(chosen)(chosen, Task(3, 2, label, label % 2, 32, network, base))


@pytest.mark.parametrize(("kind", "base_kind"), [*product(KINDS, KINDS)])
@pytest.mark.parametrize(("stem", "base_stem"), [("imagenet", "imagenet"), ("cifar", "imagenet")])
def test_any_pair_of_networks_can_be_compared(kind, base_kind, stem, base_stem):
    network, base, method = make(network_settings(kind, stem), network_settings(base_kind, base_stem), beta=10.0)
    images = torch.randn(4, 3, 32, 32)
    label = torch.arange(4) % 3
    with torch.no_grad():
        of_base = base(images, method.base_layers)
    output = network(images, method.layers)
    terms = method.loss(Batch(images, label, label % 2, torch.arange(4), method.read_base(of_base)), output, "train")
    # the base's last map has one pixel, and is left out with its partner
    assert len(method.pairs) == ((4 if kind == base_kind == "resnet18" else 3) - (base_stem == "imagenet"))
    last = -2 if base_stem == "imagenet" else -1
    assert list(method.pairs.items())[-1] == (network.layers[last], base.layers[last])
    expected = 0.0
    for layer, other in method.pairs.items():
        student, teacher = (o.maps[name].detach().double().numpy() for o, name in ((output, layer), (of_base, other)))
        if stem == base_stem:
            # of one stem the pairs have one resolution, as the class says
            assert student.shape[2:] == teacher.shape[2:]
        matrices = [resizing(*pair) for pair in zip(teacher.shape[2:], student.shape[2:], strict=True)]
        resized = np.einsum("ih,bhw,jw->bij", matrices[0], (teacher**2).sum(1), matrices[1])
        expected += 10 * by_numpy(np.sqrt(resized)[:, None], student)
    assert terms["attention"].item() == pytest.approx(expected, rel=1e-4)
    terms["attention"].backward()
    assert all(weight.grad is None for weight in base.parameters())
    assert network.body.conv1 is not None
    assert sum(weight.grad is not None for weight in network.parameters()) > 10


def test_named_layers_alone_are_compared():
    resnet, shufflenet = (network_settings(kind) for kind in KINDS)
    _, _, method = make(resnet, shufflenet, layers=["layer4", "layer2"])
    assert method.pairs == {"layer4": "stage4", "layer2": "stage2"}
    assert (method.layers, method.base_layers) == (["layer4", "layer2"], ["stage4", "stage2"])
    _, _, every = make(resnet, shufflenet)
    assert every.pairs == {"layer2": "stage2", "layer3": "stage3", "layer4": "stage4"}


def study(layers, base="teacher", architectures=("resnet",)):
    return {
        "architectures": list(architectures),
        "methods": ["attention"],
        "students": {"attention": {"kind": "at", "layers": layers, "base": base}},
    }


# maps of 4 px where those of ImageNet's stem have one
FINE = {"datasets": ["cifar10s"], "networks": {"fine": {"kind": "resnet18", "stem": "cifar"}}}


@pytest.mark.parametrize(
    ("config", "layer"),
    [
        (study(["layer9"]), "layer9"),
        # of both networks
        (study(["layer4"], architectures=["resnet", "shufflenet"]), "layer4"),
        # of one pixel: of images of 32 px, of the student or of its base
        (study(["layer4"]) | {"datasets": ["cifar10s"]}, "layer4"),
        (study(["layer4"], {"method": "teacher", "architecture": "resnet"}, ["fine"]) | FINE, "layer4"),
        # ResNet-18 has four layers, ShuffleNetV2 three
        (study(["layer1"], {"method": "teacher", "architecture": "shufflenet"}), "layer1"),
    ],
)
def test_layers_that_cannot_be_compared_are_refused_when_the_configuration_is_read(config, layer):
    with pytest.raises(UserError) as error:
        complete(config)
    assert str(error.value).startswith("config: students.attention")
    assert f"'{layer}'" in str(error.value)
    assert "\n" not in str(error.value)


def test_layers_that_cannot_be_compared_are_refused_by_the_method_too():
    """A training that is started by hand has no configuration."""
    with pytest.raises(UserError) as error:
        make(*(network_settings(kind) for kind in KINDS), layers=["layer2", "layer1"])
    assert str(error.value) == (
        "method at: layers names 'layer1', but the base has no layer at the same distance from its last; name a later "
        "one"
    )


def test_all_maps_may_have_one_pixel():
    """Of images of 8 px, all but the first stage of a ResNet, and ShuffleNet's three."""
    small = {"datasets": ["small"], "data": {"sets": {"small": {"kind": "digits_s", "image_size": 8}}}}
    assert complete(study(None) | small).students["attention"].layers is None
    with pytest.raises(UserError) as error:
        complete(study(None, architectures=["shufflenet"]) | small)
    assert str(error.value) == (
        "config: students.attention.layers can have none, as all maps of the network, or of its base's, have one pixel "
        "for images of 8 px, which does not say where in an image the layer is active; take larger images "
        "(image_size, crop), or another network or stem (data.sets.small, network shufflenet, base teacher "
        "(shufflenet))"
    )


def test_layers_that_can_be_compared_are_taken():
    assert complete(study(["layer4"], architectures=["fine"]) | FINE).students["attention"].layers == ["layer4"]
    assert complete(study(None) | {"datasets": ["cifar10s"]}).students["attention"].layers is None
    other = {"method": "teacher", "architecture": "shufflenet"}
    assert complete(study(["layer2", "layer3"], other)).students["attention"].layers == ["layer2", "layer3"]
    assert complete(study(None, architectures=["resnet", "shufflenet"])).students["attention"].layers is None


@pytest.fixture(scope="module")
def teacher(tiny):
    return fit(tiny, {"kind": "erm"}, role="teacher", network=network_settings(KINDS[1]), batch_size=16).network


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_students_attention_comes_closer_to_its_bases(tiny, teacher, monkeypatch, engine):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    history = fit(tiny, {"kind": "at"}, base=teacher, epochs=5, batch_size=16, engine=engine).history
    # where the classes differ is the whole image, so that there is little to learn of where to look
    assert history["attention"].iloc[-1] < 0.85 * history["attention"].iloc[0]
    assert np.allclose(history["loss"], history["attention"] + history["cross_entropy"])


def test_with_beta_zero_it_is_cross_entropy(tiny, teacher):
    plain, zero = fit(tiny, {"kind": "erm"}), fit(tiny, {"kind": "at", "beta": 0.0}, base=teacher)
    assert (zero.history["attention"] == 0).all()
    assert_same_bits(plain, zero, apart_from=["attention"])
